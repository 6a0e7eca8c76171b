"""Conversion of samples to float tensors and back.

X is a numpy array, a memory map or a CSR matrix. Samples are converted one batch at a time; X as a
whole is never copied.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.utils.data import Dataset

from ..modules.model import Batch

#: Number of samples per batch in prediction; fixed, so that predictions do not depend on it.
BLOCK = 256


def to_tensor(rows: Any, double: bool = False) -> Tensor:
    """Convert a slice of X, dense or CSR, to a dense tensor with memory of its own.

    Types that float32 cannot represent, and all types with ``double=True``, become float64.
    """
    dense = rows.toarray() if sparse.issparse(rows) else rows
    kind = (
        np.float32
        if np.can_cast(dense.dtype, np.float32) and not double
        else np.float64
    )
    # torch cannot wrap read-only memory or some dtypes; the cast makes the one copy needed.
    return torch.from_numpy(np.array(dense, dtype=kind, order="C"))


class Rows(Dataset[Any]):
    """X (N, D) as a torch data set that returns whole batches.

    ``columns`` are arrays of length N, or None: the "anchor" of a
    :class:`~skdeepcluster.modules.model.Batch`, and its other columns.
    """

    #: The generators that ``take`` draws from.
    generators: Sequence[torch.Generator] = ()

    def __init__(self, X: Any, **columns: np.ndarray | None) -> None:
        self.X = X
        self.columns = {
            name: column for name, column in columns.items() if column is not None
        }

    def __len__(self) -> int:
        return self.X.shape[0]

    def take(self, index: Tensor) -> Batch:
        """Return the batch of the samples with these indices."""
        chosen = index.numpy()
        columns = {
            name: torch.from_numpy(column[chosen])
            for name, column in self.columns.items()
        }
        anchor = columns.pop("anchor", None)
        return Batch(to_tensor(self.X[chosen]), anchor, columns)


class LabeledRows(Rows):
    """Samples with classes ``targets`` (N,), -1 where unknown.

    Every batch also has labeled samples that ``generator`` draws, at most the batch's size.
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
        self.generators = [generator]

    def take(self, index: Tensor) -> Batch:
        """Return the batch with these indices, with labeled samples and their classes."""
        batch = super().take(index)
        n_known = len(self.known)
        order = torch.randperm(n_known, generator=self.generator, device="cpu").numpy()
        chosen = np.sort(self.known[order[: len(batch.x)]])
        target = torch.from_numpy(self.targets[chosen])
        extra = Batch(to_tensor(self.X[chosen]), columns={"target": target})
        return batch._replace(extra=extra)


def count_batches(n_rows: int, batch_size: int) -> int:
    """Return the number of :class:`ShuffledBatches` of an epoch."""
    n_batches = -(-n_rows // batch_size)
    is_single = n_rows % batch_size == 1 and n_rows > 1
    return max(1, n_batches - is_single)


class ShuffledBatches:
    """Batches of :class:`Rows` in a new random order every epoch.

    A single last sample joins the batch before it, because batch normalization needs two.
    """

    def __init__(
        self, dataset: Rows, batch_size: int, generator: torch.Generator
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        return count_batches(len(self.dataset), self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n_rows = len(self.dataset)
        order = torch.randperm(n_rows, generator=self.generator, device="cpu")
        n_batches = len(self)
        for i in range(n_batches):
            is_last = i + 1 == n_batches
            stop = n_rows if is_last else (i + 1) * self.batch_size
            yield self.dataset.take(order[i * self.batch_size : stop])


def batches(X: Any, batch_size: int) -> Iterator[Tensor]:
    """Yield the samples of X in order, as tensors of at most ``batch_size`` samples."""
    for start in range(0, X.shape[0], batch_size):
        yield to_tensor(X[start : start + batch_size])


def map_rows(
    function: Callable[[Tensor], Tensor], X: Any, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Apply a function to each sample of X, (N, ...), in the function's own dtype.

    Every call gets exactly ``BLOCK`` samples (the last block repeats its last sample), so that the
    rounding of a result does not depend on the other samples.
    """
    parts = []
    with torch.inference_mode():
        for x in batches(X, BLOCK):
            n_rows = x.shape[0]
            if n_rows < BLOCK:
                x = torch.cat([x, x[-1:].expand(BLOCK - n_rows, -1)])
            parts.append(function(x.to(device))[:n_rows].cpu().numpy())
    return np.concatenate(parts)
