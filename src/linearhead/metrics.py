"""Numbers about predictions: labels y (n,) and predicted (n,) in 0..k−1. NumPy only.

C[i, j] = rows of class i that were called j; everything but the log loss follows from C.
accuracy = tr C / n; recall_i = C_ii / Σ_j C_ij; precision_j = C_jj / Σ_i C_ij; F1 = 2PR / (P + R);
balanced accuracy = mean recall of the classes that occur (Brodersen et al. 2010); log loss = mean −ln p_label, nats;
majority accuracy = share of the largest class judged, what the best constant answer would score.
Intervals are Wilson's at 95 % (1927, JASA 22), sound for small n and at 0 and 1, where Wald's is not; a difference of
two shares takes Newcombe's hybrid of them (1998, Stat. Med. 17, method 10); the mean recall the score interval for a
sum of shares (Miettinen & Nurminen 1985, Stat. Med. 4), Wilson's kin. The log loss is no share and has the
bootstrap-t's (Efron & Tibshirani 1993, sec. 12.5). Rows that come in groups count as the fewer that would say as much
about the accuracy (`independent`), in every interval.
Two classifiers on the same rows: McNemar's exact test on the rows that only one has right (1947, Psychometrika 12),
of several pairs by Holm's procedure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, hypot, lgamma, log, pi, sinh, sqrt, tan

import numpy as np

from .errors import DataError
from .records import ClassScore, Evaluation

Z95 = 1.959963984540054  # Φ⁻¹(0.975)
LEAST = float(np.finfo(np.float64).tiny)  # probability that counts
RESAMPLES = 400  # the ends of a 95 % interval then vary by about a twentieth of its width
ROUNDING = 1e-12  # of a mean of shares, which stays where it is while λ leaves shares of 0 and 1 alone
HALVINGS, FAR = 40, 25.0  # of the range of asinh λ to either side of 0: to 1e-11 of it
TOP = (2, 3, 5)  # k of top-k, as far as there are more classes


def wilson(successes: float, n: float, z: float = Z95) -> list[float]:
    """[low, high] for the share successes / n; [0, 1] when n = 0: nothing seen, nothing known."""
    if n <= 0:
        return [0.0, 1.0]
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # the ends are exactly 0 and 1 in theory; rounding must not move them inside
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= n else min(1.0, centre + half)
    return [low, high]


def difference(first: Evaluation, second: Evaluation) -> tuple[float, float, float]:
    """(low, gap, high) of first's accuracy − second's, for two independent sets of pictures."""
    gap = first.accuracy - second.accuracy
    (low1, high1), (low2, high2) = first.accuracy_interval, second.accuracy_interval
    low = gap - hypot(first.accuracy - low1, high2 - second.accuracy)
    high = gap + hypot(high1 - first.accuracy, second.accuracy - low2)
    return low, gap, high


def accuracy(y: np.ndarray, predicted: np.ndarray) -> float:
    """Share of rows whose prediction is the label."""
    return float(np.mean(np.asarray(y) == np.asarray(predicted)))


def independent(groups: np.ndarray, values: np.ndarray | None = None) -> float:
    """As how many rows that have nothing to do with one another rows count that are alike within groups (n,).

    All rows of a group being the same one, as the variance of a mean over them says (Kish 1965, Survey Sampling). Where
    it is known what the mean is of, which are right say, values (n,): the count of `effective`; where all values are
    the same, no sum tells how alike they are, and it is the former.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    counts = np.bincount(groups).astype(np.float64)
    if values is None or len(counts) == len(groups):
        return kish(counts)
    return effective(np.bincount(groups, values), counts, float(np.var(values)), len(groups))


def kish(counts: np.ndarray) -> float:
    """(Σ c)² / Σ c²: as how many a mean of weights c counts."""
    return float(np.sum(counts)) ** 2 / float(np.sum(np.square(counts)))


def effective(sums: np.ndarray, counts: np.ndarray, variance: float, most: float) -> float:
    """Of groups' sums (m,) over rows of so much weight (m,): the values' variance over that of their mean by the sums,
    from `kish` to `most`, times (z/t)², t for one degree of freedom less than there are groups (Korn & Graubard 1998,
    Survey Methodology 24)."""
    sums, counts = sums[counts > 0], counts[counts > 0]
    n, m, least = float(counts.sum()), len(counts), kish(counts)
    if m == 1:
        return least
    of_mean = m / (m - 1) * float(np.sum((sums - counts * (sums.sum() / n)) ** 2)) / n**2
    found = variance / of_mean if of_mean > 0 else least
    return min(max(found, least), most) / student(m) ** 2


def student(m: int) -> float:
    """How much wider the 95 % interval of a mean of m groups is, as of so few little is known of their spread."""
    return _t95(m - 1) / Z95 if m > 1 else 1.0


