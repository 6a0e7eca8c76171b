"""Partition a data set: find distinct samples, their graph, views and clusters.

N samples, M distinct samples in the graph; D features, L layout dimensions, K clusters.
"""

import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import Bunch, check_array, check_scalar

from .._checks import LARGEST, check_answers, check_enough, check_sample_weight
from .._labels import average_finite, cluster_means, indicate
from .._random import random_stream
from .candidates import (
    COMPONENTS,
    FITTED,
    LAYOUT_REGULARIZATION,
    Views,
    run_em,
    run_kmeans,
)
from .constraints import constrain, read_pairs
from .graph import link_neighbors, neighbor_layout, whiten, whitening_matrix
from .labels import count_labels, follow_labels, spread_along
from .number import ClusterTree, Curve, choose_number, grow_tree, list_numbers
from .search import (
    NeighborIndex,
    check_distances,
    fill_missing,
    find_ranges,
    hash_rows,
    nearest_entries,
    project_rows,
    single_threaded_blas,
    unique_rows,
)
from .selection import choose_partition

#: Maximum number of principal components that samples are compared by.
WIDE = 50
#: Maximum number of principal components with full covariances.
NARROW = 10
#: Maximum number of features that are whitened; in more features, whitening amplifies noise.
MAX_WHITENED = 100
#: Maximum number of samples with a second layout.
MAX_SECOND = 20_000
#: Largest multiple of the fitted values that samples are compared at: of values farther away,
#: rounding makes all distances equal.
FAR = 1e6
#: Number of mixtures that smooth a few given labels.
MIXTURES = 5


class Settings(NamedTuple):
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
    #: Hashes (M,) of these samples, or of their distances to all samples.
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


class Partition(NamedTuple):
    """Clusters of the N samples of X, and the graph and layout that show them."""

    samples: Samples
    #: Responsibilities (M, K).
    resp: np.ndarray
    #: Layout (M, L).
    layout: np.ndarray
    #: Expected adjusted Rand index with the true clusters.
    expected_score: float
    #: Scores of numbers of clusters with ``n_clusters="auto"``.
    curve: Curve | None = None

    def extend(self, X, n_jobs=None) -> list[np.ndarray]:
        """Return responsibilities (N, K), layout (N, L) and spacing (N,) of all samples of X."""
        return interpolate(self.samples.reference, X, [self.resp, self.layout], n_jobs)

    def grow_tree(self) -> ClusterTree:
        """Return the :class:`ClusterTree` of the clusters in the layout."""
        stream, weights = np.random.RandomState(0), self.samples.weights
        layout, labels = self.layout.astype(np.float64), self.resp.argmax(1)
        n_parts = max(200, 2 * self.resp.shape[1])
        n_parts = min(
            n_parts, max(len(layout) // 3, 1)
        )  # three samples or more on average
        views = _view_layouts([layout], self.samples.graph, weights, stream)
        parts = run_kmeans(layout, views, n_parts, stream, n_init=1)
        places = _place_components(layout, self.samples, views)
        return grow_tree(layout, places, labels, weights, parts)


def find_partition(
    X,
    n_clusters,
    *,
    sample_weight=None,
    labels=None,
    max_clusters=60,
    sizes=(None, None),
    must_link=None,
    cannot_link=None,
    random_state=None,
    report=nullcontext,
    **settings,
) -> Partition:
    """Return the :class:`Partition` of X (N, D), see :class:`~skdeepcluster.NeighborClustering`.

    ``labels`` (N,) are clusters from 0 on, -1 where unknown, and ``sizes`` the minimum and maximum
    size of a cluster. ``settings`` are fields of :class:`Settings`. Each stage runs in the context
    ``report(stage)``.
    """
    stream, settings = random_stream(random_state), Settings(**settings)
    n_clusters = n_clusters if n_clusters == "auto" else int(n_clusters)
    pairs = list(read_pairs(X.shape[0], must_link=must_link, cannot_link=cannot_link))
    with report("graph"):
        named = np.concatenate(pairs).ravel()
        samples = connect(X, n_clusters, settings, stream, sample_weight, labels, named)
    weights = check_sample_weight(sample_weight, X)
    limits = constrain(samples, weights, sizes, *pairs, labels)
    if limits is not None and n_clusters != "auto":
        limits.check(n_clusters)
    with report("layout"):
        views = make_views(samples, n_clusters, settings, stream)
    curve, n_features = None, X.shape[1]
    if n_clusters == "auto":
        with report("number"):
            tried = list_numbers(max_clusters)
            curve = choose_number(views, n_features, tried, stream, limits=limits)
        n_clusters = max(curve.best, 1 if labels is None else labels.max() + 1)
        if limits is not None:
            n_clusters = max(n_clusters, len(limits.exclusive))
            limits.check(n_clusters)
    with report("partition"):
        resp, expected = choose_partition(views, n_features, n_clusters, stream, limits)
    known = None
    if labels is not None:
        known = count_labels(labels, n_clusters, samples.inverse, weights)
        resp = follow_labels(
            resp, known, samples.graph, samples.weights, views.layouts[0]
        )
    if limits is not None:
        resp = limits.impose(resp, views.layouts[0], known)
    if curve is not None:
        expected = min(expected, float(curve.criterion.max()))
    return Partition(
        samples, resp, views.layouts[0].astype(np.float32), expected, curve
    )


def count_clusters(
    X,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., float] = "euclidean",
    sample_weight=None,
    max_clusters: int = 60,
    numbers: Iterable[int] | None = None,
    n_components: int = 5,
    max_samples: int = 20_000,
    random_state=None,
    n_jobs: int | None = None,
) -> Bunch:
    """Find the number of clusters of X without labels.

    The criterion of :class:`~skdeepcluster.NeighborClustering` compares candidate partitions.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, or their distances with ``metric="precomputed"``.
    n_neighbors, metric, max_clusters, n_components, max_samples, random_state, n_jobs
        As in :class:`~skdeepcluster.NeighborClustering`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.
    numbers : iterable of int, default=None
        Numbers to try; None tries numbers up to ``max_clusters``.

    Returns
    -------
    Bunch
        ``best_n_clusters``, and the arrays of ``n_clusters_curve_`` of
        :class:`~skdeepcluster.NeighborClustering`.

    See Also
    --------
    skdeepcluster.select_n_clusters : For any clusterer.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.neighbors import count_clusters
    >>> X, _ = make_blobs(300, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> count_clusters(X, random_state=0).best_n_clusters
    3
    """
    X = _check_samples(X, n_neighbors)
    stream = random_stream(random_state)
    settings = Settings(n_neighbors, metric, n_components, max_samples, n_jobs)
    samples = connect(X, "auto", settings, stream, sample_weight)
    views = make_views(samples, "auto", settings, stream)
    tried = list_numbers(max_clusters) if numbers is None else numbers
    curve = choose_number(views, X.shape[1], tried, stream, refine=numbers is None)
    warn_of_edge(curve, max_clusters, len(samples.weights), stacklevel=3)
    return Bunch(best_n_clusters=curve.best, **curve._asdict())


