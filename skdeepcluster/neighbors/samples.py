"""The distinct samples of a data set: their neighbor graph, its layouts and other views.

N samples, M distinct samples in the graph; D features, L layout dimensions, K clusters.
"""

from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize
from sklearn.utils import check_scalar

from .._checks import check_enough, check_sample_weight
from .._labels import average_finite
from .._random import draw_seed
from .augmented import AugmentedViews, prepare_views, search_views
from .candidates import FITTED, Views
from .graph import (
    link_neighbors,
    neighbor_graph,
    neighbor_layout,
    whiten_by_graph,
)
from .search import (
    TINY,
    NeighborIndex,
    check_distances,
    find_ranges,
    hash_samples,
    merge_equal,
    nearest_entries,
    project_rows,
)

#: Maximum number of principal components of the samples that candidates are found in.
WIDE = 50
#: Maximum number of principal components with full covariances.
NARROW = 10
#: Maximum number of features that are whitened; in more features, whitening amplifies noise.
MAX_WHITENED = 100
#: Maximum number of samples with a second layout.
MAX_SECOND = 20_000


class GraphSettings(NamedTuple):
    """Parameters of the graph and the layout, as in ``NeighborClustering``."""

    n_neighbors: int = 15
    metric: Any = "euclidean"
    n_components: int = 5
    max_samples: int = 70_000
    n_jobs: int | None = None
    augment: Any = None
    n_views: int = 16


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

    def to_dict(self):
        """Return the fields as plain data."""
        views = self.views and self.views._asdict()
        return self._asdict() | {"views": views}

    @classmethod
    def from_dict(cls, fields):
        """Return what :meth:`to_dict` has described."""
        reference = cls(**fields)
        if reference.views is None:
            return reference
        return reference._replace(views=AugmentedViews(**reference.views))


class Samples(NamedTuple):
    """The distinct samples of X and their neighbor graph."""

    reference: Reference
    #: Positions of the features that vary, see :func:`order_columns`; None without features.
    columns: np.ndarray | None
    #: Number of features that vary.
    n_features: int
    #: Neighbor graph (M, M).
    graph: sparse.csr_matrix
    #: Weights (M,).
    weights: np.ndarray
    #: Position (N,) of each sample of X among the M, or -1.
    inverse: np.ndarray


# ---- distinct samples and their graph


