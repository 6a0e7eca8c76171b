"""Numbers of a table: ordinal ones are spread over their gaps, and skewed ones are logarithms.

N samples, C columns of numbers, L levels of an ordinal number.
"""

import numpy as np
from sklearn.base import BaseEstimator

from .distinct import count_distinct
from .scaler import measure_features

#: Maximum number of levels of an ordinal number.
MAX_LEVELS = 12
#: Number of samples whose values are counted first.
FIRST = 1000
#: Maximum share of the most frequent level of an ordinal number.
MAX_SHARE = 0.5
#: Levels name categories if their order explains less than this share of what they explain
#: of the other columns, and the difference, in columns, is at least so large, also in standard
#: deviations of chance.
MAX_ORDER = 0.4
MIN_DIFFERENCE = 0.05
CHANCES = 4
#: Probabilities of the quantiles that tell whether a number is skewed.
QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95
#: Minimum skewness of the tails and of the inner half of a skewed number: (a + b - 2 m) / (b - a)
#: for quantiles a and b and the median m.
TAIL_SKEW = 0.3
BODY_SKEW = 0.1
#: Minimum skewness of a skewed number by moments: two clusters far apart have less.
SKEWNESS = 1.5
#: Minimum distance of a skewed number from the pole of its logarithm, relative to the distance
#: of the median from the minimum.
POLE = 0.1
#: Numbers of decimals to which decoded numbers are rounded.
DECIMALS = range(7)
#: Number of steps per standard deviation of the marks of samples.
MARKS_PER_DEVIATION = 2**16


def share_levels(values, weights):
    """Return the distinct values (L,) and their shares of the weights."""
    levels, places = np.unique(values, return_inverse=True)
    return levels, np.bincount(places, weights) / max(weights.sum(), 1e-300)


class NumberEncoder(BaseEstimator):
    """Spreads ordinal numbers over the gaps between their levels, and takes logarithms.

    The lattice of few values would make clusters of its own. ``kinds`` are those of each column
    (C,), as :func:`find_kinds` returns them.
    """

    def __init__(self, kinds):
        self.kinds = kinds

    def fit(self, X, sample_weight=None):
        """Learn levels and logarithms of numbers X (N, C), nan where values are missing."""
        self.features_ = measure_features(X, sample_weight)
        self.levels_ = {}
        self.logarithms_ = {}
        self.decimals_ = []
        for j, kind in enumerate(self.kinds):
            values, weights = _leave_known(X[:, j], sample_weight)
            self.decimals_.append(_count_decimals(values))
            if kind == "ordinal":
                self.levels_[j] = np.unique(values)
            if kind == "skewed":
                self.logarithms_[j] = _find_logarithm(values, weights)
        return self

    def transform(self, X):
        """Return numbers X (N, C), spread and as logarithms."""
        marks = self._mark(X)
        X = np.array(X, dtype=float, order="K")
        for (j, levels), mark in zip(self.levels_.items(), marks, strict=True):
            X[:, j] = _spread(X[:, j], levels, mark)
        for j, (sign, shift, least, center, scale) in self.logarithms_.items():
            logarithm = np.log((sign * X[:, j] + shift).clip(least))
            X[:, j] = sign * (logarithm - center) * scale
        return X

    def _mark(self, X):
        """Return a number in [0, 1) per sample and ordinal column, which its values decide."""
        draws = np.random.RandomState(0).standard_normal(
            (X.shape[1], len(self.levels_))
        )
        marks = np.zeros((len(self.levels_), len(X)))
        standard = np.nan_to_num((X - self.features_.mean) / self.features_.scale)
        for column, own in zip(standard.T, draws, strict=True):
            marks += np.multiply.outer(own, column)
        return np.modf(np.abs(marks) * MARKS_PER_DEVIATION)[0]

    def inverse_transform(self, X):
        """Return numbers (N, C) in the units, range and decimals of ``fit``."""
        X = np.array(X, dtype=float)
        for j, (sign, shift, _, center, scale) in self.logarithms_.items():
            with np.errstate(over="ignore"):
                exponential = np.exp(sign * X[:, j] / scale + center)
                X[:, j] = sign * (exponential - shift)
        for j, decimals in enumerate(self.decimals_):
            if decimals is not None:
                X[:, j] = X[:, j].round(decimals)
        for j, levels in self.levels_.items():
            middles = (levels[1:] + levels[:-1]) / 2
            place = np.searchsorted(middles, X[:, j])
            X[:, j] = np.where(np.isnan(X[:, j]), np.nan, levels[place])
        return X.clip(self.features_.low, self.features_.high)


# ---- kinds of numbers


def find_kinds(X, known, features, sample_weight=None):
    """Return the kinds of numbers X (N, C): those ``known``, or what values tell where None."""
    kinds = []
    for j, kind in enumerate(known):
        values, weights = _leave_known(X[:, j], sample_weight)
        if kind is None:
            kind = _find_few(values, weights)
        elif kind == "ordinal" and len(np.unique(values)) < 2:
            kind = "number"
        if kind in (None, "skewed"):
            is_skewed = _find_logarithm(values, weights, kind == "skewed") is not None
            kind = "skewed" if is_skewed else "number"
        kinds.append(kind)
    places = [j for j, kind in enumerate(kinds) if kind == "ordinal" and not known[j]]
    for j in _find_unordered(X, places, features, sample_weight):
        kinds[j] = "category"
    return kinds


