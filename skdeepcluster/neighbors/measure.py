"""Distances of neighbours measured anew, and ties between them broken alike everywhere.

N stored rows, M rows asked about, D features, k neighbours.
"""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

#: Neighbours found beyond k, among which the k nearest are chosen.
EXTRA = 5
#: Elements of rows that are worked on at once, which bounds memory.
BLOCK_ELEMENTS = 2**22


def split_rows(n_rows, n_columns):
    """Return the slices of rows, in their order, that are worked on at once."""
    size = max(1, BLOCK_ELEMENTS // max(1, n_columns))
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def with_extra(k):
    """Return k, and how many neighbours to search for."""
    return k, k + EXTRA


def sort_nearest(distances, neighbors, k):
    """Return the k nearest of the neighbours found, (M, k), of equally distant ones the first."""
    order = np.lexsort((neighbors, distances))[:, :k]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(neighbors, order, 1)


class Measure:
    """Measures the distances of rows to their neighbours among stored rows X (N, D).

    Searches compute x^2 - 2 x y + y^2, which is rounded as x^2 is; sums of squared differences are
    rounded as the distance is, and alike for every number of rows. Other metrics than "euclidean"
    and "cosine" are those of the search.
    """

    def __init__(self, X, metric):
        self.metric = metric if isinstance(metric, str) else None
        self.X = self.rows = X
        if self.metric == "cosine":
            self.rows = normalize(X.astype(np.float64))
            self.is_zero = _square_differences(self.rows, 0 * self.rows) == 0

    def choose_nearest(self, X, distances, neighbors, k):
        """Return distances and positions of the k nearest of the neighbours found, (M, k) each.

        Of equally distant ones the first are chosen: which of them a search finds may depend on
        its threads.
        """
        if self.metric in ("euclidean", "cosine"):
            parts = split_rows(*X.shape)
            blocks = [self._measure(X[part], neighbors[part]) for part in parts]
            distances = np.concatenate(blocks)
        return sort_nearest(distances, neighbors, k)

    def _measure(self, X, neighbors):
        """Return the distances of rows to their neighbours, of the shape of ``neighbors``."""
        is_cosine = self.metric == "cosine"
        X = normalize(X.astype(np.float64)) if is_cosine else X
        squares = np.stack([_square_differences(X, self.rows[j]) for j in neighbors.T], 1)
        if not is_cosine:
            return np.sqrt(squares)
        # |u - v|^2 / 2 = 1 - u v for unit vectors; a row of zeros is at distance 1 from all.
        lost = self.is_zero[neighbors] | (_square_differences(X, 0 * X) == 0)[:, None]
        return np.where(lost, 1, squares / 2)


def _square_differences(one, other):
    """Return the squared Euclidean distance of each row to that of another array, (N,)."""
    if sparse.issparse(one):
        gap = one.astype(np.float64) - other
        return np.asarray(gap.multiply(gap).sum(1)).ravel()
    gap = np.ascontiguousarray(one, np.float64) - other
    return np.square(gap).sum(1)
