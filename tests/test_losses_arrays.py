"""What every registered loss does with arrays: inputs untouched, any layout, type and library, extreme scores."""

import array_api_strict
import numpy as np
import pytest

from linearhead.losses import LOSSES
from test_losses_contract import SHIFTED, close, rows, variants


def each_row(loss, s, y):
    """Gradients of one row at a time in NumPy, where that is another method."""
    if not isinstance(s, np.ndarray):
        return loss.gradient(s, y)
    return np.concatenate([loss.gradient(s[i : i + 1], y[i : i + 1]) for i in range(len(s))])


def calls(loss):
    """Every array method that the loss has, as name → function of (s, y, d)."""
    found = {
        "value": lambda s, y, d: loss.value(s, y),
        "value_and_gradient": lambda s, y, d: loss.value_and_gradient(s, y),
        "gradient": lambda s, y, d: loss.gradient(s, y),
        "gradient of each row": lambda s, y, d: each_row(loss, s, y),
        "conjugate": lambda s, y, d: loss.conjugate(d, y),
        "probabilities": lambda s, y, d: loss.probabilities(s),
        "log_probabilities": lambda s, y, d: loss.log_probabilities(s),
    }
    if loss.smoothness:
        found["hessian_product"] = lambda s, y, d: loss.hessian_product(s, y, d)
        found["hessian_mean"] = lambda s, y, d: loss.hessian_mean(s, y, d[:, 0])
        found["hessian_form"] = lambda s, y, d: loss.hessian_form(s, y, d[: s.shape[1], :])
        found["hessian_diagonal"] = lambda s, y, d: loss.hessian_form(s, y, None)
    else:
        found["smoothed"] = lambda s, y, d: loss.smoothed(s, y, d, 0.3)
        found["smoothed_hessian"] = lambda s, y, d: loss.smoothed_hessian(s, y, d, 0.3)(s)
    return found


def arrays_of(answer):
    return [a for a in (answer if isinstance(answer, tuple) else (answer,)) if a is not None]


def check_inputs_untouched(loss):
    """Read-only inputs suffice; answers are fresh, writable memory."""
    for k, order in ((4, "C"), (4, "F"), (40, "C")):
        s, y = rows(loss, k, n=40)
        s, d = np.array(s, order=order), np.array(0.1 * s, order=order)
        before = s.copy(), y.copy(), d.copy()
        for a in (s, y, d):
            a.setflags(write=False)
        for name, call in calls(loss).items():
            try:
                answers = arrays_of(call(s, y, d))
            except ValueError as error:
                raise AssertionError(f"{name} writes into its inputs: {error}") from error
            for answer in answers:
                assert not np.shares_memory(answer, s), name
                assert not np.shares_memory(answer, d), name
                assert answer.flags.writeable, name
        assert all(np.array_equal(a, b) for a, b in zip(before, (s, y, d), strict=True))


def check_torch(loss):
    """Tensors give the same answers and are left as they are, again and again."""
    torch = pytest.importorskip("torch")
    for k in (3, 40):
        s, y = rows(loss, k, n=40, seed=14)
        d = loss.value_and_gradient(0.9 * s, y)[1]
        given = [torch.from_numpy(a.copy()) for a in (s, y.astype(np.int64), d)]
        for name, call in calls(loss).items():
            if name == "gradient of each row":
                continue
            wanted = arrays_of(call(s, y, d))
            for _ in range(2):
                for a, b in zip(arrays_of(call(*given)), wanted, strict=True):
                    close(a.numpy(), b, rtol=1e-11, atol=1e-11)
            for a, b in zip(given, (s, y, d), strict=True):
                assert np.array_equal(a.numpy(), b), name


def check_layouts(loss):
    """Row order, column order, strides, and any integer type of labels: the same answers."""
    for k in (2, 7, 31, 33):
        s, y = rows(loss, k, n=40, seed=11)
        d = loss.value_and_gradient(0.9 * s, y)[1]
        wide = np.zeros((80, 2 * k))
        wide[::2, ::2] = s
        layouts = [np.asfortranarray(s), wide[::2, ::2], np.ascontiguousarray(s[:, ::-1])[:, ::-1]]
        for call in calls(loss).values():
            wanted = arrays_of(call(s, y, d))
            found = [call(other, y, d) for other in layouts] + [call(s, y, np.asfortranarray(d))]
            found += [call(s, y.astype(kind), d) for kind in (np.int32, np.uint8, np.intp)]
            for answer in found:
                for a, b in zip(arrays_of(answer), wanted, strict=True):
                    close(a, b)


