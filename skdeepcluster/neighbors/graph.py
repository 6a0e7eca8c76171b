"""The graph of nearest neighbours (UMAP's fuzzy simplicial set), and label propagation on it.

N rows, D features, K classes, k neighbours.

Reference: L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
Projection", 2018 (the weights of the graph).
"""

from collections import Counter

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_scalar

from .agglomeration import normalize_rows
from .search import NeighborIndex

#: Bisection steps for the widths sigma_i, on a logarithmic scale.
BISECTIONS = 40


def neighbor_graph(X, n_neighbors=15, *, metric="euclidean", n_jobs=None):
    r"""Fuzzy graph of nearest neighbours, W = V + V^T - V * V^T, of shape (N, N).

    Row i gives its neighbour j the weight v_ij = exp(-max(0, d_ij - rho_i) / sigma_i), with rho_i
    its smallest positive distance and sigma_i such that sum_j v_ij = log2(k + 1): every row has
    at least one link of weight 1, however low the density around it.

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
    """Return distances and indices of the k nearest other rows, (N, k) each, nearest first."""
    return NeighborIndex(X, metric, n_jobs).query_self(k)


def _smooth_weights(distances):
    """Return v_ij of :func:`neighbor_graph`, (N, k); sigma by bisection, all rows at once."""
    positive = np.where(distances > 0, distances, np.inf).min(1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isinf(positive), 0, positive), 0)
    target = np.log2(distances.shape[1] + 1)
    # Lower bound of sigma: if most distances are equal, the bisection would converge to zero.
    floor = np.maximum(1e-3 * distances.mean(1, keepdims=True), 1e-100)
    low, high = floor, np.maximum(1e3 * distances.max(1, keepdims=True), floor)
    for _ in range(BISECTIONS):
        sigma = np.sqrt(low * high)
        too_wide = np.exp(-beyond / sigma).sum(1, keepdims=True) > target
        low, high = np.where(too_wide, low, sigma), np.where(too_wide, sigma, high)
    return np.exp(-beyond / high)


def unique_rows(X, most, least):
    """Return (kept, inverse): the rows that make the graph, and each row's position in ``kept``.

    One row is kept of each value that occurs more than ``most`` times: the copies would be each
    other's nearest neighbours, and linked to nothing else. If fewer than ``least`` rows would be
    left, all are kept.
    """
    if sparse.issparse(X):
        X = X.sorted_indices()
        ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
        keys = [hash((X.indices[a:b].tobytes(), X.data[a:b].tobytes())) for a, b in ends]
    else:
        keys = [hash(row.tobytes()) for row in X]
    copies, first, kept, inverse = Counter(keys), {}, [], []
    for i, key in enumerate(keys):
        if copies[key] <= most or key not in first:
            first[key] = len(kept)
            kept.append(i)
        inverse.append(first[key])
    if len(kept) < least:
        kept = inverse = range(X.shape[0])
    return np.array(kept), np.array(inverse)


def spread_labels(X, targets, n_classes, *, n_neighbors=15, alpha=0.99, n_iter=100):
    r"""Give every row class probabilities by label spreading on the neighbour graph.

    Iterates F <- alpha S F + (1 - alpha) Y with S = D^{-1/2} W D^{-1/2}, W the graph, D its
    degrees and Y the labels, normalised so that each class has weight one [1]_.

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
        Weight of the neighbours in each step; the labels have 1 - alpha.
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
    return spread_along(neighbor_graph(X, n_neighbors), targets, n_classes, alpha, n_iter)


def spread_along(graph, targets, n_classes, alpha=0.99, n_iter=100):
    """Spread labels along a given graph, see :func:`spread_labels`."""
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
    return normalize_rows(spread)
