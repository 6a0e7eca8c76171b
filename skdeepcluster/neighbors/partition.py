r"""Partitions of the rows of a neighbour graph, without labels or from a few.

A mixture fitted to raw codes has many local optima of similar likelihood. In a layout of the
neighbour graph clusters are dense and separate, and the right partition is found far more often:
see :mod:`.candidates` for how, :mod:`.selection` for the choice among them, and :mod:`.whitening`
for the second metric in which neighbours are sought.

N rows, D features, L layout dimensions, P components, K clusters, k neighbours.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch, check_array, check_scalar

from .._responsibilities import average_finite, check_labels, cluster_means, sample_systematically
from .._validation import Auto, check_enough, check_sample_weight
from ..engine.runtime import random_stream
from .candidates import (
    COMPONENTS_PER_CLUSTER,
    MANY_INIT,
    divide_rows,
    draw_sample,
    fit_components,
    scale_to_unit_variance,
)
from .graph import find_neighbors, link_neighbors
from .interpolation import Reference, interpolate, project_distances, take_rows
from .labels import follow_labels
from .layout import neighbor_layout
from .search import (
    check_distances,
    check_square,
    is_precomputed,
    nearest_entries,
    project_rows,
    unique_rows,
)
from .selection import Partition, Search, choose_partition, count_walk_steps
from .spreading import count_labels, spread_along
from .tree import grow_tree


class NeighborStart(NamedTuple):
    """Result of ``neighbor_start``; N rows, K clusters, L layout dimensions, M sampled rows.

    Parameters
    ----------
    responsibilities : ndarray of shape (N, K)
        p(cluster | row), float64; rows sum to one.
    labels : ndarray of shape (N,)
        Most probable cluster of each row.
    layout : ndarray of shape (N, L)
        float32.
    graph : CSR matrix of shape (M, M)
        The neighbour graph of the sampled rows.
    sample_indices : ndarray of shape (M,)
        The rows of X in the graph, ascending: the first of every value that has a positive weight,
        or a sample of them if there are more than max_samples.
    criterion : float
        I(c_0; c_t)^2 / H(c_0) of the clusters at the ends of a walk along the edges, in nats; at
        most log K. Comparable between partitions of the same graph.

    See Also
    --------
    neighbor_start : Returns it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster.neighbors import neighbor_start
    >>> start = neighbor_start(load_iris().data, 3, random_state=0)
    >>> start.responsibilities.shape, start.layout.shape
    ((150, 3), (150, 5))
    """

    responsibilities: np.ndarray
    labels: np.ndarray
    layout: np.ndarray
    graph: sparse.csr_matrix
    sample_indices: np.ndarray
    criterion: float


class FoundStart(NamedTuple):
    """What :func:`find_start` finds for M distinct rows, in an order of their values."""

    reference: Reference
    #: Their partition, and the graph and layout in which it was found.
    partition: Partition
    #: Weights (M,) of the rows.
    weights: np.ndarray
    #: Position (N,) of each row of X among the M, or -1.
    inverse: np.ndarray

    def extend(self, X, n_jobs):
        """Return responsibilities (N, K), layout (N, L) and mean distance (N,) of all rows of X.

        The distance is that to the nearest other rows of the graph.
        """
        values = self.partition.resp, self.partition.layout
        place, others = np.maximum(self.inverse, 0), np.flatnonzero(self.inverse < 0)
        found = [value[place] for value in (*values, self.reference.spacing)]
        if len(others):
            answers, spacing = interpolate(self.reference, X[others], values, n_jobs)
            for column, answer in zip(found, (*answers, spacing), strict=True):
                column[others] = answer
        return found

    def grow_tree(self):
        """Return the :class:`ClusterTree` of the clusters and their parts in the layout.

        The parts are drawn by a stream of their own, and change nothing else.
        """
        layout, labels = self.partition.layout, self.partition.resp.argmax(1)
        stream = np.random.RandomState(0)
        unit = scale_to_unit_variance(layout)
        sample = draw_sample(unit, self.weights, stream)
        n_parts = COMPONENTS_PER_CLUSTER * self.partition.resp.shape[1]
        parts, _ = divide_rows(unit, sample, n_parts, stream)
        return grow_tree(layout, labels, self.weights, parts)

    def order_graph(self):
        """Return positions in X, ascending, and the graph of the rows in this order."""
        order = np.argsort(self.reference.kept)
        return self.reference.kept[order], self.partition.graph[order][:, order]


def neighbor_start(
    X,
    n_clusters,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., float] = "euclidean",
    sample_weight=None,
    labels=None,
    n_components=5,
    n_init: int | Auto = "auto",
    linkage="auto",
    boundary_weight=2.0,
    max_samples=70_000,
    random_state=None,
    n_jobs: int | None = None,
) -> NeighborStart:
    r"""Find a first partition of X without labels.

    The graph of nearest neighbours is laid out in few dimensions, and candidates are found there:
    k-means, cuts of Ward's tree over micro-clusters, and full-covariance mixtures of 2 K
    components that are agglomerated to K clusters by the edges between them; and, of fewer than
    1,000 distinct rows that can be whitened, Ward's clusters of the rows themselves. Kept is the
    partition of the greatest I(c_0; c_t) + l / 5 among those whose I(c_0; c_t)^2 / H(c_0) is
    within 5 % of the greatest, with c_t the cluster after t steps of a random walk along the edges
    [1]_, and l the mean log-likelihood of the rows in the layout by a Gaussian for each cluster;
    with fewer than ten distinct rows for each parameter of these, that of the greatest I. t is
    half of (M / k)^(2 / d), the time in which the walk crosses M rows in d dimensions, but at
    least 4 and at most 64, nor more than M / K, the rows of a cluster. d is estimated from the
    distances to the neighbours [5]_.

    At most 20,000 distinct rows of 2 to 100 features are whitened by the scatter within clusters
    [2]_, if the metric is "euclidean" or "cosine", and the same is done in the graph of the
    whitened rows. Of the two partitions that is kept whose I(c_0; c_t)^2 / H(c_0) is further above
    what k-means has in the same metric of normally distributed rows with the same covariance. The
    scatter of fewer than ten distinct rows for a feature fits chance: then partitions of halves of
    the rows, by k-means, are compared, and either half is whitened by the scatter of the other.

    Where a cluster has fewer than five distinct rows on average, most neighbours of a row are of
    other clusters. By these metrics at most 20,000 such rows (sparse ones of more than 100
    features 5,000) are agglomerated by Ward's method alone, whatever ``n_init``, ``linkage`` and
    ``boundary_weight``; of more than 5,000, rows that are neighbours. Rows of one feature are
    divided by k-means alone, if the metric is "euclidean": their graph does not tell where they
    are rare.

    Responsibilities are the mean votes at the end of a walk of two steps from a row. Half of the
    votes are the kept partition's, half those of all candidates of its layout in proportion to
    their I(c_0; c_t)^2 / H(c_0), their clusters matched one-to-one with its own [3]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows to cluster: codes of an auto-encoder, or features; with ``metric="precomputed"``
        their distances (N, N), as :func:`neighbor_graph` takes them.
    n_clusters : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph; no more are used than a cluster has other distinct rows, on
        average.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`.
    sample_weight : array-like of shape (N,), default=None
        How often each row occurs. Rows of weight zero get what new rows would.
    labels : array-like of shape (N,), default=None
        The numbers of the clusters of the rows that are known, from 0 to K - 1; -1 for the others.
        See Notes.
    n_components : int, default=5
        Dimensions of the layout, L.
    n_init : int or "auto", default="auto"
        Mixtures tried in a layout; "auto" is 5, or 1 with fewer than 1000 distinct rows.
    linkage : {"auto", "average", "share"}, default="auto"
        Linkage of two groups of components. "average": mean weight of the edges over all pairs of
        rows, which suits clusters of similar size. "share": weight of the edges between them as a
        share of all edges of either, whichever is larger, followed by swaps of components between
        clusters; large clusters stay whole beside small ones. "auto" tries both.
    boundary_weight : float, default=2.0
        w, at least 0. Components are swapped to raise I(c; c') - w H(c' | c) of the clusters at
        the two ends of an edge: larger values keep large clusters whole and merge small adjacent
        ones instead.
    max_samples : int, default=70_000
        Of more distinct rows, a sample of this many makes the graph, drawn in proportion to their
        weights; the others get the mean responsibilities of their nearest rows in it, weighted by
        1 / distance. A sparse matrix of distances is never sampled from.
    random_state : int, RandomState instance or None, default=None
        Decides the sample, the layout and the initial mixtures.
    n_jobs : int, default=None
        Threads, as in scikit-learn.

    Returns
    -------
    NeighborStart
        Responsibilities, labels, layout, graph, sample_indices, criterion.

    See Also
    --------
    skdeepcluster.NeighborClustering : The same as an estimator, for new rows, too.

    Notes
    -----
    I(c_0; c_t) = H(c_0) - H(c_0 | c_t) rewards many clusters of similar size, and I / H(c_0)
    clusters that the walk does not leave. Their product compares any partitions of a graph;
    likelihoods only compare mixtures of one layout, and there prefer clusters of Gaussian shape to
    separate clusters.

    With ``labels`` the clusters get the numbers of these, matched one-to-one by the shares of the
    labels that they hold; clusters without labels get the other numbers. Then every row gets the
    cluster of the greatest probability that a walk along the edges ends in: it ends at a labelled
    row, or anywhere, the sooner the fewer labels there are, at the classes that the cluster found
    there tells about by its labels [4]_. A labelled row has its cluster.

    References
    ----------
    .. [1] M. Faccin, M. T. Schaub, J.-C. Delvenne, "Entrograms and coarse graining of dynamics on
       complex networks", Journal of Complex Networks, 2018.
    .. [2] D. Art, R. Gnanadesikan, J. R. Kettenring, "Data-based metrics for cluster analysis",
       Utilitas Mathematica 21A, 1982.
    .. [3] S. Dudoit, J. Fridlyand, "Bagging to improve the accuracy of a clustering procedure",
       Bioinformatics 19, 2003.
    .. [4] X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and
       harmonic functions", ICML 2003.
    .. [5] E. Levina, P. J. Bickel, "Maximum likelihood estimation of intrinsic dimension", NIPS
       2004.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.neighbors import neighbor_start
    >>> X, y = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> start = neighbor_start(X, 3, n_init=3, random_state=0)
    >>> [len(set(start.labels[y == k])) for k in range(3)]
    [1, 1, 1]
    """
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    counts = {
        "n_clusters": n_clusters,
        "n_neighbors": n_neighbors,
        "n_components": n_components,
        "max_samples": max_samples,
    }
    for name, count in counts.items():
        counts[name] = int(check_scalar(count, name, Integral, min_val=1))
    if n_init != "auto":
        n_init = int(check_scalar(n_init, "n_init", Integral, min_val=1))
    check_scalar(boundary_weight, "boundary_weight", Real, min_val=0)
    if linkage not in ("auto", "average", "share"):
        raise ValueError(f"linkage must be 'auto', 'average' or 'share', got {linkage!r}.")
    if labels is not None:
        labels = check_labels("labels", labels, X.shape[0], counts["n_clusters"])
    start = find_start(
        X,
        **counts,
        metric=metric,
        sample_weight=sample_weight,
        labels=labels,
        random_state=random_state,
        n_jobs=n_jobs,
        settings={
            "n_init": None if n_init == "auto" else n_init,
            "linkages": None if linkage == "auto" else (linkage,),
            "boundary_weight": boundary_weight,
        },
    )
    resp, layout, _ = start.extend(X, n_jobs)
    indices, graph = start.order_graph()
    return NeighborStart(resp, resp.argmax(1), layout, graph, indices, start.partition.criterion)


def count_clusters(
    X,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., float] = "euclidean",
    sample_weight=None,
    max_clusters: int = 60,
    n_components: int = 5,
    max_samples=20_000,
    random_state=None,
    n_jobs: int | None = None,
) -> Bunch:
    r"""Find how many clusters rows have, without labels.

    The cuts of a tree are compared by what they tell about a walk on the neighbour graph, at many
    times: ``skdeepcluster.neighbors.scales`` has the criterion and its source. Of one feature the
    silhouettes of Ward's clusters are compared: ``skdeepcluster.neighbors.line``.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows; with ``metric="precomputed"`` their distances, as :func:`neighbor_graph` takes them.
    n_neighbors : int, default=15
        Neighbours in the graph.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`.
    sample_weight : array-like of shape (n_samples,), default=None
        How often each row occurs.
    max_clusters : int, default=60
        The largest number considered, and no more than one for five distinct rows.
    n_components : int, default=5
        Dimensions of the layout.
    max_samples : int, default=20_000
        Of more distinct rows a sample is used.
    random_state : int, RandomState instance or None, default=None
        Decides the sample, the layout and the rows without clusters.
    n_jobs : int, default=None
        Threads, as in scikit-learn.

    Returns
    -------
    Bunch
        ``best_n_clusters``, and arrays for the numbers ``n_clusters`` from 1 on: ``criterion``,
        ``persistence``, ``stability``, see ``n_clusters_curve_`` of
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
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    check_scalar(max_clusters, "max_clusters", Integral, min_val=2)
    max_samples = int(check_scalar(max_samples, "max_samples", Integral, min_val=1))
    _check_rows(X, 1, max_samples, metric)
    stream = random_stream(random_state)
    reference, graph, weights, *_ = _connect_rows(
        X, n_neighbors, metric, sample_weight, max_samples, stream, n_jobs
    )
    search = Search(max_clusters, n_neighbors, metric, n_components, n_jobs, stream)
    layout = search.make_layout(graph)
    curve = search.choose_scale(layout, graph, weights, reference.rows)
    warn_of_edge(curve, max_clusters, len(weights), stacklevel=3)
    return Bunch(best_n_clusters=curve.best, **describe_curve(curve))


