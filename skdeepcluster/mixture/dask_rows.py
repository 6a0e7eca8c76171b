"""EM over a Dask array: each worker sums the statistics of its own blocks."""

from typing import Any

import numpy as np
import torch
from sklearn.utils import assert_all_finite
from torch import Tensor

from ..functional.gaussian import Function, Sums, add
from ..input.checks import check_enough
from ..input.dask import check_blocks
from ..nn.runtime import limited_threads
from .em import Summary, WeightedBatch, WeightedRows


def check(preparation: Any, X: Any, reset: bool) -> tuple[Any, np.ndarray]:
    """Check a Dask array; return it in blocks with all features, and its largest magnitude."""
    X = check_blocks(X)
    preparation.validate(X, reset, skip_check_array=True)
    check_enough(X.shape[0], 1)

    largest = np.atleast_1d(np.fmax(abs(X), 0).max().compute())
    assert_all_finite(largest, estimator_name=preparation.name, input_name="X")
    return X, largest


class DaskRows(WeightedRows):
    """Samples of a Dask array (N, D) with blocks of all features, and their weights (N,)."""

    def __init__(self, X: Any, weight: np.ndarray, batch_size: int) -> None:
        super().__init__(X, weight, batch_size)
        self.starts = np.cumsum([0, *X.chunks[0][:-1]])
        self.blocks = X.to_delayed().ravel()

    def map(self, function: Function) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""
        from dask import compute, delayed

        map_block = delayed(_map_block, pure=False)
        size = self.batch_size
        parts = [map_block(function, size, block) for block in self.blocks]
        return np.concatenate(compute(*parts))

    def sums(self, summarize: Summary) -> Sums:
        """Sum a function over the batches, as a binary tree over the blocks."""
        from dask import delayed

        sum_block = delayed(_sum_block, pure=False)
        add_blocks = delayed(add, pure=False)
        size = self.batch_size
        weights = np.split(self.weight, self.starts[1:])
        starts = self.starts.tolist()
        each = zip(self.blocks, weights, starts, strict=True)
        parts = [sum_block(summarize, size, *arguments) for arguments in each]

        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [add_blocks(*pair) for pair in pairs]
        return parts[0].compute()

    def take(self, index: np.ndarray) -> Tensor:
        """Return the samples at the given positions."""
        order = np.argsort(index, kind="stable")
        rows = np.empty((len(index), self.X.shape[1]))
        rows[order] = self.X[index[order]].compute()
        return torch.from_numpy(rows)


def _map_block(
    function: Function,
    batch_size: int,
    block: Any,
) -> np.ndarray:
    weight = np.ones(len(block))
    rows = WeightedRows(np.asarray(block), weight, batch_size)
    with limited_threads():
        return rows.map(function)


def _sum_block(
    summarize: Summary,
    batch_size: int,
    block: Any,
    weight: np.ndarray,
    start: int,
) -> Sums:
    rows = WeightedRows(np.asarray(block), weight, batch_size)

    def summarize_within(batch: WeightedBatch) -> Sums:
        return summarize(batch._replace(start=start + batch.start))

    with limited_threads():
        return rows.sums(summarize_within)
