"""Data parallelism: each process computes on a part of a batch, and all take the same step.

The step equals the step of one process with the whole batch, up to rounding. Every process draws
random numbers for the whole batch and keeps its part. Batch normalization and losses that compare
samples use the whole batch. Losses and gradients are averaged.

Reference: S. Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
VLDB 2020 (the averaging of gradients).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from ..functional.losses import split_by
from ..modules.model import Batch

#: Functions that draw random numbers like a tensor, and their counterparts that take a shape.
DRAW_LIKE: dict[Any, Callable[..., Tensor]] = {
    torch.randn_like: torch.randn,
    torch.rand_like: torch.rand,
}


class _AllReduce(torch.autograd.Function):
    """Sum over processes, of values and of gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


class Processes:
    """The n processes that train one model together, seen from process ``rank`` on its device."""

    def __init__(self, rank: int, n: int, device: torch.device) -> None:
        self.rank, self.n, self.device = rank, n, device

    def take_part(self, batch: Batch) -> Batch:
        """Return the samples of this process: equal parts, without the remainder.

        Columns with fewer samples than processes are returned whole.
        """
        return batch.map(self._take_part)

    def _take_part(self, column: Tensor) -> Tensor:
        n_rows = len(column) // self.n
        return column[self.rank * n_rows : (self.rank + 1) * n_rows] if n_rows else column

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

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over the processes, in one all-reduce."""
        flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.n
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view_as(tensor))

    def all_rows(self, x: Tensor) -> Tensor:
        """Gather the samples of all processes, in order, (n N, ...), with gradient."""
        whole = x.new_zeros(self.n, *x.shape)
        whole = whole.index_add(0, torch.tensor([self.rank], device=x.device), x[None])
        return _AllReduce.apply(whole).flatten(0, 1)

    def own_rows(self, whole: Tensor) -> Tensor:
        """Keep the samples of this process, (N, ...) of (n N, ...)."""
        return whole.view(self.n, -1, *whole.shape[1:])[self.rank]

    @contextmanager
    def step(self, n_rows: int) -> Iterator[None]:
        """Within the block, a batch of ``n_rows`` samples is this process's part of the batch."""
        with split_by(self), _WholeBatch(self, n_rows):
            yield


class _WholeBatch(TorchFunctionMode):
    """Makes torch's functions draw random numbers and normalize as for the whole batch."""

    def __init__(self, processes: Processes, n_rows: int) -> None:
        super().__init__()
        self.processes, self.n_rows = processes, n_rows

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAW_LIKE and self._is_batch(len(x := args[0] if args else kwargs["input"])):
            drawn = DRAW_LIKE[func](self._whole_shape(x.shape), dtype=x.dtype, device=x.device)
            return self._take_own(drawn)
        if func in DRAW_LIKE.values() and args:
            shape = args if isinstance(args[0], int) else args[0]
            if shape and self._is_batch(shape[0]):
                return self._take_own(func(self._whole_shape(shape), **kwargs))
        if func is torch.randint and len(args) == 2 and args[1] and self._is_batch(args[1][0]):
            return self._take_own(func(args[0], self._whole_shape(args[1]), **kwargs))
        if func is torch.multinomial and len(args) > 1 and self._is_batch(args[1]):
            return self._take_own(func(args[0], args[1] * self.processes.n, *args[2:], **kwargs))
        if func is batch_norm and kwargs.get("training"):
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _is_batch(self, n_rows: int) -> bool:
        return n_rows > 0 and n_rows % self.n_rows == 0

    def _whole_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (shape[0] * self.processes.n, *shape[1:])

    def _take_own(self, drawn: Tensor) -> Tensor:
        """Take this process's samples of every batch, stacked."""
        parts = drawn.view(-1, self.processes.n, self.n_rows, *drawn.shape[1:])
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
        over = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        n = self.processes.n * x.numel() // x.shape[1]
        wide = x.float()
        mean = _AllReduce.apply(wide.sum(over)) / n
        centered = wide - mean.view(shape)
        var = _AllReduce.apply(centered.square().sum(over)) / n
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean, momentum)
                running_var.lerp_(var * n / max(n - 1, 1), momentum)
        scale = (var + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        y = centered * scale.view(shape)
        return (y if bias is None else y + bias.view(shape)).to(x.dtype)
