"""One-hot columns: the blocks of numbers that a pipeline has made of categories.

N samples, C columns of numbers, T of them indicators, which have two values.
"""

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

    In a block, one of the indicators is high in every sample. If X is known to be a table, there
    may be none, as without the first level of a category. Indicators alone, such as votes, are no
    blocks, unless there are categories beside X.
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
    counts = is_high.sum(0)
    patterns = _list_patterns(is_high)
    together = patterns.T.astype(np.float32) @ patterns.astype(np.float32)
    excludes = together == 0

    groups = _find_complete(patterns, excludes, counts, len(is_high))
    if is_table or groups:
        grouped = {column for group in groups for column in group}
        rest = [column for column in range(len(columns)) if column not in grouped]
        groups += _find_incomplete(rest, excludes, counts / np.sqrt(len(is_high)))
    return sorted(sorted(columns[group].tolist()) for group in groups)


def _list_patterns(is_high):
    """Return the distinct rows of indicators (N, T)."""
    packed = np.unique(np.packbits(is_high, axis=1), axis=0)
    return np.unpackbits(packed, axis=1, count=is_high.shape[1]).astype(bool)


def _find_complete(patterns, excludes, counts, n_samples):
    """Return groups of indicators, of which one is high in each of the patterns (P, T)."""
    may_begin = excludes @ counts + counts >= n_samples
    is_free = np.ones(len(counts), dtype=bool)
    groups = []
    for first in np.argsort(-counts, kind="stable"):
        if not (is_free[first] and may_begin[first]):
            continue
        group = _complete(first, patterns, excludes & is_free, counts)
        if group is not None:
            is_free[group] = False
            groups.append(group)
    return groups


def _complete(first, patterns, excludes, counts):
    """Return the group that begins with an indicator, or None if there is none.

    If several indicators may be next, it is the most frequent one.
    """
    group = [first]
    candidates = excludes[first]
    patterns = patterns[~patterns[:, first]]
    while len(patterns):
        options = patterns & candidates
        n_options = options.sum(1)
        if not n_options.all():
            return None
        chosen = np.flatnonzero(options[n_options == 1].any(0))
        if not len(chosen):
            chosen = np.where(options[n_options.argmin()], counts, -1).argmax()[None]
        apart = excludes[np.ix_(chosen, chosen)]
        if apart.sum() < len(chosen) * (len(chosen) - 1):
            return None
        group += chosen.tolist()
        candidates = candidates & excludes[chosen].all(0)
        patterns = patterns[~patterns[:, chosen].any(1)]
    return group


def _find_incomplete(rest, excludes, shares):
    """Return groups of indicators that are high together less often than by chance: never.

    The products of ``shares`` (T,) are the numbers of samples that chance would put into two.
    """
    groups = []
    for column in sorted(rest, key=lambda column: -shares[column]):
        for group in groups:
            expected = shares[column] * shares[group].sum()
            if excludes[column, group].all() and expected >= MIN_EXPECTED:
                group.append(column)
                break
        else:
            groups.append([column])
    return [group for group in groups if len(group) > 1]
