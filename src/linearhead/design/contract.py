"""What a design is: the n rows of A = [X 1] in blocks, with one verb, `sweep`, that makes one pass over them.

Parameters θ = [W; b] (d+1, k) are float64. Columns may be centred and scaled, Z = (X − shift) / scale; this is done
to θ, never to rows: Z W + b = X (W/scale) + (b − shiftᵀ W/scale). `to_rows` is that linear map, `from_rows` its
transpose (the chain rule for gradients). Sums are float64, added in the order of the rows whatever the number of
threads, and BLAS is held to one thread: the same bits on one core and on sixty-four.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from ..arrays import available_threads, one_blas_thread
from . import few_columns

BLOCK_BYTES = 3 << 19  # 1.5 MiB of rows: a block and its scores stay in a core's cache
WIDER = 15 << 17  # 1.875 MiB where products are short (`few_columns`): threads wait for each other between them
LEAST_ROWS, MOST_ROWS = 128, 4096  # of a block, whatever it takes
SCORE_BYTES = 2 << 20  # of a block's scores, where they are what takes room: many classes
GRAM_BYTES = 8 << 20  # where a block's product is as large as d × d, and adding it up costs as much as 250 rows
MANY_SUMS, SUMMED_ROWS = 1 << 20, 384  # (d+1) k from where adding them up costs as much as 100 rows: so many at least
CHUNKS = 64  # a pass is cut into at most this many runs of blocks; fixed, so sums never depend on threads


class Block(Protocol):
    """Some rows at hand. `rows` indexes labels and weights; `forward` (m, k) and `adjoint` (d+1, k) multiply; `part` is
    some of a mini-batch's rows. Blocks of a pass have `by_class`, and in memory `squares` and `absolute`, too."""

    @property
    def rows(self) -> Any: ...

    def forward(self, theta: np.ndarray) -> np.ndarray: ...

    def adjoint(self, g: np.ndarray) -> np.ndarray: ...

    def part(self, rows: slice) -> Block: ...


