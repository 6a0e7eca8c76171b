r"""Rows in a metric of their own: whitened by the scatter between neighbours.

The Euclidean metric of the features weighs a feature by its variance, most of which may lie
between clusters or be noise. Neighbours mostly belong to one cluster, so the scatter of their
differences estimates the covariance within clusters before any cluster is known; in the metric of
its inverse clusters are round.

M rows, D features, k neighbours.

Reference: D. Art, R. Gnanadesikan, J. R. Kettenring, "Data-based metrics for cluster analysis",
Utilitas Mathematica 21A, 1982.
"""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

from .blas import single_threaded_blas
from .graph import neighbor_graph

#: Most features that are whitened: of more, many are hardly more than noise, which would be raised
#: to the scale of all others.
MAX_FEATURES = 100
#: Added to the scatter's eigenvalues, as a share of their mean: a direction in which neighbours
#: hardly differ must not outweigh all others.
REGULARIZATION = 0.1
#: Times that the scatter is computed, each time between the neighbours of the metric before.
N_ITERATIONS = 2


def whitened_graph(rows, graph, n_neighbors, metric, n_jobs):
    """Return the neighbour graph (M, M) of whitened rows, or None where there is none.

    ``rows`` (M, D) are dense or sparse and ``graph`` is that of their metric, "euclidean" or
    "cosine"; of other metrics and precomputed distances there are no differences to whiten. Nor
    are rows of one feature whitened, or of more than MAX_FEATURES.
    """
    is_vector = isinstance(metric, str) and metric in ("euclidean", "cosine")
    if rows is None or not is_vector or not 1 < rows.shape[1] <= MAX_FEATURES:
        return None
    rows = rows.toarray() if sparse.issparse(rows) else rows
    rows = (normalize(rows) if metric == "cosine" else rows).astype(np.float64)
    rows = rows / max(np.abs(rows).max(), np.finfo(np.float64).tiny)
    for _ in range(N_ITERATIONS):
        with single_threaded_blas():
            whitened = whiten(rows, graph)
        graph = neighbor_graph(whitened, n_neighbors, n_jobs=n_jobs)
    return graph


def whiten(rows, graph):
    r"""Return rows (M, D) multiplied by W^{-1/2}, with W the scatter between neighbours, (D, D).

    W = sum_ij g_ij (x_i - x_j)(x_i - x_j)^T / (2 sum_ij g_ij) = X^T L X / sum_ij g_ij, with g_ij
    the weights of the graph (M, M) and L its Laplacian.
    """
    degree = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    scatter = rows.T @ (degree[:, None] * rows - graph @ rows) / degree.sum()
    values, vectors = np.linalg.eigh((scatter + scatter.T) / 2)
    values = np.maximum(values, 0) + REGULARIZATION * max(values.mean(), np.finfo(float).tiny)
    return rows @ (vectors / np.sqrt(values))
