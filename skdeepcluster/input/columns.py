"""Columns of a table: their kinds, categories as one-hot columns, amounts and codes as numbers.

N samples, D columns of a table, C columns of numbers, L levels of a code, E encoded columns.
"""

from collections import Counter
from itertools import chain, pairwise
from math import gcd
from numbers import Real
from types import NoneType

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import StrOptions

from .cells import LEVELS, TEXTS, list_names
from .checks import name_column, refuse_empty
from .distinct import find_ranges
from .labels import is_missing
from .numbers import FIRST, MAX_LEVELS, MAX_SHARE, share_levels
from .scales import are_comparable, look_like_probabilities

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
#: Maximum share of a flag, and minimum number of values of finer numbers, that show that
#: columns differ in kind.
MAX_FLAG_SHARE = 0.9
FINE = 2 * MAX_LEVELS
#: Tolerance of the deviations 1 and means 0 of standardized features.
STANDARD = 1e-2


# ---- what is known of columns before their values are read


def list_said(X, kinds):
    """Return the kinds of columns that the user says, by position, and one-hot blocks."""
    said = {}
    blocks = []
    for name, kind in kinds.items() if isinstance(kinds, dict) else ():
        if kind not in NAMES:
            raise ValueError(
                f"kinds has {kind!r} for column {name!r}, but a kind is one of "
                f"{', '.join(NAMES)}."
            )
        if isinstance(name, tuple) and name not in list_names(X):
            if kind != "category" or len(name) < 2:
                raise ValueError(
                    f"kinds has {kind!r} for the columns {name}, but several columns are a "
                    "'category', one-hot: name each of others."
                )
            blocks.append(sorted(_find_column(X, each) for each in name))
        else:
            said[_find_column(X, name)] = kind
    return said, blocks


def _find_column(X, name):
    """Return the position of a column."""
    names = list_names(X)
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
    column = np.asarray(_safe_indexing(X, i, axis=1))
    if column.dtype.kind not in "iu" or len(column) < MIN_NUMBERED:
        return False
    values, counts = np.unique(column, return_counts=True)
    is_gapless = len(values) >= MIN_NUMBERED and (np.diff(values) == 1).all()
    if not is_gapless or counts.min() < counts.max():
        return False
    return counts[0] == 1 or _count_copies(X) % counts[0] == 0


def _count_copies(X):
    """Return how many copies of all rows X (N, D) has."""
    columns = [_read_objects(X, i).astype(str) for i in range(X.shape[1])]
    return gcd(*Counter(zip(*columns, strict=True)).values())


def _list_order(X, i):
    """Return the categories of a column in their order, none if it has numbers."""
    dtype = list(X.dtypes)[i]
    levels = list(getattr(dtype, "categories", ()))
    if levels and getattr(dtype, "ordered", True):
        return levels
    has_texts = any(isinstance(level, str) for level in levels)
    if has_texts or str(dtype).lower().startswith(TEXTS):
        raise ValueError(
            f"Column {list(X.columns)[i]!r} is a code, but its texts have no order. "
            "Convert it by pandas.Categorical(column, levels, ordered=True)."
        )
    return []


# ---- whether numbers have kinds


def is_table(X, features, standardize, sample_weight):
    """Return whether the columns of numbers X (N, D) have units of their own.

    Some are codes and flags beside finer numbers; or they are standardized, or were before, or
    are not comparable, and are no principal components or probabilities.
    """
    if len(features.deviations) == 0:
        return False
    if _mixes_kinds(X, sample_weight):
        return True
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
        or not are_comparable(X, features, sample_weight)
    )


def _mixes_kinds(X, sample_weight):
    """Return whether some columns of X (N, D) have few values, and others many."""
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    has_few = False
    has_fine = False
    for column in X.T:
        known = ~np.isnan(column)
        if len(np.unique(column[known][:FIRST])) > FINE:
            has_fine = True
            continue
        levels, shares = share_levels(column[known], weights[known])
        most = MAX_SHARE if len(levels) > 2 else MAX_FLAG_SHARE
        if 1 < len(levels) <= MAX_LEVELS and shares.max() <= most:
            has_few = True
    return has_few and has_fine


# ---- categories


