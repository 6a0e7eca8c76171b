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
from .._labels import average_finite, cluster_means
from .candidates import FITTED, Views, run_kmeans
from .graph import (
    link_neighbors,
    neighbor_graph,
    neighbor_layout,
    whiten_by_graph,
    whitening_matrix,
)
from .search import (
    NeighborIndex,
    check_distances,
    find_ranges,
    hash_samples,
    merge_equal,
    nearest_entries,
    project_rows,
    single_threaded_blas,
)

#: Maximum number of principal components in which samples are compared.
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


class Samples(NamedTuple):
    """The distinct samples of X and their neighbor graph."""

    reference: Reference
    #: Positions of the features that vary, see :func:`order_columns`; None without features.
    columns: np.ndarray | None
    #: Neighbor graph (M, M).
    graph: sparse.csr_matrix
    #: Weights (M,).
    weights: np.ndarray
    #: Position (N,) of each sample of X among the M, or -1.
    inverse: np.ndarray


class Distinct(NamedTuple):
    """Distinct samples of a positive weight, in an order that depends on their values only."""

    #: Positions (M,) in X.
    kept: np.ndarray
    #: Position (N,) of each sample of X among the M, or -1.
    inverse: np.ndarray
    weights: np.ndarray

    def take(self, chosen):
        """Return some of the samples, in the order of ``chosen``."""
        place = np.full(len(self.kept) + 1, -1)
        place[chosen] = np.arange(len(chosen))
        kept = self.kept[chosen]
        return Distinct(kept, place[self.inverse], self.weights[chosen])


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

    weights = check_sample_weight(sample_weight, X)
    hashes = hash_samples(X, stored_zeros=precomputed)
    distinct, columns = _find_distinct(X, hashes, weights / weights.max(), metric)
    is_large = len(distinct.kept) > settings.max_samples
    if is_large and not (precomputed and sparse.issparse(X)):
        distinct = _draw_samples(distinct, settings.max_samples, stream, needed)

    n_neighbors = int(settings.n_neighbors)
    if n_clusters != "auto":
        mean_size = len(distinct.kept) // n_clusters
        n_neighbors = min(n_neighbors, max(1, mean_size - 1))
    if precomputed:
        rows = None
        distinct, *nearest = _search_distances(X, distinct, n_neighbors)
    else:
        rows = _take_rows(X, distinct.kept)
        compared = rows if columns is None else take_columns(rows, columns)
        index = NeighborIndex(compared, metric, settings.n_jobs)
        nearest = index.query_self(n_neighbors)

    kept, inverse, weights = distinct
    spacing = average_finite(nearest[0])
    reference = Reference(rows, hashes[kept], kept, metric, n_neighbors, spacing)
    graph = link_neighbors(*nearest)
    return Samples(reference, columns, graph, weights, inverse)


def _find_distinct(X, hashes, weights, metric):
    """Return the :class:`Distinct` samples, and the features that vary.

    Samples with sparse distances are all distinct.
    """
    if metric == "precomputed" and sparse.issparse(X):
        return Distinct(*merge_equal(np.arange(len(weights)), weights)), None

    kept, inverse, weights = merge_equal(hashes, weights)
    rows = X if len(kept) == X.shape[0] else X[kept]
    if metric in ("euclidean", "cosine"):
        varying = columns = order_columns(rows)
    else:
        columns = None
        varying = np.flatnonzero(np.subtract(*find_ranges(rows)))
    direction = np.zeros(X.shape[1])
    direction[varying] = _draw_direction(len(varying))
    order = np.argsort(project_rows(X, direction)[kept], kind="stable")
    distinct = Distinct(kept, inverse, weights / weights.max())
    return distinct.take(order), columns


def _draw_direction(n_features):
    return np.random.default_rng(0).standard_normal(n_features)


def order_columns(X):
    """Return positions of the features that vary, in an order that no unit or shift changes."""
    least, largest = find_ranges(X)
    ranges = largest - least
    unit = np.ldexp(1.0, -np.frexp(max(-least.min(), largest.max()))[1])
    # Single precision hides how means are rounded in another order of the samples.
    means = np.ravel(X.mean(0, dtype=np.float64)) - least
    keys = [(unit * values).astype(np.float32) for values in (ranges, means)]
    order = np.lexsort(keys)
    varying = order[ranges[order] > 0]
    return varying if len(varying) else order[:1]


def take_columns(X, columns):
    """Return some features of X, with contiguous samples."""
    return X[:, columns] if sparse.issparse(X) else np.take(X, columns, axis=1)


def _take_rows(X, kept):
    """Return some samples of X, in the canonical form of their kind."""
    return X[kept].sorted_indices() if sparse.issparse(X) else np.take(X, kept, axis=0)


