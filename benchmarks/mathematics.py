"""The counted promises of the mathematics: the checks of the tests, on other problems than theirs and many more.

    python benchmarks/mathematics.py [SECTION ...] [--seed 1]

What stands in tests/ is a small slice of this with fixed seeds; here every check runs with seeds made from --seed,
goes on after a failure, and is counted. mathematics.json beside this file holds, by section: the trials, what a trial
is, the failures with their words, and seconds. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
Trial = tuple[str, int, Callable[[], object]]  # a name, how many trials it is, what raises if one fails


def derivatives(seed: int) -> Iterator[Trial]:
    """comparisons of F's slopes and Hessian products with central differences, rtol 5e-6"""
    import test_objective_contract as t

    for loss in t.LOSSES:
        for penalty in t.PENALTIES:

            def check(loss: str = loss, penalty: str = penalty) -> object:
                counted: list[int] = []
                t.check_everywhere(loss, penalty, lambda _, n: counted.append(n), 1000 * seed)
                return counted[0]

            yield f"{loss}, {penalty}", t.TRIALS, check


def oracle(seed: int) -> Iterator[Trial]:
    """rows of scores whose loss, or probabilities, lie within 4 ulp of 100 digits"""
    import test_losses_oracle as t

    for name in sorted(t.LOSSES):
        yield f"loss {name}", t.POINTS, lambda name=name: t.check_loss(name, 20 + seed)
    for name in ("cross_entropy", "logistic"):
        yield (
            f"probabilities {name}",
            t.POINTS,
            lambda name=name: t.check_probabilities(name, 20 + seed),
        )


def optimum(seed: int) -> Iterator[Trial]:
    """problems whose coefficients, by every solver that fits, lie within 1e-6 of an independent solution's"""
    import test_solvers_agree as smooth
    import test_solvers_hinge_optimum as hinges
    import test_solvers_witnesses as kinked

    for loss in smooth.SMOOTH:
        for kind in smooth.PROBLEMS:
            for s in range(3 * seed, 3 * seed + len(smooth.SEEDS[kind])):
                check = smooth.check_solvers
                yield f"{loss}, {kind}, {s}", 1, lambda a=(loss, kind, (s,)), check=check: check(*a)
        for kind in ("condition 1", "imbalanced", "two classes", "eight classes"):
            for ratio in (0.5, 1.0):
                a = loss, kind, ratio, 8 + seed
                yield f"{loss}, {kind}, l1_ratio {ratio}", 1, lambda a=a: kinked.check_proximal(*a)
    for loss in hinges.LOSSES:
        for s in range(4 * seed, 4 * seed + 4):
            for kind in hinges.PROBLEMS:
                check = hinges.check_optimum
                yield f"{loss}, {kind}, {s}", 1, lambda a=(loss, kind, (s,)), check=check: check(*a)
            check = hinges.check_value_with_l1
            yield f"{loss}, l1, {s}", 1, lambda a=(loss, (s,)), check=check: check(*a)


def sgd(seed: int) -> Iterator[Trial]:
    """fits by stochastic gradient descent whose F is within 1e-3 of the optimal one"""
    import test_solvers_sgd as t

    def check(*given: object, **options: object) -> None:
        gap = t.sgd_gap(*given, **options)
        assert gap <= 1e-3, f"gap {gap:.2e}"

    for s in range(3 * seed, 3 * seed + 3):
        for loss in t.LOSSES:
            for penalty in ("l2", "elastic_net"):
                yield f"{loss}, {penalty}, {s}", 1, lambda a=(loss, penalty, s): check(*a)
        for name, options in t.SETTINGS.items():
            yield f"cross_entropy, {name}, {s}", 1, lambda s=s, o=options: check("cross_entropy", "l2", s, **o)


def arrangement(seed: int) -> Iterator[Trial]:
    """fits with weights beside repeated rows (≤ 1e-6), and of rows, columns, classes in another order (≤ 1e-8)"""
    import test_solvers_arrangement as t

    for s in range(3 * seed, 3 * seed + 3):
        for triple in t.TRIPLES:
            yield f"weights, {triple}, {s}", 4, lambda a=(triple, s): t.check_counts(*a)
            yield f"order, {triple}, {s}", 3, lambda a=(triple, s): t.check_order(*a)


def hostile(seed: int) -> Iterator[Trial]:
    """hostile arrays refused in words that name the place, or fitted right"""
    import test_hostile as t

    for case in t.CASES:
        yield f"{case.name}, {case.model}", 1, lambda case=case: t.test_hostile(case)
    yield "twenty thousand classes", 4, t.test_twenty_thousand_classes_in_batches


def separation(seed: int) -> Iterator[Trial]:
    """sets without a penalty: apart and touching ones found, none of the others accused"""
    import test_separable as t

    yield "apart", 200, lambda: t.check_apart(100 + seed, 200)
    yield "touching", 200, lambda: t.check_touching(200 + seed, 200)
    yield "neither", 200, lambda: t.check_neither(300 + seed, 200)


SECTIONS: tuple[Callable[[int], Iterator[Trial]], ...] = (
    derivatives,
    oracle,
    optimum,
    sgd,
    arrangement,
    hostile,
    separation,
)


def campaign(section: Callable[[int], Iterator[Trial]], seed: int) -> dict:
    trials, failures, start = 0, [], time.process_time()
    for name, count, check in section(seed):
        try:
            counted = check()
            trials += counted if isinstance(counted, int) else count
        except Exception as error:
            trials += count
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures.append(
                {"trial": name, "said": str(error)[:500], "line": f"{Path(where.filename).name}:{where.lineno}"}
            )
            print(f"  {section.__name__}: {name}: {str(error)[:200]}", flush=True)
    seconds = round(time.process_time() - start)
    return {"trial": section.__doc__, "trials": trials, "failures": failures, "cpu_seconds": seconds}


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("sections", nargs="*", default=[section.__name__ for section in SECTIONS])
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    record = Path(__file__).with_suffix(".json")
    warnings.simplefilter("ignore")  # what a check wants to hear it records itself
    found = json.loads(record.read_text()) if record.exists() else {}
    for section in SECTIONS:
        if section.__name__ in given.sections:
            found[section.__name__] = result = {"seed": given.seed, **campaign(section, given.seed)}
            record.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
            print(
                f"{section.__name__}: {result['trials']} {section.__doc__}; {len(result['failures'])} failed",
                flush=True,
            )
    return int(any(result["failures"] for result in found.values()))


if __name__ == "__main__":
    sys.exit(main())
