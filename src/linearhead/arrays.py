"""NumPy or another array library, decided by the array itself (the array API standard, 2024.12).

Nothing here imports torch: whoever holds a torch array has imported it. `namespace(x)` is the module whose
functions fit x; NumPy is answered without a look-up because mini-batches of one ask for it often.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

_holding = threading.Lock()
_held: dict[str, Any] = {"by": 0, "limit": None}


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While anybody holds it, a matrix product uses the thread that asks for it: the threads here are over rows, and
    how a product is cut among BLAS's own decides its last bits. The limit is the process's: the last to leave lifts it.
    """
    with _holding:
        if not _held["by"]:
            _held["limit"] = blas().limit(limits=1, user_api="blas")
            _held["limit"].__enter__()
        _held["by"] += 1
    try:
        yield
    finally:
        with _holding:
            _held["by"] -= 1
            if not _held["by"]:
                _held["limit"].__exit__(None, None, None)


def available_threads() -> int:
    """Cores that this process may use: its affinity where the system tells, which in a container are fewer than the
    machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas() -> Any:
    """What holds every BLAS that is loaded by now, a ThreadpoolController: SciPy brings its own."""
    return _found("scipy.linalg" in sys.modules)


@cache
def _found(scipy_s: bool) -> Any:
    from threadpoolctl import ThreadpoolController

    class Blas(ThreadpoolController):
        """Of the libraries whose name says so: to follow the paths of hundreds takes longer than a small fit."""

        def _make_controller_from_path(self, filepath: str) -> None:
            if re.search("blas|blis|mkl", os.path.basename(filepath), re.IGNORECASE):
                super()._make_controller_from_path(filepath)  # pyright: ignore[reportAttributeAccessIssue]

    return Blas()


def namespace(x: Any) -> Any:
    """The array-API module of x: NumPy, or what array-api-compat finds for torch, CuPy, array-api-strict."""
    if isinstance(x, np.ndarray) or np.isscalar(x):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(x)


def is_foreign(x: Any) -> bool:
    """Whether x is another library's array: torch, CuPy, JAX, array-api-strict."""
    if isinstance(x, (np.ndarray, np.generic, list, tuple, str, bytes)) or not hasattr(x, "dtype"):
        return False
    import array_api_compat

    return array_api_compat.is_array_api_obj(x)


def to_host(x: Any) -> Any:
    """x as a NumPy array, without a copy where its memory is the processor's; anything else as it is."""
    if not is_foreign(x):
        return x
    import array_api_compat

    x = x.detach() if hasattr(x, "detach") else x
    x = array_api_compat.to_device(x, "cpu") if hasattr(x, "cpu") or hasattr(x, "get") else x
    xp = namespace(x)
    if "bfloat16" in str(x.dtype):  # NumPy has no such type
        x = xp.astype(x, xp.float32)
    return np.asarray(x)


def to_device(x: np.ndarray, like: Any) -> Any:
    """A NumPy array in the library and on the device of `like`."""
    import array_api_compat

    return namespace(like).asarray(x, device=array_api_compat.device(like))


def beside(x: Any) -> bool:
    """Whether another library's array lies in the processor's own memory."""
    import array_api_compat

    return "cpu" in str(array_api_compat.device(x)).lower()


def cast(a: Any, dtype: Any) -> Any:
    """a in a type of its library, itself where it has that."""
    return a.astype(dtype, copy=False) if isinstance(a, np.ndarray) else namespace(a).astype(a, dtype, copy=False)


def dot(a: Any, b: Any) -> float:
    """Σ a b of two arrays of one shape."""
    if isinstance(a, np.ndarray):
        return float(np.vdot(a, b))
    return float(namespace(a).sum(a * b))


def largest(a: Any) -> float:
    """max |a|, 0 for no entries."""
    if isinstance(a, np.ndarray):
        return float(np.max(np.abs(a), initial=0.0))
    xp = namespace(a)
    return float(xp.max(xp.abs(a))) if 0 not in a.shape else 0.0


def running_sum(a: Any) -> Any:
    """Sums of the first entries, (n,)."""
    return np.cumsum(a) if isinstance(a, np.ndarray) else namespace(a).cumulative_sum(a)


def copy(a: Any) -> Any:
    """The same numbers in memory of their own."""
    return a.copy() if isinstance(a, np.ndarray) else namespace(a).asarray(a, copy=True)


def lower_gram(x: np.ndarray) -> np.ndarray:
    """The lower triangle of xᵀx, (m, d) float32 or float64 → (d, d), 0 above: half of what a product costs. The rest
    is a copy, which NumPy makes every time and slowly."""
    from scipy.linalg import blas

    return (blas.ssyrk if x.dtype == np.float32 else blas.dsyrk)(1.0, x.T, lower=1)  # pyright: ignore


def rows_of(labels: np.ndarray) -> list[np.ndarray]:
    """The rows of every label (n,) that occurs, ascending, the least label first: one look, however many there are."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(labels) else []


def one_hot(y: np.ndarray, k: int) -> np.ndarray:
    """(n,) integers → (n, k) float64, 1 at the label."""
    hot = np.zeros((len(y), k))
    hot[np.arange(len(y)), y] = 1
    return hot
