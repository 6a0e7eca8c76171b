r"""The label-free start: neighbour graph -> layout of few dimensions -> mixture -> clusters.

A mixture fitted to raw codes has many near-equal optima. In a layout of the neighbour graph,
groups are dense islands and the right partition is found far more often. The mixture has more
components than there are clusters, and those with most links between them are joined: clusters
may be large or small, and of any shape. With many rows clusters exchange components, so that a
wrong joining is taken back. Of many mixtures not the likeliest is kept, but the one
whose labels tell most about the labels of neighbours.

N rows, D features, L layout dimensions, K clusters, k neighbours.

Reference: L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
Projection", 2018 (the weights of the graph).
"""

from collections import Counter
from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_scalar

from ._joining import best_partition, joined, neighbor_information, some_parts
from ._layout import neighbor_layout
from ._shares import group_means, in_shares
from .engine.randomness import random_stream

#: Up to this many dense features a tree finds neighbours faster than comparing all pairs.
TREE_FEATURES = 15
#: Rows from which on there are enough to tell borders of clusters from gaps within them.
SHARE_ROWS = 10_000
#: Mixtures tried by default, with fewer rows than this, and with more.
FEW_ROWS, N_INIT = 1000, (10, 50)
#: Rows outside the graph that are given their answer at once.
SPREAD_ROWS = 20_000


class NeighborStart(NamedTuple):
    """What :func:`neighbor_start` finds; N rows, K clusters, L layout dimensions, M sampled rows.

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
        The rows of X in the graph, ascending; all of them unless N > max_samples or a row has
        more than k // 2 copies: they are one row of the graph, and have one answer.
    criterion : float
        I(c; c') - boundary_weight * H(c' | c) of the labels at the ends of an edge, in nats; at
        most log K. Comparable between starts on the same rows.
    """

    responsibilities: np.ndarray
    labels: np.ndarray
    layout: np.ndarray
    graph: sparse.csr_matrix
    sample_indices: np.ndarray
    criterion: float


