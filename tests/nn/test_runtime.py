"""Samples as tensors: all storage formats give the same numbers."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skdeepcluster.nn import runtime
from skdeepcluster.training import loop

STORAGE = [np.asarray, sparse.csr_array]


@pytest.mark.parametrize("stored", STORAGE)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_all_storage_gives_the_same_tensors(stored, dtype):
    X = (np.random.default_rng(0).random((20, 5)) * 9).astype(dtype)
    rows = loop.Rows(stored(X))
    index = torch.tensor([3, 0, 19])
    x = rows.take(index).x
    np.testing.assert_array_equal(x, X[index])
    assert x.dtype == (torch.float64 if dtype in (np.float64, np.int64) else torch.float32)
    np.testing.assert_array_equal(torch.cat(list(runtime.batches(rows.X, 7))), X)


@pytest.mark.parametrize("n_rows", [1, 2, 16, 17, 31, 33])
def test_an_epoch_has_every_sample_once_and_no_batch_of_one(n_rows):
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    loader = loop.ShuffledBatches(loop.Rows(X), 16, torch.Generator().manual_seed(0))
    batches = [batch.x[:, 0] for batch in loader]
    assert len(batches) == len(loader)
    assert sorted(torch.cat(batches).tolist()) == X[:, 0].tolist()
    assert n_rows == 1 or min(map(len, batches)) > 1


@pytest.mark.parametrize("n_rows", [1, 255, 256, 257])
def test_a_result_is_the_same_beside_any_samples(n_rows):
    layers = [torch.nn.Linear(30, 200), torch.nn.ReLU(), torch.nn.Linear(200, 9)]
    network = torch.nn.Sequential(*layers)
    stream = np.random.default_rng(0)
    X = stream.normal(size=(512, 30)).astype(np.float32)
    order = stream.permutation(len(X))[:n_rows]
    some = runtime.map_rows(network, X[order])
    np.testing.assert_array_equal(some, runtime.map_rows(network, X)[order])
