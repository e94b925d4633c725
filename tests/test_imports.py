"""Imports go downward only, and nothing heavy or dangerous comes along: the house rules, checked by machine."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "linearhead"
PLAN = ROOT / "docs" / "architecture.md"

RUNS_CODE = {"pickle", "cPickle", "_pickle", "joblib", "marshal", "shelve", "dill", "cloudpickle"}
RESTRICTED = {
    "data/cifar.py",  # CIFAR comes as pickles; its unpickler allows nothing but arrays
    "design/journal.py",  # hashes what a pickler writes; no file of it is ever written or read
}
GROUND = "errors"  # what every room may raise, those of its own floor included
HEAVY = {"scipy", "sklearn"}
LIGHT = {"arrays", "files", "errors", "records", "images", "data", "features", "metrics", "trust", "charts", "losses"}
LIGHT |= {"container", "store", "cli"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@cache
def floors() -> dict[str, int]:
    """Room → floor, from the table in the plan."""
    rows = re.findall(r"^\| (\d) \| (.+?) \|", PLAN.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: int(floor) for floor, rooms in rows for room in re.findall(r"`(\w+)`", rooms)}


def imports(source: str, module: str, package: bool) -> Iterator[tuple[int, str, bool]]:
    """(line, absolute dotted name, whether it happens when the module is imported) of every import in a source.

    `from a import b` counts as a.b: b may be a module. Imports for type checkers only are left out: they never run.
    """
    home = module if package else module.rpartition(".")[0]
    tree = ast.parse(source)
    unseen = {id(n) for block in ast.walk(tree) if _types_only(block) for part in block.body for n in ast.walk(part)}
    lazy = {id(n) for block in ast.walk(tree) if isinstance(block, FUNCTIONS) for n in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) not in unseen:
            for name in _names(node, home):
                yield node.lineno, name, id(node) not in lazy


def _types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _names(node: ast.AST, home: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = resolve_name("." * node.level + (node.module or ""), home) if node.level else node.module
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        start, _, rest = ast.unparse(node.args[0]).partition("{") if node.args else ("", "", "")
        literal = re.fullmatch(r"f?(['\"])([\w.]*)(['\"]?)", start)
        return [resolve_name(literal[2] + ("?" if rest else ""), home)] if literal else ["?"]
    return []


@cache
def complaints(path: str, source: str) -> list[str]:
    """What a module of the package may not import. `path` is relative to the package, such as losses/hinge.py."""
    parts = list(Path(path).with_suffix("").parts)
    package = parts[-1] == "__init__"
    parts = parts[:-1] if package else parts
    if parts in ([], ["__main__"]):  # __init__.py names everything, lazily; __main__.py calls the command line
        return []
    room = parts[0]
    plan = floors()
    if room not in plan:
        return [f"{path}: {room} is no room of the plan"]
    found = []
    for line, name, at_once in imports(source, ".".join(["linearhead", *parts]), package):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "?" or (other == "?" and plan[room] < max(plan.values())):
            found.append(f"{path}:{line}: what is imported is computed, so nobody can check it")
        elif top in RUNS_CODE and path not in RESTRICTED:
            found.append(f"{path}:{line}: {top} can run code from a file")
        elif top in HEAVY and at_once and room in LIGHT:
            found.append(f"{path}:{line}: {top} takes seconds to import; import it where it is used")
        elif top == "linearhead" and other in plan and other not in (room, GROUND) and plan[other] >= plan[room]:
            kind = "up" if plan[other] > plan[room] else "sideways"
            found.append(f"{path}:{line}: {kind} from {room} (floor {plan[room]}) to {other} (floor {plan[other]})")
        elif top == "linearhead" and other not in plan and other not in ("?", "__version__"):
            found.append(f"{path}:{line}: {other or 'the whole package'} is no room of the plan")
    return found


def all_complaints(package: Path) -> list[str]:
    sources = {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    return [text for path, source in sorted(sources.items()) for text in complaints(path, source)]


def test_the_table_of_floors_is_read():
    plan = floors()
    assert len(plan) >= 20
    assert plan["cli"] == 9
    assert plan["losses"] == plan["solvers"] == plan["images"] == 3
    assert plan["errors"] == 0
    assert set(plan.values()) == set(range(10))
    assert plan.keys() >= LIGHT


def test_every_import_goes_down():
    assert len(list(PACKAGE.rglob("*.py"))) >= 40
    assert all_complaints(PACKAGE) == []


def test_the_rooms_of_the_plan_and_of_the_package_are_the_same():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__", "__main__"} == floors().keys()


PLANTED = {
    "from ..solvers import SOLVERS": "sideways from losses (floor 3) to solvers (floor 3)",
    "from ..solvers.lbfgs import LBFGS": "sideways from losses (floor 3) to solvers",
    "from .. import penalties": "sideways from losses (floor 3) to penalties",
    "from .. import arrays, objective": "up from losses (floor 3) to objective (floor 4)",
    "from linearhead import estimators": "up from losses (floor 3) to estimators (floor 7)",
    "from linearhead.estimators.softmax import SoftmaxClassifier": "up from losses (floor 3) to estimators",
    "import linearhead.cli": "up from losses (floor 3) to cli (floor 9)",
    "import linearhead.cli as commands": "up from losses (floor 3) to cli",
    "import numpy, linearhead.path": "up from losses (floor 3) to path (floor 6)",
    "import linearhead": "the whole package is no room",
    "from linearhead import SoftmaxClassifier": "SoftmaxClassifier is no room of the plan",
    "from ..tools import x": "tools is no room of the plan",
    "def f():\n    from ..store import load": "up from losses (floor 3) to store (floor 7)",
    "class A:\n    def f(self):\n        import linearhead.report": "up from losses (floor 3) to report",
    "try:\n    pass\nexcept ImportError:\n    from ..data import x": "sideways from losses (floor 3) to data",
    "import importlib\nimportlib.import_module('linearhead.experiment')": "up from losses (floor 3) to experiment",
    "from importlib import import_module\nimport_module('..metrics', __package__)": "sideways from losses (floor 3) to",
    "__import__('linearhead.diagnose')": "up from losses (floor 3) to diagnose",
    "import importlib\nimportlib.import_module('linear' + 'head.cli')": "nobody can check it",
    "import importlib\nimportlib.import_module(f'linearhead.{name}')": "nobody can check it",
    "import importlib\nimportlib.import_module(f'..solvers.{name}', __package__)": "sideways from losses (floor 3) to",
    "if TYPE_CHECKING:\n    pass\nelse:\n    from ..images import decode": "sideways from losses (floor 3) to images",
    "import pickle": "pickle can run code",
    "def f():\n    import joblib": "joblib can run code",
    "from marshal import loads": "marshal can run code",
    "import shelve as safe": "shelve can run code",
    "import importlib\nimportlib.import_module('pickle')": "pickle can run code",
    "from sklearn.linear_model import LogisticRegression": "sklearn takes seconds",
    "import scipy.special": "scipy takes seconds",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_import_is_caught(planted, tmp_path):
    copy = tmp_path / "linearhead"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = all_complaints(copy)
    victim = copy / "losses" / "cross_entropy.py"
    victim.write_text(victim.read_text(encoding="utf-8") + "\n\n" + planted + "\n", encoding="utf-8")
    new = [text for text in all_complaints(copy) if text not in before]
    assert len(new) == 1
    assert new[0].startswith("losses/cross_entropy.py:")
    assert PLANTED[planted] in new[0]


@pytest.mark.parametrize(
    "harmless",
    [
        "from ..arrays import namespace",
        "from .. import errors, __version__",
        "from .contract import Loss",
        "from . import hinge",
        "import linearhead.losses.hinge",
        "import numpy, json, linearhead_extra",
        "def f():\n    import scipy.special",
        "if TYPE_CHECKING:\n    from ..estimators import x",
        "import importlib\nimportlib.import_module('.hinge', __package__)",
        "import importlib\nimportlib.import_module(f'.{name}', __package__)",
        "text = 'from ..solvers import SOLVERS'",
    ],
)
def test_a_right_import_is_not_complained_about(harmless):
    assert complaints("losses/planted.py", harmless) == []


def test_whoever_sits_in_an_unplanned_file_is_complained_about():
    assert complaints("utils.py", "") == ["utils.py: utils is no room of the plan"]
    assert complaints("__init__.py", "from .cli import main") == []
    assert complaints("losses/__init__.py", "from ..solvers import x")
    assert complaints("data/cifar.py", "import pickle") == []


def test_no_array_is_read_with_leave_to_run_code():
    """numpy.load(allow_pickle=True), eval and exec would each undo the rule about pickles."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("eval", "exec", "builtins.eval", "builtins.exec"), path
                for option in node.keywords:
                    assert option.arg != "allow_pickle" or ast.unparse(option.value) == "False", path


