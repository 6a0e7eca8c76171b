"""From stored rows to float tensors and back: the only module that knows both.

X is a numpy array, a read-only memory map or a CSR matrix. It is never copied, cast or centred as
a whole: rows are taken, made dense, cast and moved a batch at a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.utils.data import Dataset

from ..modules.game import Batch

#: Rows per batch when answers are computed. Fixed, so that an answer never depends on its batch.
BLOCK = 256


def to_tensor(rows: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Turn a slice of X, dense or CSR, into a dense tensor of its own memory.

    Without ``dtype``, float64 and wide integers become float64, so that data far from the origin
    loses no digits before it is centred; everything else becomes float32.
    """
    dense = rows.toarray() if sparse.issparse(rows) else rows
    kind = np.result_type(dense.dtype, np.float32) if dtype is None else _NUMPY[dtype]
    # torch cannot wrap read-only memory or some dtypes; the cast makes the one copy needed.
    return torch.from_numpy(np.array(dense, dtype=kind, order="C"))


_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


class Rows(Dataset):
    """X as a torch data set that hands out whole batches.

    Parameters
    ----------
    X : array, memory map or CSR matrix of shape (N, D)
    **columns : ndarray of length N, or None
        Further fields of :class:`~skdeepcluster.modules.game.Batch` by name: "anchor", "style".
    """

    def __init__(self, X: Any, **columns: np.ndarray | None) -> None:
        self.X = X
        self.columns = {name: column for name, column in columns.items() if column is not None}

    def __len__(self) -> int:
        return self.X.shape[0]

    def take(self, index: Any) -> Batch:
        """Return the batch of rows ``index`` (a slice or integers)."""
        if isinstance(index, Tensor):
            index = index.numpy()
        columns = {
            name: torch.as_tensor(np.array(column[index])) for name, column in self.columns.items()
        }
        return Batch(to_tensor(self.X[index]), **columns)


class LabelledRows(Rows):
    """Rows some of which have labels: every batch comes with labelled rows beside it.

    Parameters
    ----------
    X : array, memory map or CSR matrix of shape (N, D)
    targets : ndarray of shape (N,)
        Classes from 0 on; -1 for rows without a label.
    generator : torch.Generator
        Decides which labelled rows come, at most as many as the batch has rows.
    **columns : ndarray of length N, or None
        As for :class:`Rows`.
    """

    def __init__(
        self,
        X: Any,
        targets: np.ndarray,
        generator: torch.Generator,
        **columns: np.ndarray | None,
    ) -> None:
        super().__init__(X, **columns)
        self.targets = targets
        self.known = np.flatnonzero(targets >= 0)
        self.generator = generator

    def take(self, index: Any) -> Batch:
        """Return the batch of rows ``index`` with labelled rows and their classes."""
        batch = super().take(index)
        order = torch.randperm(len(self.known), generator=self.generator)[: len(batch.x)]
        chosen = np.sort(self.known[order.numpy()])
        labelled, target = to_tensor(self.X[chosen]), torch.as_tensor(self.targets[chosen])
        return batch._replace(labelled=labelled, target=target)


class ShuffledBatches:
    """Batches of :class:`Rows` in a fresh order every epoch, sliced rather than collated.

    Parameters
    ----------
    dataset : Rows
    batch_size : int
        The last batch may be smaller, but never a single row while there are others: batch
        normalisation needs two.
    generator : torch.Generator
        Decides the order; no other stream is touched.
    """

    def __init__(self, dataset: Rows, batch_size: int, generator: torch.Generator) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        n = len(self.dataset)
        return max(1, -(-n // self.batch_size) - (n % self.batch_size == 1 and n > 1))

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.dataset), generator=self.generator)
        n_batches = len(self)
        for i in range(n_batches):
            stop = (i + 1) * self.batch_size if i + 1 < n_batches else len(order)
            yield self.dataset.take(order[i * self.batch_size : stop])


def batches(
    X: Any, batch_size: int, dtype: torch.dtype | None = torch.float64
) -> Iterator[Tensor]:
    """Yield the rows of X in order, as tensors of at most ``batch_size`` rows."""
    for start in range(0, X.shape[0], batch_size):
        yield to_tensor(X[start : start + batch_size], dtype)


def map_rows(
    function: Callable[[Tensor], Tensor], X: Any, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Apply a row-wise function to every row of X; shape (N, ...), in the function's own dtype.

    Every call sees exactly ``BLOCK`` rows (the last block is filled up with repeats), so that
    matrix products round alike and a row's answer does not depend on the rows beside it.
    """
    parts = []
    with torch.inference_mode():
        for x in batches(X, BLOCK, None):
            n_rows = x.shape[0]
            if n_rows < BLOCK:
                x = torch.cat([x, x[-1:].expand(BLOCK - n_rows, -1)])
            parts.append(function(x.to(device))[:n_rows].cpu().numpy())
    return np.concatenate(parts)
