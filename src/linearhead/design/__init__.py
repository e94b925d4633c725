"""Where the rows are: in memory, sparse, on disk, on a cluster. `design_of(X)` picks the kind from the array."""

from __future__ import annotations

from typing import Any

from .batch import Batch
from .cluster import ClusterArray, ClusterRows
from .connection import Cluster, connect
from .contract import Block, Design, in_turn
from .journal import Journal
from .lent import LentArray, LentRows, LentSlabs, lent_array
from .rows import Rows
from .sparse import SparseRows
from .stored import StoredArray, StoredRows
from .stored import opened as on_disk


def opened(X: Any) -> Any:
    """X as a `StoredArray` where its rows lie on disk, or in another library's array; else X itself."""
    return on_disk(lent_array(X))


def design_of(X: Any, intercept: bool = True, threads: int | None = None) -> Rows | SparseRows:
    """The design of an array (n, d), a SciPy sparse matrix, or rows on disk, lent or on a cluster (see
    `opened`)."""
    X = opened(X)
    kind: Any = SparseRows if hasattr(X, "tocsr") else Rows
    if isinstance(X, StoredArray):
        kind = ClusterRows if isinstance(X, ClusterArray) else LentSlabs if isinstance(X, LentArray) else StoredRows
    return kind.of(X, intercept=intercept, threads=threads)


__all__ = [
    "Batch",
    "Block",
    "Cluster",
    "ClusterArray",
    "ClusterRows",
    "Design",
    "Journal",
    "LentArray",
    "LentRows",
    "LentSlabs",
    "Rows",
    "SparseRows",
    "StoredArray",
    "StoredRows",
    "connect",
    "design_of",
    "in_turn",
    "opened",
]
