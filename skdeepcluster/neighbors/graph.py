"""The graph of nearest neighbours of distinct rows (UMAP's), and the walk on it.

N rows, D features, k neighbours.

Reference: L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
Projection", 2018 (the weights of the graph).
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_scalar

from .search import NeighborIndex, check_distances, check_square, is_precomputed, nearest_entries

#: Bisection steps for the widths sigma_i, on a logarithmic scale.
BISECTIONS = 40


def neighbor_graph(
    X,
    n_neighbors: int = 15,
    *,
    metric: str | Callable[..., float] = "euclidean",
    n_jobs: int | None = None,
) -> sparse.csr_matrix:
    r"""Fuzzy graph of nearest neighbours, W = V + V^T - V * V^T, of shape (N, N).

    Row i gives its neighbour j the weight v_ij = exp(-max(0, d_ij - rho_i) / sigma_i), with rho_i
    its smallest positive distance and sigma_i such that sum_j v_ij = log2(k + 1): every row has
    at least one link of weight 1, however low the density around it.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows to compare; with ``metric="precomputed"`` their distances, of shape (N, N). Of a
        sparse matrix of distances the stored entries are the neighbours, as of
        :class:`sklearn.neighbors.KNeighborsTransformer`.
    n_neighbors : int, default=15
        k; at most N - 1 are used, and no more than a sparse matrix of distances stores.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`.
    n_jobs : int, default=None
        Threads of the search, as in scikit-learn; the result does not depend on them.

    Returns
    -------
    CSR matrix of shape (N, N)
        Symmetric, float32, weights in (0, 1], no row linked to itself.

    See Also
    --------
    neighbor_layout : Positions of the rows of a graph.
    neighbor_start : Clusters of the rows.

    Examples
    --------
    >>> from skdeepcluster.neighbors import neighbor_graph
    >>> neighbor_graph([[0.0], [1.0], [5.0]], n_neighbors=1).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    check_scalar(n_neighbors, "n_neighbors", (int, np.integer), min_val=1)
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    if is_precomputed(metric):
        check_square(X)
        check_distances(X)
        return link_neighbors(*nearest_entries(X, n_neighbors, own=True))
    return link_neighbors(*find_neighbors(X, n_neighbors, metric, n_jobs))


def check_graph(X, dtype):
    """Return a graph given as X, which has to be square, as a CSR matrix."""
    graph = sparse.csr_matrix(check_array(X, accept_sparse="csr", dtype=dtype))
    if graph.shape[0] != graph.shape[1]:
        raise ValueError(
            f"graph has shape {graph.shape}; expected a square matrix of link weights, "
            "as neighbor_graph returns."
        )
    return graph


def find_neighbors(X, n_neighbors, metric, n_jobs):
    """Return distances and positions of the nearest other rows of each, nearest first, (N, k)."""
    if X.shape[0] == 1:
        return np.zeros((1, 0)), np.zeros((1, 0), dtype=np.int64)
    return NeighborIndex(X, metric, n_jobs).nearest(n_neighbors)


def link_neighbors(distances, neighbors):
    """Return the graph of rows whose k nearest other rows are known, (N, k), nearest first.

    A row with fewer than k neighbours has distances of infinity at its end.
    """
    n_rows, k = distances.shape
    weights = _smooth_weights(distances).astype(np.float32) if k else distances
    starts = np.arange(n_rows + 1) * k
    one_way = sparse.csr_matrix((weights.ravel(), neighbors.ravel(), starts), (n_rows, n_rows))
    one_way = one_way.astype(np.float32)
    one_way.sum_duplicates()
    back = one_way.T.tocsr()
    graph = (one_way + back - one_way.multiply(back)).tocsr()
    np.minimum(graph.data, 1, out=graph.data)
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def _smooth_weights(distances):
    """Return v_ij of :func:`neighbor_graph`, (N, k); sigma by bisection, all rows at once."""
    known = np.isfinite(distances)
    count, finite = known.sum(1, keepdims=True), np.where(known, distances, 0)
    # By a power of two for each row: the products of the bisection neither over- nor underflow.
    exponent = np.frexp(finite.max(1, keepdims=True))[1]
    distances, finite = np.ldexp(distances, -exponent), np.ldexp(finite, -exponent)
    positive = np.where(distances > 0, distances, np.inf).min(1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isinf(positive), 0, positive), 0)
    target = np.log2(count + 1)
    # Lower bound of sigma: if most distances are equal, the bisection would converge to zero.
    floor = np.maximum(1e-3 * finite.sum(1, keepdims=True) / count, 1e-100)
    low, high = floor, np.maximum(1e3 * finite.max(1, keepdims=True), floor)
    for _ in range(BISECTIONS):
        sigma = np.sqrt(low * high)
        too_wide = np.exp(-beyond / sigma).sum(1, keepdims=True) > target
        low, high = np.where(too_wide, low, sigma), np.where(too_wide, sigma, high)
    return np.exp(-beyond / high)


# ---- a walk along the edges


def make_walk(graph):
    """Return the steps P = D^{-1} G (M, M) of the walk on a graph, and the degrees D (M,)."""
    degree = np.asarray(graph.sum(1), dtype=np.float32).ravel()
    scale = np.where(degree > 0, 1 / np.maximum(degree, np.finfo(np.float32).tiny), 0)
    return (sparse.diags(scale.astype(np.float32)) @ graph).tocsr(), degree
