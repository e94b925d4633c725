"""What dask-ml's LogisticRegression does with rows in a .npy file on local workers; run by cluster.py in an environment
of its own (pip install dask-ml 'scikit-learn<1.7'), as its packages want older neighbours.

    python benchmarks/dask_ml_peer.py ROWS.npy LABELS.npy PENALTY WORKERS SOLVER     # prints JSON
"""

from __future__ import annotations

import json
import sys
import time

import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster
from dask_ml.linear_model import LogisticRegression

CHUNKS = 8


def main() -> None:
    rows, labels, penalty, workers, solver = sys.argv[1:]
    with (
        LocalCluster(n_workers=int(workers), threads_per_worker=1, dashboard_address=":0") as local,
        Client(local) as client,
    ):
        X, y = np.load(rows, mmap_mode="r"), np.load(labels)
        size = -(-len(y) // CHUNKS)
        A = da.from_array(X, chunks=(size, -1)).persist()
        b = da.from_array(y, chunks=size).persist()
        client.run(lambda: None)
        busy = lambda: time.process_time() + sum(client.run(time.process_time).values())  # noqa: E731
        before, begin = busy(), time.perf_counter()
        # their penalty is of the sum of all losses, weighs the intercept, and weights of standardised columns: not here
        options = {"fit_intercept": False, "solver_kwargs": {"normalize": False}}
        model = LogisticRegression(C=1 / float(penalty), solver=solver, **options).fit(A, b)
        found = {"seconds": time.perf_counter() - begin, "busy": busy() - before, "coef": model.coef_.ravel().tolist()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
