"""The assignment: right solutions of every style pass, and every classical mistake is called by its name."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import course_solutions as solutions
from linearhead import course
from linearhead.cli import cli
from linearhead.course import CATALOGUE, TASK_NAMES, reference
from linearhead.course.check import Graded
from linearhead.course.grade import grade
from linearhead.course.mistakes import mistake
from linearhead.course.picture import page
from linearhead.course.tasks import TASKS
from linearhead.errors import FileError, UsageError
from linearhead.losses import CrossEntropy, Hinge


@pytest.fixture(scope="module", autouse=True)
def fits_made_once():
    """The graders ask the reference for the same fits, whosever code they grade."""
    fit, known = reference.fit, {}

    def fitted(X, y, alpha):
        key = X.tobytes(), y.tobytes(), alpha
        if key not in known:
            known[key] = fit(X, y, alpha)
        return tuple(part.copy() for part in known[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "fit", fitted)
        yield


def module(text):
    """The functions of a script, with globals of their own, as a module has."""
    space = {}
    exec(text, space)

    class Code(SimpleNamespace):
        def __setattr__(self, name, value):
            space[name] = value
            super().__setattr__(name, value)

    return Code(**{name: value for name, value in space.items() if not name.startswith("__")})


def found(text, names=TASK_NAMES):
    """task → codes of the mistakes seen."""
    code = module(text)
    return {name: [m.code for m in grade(code, name).mistakes] for name in names}


def test_the_reference_is_the_librarys_mathematics():
    rng = np.random.default_rng(0)
    a, y = rng.normal(size=(20, 4)) * 5, rng.integers(0, 4, 20)
    assert reference.cross_entropy(a, y) == pytest.approx(float(CrossEntropy().value(a, y).mean()), rel=1e-13)
    np.testing.assert_allclose(reference.softmax(a), CrossEntropy().probabilities(a), rtol=1e-12)
    assert reference.margin_loss(a, y, 2.0) == pytest.approx(float(Hinge(margin=2.0).value(a, y).mean()), rel=1e-13)
    W, b, X = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(20, 3))
    for loss, (dW, db) in (
        (CrossEntropy(), reference.gradients(W, b, X, y, 0.0)),
        (Hinge(margin=2.0), reference.margin_gradients(W, b, X, y, 2.0)),
    ):
        g = loss.gradient(X @ W + b, y) / len(y)
        np.testing.assert_allclose(dW, X.T @ g, atol=1e-13)
        np.testing.assert_allclose(db, g.sum(axis=0), atol=1e-13)


@pytest.mark.parametrize("chosen", list(solutions.right()), ids=lambda _: "style")
def test_right_solutions_of_every_style_pass(chosen):
    assert found(solutions.script(chosen)) == {name: [] for name in TASK_NAMES}


@pytest.mark.parametrize("code", solutions.MUTATIONS)
def test_every_mistake_is_called_by_its_name(code):
    """In at least 20 wrong solutions each; and no innocent function is accused of anything."""
    wrong = solutions.wrong(code)
    assert len(wrong) >= 20
    base = next(solutions.right())
    told = Counter()
    for name, text in wrong:
        seen = found(solutions.script(base | {name: text}))
        assert code in seen[name], (name, text, seen[name])
        told[tuple(seen[name])] += 1
        assert [task for task, codes in seen.items() if codes] == [name], (text, seen)
    assert told[(code,)] >= 0.9 * len(wrong), told  # hardly ever a second name beside it


OTHERS = [
    ("softmax", "a.max(axis=1, keepdims=True)", "a.max(axis=0)", "wrong-axis"),
    ("cross_entropy", "len(y)), y]", "len(y)), y - 1]", "labels-shifted"),
    ("gradients", "len(y)), y]", "len(y)), y - 1]", "labels-shifted"),
    ("gradients", "X @ W + b", "X @ W", "bias-left-out"),
    ("margin_loss", "    own =", "    y = y - 1\n    own =", "labels-shifted"),
    ("margin_gradients", "    own =", "    y = y - 1\n    own =", "labels-shifted"),
    ("sgd", "learning_rate *", "learning_rate / (1 + epoch) *", "steps-change"),
    ("sgd", "learning_rate *", "learning_rate / (1 + start) *", "steps-change"),
    (
        "sgd",
        "dW, db = gradients(W, b, X[rows], y[rows], alpha)",
        "v = dW, db = [v / 2 + g for v, g in zip(locals().get('v', (0, 0)), gradients(W, b, X[rows], y[rows], alpha))]",
        "steps-change",
    ),
    ("softmax", "e = np.exp(a - m)", "e = np.exp(a)", "overflow"),
    ("softmax", "e.sum(axis=1, keepdims=True)", "e.sum(axis=0)", "wrong-axis"),
    ("softmax", "e.sum(axis=1, keepdims=True)", "e.sum()", "wrong-axis"),
    ("softmax", "return e", "return -e", "wrong"),
    ("softmax", "return e / e.sum(axis=1, keepdims=True)", "return e", "wrong"),
    ("softmax", "return e / e.sum(axis=1, keepdims=True)", "return a", "scores-returned"),
    ("softmax", "m = a.max(axis=1, keepdims=True)", "a, m = np.clip(a, -500, 500), 0", "overflow"),
    ("softmax", "a.max(axis=1, keepdims=True)", "a.min(axis=1, keepdims=True)", "overflow"),
    ("softmax", "a.max(axis=1, keepdims=True)", "a.mean(axis=1, keepdims=True)", "overflow"),
    ("cross_entropy", "softmax(a)", "softmax(np.clip(a, -500, 500))", "overflow"),
    ("cross_entropy", "np.log(", "np.log2(", "constant-factor"),
    (
        "cross_entropy",
        "-np.mean(np.log(p[np.arange(len(y)), y]))",
        "-np.mean(np.eye(p.shape[1])[y] * np.log(p))",
        "missing-mean",
    ),
    ("gradients", "g[np.arange(len(y)), y] -= 1", "g[np.arange(len(y)), y] -= 2", "label-branch"),
    ("gradients", " + alpha * W", "", "penalty"),
    ("gradients", "X.T @ g", "2 * X.T @ g", "constant-factor"),
    ("gradients", "X.T @ g", "g.T @ X", "crash"),
    ("margin_loss", "    z[np.arange(len(y)), y] = 0\n", "", "label-counted"),
    ("margin_loss", "z.sum() / len(y)", "z.mean()", "missing-mean"),
    ("margin_gradients", "-g.sum(axis=1)", "-1.0 * g.any(axis=1)", "label-branch"),
    ("margin_gradients", "    g[np.arange(len(y)), y] = -g.sum(axis=1)\n", "", "label-branch"),
    ("margin_gradients", "    g[np.arange(len(y)), y] = 0\n", "", "label-counted"),
    ("margin_gradients", "a - own + margin > 0", "a - own + 1 > 0", "wrong"),
    ("margin_gradients", "a - own + margin > 0", "a - own > 0", "margin-left-out"),
    ("margin_gradients", "a - own + margin > 0", "a < np.inf", "unclipped"),
    ("margin_loss", "np.maximum(0, a - own + margin)", "a - own + margin", "unclipped"),
    ("margin_loss", "a - own + margin", "a - own", "margin-left-out"),
    ("sgd", "default_rng(seed)", "default_rng(7)", "seed-ignored"),
    ("sgd", "default_rng(seed)", "default_rng()", "seed-ignored"),
    ("sgd", "y[rows]", "y[np.sort(rows)]", "torn-rows"),
    ("sgd", "range(0, n, batch_size)", "range(0, n - batch_size, batch_size)", "rows-left-out"),
    ("sgd", "range(0, n, batch_size)", "range(0, n // batch_size * batch_size, batch_size)", "rows-left-out"),
    ("sgd", "order[start : start + batch_size]", "rng.choice(n, batch_size)", "rows-left-out"),
    ("sgd", "    return W, b", "        return W, b", "rows-left-out"),
    ("sgd", "    return W, b", "            return W, b", "rows-left-out"),
    ("sgd", "X[rows], y[rows]", "X, y", "batches"),
    ("sgd", "- learning_rate *", "- alpha *", "rates-confused"),
    ("sgd", "y[rows], alpha)", "y[rows], learning_rate)", "rates-confused"),
    ("choose", "accuracy(W, b, X_valid, y_valid)", "accuracy(W, b, X_train, y_train)", "train-as-validation"),
    ("choose", "accuracy(*best_model, X_test, y_test)", "best", "wrong-judge"),
    ("choose", "return best_alpha, accuracy(*best_model, X_test, y_test)", "return best_alpha", "wrong"),
]


INLINE = 2  # the style of sgd that has its own gradient
OF_INLINE = [
    ("len(rows)", "batch_size", "missing-mean"),
    ("len(rows)", "n", "missing-mean"),
    ("range(batch_size, n, batch_size))", "range(batch_size, n, batch_size))[:-1]", "rows-left-out"),
    ("onehot[rows]", "onehot[np.sort(rows)]", "torn-rows"),
    ("rng.permutation(n)", "np.random.default_rng(seed).permutation(n)", "no-shuffling"),
    ("rng.permutation(n)", "np.random.permutation(n)", "seed-ignored"),
    ("X[rows] @ W + b", "X[rows] @ W", "wrong"),
]


@pytest.mark.parametrize(("a", "b", "code"), OF_INLINE)
def test_steps_are_judged_by_what_they_do_not_by_what_they_call(a, b, code):
    """A student's sgd need not call the student's gradients."""
    base = next(solutions.right())
    text = solutions.STYLES["sgd"][INLINE]
    assert a in text
    assert found(solutions.script(base | {"sgd": text.replace(a, b)}), ["sgd"])["sgd"] == [code]


def test_the_worst_penalty_is_not_called_the_test_sets_choice():
    base = next(solutions.right())
    text = (
        base["choose"]
        .replace("score > best", "score < best")
        .replace("best, best_alpha, best_model = -1", "best, best_alpha, best_model = 2")
    )
    code = module(solutions.script(base | {"choose": text}))
    (told,) = grade(code, "choose").mistakes
    assert told.code == "wrong"
    assert "the worst" in told.seen


@pytest.mark.parametrize("name", ["softmax", "gradients", "sgd"])
@pytest.mark.parametrize(
    "text", ["    raise NotImplementedError", "    return None", "    return np.ones(3), np.ones(3)"]
)
def test_one_function_that_is_wrong_is_told_once(name, text):
    """Others that call it are judged by what they do with a right one."""
    base = next(solutions.right())
    head = base[name].splitlines()[0]
    seen = found(solutions.script(base | {name: f"{head}\n{text}\n"}))
    assert [task for task, codes in seen.items() if codes] == [name]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gradients", "return X.T @ X", "should return dF/dW and dF/db; found an array of shape"),
        ("gradients", "return (X.T @ np.ones((len(y), 3))).T, b", "dF/dW should be an array of shape (4, 3); found"),
        ("gradients", "return W, b[None]", "dF/db should be an array of shape (3,); found an array of shape (1, 3)"),
        ("cross_entropy", "return np.log(a)", "should be one number; found an array of shape"),
        ("margin_loss", "pass", "should be one number; found nothing (is `return` missing?)"),
        ("sgd", "return W, b, []", "should return W and b; found 3 things"),
        ("choose", "return 0.1", "should return (alpha, accuracy); found one float"),
    ],
)
def test_answers_of_another_shape_are_told_in_plain_words(name, text, words):
    base = next(solutions.right())
    head = base[name].splitlines()[0]
    (told,) = grade(module(solutions.script(base | {name: f"{head}\n    {text}\n"})), name).mistakes
    assert words in told.seen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("np.mean(np.max(z, axis=1))", "largest violation"),
        ("(z**2).sum() / len(y)", "squared margin loss"),
    ],
)
def test_another_loss_of_the_family_is_recognised(text, words):
    base = next(solutions.right())
    wrong = base["margin_loss"].replace("z.sum() / len(y)", text)
    assert words in grade(module(solutions.script(base | {"margin_loss": wrong})), "margin_loss").mistakes[0].seen


@pytest.mark.parametrize(("name", "a", "b", "code"), OTHERS)
def test_other_mistakes(name, a, b, code):
    base = next(solutions.right())
    assert a in base[name]
    seen = found(solutions.script(base | {name: base[name].replace(a, b)}), [name])
    if code == "crash":
        assert seen[name]
    else:
        assert seen[name] == [code]
    assert set(seen[name]) <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("np.log(", "(", "where is the logarithm"),
        ("p[np.arange(len(y)), y]", "p[:, y]", "n × n"),
        ("softmax(a)", "softmax(softmax(a))", "once is enough"),
    ],
)
def test_losses_that_are_something_else_are_told_what_they_are(a, b, words):
    base = next(solutions.right())
    assert a in base["cross_entropy"]
    text = base["cross_entropy"].replace(a, b)
    (told,) = grade(module(solutions.script(base | {"cross_entropy": text})), "cross_entropy").mistakes
    assert words in told.seen


def test_the_assignment_as_written_is_unfinished_and_its_names_are_the_tasks(tmp_path):
    done = CliRunner().invoke(cli, ["course", "new", str(tmp_path / "hw"), "--json"])
    assert json.loads(done.stdout) == {"folder": str(tmp_path / "hw")}
    assert tuple(TASKS) == TASK_NAMES
    done = CliRunner().invoke(cli, ["course", "check", str(tmp_path / "hw"), "--json", "--strict"])
    assert done.exit_code == 3
    report = json.loads(done.stdout)
    assert (report["right"], report["of"]) == (0, 7)
    assert {m["code"] for task in report["tasks"] for m in task["mistakes"]} == {"unfinished"}
    told = CliRunner().invoke(cli, ["course", "check", str(tmp_path / "hw")]).stdout
    assert "wrong" not in told  # what is not begun is no mistake
    assert told.count("open ") == 7
    assert CliRunner().invoke(cli, ["course", "new", str(tmp_path / "hw")]).exit_code == 2  # nothing is overwritten


def test_a_filled_in_file_is_graded_and_drawn(tmp_path):
    """In a process of its own: what the code prints, and a loop without end, hurt nobody."""
    folder = course.new(tmp_path / "hw")
    chosen = next(solutions.right())
    chosen["sgd"] = chosen["sgd"].replace("rng.permutation(n)", "np.arange(n)")
    chosen["margin_loss"] = "def margin_loss(a, y, margin):\n    while True:\n        pass\n"
    chosen["choose"] = "def choose(*sets):\n    raise SystemExit(3)\n"
    (folder / "assignment.py").write_text("print('hello')\n" + solutions.script(chosen), encoding="utf-8")
    report = course.check(folder, seconds=1.0)
    codes = {task.task: [m.code for m in task.mistakes] for task in report.tasks if not task.right}
    assert codes == {"sgd": ["no-shuffling"], "margin_loss": ["too-slow"], "choose": ["crash"]}
    html = report.page.read_text(encoding="utf-8")
    assert "The rows are not shuffled in every epoch" in html
    assert html.count("<svg") == 5
    assert "default-src 'none'" in html


def pictured(picture):
    """(yours, right) of a task's picture."""
    if "bars" in picture:
        return picture["bars"]["yours"], picture["bars"]["by the formula"]
    series = {one["label"]: one for one in picture["series"]}
    yours = series["yours"]
    return yours["y"], series["right"]["y"] if yours["kind"] == "line" else yours["x"]