# ---- what a fresh process loads ----


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh process has imported after running `code`."""
    script = f"{code}\nimport sys\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_the_probe_sees_heavy_modules():
    assert {"scipy", "sklearn"} <= loaded("import sklearn.linear_model")


def test_the_package_alone_loads_nothing():
    assert not loaded("import linearhead; dir(linearhead)") & {
        "numpy",
        "PIL",
        "scipy",
        "sklearn",
        "click",
        "safetensors",
    }


def test_help_is_light():
    modules = loaded(
        "import linearhead.cli as cli\n"
        "assert callable(getattr(cli, 'main', None)), 'the command line has no main'\n"
        "import sys\n"
        "for sys.argv in (['x', '--help'], ['x', 'train', '--help'], ['x', 'predict', '--help']):\n"
        "    try: cli.main()\n"
        "    except SystemExit as end: assert not end.code, end.code\n"
    )
    assert "click" in modules
    assert not modules & {"scipy", "sklearn", "torch"}


LOAD = """
import numpy as np
from linearhead.images import Preprocessing
from linearhead.features import make
from linearhead.store import Model, save
extractor = make({spec!r}).fit(np.zeros((2, 32, 32, 3), np.uint8))
d = extractor.dimension(32, 32, 3)
save(Model(["a", "b"], np.ones((2, d)), np.zeros(2), Preprocessing(32, 32), extractor, "cross_entropy"), {path!r})
"""


@pytest.mark.parametrize("spec", ["pixels", "hog+color"])
def test_loading_and_using_a_model_is_light(spec, tmp_path):
    path = str(tmp_path / "model.safetensors")
    loaded(LOAD.format(spec=spec, path=path))
    modules = loaded(
        "import numpy as np, linearhead\n"
        f"model = linearhead.load({path!r})\n"
        "s = model.scores(model.features(np.zeros((3, 32, 32, 3), np.uint8)))\n"
        "assert model.probabilities(s).shape == (3, 2)\n"
    )
    assert "numpy" in modules
    assert not modules & {"scipy", "sklearn", "torch", "joblib", "click", "jinja2"}
