"""Missing values, filled by means over the nearest samples that have them.

N samples, D features, M donors, k neighbors.
"""

from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from .checks import check_sample_weight, warn_user
from .distinct import (
    hash_samples,
    merge_equal,
    order_columns,
    order_rows,
    sort_nearest,
)

#: Maximum number of samples among which the nearest are searched.
MAX_DONORS = 5_000
#: Number of the nearest donors among which those that have a value are searched.
NEAREST_DONORS = 128
#: Number of samples that are compared at once.
BLOCK_SIZE = 512


class Imputer(NamedTuple):
    """Fills missing values by means over the k nearest donors that have them.

    The squared distance is the mean over the features that both samples have
    (O. Troyanskaya and others, "Missing value estimation methods for DNA microarrays",
    Bioinformatics 17, 2001). Donors are distinct, and count by their weights: results depend
    neither on the order of samples and features, nor on repetitions and constant features.
    """

    #: Donors (M, D), in an order that depends on their values alone.
    donors: np.ndarray
    #: Weights (M,) of the donors.
    weights: np.ndarray
    #: Means (D,) of the features; zero for those without a value.
    means: np.ndarray
    #: Positions of the features that vary, in an order that depends on their values alone.
    columns: np.ndarray
    n_neighbors: int

    def fill(self, X):
        """Return a copy of X (N, D) without missing values."""
        X = X.copy()
        is_missing = np.isnan(X)
        n_empty = is_missing.all(1).sum()
        if n_empty:
            warn_user(
                f"Samples without any value: {n_empty}. They are taken as the mean sample: leave "
                "them out.",
                UserWarning,
            )
        incomplete = np.flatnonzero(is_missing.any(1))
        donors = self._scale(self.donors)
        has_value = (~np.isnan(donors)).T.astype(float)
        known = has_value, np.nan_to_num(donors).T
        # Several threads would round differently.
        with threadpool_limits(1, "blas"):
            for block in gen_batches(len(incomplete), BLOCK_SIZE):
                rows = X[incomplete[block]]
                distances, nearest = _search(*known, self._scale(rows))
                X[incomplete[block]] = self._average(rows, distances, nearest)
        return X

    def _scale(self, X):
        """Return the features that vary, centered, in a unit that no overflow threatens."""
        centered = X[:, self.columns] - self.means[self.columns]
        spread = np.nanmax(
            np.abs(self.donors[:, self.columns] - self.means[self.columns])
        )
        return np.ldexp(centered, -np.frexp(spread)[1])

    def _average(self, rows, distances, nearest):
        """Return rows (n, D) with their missing values filled."""
        is_missing = np.isnan(rows)
        for j in np.flatnonzero(is_missing.any(0)):
            own = is_missing[:, j]
            values = self.donors[nearest[own], j]
            weights = np.where(np.isinf(distances[own]), 0, self.weights[nearest[own]])
            weights[np.isnan(values)] = 0
            weights[np.cumsum(weights > 0, axis=1) > self.n_neighbors] = 0

            total = weights.sum(1)
            means = (weights * np.nan_to_num(values)).sum(1) / total.clip(1e-300)
            rows[own, j] = np.where(total > 0, means, self.means[j])
        return rows


def _search(has_value, donors, points):
    """Return distances of points (n, D) to the nearest donors, and their places, (n, m).

    ``donors`` (D, M) are zero where ``has_value`` (D, M) is.
    """
    is_known = ~np.isnan(points)
    points = np.where(is_known, points, 0)

    squares = np.square(points) @ has_value
    squares -= 2 * points @ donors
    squares += is_known @ np.square(donors)
    n_common = is_known @ has_value
    squares = squares.clip(0) / n_common.clip(1)
    squares[n_common == 0] = np.inf

    # Single precision hides how sums are rounded in another order or unit.
    squares = squares.astype(np.float32)
    m = min(NEAREST_DONORS, squares.shape[1])
    nearest = np.argpartition(squares, m - 1, axis=1)[:, :m]
    found = np.take_along_axis(squares, nearest, 1)
    return sort_nearest(found, nearest, m)


def fit_imputer(X, n_neighbors, sample_weight=None):
    """Return the :class:`Imputer` by samples X (N, D) with weights (N,)."""
    weights = check_sample_weight(sample_weight, X)
    distinct = merge_equal(hash_samples(X), weights / weights.max())
    rows = X[distinct.kept].astype(float)
    weights = distinct.weights

    is_known = ~np.isnan(rows)
    totals = weights @ is_known
    means = weights @ np.nan_to_num(rows) / totals.clip(1e-300)
    filled = np.where(is_known, rows, means)
    columns = order_columns(filled)

    order = order_rows(filled[:, columns])
    order = order[:: -(-len(order) // MAX_DONORS)]
    return Imputer(rows[order], weights[order], means, columns, n_neighbors)
