"""The distinct samples of a data set: their neighbor graph, its embeddings and other views.

N samples, M distinct samples in the graph; D features, L embedding dimensions, K clusters.
"""

from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_scalar

from ..input.checks import LARGEST, check_answers, check_sample_weight
from ..input.distinct import find_ranges, hash_samples, merge_equal, order_samples
from ..input.labels import average_finite
from .augmented import AugmentedViews, search_new
from .graph import link_neighbors, search_neighbors
from .search import NeighborIndex, check_distances, nearest_entries

#: New values are clipped at this multiple of the largest fitted one: beyond, rounding makes all
#: distances equal.
CLIP_FACTOR = 1e6


class Reference(NamedTuple):
    """The samples of a graph, with which new samples are compared."""

    #: Samples (M, D), dense or CSR; None with precomputed distances.
    rows: Any
    #: Hashes (M,) of the samples, or of their distances to all samples.
    keys: np.ndarray
    #: Positions (M,) among all samples.
    kept: np.ndarray
    metric: Any
    n_neighbors: int
    #: Mean distance (M,) of each sample to its nearest others.
    spacing: np.ndarray
    #: Views of the samples, or None if they are compared as they are.
    views: AugmentedViews | None = None


class Samples(NamedTuple):
    """The distinct samples of X and their neighbor graph."""

    reference: Reference
    #: Positions of the features that vary; None without features.
    columns: np.ndarray | None
    #: Number of features that vary.
    n_features: int
    #: Neighbor graph (M, M).
    graph: sparse.csr_matrix
    #: Weights (M,), in units of the smallest weight of a sample: how often each occurs.
    weights: np.ndarray
    #: Position (N,) of each sample of X among the M, or -1; None in a fitted estimator.
    inverse: np.ndarray | None


# ---- distinct samples and their graph


