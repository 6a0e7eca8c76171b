"""Kinds of columns: what the user says, what types tell, and whether values tell.

N samples, D columns of a table, C columns of numbers, T of them indicators, which have two values.
"""

from collections import Counter
from itertools import chain
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils._param_validation import StrOptions

from .distinct import find_ranges
from .numbers import FIRST, MAX_LEVELS, MAX_SHARE, share_levels
from .scaler import are_comparable, look_like_probabilities

#: Constraint on the parameter ``kinds``.
KINDS = [dict, StrOptions({"auto", "numbers"})]
#: Kinds of columns, and the kinds that become one-hot columns.
KIND_NAMES = ("number", "skewed", "ordinal", "date", "binary", "category", "out")
ONE_HOT = ("binary", "category")
#: Kinds that types of columns tell.
OF_TYPES = {
    "boolean": "binary",
    "category": "category",
    "ordered": "ordinal",
    "text": "category",
    "date": "date",
    "span": "date",
}
#: Number of different texts above which they may be identifiers.
MANY_VALUES = 12
#: Minimum number of consecutive integers that number the samples.
MIN_NUMBERED = 100
#: Mean number of samples with the same text below which a column is an identifier.
MIN_REPEATS = 2
#: Maximum share of the most frequent value of a binary column, and minimum number of values of
#: finer numbers, that show that columns differ in kind.
MAX_BINARY_SHARE = 0.9
FINE = 2 * MAX_LEVELS
#: Tolerance of the deviations 1 and means 0 of standardized features.
STANDARD = 1e-2
#: Maximum number of values of all indicators.
MAX_VALUES = 2**28
#: Minimum number of samples that chance would put into two indicators at once, if indicators that
#: are never high together encode a category without one of its levels.
MIN_EXPECTED = 10.0
#: Maximum number of columns of a kind that are named in a line.
MAX_LISTED = 5


# ---- what is known before values are read


def read_kinds(names, kinds):
    """Return the kinds of columns that the user says, by position, and one-hot blocks."""
    given = {}
    blocks = []
    for name, kind in kinds.items() if isinstance(kinds, dict) else ():
        if kind not in KIND_NAMES:
            raise ValueError(
                f"kinds has {kind!r} for column {name!r}, but a kind is one of "
                f"{', '.join(KIND_NAMES)}."
            )
        if not isinstance(name, tuple) or name in names:
            given[_find_column(names, name)] = kind
            continue
        if kind != "category" or len(name) < 2:
            raise ValueError(
                f"kinds has {kind!r} for the columns {name}, but several columns are a "
                "'category', one-hot: name each of others."
            )
        blocks.append(sorted(_find_column(names, each) for each in name))
    return given, blocks


def _find_column(names, name):
    """Return the position of a column, given by its name or position."""
    if name in names:  # a number may be a name
        return names.index(name)
    if isinstance(name, Integral) and -len(names) <= name < len(names):
        return int(name) % len(names)
    listed = ", ".join(map(repr, names[:MAX_LISTED]))
    raise ValueError(
        f"kinds names no column of X: {name!r}. X has {len(names)} columns: {listed}"
        f"{', ...' if len(names) > MAX_LISTED else ''}."
    )


def read_types(table):
    """Return the kinds of the columns of a table that their types tell, by position.

    Texts of arrays are named by the user only.
    """
    kinds = {}
    for i, column in enumerate(table.columns):
        kind = OF_TYPES.get(column.type)
        if kind == "date" or kind is not None and table.is_frame:
            kinds[i] = kind
        elif column.type == "integer" and _numbers_samples(column.values):
            kinds[i] = "out"
    return kinds


def _numbers_samples(values):
    """Return whether integers are consecutive, and another for each sample."""
    if len(values) < MIN_NUMBERED or np.isnan(values).any():
        return False
    return bool((np.diff(np.sort(values)) == 1).all())


def is_identifier(column):
    """Return whether a column of texts has another one for most samples."""
    if column.is_numeric:
        return False
    counts = Counter(value for value in column.values if isinstance(value, str))
    return len(counts) > MANY_VALUES and counts.total() < MIN_REPEATS * len(counts)


# ---- whether numbers have kinds