def standard_error(values: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Of the mean of values (n,), of which those of one group (n,) may be alike."""
    count = len(values) if groups is None else independent(groups, values)
    return float(np.std(values, dtype=np.float64)) / sqrt(count)


def _t95(df: int) -> float:
    """Student's 97.5 % quantile, exact for one degree of freedom, to 3 % from two on (Fisher & Cornish 1960)."""
    if df == 1:
        return tan(0.475 * pi)
    z, f = Z95, float(df)
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / f**i for i, term in enumerate(terms, 1))


def confusion(y: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """(m, 3) [true, predicted, count] of every pair of the k classes that occurs, in order: no room for k² counts."""
    pairs, counts = np.unique(y * k + predicted, return_counts=True)
    return np.stack([pairs // k, pairs % k, counts], axis=1)


def log_loss(p_label: np.ndarray) -> float:
    """Mean −ln p_label in nats; p below the smallest normal float64 counts as that, so the worst is 708, not ∞."""
    p = np.asarray(p_label, dtype=np.float64)
    return float(np.mean(-np.log(np.maximum(p, LEAST)))) + 0.0  # not −0 where all are certain


def balanced_accuracy(hits: np.ndarray, totals: np.ndarray) -> float:
    """Mean recall over the classes with at least one row: (k,) rows called rightly, of so many (k,)."""
    present = totals > 0
    return float(np.mean(hits[present] / totals[present]))


def class_scores(
    right: np.ndarray, totals: np.ndarray, answers: np.ndarray, classes: Sequence[str], worth: float = 1.0
) -> list[ClassScore]:
    """Precision, recall, F1 per class from its rows called rightly, all of its rows and all rows called so, (k,) each;
    None where the denominator is 0 (never called so, never present). In intervals a row counts as so much of one."""
    scores = []
    for label, *counts in zip(classes, right, totals, answers, strict=True):
        hits, present, called = map(int, counts)
        scores.append(
            ClassScore(
                label=label,
                n=present,
                precision=hits / called if called else None,
                recall=hits / present if present else None,
                recall_interval=wilson(hits * worth, present * worth) if present else None,
                f1=2 * hits / (present + called) if present + called else None,
                precision_interval=wilson(hits * worth, called * worth) if called else None,
                f1_interval=f1_interval(hits * worth, (present + called - hits) * worth),
            )
        )
    return scores


def f1_interval(hits: float, either: float) -> list[float] | None:
    """F1 = 2J / (1 + J) grows with J = hits / rows that are of the class or called so, a share of rows: Wilson's for J,
    carried over (Lam et al. 2023). None where there are no such rows."""
    return [2 * j / (1 + j) for j in wilson(hits, either)] if either else None


def balanced_interval(hits: np.ndarray, totals: np.ndarray) -> list[float]:
    """Of the mean recall R̂, hits (k,) of rows (k,): every R with (R̂ − R)² ≤ z² V(R), V the variance at the likeliest
    recalls of mean R; so at 1 it reaches as far down as recalls that made no mistake by luck. R falls with their λ, on
    which the ends are sought.
    """
    present = totals > 0
    hits, n = hits[present].astype(np.float64), totals[present].astype(np.float64)
    mean = float(np.mean(hits / n))

    def held(u: float) -> bool:
        p = likeliest(hits, n, sinh(u))
        return abs(mean - float(p.mean())) <= Z95 * sqrt(_variance(p, n)) + ROUNDING

    low, high = (float(likeliest(hits, n, sinh(_last(held, 0.0, end))).mean()) for end in (FAR, -FAR))
    return [min(max(low, 0.0), mean), max(min(high, 1.0), mean)]


def _last(held: Callable[[float], bool], inside: float, outside: float) -> float:
    """The last number that is held on the way from `inside` to `outside`."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if held(middle) else (inside, middle)
    return inside


def _variance(p: np.ndarray, n: np.ndarray) -> float:
    """Σ p (1 − p) / (n − 1) / k² of recalls p (k,): n − 1, since p leans to the hits that were seen, as a sample's
    variance does; classes with less than two rows, which show hardly any variance, have that of p's mean, over n."""
    mean, own = float(p.mean()), p * (1 - p) / np.maximum(n - 1, 1)
    return float(np.sum(np.where(n >= 2, own, mean * (1 - mean) / n))) / len(n) ** 2


def likeliest(hits: np.ndarray, n: np.ndarray, lam: float) -> np.ndarray:
    """The recalls p (k,) likeliest after so many hits of n, of all with their mean: hits / p − (n − hits) / (1 − p)
    = λ, the same for all classes. λp² − (n + λ) p + hits = 0, by the form of the root that does not cancel."""
    b = n + lam
    root = np.sqrt(np.maximum(b * b - 4 * lam * hits, 0))
    below = (b - root) / (2 * (lam if lam < 0 else -1.0))  # where λ ≤ −n
    return np.clip(np.where(b > 0, 2 * hits / np.maximum(b + root, 1e-300), below), 0, 1)


def log_loss_interval(p_label: np.ndarray, worth: float = 1.0, seed: int = 0) -> list[float] | None:
    """Of the mean −ln p_label, a row counting as so much of one; None of less than two, which say nothing of others.

    Bootstrap-t: the mean less its standard error times quantiles of (mean* − mean)/error* over RESAMPLES resamples. Few
    rows often hold none of the rare large losses: the percentiles of resampled means then lie too low. Beyond 20 000
    rows the normal interval, which is then the same to two digits.
    """
    p = np.asarray(p_label, dtype=np.float64)
    losses = -np.log(np.maximum(p, LEAST))
    n, mean = len(losses), float(losses.mean())
    drawn = round(n * worth)
    if drawn < 2:
        return None
    error = float(losses.std()) / sqrt((n - 1) * worth)
    low, high = -Z95, Z95
    if n <= 20_000:
        rng, found = np.random.default_rng(seed), []
        for _ in range(RESAMPLES):
            some = losses[rng.integers(0, n, drawn)]
            spread = float(some.std())
            found += [(float(some.mean()) - mean) / spread * sqrt(drawn - 1)] if spread > ROUNDING * mean else []
        low, high = np.quantile(found, (0.025, 0.975)) if found else (0.0, 0.0)
    return [max(mean - float(high) * error, 0.0), min(mean - float(low) * error, -log(LEAST))]


def top_k(ranks: np.ndarray, k: int) -> dict[str, float]:
    """Share of rows whose label is among the best 2, 3, 5; `ranks` (n,), 0 where the label is the best of k classes."""
    return {str(m): float(np.mean(ranks < m)) for m in TOP if m < k}


def mcnemar(
    first_right: np.ndarray, second_right: np.ndarray, groups: np.ndarray | None = None
) -> tuple[int, int, float]:
    """(rows only the first has right, only the second, two-sided exact p) for right answers (n,) on the same rows; in p
    those of one group (n,) count by how alike their differences are."""
    first_right, second_right = np.asarray(first_right, bool), np.asarray(second_right, bool)
    only_first, only_second = int(np.sum(first_right & ~second_right)), int(np.sum(second_right & ~first_right))
    differ = first_right.astype(float) - second_right
    worth = 1.0 if groups is None or not len(differ) else independent(groups, differ) / len(differ)
    m, fewer = round((only_first + only_second) * worth), round(min(only_first, only_second) * worth)
    logs = [lgamma(m + 1) - lgamma(i + 1) - lgamma(m - i + 1) - m * log(2) for i in range(fewer + 1)]
    return only_first, only_second, min(1.0, 2 * sum(exp(value) for value in logs))


def holm(p: Sequence[float]) -> list[float]:
    """The same p values, each as large as it has to be among so many (Holm 1979, Scand. J. Stat. 6): to call those
    below 0.05 differences is wrong of any in 5 of 100 cases at most."""
    order, found, largest = sorted(range(len(p)), key=lambda i: p[i]), [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        found[i] = largest
    return found


def evaluate(
    y: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    probabilities: np.ndarray | None = None,
    ranks: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Evaluation:
    """All of the above for one set. `probabilities` (n, k), or only the label's of each row (n,); without them
    `log_loss` is None. `ranks` (n,): how many classes were preferred to the label; without them there is no top-k.
    `groups` (n,): rows of one are alike.
    DataError when there are no rows or the shapes do not fit."""
    y, predicted = np.asarray(y, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    n, k = len(y), len(classes)
    if n == 0:
        raise DataError("There are 0 pictures to judge; at least 1 is needed, because an accuracy is a share of them.")
    if y.shape != predicted.shape or (probabilities is not None and np.shape(probabilities) not in ((n, k), (n,))):
        shape = None if probabilities is None else np.shape(probabilities)
        raise DataError(f"Shapes do not fit: labels {y.shape}, predictions {predicted.shape}, probabilities {shape}.")
    if probabilities is not None and np.ndim(probabilities) == 2:
        probabilities = probabilities[np.arange(n), y]
    right, totals, answers = (np.bincount(labels, minlength=k) for labels in (y[y == predicted], y, predicted))
    hits = int(right.sum())
    alone = None if groups is None else independent(groups, y == predicted)
    worth = 1.0 if alone is None else alone / n
    intervals = {"balanced_accuracy": balanced_interval(right * worth, totals * worth)}
    if probabilities is not None and (bounds := log_loss_interval(probabilities, worth)) is not None:
        intervals["log_loss"] = bounds
    top = {} if ranks is None else top_k(ranks, k)
    return Evaluation(
        n=n,
        accuracy=hits / n,
        accuracy_interval=wilson(hits * worth, n * worth),
        balanced_accuracy=balanced_accuracy(right, totals),
        log_loss=None if probabilities is None else log_loss(probabilities),
        majority_accuracy=float(totals.max() / n),
        per_class=class_scores(right, totals, answers, classes, worth),
        confusion=confusion(y, predicted, k).tolist(),
        intervals=intervals | {f"top_{m}": wilson(round(share * n) * worth, n * worth) for m, share in top.items()},
        top=top,
        independent=alone,
    )
