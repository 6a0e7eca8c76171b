"""EM over the blocks of a Dask array: each worker sums the statistics of the blocks it holds."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.data import to_tensor
from ..engine.runtime import limited_threads
from .em import Batch, Sums, WeightedRows, add


def is_dask(X: Any) -> bool:
    """Return whether X is a Dask collection, without importing Dask."""
    return type(X).__module__.split(".")[0].startswith("dask")


class DaskRows(WeightedRows):
    """Rows of a Dask array (N, D), in blocks of whole rows, and their weights (N,)."""

    def __init__(self, X: Any, weight: np.ndarray, batch_size: int) -> None:
        super().__init__(X, weight, batch_size)
        ends = np.cumsum(X.chunks[0])
        self.places = [slice(end - n, end) for end, n in zip(ends, X.chunks[0], strict=True)]
        self.blocks = X.to_delayed().ravel()

    def map(self, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Apply a row-wise function to all rows; return the results in the order of the rows."""
        parts = self._compute(lambda block, _: (_map_block, function, block, self.batch_size))
        return np.concatenate(parts)

    def sums(self, make: Callable[[], Callable[[Batch], Sums]]) -> Sums:
        """Add up a function's results over the batches."""
        from dask import compute, delayed

        parts = [
            delayed(_sum_block, pure=False)(
                make, block, self.weight[place], int(place.start), self.batch_size
            )
            for block, place in self._nonempty_blocks()
        ]
        while len(parts) > 1:  # Added as a binary tree, so that no worker collects all sums.
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [delayed(add, pure=False)(*p) if len(p) == 2 else p[0] for p in pairs]
        return compute(parts[0])[0]

    def check(self, function: Callable[[Any], Any]) -> None:
        """Apply a function that may raise to every block."""
        self._compute(lambda block, _: (_check_block, function, block))

    def take(self, index: np.ndarray) -> Tensor:
        """Return chosen rows."""
        order = np.argsort(index, kind="stable")
        rows = np.empty((len(index), self.X.shape[1]))
        rows[order] = self.X[index[order]].compute()
        return torch.from_numpy(rows)

    def _nonempty_blocks(self) -> list[tuple[Any, slice]]:
        pairs = zip(self.blocks, self.places, strict=True)
        return [(block, place) for block, place in pairs if place.stop > place.start]

    def _compute(self, task: Callable[[Any, slice], tuple[Any, ...]]) -> Any:
        """Run a task, (function, *arguments), for each block; return the results in order."""
        from dask import compute, delayed

        tasks = (task(*pair) for pair in self._nonempty_blocks())
        return compute(*(delayed(function, pure=False)(*args) for function, *args in tasks))


def _to_tensor(block: Any) -> Tensor:
    return to_tensor(np.asarray(block), double=True)


def _map_block(function: Callable[[Tensor], Tensor], block: Any, size: int) -> np.ndarray:
    with limited_threads():
        return np.concatenate([function(x).numpy() for x in _to_tensor(block).split(size)])


def _sum_block(
    make: Callable[[], Callable[[Batch], Sums]],
    block: Any,
    weight: np.ndarray,
    first: int,
    size: int,
) -> Sums:
    rows, weights = _to_tensor(block), torch.as_tensor(weight, dtype=torch.float64, device="cpu")
    starts = range(first, first + len(rows), size)
    batches = (
        (slice(start, start + len(x)), x, w)
        for start, x, w in zip(starts, rows.split(size), weights.split(size), strict=True)
    )
    with limited_threads():
        return functools.reduce(add, map(make(), batches))


def _check_block(function: Callable[[Any], Any], block: Any) -> None:
    function(np.asarray(block))
