"""The graph of nearest neighbours of distinct rows (UMAP's), and label propagation on it.

N rows, D features, K classes, k neighbours.

Reference: L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and
Projection", 2018 (the weights of the graph).
"""

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils import check_array, check_scalar

from .._responsibilities import check_labels, normalize_rows
from .measure import split_rows
from .precomputed import check_distances, check_square, is_precomputed, nearest_entries
from .search import NeighborIndex

#: Bisection steps for the widths sigma_i, on a logarithmic scale.
BISECTIONS = 40
#: Residual at which labels are spread, as a share of a row.
RESIDUAL = 1e-9
#: Least denominator.
TINY = np.finfo(np.float64).tiny


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
    """Return a graph given as X as a CSR matrix, checked for a weight of every two rows."""
    graph = sparse.csr_matrix(check_array(X, accept_sparse="csr", dtype=dtype))
    if graph.shape[0] != graph.shape[1]:
        raise ValueError(
            f"graph has shape {graph.shape}; expected a square matrix of link weights, "
            "as neighbor_graph returns."
        )
    return graph


def find_neighbors(X, n_neighbors, metric, n_jobs):
    """Return distances and positions of the nearest other rows of each, nearest first, (N, k)."""
    check_scalar(n_neighbors, "n_neighbors", (int, np.integer), min_val=1)
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


# ---- distinct rows


def order_rows(X):
    """Return the order (N,) of rows by their values, whatever the order in which they come.

    It is that of their projections on a fixed random direction, in which equal rows are together.
    Features are scaled by their ranges, so that their units do not matter.
    """
    ends = X.min(0), X.max(0)
    if sparse.issparse(X):
        ends = (end.toarray().ravel() for end in ends)
    least, largest = (end.astype(np.float64) for end in ends)
    direction = np.random.RandomState(0).standard_normal(X.shape[1])
    # Of subnormal ranges the inverse is infinite.
    direction /= np.where(largest > least, np.maximum(largest - least, 1e-300), 1)
    return np.argsort(project_rows(X, direction), kind="stable")


def project_rows(X, direction=None):
    """Return the projection of each row on a direction (D,), by default a fixed random one, (N,).

    Equal rows have equal projections, and unequal ones almost never: it orders rows by their
    values, whatever their order in X and their unit, and finds a row among others.
    """
    if direction is None:
        direction = np.random.default_rng(0).standard_normal(X.shape[1])
    if sparse.issparse(X):
        return X @ direction
    # Summed row by row: a matrix product may round equal rows differently at other positions.
    blocks = (X[part] for part in split_rows(*X.shape))
    parts = [(np.ascontiguousarray(rows, np.float64) * direction).sum(1) for rows in blocks]
    return np.concatenate(parts)


def unique_rows(X, weights):
    """Return (kept, inverse, weights) of the distinct rows of X that have a positive weight.

    ``kept`` (M,) are positions of distinct rows in X, in an order that depends on their values
    only; ``weights`` (M,) the sums of the weights (N,) of the rows equal to each; ``inverse`` (N,)
    the position of each row in ``kept``, -1 for rows whose value has no weight. Without copies the
    law holds that a weight w equals w occurrences; and copies would be each other's nearest
    neighbours, linked to nothing else.
    """
    X = X.sorted_indices() if sparse.issparse(X) else X
    keys = project_rows(X)
    rank = _rank_ties(X, keys)
    # By weight last, so that sums of weights are rounded alike in every order of the rows.
    order = np.lexsort((weights, rank, keys))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(keys[order]) != 0) | (np.diff(rank[order]) != 0)
    first = np.flatnonzero(is_new)
    total = np.add.reduceat(weights[order], first)
    present = total > 0
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = np.where(present, np.cumsum(present) - 1, -1)[np.cumsum(is_new) - 1]
    return np.minimum.reduceat(order, first)[present], inverse, total[present]


def _rank_ties(X, keys):
    """Return numbers (N,) that differ between unequal rows of equal keys."""
    order = np.argsort(keys, kind="stable")
    equal = np.append(np.diff(keys[order]) == 0, False)
    tied = order[equal | np.roll(equal, 1)]
    values = [_read_bytes(X, i) for i in tied]
    number = {value: i for i, value in enumerate(sorted(set(values)))}
    rank = np.zeros(len(keys), dtype=np.int64)
    rank[tied] = [number[value] for value in values]
    return rank


def _read_bytes(X, i):
    """Return the values of a row as bytes; zeros are alike, stored or not, of either sign."""
    if not sparse.issparse(X):
        return (X[i] + 0.0).tobytes()
    part = slice(X.indptr[i], X.indptr[i + 1])
    stored = X.data[part] != 0
    return X.indices[part][stored].tobytes() + X.data[part][stored].tobytes()


# ---- labels along the graph


