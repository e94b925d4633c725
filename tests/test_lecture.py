"""The lecture's golden numbers, computed here from the definitions and compared with what the package says."""

import math

import numpy as np
import pytest

from linearhead.losses import LOSSES, CrammerSinger, CrossEntropy, Hinge, Logistic, Squared, SquaredHinge

CAT, DOG, BEAR = range(3)
LABELS = np.array([CAT, DOG, CAT, BEAR])
PREDICTIONS = np.array([[0.85, 0.10, 0.05], [0.20, 0.70, 0.10], [0.40, 0.45, 0.15], [0.40, 0.25, 0.35]])
SCORES = np.array([[4.3, -1.3, 1.1], [0.5, 5.6, -4.2], [3.3, 3.5, 1.1], [1.1, -5.3, -9.4]])


def test_mean_cross_entropy_and_accuracy_of_the_running_example():
    """−(ln .85 + ln .70 + ln .40 + ln .35) / 4 = 0.6213…; two of four are right."""
    by_hand = -(math.log(0.85) + math.log(0.70) + math.log(0.40) + math.log(0.35)) / 4
    assert f"{by_hand:.4f}" == "0.6213"
    s = np.log(PREDICTIONS)  # softmax(log ŷ) = ŷ
    loss = CrossEntropy()
    np.testing.assert_allclose(loss.probabilities(s), PREDICTIONS, rtol=1e-14)
    np.testing.assert_allclose(loss.value(s, LABELS).mean(), by_hand, rtol=1e-14)
    assert (s.argmax(axis=1) == LABELS).tolist() == [True, True, False, False]
    assert np.mean(s.argmax(axis=1) == LABELS) == 2 / 4


def test_scores_shifted_by_a_row_constant_give_the_same_predictions():
    """Subtracting a row's maximum changes nothing: why the softmax may be computed safely."""
    s = np.log(PREDICTIONS) + np.array([[1000.0], [-1000.0], [0.0], [5e5]])
    np.testing.assert_allclose(CrossEntropy().probabilities(s), PREDICTIONS, rtol=1e-9)


def test_the_chain_rule_has_both_branches():
    """∂ℓ/∂a_j is ŷ_j − 1 at the label and ŷ_j elsewhere; ∂ℓ/∂w_j = (ŷ_j − y_j) x and ∂ℓ/∂b_j = ŷ_j − y_j."""
    gradient = CrossEntropy().value_and_gradient(np.log(PREDICTIONS), LABELS)[1]
    by_hand = [[0.85 - 1, 0.10, 0.05], [0.20, 0.70 - 1, 0.10], [0.40 - 1, 0.45, 0.15], [0.40, 0.25, 0.35 - 1]]
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-13)


def test_margin_scores():
    """Sum form, Δ = 1: 0, 0, 1.2 and 11.5 + 5.1 = 16.6; the max form takes the larger of each pair."""
    by_hand = [
        max(0, 1 - 1.3 - 4.3) + max(0, 1 + 1.1 - 4.3),
        max(0, 1 + 0.5 - 5.6) + max(0, 1 - 4.2 - 5.6),
        max(0, 1 + 3.5 - 3.3) + max(0, 1 + 1.1 - 3.3),
        max(0, 1 + 1.1 + 9.4) + max(0, 1 - 5.3 + 9.4),
    ]
    assert [f"{v:.1f}" for v in by_hand] == ["0.0", "0.0", "1.2", "16.6"]
    np.testing.assert_allclose(Hinge().value(SCORES, LABELS), by_hand, rtol=1e-14)
    np.testing.assert_allclose(CrammerSinger().value(SCORES, LABELS), [0, 0, 1.2, 11.5], rtol=1e-14)
    np.testing.assert_allclose(SquaredHinge().value(SCORES, LABELS), [0, 0, 1.2**2, 11.5**2 + 5.1**2], rtol=1e-14)


def test_margin_gradient_counts_the_violations():
    gradient = Hinge().value_and_gradient(SCORES, LABELS)[1]
    assert gradient.tolist() == [[0, 0, 0], [0, 0, 0], [-1, 1, 0], [1, 1, -2]]
    gradient = CrammerSinger().value_and_gradient(SCORES, LABELS)[1]
    assert gradient.tolist() == [[0, 0, 0], [0, 0, 0], [-1, 1, 0], [1, 0, -1]]


def test_a_wider_margin_asks_for_more():
    """With Δ = 6 the first two rows lose, too: 6 − 5.6 and 6 − 3.2; 6 − 5.1 and 0."""
    np.testing.assert_allclose(Hinge(margin=6).value(SCORES, LABELS)[:2], [0.4 + 2.8, 0.9], rtol=1e-13)


@pytest.mark.parametrize("k", [2, 3, 10, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_untrained_losses(k, dtype):
    """All scores 0: ln k, (k − 1) Δ for the sum, Δ for the maximum, (k − 1) Δ², ½, and k ln 2 for one-vs-rest."""
    s, y = np.zeros((5, k), dtype=dtype), np.arange(5) % k
    untrained = {
        CrossEntropy(): math.log(k),
        Hinge(margin=0.5): (k - 1) * 0.5,
        CrammerSinger(margin=0.5): 0.5,
        SquaredHinge(margin=0.5): (k - 1) * 0.25,
        Squared(): 0.5,
        Logistic(): k * math.log(2),
    }
    assert {type(loss) for loss in untrained} == set(LOSSES.values())
    for loss, wanted in untrained.items():
        value = loss.value(s, y)
        assert value.dtype == dtype
        np.testing.assert_allclose(value, wanted, rtol=4 * np.finfo(dtype).eps)
    assert f"{CrossEntropy().value(np.zeros((1, 10)), np.array([3]))[0]:.3f}" == "2.303"
    assert Hinge().value(np.zeros((1, 10)), np.array([3]))[0] == 9


def test_least_squares_and_logistic_of_the_same_scores():
    """½ ‖a − y‖² and the sum of binary log losses, by hand for the first row."""
    row, y = SCORES[:1], LABELS[:1]
    assert Squared().value(row, y)[0] == pytest.approx(0.5 * ((4.3 - 1) ** 2 + 1.3**2 + 1.1**2), rel=1e-15)
    by_hand = math.log(1 + math.exp(-4.3)) + math.log(1 + math.exp(-1.3)) + math.log(1 + math.exp(1.1))
    assert Logistic().value(row, y)[0] == pytest.approx(by_hand, rel=1e-14)
