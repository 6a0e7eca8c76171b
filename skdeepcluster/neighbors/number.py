"""The number of clusters, and the tree of clusters and their parts.

M samples, P points, K clusters, L layout dimensions.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from .._labels import cluster_means, indicate
from .candidates import MERGED, Candidate, find_candidates
from .candidates import cut_tree as find_groups
from .features import describe_all, prepare
from .selection import predict_scores

#: Minimum expected score of two or more clusters; below it, all samples are one cluster.
MIN_SCORE = 0.3
#: Share by which the score of the chosen number may be below the highest score.
TOLERANCE = 0.05


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


def take_number(numbers, scores):
    """Return the smallest number, in ascending order, whose score is about the highest."""
    return int(numbers[np.argmax(scores >= (1 - TOLERANCE) * np.max(scores))])


def list_numbers(max_clusters):
    """Return the numbers of clusters that are tried: all up to 12, then in steps of 10 %."""
    numbers = list(range(1, 13))
    while numbers[-1] < max_clusters:
        numbers.append(min(int(np.ceil(1.1 * numbers[-1])), max_clusters))
    return [number for number in numbers if number <= max_clusters]


def judge_numbers(views, n_features, numbers, stream, refine=False, limits=None):
    """Return (number, candidates on the judged samples, their features) for numbers above 1.

    Clusters have 5 samples or more on average. ``refine`` adds the numbers around the best one.
    ``limits``, ``Constraints`` or None, exclude numbers.
    """
    drawn, found = views.draw(MERGED), []
    numbers = sorted({k for k in numbers if 1 < k <= len(drawn) // 5})
    if not numbers:
        return found
    views = views.take(drawn)
    judged = prepare(views, n_features)
    while numbers:
        for number in numbers if limits is None else filter(limits.allows, numbers):
            candidates = list(find_candidates(views, number, stream, brief=True))
            found.append((number, candidates, describe_all(judged, candidates, number)))
        numbers = _list_between(_draw_curve(found, views, limits)) if refine else []
        refine = False
    return sorted(found, key=lambda entry: entry[0])


def _list_between(curve):
    """Return the numbers around the best one that have not been tried."""
    place = int(np.flatnonzero(curve.n_clusters == curve.best)[0])
    around = curve.n_clusters[max(place - 1, 0) : place + 2]
    return sorted(set(range(around[0], around[-1])) - set(curve.n_clusters.tolist()))


def choose_number(views, n_features, numbers, stream, refine=True, limits=None):
    """Return the :class:`Curve` of some numbers of clusters, see :func:`judge_numbers`."""
    found = judge_numbers(views, n_features, numbers, stream, refine, limits)
    return _draw_curve(found, views.take(views.draw(MERGED)), limits)


def _draw_curve(found, views, limits):
    """Return the :class:`Curve` of the results of :func:`judge_numbers`."""
    if not found:
        return Curve(np.ones(1, dtype=np.int64), np.ones(1), np.ones(1))
    tables = [table for *_, table in found]
    scores = [np.array([MIN_SCORE]), *predict_scores(tables, "number")]
    if limits is not None:
        one = 1, [Candidate("one", np.zeros(len(views.weights), dtype=np.int64))]
        for own, (number, candidates, *_) in zip(scores, [one, *found], strict=True):
            own[:] = limits.lower(
                own, [c.labels for c in candidates], views.weights, number
            )
    scores = np.array([own.max() for own in scores])
    tried = np.array([1, *(number for number, *_ in found)])
    agreement = np.array([1.0, *(table["mean agreement"][0] for table in tables)])
    return Curve(tried, scores, agreement)


# ---- the tree of clusters


class ClusterTree(NamedTuple):
    """A tree whose leaves are parts of clusters. The parts of a cluster are merged first."""

    #: Centers (P, L) of the leaves in the layout.
    centers: np.ndarray
    #: Cluster (P,) of each leaf.
    clusters: np.ndarray
    #: Merges (P - 1, 2), as in scikit-learn's AgglomerativeClustering.
    children: np.ndarray
    #: Ward's distance (P - 1,) of each merge, ascending.
    distances: np.ndarray

    def find_leaves(self, layout, labels):
        """Return the nearest leaf (N,) of each sample in its cluster, or of all if it has none."""
        leaves = np.empty(len(labels), dtype=np.int64)
        for cluster in np.unique(labels):
            rows, is_own = labels == cluster, self.clusters == cluster
            own = np.flatnonzero(is_own if is_own.any() else ~is_own)
            points = layout[rows].astype(np.float64)
            leaves[rows] = own[pairwise_distances_argmin(points, self.centers[own])]
        return leaves


def cut_tree(children, clusters, n_clusters):
    """Return the cluster (P,) of each leaf after a cut of a tree into ``n_clusters``.

    Clusters are numbered by the first of the given ``clusters`` (P,), or the first leaf, in them.
    """
    groups = find_groups(children, n_clusters)
    order = np.argsort(clusters, kind="stable")
    _, first = np.unique(groups[order], return_index=True)
    return np.argsort(np.argsort(first))[groups]


def grow_tree(layout, places, labels, weights, parts):
    """Return the :class:`ClusterTree` of samples with a ``layout`` (M, L) and ``weights`` (M,).

    Its leaves are the intersections of clusters, ``labels`` (M,), and ``parts`` (M,). The first
    merge increases the sum of squares of ``places`` (M, P) within groups least, by
    |m_i - m_j|^2 n_i n_j / (n_i + n_j) with means m and sizes n, half the square of Ward's
    distance.
    """
    pairs, leaves = np.unique(
        np.column_stack([labels, parts]), axis=0, return_inverse=True
    )
    resp, n_leaves, clusters = (
        indicate(leaves.ravel(), len(pairs)),
        len(pairs),
        pairs[:, 0],
    )
    resp.data[:] = weights
    centers, means = cluster_means(resp, layout), cluster_means(resp, places)
    sizes, numbers, children, distances = resp.sum(0), np.arange(n_leaves), [], []

    def measure(i):
        total = np.maximum(sizes[i] + sizes, np.finfo(np.float64).tiny)
        return np.square(means[i] - means).sum(1) * (sizes[i] * sizes / total)

    growth = np.stack([measure(i) for i in range(n_leaves)])
    np.fill_diagonal(growth, np.inf)
    within = np.where(clusters[:, None] == clusters, growth, np.inf)
    for t in range(n_leaves - 1):
        least = growth if np.isinf(within).all() else within
        i, j = np.unravel_index(least.argmin(), least.shape)
        children.append((numbers[i], numbers[j]))
        distances.append(np.sqrt(2 * growth[i, j]))
        sizes[i], numbers[i] = sizes[i] + sizes[j], n_leaves + t
        means[i] += (means[j] - means[i]) * (
            sizes[j] / max(sizes[i], np.finfo(np.float64).tiny)
        )
        for table in (growth, within):
            table[j] = table[:, j] = np.inf
            table[i] = table[:, i] = np.where(np.isinf(table[i]), np.inf, measure(i))
    children = np.array(children, dtype=np.int64).reshape(-1, 2)
    return ClusterTree(
        centers, clusters, children, np.maximum.accumulate(np.array(distances))
    )
