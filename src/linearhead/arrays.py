"""NumPy or another array library, decided by the array itself (the array API standard, 2024.12).

Nothing here imports torch: whoever holds a torch array has imported it. `namespace(x)` is the module whose
functions fit x; NumPy is answered without a look-up because mini-batches of one ask for it often.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace(x: Any) -> Any:
    """The array-API module of x: NumPy, or what array-api-compat finds for torch, CuPy, array-api-strict."""
    if isinstance(x, np.ndarray) or np.isscalar(x):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(x)


def subtract_at(xp: Any, a: Any, y: Any, amount: Any) -> None:
    """a[i, y_i] −= amount_i in place, for a (n, k) that the caller owns; by index where the library can."""
    if xp is np or "torch" in xp.__name__:
        a[xp.arange(a.shape[0]), y] -= amount
    else:
        a -= xp.astype(xp.arange(a.shape[1])[None, :] == y[:, None], a.dtype) * amount
