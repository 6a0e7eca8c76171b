"""Columns of a table: their kinds, categories as one-hot columns, amounts and codes as numbers.

N samples, D columns of a table, C columns of numbers, L levels of a code, E encoded columns.
"""

from collections import Counter
from importlib import import_module
from itertools import pairwise
from math import gcd
from numbers import Real
from types import NoneType

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_array, gen_batches
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import StrOptions

from .cells import LEVELS, TEXTS
from .checks import name_column, refuse_empty
from .labels import is_missing
from .scales import CHUNK, are_comparable, look_like_probabilities

#: Constraint on the parameter ``kinds``.
KINDS = [dict, StrOptions({"auto", "numbers"})]
#: Kinds of columns, and the kinds that become one-hot columns.
NAMES = ("number", "amount", "code", "date", "flag", "category", "out")
ONE_HOT = ("flag", "category")
#: Maximum number of one-hot columns of a category; the rarest levels share the last.
MAX_CATEGORIES = 255
#: Number of different texts above which they may be identifiers.
MANY_VALUES = 12
#: Minimum number of consecutive integers that number the samples.
MIN_NUMBERED = 100
#: Mean number of samples with the same text below which a column is an identifier.
MIN_REPEATS = 2
#: Maximum number of levels of a code.
MAX_LEVELS = 12
#: Number of samples whose values are counted first.
FIRST = 1000
#: Maximum share of the most frequent level of a code.
MAX_SHARE = 0.5
#: Maximum share of a flag, and minimum number of values of finer numbers, that show that
#: columns differ in kind.
MAX_FLAG_SHARE = 0.9
FINE = 2 * MAX_LEVELS
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
#: Tolerance of the deviations 1 and means 0 of standardized features.
STANDARD = 1e-2
#: Numbers of decimals to which decoded numbers are rounded.
DECIMALS = range(7)
#: Steps per standard deviation in which numbers are hashed.
HASH_STEPS = 1024
#: Constants of the generator splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable
#: pseudorandom number generators", OOPSLA 2014).
GAMMA = 0x9E3779B97F4A7C15
MULTIPLIERS = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)


# ---- what is known of columns before their values are read


def list_said(X, kinds):
    """Return the kinds of columns that the user says, by position."""
    said = {}
    for name, kind in kinds.items() if isinstance(kinds, dict) else ():
        if kind not in NAMES:
            raise ValueError(
                f"kinds has {kind!r} for column {name!r}, but a kind is one of "
                f"{', '.join(NAMES)}."
            )
        said[_find_column(X, name)] = kind
    return said


def _find_column(X, name):
    """Return the position of a column."""
    names = list(getattr(X, "columns", ()))
    if name in names:  # a number may be a name
        return names.index(name)
    try:
        return int(_get_column_indices(X, [name])[0])
    except (TypeError, ValueError) as error:
        raise ValueError(f"kinds names no column of X: {error}") from error


def read_types(X):
    """Return the kinds of the columns of a DataFrame whose types tell, by position.

    Columns of texts that are numbers, and of dates, are numbers already.
    """
    kinds = {}
    for i, dtype in enumerate(X.dtypes if hasattr(X, "columns") else ()):
        # pandas and polars give their types the same names, up to case.
        text = str(dtype).lower()
        if text.startswith("bool"):
            kinds[i] = "flag"
        elif text.startswith(("categor", "enum")):
            # The order of an Enum is that in which it is stored.
            kinds[i] = "code" if getattr(dtype, "ordered", False) else "category"
        elif text.startswith(TEXTS):
            kinds[i] = "category"
        elif text.startswith(("int", "uint")) and _numbers_samples(X, i):
            kinds[i] = "out"
    return kinds


def _numbers_samples(X, i):
    """Return whether the integers of a column are consecutive, and another for each sample."""
    values = np.asarray(_safe_indexing(X, i, axis=1))
    if values.dtype.kind not in "iu" or len(values) < MIN_NUMBERED:
        return False
    n_numbers = int(values.max()) - int(values.min()) + 1
    n_copies, rest = divmod(len(values), n_numbers)
    counts = np.unique(values, return_counts=True)[1] if not rest else ()
    if n_numbers < MIN_NUMBERED or set(counts) != {n_copies}:
        return False
    return n_copies == 1 or _count_copies(X) % n_copies == 0