def spread_labels(
    X, targets, n_classes: int, *, n_neighbors: int = 15, alpha: float = 0.99, n_iter: int = 2000
) -> npt.NDArray[np.float64]:
    r"""Give every row class probabilities by label spreading on the neighbour graph.

    The probabilities are the rows of F = (1 - alpha) (I - alpha S)^{-1} Y, normalised, with
    S = D^{-1/2} W D^{-1/2}, W the graph, D its degrees and Y the labels, of which each class has
    weight one [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (N, D)
        Rows or codes.
    targets : array-like of shape (N,)
        Classes from 0 to ``n_classes - 1``; -1 for rows without a label.
    n_classes : int
        K.
    n_neighbors : int, default=15
        Neighbours in the graph.
    alpha : float, default=0.99
        Weight of the neighbours of a row, at least 0 and less than 1; the labels have 1 - alpha.
    n_iter : int, default=2000
        Most steps of the conjugate gradient method that solves the equations, to a residual of
        1e-9 of each row; the default alpha takes a few hundred.

    Returns
    -------
    ndarray of shape (N, K)
        Probabilities, float64; equal ones for rows that no label reaches.

    Raises
    ------
    ValueError
        When ``targets`` has another length than X, or a number that is no class.

    See Also
    --------
    labelled_start : Clusters of a few labels, from the rows.
    neighbor_graph : The graph of the rows.

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
    check_scalar(alpha, "alpha", Real, min_val=0, max_val=1, include_boundaries="left")
    check_scalar(n_iter, "n_iter", Integral, min_val=1)
    graph = neighbor_graph(X, n_neighbors)
    check_scalar(n_classes, "n_classes", Integral, min_val=1)
    targets = check_labels("targets", targets, graph.shape[0], n_classes, "classes")
    labels = count_labels(targets, n_classes, np.arange(len(targets)))
    return spread_along(graph, labels, alpha, n_iter)


def count_labels(targets, n_classes, inverse, weights=None):
    """Return how many rows have each class among those equal to each distinct row, (M, K).

    ``inverse`` (N,) are the positions of the rows among the M distinct ones, or -1; ``weights``
    (N,) say how often each row counts.
    """
    known = np.flatnonzero((targets >= 0) & (inverse >= 0))
    labels = np.zeros((inverse.max() + 1, n_classes))
    np.add.at(labels, (inverse[known], targets[known]), 1 if weights is None else weights[known])
    return labels


def spread_along(graph, labels, alpha=0.99, n_iter=2000):
    """Spread counts of labels (M, K) along a given graph, see :func:`spread_labels`."""
    sums = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    scale = sparse.diags(np.where(sums > 0, 1 / np.sqrt(np.maximum(sums, 1e-12)), 0))
    links = (alpha * (scale @ graph @ scale)).tocsr()
    labels = labels / np.maximum(labels.sum(0), 1)
    return normalize_rows(np.maximum(_solve_spread(links, labels, n_iter), 0))


def absorb_walk(graph, labels, votes, stops):
    """Return the mean votes (M, K) where a walk from each row ends: at a labelled row or anywhere.

    A walk ends at the first row with ``labels`` (M, K), by their shares, and at any other with
    probability s / (1 + s), by its ``votes`` (M, K), with s its number of ``stops`` (M,). These
    are the harmonic functions of X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning
    using Gaussian fields and harmonic functions", ICML 2003, with votes as external classifier.
    """
    degree = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    known, found = labels.any(1), np.where(labels.any(1)[:, None], normalize_rows(labels), votes)
    free = np.flatnonzero(~known & (degree > 0))
    edges, root = graph[free], np.sqrt(degree * (1 + stops))[free]
    ends = edges[:, known] @ found[known] + (degree * stops)[free, None] * votes[free]
    scale = sparse.diags(1 / root)
    links = (scale @ edges[:, free] @ scale).tocsr()
    found[free] = _solve_spread(links, ends / root[:, None], 2000) / root[:, None]
    return found


def _solve_spread(links, labels, n_iter):
    """Solve F = links F + labels, (M, K), by at most ``n_iter`` conjugate gradient steps.

    Rows far from all labels have small F. Therefore the method is restarted from the residual
    until this is small against each row.
    """
    found, n_steps = np.zeros_like(labels), 0
    while n_steps < n_iter:
        rest = labels + links @ found - found
        if (np.abs(rest).sum(1) <= RESIDUAL * np.abs(found).sum(1)).all():
            break
        step, square = rest.copy(), np.square(rest).sum(0)
        least = RESIDUAL**2 * square
        while n_steps < n_iter and (square > least).any():
            change = step - links @ step
            length = square / np.maximum((step * change).sum(0), TINY)
            found += length * step
            rest -= length * change
            before, square = square, np.square(rest).sum(0)
            step = rest + square / np.maximum(before, TINY) * step
            n_steps += 1
    return found
