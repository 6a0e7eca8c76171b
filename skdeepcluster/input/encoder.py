"""Columns of a table as numbers: categories are one-hot, skewed numbers are logarithms.

N samples, D columns of X, C columns of numbers, E encoded columns: numbers first, then the one-hot
columns of categories.
"""

from itertools import chain

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .categories import CategoryEncoder
from .checks import is_table, leave_weighted
from .kinds import (
    ONE_HOT,
    find_blocks,
    have_units,
    is_identifier,
    read_kinds,
    read_types,
)
from .numbers import NumberEncoder, find_kinds
from .scaler import measure_features
from .tables import (
    LEVELS,
    Table,
    TableReader,
    list_names,
    list_order,
    may_be_number,
    place_levels,
    read_numbers,
)

#: Maximum number of columns of an array whose kinds are learned.
MAX_COLUMNS = 200


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
    is_plain_ : bool
        Whether X is encoded as it is.
    number_columns_ : list of int
        Columns that are numbers, the first encoded ones.
    blocks_ : list of list of int
        Columns of X that are one-hot columns of a category.
    groups_ : list of list of int
        Encoded one-hot columns of each category.
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
        given, blocks = read_kinds(self.names_, self.kinds)
        self.reader_ = TableReader().fit(X, given) if is_table(X) else None
        self.orders_ = {}
        X = self._read(X)
        self.known_ = self._list_known(X, given)
        self.blocks_ = blocks
        learned, weights = leave_weighted(X, sample_weight)
        self._learn(learned, weights)
        self.is_plain_ = not (self.known_ or blocks or self.is_table_)
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
        """Return encoded samples (N, E) as a table like that of the fit, also if it is plain."""
        return self.reader_.restore(self._decode(X, None))

    def list_names(self, names):
        """Return the names of the encoded columns for the ``names`` (D,) of the columns."""
        numbers = [names[i] for i in self.number_columns_]
        return [*numbers, *(self.categories_.list_names(names) if self.groups_ else ())]

    # ---- what is known of columns

    def _read(self, X):
        """Return X (N, D), a table as :class:`Table`, where ordered categories are numbers."""
        if self.reader_ is None:
            return X
        table = self.reader_.read(X)
        for i, levels in self.orders_.items():
            table.columns[i] = place_levels(table.columns[i], levels)
        return table

    def _list_known(self, X, given):
        """Return the kinds of columns that are known before values are read, by position."""
        if self.kinds == "numbers":
            return {}
        if self.reader_ is None:
            return given
        known = read_types(X) | given
        for i, kind in known.items():
            column = X.columns[i]
            if kind == "ordinal" and (levels := list_order(column)):
                self.orders_[i] = levels
                X.columns[i] = place_levels(column, levels)
            elif kind == "category" and i not in given and is_identifier(column):
                known[i] = "out"
        return known

    def _learn(self, X, weights):
        """Learn the columns of X (N, D)."""
        kinds = [self.known_.get(i) for i in range(X.shape[1])]
        self.is_table_ = bool(self.blocks_ or {*kinds} - {None, "out"})
        reads_values = self.reads_values and isinstance(X, np.ndarray | Table)
        if reads_values:
            self._read_values(X, kinds, weights)
        members = list(chain(*self.blocks_))
        for i in members:
            kinds[i] = "category"
        self.kinds_ = [kind or "number" for kind in kinds]
        self.is_table_ |= not {*self.kinds_} <= {"number", "constant", "out"}

        places = range(len(kinds))
        self.number_columns_ = [i for i in places if self.kinds_[i] not in LEVELS]
        single = [[i] for i in places if self.kinds_[i] in ONE_HOT and i not in members]
        if not (self.number_columns_ or members or single):
            raise ValueError(
                f"All columns of X are left out: {self.names_}. Name a kind: "
                f"kinds={{{self.names_[0]!r}: 'category'}}."
            )
        self.categories_ = CategoryEncoder(sorted(single + self.blocks_))
        self.categories_.fit(X, self.names_)
        n_numbers = len(self.number_columns_)
        groups = self.categories_.groups_
        self.groups_ = [[n_numbers + j for j in group] for group in groups]
        self.numbers_ = None
        if self.is_table_ and reads_values and self.number_columns_:
            numbers = read_numbers(X, self.number_columns_)
            kinds = [self.kinds_[i] for i in self.number_columns_]
            self.numbers_ = NumberEncoder(kinds).fit(numbers, weights)

    def _read_values(self, X, kinds, weights):
        """Set the kinds and find the one-hot blocks that the values of numbers tell."""
        members = {*chain(*self.blocks_)}
        places = [
            i
            for i, kind in enumerate(kinds)
            if i not in members and may_be_number(X, i, kind)
        ]
        numbers = read_numbers(X, places)
        if not numbers.size:
            return
        features = measure_features(numbers, weights)
        have_kinds = self.is_table_
        if not have_kinds and len(places) <= MAX_COLUMNS:
            have_kinds = have_units(numbers, features, self.standardize, weights)
        found = find_blocks(numbers, have_kinds, not {*kinds} <= {None, "binary"})
        if not have_kinds and not found:
            return

        in_block = np.isin(np.arange(len(places)), list(chain(*found)))
        single = np.flatnonzero(~in_block)
        known = [kinds[places[j]] for j in single]
        read = find_kinds(numbers[:, single], known, features.take(single), weights)
        for j, kind in zip(single, read, strict=True):
            kinds[places[j]] = kind
        self.blocks_ = self.blocks_ + [[places[j] for j in block] for block in found]

    # ---- encoded columns

    def _encode(self, X):
        """Return samples (N, D), read, as encoded ones (N, E)."""
        numbers = read_numbers(X, self.number_columns_)
        if self.numbers_ is not None:
            numbers = self.numbers_.transform(numbers)
        if not self.groups_:
            return numbers
        return np.asfortranarray(np.hstack([numbers, self.categories_.transform(X)]))

    def _decode(self, X, random_state):
        """Return the columns of encoded samples (N, E), a list of arrays (N,)."""
        n_numbers = len(self.number_columns_)
        numbers = X[:, :n_numbers]
        if self.numbers_ is not None:
            numbers = self.numbers_.inverse_transform(numbers)
        missing = np.full(len(X), np.nan if self.reader_ is None else None)
        columns = dict.fromkeys(range(len(self.kinds_)), missing)
        columns |= zip(self.number_columns_, numbers.T, strict=True)
        for i, levels in self.orders_.items():
            place = np.round(columns[i]).astype(int).clip(0, len(levels) - 1)
            columns[i] = np.array(levels, dtype=object)[place]
        if self.groups_:
            shares = X[:, n_numbers:]
            columns |= self.categories_.inverse_transform(shares, random_state)
        return list(columns.values())
