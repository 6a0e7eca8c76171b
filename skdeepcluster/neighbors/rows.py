"""The order of rows by their values, and the distinct ones among them.

N rows, D features, M distinct rows.
"""

import numpy as np
from scipy import sparse

from .measure import split_rows


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
