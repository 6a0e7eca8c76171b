"""Missing values, filled by means over the nearest samples that have them.

N samples, D features, k neighbors.
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import KNNImputer

from .checks import leave_weighted, misses_values, warn_user
from .distinct import hash_samples, order_samples

#: Maximum number of samples among which the nearest are searched.
MAX_DONORS = 5_000


class Imputer(TransformerMixin, BaseEstimator):
    """Fill missing values by :class:`sklearn.impute.KNNImputer`, from some distinct samples."""

    def __init__(self, n_neighbors=15):
        self.n_neighbors = n_neighbors

    def fit(self, X, y=None, sample_weight=None):
        """Choose the samples of X (N, D) that fill gaps: donors."""
        X, _ = leave_weighted(X, sample_weight)
        _, distinct = np.unique(hash_samples(X), return_index=True)
        donors = X[distinct]
        order = order_samples(np.nan_to_num(donors))
        donors = donors[order[:: -(-len(order) // MAX_DONORS)]]
        imputer = KNNImputer(n_neighbors=self.n_neighbors, keep_empty_features=True)
        self.imputer_ = imputer.set_output(transform="default").fit(donors)
        return self

    def transform(self, X):
        """Return X (N, D) without missing values."""
        if not misses_values(X):
            return X
        n_empty = np.isnan(X).all(1).sum()
        if n_empty:
            warn_user(
                f"Samples without any value: {n_empty}. They are taken as the mean sample: leave "
                "them out.",
                UserWarning,
            )
        return self.imputer_.transform(X)
