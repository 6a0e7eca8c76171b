"""Columns of a table as numbers: categories are one-hot, skewed numbers are logarithms.

N samples, D columns of X, C columns of numbers, E encoded columns: numbers first, then the one-hot
columns of categories.
"""

from itertools import chain, pairwise
from numbers import Real
from types import NoneType

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OneHotEncoder

from .blocks import find_blocks
from .checks import is_table, leave_weighted, refuse_empty
from .distinct import find_ranges
from .kinds import ONE_HOT, have_units, is_identifier, list_said, read_types
from .numbers import NumberEncoder, find_kinds
from .scaler import measure_features
from .tables import LEVELS, Table, TableReader, to_objects

#: Maximum number of columns of an array whose kinds are learned.
MAX_COLUMNS = 200
#: Maximum number of one-hot columns of a category; the rarest levels share the last.
MAX_CATEGORIES = 255


class ColumnEncoder(TransformerMixin, BaseEstimator):
    """Encode a table as numbers and one-hot columns, nan for missing and unseen categories.

    Skewed numbers become logarithms, and ordinal ones are spread over the gaps between them.

    Parameters
    ----------
    kinds : "auto", "numbers" or dict, default="auto"
        Kinds of columns, as in :class:`Preparation`.
    reads_values : bool, default=True
        Whether values may tell the kinds of numbers.
    standardize : "auto" or bool, default="auto"
        True: numbers have units of their own.

    Attributes
    ----------
    names_ : list
        Names of the columns, or their positions.
    kinds_ : list of str
        Kind of each column.
    known_ : dict of str
        Kinds that the user or types say, by position.
    is_table_ : bool
        Whether columns have kinds.
    number_columns_ : list of int
        Columns that are numbers, the first encoded ones.
    categorical_ : list of list of int
        Columns of each category: one, or a block of one-hot columns.
    groups_ : list of list of int
        One-hot columns of each category.
    """

    def __init__(self, kinds="auto", reads_values=True, standardize="auto"):
        self.kinds = kinds
        self.reads_values = reads_values
        self.standardize = standardize

    def fit(self, X, y=None, sample_weight=None):
        """Learn kinds, levels and logarithms of the columns of X (N, D)."""
        self.fit_transform(X, y, sample_weight)
        return self

    def fit_transform(self, X, y=None, sample_weight=None):
        """Learn the columns of X (N, D); return it encoded, (N, E)."""
        self.names_ = list_names(X)
        said, blocks = list_said(self.names_, self.kinds)
        self.reader_ = TableReader().fit(X, said) if is_table(X) else None
        self.orders_ = {}
        self.numbers_ = None
        X = self._read(X)
        known = self.known_ = self._list_known(X, said)

        learned, weights = leave_weighted(X, sample_weight)
        self._learn(learned, weights, known, blocks)
        self.is_plain_ = not (known or blocks or self.is_table_)
        return self._encode(X)

    def transform(self, X):
        """Return X (N, D) encoded, (N, E)."""
        return self._encode(self._read(X))

    def inverse_transform(self, X, random_state=None):
        """Return encoded samples (N, E) in the columns of the table of the fit.

        Categories are the most probable ones, or drawn by a RandomState. Columns that are left
        out miss all values.
        """
        if self.is_plain_:
            return X
        columns = self._decode(X, random_state)
        if self.reader_ is None:
            return np.column_stack(columns).astype(float)
        return self.reader_.restore(columns)

    def restore(self, X):
        """Return encoded samples (N, E) as a table like that of the fit."""
        return self.reader_.restore(self._decode(X, None))

    # ---- what is known of columns

    def _read(self, X):
        """Return X (N, D), a table as :class:`Table`, where ordered categories are numbers."""
        if self.reader_ is None:
            return X
        table = self.reader_.read(X)
        columns = list(table.columns)
        for i, levels in self.orders_.items():
            columns[i] = _place(columns[i], levels)
        return table._replace(columns=columns)

    def _list_known(self, X, said):
        """Return the kinds of columns that are known before values are read, by position."""
        if self.kinds == "numbers":
            return {}
        if not isinstance(X, Table):
            return said
        known = read_types(X) | said
        for i, kind in known.items():
            column = X.columns[i]
            if kind == "ordinal" and (levels := _list_order(column)):
                self.orders_[i] = levels
                X.columns[i] = _place(column, levels)
            elif kind == "category" and i not in said and is_identifier(column):
                known[i] = "out"
        return known

    def _learn(self, X, weights, known, blocks):
        """Learn the columns of X (N, D), of which kinds and one-hot blocks are ``known``."""
        kinds = [known.get(i) for i in range(X.shape[1])]
        members = set(chain(*blocks))
        is_dense = isinstance(X, np.ndarray | Table)
        may_tell = self.reads_values and is_dense and X.shape[1] > len(members)
        tells = {kind for kind in kinds if kind not in (None, "out")} or blocks
        self.is_table_ = bool(tells)
        if may_tell:
            blocks = blocks + self._read_values(X, kinds, members, weights)
        for i in chain(*blocks):
            kinds[i] = "category"
        self.kinds_ = [kind or "number" for kind in kinds]
        self.is_table_ |= bool({*self.kinds_} - {"number", "constant", "out"})

        self.number_columns_ = [
            i for i, kind in enumerate(self.kinds_) if kind not in LEVELS
        ]
        members = set(chain(*blocks))
        single = [
            i
            for i, kind in enumerate(self.kinds_)
            if kind in ONE_HOT and i not in members
        ]
        self.categorical_ = sorted([*([i] for i in single), *blocks])
        if not self.categorical_ and not self.number_columns_:
            raise ValueError(
                f"All columns of X are left out: {self.names_}. Name a kind: "
                f"kinds={{{self.names_[0]!r}: 'category'}}."
            )
        self._fit_categories(X)
        if self.is_table_ and may_tell:
            self._fit_numbers(X, weights)

    def _read_values(self, X, kinds, members, weights):
        """Set the kinds that the values of numbers tell; return one-hot blocks among them."""
        names = {kind for kind in kinds if kind is not None}
        places = [
            i
            for i, kind in enumerate(kinds)
            if kind not in ("category", "out") and i not in members
            if kind != "binary" or _may_be_number(X, i)
        ]
        numbers = read_numbers(X, places)
        if not numbers.size:
            return []
        features = measure_features(numbers, weights)
        have_kinds = self.is_table_
        if not have_kinds and len(places) <= MAX_COLUMNS:
            have_kinds = have_units(numbers, features, self.standardize, weights)
        found = find_blocks(numbers, have_kinds, bool(names - {"binary"}))
        if not have_kinds and not found:
            return []

        is_single = np.isin(np.arange(len(places)), list(chain(*found)), invert=True)
        single = np.flatnonzero(is_single)
        known = [kinds[places[j]] for j in single]
        read = find_kinds(numbers[:, single], known, features.take(single), weights)
        for j, kind in zip(single, read, strict=True):
            kinds[places[j]] = kind
        return [[places[j] for j in block] for block in found]

    def _fit_numbers(self, X, weights):
        """Learn levels and logarithms of the numbers."""
        numbers = read_numbers(X, self.number_columns_)
        kinds = [self.kinds_[i] for i in self.number_columns_]
        features = measure_features(numbers, weights)
        self.numbers_ = NumberEncoder(kinds).fit(numbers, features, weights)

    # ---- categories

    def _fit_categories(self, X):
        """Learn the levels and one-hot columns of the categories."""
        self.ranges_ = {}
        for columns in self.categorical_:
            if len(columns) > 1:
                self.ranges_[columns[0]] = find_ranges(read_numbers(X, columns))
        values = self._read_categories(X)
        names = [self.names_[columns[0]] for columns in self.categorical_]
        levels = list(map(_list_levels, names, values.T))

        self.one_hot_ = OneHotEncoder(
            categories=levels,
            handle_unknown="ignore",
            max_categories=MAX_CATEGORIES,
            sparse_output=False,
        )
        sizes = self.one_hot_.fit(values)._n_features_outs if levels else ()
        ends = np.cumsum([len(self.number_columns_), *sizes]).tolist()
        self.groups_ = [list(range(*pair)) for pair in pairwise(ends)]

    def _read_categories(self, X):
        """Return the values of the categorical columns, None where they are missing."""
        values = np.empty((X.shape[0], len(self.categorical_)), dtype=object)
        for place, columns in enumerate(self.categorical_):
            is_block = len(columns) > 1
            read = self._read_block if is_block else read_objects
            values[:, place] = read(X, columns if is_block else columns[0])
        return values

    def _read_block(self, X, columns):
        """Return which column of a block is high, -1 for none, and None where one is missing."""
        low, high = self.ranges_[columns[0]]
        numbers = read_numbers(X, columns)
        is_high = numbers - low > high - numbers
        level = np.where(is_high.any(1), is_high.argmax(1), -1).astype(object)
        level[np.isnan(numbers).any(1)] = None
        return level

    # ---- encoded columns

    def _encode(self, X):
        """Return samples (N, D), read, as encoded ones (N, E)."""
        numbers = read_numbers(X, self.number_columns_)
        if self.numbers_ is not None:
            numbers = self.numbers_.transform(numbers)
        if not self.categorical_:
            return numbers
        one_hot = self.one_hot_.transform(self._read_categories(X))
        encoded = np.asfortranarray(np.hstack([numbers, one_hot]))
        for group in self.groups_:
            is_unknown = ~encoded[:, group].any(1)
            encoded[np.ix_(is_unknown, group)] = np.nan
        return encoded

    def _decode(self, X, random_state):
        """Return the columns of encoded samples (N, E), a list of arrays (N,)."""
        n_numbers = len(self.number_columns_)
        numbers = X[:, :n_numbers]
        if self.numbers_ is not None:
            numbers = self.numbers_.inverse_transform(numbers)
        missing = np.full(len(X), np.nan if self.reader_ is None else None)
        columns = [missing] * len(self.kinds_)
        for i, values in zip(self.number_columns_, numbers.T, strict=True):
            columns[i] = values
        for i, levels in self.orders_.items():
            place = np.round(columns[i]).astype(int).clip(0, len(levels) - 1)
            columns[i] = np.array(levels, dtype=object)[place]
        if self.categorical_:
            levels = self._decode_levels(X[:, n_numbers:], random_state)
            for places, values in zip(self.categorical_, levels, strict=True):
                for i, column in self._decode_category(places, values):
                    columns[i] = column
        return columns

    def _decode_levels(self, shares, random_state):
        """Return the levels of each category by their shares in one-hot columns."""
        stream = random_state or np.random.RandomState(0)
        if random_state is not None:  # p / e is largest with probability p
            shares = shares / stream.standard_exponential(shares.shape)
        decoded = self.one_hot_.inverse_transform(shares).T
        infrequent = self.one_hot_.infrequent_categories_
        for values, rare in zip(decoded, infrequent, strict=True):
            if rare is not None:
                is_rare = values == "infrequent_sklearn"
                values[is_rare] = stream.choice(rare, is_rare.sum())
        return decoded

    def _decode_category(self, places, values):
        """Return the columns of a category or of a block, with their positions."""
        if len(places) == 1:
            return [(places[0], np.array(values.tolist()))]
        low, high = self.ranges_[places[0]]
        is_high = np.asarray(values, dtype=int)[:, None] == np.arange(len(places))
        return zip(places, np.where(is_high, high, low).T, strict=True)

    def list_names(self, names):
        """Return the names of the encoded columns for the ``names`` (D,) of the columns."""
        numbers = [names[i] for i in self.number_columns_]
        if not self.categorical_:
            return numbers
        first = [str(names[columns[0]]) for columns in self.categorical_]
        encoded = [*numbers, *self.one_hot_.get_feature_names_out(first)]
        categories = zip(
            self.categorical_, self.groups_, self.one_hot_.categories_, strict=True
        )
        for columns, group, levels in categories:
            if len(columns) > 1 and len(levels) == len(group):
                own = [names[i] for i in columns]
                own.append(f"none of {', '.join(own)}")
                encoded[group[0] : group[-1] + 1] = [own[level] for level in levels]
        return encoded


