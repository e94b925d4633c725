"""Every loss with L2, every penalty with cross-entropy, every solver: what the choice changes on real pictures.

    python benchmarks/choosing.py [--most 12000]

Sets: scikit-learn's scanned digits (pixels) and, where they are, photographed hands and pictures of clothes (HOG), up
to `most` training pictures; the split of the data, else a stratified fifth judges. Columns are standardised, α is
chosen on a tenth of the training pictures, then one fit. Accuracy has a 95 % Wilson interval, seconds are the
process's. Solvers run cross-entropy + L2 on the hands to the default tolerance; `passes` are their passes over the
rows, and `gap` is what is proven at the end. Results in choosing.json; the site draws them (docs/choices.py).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from measure import versions

from linearhead import LinearClassifier
from linearhead.losses import LOSSES
from linearhead.metrics import log_loss, wilson
from linearhead.objective import misfit
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS

SHARED = Path(__file__).parents[2] / "shared" / "data"


def described(folder: Path, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """HOG of the training and of the judging pictures, with their labels."""
    from linearhead.data.feature_store import Store
    from linearhead.experiment import Recipe
    from linearhead.experiment.preparing import Clock, prepare
    from linearhead.experiment.progress import Progress

    plan = Recipe(features="hog", valid_share=0.0)
    prepared = prepare(folder, plan, Store(None), Progress(), Clock())
    X, y, n = prepared.extracted.X, prepared.y, prepared.n_trained
    taken = np.sort(np.random.default_rng(0).permutation(n)[:most])
    return X[taken], y[taken], X[n:], y[n:]


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32) / 16, y, test_size=0.2, stratify=y, random_state=0)
    return X, y, X_test, y_test


def measured(model: LinearClassifier, X, y, X_test, y_test) -> dict:
    start = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - start
    right = model.predict(X_test) == y_test
    found = {
        "accuracy": float(right.mean()),
        "interval": wilson(right.sum(), len(right)),
        "train_accuracy": float(model.score(X, y)),
        "cpu_seconds": seconds,
        "alpha": float(model.alpha_),
        "columns_used": int(np.sum(np.any(model.coef_ != 0, axis=0))),
        "columns": X.shape[1],
    }
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X_test)
        found["log_loss"] = log_loss(p[np.arange(len(p)), np.searchsorted(model.classes_, y_test)])
    return found


def solved(solver: str, alpha: float, X, y) -> dict:
    model = LinearClassifier(alpha=alpha, solver=solver, standardize=True)
    start = time.process_time()
    model.fit(X, y)
    seconds, proof = time.process_time() - start, model.certificate_
    gap = proof.gap / proof.value
    return {"cpu_seconds": seconds, "passes": model.trace_.passes[-1], "gap": gap, "converged": model.converged_}


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("--most", type=int, default=12_000)
    given = options.parse_args()
    sets = {"scanned digits": digits()}
    for title, name in (("photographed hands", "sign-digits"), ("clothes", "fashion-mnist")):
        if (SHARED / name).is_dir():
            sets[title] = described(SHARED / name, given.most)
    common = {"alpha": "auto", "standardize": True, "random_state": 0}
    record: dict = {"losses": {}, "penalties": {}, "solvers": {}}
    for title, data in sets.items():
        record["losses"][title] = {loss: measured(LinearClassifier(loss, **common), *data) for loss in LOSSES}
        print(title, json.dumps(record["losses"][title]), flush=True)
    title = "photographed hands" if "photographed hands" in sets else "scanned digits"
    for penalty in PENALTIES:
        options_of = common | ({"alpha": 1.0} if penalty == "none" else {})
        record["penalties"][penalty] = measured(LinearClassifier(penalty=penalty, **options_of), *sets[title])
        print(penalty, json.dumps(record["penalties"][penalty]), flush=True)
    alpha = record["losses"][title]["cross_entropy"]["alpha"]
    for solver in SOLVERS:
        if not misfit("cross_entropy", "l2", solver):
            record["solvers"][solver] = solved(solver, alpha, *sets[title][:2])
            print(solver, json.dumps(record["solvers"][solver]), flush=True)
    record |= {"set_of_penalties_and_solvers": title, "versions": versions()}
    record["pictures"] = {title: {"trained": len(data[1]), "judged": len(data[3])} for title, data in sets.items()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
