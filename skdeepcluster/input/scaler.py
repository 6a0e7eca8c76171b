"""Scales of features: how X is measured, and the factors that make features comparable.

N samples, D features, E encoded columns.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import entr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from .checks import check_magnitude, leave_weighted
from .distinct import count_distinct, find_ranges

#: Maximum distance of probabilities from [0, 1], in eps of their type, as after MinMaxScaler.
RANGE_ERROR = 4
#: Minimum variance of values that "auto" takes for probabilities, relative to zeros and ones of
#: the same means.
MIN_VARIATION = 0.01
#: Number of samples in a block when X is measured.
CHUNK = 4096
#: Scales are comparable if the largest standard deviation is at most this many times the median.
MAX_SPREAD = 10.0
#: Weight of one-hot columns next to standardized numbers. Nearest samples agree in heavier
#: categories, and the graph would fall apart into their combinations.
CATEGORY_WEIGHT = 0.625
#: Share of a column that others explain from which its weight is not reduced.
MIN_EXPLAINED = 0.1
#: Minimum share of the information of a category in another one that makes both the same fact.
SAME_FACT = 0.8
#: Minimum weight of a column.
MIN_WEIGHT = 1 / 64
#: Weight of a category that another one tells, too small to matter, relative to others.
NO_WEIGHT = 2.0**-20
#: Added to the variances of standardized columns, so that one-hot columns have an inverse.
VARIANCE_RIDGE = 1e-6
#: Minimum number of features that are taken for principal components.
MIN_COMPONENTS = 5
#: Maximum correlation of principal components, and maximum of their means in standard deviations.
MAX_CORRELATION = 1e-3


class Features(NamedTuple):
    """Mean, standard deviation (1 for a constant), minimum and maximum of each feature, (D,)."""

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def take(self, columns):
        """Return the measures of some features."""
        return Features(*(values[columns] for values in self))

    @property
    def deviations(self):
        """Standard deviations of the features that vary."""
        return self.scale[self.high > self.low]


def measure_features(X, sample_weight=None):
    """Measure the features of X, checked for their magnitude, in one pass with float64 sums."""
    scaler = StandardScaler(with_mean=not sparse.issparse(X))
    low, high = find_ranges(X)
    check_magnitude(np.concatenate([low, high]))
    for part in gen_batches(X.shape[0], CHUNK):
        weights = None if sample_weight is None else sample_weight[part]
        with np.errstate(over="ignore", invalid="ignore"):
            # Tiny values have variance 0.
            scaler.partial_fit(X[part], sample_weight=weights)
    return Features(scaler.mean_, scaler.scale_, low, high)


def are_probabilities(low, high, dtype):
    """Return whether values from ``low`` to ``high`` are within [0, 1] up to rounding."""
    margin = 0.0
    if np.issubdtype(dtype, np.floating):
        margin = RANGE_ERROR * np.finfo(dtype).eps
    return low >= -margin and high <= 1 + margin


def look_like_probabilities(features, dtype):
    """Return whether features in [0, 1] vary enough for probabilities, or are all constant."""
    if not are_probabilities(features.low.min(), features.high.max(), dtype):
        return False
    mean = features.mean[features.high > features.low]
    least = MIN_VARIATION * (mean * (1 - mean)).sum()
    return np.square(features.deviations).sum() >= least


def are_comparable(X, features, sample_weight=None):
    """Return whether the features of X (N, D) can keep their scales.

    They cannot if a few features dominate, unless they are principal components.
    """
    deviations = features.deviations
    if deviations.size < 2:
        return True
    median = np.quantile(deviations, 0.5, method="lower")
    if deviations.max() <= MAX_SPREAD * median:
        return True
    return _are_components(X, features, sample_weight)


def _are_components(X, features, sample_weight):
    """Return whether the features that vary are centered and uncorrelated."""
    varies = features.high > features.low
    is_centered = np.abs(features.mean) <= MAX_CORRELATION * features.scale
    if varies.sum() < MIN_COMPONENTS or not is_centered[varies].all():
        return False
    correlation = _correlate(X, features, sample_weight)
    np.fill_diagonal(correlation, 0)
    return bool(np.abs(correlation).max() <= MAX_CORRELATION)


class Scaler(TransformerMixin, BaseEstimator):
    """Multiply encoded columns by factors that make them comparable.

    With one-hot columns or ordinal numbers, columns also have the weights of
    :func:`weigh_columns`, unless ``standardize`` is False.

    Parameters
    ----------
    standardize : "auto" or bool, default="auto"
        Whether numbers are divided by their standard deviations. "auto": False for comparable
        scales, probabilities and principal components, as in networks whose likelihood is "auto";
        True in tables and beside categories.
    groups : list of list of int, default=()
        One-hot columns of each category, after the numbers.
    is_table : bool, default=False
        Whether columns have kinds.
    is_ordinal : bool, default=False
        Whether some numbers are ordinal.

    Attributes
    ----------
    factors_ : ndarray of shape (n_encoded,) or None
        What the columns are multiplied by.
    standardizes_ : bool
        Whether numbers are divided by their standard deviations.
    """

    def __init__(self, standardize="auto", groups=(), is_table=False, is_ordinal=False):
        self.standardize = standardize
        self.groups = groups
        self.is_table = is_table
        self.is_ordinal = is_ordinal

    def fit(self, X, y=None, sample_weight=None, features=None):
        """Find the factors of encoded samples X (N, E), whose ``features`` may be known."""
        self.factors_ = None
        self.standardizes_ = False
        standardize = self.standardize
        if standardize == "auto" and self.is_table:
            standardize = True
        if features is None:
            check_magnitude(X)
        if not standardize and not self.groups:
            return self

        X, weights = leave_weighted(X, sample_weight)
        if features is None:
            features = measure_features(X, weights)
        if standardize == "auto" and not self.groups:
            is_uniform = are_comparable(X, features, weights)
            if is_uniform or look_like_probabilities(features, X.dtype):
                return self
        self.standardizes_ = bool(standardize)
        self.factors_ = self._find_factors(X, features, weights)
        return self

    def _find_factors(self, X, features, weights):
        """Return the factors (E,) of the columns of X (N, E)."""
        factors = np.ones(X.shape[1])
        if self.standardizes_:
            factors = 1 / _round(features.scale)
        if self.standardizes_ and (self.groups or self.is_ordinal):
            for group in self.groups:
                factors[group] = CATEGORY_WEIGHT
            factors *= _round(weigh_columns(X, features, self.groups, weights))
        return factors

    def transform(self, X):
        """Return encoded samples (N, E) times the factors, in floating point."""
        if X.dtype not in (np.float32, np.float64):
            X = X.astype(np.float64)
        if self.factors_ is None:
            return X
        with np.errstate(over="ignore"):  # infinite values of new samples are clipped
            if sparse.issparse(X):
                return X.multiply(self.factors_).tocsr()
            return X * self.factors_

    def inverse_transform(self, X):
        """Return scaled samples (N, E) as encoded ones."""
        return X if self.factors_ is None else X / self.factors_


def _round(values):
    """Return values in single precision: the rounding of sums would change random embeddings."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(mantissa.astype(np.float32).astype(float), exponent)


