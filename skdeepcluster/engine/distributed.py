"""Data parallelism: each process trains on its part of a batch, and gradients are averaged."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..modules.model import Batch
from .runtime import Process


class Processes(Process):
    """The n processes that train one model together, seen from process ``rank`` on its device."""

    def __init__(self, rank: int, n: int, device: torch.device) -> None:
        self.rank = rank
        self.n = n
        self._device = device

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self._device

    def take_part(self, batch: Batch) -> Batch:
        """Return the samples of this process: equal parts, without the remainder.

        Columns with fewer samples than processes are returned whole.
        """

        def take(column: Tensor) -> Tensor:
            n_rows = len(column) // self.n
            if n_rows == 0:
                return column
            return column[self.rank * n_rows : (self.rank + 1) * n_rows]

        return batch.map(take)

    def average(self, losses: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        """Replace losses and gradients by their means over the processes, in one all-reduce."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        tensors = [losses, *gradients]
        flat = torch.cat([tensor.flatten().float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.n
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def share(self, value: Any) -> Any:
        """Return the main process's value."""
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def share_weights(self, model: torch.nn.Module) -> None:
        """Copy the weights and buffers of the main process to the model."""
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)

    def check_same(self, name: str, value: Any) -> None:
        """Check that all processes have the same value; otherwise they would deadlock."""
        found = [None] * self.n
        dist.all_gather_object(found, value)
        if any(other != found[0] for other in found):
            raise ValueError(
                f"Processes that train together need the same {name}, but theirs are {found}. "
                "Have every process load the same data."
            )