def have_units(X, features, standardize, sample_weight):
    """Return whether the columns of numbers X (N, C) have units of their own.

    Some have few values beside finer numbers; or they are standardized, or were before, or are
    not comparable, and are no principal components or probabilities.
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
    """Return whether some columns of X (N, C) have few values, and others many."""
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    has_few = False
    has_fine = False
    for column in X.T:
        known = ~np.isnan(column)
        if len(np.unique(column[known][:FIRST])) > FINE:
            has_fine = True
            continue
        levels, shares = share_levels(column[known], weights[known])
        most = MAX_SHARE if len(levels) > 2 else MAX_BINARY_SHARE
        if 1 < len(levels) <= MAX_LEVELS and shares.max() <= most:
            has_few = True
    return has_few and has_fine


# ---- one-hot columns: what a pipeline has made of categories


def find_blocks(X, is_table=False, has_categories=False):
    """Return the blocks among the columns of X (N, C), lists of columns, ascending.

    In a block, one of several indicators in a row is high in every sample. If X is known to be a
    table, there may be none, as without the first level of a category. Indicators alone, such as
    votes, are no blocks, unless there are categories beside X.
    """
    low, high = find_ranges(X)
    columns = _find_indicators(X, low, high)
    is_alone = len(columns) == np.count_nonzero(low < high) and not has_categories
    if is_alone or len(columns) < 2 or X.shape[0] * len(columns) > MAX_VALUES:
        return []
    values = X[:, columns]
    if sparse.issparse(values):
        values = values.toarray()
    is_high = values > values.min(0)
    groups = _find_complete(is_high)
    if is_table or groups:
        groups += _find_incomplete(is_high, set(chain(*groups)))
    return sorted(columns[group].tolist() for group in groups)


def _find_indicators(X, low, high):
    """Return the columns (T,) of X (N, C) that have two values and no gaps."""
    if sparse.issparse(X):
        n_other = np.bincount(X.indices, X.data != high[X.indices], X.shape[1])
        return np.flatnonzero((low < high) & (low == 0) & (n_other == 0))

    columns = np.flatnonzero(low < high)
    for rows in (X[:FIRST], X):
        values = rows[:, columns]
        has_two = (values == low[columns]) | (values == high[columns])
        columns = columns[has_two.all(0)]
    return columns


def _find_complete(is_high):
    """Return runs of indicators (N, T), of which one is high in each sample."""
    groups = []
    first = 0
    while first < is_high.shape[1]:
        last = _find_end(is_high[:, first:])
        if last:
            groups.append(list(range(first, first + last)))
        first += max(last, 1)
    return groups


def _find_end(is_high):
    """Return the length of the block that indicators (N, T) begin with, 0 if there is none."""
    covered = np.zeros(len(is_high), dtype=bool)
    for place, column in enumerate(is_high.T):
        if (covered & column).any():
            break
        covered |= column
        if covered.all():
            return place + 1
    return 0


def _find_incomplete(is_high, grouped):
    """Return groups of indicators (N, T) that are high together less often than by chance: never.

    As without the first level of a category. Indicators that are ``grouped`` are left out.
    """
    patterns = is_high.astype(np.float32)
    excludes = patterns.T @ patterns == 0
    # Their products are the numbers of samples that chance would put into two.
    shares = is_high.sum(0) / np.sqrt(len(is_high))
    rest = [column for column in range(len(shares)) if column not in grouped]
    groups = []
    for column in sorted(rest, key=lambda column: -shares[column]):
        for group in groups:
            expected = shares[column] * shares[group].sum()
            if excludes[column, group].all() and expected >= MIN_EXPECTED:
                group.append(column)
                break
        else:
            groups.append([column])
    return [sorted(group) for group in groups if len(group) > 1]


# ---- in words


def describe_kinds(names, kinds, blocks):
    """Return a line about the kinds of columns; ``blocks`` are one-hot columns."""
    listed = dict(enumerate(map(str, names)))
    for block in blocks:
        listed[block[0]] = f"{names[block[0]]} to {names[block[-1]]}"
        for i in block[1:]:
            del listed[i]

    columns = {}
    for i, name in listed.items():
        columns.setdefault(kinds[i], []).append(name)
    parts = []
    for kind, found in columns.items():
        more = ", ..." if len(found) > MAX_LISTED else ""
        own = f"{', '.join(found[:MAX_LISTED])}{more}"
        parts.append(f"{len(found)} {_name_kind(kind, len(found))} ({own})")
    return f"Columns: {'; '.join(parts)}"


def _name_kind(kind, n_columns):
    """Return the name of a kind of some columns."""
    if kind == "out":
        return "left out"
    if n_columns == 1 or kind in ("skewed", "ordinal", "binary", "constant"):
        return kind
    return "categories" if kind == "category" else f"{kind}s"