@dataclass(frozen=True)
class Design:
    """The contract; `rows.py`, `sparse.py` and others say where the rows are. shift and scale have shape (d,)."""

    apart: ClassVar[bool] = False  # rows lie on other computers, where passes are cheap and single rows are not

    n: int
    d: int
    intercept: bool = True
    shift: np.ndarray | None = None
    scale: np.ndarray | None = None
    threads: int = field(default_factory=available_threads)
    exact: bool = False  # float64 arithmetic on the rows, whatever their type
    block_bytes: int = 0  # of rows in a block; 0: BLOCK_BYTES
    energy: np.ndarray | None = None  # mean square of each centred, scaled column (d,), once `fitted` has seen them
    scores: int = 1  # that a row is given, k: blocks have fewer rows where there are many

    # ── what a kind of design provides ────────────────────────────────────────────────────────────
    def block(self, rows: Any) -> Block:
        """The rows of a slice or an index array."""
        raise NotImplementedError

    def take(self, rows: np.ndarray) -> Design:
        """The design of some rows only, with the same columns."""
        raise NotImplementedError

    def every(self, step: int) -> Design | None:
        """Every step-th row without a copy, or None where the rows are kept in a way that has no such view."""
        return None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in the arithmetic's type."""
        return self.d * (8 if self.exact else 4)

    @property
    def held(self) -> int:
        """Rows that memory holds."""
        return self.n

    @property
    def dtype(self) -> np.dtype:
        """The type of the arithmetic on rows."""
        return np.dtype(np.float64 if self.exact else np.float32)

    def batch(self, rows: np.ndarray, size: int = 1) -> Any:
        """A mini-batch, or several of `size` rows: a block with `descend` whose products speak θ itself, columns
        centred and scaled."""
        raise NotImplementedError

    def dense(self) -> np.ndarray:
        """All rows, centred and scaled, as one array (n, d); for small designs."""
        raise NotImplementedError

    def moments(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and standard deviation of each column, (d,) and (d,)."""
        raise NotImplementedError

    # ── what all share ────────────────────────────────────────────────────────────────────────────
    def precise(self) -> Design:
        """The same rows with float64 arithmetic."""
        return self if self.exact else replace(self, exact=True)

    def to_rows(self, theta: np.ndarray) -> np.ndarray:
        """θ for the columns as they are stored: (d+1, k) → (d+1, k)."""
        if self.shift is None and self.scale is None:
            return theta
        raw = theta.copy()
        if self.scale is not None:
            raw[:-1] /= self.scale[:, None]
        if self.shift is not None:
            raw[-1] -= self.shift @ raw[:-1]
        return raw

    def from_rows(self, gradient: np.ndarray) -> np.ndarray:
        """The transpose of `to_rows`: sums over stored rows → sums over centred and scaled rows; owns its input."""
        if not self.intercept:
            gradient[-1] = 0
        if self.shift is not None:
            gradient[:-1] -= np.outer(self.shift, gradient[-1])
        if self.scale is not None:
            gradient[:-1] /= self.scale[:, None]
        return gradient

    def stored(self, theta: np.ndarray) -> np.ndarray:
        """θ in the units of X as the user gave it, float64, however blocks are centred."""
        return Design.to_rows(self, theta)

    def from_stored(self, theta: np.ndarray) -> np.ndarray:
        """The inverse of `stored`."""
        inner = theta.copy()
        if self.shift is not None:
            inner[-1] += self.shift @ inner[:-1]
        if self.scale is not None:
            inner[:-1] *= self.scale[:, None]
        return inner

    def lengths(self, block: Any) -> np.ndarray:
        """‖z‖² of a block's rows in the centred, scaled columns, (m,), not below the exact ones."""
        unit = np.ones(self.d) if self.scale is None else 1 / self.scale
        squares = block.squares(unit)
        if self.shift is None:
            return squares * (1 + 1e-9)
        inner = self.shift * unit
        own = float(inner @ inner)
        theta = np.append(-2 * inner * unit, own)[:, None].astype(self.dtype)
        noise = (self.d + 16) * float(np.finfo(self.dtype).eps) * (squares + own)
        return np.maximum(squares + block.forward(theta)[:, 0], 0) + noise

    def block_rows(self) -> int:
        """Rows of a block: what fits `block_bytes` and SCORE_BYTES, but enough that products stay efficient."""
        size = self.block_bytes or (WIDER if few_columns.cuts(self.d, self.scores) else BLOCK_BYTES)
        by_rows = min(max(size // max(self.row_bytes, 1), LEAST_ROWS), MOST_ROWS)
        by_scores = max(SCORE_BYTES // (self.scores * self.dtype.itemsize), min(max(self.d // 2, 32), 128))
        rows = min(by_rows, by_scores)
        if (self.d + 1) * self.scores > MANY_SUMS:
            rows = max(rows, min(SUMMED_ROWS, GRAM_BYTES // max(self.row_bytes, 1)))
        return rows

    def fitted(self, weights: np.ndarray | None = None, standardize: bool = False) -> Design:
        """The same rows with centred columns (if there is an intercept to absorb it), of unit variance if asked."""
        # a scale is part of F, so it is exact; a centre is not, the intercept takes up whatever it is
        mean, deviation = (self.precise() if standardize else self).moments(weights)
        spread = deviation if self.intercept else np.hypot(mean, deviation)
        scale = np.where(spread > 0, spread, 1.0) if standardize else None
        energy = squares(spread if scale is None else spread / scale)
        return self.centred(mean if self.intercept else None, deviation, scale, energy)

    def centred(self, mean, deviation, scale, energy) -> Design:
        """The same rows with this centre and scale; deviation tells whether centring can be left to θ."""
        return replace(self, shift=mean, scale=scale, energy=energy)

    @property
    def centre(self) -> np.ndarray:
        """What is taken off the rows, in scaled columns, (d,)."""
        if self.shift is None:
            return np.zeros(self.d)
        return self.shift if self.scale is None else self.shift / self.scale

    def gram(self, y: np.ndarray, k: int, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """ZᵀDZ of the centred and scaled columns, (d, d), and their sums by label, [Z 1]ᵀDY (d+1, k), float64: one
        pass."""
        raise NotImplementedError

    def chunks(self) -> list[tuple[int, int]]:
        """Runs of whole blocks, the units that a pass hands to threads and adds up in order."""
        size = self.block_rows()
        per_chunk = max(1, -(-self.n // (size * CHUNKS))) * size
        return [(start, min(start + per_chunk, self.n)) for start in range(0, self.n, per_chunk)]

    def sweep(self, fn: Callable[[Block], tuple]) -> tuple:
        """One pass: the sums over all blocks of what fn(block) returns (numbers and arrays, float64).

        fn may run in other threads, or on other computers: what it finds it returns, here or to `collect`.
        """
        total: list = []
        for sums in self.parts(fn):
            _add(total, sums)
        return tuple(total)

    def collect(self, fn: Callable[[Block], tuple]) -> tuple[list, tuple]:
        """One pass for fn(block) → (anything, *what is summed): the former in the rows' order, and the sums."""
        found: dict[int, Any] = {}

        def share(block: Block) -> tuple:
            found[block.rows.start], *sums = fn(block)
            return tuple(sums)

        sums = self.sweep(share)
        return [found[start] for start in sorted(found)], sums

    def fill(self, out: np.ndarray, fn: Callable[[Block], tuple]) -> tuple:
        """One pass for fn(block) → (numbers for its rows, *what is summed): the former into out (n, …); the sums."""

        def share(block: Block) -> tuple:
            out[block.rows], *sums = fn(block)
            return tuple(sums)

        return self.sweep(share)

    def parts(self, fn: Callable[[Block], tuple]) -> Iterator[list]:
        """The sums of each chunk, in order."""
        size, chunks = self.block_rows(), self.chunks()

        def run(chunk: tuple[int, int]) -> list:
            sums: list = []
            for start in range(chunk[0], chunk[1], size):
                _add(sums, fn(self.block(slice(start, min(start + size, chunk[1])))))
            return sums

        with self.session() as pool:
            yield from _in_order(pool, run, chunks, self.threads) if pool else map(run, chunks)

    def column(self, values: np.ndarray | None) -> Any:
        """Numbers that belong to the rows, (n, …): labels, weights, multipliers, as `sweep` takes them along best."""
        return values

    @contextlib.contextmanager
    def session(self) -> Iterator[ThreadPoolExecutor | None]:
        """Holds BLAS to one thread and keeps the worker threads for many passes; may be nested."""
        if _sessions.depth:
            yield _sessions.pool
            return
        with contextlib.ExitStack() as stack:
            import scipy.linalg  # noqa: F401  brings its own BLAS, which is then held as well

            stack.enter_context(one_blas_thread())
            many = self.threads > 1 and self.n > self.block_rows()
            pool = stack.enter_context(ThreadPoolExecutor(self.threads)) if many else None
            _sessions.depth, _sessions.pool, _sessions.threads = 1, pool, self.threads
            try:
                yield pool
            finally:
                _sessions.depth, _sessions.pool = 0, None


def in_turn(fn: Callable, items: Iterable) -> Iterator:
    """fn of each item, in their order, by the threads of the open session; items are made one by one in this one."""
    pool = _sessions.pool
    return _in_order(pool, fn, items, _sessions.threads) if pool else map(fn, items)


def squares(a: np.ndarray) -> np.ndarray:
    """a², finite for numbers up to the largest."""
    return np.minimum(np.abs(a), 1e150) ** 2


class _Sessions(threading.local):
    depth = 0
    pool: ThreadPoolExecutor | None = None
    threads: int = 1


_sessions = _Sessions()  # per calling thread: which pool is open; nothing survives the outermost `session`


def _add(sums: list, terms: Any) -> None:
    """sums += terms, elementwise over a tuple; the first terms become float64."""
    if not sums:
        sums.extend(np.asarray(t, dtype=np.float64) if isinstance(t, np.ndarray) else float(t) for t in terms)
        return
    for i, term in enumerate(terms):
        sums[i] += term


def _in_order(pool: ThreadPoolExecutor, run: Callable, chunks: Iterable, threads: int) -> Iterator:
    """Results in the chunks' order, with no more of them alive than threads + 1."""
    waiting: deque[Future] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(run, chunk))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