def test_pictures_lay_what_was_given_beside_what_is_right():
    base = next(solutions.right())
    for name in TASK_NAMES[:-1]:
        picture = grade(module(solutions.script(base)), name).picture
        np.testing.assert_allclose(*pictured(picture), rtol=1e-6, atol=1e-8)
        if name in ("softmax", "cross_entropy", "margin_loss"):
            twice = base | {name: base[name].replace("return ", "return 2 * ")}
            yours, right = map(np.array, pictured(grade(module(solutions.script(twice)), name).picture))
            np.testing.assert_allclose(yours, 2 * right)
            np.testing.assert_allclose(right, pictured(picture)[1])
    fast = base | {"sgd": base["sgd"].replace("learning_rate *", "2 * learning_rate *")}
    yours, right = map(np.array, pictured(grade(module(solutions.script(fast)), "sgd").picture))
    np.testing.assert_array_equal(yours == right, np.arange(15) == 0)  # they part after the start
    asked = grade(module(solutions.script(base)), "choose").picture["series"]
    # in the world where the test set, of a fifth "second" labelled "first", speaks for the strong penalty
    assert [(one["label"], one["y"][0], one["y"][-1]) for one in asked] == [
        ("training", 1, 0.8),
        ("validation", 1, 0.8),
        ("test", 0.8, 1),
    ]