def _check_samples(X, n_neighbors):
    """Return samples X (N, D), checked, with missing values filled."""
    options = {"dtype": [np.float64, np.float32], "input_name": "X"}
    finite = True if sparse.issparse(X) else "allow-nan"
    X = check_array(X, accept_sparse="csr", ensure_all_finite=finite, **options)
    return fill_missing(X, n_neighbors)


def partition_by_labels(
    X, targets, n_classes, *, n_neighbors=15, random_state=None, n_jobs=None
) -> np.ndarray:
    """Return class probabilities (N, K) from a few ``targets`` (N,), -1 for none.

    They are the mean of two estimates. The first spreads the labels along the neighbor graph. The
    second fits mixtures of 2 K components to the layout and averages the first by component.
    """
    X = _check_samples(X, n_neighbors)
    stream = random_stream(random_state)
    settings = Settings(n_neighbors, max_samples=X.shape[0], n_jobs=n_jobs)
    samples = connect(X, n_classes, settings, stream)
    graph, weights, rows = samples.graph, samples.weights, samples.reference.rows
    counts = count_labels(targets, n_classes, samples.inverse)
    spread, piece = (
        spread_along(graph, counts),
        connected_components(graph, directed=False)[1],
    )
    known = np.isin(piece, piece[counts.any(1)])
    if (
        known.any() and not known.all()
    ):  # components without labels follow the nearest samples
        nearest = NeighborIndex(rows[known], n_jobs=n_jobs).query(rows[~known], 1)[1]
        spread[~known] = spread[known][nearest[:, 0]]
    layout = _scale(neighbor_layout(graph, random_state=stream, n_jobs=n_jobs))
    views = _view_layouts([layout], graph, weights, stream)
    smooth, n_components = (
        np.zeros_like(spread),
        min(COMPONENTS * n_classes, len(layout)),
    )
    for _ in range(MIXTURES):
        labels = run_kmeans(layout, views, n_components, stream, n_init=1)
        densities = run_em(
            layout, views, labels, n_components, "full", LAYOUT_REGULARIZATION
        )
        resp = softmax(densities, axis=1)
        smooth += resp @ cluster_means(resp * weights[:, None], spread) / MIXTURES
    return ((spread + smooth) / 2)[samples.inverse]


