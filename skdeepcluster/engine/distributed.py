"""Data parallelism: each process trains on its part of a batch, and gradients are averaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..modules.model import Batch


class Process:
    """Process ``rank`` of the n processes that train one model together; by default alone."""

    def __init__(
        self, rank: int = 0, n: int = 1, device: torch.device | None = None
    ) -> None:
        self.rank = rank
        self.n = n
        self._device = device

    @property
    def is_main(self) -> bool:
        """Whether this process searches and reports for all processes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """The device of this process, by default the GPU, if there is one."""
        if self._device is not None:
            return self._device
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

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
        if self.n == 1:
            return
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
        if self.n > 1:
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def share_weights(self, model: torch.nn.Module) -> None:
        """Copy the weights and buffers of the main process to the model."""
        if self.n > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def check_same(self, name: str, value: Any) -> None:
        """Check that all processes have the same value; otherwise they would deadlock."""
        found = [value] * self.n
        if self.n > 1:
            dist.all_gather_object(found, value)
        if any(other != found[0] for other in found):
            raise ValueError(
                f"Processes that train together need the same {name}, but theirs are {found}. "
                "Have every process load the same data."
            )


_process: ContextVar[Process] = ContextVar("process", default=Process())  # noqa: B039


def current_process() -> Process:
    """Return this process, alone or among those that train together."""
    return _process.get()


@contextmanager
def training_together(process: Process) -> Iterator[None]:
    """Within the block, the process shares all trainings with others."""
    token = _process.set(process)
    try:
        yield
    finally:
        _process.reset(token)
