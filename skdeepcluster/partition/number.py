"""The number of clusters, by the expected scores of candidates with several numbers.

M samples, K clusters.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from ..input.labels import normalize_rows
from ..utils.random import draw_seed
from .criterion.constants import LEAST_SIZE, ONE_NUMBERS
from .selection import (
    DISTINCT,
    MAX_ALTERNATIVES,
    N_RIVALS,
    find_partitions,
    keep_distinct,
)

#: Minimum evidence for a number that is worth a full search, as a share of the maximum. After two
#: numbers with lower scores, larger ones are not tried.
WORTH = 0.7
#: How many numbers with the most evidence are refined by trying others next to them.
N_REFINED = 2
#: Weight of the BIC of latent classes in tables of categories.
BIC_WEIGHT = 0.6
#: Weight of the saddle density, and the part of it that does not count.
SADDLE_WEIGHT = 0.1
SADDLE_FREE = 0.2
#: Minimum stability that counts where evidence is about equal.
STABLE = 0.8
#: Maximum difference of evidence that is about equal.
CLOSE = 0.05
#: Weight of the stability where evidence is about equal.
STABILITY_WEIGHT = 0.7


class Point(NamedTuple):
    """Evidence for a number of clusters."""

    #: Highest expected score of a candidate.
    expected_score: float
    #: Mean adjusted Rand index of the candidates with each other.
    stability: float = 1.0
    #: Maximum, over pairs of clusters of this candidate, of the density on their border relative
    #: to the lower of their densities.
    saddle_density: float = 0.0
    #: Highest BIC of latent classes, in nats per sample.
    bic: float = 0.0


class Curve(NamedTuple):
    """Evidence for each number of clusters, as arrays over the numbers that were tried."""

    n_clusters: np.ndarray
    #: Expected score, lowered by the BIC of latent classes and by the saddle density.
    evidence: np.ndarray
    #: As of a :class:`Point`; for one cluster, the score is the probability that there is one.
    expected_score: np.ndarray
    stability: np.ndarray
    saddle_density: np.ndarray

    @property
    def best(self):
        """The chosen number.

        It has the most evidence. Where candidates agree on numbers with about as much, the
        stability counts, too: a score estimates an adjusted Rand index, which hardly changes if
        one of several clusters is divided.
        """
        evidence = self.evidence
        highest = evidence.argmax()
        agreed = (self.n_clusters > 1) & (self.stability >= STABLE)
        agreed &= self.is_likely
        if self.n_clusters[highest] > 1 and agreed.any():
            evidence = evidence + STABILITY_WEIGHT * self.stability
            highest = np.where(agreed, evidence, -np.inf).argmax()
        return int(self.n_clusters[highest])

    @property
    def is_likely(self):
        """Which numbers have about as much evidence as the maximum."""
        return self.evidence >= self.evidence.max() - CLOSE

    def update(self, partitions):
        """Return the curve with the scores of partitions that were found by a full search.

        The evidence counts the means of both scores.
        """
        evidence = self.evidence.copy()
        scores = self.expected_score.copy()
        for found in partitions:
            is_same = self.n_clusters == found.n_clusters
            evidence[is_same] += (found.expected_score - scores[is_same]) / 2
            scores[is_same] = found.expected_score
        return self._replace(evidence=evidence, expected_score=scores)


def choose_number(problem, coords, criterion, stream, progress):
    """Return partitions into several numbers of clusters, the best first, and the curve.

    The curve comes from brief searches. Numbers with much evidence are searched again with all
    candidates, and the number is chosen among these; only the curve decides whether there is one
    cluster. Small clusters are left out unless some clusters are known.
    """
    progress.begin("number of clusters", len(problem.n_clusters.tried))
    curve = trace_curve(problem, criterion, progress)
    numbers = list_worthwhile(curve, criterion)

    progress.begin("partition", 1)
    seed = draw_seed(stream)
    partitions = [next(find_partitions(coords, criterion, k, seed)) for k in numbers]
    curve, partitions = _choose_again(curve, partitions)
    partitions = keep_distinct(partitions)
    if problem.labels is not None:
        return partitions, curve

    lowest = curve.n_clusters[0]
    # Half a sample less, because shares are rounded.
    least = (LEAST_SIZE - 0.5) / np.count_nonzero(problem.sample_weight)
    least *= coords.weights.sum()
    partitions = [
        drop_small(found, criterion, coords.weights, least, lowest)
        for found in partitions
    ]
    return keep_distinct(partitions), curve.update(partitions[:1])


def _choose_again(curve, partitions):
    """Return the curve with the new scores of partitions, and these in the order of evidence."""
    numbers = np.array([found.n_clusters for found in partitions])
    # One cluster has only one score.
    tried = numbers[(numbers == 1) == (curve.best == 1)]
    curve = curve.update(partitions)
    is_tried = np.isin(curve.n_clusters, tried)
    best = curve._replace(evidence=np.where(is_tried, curve.evidence, -np.inf)).best

    evidence = curve.evidence[np.searchsorted(curve.n_clusters, numbers)]
    order = np.lexsort((numbers, -evidence, numbers != best))
    return curve, [partitions[i] for i in order]


# ---- the curve


def trace_curve(problem, criterion, progress):
    """Return the :class:`Curve` of the numbers of clusters of a problem.

    Clusters have LEAST_SIZE samples or more on average. If a range is asked for, the search ends
    after two numbers with low scores. Then it bisects the gaps beside the best numbers.
    """
    needed = 1 if problem.labels is None else problem.labels.max() + 1
    asked = problem.n_clusters
    numbers = [k for k in asked.tried if k >= needed]
    if asked.tried[0] < needed and (asked.is_range or not numbers):
        numbers = sorted({needed, *numbers})
    tried = [k for k in numbers if k == 1 or k <= criterion.max_clusters]
    points = {}
    for k in tried or [min(numbers)]:
        points[k] = _try_number(criterion, k)
        progress.step()
        if asked.is_range and _is_past(points):
            break
    curve = _make_curve(points, criterion)
    while asked.is_range and (between := _list_between(curve)):
        points |= {k: _try_number(criterion, k) for k in between}
        curve = _make_curve(points, criterion)
    return curve


def _try_number(criterion, n_clusters):
    """Return the :class:`Point` of a number."""
    if n_clusters == 1:
        return Point(criterion.score_one())

    ensemble = criterion.find_ensemble(n_clusters)
    scores = criterion.score_ensemble(n_clusters)
    agreement = ensemble.agreement.sum(1) - 1
    best = scores.argmax()
    return Point(
        expected_score=scores.max(),
        stability=agreement.mean() / max(len(ensemble.labels) - 1, 1),
        saddle_density=ensemble.get_values("points median saddle density")[best],
        bic=ensemble.get_values("classes bic").max(),
    )


def _is_past(points):
    """Return whether the last two numbers score so low that larger ones need not be tried."""
    scores = {k: point.expected_score for k, point in points.items()}
    several = [score for k, score in scores.items() if k > 1]
    last = [score for k, score in scores.items() if k > ONE_NUMBERS[-1]][-2:]
    return len(last) == 2 and max(last) < WORTH * max(several)


def _list_between(curve):
    """Return the numbers halfway between the best ones and those next to them."""
    numbers = curve.n_clusters.tolist()
    halfway = set()
    order = np.argsort(-curve.evidence, kind="stable")
    for i in [numbers.index(curve.best), *order[:N_REFINED]]:
        around = numbers[max(i - 1, 0) : i + 2]
        halfway |= {(low + high) // 2 for low, high in pairwise(around)}
    return sorted(halfway.difference(numbers))


def _make_curve(points, criterion):
    """Return the :class:`Curve` of the :class:`Point` of each number of clusters."""
    numbers = np.array(sorted(points))
    scores, stability, saddles, bic = np.transpose([points[k] for k in numbers])
    several = numbers > 1
    penalty = np.zeros(len(numbers))
    if several.any():
        dense = SADDLE_WEIGHT * (saddles - SADDLE_FREE).clip(0)
        penalty[several] = dense[several] - dense[several].min()
        # The share is negative where there is no table.
        share = max(criterion.measured.data["categories"], 0)
        penalty += BIC_WEIGHT * share * np.sqrt(bic.max() - bic)
    return Curve(numbers, scores - penalty, scores, stability, saddles)


# ---- the numbers that are searched again


def list_worthwhile(curve, criterion):
    """Return the numbers of clusters worth a full search: the best one, then by evidence.

    After N_RIVALS others, a number needs the share WORTH of the maximum evidence, and its best
    candidate must differ from all before.
    """
    order = np.argsort(-curve.evidence, kind="stable")
    is_worth = curve.evidence >= WORTH * curve.evidence.max()
    kept = [curve.best]
    labels = [criterion.find_best(curve.best)]
    for i in order[curve.n_clusters[order] != curve.best]:
        k = int(curve.n_clusters[i])
        is_rival = len(kept) <= N_RIVALS
        if not is_rival and not is_worth[i]:
            break
        candidate = criterion.find_best(k)
        agreement = [adjusted_rand_score(candidate, other) for other in labels]
        if is_rival or max(agreement) < DISTINCT:
            kept.append(k)
            labels.append(candidate)
    return kept[: 1 + MAX_ALTERNATIVES]


def drop_small(partition, criterion, weights, least, lowest):
    """Return a partition without clusters of less than the weight ``least``.

    Their samples go to the next most probable clusters, unless fewer than ``lowest`` clusters
    would remain.
    """
    sizes = np.bincount(partition.labels, weights, partition.n_clusters)
    is_large = sizes >= least
    if is_large.all() or is_large.sum() < lowest:
        return partition
    resp = normalize_rows(partition.responsibilities[:, is_large])
    labels = resp.argmax(1)[None, criterion.positions]
    score = float(criterion.score_robustly(labels)[0])
    return partition._replace(responsibilities=resp, expected_score=score)