def describe_curve(curve):
    """Return the arrays of a :class:`ScaleCurve` as a Bunch."""
    return Bunch(**{name: getattr(curve, name) for name in curve._fields if name != "best"})


def warn_of_edge(curve, max_clusters, n_rows, stacklevel):
    """Warn if the largest number considered is the best; ``n_rows`` are distinct."""
    if curve.best == len(curve.n_clusters) and n_rows > 1:
        warnings.warn(
            f"n_clusters='auto' chose {curve.best}, the largest number considered: there may be "
            f"more clusters. Raise max_clusters={max_clusters} (at most one cluster for five "
            "distinct rows is considered), or give n_clusters.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )


def find_start(
    X,
    n_clusters,
    *,
    n_neighbors,
    metric,
    sample_weight,
    n_components,
    max_samples,
    random_state,
    n_jobs,
    labels=None,
    max_clusters=1,
    settings=None,
    report=nullcontext,
):
    """Return the :class:`FoundStart` of :func:`neighbor_start`, for X checked for form.

    ``n_clusters`` may be "auto": a number of at most ``max_clusters``, or more if there are
    ``labels`` (N,) of more, which are -1 for rows without one. ``settings`` are keyword
    arguments of the partition; ``report(stage)`` is a context in which each stage runs.
    """
    _check_rows(X, n_clusters, max_samples, metric)
    stream = random_stream(random_state)
    with report("graph"):
        reference, graph, weights, inverse, distances = _connect_rows(
            X, n_neighbors, metric, sample_weight, max_samples, stream, n_jobs, n_clusters, labels
        )
    given = max_clusters, reference.n_neighbors, metric, n_components, n_jobs, stream, report
    n_steps = count_walk_steps(distances, metric)
    search = Search(*given, settings or {}, n_steps=n_steps)
    least = 1 if labels is None else labels.max() + 1
    partition = choose_partition(search, reference.rows, graph, weights, n_clusters, least)
    if labels is not None:
        occurrence = check_sample_weight(sample_weight, X)
        known = count_labels(labels, partition.resp.shape[1], inverse, occurrence)
        partition = follow_labels(partition, known, weights)
    return FoundStart(reference, partition, weights, inverse)


def _connect_rows(
    X,
    n_neighbors,
    metric,
    sample_weight,
    max_samples,
    stream,
    n_jobs,
    n_clusters="auto",
    labels=None,
):
    """Return the reference, graph (M, M) and weights (M,) of distinct rows, and their inverse.

    Last come their distances (M, k) to the nearest others. k is ``n_neighbors``, but no more than
    one of ``n_clusters`` has other rows, on average: beyond them are those of other clusters.
    """
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    kept, inverse, weights = _choose_rows(X, sample_weight, max_samples, metric, stream, labels)
    if n_clusters != "auto":
        n_neighbors = min(n_neighbors, max(1, len(kept) // n_clusters - 1))
    if is_precomputed(metric):
        order, *found = _find_by_distances(X[kept][:, kept], n_neighbors)
        place = np.append(_invert(order), -1)
        kept, weights, inverse = kept[order], weights[order], place[inverse]
        rows, keys = None, project_distances(X)[kept]
    else:
        rows = take_rows(X, kept)
        keys = project_rows(rows)
        found = find_neighbors(rows, n_neighbors, metric, n_jobs)
    graph, spacing = link_neighbors(*found), average_finite(found[0])
    reference = Reference(rows, keys, kept, metric, n_neighbors, spacing)
    return reference, graph, weights, inverse, found[0]


def _check_rows(X, n_clusters, max_samples, metric):
    """Check that there are enough rows, and that distances are distances."""
    n_clusters = 1 if n_clusters == "auto" else n_clusters
    check_enough(X.shape[0], n_clusters)
    if max_samples < n_clusters:
        raise ValueError(
            f"max_samples={max_samples} should be >= n_clusters={n_clusters}: a cluster needs a "
            "row in the graph. Raise max_samples or ask for fewer clusters."
        )
    if is_precomputed(metric):
        check_square(X)
        check_distances(X)


def _choose_rows(X, sample_weight, max_samples, metric, stream, labels):
    """Return (kept, inverse, weights) of the distinct rows, see ``unique_rows``, or of a sample.

    Equal rows of a matrix of distances are equal rows of the data. A sparse one has no room for
    the distances to all copies: its rows are taken as they are, and all of them, since a row needs
    its neighbours. Rows with ``labels`` (N,) are in a sample for certain, unless these would be
    more than half of it.
    """
    weights = _scale_weights(check_sample_weight(sample_weight, X))
    if is_precomputed(metric) and sparse.issparse(X):
        kept, inverse = np.flatnonzero(weights > 0), np.full(len(weights), -1)
        inverse[kept] = np.arange(len(kept))
        return kept, inverse, weights[kept]
    kept, inverse, weights = unique_rows(X, weights)
    weights = _scale_weights(weights)
    if len(kept) <= max_samples:
        return kept, inverse, weights
    labelled = np.zeros(len(kept), dtype=bool)
    if labels is not None:
        labelled[inverse[(labels >= 0) & (inverse >= 0)]] = True
        labelled &= labelled.sum() <= max_samples // 2
    drawn, weights = _draw_rows(weights, max_samples, stream, labelled)
    place = np.full(len(kept) + 1, -1)
    place[drawn] = np.arange(len(drawn))
    return kept[drawn], place[inverse], weights


def _scale_weights(weights):
    """Return weights times a power of two, which rounds nothing, the greatest in [1, 2).

    So no product of them overflows, and their unit does not matter.
    """
    return np.ldexp(weights, 1 - np.frexp(weights.max())[1])


def _draw_rows(weights, n_drawn, stream, certain):
    """Draw rows with probabilities min(1, w / t), and return them with weights max(w, t).

    The sample is systematic along the order of the rows, and t is such that it has the size asked
    for: heavy rows are in it for certain, and the weight of the others is shared by those drawn.
    So are ``certain`` ones, whatever their weight, which stays.
    """
    others, n_others = np.flatnonzero(~certain), n_drawn - certain.sum()
    shares = weights[others]
    heavy = np.sort(shares)[::-1][:n_others]
    rest = shares.sum() - (np.cumsum(heavy) - heavy)
    least = rest / (n_others - np.arange(n_others))
    threshold = least[np.argmax(heavy <= least)]
    shares = np.minimum(shares / threshold, 1)
    drawn = np.unique(sample_systematically(shares, n_others, stream.uniform()))
    weights = np.where(certain, weights, np.maximum(weights, threshold))
    drawn = np.sort(np.append(others[drawn], np.flatnonzero(certain)))
    return drawn, weights[drawn]


def _find_by_distances(distances, n_neighbors):
    """Return an order (M,) of rows by their distances (M, M), and their neighbours in that order.

    These are distances and positions, (M, k) each.
    """
    distances, neighbors = nearest_entries(distances, n_neighbors, own=True)
    # The only values that do not depend on the order of the columns.
    order = np.argsort(project_rows(np.where(np.isfinite(distances), distances, 0)), kind="stable")
    return order, distances[order], _invert(order)[neighbors[order]]


def _invert(order):
    """Return the position of each number in a permutation."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def labelled_start(
    X,
    targets,
    n_classes: int,
    *,
    n_neighbors: int = 15,
    random_state=None,
    n_jobs: int | None = None,
) -> npt.NDArray[np.float64]:
    r"""Give every row class probabilities from a few labels, by the graph and by a mixture.

    Labels are spread along the neighbour graph of the distinct rows (:func:`spread_labels`). Rows
    in pieces of the graph without any label get the mean of the nearest others, weighted by 1 /
    distance. Five mixtures of 2 K components are fitted to a layout of the graph, and each
    component has the mean class probabilities of its rows. The result is the mean of the graph's
    and the mixtures' probabilities: isolated rows follow their components, and rows of components
    with several classes follow the graph.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows or codes.
    targets : array-like of shape (N,)
        Classes from 0 to ``n_classes - 1``; -1 for rows without a label.
    n_classes : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph; no more are used than a class has other distinct rows, on average.
    random_state : int, RandomState instance or None, default=None
        Decides the layout and the initial mixtures.
    n_jobs : int, default=None
        Threads, as in scikit-learn.

    Returns
    -------
    ndarray of shape (N, K)
        Probabilities, float64; equal rows have equal ones.

    Raises
    ------
    ValueError
        When ``targets`` has another length than X, or a number that is no class.

    See Also
    --------
    spread_labels : The same on a graph.
    skdeepcluster.CatGANClassifier : Starts from it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.neighbors import labelled_start
    >>> X, y = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> some = np.where(np.arange(90) < 12, y, -1)
    >>> float((labelled_start(X, some, 3, random_state=0).argmax(1) == y).mean())
    1.0
    """
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    check_scalar(n_classes, "n_classes", Integral, min_val=1)
    targets = check_labels("targets", targets, X.shape[0], n_classes, "classes")
    stream = random_stream(random_state)
    reference, graph, weights, inverse, _ = _connect_rows(
        X, n_neighbors, "euclidean", None, X.shape[0], stream, n_jobs, n_classes
    )
    labels = count_labels(targets, n_classes, inverse)
    spread = _spread_everywhere(reference, graph, labels, n_jobs)
    layout = neighbor_layout(graph, random_state=stream, n_jobs=n_jobs)
    unit = scale_to_unit_variance(layout)
    sample = draw_sample(unit, weights, stream)
    smooth = np.zeros_like(spread)
    for _ in range(MANY_INIT):
        resp = fit_components(sample, unit, COMPONENTS_PER_CLUSTER * n_classes, stream)
        smooth += resp @ cluster_means(resp * weights[:, None], spread) / MANY_INIT
    return ((spread + smooth) / 2)[inverse]


def _spread_everywhere(reference, graph, labels, n_jobs):
    """Spread labels (M, K) along a graph, and by distance to its pieces without a label."""
    spread = spread_along(graph, labels)
    piece = connected_components(graph, directed=False)[1]
    known = np.isin(piece, piece[labels.any(1)])
    if known.any() and not known.all():
        own = ("rows", "keys", "kept", "spacing")
        near = reference._replace(**{name: getattr(reference, name)[known] for name in own})
        spread[~known] = interpolate(near, reference.rows[~known], [spread[known]], n_jobs)[0][0]
    return spread