def _draw_samples(distinct, n_drawn, stream, needed):
    """Return a random subset of the :class:`Distinct` samples.

    Priority sampling (N. Duffield, C. Lund, M. Thorup, Journal of the ACM 54, 2007) keeps the
    largest w / u, u uniform, and samples that are ``needed``, unless they are more than half.
    """
    weights = distinct.weights
    priority = weights / (1 - stream.uniform(size=len(weights)))
    needed = np.unique(distinct.inverse[np.array(needed, dtype=np.int64)])
    needed = needed[needed >= 0]
    if len(needed) <= n_drawn // 2:
        priority[needed] = np.inf

    order = np.argsort(-priority, kind="stable")
    drawn = np.sort(order[:n_drawn])
    threshold = priority[order[n_drawn]]
    raised = np.maximum(weights, threshold)
    raised[np.isinf(priority)] = weights[np.isinf(priority)]
    return distinct._replace(weights=raised).take(drawn)


def _search_distances(X, distinct, n_neighbors):
    """Return the samples in another order, and the distances and places of their neighbors."""
    own = X[distinct.kept][:, distinct.kept]
    distances, neighbors = nearest_entries(own, n_neighbors, own=True)
    # Only sorted distances do not depend on the order of the columns.
    known = np.where(np.isfinite(distances), distances, 0)
    direction = _draw_direction(known.shape[1])
    order = np.argsort(project_rows(known, direction), kind="stable")
    neighbors = np.argsort(order)[neighbors[order]]
    return distinct.take(order), distances[order], neighbors


# ---- views


def make_views(samples, n_clusters, settings, stream) -> Views:
    """Return the :class:`Views` of the samples of a graph.

    The second layout places whitened samples, or the same graph if there are too many features.
    """

    def place(graph):
        options = {"n_epochs": 50, "random_state": stream, "n_jobs": settings.n_jobs}
        return scale_points(neighbor_layout(graph, settings.n_components, **options))

    first = place(samples.graph)
    views = view_layout(first, samples, stream)
    if samples.columns is None:
        return views

    points = take_points(samples)
    wide = project_points(points, views.drawn, WIDE)
    views = replace(
        views,
        wide=scale_points(wide),
        narrow=scale_points(project_points(wide, views.drawn, NARROW)),
        unit=_scale_to_unit(points),
        has_features=True,
    )
    if len(samples.weights) > MAX_SECOND:
        return views

    graph = samples.graph
    if 1 < points.shape[1] <= MAX_WHITENED and not sparse.issparse(points):
        n_neighbors = samples.reference.n_neighbors
        white = whiten_by_graph(points, graph, n_neighbors, settings.n_jobs)
        if n_clusters != "auto":
            white = _whiten_within(points, white, views, n_clusters, stream)
        views = replace(views, white=white)
        graph = neighbor_graph(white, n_neighbors, n_jobs=settings.n_jobs)
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
        wide=layout,
        narrow=layout,
        layouts=[layout],
        graph=samples.graph,
        weights=weights,
        drawn=drawn,
        has_features=False,
    )


def _whiten_within(points, white, views, n_clusters, stream):
    """Return points (M, D) whitened by the scatter within k-means clusters of whitened ones."""
    n_clusters = min(n_clusters, len(points))
    resp = np.eye(n_clusters)[run_kmeans(white, views, n_clusters, stream)]
    weights = views.weights[:, None]
    with single_threaded_blas():
        gaps = points - resp @ cluster_means(resp * weights, points)
        scatter = gaps.T @ (gaps * weights) / weights.sum()
        n_free = max(len(points) - n_clusters, 1)
        return points @ whitening_matrix(scatter, n_free)


def take_points(samples):
    """Return the samples as points of a Euclidean space with values in [-1, 1]."""
    points = take_columns(samples.reference.rows, samples.columns)
    if samples.reference.metric == "cosine":
        points = normalize(points)
    if sparse.issparse(points) and points.shape[1] <= MAX_WHITENED:
        points = points.toarray()
    largest = max(abs(points).max(), np.finfo(np.float64).tiny)
    return points.astype(np.float64) * (1 / largest)


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
    points = points - points.mean(0, dtype=np.float64)
    return points / max(np.sqrt(points.var(0).mean()), 1e-300)


def _scale_to_unit(points):
    """Return points scaled to a mean square of one if all have the same length, else None."""
    if sparse.issparse(points) or points.shape[1] < NARROW:
        return None
    lengths = np.sqrt(np.square(points).sum(1))
    mean = lengths.mean()
    if np.ptp(lengths) > 1e-3 * mean:
        return None
    return (points * (np.sqrt(points.shape[1]) / mean)).astype(np.float32)
