"""Scales of features: one rule for networks and NeighborClustering, without torch.

N samples, D features.
"""

from itertools import chain
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from ._checks import check_magnitude

#: Values may leave [0, 1] by this many eps of their type, as after MinMaxScaler.
ROUNDING = 4
#: Minimum variance of values that "auto" takes for probabilities, relative to zeros and ones of
#: the same means.
LEAST_VARIATION = 0.01
#: Number of samples in a block when X is measured.
CHUNK = 4096
#: Scales are comparable if the largest standard deviation is at most this many times the median.
MOST_SPREAD = 10.0
#: Minimum number of features whose falling standard deviations look like principal components.
LEAST_COMPONENTS = 5


class Features(NamedTuple):
    """Mean, standard deviation (1 for a constant), minimum and maximum of each feature, (D,)."""

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def deviations(self):
        """Standard deviations of the features that vary."""
        return self.scale[self.high > self.low]


def measure_features(X, groups=(), sample_weight=None):
    """Measure the features of X in one pass with float64 sums; check groups of one-hot columns."""
    is_sparse = sparse.issparse(X)
    scaler = StandardScaler(with_mean=not is_sparse)
    low, high = np.inf, -np.inf
    weights = [0.0] * len(groups)
    for start in range(0, X.shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        rows, own = X[part], None if sample_weight is None else sample_weight[part]
        check_magnitude(rows)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # variances of tiny values become 0
            scaler.partial_fit(rows, sample_weight=own)
        low = np.fmin(
            low, _to_dense(rows.min(axis=0)) if is_sparse else np.fmin.reduce(rows)
        )
        high = np.fmax(
            high, _to_dense(rows.max(axis=0)) if is_sparse else np.fmax.reduce(rows)
        )
        for i, group in enumerate(groups):
            columns = np.nan_to_num(_to_dense(rows[:, group]))
            weights[i] = _check_one_hot(columns, group, start, weights[i])
    return Features(scaler.mean_, scaler.scale_, low.ravel(), high.ravel())


def _to_dense(values):
    return values.toarray() if sparse.issparse(values) else np.asarray(values)


def _check_one_hot(rows, group, start, weight):
    """Return the single nonzero value of one-hot columns, checked; 0 if it is not known yet.

    The samples are numbered from ``start`` and may have zeros alone.
    """
    weight = weight or rows.max()
    wrong = np.isin(rows, (0, weight), invert=True).any(1) | (
        np.count_nonzero(rows, axis=1) > 1
    )
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"The categorical columns {group} must have a single 1, or zeros alone, but sample "
            f"{start + i} has {rows[i].tolist()}. Encode the category by OneHotEncoder and do not "
            "standardize it, or give these columns as 'gaussian'."
        )
    return weight


def are_probabilities(low, high, dtype):
    """Return whether values from ``low`` to ``high`` are within [0, 1] up to rounding."""
    margin = (
        ROUNDING * np.finfo(dtype).eps if np.issubdtype(dtype, np.floating) else 0.0
    )
    return low >= -margin and high <= 1 + margin


def look_like_probabilities(features, dtype):
    """Return whether features in [0, 1] vary enough for probabilities, or are all constant."""
    if not are_probabilities(features.low.min(), features.high.max(), dtype):
        return False
    mean = features.mean[features.high > features.low]
    least = LEAST_VARIATION * (mean * (1 - mean)).sum()
    return np.square(features.deviations).sum() >= least


def are_comparable(deviations):
    """Return whether features with these standard deviations, (D,), need no scales of their own.

    They do if a few dominate. Principal components, whose deviations fall, keep their scales.
    """
    if deviations.size < 2:
        return True
    largest, median = deviations.max(), np.sort(deviations)[(len(deviations) - 1) // 2]
    fall = (
        len(deviations) >= LEAST_COMPONENTS
        and (np.diff(deviations) <= 1e-6 * largest).all()
    )
    return bool(fall or largest <= MOST_SPREAD * median)


def find_factors(X, standardize="auto", sample_weight=None, groups=()):
    """Return the factors (D,) that standardize X, or None if features keep their scales.

    "auto" is the rule of networks whose likelihood is "auto". Beside categories, it standardizes
    the numbers. ``groups`` of one-hot columns stay zeros and ones.
    """
    if not standardize and not groups:
        return None
    if sample_weight is not None:
        X, sample_weight = X[sample_weight > 0], sample_weight[sample_weight > 0]
        sample_weight = sample_weight / sample_weight.max()
    features = measure_features(X, sample_weight=sample_weight)
    keeps = look_like_probabilities(features, X.dtype) or are_comparable(
        features.deviations
    )
    if standardize == "auto" and keeps and not groups:
        return None
    scale = features.scale if standardize else np.ones(X.shape[1])
    scale[list(chain(*groups))] = 1
    # Single precision hides how sums are rounded in another order of the samples.
    mantissa, exponent = np.frexp(scale)
    return 1 / np.ldexp(mantissa.astype(np.float32).astype(np.float64), exponent)


def scale_features(X, factors):
    """Return X (N, D) times ``factors`` (D,), in double precision; X itself for None."""
    if factors is None:
        return X
    with np.errstate(over="ignore"):  # infinite values of new samples are clipped later
        return X.multiply(factors).tocsr() if sparse.issparse(X) else X * factors