def warn_of_edge(curve, max_clusters, n_samples, stacklevel):
    """Warn if the largest number of clusters is the best."""
    if curve.best == curve.n_clusters[-1] and n_samples > 1:
        warnings.warn(
            f"n_clusters='auto' chose {curve.best}, the largest number tried. Raise max_clusters="
            f"{max_clusters} (at most a fifth of the distinct samples), or set n_clusters.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )


# ---- distinct samples and their graph


def connect(
    X, n_clusters, settings, stream, sample_weight=None, labels=None, named=()
) -> Samples:
    """Return the distinct :class:`Samples` of X and their neighbor graph."""
    metric, n_neighbors = settings.metric, int(settings.n_neighbors)
    least, precomputed = (
        1 if n_clusters == "auto" else n_clusters,
        metric == "precomputed",
    )
    check_enough(X.shape[0], least)
    check_scalar(settings.max_samples, "max_samples", Integral, min_val=least)
    if precomputed:
        check_distances(X)
    weights, hashes = (
        check_sample_weight(sample_weight, X),
        hash_rows(X, stored_zeros=precomputed),
    )
    columns, *distinct = _find_distinct(X, hashes, weights / weights.max(), metric)
    if len(distinct[0]) > settings.max_samples and not (
        precomputed and sparse.issparse(X)
    ):
        distinct = _draw_samples(*distinct, settings.max_samples, stream, labels, named)
    kept, inverse, weights = distinct
    if n_clusters != "auto":
        n_neighbors = min(n_neighbors, max(1, len(kept) // n_clusters - 1))
    if precomputed:
        order, *found = _find_by_distances(X[kept][:, kept], n_neighbors)
        kept, weights = kept[order], weights[order]
        inverse = np.append(np.argsort(order), -1)[inverse]
        rows = None
    else:
        rows = (
            X[kept].sorted_indices()
            if sparse.issparse(X)
            else np.ascontiguousarray(X[kept])
        )
        compared = rows if columns is None else take_columns(rows, columns)
        found = NeighborIndex(compared, metric, settings.n_jobs).query_self(n_neighbors)
    spacing = average_finite(found[0])
    reference = Reference(rows, hashes[kept], kept, metric, n_neighbors, spacing)
    return Samples(reference, columns, link_neighbors(*found), weights, inverse)


def order_columns(X):
    """Return positions of the features that vary, in an order that no unit or shift changes."""
    least, largest = find_ranges(X)
    varying = largest > least
    unit = np.ldexp(1.0, -np.frexp(max(-least.min(), largest.max()))[1])
    # Single precision hides how means are rounded in another order of the samples.
    mean = (unit * (np.ravel(X.mean(0, dtype=np.float64)) - least)).astype(np.float32)
    order = np.lexsort(((unit * (largest - least)).astype(np.float32), mean))
    return order[varying[order]] if varying.any() else order[:1]


def take_columns(X, columns):
    """Return some features of X, with contiguous samples."""
    return X[:, columns] if sparse.issparse(X) else np.take(X, columns, axis=1)


def _find_distinct(X, hashes, weights, metric):
    """Return (columns, kept, inverse, weights) of the distinct samples with a positive weight.

    Their order depends on values only. Samples with sparse distances are all distinct.
    """
    if metric == "precomputed" and sparse.issparse(X):
        kept = np.flatnonzero(weights)
        inverse = np.where(weights > 0, np.cumsum(weights > 0) - 1, -1)
        return None, kept, inverse, weights[kept]
    kept, inverse, weights = unique_rows(hashes, weights)
    rows = X if len(kept) == X.shape[0] else X[kept]
    columns = order_columns(rows) if metric in ("euclidean", "cosine") else None
    own = (
        np.flatnonzero(np.subtract(*find_ranges(rows))) if columns is None else columns
    )
    direction = np.zeros(X.shape[1])
    direction[own] = np.random.default_rng(0).standard_normal(len(own))
    order = np.argsort(project_rows(X, direction)[kept], kind="stable")
    inverse = np.append(np.argsort(order), -1)[inverse]
    return columns, kept[order], inverse, (weights / weights.max())[order]


def _draw_samples(kept, inverse, weights, n_drawn, stream, labels, named):
    """Return (kept, inverse, weights) of a random subset of the distinct samples.

    Priority sampling (N. Duffield, C. Lund, M. Thorup, Journal of the ACM 54, 2007) keeps the
    largest w / u, u uniform, and samples that are ``named`` or have ``labels`` (N,), unless they
    are more than half.
    """
    priority = weights / (1 - stream.uniform(size=len(kept)))
    if labels is not None or len(named):
        known = np.flatnonzero(labels >= 0) if labels is not None else []
        known = inverse[np.append(known, named).astype(np.int64)]
        known = np.unique(known[known >= 0])
        if len(known) <= n_drawn // 2:
            priority[known] = np.inf
    order = np.argsort(-priority, kind="stable")
    drawn, threshold = np.sort(order[:n_drawn]), priority[order[n_drawn]]
    is_known = np.isinf(priority[drawn])
    weights = np.where(is_known, weights[drawn], np.maximum(weights[drawn], threshold))
    place = np.full(len(kept) + 1, -1)
    place[drawn] = np.arange(n_drawn)
    return kept[drawn], place[inverse], weights


def _find_by_distances(distances, n_neighbors):
    """Return an order (M,) of samples, and the distances and places in it of their neighbors."""
    # Only sorted distances do not depend on the order of the columns.
    distances, neighbors = nearest_entries(distances, n_neighbors, own=True)
    direction = np.random.default_rng(0).standard_normal(distances.shape[1])
    known = np.where(np.isfinite(distances), distances, 0)
    order = np.argsort(project_rows(known, direction), kind="stable")
    return order, distances[order], np.argsort(order)[neighbors[order]]


# ---- views


def make_views(samples, n_clusters, settings, stream) -> Views:
    """Return the :class:`Views` of the samples of a graph.

    The second layout places whitened samples, or the same graph if there are too many features.
    """
    reference, columns, graph, weights, _ = samples
    options = {"n_epochs": 50, "random_state": stream, "n_jobs": settings.n_jobs}
    layouts = [_scale(neighbor_layout(graph, settings.n_components, **options))]
    views = _view_layouts(layouts, graph, weights, stream)
    if columns is None:
        return views
    points = _take_points(reference, columns)
    wide = _project(points, views.drawn, WIDE)
    narrow, unit = _scale(_project(wide, views.drawn, NARROW)), _scale_to_unit(points)
    views = replace(
        views, wide=_scale(wide), narrow=narrow, unit=unit, has_features=True
    )
    if points.shape[0] > MAX_SECOND:
        return views
    if 1 < points.shape[1] <= MAX_WHITENED and not sparse.issparse(points):
        white = whiten(points, graph, reference.n_neighbors, settings.n_jobs)
        if n_clusters != "auto":
            white = _whiten_within(points, white, views, n_clusters, stream)
        found = NeighborIndex(white, n_jobs=settings.n_jobs).query_self(
            reference.n_neighbors
        )
        views, graph = replace(views, white=white), link_neighbors(*found)
    second = _scale(neighbor_layout(graph, settings.n_components, **options))
    return replace(views, layouts=[*layouts, second])


def _whiten_within(points, white, views, n_clusters, stream):
    """Return points (M, D) whitened by the scatter within k-means clusters of whitened ones."""
    n_clusters = min(n_clusters, len(points))
    resp = np.eye(n_clusters)[run_kmeans(white, views, n_clusters, stream)]
    weights = views.weights[:, None]
    with single_threaded_blas():
        gaps = points - resp @ cluster_means(resp * weights, points)
        scatter = gaps.T @ (gaps * weights) / weights.sum()
        return points @ whitening_matrix(scatter, max(len(points) - n_clusters, 1))


def _view_layouts(layouts, graph, weights, stream):
    """Return the :class:`Views` of layouts, with samples drawn by their weights."""
    if (weights == weights[0]).all():
        drawn = stream.permutation(len(weights))[:FITTED]
    else:
        size, shares = min(FITTED, len(weights)), weights / weights.sum()
        drawn = stream.choice(len(weights), size, replace=False, p=shares)
    return Views(
        layouts[0], layouts[0], layouts, graph, weights, drawn, has_features=False
    )


def _place_components(layout, samples, views):
    """Return a layout (M, L) whose components are as far apart as in the data, where known.

    A layout places the connected components of a graph anywhere. Additional coordinates are the
    component's mean in the data; nearest means are twice as far apart as a component is wide.
    """
    n_pieces, piece = connected_components(samples.graph, directed=False)
    if n_pieces == 1 or samples.columns is None:
        return layout
    points = _project(
        _take_points(samples.reference, samples.columns), views.drawn, WIDE
    )
    resp = indicate(piece, n_pieces)
    means, within = (
        cluster_means(resp, points),
        layout - cluster_means(resp, layout)[piece],
    )
    gaps = NearestNeighbors(n_neighbors=1).fit(means).kneighbors()[0]
    means *= 4 * np.abs(within).max() / max(np.median(gaps), 1e-9)
    return np.column_stack([within, means[piece]])


def _take_points(reference, columns):
    """Return the samples as points of a Euclidean space with values in [-1, 1]."""
    points = take_columns(reference.rows, columns)
    if reference.metric == "cosine":
        points = normalize(points)
    if sparse.issparse(points) and points.shape[1] <= MAX_WHITENED:
        points = points.toarray()
    largest = max(abs(points).max(), np.finfo(np.float64).tiny)
    return points.astype(np.float64) * (1 / largest)


def _project(points, drawn, n_components):
    """Return points on at most ``n_components`` principal axes of some of them."""
    if points.shape[1] <= n_components:
        return points.toarray() if sparse.issparse(points) else points
    n_components = min(n_components, len(drawn) - 1)
    if n_components < 1:
        return np.zeros((points.shape[0], 1))
    solver = "arpack" if sparse.issparse(points) else "auto"
    pca = PCA(n_components, svd_solver=solver, random_state=0)
    return pca.fit(points[np.sort(drawn)]).transform(points)


def _scale(points):
    """Return points (M, D) centered and scaled to a mean variance of one, in double precision."""
    points = points - points.mean(0, dtype=np.float64)
    return points / max(np.sqrt(points.var(0).mean()), 1e-300)


def _scale_to_unit(points):
    """Return points scaled to a mean square of one if all have the same length, else None."""
    if sparse.issparse(points) or points.shape[1] < NARROW:
        return None
    lengths = np.sqrt(np.square(points).sum(1))
    if np.ptp(lengths) > 1e-3 * lengths.mean():
        return None
    return (points * (np.sqrt(points.shape[1]) / lengths.mean())).astype(np.float32)


# ---- all samples


def interpolate(reference, X, values, n_jobs=None) -> list[np.ndarray]:
    """Return the values of samples X (N, D), and last their mean distances (N,) to neighbors.

    A sample equal to one of the reference gets its value from ``values``, arrays (M, C). Others
    get the mean of their k nearest, weighted by 1 / distance (D. Shepard, "A two-dimensional
    interpolation function for irregularly-spaced data", ACM National Conference 1968).
    """
    if reference.rows is not None:
        X = _match_form(X, reference)
    places = {key: place for place, key in enumerate(reference.keys.tolist())}
    keys = hash_rows(X, stored_zeros=reference.rows is None).tolist()
    equal = np.array([places.get(key, -1) for key in keys])
    found, others = np.maximum(equal, 0), np.flatnonzero(equal < 0)
    *predicted, spacing = [value[found] for value in (*values, reference.spacing)]
    if not len(others):
        return [*predicted, spacing]
    if reference.rows is None:
        near = nearest_entries(
            X[others][:, reference.kept], reference.n_neighbors, own=False
        )
    else:
        index = NeighborIndex(reference.rows, reference.metric, n_jobs)
        near = index.query(X[others], reference.n_neighbors)
    undefined = np.isnan(near[0]).any(1)
    spacing[others] = np.where(undefined, np.nan, average_finite(near[0]))
    weights, neighbors = _weigh(near[0]).T[:, :, None], near[1].T
    for column, value in zip(predicted, values, strict=True):
        column[others] = sum(
            w * value[j] for w, j in zip(weights, neighbors, strict=True)
        )
    return [*predicted, check_answers(spacing, X, f" by metric={reference.metric!r}")]


def _match_form(X, reference):
    """Return X, dense or sparse as the fitted samples, without values that are too large."""
    if sparse.issparse(reference.rows):
        return sparse.csr_matrix(X)
    limit = find_limit(reference.rows, reference.metric)
    X, limit = (
        X.toarray() if sparse.issparse(X) else X,
        min(limit, float(np.finfo(X.dtype).max)),
    )
    return np.clip(X, -limit, limit)


def find_limit(rows, metric):
    """Return where values are clipped, so that distances differ and are finite."""
    largest = (
        max(rows.max(initial=0), -rows.min(initial=0)) if metric == "euclidean" else 0
    )
    return min(FAR * float(largest) or LARGEST, LARGEST)


def _weigh(distances):
    """Return weights (N, k) proportional to 1 / distance, for distances in ascending order."""
    nearest = distances[:, :1]
    with np.errstate(divide="ignore", invalid="ignore"):  # a ratio does not overflow
        weights = np.where(nearest > 0, nearest / distances, distances == 0)
    return weights / weights.sum(1, keepdims=True)
