"""Distinct samples, and the nearest of those that a search has found.

N samples, D features.
"""

from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches
from sklearn.utils.sparsefuncs import min_max_axis

#: Smallest denominator.
TINY = np.finfo(float).tiny


def sort_nearest(distances, neighbors, k):
    """Return the k nearest of the neighbors found, (M, k). Ties go to the lower index."""
    order = np.lexsort((neighbors, distances))[:, :k]
    nearest = np.take_along_axis(distances, order, 1)
    return nearest, np.take_along_axis(neighbors, order, 1)


def split_rows(X):
    """Return slices of rows with at most 32 MB in float64 each, unless a row has more."""
    n_rows, n_columns = X.shape
    return gen_batches(n_rows, max(1, 2**22 // max(1, n_columns)))


def find_ranges(X):
    """Return the minimum and the maximum of each feature but nan, float64 (D,)."""
    if sparse.issparse(X):
        least, largest = min_max_axis(X, 0)
    else:
        least = np.fmin.reduce(X)
        largest = np.fmax.reduce(X)
    return least.astype(float), largest.astype(float)


def order_samples(X):
    """Return an order (N,) of samples that their values decide: by a projection of X (N, D).

    Weighted samples and repeated ones, in any order, then come in the same order.
    """
    low, high = find_ranges(X)
    direction = np.random.RandomState(0).standard_normal(X.shape[1])
    direction[high <= low] = 0
    direction /= np.maximum(high - low, TINY)
    return np.argsort(X @ direction, kind="stable")


def hash_samples(X):
    """Return 64 bits of the BLAKE2 hash of each sample, as integers (N,), in any precision."""
    if sparse.issparse(X):
        rows = _list_stored(X.sorted_indices())
    else:
        # Adding zero makes negative zeros positive.
        parts = (np.add(X[part], 0.0, dtype=float, order="C") for part in split_rows(X))
        rows = chain.from_iterable(parts)
    hashes = [blake2b(row, digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(hashes), dtype="<i8").astype(int)


def _list_stored(X):
    """Yield the bytes of the columns and values stored for each sample."""
    columns = X.indices.astype(int)
    values = X.data.astype(float) + 0.0
    for part in map(slice, X.indptr[:-1], X.indptr[1:]):
        yield columns[part].tobytes() + values[part].tobytes()


def count_distinct(X):
    """Return the number of distinct samples."""
    return len(np.unique(hash_samples(X)))


class Distinct(NamedTuple):
    """Distinct samples of positive weight."""

    #: First position (M,) of each in X.
    kept: np.ndarray
    #: Position (N,) of each sample of X in ``kept``, or -1.
    inverse: np.ndarray
    #: Sums of the weights (M,) of equal samples.
    weights: np.ndarray

    def take(self, chosen):
        """Return some of the samples, in the order of ``chosen``."""
        place = np.full(len(self.kept) + 1, -1)
        place[chosen] = np.arange(len(chosen))
        return Distinct(self.kept[chosen], place[self.inverse], self.weights[chosen])


def merge_equal(keys, weights):
    """Return the :class:`Distinct` samples, ordered by their ``keys``: hashes (N,)."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    total = np.bincount(inverse, weights)
    return Distinct(first, inverse, total).take(np.flatnonzero(total))