def neighbor_graph(X, n_neighbors=15, *, metric="euclidean", n_jobs=None):
    r"""Fuzzy graph of nearest neighbours, W = V + V^T - V * V^T, of shape (N, N).

    Row i gives its neighbour j the weight v_ij = exp(-max(0, d_ij - rho_i) / sigma_i), with rho_i
    its smallest positive distance and sigma_i such that sum_j v_ij = log2(k + 1): every row has
    at least one link of weight 1, however sparse its surroundings.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows to compare.
    n_neighbors : int, default=15
        k; at most N - 1 are used.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`.
    n_jobs : int, default=None
        Threads of the search, as in scikit-learn; the result does not depend on them.

    Returns
    -------
    CSR matrix of shape (N, N)
        Symmetric, float32, weights in (0, 1], no row linked to itself.

    Examples
    --------
    >>> from skdeepcluster.neighbors import neighbor_graph
    >>> neighbor_graph([[0.0], [1.0], [5.0]], n_neighbors=1).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    check_scalar(n_neighbors, "n_neighbors", (int, np.integer), min_val=1)
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
    n_rows, k = X.shape[0], min(n_neighbors, X.shape[0] - 1)
    if k == 0:
        return sparse.csr_matrix((1, 1), dtype=np.float32)
    distances, neighbors = _search(X, k, metric, n_jobs)
    weights = _smooth_weights(distances).astype(np.float32)
    starts = np.arange(0, n_rows * k + 1, k)
    one_way = sparse.csr_matrix((weights.ravel(), neighbors.ravel(), starts), (n_rows, n_rows))
    back = one_way.T.tocsr()
    graph = (one_way + back - one_way.multiply(back)).tocsr()
    np.minimum(graph.data, 1, out=graph.data)
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def _search(X, k, metric, n_jobs):
    """Distances and numbers of the k nearest other rows, each of shape (N, k), nearest first."""
    if metric != "euclidean" or sparse.issparse(X) or X.shape[1] > TREE_FEATURES:
        search = NearestNeighbors(n_neighbors=k, metric=metric, n_jobs=n_jobs).fit(X)
        return search.kneighbors()
    tree = cKDTree(X, balanced_tree=False)
    distances, neighbors = tree.query(X, k + 1, workers=effective_n_jobs(n_jobs))
    # Among many equal rows a row need not find itself: then the last one found goes.
    other = neighbors != np.arange(len(X))[:, None]
    other[other.all(1), -1] = False
    return distances[other].reshape(-1, k), neighbors[other].reshape(-1, k)


def _smooth_weights(distances):
    """v_ij of :func:`neighbor_graph`, of shape (N, k); sigma by bisection, all rows at once."""
    positive = np.where(distances > 0, distances, np.inf).min(1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isinf(positive), 0, positive), 0)
    target = np.log2(distances.shape[1] + 1)
    # A floor keeps sigma positive where most neighbours are equally near.
    floor = np.maximum(1e-3 * distances.mean(1, keepdims=True), 1e-100)
    low, high = floor, np.maximum(1e3 * distances.max(1, keepdims=True), floor)
    for _ in range(40):
        sigma = np.sqrt(low * high)
        too_wide = np.exp(-beyond / sigma).sum(1, keepdims=True) > target
        low, high = np.where(too_wide, low, sigma), np.where(too_wide, sigma, high)
    return np.exp(-beyond / high)


def neighbor_start(
    X,
    n_clusters,
    *,
    n_neighbors=15,
    n_components=5,
    n_init="auto",
    linkage="auto",
    boundary_weight=2.0,
    max_samples=70_000,
    random_state=None,
    n_jobs=None,
):
    r"""Find a first partition of X without labels.

    The graph of nearest neighbours is laid out in few dimensions, ``n_init`` full-covariance
    mixtures of 2 K components are fitted there, and their components joined to K clusters, in
    turn the two that are nearest by the edges between them. One is kept by the labels c, c' at
    the two ends of an edge (drawn in proportion to its weight): that of the greatest
    I(c; c') - w H(c' | c).

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows to cluster: codes of an auto-encoder, or features.
    n_clusters : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph.
    n_components : int, default=5
        Dimensions of the layout, L.
    n_init : int or "auto", default="auto"
        Mixtures tried; "auto" is 50, or 10 with fewer than 1000 rows.
    linkage : {"auto", "average", "share"}, default="auto"
        Nearness of two groups. "average": weight of the edges between them for each pair of
        rows, which suits clusters of similar size. "share": the part that it is of all edges of
        either, whichever is larger, and then the clusters exchange components where this is
        better; large clusters stay whole beside small ones, but there must be enough rows to tell
        a bridge from a border. "auto" is "share" from 10000 rows on.
    boundary_weight : float, default=2.0
        w, at least 0. 0 suits clusters of similar size; larger values rather leave a large
        cluster whole and pay with the merging of small ones that touch.
    max_samples : int, default=70_000
        Of more rows, a random draw of this many makes the graph; the others take the mean
        responsibilities of their nearest rows in it.
    random_state : int, RandomState instance or None, default=None
        Decides draws and starts.
    n_jobs : int, default=None
        Threads, as in scikit-learn.

    Returns
    -------
    NeighborStart
        Responsibilities, labels, layout, graph, sample_indices, criterion.

    Notes
    -----
    I(c; c') = H(c) - H(c' | c) rewards many clusters of similar size and few edges between them.
    It compares any partitions of the same graph; likelihoods only compare mixtures of one layout,
    and there prefer clusters that look Gaussian to clusters that lie apart.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.neighbors import neighbor_start
    >>> X, y = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> start = neighbor_start(X, 3, n_init=3, random_state=0)
    >>> [len(set(start.labels[y == k])) for k in range(3)]
    [1, 1, 1]
    """
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
    n_rows = X.shape[0]
    if n_init == "auto":
        n_init = N_INIT[n_rows >= FEW_ROWS]
    counts = {"n_clusters": n_clusters, "n_init": n_init, "max_samples": max_samples}
    for name, count in counts.items():
        check_scalar(count, name, Integral, min_val=1)
    check_scalar(boundary_weight, "boundary_weight", Real, min_val=0)
    if linkage not in ("auto", "average", "share"):
        raise ValueError(f"linkage must be 'auto', 'average' or 'share', got {linkage!r}.")
    if min(n_rows, max_samples) < n_clusters:
        raise ValueError(
            f"n_samples={n_rows} and max_samples={max_samples} should both be >= "
            f"n_clusters={n_clusters}: a cluster needs a row. Lower n_clusters."
        )
    stream = random_stream(random_state)
    chosen = np.arange(n_rows)
    if n_rows > max_samples:
        chosen = np.sort(stream.permutation(n_rows)[:max_samples])
    kept, like = _distinct(X[chosen], max(1, n_neighbors // 2), n_clusters)
    graph = neighbor_graph(X[chosen[kept]], n_neighbors, n_jobs=n_jobs)
    layout = neighbor_layout(graph, n_components, random_state=stream, n_jobs=n_jobs)
    score = partial(neighbor_information, graph, boundary_weight=boundary_weight)
    if linkage == "auto":
        linkage = "share" if n_rows >= SHARE_ROWS else "average"
    ways = {"linkage": linkage, "boundary_weight": boundary_weight}
    join = partial(joined, graph=graph, n_clusters=n_clusters, **ways)
    resp = best_partition(layout, n_clusters, n_init, join, score, stream)
    criterion = score(resp)
    resp, layout = resp[like], layout[like]
    if n_rows > max_samples:
        resp, layout = _spread(X, chosen, (resp, layout), n_neighbors, n_jobs)
    return NeighborStart(resp, resp.argmax(1), layout, graph, chosen[kept], criterion)


def _distinct(X, most, least):
    """Numbers of rows, of those with more than so many copies one; for every row which it equals.

    Copies would be one another's neighbours, and linked to nothing else. All rows if fewer than
    ``least`` would be left.
    """
    if sparse.issparse(X):
        X = X.sorted_indices()
        ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
        keys = [hash((X.indices[a:b].tobytes(), X.data[a:b].tobytes())) for a, b in ends]
    else:
        keys = [hash(row.tobytes()) for row in X]
    copies, first, kept, like = Counter(keys), {}, [], []
    for i, key in enumerate(keys):
        if copies[key] <= most or key not in first:
            first[key] = len(kept)
            kept.append(i)
        like.append(first[key])
    if len(kept) < least:
        kept = like = range(X.shape[0])
    return np.array(kept), np.array(like)


def spread_labels(X, targets, n_classes, *, n_neighbors=15, alpha=0.99, n_iter=100):
    r"""Give every row the classes of the labelled rows it is linked to, along the neighbour graph.

    Repeats F <- alpha S F + (1 - alpha) Y with S = D^{-1/2} W D^{-1/2}, W the graph, D its sums
    and Y the labels, each class weighing one however many labels it has [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows or codes.
    targets : ndarray of shape (N,)
        Classes from 0 on; -1 for rows without a label.
    n_classes : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph.
    alpha : float, default=0.99
        Share of what a row takes over from its neighbours in each step.
    n_iter : int, default=100
        Steps.

    Returns
    -------
    ndarray of shape (N, K)
        Probabilities, float64; equal ones for rows that no label reaches.

    References
    ----------
    .. [1] D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schoelkopf, "Learning with Local and
       Global Consistency", NeurIPS 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.neighbors import spread_labels
    >>> X = [[0.0], [1.0], [2.0], [8.0], [9.0]]
    >>> spread_labels(X, np.array([0, -1, -1, -1, 1]), 2, n_neighbors=1).argmax(1)
    array([0, 0, 0, 1, 1])
    """
    return _spread_labels(neighbor_graph(X, n_neighbors), targets, n_classes, alpha, n_iter)


def _spread_labels(graph, targets, n_classes, alpha=0.99, n_iter=100):
    sums = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    scale = sparse.diags(np.where(sums > 0, 1 / np.sqrt(np.maximum(sums, 1e-12)), 0))
    links = (scale @ graph @ scale).tocsr()
    known = np.flatnonzero(targets >= 0)
    labels = np.zeros((graph.shape[0], n_classes))
    labels[known, targets[known]] = 1
    labels /= np.maximum(labels.sum(0), 1)
    spread = labels
    for _ in range(n_iter):
        spread = alpha * (links @ spread) + (1 - alpha) * labels
    return in_shares(spread)


def labelled_start(X, targets, n_classes, *, n_neighbors=15, random_state=None, n_jobs=None):
    r"""Give every row a class from a few labels: by its neighbours and by the group it lies in.

    Labels spread along the neighbour graph (:func:`spread_labels`). The graph is laid out, and a
    mixture of 2 K components divides the layout; a component has the mean classes of its rows.
    The result is the mean of both: rows in the middle of nowhere follow their group, and groups
    that two classes share follow the graph.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows or codes.
    targets : ndarray of shape (N,)
        Classes from 0 on; -1 for rows without a label.
    n_classes : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph.
    random_state : int, RandomState instance or None, default=None
        Decides layout and mixture.
    n_jobs : int, default=None
        Threads, as in scikit-learn.

    Returns
    -------
    ndarray of shape (N, K)
        Probabilities, float64.

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
    stream = random_stream(random_state)
    graph = neighbor_graph(X, n_neighbors, n_jobs=n_jobs)
    spread = _spread_labels(graph, targets, n_classes)
    layout = neighbor_layout(graph, random_state=stream, n_jobs=n_jobs)
    parts = some_parts(layout, n_classes, stream)
    return (spread + parts @ group_means(parts, spread)) / 2


def _spread(X, chosen, columns, n_neighbors, n_jobs):
    """Give each row that was not chosen the mean of its nearest chosen rows."""
    rest = np.setdiff1d(np.arange(X.shape[0]), chosen)
    k = min(n_neighbors, len(chosen))
    search = NearestNeighbors(n_neighbors=k, n_jobs=n_jobs).fit(X[chosen])
    spread = [np.empty((X.shape[0], column.shape[1]), column.dtype) for column in columns]
    for full, column in zip(spread, columns, strict=True):
        full[chosen] = column
    for rows in np.split(rest, range(SPREAD_ROWS, len(rest), SPREAD_ROWS)):
        nearest = search.kneighbors(X[rows], return_distance=False)
        for full, column in zip(spread, columns, strict=True):
            full[rows] = column[nearest].mean(1)
    return spread