# ---- weights of columns


def weigh_columns(X, features, groups, sample_weight):
    """Return the weights (E,) of standardized numbers and one-hot columns of a table.

    The weight grows with the share of a column's variance that a linear regression on the other
    columns explains, adjusted for their number. A category that is independent of them has nearly
    no weight, because it makes no clusters, and so has a number if others explain each other.
    Categories that tell each other, as a city and its code, are one fact: they do not explain
    each other, and only the best explained one counts.
    """
    n_samples = count_distinct(X)  # copies of a sample say nothing new
    n_numbers = X.shape[1] - sum(map(len, groups))
    columns = [[j] for j in range(n_numbers)] + groups
    facts = np.arange(len(columns))
    facts[n_numbers:] = n_numbers + _find_facts(X, groups, sample_weight, n_samples)
    shares = np.full(len(columns), MIN_EXPLAINED)
    varies = features.high > features.low
    if len(columns) > 1 and varies[:n_numbers].any():
        covariance = _correlate(X, features, sample_weight)
        np.fill_diagonal(covariance, covariance.diagonal() + VARIANCE_RIDGE)
        ranks = np.append(varies[:n_numbers], [len(group) - 1 for group in groups])
        for i, column in enumerate(columns):
            is_other = facts != facts[i]
            freedom = n_samples - ranks[is_other].sum() - 1
            if freedom > 0:
                same = [columns[j] for j in np.flatnonzero(~is_other) if j != i]
                left = _leave_unexplained(covariance, column, sum(same, []))
                shares[i] = 1 - left * (n_samples - 1) / freedom

    weights = np.clip(shares / MIN_EXPLAINED, 0, 1)
    # Where no column explains another, numbers weigh the same.
    weights[:n_numbers] = 1 - weights.max() * (1 - weights[:n_numbers])
    weights = np.maximum(weights, MIN_WEIGHT)
    for fact in np.unique(facts):
        same = np.flatnonzero(facts == fact)
        weights[np.delete(same, shares[same].argmax())] = NO_WEIGHT
    return np.repeat(weights, list(map(len, columns)))


def _leave_unexplained(covariance, group, left_out):
    """Return the share of the variance of one-hot columns that others do not explain."""
    kept = np.delete(np.arange(len(covariance)), left_out)
    place = np.searchsorted(kept, group)
    precision = np.linalg.inv(covariance[np.ix_(kept, kept)])
    residual = np.linalg.inv(precision[np.ix_(place, place)])
    return np.trace(residual) / np.trace(covariance[np.ix_(group, group)])


def _find_facts(X, groups, sample_weight, n_samples):
    """Return the fact (G,) of each category: categories that nearly tell each other are one.

    That is the mutual information relative to the smaller entropy, less what chance explains.
    """
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    members = [np.nan_to_num(X[:, group]) for group in groups]
    is_same = np.eye(len(groups), dtype=bool)
    for i, j in combinations(range(len(groups)), 2):
        joint = members[i].T @ (members[j] * weights[:, None])
        joint = joint / max(joint.sum(), 1e-300)
        entropies = entr(joint.sum(1)).sum(), entr(joint.sum(0)).sum()
        chance = (len(groups[i]) - 1) * (len(groups[j]) - 1) / (2 * n_samples)
        information = sum(entropies) - entr(joint).sum() - chance
        is_same[i, j] = information > SAME_FACT * max(min(entropies), 1e-12)
    return connected_components(is_same, directed=False)[1]


def _correlate(X, features, sample_weight):
    """Return the covariances (E, E) of standardized columns, with means for missing values."""
    total = np.zeros((X.shape[1], X.shape[1]))
    for part in gen_batches(X.shape[0], CHUNK):
        rows = np.nan_to_num((X[part] - features.mean) / features.scale)
        weighted = rows if sample_weight is None else rows * sample_weight[part, None]
        total += weighted.T @ rows
    return total / (X.shape[0] if sample_weight is None else sample_weight.sum())
