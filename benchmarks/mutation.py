"""How many small errors in the mathematics the tests find: one token changed at a time, the room's own tests run.

    python benchmarks/mutation.py [ROOM …] [--most 60] [--seed 0] [--only FILE]

Changes: < and ≤, > and ≥, == and !=, + and −, * and /, ** to *, `and` and `or`, a minus or a `not` left out, a test
turned round, a number moved, True and False, an in-place update left out, a method call left out. Text, type hints and
what is only said in errors stays. Of every file at most `--most` changes are tried, drawn with the seed. A change is
found when a test fails, or when the tests need over ten times as long: first the quick part that TESTS names for the
file, then, unless --quick is said, the other tests of the mathematics but for a few slow ones. In the rooms of WHOLE
every file with anything to change must have such tests. One process at a time, and a patient one. Results go to
mutation.json beside this file, survivors with line and change; what is known about those is in
docs/decisions/mutation.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "linearhead"
WHOLE = ("losses", "penalties", "objective", "solvers", "certificate", "path", "trust")
ROOMS = (
    *WHOLE,
    "design",
    "data",
    "images",
    "features",
    "server",
    "export",
    "estimators",
    "experiment",
    "course",
    "metrics.py",
)
SECONDS = 90  # of CPU time for one change; the quick tests of a file need less than a tenth of it
EVERY_SECONDS = 300  # the same for all tests of the mathematics, which need less than a sixth of it

COMPARE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
TURN = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}

LOSS = ["tests/test_losses_contract.py", "tests/test_losses_arrays.py", "tests/test_lecture.py"]
SMOOTHED = ["tests/test_losses_smoothed.py"]
PARTS = ["tests/test_objective_parts.py", "tests/test_mutants_objective.py::test_checks_pass_as_things_are"]
RUNNING = ["tests/test_estimators_running.py"]
AGREE, WITNESSES = "tests/test_solvers_agree.py", "tests/test_solvers_witnesses.py"
SGD, DUAL = "tests/test_solvers_sgd.py", "tests/test_objective_dual.py"
MULTIPLIERS, MODEL = "tests/test_objective_multipliers.py", "tests/test_curvature_model.py"
COUPLED, COMBINATIONS = "tests/test_objective_coupled.py", "tests/test_combinations.py"
HINGES = ["tests/test_solvers_margin.py", "tests/test_solvers_hinge_optimum.py"]
MANY, STEPS = "tests/test_many_classes.py", "tests/test_solvers_steps.py"
CERTIFIED, PROVEN = "tests/test_certificate_rows.py", "tests/test_certificate_definitions.py"
GROUPED, DRAWN = "tests/test_objective_many_classes.py", "tests/test_objective_drawn.py"
KINKED, TURNS = "tests/test_solvers_kinked.py", "tests/test_solvers_turns.py"
LENT, PRICE = "tests/test_lent_rows.py", "tests/test_model_price.py"
PATH, LEFT = "tests/test_path.py", "tests/test_leaving_out.py"
WALKED, JUDGING = "tests/test_path_definitions.py", "tests/test_judging_definitions.py"
TRUST, TOLD = "tests/test_trust.py", "tests/test_trust_definitions.py"
READERS, FEATURES, PATCHES = "tests/test_data_readers.py", "tests/test_features.py", "tests/test_features_patches.py"
TABLED = "tests/test_estimators_definitions.py"
GIVEN, COURSE = "tests/test_given.py", "tests/test_course.py"
EVALUATED = "tests/test_evaluate_definitions.py"
CURVE, GROUPS, TRACKS = "tests/test_learning_curve.py", "tests/test_groups.py", "tests/test_groups_verdict.py"
EVERY = [  # the mathematics; a change that these do not notice survives
    *sorted(str(path.relative_to(ROOT)) for part in ("losses", "objective", "solvers") for path in
            (ROOT / "tests").glob(f"test_{part}_*.py")),
    "tests/test_penalties_contract.py", MODEL, MANY, COMBINATIONS, "tests/test_checking.py", "tests/test_hostile.py",
    "tests/test_lecture.py", "tests/test_mutants_objective.py", "tests/test_certificate_rows.py", *RUNNING,
    "-k", "not with_l1_the_value and not thousand and not everywhere",
]  # fmt: skip
SOME = "1e2 or imbalanced or scaled or fewer"  # of the problems: words, as pytest's -k knows no spaces
TESTS: dict[str, list[str]] = {  # the quick part of the tests of a room; the whole suite finds more
    "losses/__init__.py": [*LOSS, "tests/test_combinations.py"],
    "losses/contract.py": [*LOSS, *SMOOTHED, DUAL],
    "losses/cross_entropy.py": [*LOSS, "tests/test_losses_oracle.py", "-k", "cross_entropy or lecture"],
    "losses/logistic.py": [*LOSS, "tests/test_losses_oracle.py", "-k", "logistic or lecture or one_vs_rest"],
    "losses/hinge.py": [
        *LOSS,
        *SMOOTHED,
        MULTIPLIERS,
        "-k",
        "hinge or crammer or lecture or by_hand or kink or exactly or edge or slack",
    ],
    "losses/squared_hinge.py": [
        *LOSS,
        "tests/test_losses_oracle.py",
        "-k",
        "squared_hinge or lecture or exactly or saturate or room",
    ],
    "losses/squared.py": [*LOSS, "tests/test_losses_oracle.py", "-k", "squared or lecture or saturate"],
    "losses/labels.py": [*LOSS, "tests/test_losses_labels.py", "tests/test_losses_oracle.py"],
    "losses/margins.py": [
        *LOSS,
        *SMOOTHED,
        "tests/test_losses_oracle.py",
        "-k",
        "hinge or crammer or lecture or margin or edge",
    ],
    **{
        f"penalties/{name}.py": ["tests/test_penalties_contract.py"]
        for name in ("__init__", "contract", "elastic_net", "l1", "l2", "none")
    },
    "objective/objective.py": [
        *PARTS,
        "tests/test_objective_contract.py",
        DUAL,
        SGD,
        "-k",
        "not everywhere or (everywhere and cross_entropy-elastic)",
    ],
    "objective/minibatches.py": [*PARTS, SGD, STEPS, "-k", "batches or walk or parts_make or sgd"],
    "objective/duality.py": [DUAL, MANY, "-k", "not twenty and not thousand and not reach"],
    "objective/smoothed.py": [
        DUAL,
        MULTIPLIERS,
        MANY,
        *HINGES,
        "-k",
        "not twenty and not thousand and not the_optimum",
    ],
    "objective/intercept.py": [MULTIPLIERS, DUAL, MANY, "-k", "multipliers or intercept or slightly or hinges"],
    "objective/span.py": ["tests/test_objective_span.py"],
    "objective/basis.py": [DRAWN, MODEL, PRICE, LENT, "-k", "basis or drawn or curvature or price or directions"],
    "objective/finish.py": [TURNS],
    "objective/inputs.py": ["tests/test_hostile.py", "tests/test_inputs.py"],
    "objective/judging.py": [WALKED, PATH, "-k", "what_held_out or how_much_higher or each_temperature"],
    "objective/kinked.py": [KINKED],
    "objective/lent.py": [LENT],
    "objective/lent_model.py": [LENT],
    "objective/normal.py": [*PARTS, "-k", "known_from or few_rows"],
    "objective/price.py": [PRICE, TURNS],
    "objective/proximal.py": [*PARTS, KINKED, STEPS, "-k", "prox or subgradients or kink or fista or median"],
    "objective/scales.py": [STEPS, SGD, *PARTS, "-k", "bounds or rates or metric or units or one_over"],
    "objective/semismooth.py": ["tests/test_objective_semismooth.py"],
    "objective/stars.py": ["tests/test_objective_semismooth.py"],
    "certificate/__init__.py": [PROVEN, CERTIFIED],
    "certificate/reach.py": [PROVEN, CERTIFIED],
    "objective/point.py": [*PARTS, "tests/test_objective_span.py"],
    "objective/coupled.py": [COUPLED, MODEL],
    "objective/many_classes.py": [GROUPED],
    "objective/drawn.py": [DRAWN, GROUPED],
    "design/few_columns.py": ["tests/test_few_columns.py"],
    "path/__init__.py": [PATH, "-k", "not every_point"],
    "path/held.py": [WALKED, PATH, "-k", "definitions or folds or count_once or that_cannot_be or standardized"],
    "path/least_squares.py": [PATH, "-k", "leav"],
    "path/leaving_out.py": [LEFT],
    "path/protocols.py": [WALKED, PATH, "-k", "definitions or protocol or literal or halves or tenth"],
    "path/result.py": [WALKED, PATH, "-k", "definitions or rule or ties or chosen or picture"],
    "path/sample.py": [WALKED, PATH, "-k", "definitions or standardized or one_class or works or repeats"],
    "path/walk.py": [WALKED, PATH],
    "path/walkers.py": [PATH],
    "trust/abstention.py": [TOLD, TRUST, "-k", "answer"],
    "trust/calibration.py": [TOLD, TRUST, "-k", "definitions or temperature"],
    "trust/conformal.py": [TOLD, TRUST, "-k", "definitions or sets"],
    "trust/noise.py": [TOLD, TRUST, "-k", "noise or random_labels"],
    "trust/novelty.py": [TOLD, TRUST, "-k", "definitions or usual or unlike or constant"],
    "estimators/goal.py": [
        TABLED,
        *RUNNING,
        "tests/test_estimators.py",
        "-k",
        "definitions or beyond or few_iterations or tiny_numbers",
    ],
    "estimators/options.py": [TABLED, *RUNNING, "-k", "definitions or options or misfit or margin"],
    "data/split.py": ["tests/test_data_split.py"],
    "data/idx.py": ["tests/test_data_idx.py"],
    "data/folder.py": ["tests/test_data_folder.py"],
    "data/cifar.py": [READERS, "-k", "cifar or pickle or archive or published or more_labels"],
    "data/manifest.py": [READERS, "-k", "csv or json or table or manifest or lines or byte_order or ending or label"],
    "data/parquet.py": ["tests/test_data_parquet.py"],
    "data/numpy_files.py": [
        READERS,
        "-k",
        "(np or arrays or memory or label or features or fit or inputs) and not cut",
    ],
    "data/webdataset.py": [READERS, "-k", "tar or shards or sample or backup"],
    "data/stored_rows.py": ["tests/test_feature_store.py", "-k", "not second_train and not several_processes"],
    **{
        f"images/{name}.py": ["tests/test_images_decode.py", "tests/test_images_truncation.py"]
        for name in ("decode", "modes", "preprocessing", "source", "whole")
    },
    "images/many.py": ["tests/test_images_many.py", "-k", "not sixty_thousand"],
    "images/duplicates.py": [
        "tests/test_duplicates_definitions.py",
        "tests/test_duplicates.py",
        "-k",
        "not train_and",
    ],
    "features/color.py": [FEATURES, "-k", "color or dimension"],
    "features/hog.py": [FEATURES, "-k", "hog or dimension"],
    **{f"features/{name}.py": [FEATURES] for name in ("__init__", "contract", "joined", "pixels")},
    **{f"features/{name}.py": [PATCHES] for name in ("dictionary", "layer", "patches", "windows")},
    "features/regions.py": ["tests/test_regions.py"],
    **{f"server/{name}.py": ["tests/test_server_parts.py"] for name in ("batcher", "guard", "inference", "metrics")},
    **{
        f"export/{name}.py": ["tests/test_export.py", "-k", words]
        for name, words in (
            ("card", "card and not needs"),
            ("onnx_features", "onnx_graph"),
            ("onnx_graph", "onnx_graph or weights_of"),
            ("page", "told"),
            ("predictor", "python_file_has or without_probabilities or gathering or can_leave"),
            ("source", "python_file_has or gathering or can_leave"),
        )
    },
    "experiment/judge.py": [JUDGING],
    "experiment/judging.py": [EVALUATED, JUDGING, "tests/test_given.py", "-k", "definitions or trained"],
    "experiment/copies.py": ["tests/test_copies_definitions.py"],
    "experiment/concluding.py": [
        JUDGING,
        GIVEN,
        "-k",
        "concluded or rows_are_counted or same_rows or is_the_estimator",
    ],
    "experiment/probes.py": [
        "tests/test_probes_definitions.py",
        JUDGING,
        GROUPS,
        TRACKS,
        "-k",
        "probes or neighbours or kind_of_file or told_apart or column or bias or tell_the_sets or leaving_groups",
    ],
    "experiment/roles.py": [JUDGING, GROUPS, "-k", "definitions or two_sides or groups_that"],
    "experiment/trusting.py": [JUDGING, TRACKS, TRUST, "-k", "definitions or untrue or one_sign or who_calibrates"],
    "experiment/outside.py": [
        "tests/test_outside_definitions.py",
        CURVE,
        TRACKS,
        TRUST,
        GROUPS,
        "-k",
        "definitions or small_subsets or apart or scored_by or no_fold or over_tracks or own_span",
    ],
    "experiment/scaling.py": [
        JUDGING,
        "tests/test_given.py",
        "-k",
        "as_they_come or both_ways or whether_to_standardise",
    ],
    **{
        f"course/{name}.py": [COURSE]
        for name in (
            "assignment",
            "check",
            "choosing",
            "grade",
            "grading",
            "notebook",
            "picture",
            "reference",
            "slopes",
            "steps",
            "values",
        )
    },
    "metrics.py": [
        "tests/test_metrics.py",
        TRACKS,
        GROUPS,
        "-k",
        "not covers and not learning and (metrics or say_as_much or paired or all_right)",
    ],
    "objective/curvature.py": [
        MODEL,
        GROUPED,
        COUPLED,
        MANY,
        AGREE,
        "-k",
        "curvature or coupled or symmetric or centre or hessian or (reference and cross_entropy and 1e2)",
    ],
    "objective/combination.py": [COMBINATIONS, *RUNNING, "-k", "combinations or misfit or options"],
    "objective/checking.py": ["tests/test_checking.py", "tests/test_hostile.py", "-k", "checking or softmax"],
    "solvers/contract.py": [
        *RUNNING,
        MULTIPLIERS,
        STEPS,
        COMBINATIONS,
        "-k",
        "running or resting or progress or defaults or interruption or fits or misfits or so_many_steps",
    ],
    **{
        f"solvers/{name}.py": [STEPS, COMBINATIONS, *tests, "-k", f"steps or combinations or {words}"]
        for name, tests, words in (
            ("closed_form", [AGREE, WITNESSES], f"squares or gram or (squared and not hinge and ({SOME}))"),
            ("dual", ["tests/test_solvers_arrangement.py", *HINGES], "(dual and order) or margin or hinge"),
            ("inner", HINGES, "margin or hinge"),
            ("gradient_descent", [*RUNNING, AGREE], "gd or (reference and cross_entropy and condition and not 1e)"),
            ("lbfgs", [AGREE, *RUNNING], f"lbfgs or ((cross_entropy or squared_hinge) and ({SOME}))"),
            ("line_search", [AGREE], f"(cross_entropy or squared_hinge) and ({SOME})"),
            ("newton", [AGREE, *RUNNING], f"newton or gradients or ((cross_entropy or squared_hinge) and ({SOME}))"),
            ("proximal", [WITNESSES], "proximal or kinked or l1"),
            ("sgd", [*RUNNING, SGD], "sgd or seeds or patience"),
            ("kinks", [KINKED], "quadratic or downhill or lower"),
            ("bordered", [KINKED], "factor or quadratic"),
            ("turns", [TURNS], "turns"),
        )
    },
}


# ── the changes ───────────────────────────────────────────────────────────────────────────────────
def variants(node: ast.AST) -> list[ast.AST]:
    """What may stand in a node's place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        kinds = [table[type(node.ops[0])] for table in (COMPARE, TURN) if type(node.ops[0]) in table]
        return [ast.Compare(node.left, [kind()], node.comparators) for kind in kinds]
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in ARITHMETIC:
        other = copy.copy(node)
        other.op = ARITHMETIC[type(node.op)]()
        return [other, ast.Pass()] if isinstance(node, ast.AugAssign) else [other]
    if isinstance(node, ast.BoolOp):
        return [ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        return [node.operand]
    if isinstance(node, (ast.If, ast.IfExp)):
        other = copy.copy(node)
        other.test = ast.UnaryOp(ast.Not(), node.test)
        return [other]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [ast.Pass()]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return [ast.Constant(not node.value)]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return [ast.Constant(node.value * 2 if isinstance(node.value, float) and node.value else node.value + 1)]
    return []


def changes(tree: ast.Module) -> list[tuple[list, ast.AST]]:
    """(path to the node, replacement) for every change of a module."""
    found = []

    def walk(node: ast.AST, path: list) -> None:
        if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)):
            return
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "slice"):
                continue  # hints change nothing; an index that moved is an error in nearly every case
            for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST):
                    step = [*path, (name, i)]
                    found.extend((step, other) for other in variants(child))
                    walk(child, step)

    walk(tree, [])
    return found