class TableEncoder(BaseEstimator):
    """Numbers, then one-hot columns of categories, nan for missing and unseen categories.

    ``kinds`` are the known kinds of columns by position; the others are numbers. Each of the
    ``blocks``, lists of one-hot columns, is a category.
    """

    def __init__(self, kinds, blocks=()):
        self.kinds = kinds
        self.blocks = blocks

    def fit(self, X):
        """Find the levels of a table X (N, D)."""
        self.names_ = list_names(X)
        self.is_frame_ = hasattr(X, "dtypes")
        self.kinds_ = dict(self.kinds)
        self.orders_ = {}
        for i, kind in self.kinds.items():
            if kind == "code" and self.is_frame_ and (levels := _list_order(X, i)):
                self.orders_[i] = levels
            elif kind == "category" and self._is_identifier(X, i):
                self.kinds_[i] = "out"

        members = dict.fromkeys(chain(*self.blocks), "category")
        single = {i for i, kind in self.kinds_.items() if kind in ONE_HOT} - set(
            members
        )
        # Columns of each category: one, or a block.
        self.categorical_ = sorted([*([i] for i in single), *self.blocks])
        self.kinds_ |= members
        positions = range(len(self.names_))
        self.numeric_ = [i for i in positions if self.kinds_.get(i) not in LEVELS]
        self.ranges_ = {
            block[0]: find_ranges(self.read_numbers(X, block)) for block in self.blocks
        }
        if not self.categorical_ and not self.numeric_:
            raise ValueError(
                f"All columns of X are left out: {self.names_}. Name a kind: "
                f"kinds={{{self.names_[0]!r}: 'category'}}."
            )
        self._fit_categories(X)
        return self

    def _fit_categories(self, X):
        """Find the levels and one-hot columns of the categories."""
        values = self._read_categories(X)
        names = [self.names_[columns[0]] for columns in self.categorical_]
        levels = list(map(_list_levels, names, values.T))

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
        first = [str(names[columns[0]]) for columns in self.categorical_]
        encoded = [*numbers, *self.encoder_.get_feature_names_out(first)]
        categories = zip(
            self.categorical_, self.groups_, self.encoder_.categories_, strict=True
        )
        for columns, group, levels in categories:
            if len(columns) > 1 and len(levels) == len(group):
                own = [names[i] for i in columns]
                own.append(f"none of {', '.join(own)}")
                encoded[group[0] : group[-1] + 1] = [own[level] for level in levels]
        return encoded

    def _is_identifier(self, X, i):
        """Return whether a column of texts has another one for most samples."""
        values = _read_objects(X, i)
        counts = Counter(value for value in values if isinstance(value, str))
        if len(counts) <= MANY_VALUES:
            return False
        may_repeat = gcd(*counts.values()) > 1
        n_copies = _count_copies(X) if may_repeat else 1
        return counts.total() < MIN_REPEATS * n_copies * len(counts)

    def _read_categories(self, X):
        """Return the values of the categorical columns, None where they are missing."""
        values = np.empty((X.shape[0], len(self.categorical_)), dtype=object)
        for place, columns in enumerate(self.categorical_):
            if len(columns) == 1:
                values[:, place] = _read_objects(X, columns[0])
            else:
                values[:, place] = self._read_block(X, columns)
        return values

    def _read_block(self, X, columns):
        """Return which column of a block is high, -1 for none, and None where one is missing."""
        low, high = self.ranges_[columns[0]]
        numbers = self.read_numbers(X, columns)
        is_high = numbers - low > high - numbers
        level = np.where(is_high.any(1), is_high.argmax(1), -1).astype(object)
        level[np.isnan(numbers).any(1)] = None
        return level

    def read_numbers(self, X, columns=None):
        """Return the values of some columns, nan where they are missing.

        By default these are the columns that are no categories.
        """
        columns = self.numeric_ if columns is None else columns
        if not columns:
            return np.empty((X.shape[0], 0))
        numbers = _safe_indexing(X, columns, axis=1)
        if self.orders_:
            values = [self._read_number(X, i) for i in columns]
            numbers = np.array(values, dtype=object).T
        with name_column(numbers, [self.names_[i] for i in columns]):
            return check_array(
                numbers,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name="X",
            )

    def _read_number(self, X, i):
        """Return the values of a column, of ordered categories the place in their order."""
        values = _read_objects(X, i).tolist()
        levels = self.orders_.get(i)
        if levels is None:
            return values
        return [levels.index(value) if value in levels else None for value in values]

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
        """Return the columns of encoded samples (N, E), see :meth:`Preparation.decode`.

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
            levels = self._decode_levels(X[:, n_numbers:], random_state)
            for places, values in zip(self.categorical_, levels, strict=True):
                columns |= self._decode_category(places, values)

        return {i: np.array(values.tolist()) for i, values in columns.items()}

    def _decode_levels(self, shares, random_state):
        """Return the levels of each category by their shares in one-hot columns."""
        stream = random_state or np.random.RandomState(0)
        if random_state is not None:  # p / e is largest with probability p
            shares = shares / stream.standard_exponential(shares.shape)
        decoded = self.encoder_.inverse_transform(shares).T
        infrequent = self.encoder_.infrequent_categories_
        for values, rare in zip(decoded, infrequent, strict=True):
            if rare is not None:
                is_rare = values == "infrequent_sklearn"
                values[is_rare] = stream.choice(rare, is_rare.sum())
        return decoded

    def _decode_category(self, places, values):
        """Return the columns of a category or of a block, by position."""
        if len(places) == 1:
            return {places[0]: values}
        low, high = self.ranges_[places[0]]
        is_high = np.asarray(values, dtype=int)[:, None] == np.arange(len(places))
        return dict(zip(places, np.where(is_high, high, low).T, strict=True))


def frame_as(X, values):
    """Return values (N, D) with the names of X if it is a DataFrame, else as they are."""
    if hasattr(values, "columns") or not hasattr(X, "columns"):
        return values
    if hasattr(X, "iloc"):
        return type(X)(values, X.index, X.columns)
    return type(X)(values, X.columns)


def fill_series(column, values):
    """Return a column of polars, with values where it is missing."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if not column.has_nulls():
        return column
    return column.fill_null(values.cast(column.dtype, strict=False))


def _read_objects(X, i):
    """Return the values (N,) of a column as objects, None where they are missing."""
    values = np.asarray(_safe_indexing(X, i, axis=1))
    if values.dtype.kind in "iubf":
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
                f"{value!r}. Convert it by .astype(str)."
            )
    known = set(values.tolist()) - {None}
    if not known:
        refuse_empty([name])
    texts = {value for value in known if isinstance(value, str)}
    if texts and texts < known:
        text = max(texts)  # letters are behind digits
        raise ValueError(
            f"Column {name!r} has numbers and texts, such as {text!r}. Convert it by "
            "pandas.to_numeric(column, errors='coerce') or .astype(str)."
        )
    return np.array(sorted(known), dtype=object)