def connect(X, n_clusters, settings, stream, sample_weight=None, needed=()):
    """Return the distinct :class:`Samples` of X and their neighbor graph.

    Samples at the positions ``needed`` in X are preferred if there are more than ``max_samples``.
    """
    metric = settings.metric
    precomputed = metric == "precomputed"
    least = 1 if n_clusters == "auto" else n_clusters
    check_scalar(settings.max_samples, "max_samples", Integral, min_val=least)
    if precomputed:
        check_distances(X)

    keys = hash_samples(X)
    weights = check_sample_weight(sample_weight, X)
    weights = weights / weights[weights > 0].min()
    distinct = _find_distinct(X, keys, weights, precomputed)
    if not (precomputed and sparse.issparse(X)):
        distinct = _draw_by_priority(distinct, settings.max_samples, stream, needed)
    kept = distinct.kept

    k = int(settings.n_neighbors)
    if n_clusters != "auto":
        k = min(k, max(1, len(kept) // n_clusters - 1))

    rows = columns = views = None
    n_features = X.shape[1]
    if precomputed:
        nearest = nearest_entries(X[kept][:, kept], k, is_square=True)
    else:
        rows = _take_rows(X, kept)
        columns = _find_varying(rows)
        n_features = len(columns)
        # Partitions of the samples as they are do not know the views.
        if settings.augment is not None or metric not in ("euclidean", "cosine"):
            columns = None
        compared = rows if columns is None else take_columns(rows, columns)
        nearest, views = search_neighbors(compared, k, settings, stream)

    spacing = average_finite(nearest[0])
    reference = Reference(rows, keys[kept], kept, metric, k, spacing, views)
    graph = link_neighbors(*nearest)
    _, inverse, weights = distinct
    return Samples(reference, columns, n_features, graph, weights, inverse)


def _find_distinct(X, keys, weights, precomputed):
    """Return the distinct samples of X by their keys (N,); all samples of a sparse graph."""
    if precomputed:
        keys = np.arange(len(keys)) if sparse.issparse(X) else keys
        return merge_equal(keys, weights)
    distinct = merge_equal(keys, weights)
    return distinct.take(order_samples(_take_rows(X, distinct.kept)))


def _find_varying(rows):
    """Return the positions of the features that vary, or of the first one if none does."""
    low, high = find_ranges(rows)
    varying = np.flatnonzero(high > low)
    return varying if len(varying) else np.array([0])


def take_columns(X, columns):
    """Return some features of X, with contiguous samples."""
    if sparse.issparse(X):
        return X[:, columns]
    return np.take(X, columns, axis=1)


def _take_rows(X, kept):
    """Return some samples of X, contiguous or with sorted indices."""
    if sparse.issparse(X):
        return X[kept].sorted_indices()
    return np.take(X, kept, axis=0)


def _draw_by_priority(distinct, n_drawn, stream, needed):
    """Return at most this many of the :class:`Distinct` samples, drawn at random.

    Priority sampling (N. Duffield, C. Lund, M. Thorup, Journal of the ACM 54, 2007) keeps the
    largest w / u, u uniform, and samples that are ``needed``, unless they are more than half.
    """
    weights = distinct.weights
    if len(weights) <= n_drawn:
        return distinct
    priority = weights / (1 - stream.uniform(size=len(weights)))

    needed = np.array(needed, dtype=int)
    needed = np.unique(distinct.inverse[needed])
    needed = needed[needed >= 0]
    if len(needed) <= n_drawn // 2:
        priority[needed] = np.inf

    order = np.argsort(-priority, kind="stable")
    raised = np.maximum(weights, priority[order[n_drawn]])
    weights = np.where(np.isinf(priority), weights, raised)
    drawn = np.sort(order[:n_drawn])
    return distinct._replace(weights=weights).take(drawn)


# ---- new samples


class Lookup:
    """Looks up new samples among the samples of a reference; prepared on first use."""

    def __init__(self, reference):
        self.reference = reference

    @cached_property
    def places(self):
        """Places of the samples by their keys."""
        keys = self.reference.keys.tolist()
        return dict(zip(keys, range(len(keys)), strict=True))

    @cached_property
    def limit(self):
        """Largest magnitude of a value of a new sample."""
        return find_limit(self.reference.rows, self.reference.metric)

    @cached_property
    def index(self):
        """The samples as they are compared."""
        reference = self.reference
        rows = reference.rows
        if reference.views is not None:
            return NeighborIndex(reference.views.project(rows))
        return NeighborIndex(rows, reference.metric)

    def match_form(self, X):
        """Return X, dense or sparse as the samples, without values that are too large."""
        if self.reference.rows is None:
            return X
        if sparse.issparse(self.reference.rows):
            return sparse.csr_matrix(X)

        X = X.toarray() if sparse.issparse(X) else X
        limit = min(self.limit, float(np.finfo(X.dtype).max))
        return np.clip(X, -limit, limit)

    def find_equal(self, X):
        """Return the place of an equal sample for each of X, or -1, (N,)."""
        keys = hash_samples(X).tolist()
        return np.array([self.places.get(key, -1) for key in keys])

    def search(self, X, n_jobs=None):
        """Return the distances and places of the samples nearest to each of X, (N, k)."""
        reference = self.reference
        k = reference.n_neighbors
        if reference.rows is None:
            return nearest_entries(X[:, reference.kept], k, is_square=False)

        self.index.n_jobs = n_jobs
        if reference.views is not None:
            return search_new(reference.views, reference.rows, self.index, X, k)
        return self.index.query(k, X)


def interpolate(lookup, X, values, n_jobs, equal=None):
    """Return the values of samples X (N, D), and last their mean distances (N,) to neighbors.

    A sample equal to one of the reference, at the place in ``equal`` (N,) if these are known and
    not -1, gets its value from ``values``, arrays (M, C). Others get the mean of their k nearest,
    weighted by 1 / distance (D. Shepard, "A two-dimensional interpolation function for
    irregularly-spaced data", ACM National Conference 1968).
    """
    reference = lookup.reference
    if equal is None:
        equal = lookup.find_equal(lookup.match_form(X))

    new = np.flatnonzero(equal < 0)
    answers = [value[equal] for value in values]
    spacing = reference.spacing[equal]

    if len(new):
        distances, nearest = lookup.search(lookup.match_form(X[new]), n_jobs)
        spacing[new] = average_finite(distances)
        spacing[new[np.isnan(distances).any(1)]] = np.nan
        weights = _weigh(distances).T[:, :, None]
        for answer, value in zip(answers, values, strict=True):
            pairs = zip(weights, nearest.T, strict=True)
            answer[new] = sum(w * value[place] for w, place in pairs)

    check_answers(spacing, X, f" by metric={reference.metric!r}")
    return [*answers, spacing]


def find_limit(rows, metric):
    """Return where values are clipped, so that distances differ and are finite."""
    if metric != "euclidean":
        return LARGEST
    largest = float(max(rows.max(initial=0), -rows.min(initial=0)))
    return min(CLIP_FACTOR * largest or LARGEST, LARGEST)


def _weigh(distances):
    """Return weights (N, k) proportional to 1 / distance, for distances in ascending order."""
    nearest = distances[:, :1]
    with np.errstate(all="ignore"):
        ratios = nearest / distances  # does not overflow, unlike 1 / distance
    weights = np.where(nearest > 0, ratios, distances == 0)
    return weights / weights.sum(1, keepdims=True)
