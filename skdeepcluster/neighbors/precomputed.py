"""Nearest neighbours read from a matrix of distances that the user computed.

N rows, M columns, k neighbours. A dense matrix has the distances to all columns. Of a sparse one,
as from :class:`sklearn.neighbors.KNeighborsTransformer`, the stored entries are the neighbours:
also stored zeros, and rows may have different numbers of them.
"""

import numpy as np
from scipy import sparse
from sklearn.neighbors import sort_graph_by_row_values
from sklearn.utils import get_tags

from .measure import split_rows


def check_distances(X):
    """Check that distances are at least 0."""
    least = (X.data if sparse.issparse(X) else X).min(initial=0)
    if least < 0:
        raise ValueError(
            f"Negative values in data: the least precomputed distance is {least:.6g}. Pass "
            "numbers of at least 0; of similarities s in [0, 1] pass 1 - s."
        )


def is_precomputed(metric):
    """Return whether a metric stands for given distances."""
    return isinstance(metric, str) and metric == "precomputed"


def has_distances(estimator):
    """Return whether an estimator takes distances, not features."""
    # AgglomerativeClustering has the parameter, but not the tag.
    given = is_precomputed(getattr(estimator, "metric", None))
    return given or get_tags(estimator).input_tags.pairwise


def check_square(X):
    """Check that a matrix of distances has a column for each row."""
    if X.shape[0] != X.shape[1]:
        raise ValueError(
            f"Precomputed distances should be a square matrix of shape (n_samples, n_samples), "
            f"got {X.shape}. Pass the distances of all rows to all rows, or another metric."
        )


def nearest_entries(X, k, *, own):
    """Return distances and columns of the nearest entries of each row, (N, k), nearest first.

    With ``own`` column i is row i itself and no neighbour of it. There may be fewer than k
    columns; a row of a sparse matrix with fewer entries ends with distances of infinity to
    column i, or 0 without ``own``.
    """
    if own and X.shape[0] == 1:
        return np.zeros((1, 0)), np.zeros((1, 0), dtype=np.int64)
    if sparse.issparse(X):
        return _nearest_stored(X, k, own)
    k = min(k, X.shape[1] - own)
    pairs = [_nearest_dense(X, part, k, own) for part in split_rows(*X.shape)]
    distances, columns = map(np.concatenate, zip(*pairs, strict=True))
    return distances, columns


def _nearest_dense(X, part, k, own):
    """Return :func:`nearest_entries` of a slice of the rows of a dense matrix."""
    block = np.array(X[part], dtype=np.float64)
    if own:
        rows = np.arange(len(block))
        block[rows, part.start + rows] = np.inf
    columns = np.sort(np.argpartition(block, k - 1, axis=1)[:, :k], axis=1)
    distances = np.take_along_axis(block, columns, 1)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, 1), np.take_along_axis(columns, order, 1)


def _nearest_stored(X, k, own):
    """Return :func:`nearest_entries` of a sparse matrix."""
    graph = sort_graph_by_row_values(X.tocsr(), copy=True, warn_when_not_sorted=False)
    n_rows = graph.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(graph.indptr))
    chosen = (graph.indices != rows) if own else np.ones(len(rows), dtype=bool)
    rows, columns, values = rows[chosen], graph.indices[chosen], graph.data[chosen]
    counts = np.bincount(rows, minlength=n_rows)
    if not counts.all():
        raise ValueError(
            f"Row {int(counts.argmin())} of the precomputed graph has no neighbour among the "
            "rows fitted (with a positive weight). Compute the graph with more neighbours "
            "(n_neighbors of KNeighborsTransformer), or drop the row."
        )
    k = min(k, int(counts.max()))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    near = place < k
    distances = np.full((n_rows, k), np.inf)
    neighbors = np.zeros((n_rows, k), dtype=np.int64)
    if own:
        neighbors += np.arange(n_rows)[:, None]
    distances[rows[near], place[near]] = values[near]
    neighbors[rows[near], place[near]] = columns[near]
    return distances, neighbors
