"""The number of clusters, by the expected scores of candidates with several numbers.

M samples, K clusters.
"""

from typing import NamedTuple

import numpy as np

from .candidates import MERGED, Candidate, find_candidates
from .features import describe_all, prepare
from .selection import predict_scores

#: Minimum expected score of two or more clusters; below it, all samples are one cluster.
MIN_SCORE = 0.3
#: Maximum share of the highest score that the score of the chosen number may lack.
NEAR_TIE = 0.05


class Curve(NamedTuple):
    """Scores of numbers of clusters, as arrays over the numbers that were tried."""

    n_clusters: np.ndarray
    #: Expected score of the best candidate; for one cluster, MIN_SCORE.
    criterion: np.ndarray
    #: Mean adjusted Rand index of the candidates with each other.
    stability: np.ndarray

    @property
    def best(self):
        """The chosen number."""
        return take_number(self.n_clusters, self.criterion)


class Tried(NamedTuple):
    """Candidates with the same number of clusters."""

    n_clusters: int
    #: Candidates, with labels of the judged samples.
    candidates: list
    #: Features of the candidates, arrays by name.
    features: dict


def take_number(numbers, scores):
    """Return the smallest number, in ascending order, whose score is about the highest."""
    least = (1 - NEAR_TIE) * np.max(scores)
    return int(numbers[np.argmax(scores >= least)])


def list_numbers(max_clusters):
    """Return the numbers of clusters that are tried: all up to 12, then in steps of 10 %."""
    numbers = list(range(1, 13))
    while numbers[-1] < max_clusters:
        following = int(np.ceil(1.1 * numbers[-1]))
        numbers.append(min(following, max_clusters))
    return [number for number in numbers if number <= max_clusters]


def choose_number(
    views,
    n_features,
    numbers,
    stream,
    refine=True,
    limits=None,
):
    """Return the :class:`Curve` of some numbers of clusters, see :func:`judge_numbers`."""
    found = judge_numbers(views, n_features, numbers, stream, refine, limits)
    return _draw_curve(found, views, limits)


def judge_numbers(
    views,
    n_features,
    numbers,
    stream,
    refine=False,
    limits=None,
):
    """Return what is :class:`Tried` for each of the numbers above 1, in ascending order.

    Clusters have 5 samples or more on average. ``refine`` adds the numbers around the best one.
    ``limits``, ``Constraints`` or None, exclude numbers.
    """
    views = views.take(views.draw(MERGED))
    most = len(views.weights) // 5
    numbers = {k for k in numbers if 1 < k <= most}
    if not numbers:
        return []

    judged = prepare(views, n_features)
    found = []

    def judge(k):
        if limits is None or limits.allows(k):
            proposed = find_candidates(views, k, stream, brief=True)
            proposed = list(proposed)
            features = describe_all(judged, proposed, k)
            found.append(Tried(k, proposed, features))

    for k in sorted(numbers):
        judge(k)
    if refine:
        for k in _list_between(_draw_curve(found, views, limits)):
            judge(k)
    return sorted(found, key=lambda tried: tried.n_clusters)


def _list_between(curve):
    """Return the numbers around the best one that have not been tried."""
    numbers = curve.n_clusters.tolist()
    place = numbers.index(curve.best)
    around = numbers[max(place - 1, 0) : place + 2]
    return [k for k in range(around[0], around[-1]) if k not in numbers]


def _draw_curve(found, views, limits):
    """Return the :class:`Curve` of the results of :func:`judge_numbers`."""
    tables = [tried.features for tried in found]
    if not tables:
        return Curve(np.ones(1, dtype=int), np.ones(1), np.ones(1))

    scores = [np.array([MIN_SCORE]), *predict_scores(tables, "number")]
    if limits is not None:
        scores = _lower_scores(scores, found, views, limits)
    agreement = [table["mean agreement"][0] for table in tables]
    return Curve(
        n_clusters=np.array([1, *(tried.n_clusters for tried in found)]),
        criterion=np.array([own.max() for own in scores]),
        stability=np.array([1.0, *agreement]),
    )


def _lower_scores(scores, found, views, limits):
    """Return the scores, lower where candidates break the limits."""
    weights = views.weights[views.draw(MERGED)]
    one = Candidate("one", np.zeros(len(weights), dtype=int))
    found = [Tried(1, [one], {}), *found]
    lowered = []
    for own, tried in zip(scores, found, strict=True):
        labels = [candidate.labels for candidate in tried.candidates]
        own = limits.lower(own, labels, weights, tried.n_clusters)
        lowered.append(own)
    return lowered