# ---- columns of tables and of arrays


def list_names(X):
    """Return the names of the columns of X (N, D), or their positions."""
    return list(getattr(X, "columns", range(X.shape[1])))


def read_numbers(X, places):
    """Return some columns of X (N, D) as numbers, nan where they are missing."""
    if isinstance(X, Table):
        return X.read_numbers(places)
    return X if len(places) == X.shape[1] else X[:, places]


def read_objects(X, i):
    """Return a column of X (N, D) as objects, None where they are missing."""
    if isinstance(X, Table):
        return X.columns[i].read_objects()
    return to_objects(X[:, i])


def _may_be_number(X, i):
    """Return whether the values of a column are numbers or booleans."""
    if not isinstance(X, Table):
        return True
    return X.columns[i].is_numeric or X.columns[i].type == "boolean"


def _list_order(column):
    """Return the categories of a column in their order, none if it has numbers."""
    has_texts = any(isinstance(value, str) for value in column.values)
    if has_texts and not column.levels:
        raise ValueError(
            f"Column {column.name!r} is ordinal, but its texts have no order. Convert it by "
            "pandas.Categorical(column, levels, ordered=True)."
        )
    return list(column.levels)


def _place(column, levels):
    """Return a column whose values are places in the order of its levels."""
    places = {level: float(place) for place, level in enumerate(levels)}
    values = [places.get(value, np.nan) for value in column.values]
    return column._replace(values=np.array(values), levels=tuple(levels))


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
