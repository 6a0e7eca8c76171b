"""Distinct samples, and orders of samples and features that their values alone decide.

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


def order_rows(X):
    """Return the order (N,) of samples by projections of scaled features on a direction."""
    least, largest = find_ranges(X)
    direction = np.random.RandomState(0).standard_normal(X.shape[1])
    ranges = np.maximum(largest - least, 1e-300)
    direction *= largest > least
    return np.argsort(project_rows(X, direction / ranges), kind="stable")


def project_rows(X, direction):
    """Return the projections (N,) of samples on a direction (D,), equal for equal samples."""
    if sparse.issparse(X):
        return X @ direction
    # Summed row by row: a matrix product may round equal rows differently at other positions.
    products = np.empty(len(X))
    for part in split_rows(X):
        products[part] = (np.asarray(X[part], float, "C") * direction).sum(1)
    return products


def hash_samples(X, stored_zeros=False):
    """Return 64 bits of the BLAKE2 hash of each sample, as integers (N,), in any precision.

    With ``stored_zeros``, zeros stored in a sparse matrix differ from entries not stored.
    """
    if sparse.issparse(X):
        rows = _list_stored(X, stored_zeros)
    else:
        # Adding zero makes negative zeros positive.
        parts = (np.add(X[part], 0.0, dtype=float, order="C") for part in split_rows(X))
        rows = chain.from_iterable(parts)
    hashes = [blake2b(row, digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(hashes), dtype="<i8").astype(int)


def _list_stored(X, stored_zeros):
    """Yield the bytes of the columns and values stored for each sample."""
    X = X.sorted_indices()
    if not stored_zeros:
        X.eliminate_zeros()
    columns = X.indices.astype(int)
    values = X.data.astype(float) + 0.0
    for part in map(slice, X.indptr[:-1], X.indptr[1:]):
        yield columns[part].tobytes() + values[part].tobytes()


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
        kept = self.kept[chosen]
        return Distinct(kept, place[self.inverse], self.weights[chosen])


def merge_equal(keys, weights):
    """Return the :class:`Distinct` samples, ordered by their ``keys``: hashes (N,)."""
    _, first, inverse = np.unique(
        keys,
        return_index=True,
        return_inverse=True,
    )
    # Added by weight: sums then have the same rounding in every order of the samples.
    order = np.argsort(weights, kind="stable")
    total = np.bincount(inverse[order], weights[order])
    return Distinct(first, inverse, total).take(np.flatnonzero(total))


def find_apart(points):
    """Return the first positions, ascending, of points (M, D) whose distances exceed rounding."""
    gaps = points - points.mean(0)
    unit = 10 * np.sqrt(np.finfo(gaps.dtype).eps) * np.abs(gaps).mean()
    places = np.round(gaps / max(unit, TINY))
    direction = np.random.RandomState(0).standard_normal(points.shape[1])
    _, first = np.unique(project_rows(places, direction), return_index=True)
    return np.sort(first)


def order_columns(X):
    """Return positions of the features that vary, in an order that no unit or shift changes."""
    least, largest = find_ranges(X)
    ranges = largest - least
    _, exponent = np.frexp(max(-least.min(), largest.max()))
    # Single precision hides how means are rounded in another order of the samples.
    means = np.ravel(X.mean(0, dtype=float)) - least
    keys = [
        np.ldexp(values, -exponent).astype(np.float32) for values in (ranges, means)
    ]
    if len(np.unique(keys, axis=1).T) < len(means) and not sparse.issparse(X):
        # Mean products with the squared lengths of the samples tell such features apart.
        scaled = (X - least) / np.maximum(ranges, TINY)
        lengths = np.square(scaled).sum(1)
        keys.insert(0, (lengths @ scaled / len(X)).astype(np.float32))
    order = np.lexsort(keys)
    varying = order[ranges[order] > 0]
    return varying if len(varying) else order[:1]