def connect(X, n_clusters, settings, stream, sample_weight=None, needed=()) -> Samples:
    """Return the distinct :class:`Samples` of X and their neighbor graph.

    Samples at the positions ``needed`` in X are preferred if there are more than ``max_samples``.
    """
    metric = settings.metric
    precomputed = metric == "precomputed"
    least = 1 if n_clusters == "auto" else n_clusters
    check_enough(X.shape[0], least)
    check_scalar(settings.max_samples, "max_samples", Integral, min_val=least)
    if precomputed:
        check_distances(X)

    keys = hash_samples(X, stored_zeros=precomputed)
    weights = check_sample_weight(sample_weight, X)
    weights = weights / weights.max()
    columns = None
    if precomputed and sparse.issparse(X):  # all samples are distinct
        distinct = merge_equal(np.arange(len(keys)), weights)
    else:
        distinct = merge_equal(keys, weights)
        distinct, columns = _sort_distinct(X, distinct, metric)
        if len(distinct.kept) > settings.max_samples:
            distinct = _draw_samples(distinct, settings.max_samples, stream, needed)
    n_features = X.shape[1] if columns is None else len(columns)
    if settings.augment is not None:
        columns = None  # partitions of the samples as they are do not know the views

    k = int(settings.n_neighbors)
    if n_clusters != "auto":
        k = min(k, max(1, len(distinct.kept) // n_clusters - 1))

    rows = None
    views = None
    if precomputed:
        distinct, *nearest = _search_distances(X, distinct, k)
    else:
        rows = _take_rows(X, distinct.kept)
        views, nearest = _search_samples(rows, columns, k, settings, stream)

    kept, inverse, weights = distinct
    spacing = average_finite(nearest[0])
    reference = Reference(rows, keys[kept], kept, metric, k, spacing, views)
    graph = link_neighbors(*nearest)
    return Samples(reference, columns, n_features, graph, weights, inverse)


def _search_samples(rows, columns, k, settings, stream):
    """Return the views of samples, or None, and the distances and places of neighbors."""
    if settings.augment is None:
        compared = rows if columns is None else take_columns(rows, columns)
        index = NeighborIndex(compared, settings.metric, settings.n_jobs)
        return None, index.query_self(k)
    seed = draw_seed(stream)
    views = prepare_views(settings.augment, settings.n_views, seed, rows)
    distances, neighbors = search_views(views, rows, k, settings.n_jobs)
    views = views._replace(neighbors=neighbors)
    return views, (distances, neighbors)


def _sort_distinct(X, distinct, metric):
    """Return the samples in an order that depends on values only, and the features that vary."""
    kept = distinct.kept
    rows = X if len(kept) == X.shape[0] else X[kept]
    if metric in ("euclidean", "cosine"):
        varying = columns = order_columns(rows)
    else:
        columns = None
        varying = np.flatnonzero(np.subtract(*find_ranges(rows)))

    direction = np.zeros(X.shape[1])
    direction[varying] = _draw_direction(len(varying))
    order = np.argsort(project_rows(X, direction)[kept], kind="stable")
    weights = distinct.weights / distinct.weights.max()
    distinct = distinct._replace(weights=weights)
    return distinct.take(order), columns


def _draw_direction(n_features):
    return np.random.default_rng(0).standard_normal(n_features)


def order_columns(X):
    """Return positions of the features that vary, in an order that no unit or shift changes."""
    least, largest = find_ranges(X)
    ranges = largest - least
    unit = np.ldexp(1.0, -np.frexp(max(-least.min(), largest.max()))[1])
    # Single precision hides how means are rounded in another order of the samples.
    means = np.ravel(X.mean(0, dtype=float)) - least
    keys = [(unit * values).astype(np.float32) for values in (ranges, means)]
    order = np.lexsort(keys)
    varying = order[ranges[order] > 0]
    return varying if len(varying) else order[:1]


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


def _draw_samples(distinct, n_drawn, stream, needed):
    """Return a random subset of the :class:`Distinct` samples.

    Priority sampling (N. Duffield, C. Lund, M. Thorup, Journal of the ACM 54, 2007) keeps the
    largest w / u, u uniform, and samples that are ``needed``, unless they are more than half.
    """
    weights = distinct.weights
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


def _search_distances(X, distinct, k):
    """Return the samples in another order, and the distances and places of their neighbors."""
    X = X[distinct.kept][:, distinct.kept]
    distances, neighbors = nearest_entries(X, k, own=True)

    # Only sorted distances do not depend on the order of the columns.
    known = np.where(np.isfinite(distances), distances, 0)
    direction = _draw_direction(known.shape[1])
    order = np.argsort(project_rows(known, direction), kind="stable")
    places = np.argsort(order)[neighbors[order]]
    return distinct.take(order), distances[order], places


# ---- views


def make_views(samples, settings, stream) -> Views:
    """Return the :class:`Views` of the samples of a graph.

    The second layout places whitened samples, or the same graph if there are too many features.
    """
    options = {"n_epochs": 50, "n_jobs": settings.n_jobs}
    options |= {"n_components": settings.n_components}

    def place(graph):
        layout = neighbor_layout(graph, random_state=stream, **options)
        return scale_points(layout)

    graph = samples.graph
    first = place(graph)
    views = view_layout(first, samples, stream)
    if samples.columns is None:
        is_augmented = samples.reference.views is not None
        if is_augmented and len(first) <= MAX_SECOND:
            return replace(views, layouts=[first, place(graph)])
        return views

    points = take_points(samples)
    n_samples, n_features = points.shape
    wide = project_points(points, views.drawn, WIDE)
    narrow = project_points(wide, views.drawn, NARROW)
    views = replace(
        views,
        wide=scale_points(wide),
        narrow=scale_points(narrow),
        unit=_scale_to_unit(points),
        has_features=True,
    )
    if n_samples > MAX_SECOND:
        return views

    if 1 < n_features <= MAX_WHITENED and not sparse.issparse(points):
        k = samples.reference.n_neighbors
        white = whiten_by_graph(points, graph, k, settings.n_jobs)
        views = replace(views, white=white)
        graph = neighbor_graph(white, k, n_jobs=settings.n_jobs)
    return replace(views, layouts=[first, place(graph)])


def view_layout(layout, samples, stream):
    """Return the :class:`Views` of a layout, with samples drawn by their weights."""
    weights = samples.weights
    if (weights == weights[0]).all():
        drawn = stream.permutation(len(weights))[:FITTED]
    else:
        size = min(FITTED, len(weights))
        shares = weights / weights.sum()
        drawn = stream.choice(len(weights), size, replace=False, p=shares)
    return Views(
        layout,
        layout,
        [layout],
        samples.graph,
        weights,
        drawn,
        has_features=False,
    )


def take_points(samples):
    """Return the samples as points of a Euclidean space with values in [-1, 1]."""
    points = take_columns(samples.reference.rows, samples.columns)
    if samples.reference.metric == "cosine":
        points = normalize(points)
    if sparse.issparse(points) and points.shape[1] <= MAX_WHITENED:
        points = points.toarray()

    largest = max(abs(points).max(), TINY)
    return points.astype(float) * (1 / largest)


def project_points(points, drawn, n_components):
    """Return points on at most ``n_components`` principal axes of some of them."""
    if points.shape[1] <= n_components:
        return points.toarray() if sparse.issparse(points) else points
    n_components = min(n_components, len(drawn) - 1)
    if n_components < 1:
        return np.zeros((points.shape[0], 1))

    solver = "arpack" if sparse.issparse(points) else "auto"
    pca = PCA(n_components, svd_solver=solver, random_state=0)
    return pca.fit(points[np.sort(drawn)]).transform(points)


def scale_points(points):
    """Return points (M, D) centered and scaled to a mean variance of one, in double precision."""
    points = points - points.mean(0, dtype=float)
    return points / max(np.sqrt(points.var(0).mean()), 1e-300)


def _scale_to_unit(points):
    """Return points scaled to a mean square of one if all have the same length, else None."""
    if sparse.issparse(points) or points.shape[1] < NARROW:
        return None

    lengths = np.sqrt(np.square(points).sum(1))
    mean = lengths.mean()
    if np.ptp(lengths) > 1e-3 * mean:
        return None

    factor = np.sqrt(points.shape[1]) / mean
    return (points * factor).astype(np.float32)
