"""EM over a Dask array: each worker sums the statistics of its own blocks."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_n_features
from torch import Tensor

from .._checks import check_enough
from ..engine.data import to_tensor
from ..engine.runtime import limited_threads
from .em import Batch, Sums, WeightedRows, add


def is_dask(X: Any) -> bool:
    """Return whether X is a Dask collection, without importing Dask."""
    return type(X).__module__.split(".")[0].startswith("dask")


def check(estimator: Any, X: Any, reset: bool) -> tuple[Any, np.ndarray]:
    """Check a Dask array; return it in blocks with all features, and its largest magnitude."""
    if not (
        hasattr(X, "to_delayed") and getattr(X, "ndim", 0) == 2 and hasattr(X, "chunks")
    ):
        raise ValueError(
            f"Expected a Dask array of two dimensions, got {type(X).__name__}. Convert a Dask "
            "DataFrame by X.to_dask_array(lengths=True)."
        )
    if np.isnan(X.shape[0]):
        X = X.compute_chunk_sizes()
    _check_n_features(estimator, X, reset=reset)
    check_enough(X.shape[0], 1)
    X = X.rechunk((tuple(n for n in X.chunks[0] if n), -1))
    largest = np.atleast_1d(np.fmax(abs(X), 0).max().compute())
    assert_all_finite(largest, estimator_name=type(estimator).__name__, input_name="X")
    return X, largest


class DaskRows(WeightedRows):
    """Samples of a Dask array (N, D) with blocks of all features, and their weights (N,)."""

    def __init__(self, X: Any, weight: np.ndarray, batch_size: int) -> None:
        super().__init__(X, weight, batch_size)
        self.starts = np.cumsum([0, *X.chunks[0][:-1]])
        self.blocks = X.to_delayed().ravel()

    def map(self, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""
        from dask import compute, delayed

        task = delayed(_map_block, pure=False)
        return np.concatenate(
            compute(*(task(function, b, self.batch_size) for b in self.blocks))
        )

    def sums(self, make: Callable[[], Callable[[Batch], Sums]]) -> Sums:
        """Sum a function over the batches, as a binary tree over the blocks."""
        from dask import compute, delayed

        weights = np.split(self.weight, self.starts[1:])
        parts = [
            delayed(_sum_block, pure=False)(
                make, block, weight, int(start), self.batch_size
            )
            for block, weight, start in zip(
                self.blocks, weights, self.starts, strict=True
            )
        ]
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [
                delayed(add, pure=False)(*p) if len(p) == 2 else p[0] for p in pairs
            ]
        return compute(parts[0])[0]

    def take(self, index: np.ndarray) -> Tensor:
        """Return the samples at the given positions."""
        order = np.argsort(index, kind="stable")
        rows = np.empty((len(index), self.X.shape[1]))
        rows[order] = self.X[index[order]].compute()
        return torch.from_numpy(rows)


def _map_block(
    function: Callable[[Tensor], Tensor], block: Any, size: int
) -> np.ndarray:
    rows = to_tensor(np.asarray(block), double=True)
    with limited_threads():
        return np.concatenate([function(x).numpy() for x in rows.split(size)])


def _sum_block(
    make: Callable[[], Callable[[Batch], Sums]],
    block: Any,
    weight: np.ndarray,
    first: int,
    size: int,
) -> Sums:
    rows, weights = (
        to_tensor(np.asarray(part), double=True) for part in (block, weight)
    )
    starts = range(first, first + len(rows), size)
    batches = (
        (slice(start, start + len(x)), x, w)
        for start, x, w in zip(
            starts, rows.split(size), weights.split(size), strict=True
        )
    )
    with limited_threads():
        return functools.reduce(add, map(make(), batches))