def _count_copies(X):
    """Return how many copies of all rows X (N, D) has."""
    columns = [_read_objects(X, i).astype(str) for i in range(X.shape[1])]
    return gcd(*Counter(zip(*columns, strict=True)).values())


def _list_order(X, i):
    """Return the categories of a column in their order, or None if it has numbers."""
    dtype = list(X.dtypes)[i]
    levels = list(getattr(dtype, "categories", ()))
    if levels and getattr(dtype, "ordered", True):
        return levels
    has_texts = any(isinstance(level, str) for level in levels)
    if has_texts or str(dtype).lower().startswith(TEXTS):
        raise ValueError(
            f"Column {list(X.columns)[i]!r} is a code, but its texts have no order. Give it the "
            "type of ordered categories: pandas.Categorical(column, levels, ordered=True)."
        )
    return None


# ---- whether numbers have kinds


def is_table(X, features, standardize, sample_weight=None):
    """Return whether the columns of numbers X (N, D) have units of their own.

    They are standardized, or were before, or some are codes and flags beside finer numbers; and
    they are no principal components or probabilities.
    """
    if len(features.deviations) == 0:
        return False
    if look_like_probabilities(features, X.dtype):
        return False
    varies = features.high > features.low
    was_standardized = (
        np.abs(features.deviations - 1).max() < STANDARD
        and np.abs(features.mean[varies]).max() < STANDARD
    )
    return (
        standardize is True
        or was_standardized
        or _mixes_kinds(X, features, sample_weight)
        or not are_comparable(X, features, sample_weight)
    )


def _mixes_kinds(X, features, sample_weight):
    """Return whether some columns of X (N, D) have few values, and others many.

    If the latter are centered, the user has scaled X.
    """
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    has_few = False
    fine = []
    for j, column in enumerate(X.T):
        known = ~np.isnan(column)
        if len(np.unique(column[known][:FIRST])) > FINE:
            fine.append(j)
            continue
        levels, shares = _share_levels(column[known], weights[known])
        most = MAX_SHARE if len(levels) > 2 else MAX_FLAG_SHARE
        if 1 < len(levels) <= MAX_LEVELS and shares.max() <= most:
            has_few = True
    means = np.abs(features.mean / features.scale)[fine]
    return has_few and means.max(initial=0) > STANDARD


def _share_levels(values, weights):
    """Return the distinct values (L,) and their shares of the weights."""
    levels, places = np.unique(values, return_inverse=True)
    return levels, np.bincount(places, weights) / max(weights.sum(), 1e-300)


# ---- categories


