"""From arrays to tensors: all storage formats give the same numbers, X stays where it is."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skdeepcluster.training.runtime import (
    BLOCK,
    LabeledRows,
    Rows,
    ShuffledBatches,
    batches,
    generator,
    map_rows,
)


@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_all_storage_gives_the_same_rows(stored, dtype):
    X = (np.random.default_rng(0).random((20, 5)) * 9).astype(dtype)
    rows = Rows(stored(X))
    index = torch.tensor([3, 0, 19])
    taken = rows.take(index).x
    np.testing.assert_array_equal(taken, X[index])
    assert taken.dtype == (torch.float64 if dtype in (np.float64, np.int64) else torch.float32)
    np.testing.assert_array_equal(torch.cat(list(batches(rows.X, 7))), X)


@pytest.mark.parametrize("n_rows", [1, 2, 16, 17, 31, 33])
def test_an_epoch_sees_every_row_once_and_never_a_single_one(n_rows):
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    loader = ShuffledBatches(Rows(X), 16, generator(0))
    parts = [batch.x[:, 0] for batch in loader]
    assert len(parts) == len(loader)
    assert sorted(torch.cat(parts).tolist()) == X[:, 0].tolist()
    assert n_rows == 1 or min(map(len, parts)) > 1


@pytest.mark.parametrize("n_rows", [1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_map_rows_is_the_same_beside_any_rows(n_rows):
    network = torch.nn.Sequential(
        torch.nn.Linear(30, 200), torch.nn.ReLU(), torch.nn.Linear(200, 9)
    )
    X = np.random.default_rng(0).normal(size=(2 * BLOCK, 30)).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(X))[:n_rows]
    np.testing.assert_array_equal(map_rows(network, X)[order], map_rows(network, X[order]))


@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_array])
def test_every_batch_has_labeled_samples_in_turn(stored):
    X, targets = np.arange(40.0)[:, None], np.full(40, -1)
    targets[[3, 8, 21]] = 2, 0, 1
    rows = LabeledRows(stored(X), targets, generator(0), anchor=X[:, 0])
    seen = set()
    for index in torch.arange(40).split(2):
        batch = rows.take(index)
        labeled = batch.extra.x[:, 0]
        np.testing.assert_array_equal(batch.x[:, 0], index)
        np.testing.assert_array_equal(batch.anchor, index)
        assert len(labeled) == 2
        np.testing.assert_array_equal(targets[labeled.int()], batch.extra.columns["target"])
        seen |= set(labeled.tolist())
    assert seen == {3, 8, 21}
    assert len(rows.take(torch.arange(10)).extra.x) == 3