def check_types(loss):
    """float32 stays float32 and is close to float64; so in another array library, too."""
    for k in (3, 12, 70):
        s, y = rows(loss, k, n=72, seed=12)
        s = s.astype(np.float32).astype(np.float64)
        d = loss.value_and_gradient(0.9 * s, y)[1]
        for name, call in calls(loss).items():
            wanted = arrays_of(call(s, y, d))
            narrow = arrays_of(call(s.astype(np.float32), y, d.astype(np.float32)))
            for a, b in zip(narrow, wanted, strict=True):
                assert a.dtype == np.float32, name
                assert b.dtype == np.float64, name
                close(a, b, rtol=3e-5, atol=3e-5)
            for kind in (np.float64, np.float32):
                numpy = arrays_of(call(s.astype(kind), y, d.astype(kind)))
                strict = arrays_of(call(*(array_api_strict.asarray(a) for a in (s.astype(kind), y, d.astype(kind)))))
                for a, b in zip(strict, numpy, strict=True):
                    assert isinstance(a, type(array_api_strict.asarray(s))), name
                    assert np.asarray(a).dtype == kind, name
                    tolerance = 64 * np.finfo(kind).eps
                    close(np.asarray(a), b, rtol=tolerance, atol=k * tolerance)


def check_extremes(loss):
    """Scores of ±1e4 (and ±1e300 in float64): finite, no warning; gradients of the right size."""
    rng = np.random.default_rng(13)
    for kind, size in ((np.float32, 1e4), (np.float64, 1e4), (np.float64, 1e300)):
        for k in (2, 10, 50):
            s = (rng.choice([-1.0, 0.0, 1.0], size=(60, k)) * size).astype(kind)
            y = np.arange(60) % k
            s[:20] = -np.abs(s[:20])
            s[np.arange(20), y[:20]] = size  # the right answer by far
            for name, call in calls(loss).items():
                if name == "conjugate" or (size > 1e4 and name.startswith("smoothed")):
                    continue
                for answer in arrays_of(call(s, y, rng.normal(size=s.shape).astype(kind))):
                    assert np.isfinite(answer).all(), (name, size)
            value, gradient = loss.value_and_gradient(s, y)
            assert (value >= 0).all()
            if loss.name not in SHIFTED:
                assert not value[:20].any()
                assert np.abs(gradient[:20]).max() <= (1e-33 if kind == np.float32 else 0)  # see small_exp


def check_one_class(loss):
    """k = 1, where there is nothing to tell apart: numbers, not an error; no margin, no loss."""
    s, y = np.array([[2.0], [-3.0]]), np.array([0, 0])
    for call in calls(loss).values():
        assert all(np.isfinite(a).all() for a in arrays_of(call(s, y, np.zeros((2, 1)))))
    if loss.name not in SHIFTED:
        assert not loss.value(s, y).any()


ARRAYS = [check_inputs_untouched, check_torch, check_layouts, check_types, check_extremes, check_one_class]


@pytest.mark.parametrize("loss", variants())
@pytest.mark.parametrize("check", ARRAYS, ids=lambda check: check.__name__[6:])
def test_arrays(loss, check):
    check(loss)


@pytest.mark.parametrize("name", ["cross_entropy", "logistic"])
@pytest.mark.parametrize("k", [3, 100])
def test_shares_below_the_normal_numbers_of_float32_do_not_occur(name, k):
    """Products with them are up to seventy times slower."""
    rng = np.random.default_rng(k)
    s = (60 * rng.normal(size=(400, k))).astype(np.float32)
    y, loss, least = rng.integers(0, k, 400), LOSSES[name](), np.finfo(np.float32).tiny
    assert np.any(np.abs(np.exp(s - s.max(axis=1, keepdims=True))) < least)
    value, g = loss.value_and_gradient(s, y)
    for found in (g, loss.gradient(s, y)):
        assert np.all((np.abs(found) >= least) | (found == 0))
    exact = loss.value_and_gradient(s.astype(np.float64), y)
    close(value, exact[0], rtol=1e-5, atol=1e-5)
    close(g, exact[1], rtol=0, atol=1e-6)
