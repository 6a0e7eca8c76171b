r"""Rows in a metric of their own: whitened by the scatter within groups that belong together.

The Euclidean metric of the features weighs a feature by its variance, most of which may lie
between clusters or be noise. In the metric of the inverse covariance within clusters these are
round. Neighbours mostly belong to one cluster, so the scatter of their differences estimates it
before any cluster is known; a partition of the rows whitened by it gives a better estimate.

The scatter of few rows has larger large eigenvalues and smaller small ones than the
distribution's, so that its inverse would raise what is chance; it is shrunk towards a multiple of
the identity, the more the fewer rows there are.

M rows, D features, K clusters.

References: D. Art, R. Gnanadesikan, J. R. Kettenring, "Data-based metrics for cluster analysis",
Utilitas Mathematica 21A, 1982 (the scatter between neighbours); H. P. Friedman, J. Rubin, "On some
invariant criteria for grouping data", Journal of the American Statistical Association 62, 1967
(that within clusters); Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, "Shrinkage algorithms for MMSE
covariance estimation", IEEE Transactions on Signal Processing 58, 2010.
"""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

from .._responsibilities import cluster_means
from .graph import neighbor_graph
from .search import single_threaded_blas

#: Most features that are whitened: of more, many are hardly more than noise, which would be raised
#: to the scale of all others.
MAX_FEATURES = 100
#: Added to the scatter's eigenvalues, as a share of their mean: a direction in which neighbours
#: hardly differ must not outweigh all others.
REGULARIZATION = 0.1
#: Times that the scatter is computed, each time between the neighbours of the metric before.
N_ITERATIONS = 2


def are_vectors(rows, metric):
    """Return whether differences of rows mean something: not of None, nor by other metrics."""
    return rows is not None and metric in ("euclidean", "cosine")


def can_whiten(rows):
    """Return whether rows (M, D) have features to whiten: two, and at most MAX_FEATURES."""
    return 1 < rows.shape[1] <= MAX_FEATURES


def prepare_rows(rows, metric):
    """Return rows (M, D), dense or sparse, as dense ones of at most 1 in magnitude.

    Their metric is "euclidean" or "cosine".
    """
    rows = rows.toarray() if sparse.issparse(rows) else rows
    rows = (normalize(rows) if metric == "cosine" else rows).astype(np.float64)
    return rows / max(np.abs(rows).max(), np.finfo(np.float64).tiny)


def whiten_by_neighbors(rows, graph, n_neighbors, n_jobs):
    """Return the rows (M, D) whitened by the scatter between neighbours, first of a graph (M, M).

    From then on neighbours are those among the whitened rows.
    """
    whitened = rows
    for iteration in range(N_ITERATIONS):
        if iteration > 0:
            graph = neighbor_graph(whitened, n_neighbors, n_jobs=n_jobs)
        with single_threaded_blas():
            scatter = scatter_between_neighbors(rows, graph)
            whitened = rows @ whitening_matrix(scatter, len(rows))
    return whitened


def scatter_between_neighbors(rows, graph):
    r"""Return sum_ij g_ij (x_i - x_j)(x_i - x_j)^T / (2 sum_ij g_ij), (D, D).

    It is X^T L X / sum_ij g_ij, with g_ij the weights of the graph (M, M) and L its Laplacian.
    """
    degree = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    return rows.T @ (degree[:, None] * rows - graph @ rows) / degree.sum()


def scatter_within_clusters(rows, weights, resp):
    """Return the covariance (D, D) of rows about their cluster's mean.

    ``resp`` (M, K) are zeros and ones; ``weights`` (M,) say how often each row occurs.
    """
    gaps = rows - resp @ cluster_means(resp * weights[:, None], rows)
    return gaps.T @ (gaps * weights[:, None]) / weights.sum()


def whitening_matrix(scatter, n_degrees):
    r"""Return A (D, D) by which rows are multiplied, A A^T = W^{-1}, W the regularised scatter.

    ``n_degrees`` are the degrees of freedom of the scatter (D, D).
    """
    values, vectors = np.linalg.eigh((scatter + scatter.T) / 2)
    values = np.maximum(values, 0)
    # Deviations below the rounding of the largest value, which is 1, are none.
    mean = max(values.mean(), np.finfo(float).eps ** 2)
    values += shrink(values / mean, n_degrees) * (mean - values) + REGULARIZATION * mean
    return vectors / np.sqrt(values)


def shrink(values, n_degrees):
    """Return the share of the identity in the oracle approximating shrinkage of a covariance.

    ``values`` (D,) are the eigenvalues of the sample covariance of normal rows with ``n_degrees``
    degrees of freedom (Chen et al., eq. 23).
    """
    squares, square, inverse = np.square(values).sum(), values.sum() ** 2, 1 / len(values)
    excess = (n_degrees + 1 - 2 * inverse) * (squares - square * inverse)
    wanted = (1 - 2 * inverse) * squares + square
    return wanted / max(wanted, excess, np.finfo(float).tiny)
