"""Distinct samples, and orders that values alone decide."""

import numpy as np
from scipy import sparse

from skdeepcluster.input.distinct import hash_samples, merge_equal, order_rows


def test_hashes_differ_by_values_not_by_how_they_are_stored():
    X = np.random.default_rng(0).integers(-2, 3, (200, 4)).astype(np.float64)
    hashes, stored = hash_samples(X), sparse.csr_array(X)
    same = (X[:, None] == X).all(2)
    np.testing.assert_array_equal(hashes[:, None] == hashes, same)
    np.testing.assert_array_equal(hash_samples(-(-X).astype(np.float32)), hashes)
    full = stored.copy()
    full.data[::2] = 0
    lean = full.copy()
    lean.eliminate_zeros()
    np.testing.assert_array_equal(hash_samples(full), hash_samples(lean))
    assert full.nnz == stored.nnz, "the argument is not changed"
    given = hash_samples(full, stored_zeros=True)
    differs = np.diff(full.indptr) != np.diff(lean.indptr)
    np.testing.assert_array_equal(given != hash_samples(lean, stored_zeros=True), differs)


def test_distinct_samples_have_the_weights_of_their_copies():
    hashes, weights = np.array([7, 3, 7, 5, 3, 9]), np.array([1.0, 2, 4, 0, 8, 16])
    kept, inverse, total = merge_equal(hashes, weights)
    assert kept.tolist() == [1, 0, 5]
    assert inverse.tolist() == [1, 0, 1, -1, 0, 2]
    assert total.tolist() == [10, 5, 16]


def test_order_of_samples_depends_on_values_alone():
    X, order = (
        np.random.default_rng(0).normal(size=(50, 4)),
        np.random.default_rng(1).permutation(50),
    )
    X[:, 2] = 7.0
    expected = X[order_rows(X)]
    for same in (X[order], X * 1.0 + 0):
        np.testing.assert_array_equal(same[order_rows(same)], expected)
    scaled = 1024 * X
    np.testing.assert_array_equal(scaled[order_rows(scaled)], 1024 * expected)
    assert len(set(order_rows(X))) == 50
