"""The number of clusters, by the expected scores of candidates with several numbers.

M samples, K clusters.
"""

from typing import NamedTuple

import numpy as np

from ..input.checks import check_range, is_open
from .judge import LEAST_SIZE

#: Ratio of numbers of clusters that are far from each other.
APART = 1.5
#: Minimum stability that counts where scores are about equal.
STABLE = 0.8
#: Maximum difference of scores that are about equal.
CLOSE = 0.05
#: Weight of the stability where scores are about equal.
STABILITY_WEIGHT = 0.7


class Curve(NamedTuple):
    """Scores of numbers of clusters, as arrays over the numbers that were tried."""

    n_clusters: np.ndarray
    #: Expected score of the best candidate; for one cluster, the probability that there is one.
    criterion: np.ndarray
    #: Mean adjusted Rand index of the candidates with each other.
    stability: np.ndarray

    @property
    def best(self):
        """The chosen number.

        It has the highest score. Where candidates agree on numbers that score about as high, the
        stability counts, too: a score estimates an adjusted Rand index, which hardly changes if
        one of several clusters is divided.
        """
        highest = self.criterion.argmax()
        agreed = (self.n_clusters > 1) & (self.stability >= STABLE)
        agreed &= self.criterion >= self.criterion[highest] - CLOSE
        if self.n_clusters[highest] > 1 and agreed.any():
            evidence = self.criterion + STABILITY_WEIGHT * self.stability
            highest = np.where(agreed, evidence, -np.inf).argmax()
        return int(self.n_clusters[highest])

    def among(self, numbers):
        """Return the curve of some of the numbers."""
        kept = np.isin(self.n_clusters, list(numbers))
        return Curve(*(values[kept] for values in self))

    def replace(self, numbers, scores):
        """Return the curve with other scores of some numbers."""
        criterion = self.criterion.copy()
        for number, score in zip(numbers, scores, strict=True):
            criterion[self.n_clusters == number] = score
        return self._replace(criterion=criterion)


def list_numbers(highest, lowest=1):
    """Return the numbers of clusters that are tried: all up to 12, then in steps of 20 %."""
    numbers = list(range(1, 13))
    while numbers[-1] < highest:
        numbers.append(int(np.ceil(1.2 * numbers[-1])))
    between = {number for number in numbers if lowest < number < highest}
    return sorted(between | {lowest, highest})


def read_numbers(n_clusters, max_clusters=60):
    """Return a number of clusters, or the list to choose from for "auto" or bounds, checked."""
    if not is_open(n_clusters):
        return n_clusters
    if n_clusters == "auto":
        return list_numbers(max_clusters)
    numbers = check_range(n_clusters)
    return list_numbers(numbers[-1], numbers[0])


def choose_number(judge, numbers, refine=True, limits=None):
    """Return the :class:`Curve` of some numbers of clusters.

    Clusters have 5 samples or more on average. ``refine`` adds the numbers around the best one.
    ``limits``, ``Constraints`` or None, exclude numbers.
    """
    most = len(judge.drawn) // LEAST_SIZE
    allowed = [k for k in numbers if k == 1 or k <= most]
    if limits is not None:
        allowed = [k for k in allowed if k == 1 or limits.allows(k)]
    allowed = allowed or [min(numbers)]
    found = {k: _try_number(judge, k, limits) for k in sorted(allowed)}
    if refine:
        between = _list_between(_draw_curve(found))
        allowed = [k for k in between if limits is None or limits.allows(k)]
        found |= {k: _try_number(judge, k, limits) for k in allowed}
    return _draw_curve(found)


def _try_number(judge, n_clusters, limits):
    """Return the highest expected score, lower if it breaks the limits, and the stability."""
    stability = 1.0
    if n_clusters == 1:
        labels = np.zeros((1, len(judge.drawn)), dtype=int)
        scores = np.array([judge.rate_one()])
    else:
        family = judge.find_family(n_clusters)
        labels = family.labels
        scores = judge.rate_family(n_clusters)
        others = family.agreement.sum(1) - 1
        stability = others.mean() / max(len(labels) - 1, 1)
    if limits is not None:
        scores = limits.lower(scores, labels, judge.views.weights, n_clusters)
    return float(scores.max()), float(stability)


def list_maxima(curve):
    """Return the best number, and those that score higher than the numbers next to them, by score.

    Others follow that are far from all of these: where a curve is flat, it has one maximum.
    """
    padded = np.pad(curve.criterion, 1, constant_values=-1)
    is_highest = (padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:])
    order = np.argsort(-curve.criterion, kind="stable")
    highest = curve.n_clusters[order[is_highest[order]]].tolist()
    found = list(dict.fromkeys([curve.best, *highest]))

    for k in curve.n_clusters[order].tolist():
        if all(max(k, own) >= APART * min(k, own) for own in found):
            found.append(k)
    return found


def _list_between(curve):
    """Return the numbers around the best one that have not been tried."""
    numbers = curve.n_clusters.tolist()
    place = numbers.index(curve.best)
    around = numbers[max(place - 1, 0) : place + 2]
    return [k for k in range(around[0], around[-1]) if k not in numbers]


def _draw_curve(found):
    """Return the :class:`Curve` of scores and stabilities by number of clusters."""
    numbers = sorted(found)
    scores, stability = zip(*[found[k] for k in numbers], strict=True)
    return Curve(np.array(numbers), np.array(scores), np.array(stability))