def _leave_known(values, sample_weight):
    """Return the values (N,) that are not missing, float64, and their weights."""
    weights = np.ones(len(values)) if sample_weight is None else sample_weight
    is_known = ~np.isnan(values)
    return values[is_known].astype(float), weights[is_known]


def _find_few(values, weights):
    """Return the kind of a column of few values, None of many."""
    if len(np.unique(values[:FIRST])) > MAX_LEVELS:
        return None
    levels, shares = share_levels(values, weights)
    if len(levels) > MAX_LEVELS:
        return None
    if len(levels) < 3:
        return "binary" if len(levels) == 2 else "constant"
    return "ordinal" if shares.max() <= MAX_SHARE else "number"


def _find_unordered(X, places, features, sample_weight):
    """Return those of the ordinal columns ``places`` that name categories.

    The means of the other columns differ between their levels, but do not rise or fall with the
    order of the levels.
    """
    if not places:
        return []
    standard = np.nan_to_num((X - features.mean) / features.scale)
    root = np.ones((len(X), 1))
    if sample_weight is not None:
        root = np.sqrt(sample_weight)[:, None]
    weighted = standard * root
    n_distinct = count_distinct(X)
    unordered = []
    for j in places:
        column = standard[:, [j]]
        levels = np.unique(column)
        others = np.delete(weighted, j, axis=1)
        by_level = _explain((column == levels) * root, others, n_distinct)
        by_order = _explain(weighted[:, [j]], others, n_distinct)
        chance = np.sqrt(2 * others.shape[1] * len(levels)) / n_distinct
        is_clear = by_level - by_order > max(MIN_DIFFERENCE, CHANCES * chance)
        if is_clear and by_order < MAX_ORDER * by_level:
            unordered.append(j)
    return unordered


def _explain(parts, columns, n_samples):
    """Return the sum of the shares of centered columns (N, C) that orthogonal parts explain.

    Each share is adjusted for the number of parts, and of different samples.
    """
    n_parts = parts.shape[1]
    lengths = np.square(parts).sum(0).clip(1e-12)
    explained = (np.square(parts.T @ columns) / lengths[:, None]).sum(0)
    left = 1 - explained / np.square(columns).sum(0).clip(1e-12)
    freedom = (n_samples - 1) / max(n_samples - max(n_parts, 2), 1)
    return (1 - left * freedom).sum()


def _count_decimals(values):
    """Return the number of decimals of values (N,), or None if there are too many."""
    with np.errstate(over="ignore"):
        return next((n for n in DECIMALS if (values == values.round(n)).all()), None)


def _spread(values, levels, marks):
    """Return values (N,), those of ``levels`` moved by marks within half of their gaps."""
    gaps = np.diff(levels)
    reach = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
    reach = np.minimum(reach, np.median(gaps)) / 2
    place = np.searchsorted(levels, values).clip(max=len(levels) - 1)
    moved = values + reach[place] * (2 * marks - 1)
    return np.where(values == levels[place], moved, values)


def _find_logarithm(values, weights, is_said=True):
    """Return sign, shift, least argument, center and scale of a logarithm, or None.

    It is sign scale (log(max(sign x + shift, least)) - center), which rises with x.

    The shift makes the outer quantiles symmetric about the median.
    """
    if len(values) == 0:
        return None
    quantiles = _list_quantiles(values, weights)
    sign = -1.0 if _skew(*quantiles[::2]) < 0 else 1.0
    values = sign * values
    low, lower, middle, upper, high = np.sort(sign * quantiles)
    is_skewed = (
        _skew(low, middle, high) >= TAIL_SKEW
        and _skew(lower, middle, upper) >= BODY_SKEW
        and _find_moment(values, weights) >= SKEWNESS
    )
    if not is_said and not is_skewed:
        return None

    first = values.min()
    excess = low + high - 2 * middle
    if excess <= 0 or middle <= first:
        return None
    shift = (middle**2 - low * high) / excess
    margin = POLE * (middle - first)
    shift = max(shift, margin - first)

    # As wide as before at the quantiles, so that the scales of features stay comparable.
    logs = np.log(np.array([low, middle, high]) + shift)
    scale = (high - low) / (logs[2] - logs[0])
    return sign, shift, margin / 2, logs[1], scale


def _find_moment(values, weights):
    """Return the skewness of values (N,) by their third moment."""
    centered = values - np.average(values, weights=weights)
    centered /= max(np.abs(centered).max(), 1e-300)  # small powers would vanish
    variance = np.average(np.square(centered), weights=weights)
    third = np.average(centered**3, weights=weights)
    return third / max(variance, 1e-200) ** 1.5


def _skew(low, middle, high):
    """Return the skewness by quantiles, 0 if they are equal."""
    return (low + high - 2 * middle) / (high - low) if high > low else 0.0


def _list_quantiles(values, weights):
    """Return the quantiles of values (N,) that QUANTILES names, equal for copies and weights."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    # The margin hides how sums are rounded.
    places = np.searchsorted(total, np.array(QUANTILES) * total[-1] * (1 - 1e-12))
    return values[order][places]