def test_a_page_says_of_every_task_what_was_found_and_what_to_do():
    bars = {"title": "Both", "bars": {"yours": 2.0, "by the formula": 1.0}}
    flat = {"title": "None", "x": "x", "y": "y", "series": [{"label": "yours", "x": [], "y": [], "kind": "line"}]}
    tasks = [
        Graded("softmax", [], bars),
        Graded("sgd", [mistake("sign", "<b> goes up"), mistake("no-shuffling", "as they lie")], flat),
        Graded("choose", [], None),
    ]
    html = page(SimpleNamespace(tasks=tasks))
    assert "2 of 3 tasks are right." in html
    places = [html.index(words) for words in (
        "✓ softmax", "<svg", "✗ sgd", CATALOGUE["sign"][0] + ". &lt;b&gt; goes up", CATALOGUE["no-shuffling"][0],
        CATALOGUE["no-shuffling"][1], "✓ choose")]  # fmt: skip
    assert places == sorted(places)
    assert html.count("<svg") == 1  # of nothing there is no picture


CELLS = """
%matplotlib inline
import numpy as np
eps = np.finfo(float).eps
probabilities = lambda W, b, X: softmax(X @ W + b)
W, b = gradients(1, 2, 3)
print(undefined)
"""


def test_a_filled_in_notebook_is_graded_by_its_functions(tmp_path):
    folder = course.new(tmp_path / "hw", form="notebook")
    assert [path.name for path in folder.iterdir()] == ["assignment.ipynb"]
    book = json.loads((folder / "assignment.ipynb").read_text(encoding="utf-8"))
    assert {m.code for task in course.check(folder).tasks for m in task.mistakes} == {"unfinished"}
    assert sum(cell["cell_type"] == "markdown" for cell in book["cells"]) == 7
    text = "".join(line for cell in book["cells"] for line in cell["source"])
    script = (Path(course.__file__).parent / "assignment.py").read_text(encoding="utf-8")
    assert all(line.strip() in text for line in script.splitlines() if not line.startswith(("#", '"""')))
    wrong = next(solutions.right())
    wrong["sgd"] = wrong["sgd"].replace("rng.permutation(n)", "np.arange(n)")
    wrong["gradients"] = wrong["gradients"].replace("softmax(X @ W + b)", "probabilities(W, b, X)")
    cells = [CELLS, *wrong.values(), "for i in range(10**9):\n    pass"]
    book["cells"] = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    (folder / "assignment.ipynb").write_text(json.dumps(book), encoding="utf-8")
    report = course.check(folder)
    assert {t.task: [m.code for m in t.mistakes] for t in report.tasks if not t.right} == {"sgd": ["no-shuffling"]}
    (folder / "assignment.py").write_text(script, encoding="utf-8")
    with pytest.raises(UsageError, match="keep the one"):
        course.check(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', "not json"])
def test_what_is_no_notebook_is_refused(tmp_path, text):
    (tmp_path / "assignment.ipynb").write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match="no notebook"):
        course.check(tmp_path)


def test_a_file_with_a_syntax_error_and_a_missing_file(tmp_path):
    folder = course.new(tmp_path / "hw")
    (folder / "assignment.py").write_text("def softmax(a:\n", encoding="utf-8")
    report = course.check(folder)
    assert {m.code for task in report.tasks for m in task.mistakes} == {"crash"}
    assert "SyntaxError" in report.tasks[0].mistakes[0].seen
    with pytest.raises(FileError, match="linearhead course new"):
        course.check(tmp_path / "nowhere")