class TableEncoder(BaseEstimator):
    """Numbers, then one-hot columns of categories, nan for missing and unseen categories.

    ``kinds`` are the known kinds of columns by position; the others are numbers.
    """

    def __init__(self, kinds):
        self.kinds = kinds

    def fit(self, X):
        """Find the levels of a table X (N, D)."""
        n_columns = X.shape[1]
        self.names_ = list(getattr(X, "columns", range(n_columns)))
        self.is_frame_ = hasattr(X, "dtypes")
        self.is_polars_ = type(X).__module__.startswith("polars")
        self.kinds_ = dict(self.kinds)
        self.orders_ = {}
        for i, kind in self.kinds.items():
            levels = _list_order(X, i) if self.is_frame_ and kind == "code" else None
            if levels is not None:
                self.orders_[i] = levels
            elif kind == "category" and self._is_identifier(X, i):
                self.kinds_[i] = "out"

        kinds = [self.kinds_.get(i) for i in range(n_columns)]
        self.categorical_ = [i for i, kind in enumerate(kinds) if kind in ONE_HOT]
        self.numeric_ = [i for i, kind in enumerate(kinds) if kind not in LEVELS]
        if not self.categorical_ and not self.numeric_:
            raise ValueError(
                f"All columns of X are left out: {self.names_}. Name their kinds, for instance "
                f"kinds={{{self.names_[0]!r}: 'category'}}."
            )
        self._fit_categories(X)
        self.types_ = {}
        for i, dtype in enumerate(X.dtypes if self.is_frame_ else ()):
            name = str(dtype).partition("(")[0]
            is_text = name.lower().startswith(TEXTS)
            if name in ("category", "Enum"):
                ordered = () if self.is_polars_ else (bool(dtype.ordered),)
                self.types_[i] = list(dtype.categories), *ordered
            elif i in self.categorical_ or i in self.numeric_ and not is_text:
                self.types_[i] = name
        return self

    def _fit_categories(self, X):
        """Find the levels and one-hot columns of the categories."""
        values = self._read_categories(X)
        names = [self.names_[i] for i in self.categorical_]
        levels = list(map(_list_levels, names, values.T))
        each = zip(names, levels, strict=True)
        refuse_empty([name for name, known in each if not len(known)])

        self.encoder_ = OneHotEncoder(
            categories=levels,
            handle_unknown="ignore",
            max_categories=MAX_CATEGORIES,
            sparse_output=False,
        )
        sizes = self.encoder_.fit(values)._n_features_outs if levels else ()
        ends = np.cumsum([len(self.numeric_), *sizes]).tolist()
        self.groups_ = [list(range(*pair)) for pair in pairwise(ends)]

    def list_names(self, names):
        """Return the names of the encoded columns for the ``names`` (D,) of the columns."""
        numbers = [names[i] for i in self.numeric_]
        if not self.categorical_:
            return numbers
        categories = [str(names[i]) for i in self.categorical_]
        return [*numbers, *self.encoder_.get_feature_names_out(categories)]

    def _is_identifier(self, X, i):
        """Return whether a column of texts has another one for most samples."""
        values = _read_objects(X, i)
        counts = Counter(value for value in values if isinstance(value, str))
        if len(counts) <= MANY_VALUES:
            return False
        n_copies = gcd(*counts.values())
        if n_copies > 1:  # by chance, unless samples are copies
            n_copies = _count_copies(X)
        return counts.total() < MIN_REPEATS * n_copies * len(counts)

    def _read_categories(self, X):
        """Return the values of the categorical columns, None where they are missing."""
        values = np.empty((X.shape[0], len(self.categorical_)), dtype=object)
        for place, i in enumerate(self.categorical_):
            values[:, place] = _read_objects(X, i)
        return values

    def read_numbers(self, X):
        """Return the values of the other columns, nan where they are missing."""
        if not self.numeric_:
            return np.empty((X.shape[0], 0))
        numbers = _safe_indexing(X, self.numeric_, axis=1)
        if self.orders_:
            columns = [self._read_number(X, i) for i in self.numeric_]
            numbers = np.array(columns, dtype=object).T
        with name_column(numbers, [self.names_[i] for i in self.numeric_]):
            return check_array(
                numbers,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name="X",
            )

    def _read_number(self, X, i):
        """Return the values of a column, of ordered categories the place in their order."""
        values = _read_objects(X, i).tolist()
        if i not in self.orders_:
            return values
        places = {level: place for place, level in enumerate(self.orders_[i])}
        return [places.get(value) for value in values]

    def transform(self, X):
        """Return X (N, D) as numbers and one-hot columns (N, E)."""
        parts = [self.read_numbers(X)]
        if self.categorical_:
            parts.append(self.encoder_.transform(self._read_categories(X)))

        encoded = np.asfortranarray(np.hstack(parts))
        for group in self.groups_:
            is_unknown = ~encoded[:, group].any(1)
            encoded[np.ix_(is_unknown, group)] = np.nan
        return encoded

    def inverse_transform(self, X, random_state=None):
        """Return encoded samples (N, E) as a table, see :meth:`Preparation.decode`.

        Columns that are left out miss all values.
        """
        n_numbers = len(self.numeric_)
        missing = np.full(len(X), None if self.is_frame_ else np.nan)
        columns = dict.fromkeys(range(len(self.names_)), missing)
        columns |= zip(self.numeric_, X[:, :n_numbers].T, strict=True)
        for i, levels in self.orders_.items():
            place = np.round(columns[i]).astype(int).clip(0, len(levels) - 1)
            columns[i] = np.array(levels, dtype=object)[place]
        if self.categorical_:
            shares = X[:, n_numbers:]
            stream = random_state or np.random.RandomState(0)
            if random_state is not None:  # p / e is largest with probability p
                shares = shares / stream.standard_exponential(shares.shape)
            decoded = self.encoder_.inverse_transform(shares).T
            infrequent = self.encoder_.infrequent_categories_
            for values, rare in zip(decoded, infrequent, strict=True):
                if rare is not None:
                    is_rare = values == "infrequent_sklearn"
                    values[is_rare] = stream.choice(rare, is_rare.sum())
            columns |= zip(self.categorical_, decoded, strict=True)

        columns = {i: np.array(values.tolist()) for i, values in columns.items()}
        if self.is_frame_:
            return self._make_frame(columns)
        table = list(columns.values())
        if all(column.dtype.kind in "iuf" for column in table):
            return np.column_stack(table).astype(np.float64)
        return np.array([column.tolist() for column in table], dtype=object).T

    def _make_frame(self, columns):
        """Return columns as a frame with the types of ``fit``."""
        library = import_module("polars" if self.is_polars_ else "pandas")
        make = library.Enum if self.is_polars_ else library.CategoricalDtype
        types = {}
        for i, kind in self.types_.items():
            if isinstance(kind, tuple):
                kind = make(*kind)
            else:
                if "int" in kind.lower():
                    columns[i] = columns[i].round()
                kind = getattr(library, kind) if self.is_polars_ else kind
            types[self.names_[i]] = kind
        frame = library.DataFrame(dict(zip(self.names_, columns.values(), strict=True)))
        return frame.cast(types) if self.is_polars_ else frame.astype(types)


