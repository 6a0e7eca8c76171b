"""Numbers of a table: codes are spread over the gaps between them, and amounts are logarithms.

N samples, C columns of numbers, L levels of a code, E encoded columns.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import gen_batches

from .scales import CHUNK

#: Maximum number of levels of a code.
MAX_LEVELS = 12
#: Number of samples whose values are counted first.
FIRST = 1000
#: Maximum share of the most frequent level of a code.
MAX_SHARE = 0.5
#: A code names categories if its order explains less than this share of what its levels explain
#: of the other columns, and the difference, in columns, is at least so large, also in standard
#: deviations of chance.
MAX_ORDER = 0.4
MIN_DIFFERENCE = 0.05
CHANCES = 4
#: Probabilities of the quantiles that tell whether a number is skewed.
QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95
#: Minimum skewness of the tails and of the inner half of an amount: (a + b - 2 m) / (b - a) for
#: quantiles a and b and the median m.
TAIL_SKEW = 0.3
BODY_SKEW = 0.1
#: Minimum skewness of an amount by moments: two clusters far apart have less.
SKEWNESS = 1.5
#: Minimum distance of an amount from the pole of its logarithm, relative to the distance of the
#: median from the minimum.
POLE = 0.1
#: Numbers of decimals to which decoded numbers are rounded.
DECIMALS = range(7)
#: Steps per standard deviation in which numbers are hashed.
HASH_STEPS = 1024
#: Constants of the generator splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable
#: pseudorandom number generators", OOPSLA 2014).
GAMMA = 0x9E3779B97F4A7C15
MULTIPLIERS = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)


def share_levels(values, weights):
    """Return the distinct values (L,) and their shares of the weights."""
    levels, places = np.unique(values, return_inverse=True)
    return levels, np.bincount(places, weights) / max(weights.sum(), 1e-300)


class NumberColumns(BaseEstimator):
    """Numbers of a table: codes are spread, and amounts are logarithms.

    A code's values are spread over the gaps to their neighbors by a hash of the sample:
    the lattice of few values would make clusters of its own. ``kinds`` has what is known of each
    column (C,), None where its values tell.
    """

    def __init__(self, kinds):
        self.kinds = kinds

    def fit(self, X, features, sample_weight=None):
        """Find the kinds of numbers X (N, C), nan where values are missing.

        ``features`` are their :class:`~.scales.Features`.
        """
        self.kinds_ = []
        self.levels_ = {}
        self.logarithms_ = {}
        self.decimals_ = []
        self.features_ = features
        for j, kind in enumerate(self.kinds):
            values = X[:, j].astype(float)
            weights = np.ones(len(X)) if sample_weight is None else sample_weight
            is_known = ~np.isnan(values)
            values = values[is_known]
            weights = weights[is_known]
            self.decimals_.append(_count_decimals(values))
            self.kinds_.append(self._fit_column(j, kind, values, weights))
        if self.levels_:
            keys = self._hash(X)
            for j in self._find_unordered(X, keys, sample_weight):
                self.kinds_[j] = "category"
                self.levels_.pop(j)
            self._part_equal(X, keys, sample_weight)
        return self

    def _part_equal(self, X, keys, sample_weight):
        """Give codes with equal shares other draws, by the samples that have their levels."""
        salts = [int(code["salt"][0]) for code in self.levels_.values()]
        if len(set(salts)) == len(salts):
            return
        marks = keys / 2.0**64
        for j, code in self.levels_.items():
            values = np.nan_to_num(X[:, j].astype(float))
            mean = np.average(values * marks, weights=sample_weight)
            code["salt"] = code["salt"] + _mix(
                np.float32([mean]).view(np.uint32).astype(np.uint64)
            )

    def _find_unordered(self, X, keys, sample_weight):
        """Return the codes, not said to be ones, that name categories.

        The means of the other columns differ between their levels, but do not rise or fall with
        the order of the levels.
        """
        places = [j for j in self.levels_ if self.kinds[j] is None]
        if not places:
            return []
        standard = np.nan_to_num((X - self.features_.mean) / self.features_.scale)
        root = np.ones((len(X), 1))
        if sample_weight is not None:
            root = np.sqrt(sample_weight)[:, None]
        weighted = standard * root
        n_distinct = len(np.unique(keys))
        unordered = []
        for j in places:
            code = standard[:, [j]]
            levels = np.unique(code)
            others = np.delete(weighted, j, axis=1)
            by_level = _explain((code == levels) * root, others, n_distinct)
            by_order = _explain(weighted[:, [j]], others, n_distinct)
            chance = np.sqrt(2 * others.shape[1] * len(levels)) / n_distinct
            is_clear = by_level - by_order > max(MIN_DIFFERENCE, CHANCES * chance)
            if is_clear and by_order < MAX_ORDER * by_level:
                unordered.append(j)
        return unordered

    def _fit_column(self, j, kind, values, weights):
        """Return the kind of a column, and remember its levels or logarithm."""
        has_few = kind == "code" or len(np.unique(values[:FIRST])) <= MAX_LEVELS
        if has_few and kind in (None, "code"):
            levels, shares = share_levels(values, weights)
            if kind is None and len(levels) < 3:
                return "flag" if len(levels) == 2 else "constant"
            if kind is None and len(levels) <= MAX_LEVELS:
                kind = "code" if shares.max() <= MAX_SHARE else "number"
            if kind == "code" and len(levels) > 1:
                self.levels_[j] = _describe_levels(levels, shares)
        if kind in (None, "amount"):
            logarithm = _find_logarithm(values, weights, kind == "amount")
            if logarithm is not None:
                self.logarithms_[j] = logarithm
                return "amount"
        return kind or "number"

    def transform(self, X):
        """Return encoded samples X (N, E), numbers first, with these spread and as logarithms."""
        if not self.levels_ and not self.logarithms_:
            return X
        X = np.array(X, dtype=float, order="K")
        for part in gen_batches(len(X), CHUNK) if self.levels_ else ():
            rows = X[part]
            keys = self._hash(rows)
            for j, code in self.levels_.items():
                rows[:, j] = _spread(rows[:, j], keys, **code)
        for j, (sign, shift, least, center, scale) in self.logarithms_.items():
            logarithm = np.log((sign * X[:, j] + shift).clip(least))
            X[:, j] = sign * (logarithm - center) * scale
        return X

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
        for j, code in self.levels_.items():
            levels = code["levels"]
            middles = (levels[1:] + levels[:-1]) / 2
            place = np.searchsorted(middles, X[:, j])
            X[:, j] = np.where(np.isnan(X[:, j]), np.nan, levels[place])
        return X.clip(self.features_.low, self.features_.high)

    def _hash(self, X):
        """Return a hash (N,) of each sample, which neither order nor units of columns change."""
        mean = self.features_.mean
        steps = (X[:, : len(mean)] - mean) / self.features_.scale * HASH_STEPS
        varies = self.features_.high > self.features_.low
        is_known = varies & (np.abs(steps) < 2**60)
        steps = np.where(is_known, steps, 0).round().astype(np.int64)
        keys = np.where(is_known, _mix(steps.view(np.uint64)), 0)
        return keys.sum(1, dtype=np.uint64)


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


def _mix(codes):
    """Return well mixed bits of integers, uint64, by splitmix64."""
    codes = codes + np.uint64(GAMMA)
    for shift, multiplier in MULTIPLIERS:
        codes = (codes ^ (codes >> np.uint64(shift))) * np.uint64(multiplier)
    return codes ^ (codes >> np.uint64(31))


def _count_decimals(values):
    """Return the number of decimals of values (N,), or None if there are too many."""
    with np.errstate(over="ignore"):
        return next((n for n in DECIMALS if (values == values.round(n)).all()), None)


def _describe_levels(levels, shares):
    """Return what :func:`_spread` needs to know about the levels (L,) of a code."""
    gaps = np.diff(levels)
    reach = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
    # The shares tell columns of equal levels apart.
    salt = _mix(shares.astype(np.float32).view(np.uint32).astype(np.uint64))
    return {
        "levels": levels,
        "reach": np.minimum(reach, np.median(gaps)) / 2,
        "salt": _mix(np.cumsum(salt)[-1:]),
    }


def _spread(values, keys, levels, reach, salt):
    """Return values (N,) with the values of ``levels`` moved by at most their ``reach``."""
    place = np.searchsorted(levels, values).clip(max=len(levels) - 1)
    draws = _mix(keys + salt + _mix(place.astype(np.uint64)))
    uniform = (draws >> np.uint64(11)) / 2.0**53
    moved = values + reach[place] * (2 * uniform - 1)
    return np.where(values == levels[place], moved, values)


def _find_logarithm(values, weights, is_amount):
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
    if not is_amount and not is_skewed:
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