def replaced(tree: ast.Module, path: list, other: ast.AST) -> tuple[ast.Module, ast.AST]:
    """A copy of the tree with the node at `path` replaced, and the node that stood there."""
    tree = copy.deepcopy(tree)
    node: ast.AST = tree
    for name, i in path[:-1]:
        node = getattr(node, name) if i is None else getattr(node, name)[i]
    name, i = path[-1]
    holder = getattr(node, name)
    before = holder if i is None else holder[i]
    other = ast.copy_location(copy.deepcopy(other), before)
    if i is None:
        setattr(node, name, other)
    else:
        holder[i] = other
    return ast.fix_missing_locations(tree), before


# ── one run ───────────────────────────────────────────────────────────────────────────────────────
class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a syntax tree."""

    def __init__(self, name: str, file: Path, tree: ast.Module) -> None:
        self.name, self.file, self.tree = name, file, tree

    def is_package(self, fullname: str) -> bool:
        return self.file.name == "__init__.py"

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def exec_module(self, module) -> None:
        exec(compile(self.tree, self.file, "exec"), module.__dict__)


def outcome(file: Path, tree: ast.Module, tests: list[str], seconds: int = SECONDS) -> str:
    """found, survived or slow: the tests in a child process that imports the changed module."""
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        code = 99
        try:
            import pytest

            sys.meta_path.insert(0, Changed(module_name(file), file, tree))
            os.chdir(ROOT)
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "slow" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "found"
    code = os.WEXITSTATUS(status)
    if code in (4, 5):
        raise SystemExit(f"{file.name}: pytest runs no test; what TESTS says of it is wrong.")
    return "survived" if code == 0 else "found"


def module_name(file: Path) -> str:
    parts = [part for part in file.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
    return ".".join(["linearhead", *parts])


def without_tests() -> list[str]:
    """Files of WHOLE that have something to change, but no tests in TESTS."""
    found = (file for room in WHOLE for file in sorted((PACKAGE / room).glob("*.py")))
    return [
        str(file.relative_to(PACKAGE))
        for file in found
        if str(file.relative_to(PACKAGE)) not in TESTS and changes(ast.parse(file.read_text()))
    ]


def tests_of(file: Path) -> list[str]:
    """What pytest is to run for a file."""
    return TESTS[str(file.relative_to(PACKAGE))]


def campaign(file: Path, given: argparse.Namespace) -> dict:
    tree = ast.parse(file.read_text())
    possible = changes(tree)
    most = min(given.most, len(possible))
    chosen = sorted(random.Random(f"{given.seed} {file.name}").sample(range(len(possible)), most))
    if outcome(file, tree, tests_of(file)) != "survived":
        raise SystemExit(f"{file.name}: its tests fail as things are, so that every change would count as found.")
    counts, survivors, late = {"found": 0, "slow": 0, "survived": 0}, [], 0
    for i in chosen:
        path, other = possible[i]
        changed, before = replaced(tree, path, other)
        result = outcome(file, changed, tests_of(file))
        if result == "survived" and not given.quick:
            result = outcome(file, changed, EVERY, EVERY_SECONDS)
            late += result != "survived"
        counts[result] += 1
        if result == "survived":
            survivors.append({"line": before.lineno, "before": words(before), "after": words(other)})  # type: ignore
            print(f"  {file.name}:{before.lineno}  {words(before)}  →  {words(other)}", flush=True)  # type: ignore
    return {"possible": len(possible), "tried": len(chosen), **counts, "found_late": late, "survivors": survivors}


def words(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0][:110]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("rooms", nargs="*", default=ROOMS)
    options.add_argument("--most", type=int, default=60)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only")
    options.add_argument("--quick", action="store_true", help="run the quick tests of each file alone")
    options.add_argument("--record", type=Path, default=Path(__file__).with_suffix(".json"))
    given = options.parse_args()
    os.nice(10)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in ("pytest", "scipy.sparse.linalg", "scipy.optimize", "sklearn.linear_model", "sklearn.svm",
                 "sklearn.utils.estimator_checks", "mpmath", "array_api_strict"):  # fmt: skip
        importlib.import_module(name)  # once, before the children
    record = given.record
    files = json.loads(record.read_text())["files"] if record.exists() and given.only else {}
    any_file = PACKAGE / "losses" / "contract.py"
    if not given.quick and outcome(any_file, ast.parse(any_file.read_text()), EVERY, EVERY_SECONDS) != "survived":
        raise SystemExit("The tests of the mathematics fail as things are: see EVERY.")
    if missing := without_tests():
        raise SystemExit(f"TESTS names no tests for {', '.join(missing)}; every file of {', '.join(WHOLE)} needs some.")
    if given.only and given.only not in TESTS:
        raise SystemExit(f"TESTS names no tests for {given.only}.")
    for room in given.rooms:
        for key in sorted(key for key in TESTS if key.split("/")[0] == room and given.only in (None, key)):
            file = PACKAGE / key
            start = time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
            files[key] = campaign(file, given)
            used = time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - start
            files[key]["cpu_seconds"] = round(used)
            print(key, {name: v for name, v in files[key].items() if name != "survivors"}, flush=True)
            record.write_text(json.dumps(summary(files, given), indent=1, ensure_ascii=False) + "\n")


def summary(files: dict, given: argparse.Namespace) -> dict:
    rooms = {}
    for room in ROOMS:
        mine = [r for name, r in files.items() if name.split("/")[0] == room]
        tried, lived = sum(r["tried"] for r in mine), sum(r["survived"] for r in mine)
        rooms[room] = {"tried": tried, "survived": lived, "score": round(1 - lived / tried, 3) if tried else None}
    tried = sum(r["tried"] for r in files.values())
    lived = sum(r["survived"] for r in files.values())
    return {"seed": given.seed, "most_per_file": given.most, "tried": tried, "survived": lived,
            "score": round(1 - lived / tried, 4), "rooms": rooms, "files": dict(sorted(files.items()))}  # fmt: skip


if __name__ == "__main__":
    main()
