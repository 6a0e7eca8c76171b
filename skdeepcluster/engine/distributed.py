"""Data parallelism: each process computes on a part of a batch, and all take the same step.

The step equals the step of one process, up to rounding. Every process draws random numbers for the
whole batch and keeps its part; batch normalization and losses that compare samples use all parts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from ..modules.model import Batch
from .runtime import Process

#: Functions that draw random numbers, and the position of the argument with the shape.
SHAPE_AT: dict[Any, int] = {
    torch.randn: 0,
    torch.rand: 0,
    torch.randint: -1,
    torch.multinomial: 1,
}


class Processes(Process):
    """The n processes that train one model together, seen from process ``rank`` on its device."""

    def __init__(self, rank: int, n: int, device: torch.device) -> None:
        self.rank, self.n, self._device = rank, n, device

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
            return (
                column[self.rank * n_rows : (self.rank + 1) * n_rows]
                if n_rows
                else column
            )

        return batch.map(take)

    @contextmanager
    def step(self, n_rows: int) -> Iterator[None]:
        """Within the block, a batch of ``n_rows`` samples is this process's part of the batch."""
        with _WholeBatch(self, n_rows):
            yield

    def average(self, losses: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        """Replace losses and gradients by their means over the processes, in one all-reduce."""
        tensors = [losses, *(p.grad for p in parameters if p.grad is not None)]
        flat = torch.cat([tensor.flatten().float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.n
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def all_rows(self, x: Tensor) -> Tensor:
        """Gather the samples of all processes, in order, (n N, ...), with gradient."""
        whole = x.new_zeros(self.n, *x.shape)
        whole = whole.index_add(0, torch.tensor([self.rank], device=x.device), x[None])
        return all_reduce(whole).flatten(0, 1)

    def own_rows(self, whole: Tensor) -> Tensor:
        """Keep the samples of this process, (N, ...) of (n N, ...)."""
        return whole.view(self.n, -1, *whole.shape[1:])[self.rank]

    def broadcast_object(self, make: Callable[[], Any]) -> Any:
        """Return what the main process makes; if that fails, it fails everywhere."""
        made: list[Any] = [None, None]
        if self.rank == 0:
            try:
                made[0] = make()
            except Exception as error:
                made[1] = error
        dist.broadcast_object_list(made, src=0)
        if made[1] is not None:
            raise made[1]
        return made[0]

    def check_same(self, name: str, value: Any) -> None:
        """Check that all processes have the same value; otherwise they would deadlock."""
        found = [None] * self.n
        dist.all_gather_object(found, value)
        if any(other != found[0] for other in found):
            raise ValueError(
                f"Processes that train together need the same {name}, but theirs are {found}. "
                "Have every process load the same data."
            )


class _WholeBatch(TorchFunctionMode):
    """Makes torch's functions draw random numbers and normalize as for the whole batch."""

    def __init__(self, processes: Processes, n_rows: int) -> None:
        super().__init__()
        self.processes, self.n_rows = processes, n_rows

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if args and func in SHAPE_AT and len(args) > SHAPE_AT[func]:
            return self._draw(func, list(args), kwargs)
        if func is batch_norm and kwargs.get("training"):
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _draw(self, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
        """Draw for the whole batch; keep this process's samples of every batch, stacked."""
        n, at = self.processes.n, SHAPE_AT[func]
        size = args[at]
        n_rows, *others = [size] if isinstance(size, int) else size or [0]
        if n_rows == 0 or n_rows % self.n_rows:
            return func(*args, **kwargs)
        args[at] = n * size if isinstance(size, int) else (n * n_rows, *others)
        drawn = func(*args, **kwargs)
        parts = drawn.view(-1, n, self.n_rows, *drawn.shape[1:])
        return parts[:, self.processes.rank].flatten(0, 1)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """Normalize by the mean and variance of the samples of all processes."""
        over, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        n = self.processes.n * x.numel() // x.shape[1]
        wide = x.float()
        mean = all_reduce(wide.sum(over)) / n
        centered = wide - mean.view(shape)
        var = all_reduce(centered.square().sum(over)) / n
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean, momentum)
                running_var.lerp_(var * n / max(n - 1, 1), momentum)
        scale = (var + eps).rsqrt() if weight is None else (var + eps).rsqrt() * weight
        y = centered * scale.view(shape)
        return (y if bias is None else y + bias.view(shape)).to(x.dtype)
