"""Distances of neighbours measured anew, and ties between them broken alike everywhere.

N stored rows, M rows asked about, D features, k neighbours.
"""

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

#: Neighbours found beyond k, among which the k nearest are chosen.
EXTRA = 5
#: Elements of rows that are worked on at once, which bounds memory.
BLOCK_ELEMENTS = 2**22


def split_rows(n_rows, n_columns):
    """Return the slices of rows, in their order, that are worked on at once."""
    return list(gen_batches(n_rows, max(1, BLOCK_ELEMENTS // max(1, n_columns))))


def sort_nearest(distances, neighbors, k):
    """Return the k nearest of the neighbours found, (M, k), of equally distant ones the first."""
    order = np.lexsort((neighbors, distances))[:, :k]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(neighbors, order, 1)


class Measure:
    """Measures the distances of sparse rows to their neighbours among stored rows X (N, D).

    scikit-learn computes x^2 - 2 x y + y^2, which is rounded as x^2 is; sums of squared
    differences are rounded as the distance is, and alike for every number of rows. The metric is
    "euclidean" or "cosine".
    """

    def __init__(self, X, metric):
        self.metric = metric
        self.X = self.rows = X
        if metric == "cosine":
            self.rows = normalize(X.astype(np.float64))
            self.is_zero = _square_differences(self.rows, 0 * self.rows) == 0

    def choose_nearest(self, X, neighbors, k):
        """Return distances and positions of the k nearest of the neighbours found, (M, k) each.

        Of equally distant ones the first are chosen: which of them a search finds may depend on
        its threads.
        """
        blocks = [self._measure(X[part], neighbors[part]) for part in split_rows(*X.shape)]
        return sort_nearest(np.concatenate(blocks), neighbors, k)

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
    """Return the squared Euclidean distance of each sparse row to that of another matrix, (N,)."""
    gap = one.astype(np.float64) - other
    return np.asarray(gap.multiply(gap).sum(1)).ravel()
