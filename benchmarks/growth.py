"""How a fit grows: passes to a relative gap, and nanoseconds of a pass per row, column and class.

    python benchmarks/growth.py

One of n, d, k and α is varied at a time on Gaussian rows of falling spectrum (`wide_k.rows`). The optimum is the end of
the same fit, whose certified gap is given. Passes grow no faster than log(1/gap) where those between 1e-4 and
1e-6 are no more than those down to 1e-4 times 2/4, and a margin. Results in growth.json beside this file.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
from wide_k import rows

BASE = {"n": 20_000, "d": 256, "k": 10, "alpha_n": 1.0}
VARIED = {"n": (5_000, 40_000), "d": (64, 512, 2048), "k": (3, 30, 100), "alpha_n": (0.01, 100.0)}
GAPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def measure(n: int, d: int, k: int, alpha_n: float) -> dict:
    from linearhead import SoftmaxClassifier

    X, y, _ = rows(n, d, k)
    model = SoftmaxClassifier(alpha=alpha_n / n, tol=1e-8, max_iter=2000)
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    value, passes = np.array(model.trace_.value), np.array(model.trace_.passes)
    best = model.certificate_.value
    found = {f"{gap:.0e}": float(passes[np.argmax(value <= best * (1 + gap))]) for gap in GAPS}
    steps = np.diff(model.trace_.seconds) / np.maximum(np.diff(passes), 1)
    return {
        **{"n": n, "d": d, "k": int(y.max()) + 1, "alpha_n": alpha_n, "seconds": seconds},
        "passes": found,
        "nanoseconds_per_row_column_class": float(np.median(steps)) / (n * d * k) * 1e9,
        "certified_gap": model.certificate_.gap / best,
        "logarithmic": found["1e-06"] - found["1e-04"] <= 0.75 * found["1e-04"] + 3,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    cases = [BASE] + [BASE | {name: value} for name, values in VARIED.items() for value in values]
    results = []
    for case in cases:
        results.append(measure(**case))
        print(json.dumps(results[-1]), flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
