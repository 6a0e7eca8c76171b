"""Categories as one-hot columns.

N samples, D columns of X, B one-hot columns.
"""

from itertools import pairwise
from numbers import Real
from types import NoneType

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OneHotEncoder

from .checks import refuse_empty, warn_user
from .distinct import find_ranges
from .tables import read_numbers, read_objects

#: Maximum number of one-hot columns of a category; the rarest levels share the last.
MAX_CATEGORIES = 255


class CategoryEncoder(BaseEstimator):
    """Encode categories as one-hot columns, nan for missing and unseen levels.

    ``columns`` are the positions of each category: one, or a block of one-hot columns.
    """

    def __init__(self, columns):
        self.columns = columns

    def fit(self, X, names):
        """Learn the levels of the categories of X (N, D), whose columns have names."""
        self.ranges_ = {}
        for places in self.columns:
            if len(places) > 1:
                self.ranges_[places[0]] = find_ranges(read_numbers(X, places))
        values = self._read(X)
        self.names_ = [names[places[0]] for places in self.columns]
        levels = list(map(_list_levels, self.names_, values.T))
        encoder = OneHotEncoder(
            categories=levels,
            handle_unknown="ignore",
            max_categories=MAX_CATEGORIES,
            sparse_output=False,
        )
        self.one_hot_ = encoder.set_output(transform="default")
        sizes = self.one_hot_.fit(values)._n_features_outs if levels else []
        ends = np.cumsum([0, *sizes]).tolist()
        self.groups_ = [list(range(*pair)) for pair in pairwise(ends)]
        return self

    def _read(self, X):
        """Return the values of the categories, None where they are missing."""
        values = np.empty((X.shape[0], len(self.columns)), dtype=object)
        for k, places in enumerate(self.columns):
            if len(places) == 1:
                values[:, k] = read_objects(X, places[0])
            else:
                values[:, k] = self._read_block(X, places)
        return values

    def _read_block(self, X, places):
        """Return which column of a block is high, -1 for none, and None where one is missing."""
        low, high = self.ranges_[places[0]]
        numbers = read_numbers(X, places)
        is_high = numbers - low > high - numbers
        level = np.where(is_high.any(1), is_high.argmax(1), -1).astype(object)
        level[np.isnan(numbers).any(1)] = None
        return level

    def transform(self, X):
        """Return the one-hot columns (N, B) of X (N, D)."""
        values = self._read(X)
        encoded = self.one_hot_.transform(values)
        for k, group in enumerate(self.groups_):
            is_unknown = ~encoded[:, group].any(1)
            if is_unknown.all() and None not in values[:, k]:
                warn_user(
                    f"Column {self.names_[k]!r} has no level that the fit has seen, but "
                    f"{values[0, k]!r}."
                )
            encoded[np.ix_(is_unknown, group)] = np.nan
        return encoded

    def inverse_transform(self, shares, random_state=None):
        """Return columns of X by position, from the shares (N, B) of levels.

        Levels are the most probable ones, or drawn by a RandomState.
        """
        stream = random_state or np.random.RandomState(0)
        if random_state is not None:  # p / e is largest with probability p
            shares = shares / stream.standard_exponential(shares.shape)
        decoded = self.one_hot_.inverse_transform(shares).T
        columns = {}
        for places, values, rare in zip(
            self.columns, decoded, self.one_hot_.infrequent_categories_, strict=True
        ):
            if rare is not None:
                is_rare = values == "infrequent_sklearn"
                values[is_rare] = stream.choice(rare, is_rare.sum())
            columns |= self._decode(places, values)
        return columns

    def _decode(self, places, values):
        """Return the columns of a category or of a block by position."""
        if len(places) == 1:
            return {places[0]: np.array(values.tolist())}
        low, high = self.ranges_[places[0]]
        is_high = np.asarray(values, dtype=int)[:, None] == np.arange(len(places))
        return dict(zip(places, np.where(is_high, high, low).T, strict=True))

    def list_names(self, names):
        """Return the names of the one-hot columns; ``names`` (D,) are those of the columns."""
        first = [str(names[places[0]]) for places in self.columns]
        listed = self.one_hot_.get_feature_names_out(first).tolist()
        for places, group, levels in zip(
            self.columns, self.groups_, self.one_hot_.categories_, strict=True
        ):
            if len(places) > 1 and len(levels) == len(group):
                own = [names[i] for i in places]
                own.append(f"none of {', '.join(own)}")
                listed[group[0] : group[-1] + 1] = [own[level] for level in levels]
        return listed


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