def frame_as(X, values):
    """Return values (N, D) with the names of X if it is a DataFrame, else as they are."""
    if hasattr(values, "columns") or not hasattr(X, "columns"):
        return values
    if hasattr(X, "iloc"):
        return type(X)(values, X.index, X.columns)
    return type(X)(values, X.columns)


def to_pandas(X):
    """Return a frame of polars as one of pandas, and other samples as they are."""
    if not type(X).__module__.startswith("polars"):
        return X

    return import_module("pandas").DataFrame(X.to_dict(as_series=False))


def _read_objects(X, i):
    """Return the values (N,) of a column as objects, None where they are missing."""
    values = np.asarray(_safe_indexing(X, i, axis=1))
    if values.dtype.kind in "iub":
        return values.astype(object)
    if values.dtype.kind == "f":
        is_gap = np.isnan(values)
    else:
        is_gap = [is_missing(value) for value in values.tolist()]
    values = values.astype(object)
    values[is_gap] = None
    return values


def _list_levels(name, values):
    """Return the categories of a column, sorted."""
    for value in values:
        if not isinstance(value, str | Real | np.bool_ | NoneType):
            raise ValueError(
                f"Categories are strings, numbers or booleans, but column {name!r} has "
                f"{value!r}. Convert the column, for instance by .astype(str)."
            )
    known = set(values.tolist()) - {None}
    texts = [value for value in known if isinstance(value, str)]
    if texts and len(texts) < len(known):
        text = max(texts)  # letters are behind digits
        raise ValueError(
            f"Column {name!r} has numbers and texts, such as {text!r}. Convert it to numbers by "
            "pandas.to_numeric(column, errors='coerce'), or to categories by .astype(str)."
        )
    return np.array(sorted(known), dtype=object)


# ---- numbers


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
            is_known = ~np.isnan(values) & (weights > 0)
            values = values[is_known]
            weights = weights[is_known]
            self.decimals_.append(_count_decimals(values))
            self.kinds_.append(self._fit_column(j, kind, values, weights))
        return self

    def _fit_column(self, j, kind, values, weights):
        """Return the kind of a column, and remember its levels or logarithm."""
        has_few = kind == "code" or len(np.unique(values[:FIRST])) <= MAX_LEVELS
        if has_few and kind in (None, "code"):
            levels, shares = _share_levels(values, weights)
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
        is_known = np.abs(steps) < 2**60
        steps = np.where(is_known, steps, 0).round().astype(np.int64)
        keys = np.where(is_known, _mix(steps.view(np.uint64)), 0)
        return keys.sum(1, dtype=np.uint64)


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
    outer, inner, middle, *upper = _list_quantiles(values, weights)
    skews = [_skew(outer, middle, upper[1]), _skew(inner, middle, upper[0])]
    sign = -1.0 if skews[0] < 0 else 1.0
    is_skewed = sign * skews[0] >= TAIL_SKEW and sign * skews[1] >= BODY_SKEW
    is_skewed &= sign * _find_moment(values, weights) >= SKEWNESS
    if not is_amount and not is_skewed:
        return None

    low, high = sorted((sign * outer, sign * upper[1]))
    middle = sign * middle
    first = (sign * values).min()
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
