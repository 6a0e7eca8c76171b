"""One-hot columns: the blocks of numbers that a pipeline has made of categories.

N samples, C columns of numbers, T of them indicators, which have two values.
"""

from itertools import chain

import numpy as np
from scipy import sparse

from .distinct import find_ranges
from .numbers import FIRST

#: Maximum number of values of all indicators.
MAX_VALUES = 2**28
#: Minimum number of samples that chance would put into two indicators at once, if indicators that
#: are never high together encode a category without one of its levels.
MIN_EXPECTED = 10.0


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
