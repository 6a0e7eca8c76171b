"""What new rows get from the rows of a graph: the mean of the nearest, weighted by 1 / distance.

M rows of the graph, N rows asked about, D features, k neighbours. Reference: D. Shepard, "A
two-dimensional interpolation function for irregularly-spaced data", ACM National Conference 1968.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from .._responsibilities import average_finite
from .._validation import check_answers
from .search import NeighborIndex, nearest_entries, project_rows

#: Rows searched for at once by scikit-learn and among precomputed distances. scikit-learn shares
#: the work of so few out by the rows of the graph, however many are asked about: equal distances
#: are then always broken alike.
BLOCK = 1024
#: Rows searched for at once otherwise: a cell is compared with all queries in it together.
LARGE_BLOCK = 16_384


#: Distance to rows that are so far away that it overflows: with it sums of neighbours' do not.
FARTHEST = np.finfo(np.float64).max / 2**20


class Reference(NamedTuple):
    """The rows of a graph, which new rows are compared with."""

    #: Rows (M, D), dense or CSR; None with precomputed distances.
    rows: Any
    #: Projections (M,) of these rows by :func:`project_rows`, or of their distances to all rows.
    keys: np.ndarray
    #: Their positions (M,) among all rows, thus columns of precomputed distances.
    kept: np.ndarray
    metric: Any
    n_neighbors: int
    #: Mean distance (M,) of each row to its nearest others.
    spacing: np.ndarray


def take_rows(X, kept):
    """Return some rows of X (N, D), as a reference keeps them."""
    rows = X[kept]
    return rows.sorted_indices() if sparse.issparse(X) else np.ascontiguousarray(rows)


def project_distances(X):
    """Return :func:`project_rows` of distances, where stored zeros of a sparse matrix count."""
    if not sparse.issparse(X):
        return project_rows(X)
    X = X.sorted_indices()
    X.data = X.data.astype(np.float64) + 1
    return project_rows(X)


def interpolate(reference, X, values, n_jobs=None):
    """Return the values of rows X (N, D) by the ``values`` of the reference, arrays (M, C).

    A row equal to one of the reference gets exactly its value. The others get the weighted mean
    of their k nearest, with weights 1 / distance, or of those at distance zero. With precomputed
    distances X has the distances (N, columns) to all rows of the fit. Also returned is the mean
    distance (N,) of each row to its neighbours. ValueError if a metric has no value for a row.
    """
    precomputed = reference.rows is None
    if not precomputed and sparse.issparse(X) != sparse.issparse(reference.rows):
        X = sparse.csr_matrix(X) if sparse.issparse(reference.rows) else X.toarray()
    found = find_equal(reference, X)
    answers = [value[np.maximum(found, 0)] for value in values]
    spacing = reference.spacing[np.maximum(found, 0)]
    others = np.flatnonzero(found < 0)
    if not len(others):
        return answers, spacing
    search, size = _make_search(reference, n_jobs)
    for rows in np.split(others, range(size, len(others), size)):
        distances, neighbors = search(X[rows])
        if not precomputed:  # where infinity is a neighbour that is missing
            distances = np.minimum(distances, FARTHEST)
        weights, undefined = _weigh(distances), np.isnan(distances).any(1)
        spacing[rows] = np.where(undefined, np.nan, average_finite(distances))
        for answer, value in zip(answers, values, strict=True):
            answer[rows] = _average(weights, neighbors, value)
    return answers, check_answers(spacing, X, f" by metric={reference.metric!r}")


def _average(weights, neighbors, value):
    """Return the weighted mean (N, C) of the values (M, C) of neighbours, (N, k) each."""
    total = weights[:, :1] * value[neighbors[:, 0]]
    for k in range(1, weights.shape[1]):
        total += weights[:, k : k + 1] * value[neighbors[:, k]]
    return total


def find_equal(reference, X):
    """Return the row of the reference that equals each row of X, (N,), or -1.

    Rows are compared if their projections are equal. Rows of distances are not kept, and their
    projections decide: those of different rows are equal with a probability of about 1e-16.
    """
    precomputed = reference.rows is None
    if sparse.issparse(X) and not precomputed:
        X = X.sorted_indices()
    keys = project_distances(X) if precomputed else project_rows(X)
    order = np.argsort(reference.keys, kind="stable")
    ordered = np.append(reference.keys[order], np.nan)
    place, found = np.searchsorted(ordered[:-1], keys), np.full(len(keys), -1)
    open_rows = np.arange(len(keys))
    while len(open_rows):
        open_rows = open_rows[ordered[place[open_rows]] == keys[open_rows]]
        candidates = order[place[open_rows]]
        same = np.ones(len(open_rows), dtype=bool)
        if not precomputed:
            same = _compare(X[open_rows], reference.rows[candidates])
        found[open_rows[same]] = candidates[same]
        open_rows = open_rows[~same]
        place[open_rows] += 1
    return found


def _compare(one, other):
    """Return which rows of two arrays, or two sparse matrices, are equal."""
    if sparse.issparse(one):
        return np.asarray((one != other).sum(1)).ravel() == 0
    return (one == other).all(1)


def _make_search(reference, n_jobs):
    """Return a function from rows to distances and positions of neighbours, and its block."""
    k = reference.n_neighbors
    if reference.rows is None:
        return lambda X: nearest_entries(X[:, reference.kept], k, own=False), BLOCK
    index = NeighborIndex(reference.rows, reference.metric, n_jobs)
    return partial(index.nearest, k), BLOCK if index.library is not None else LARGE_BLOCK


def _weigh(distances):
    """Return weights (N, k) proportional to 1 / distance, for distances in ascending order."""
    nearest = distances[:, :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Relative to the nearest, so that none overflows.
        weights = np.where(nearest > 0, nearest / distances, distances == 0)
    return weights / weights.sum(1, keepdims=True)
