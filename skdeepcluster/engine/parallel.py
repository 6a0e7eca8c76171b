"""A batch shared out to processes: each takes its rows, and all take the same step.

The step is that of one process with the whole batch, up to rounding: random numbers are drawn for
the whole batch by every process, which keeps those of its rows; batch normalisation and what else
looks at all rows of a batch sees them all; losses and gradients are averaged.

Reference: S. Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
VLDB 2020 (the averaging of gradients).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from ..functional.rows import split_by

LIKE = {torch.randn_like: torch.randn, torch.rand_like: torch.rand}
DRAWS = {torch.randn, torch.rand}


class _Sum(torch.autograd.Function):
    """Sum over processes, also of what comes back."""

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
    """The processes that train one model together.

    Parameters
    ----------
    rank, n : int
        Number of this process, and of all.
    device : torch.device
        Where this process computes.
    """

    def __init__(self, rank: int, n: int, device: torch.device) -> None:
        self.rank, self.n, self.device = rank, n, device

    def part(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """Take the rows of this process; all have as many, and what is left over is left out.

        Columns with fewer rows than there are processes go to all of them.
        """
        return [self._rows(column) for column in batch]

    def _rows(self, column: Tensor) -> Tensor:
        n_rows = len(column) // self.n
        return column[self.rank * n_rows : (self.rank + 1) * n_rows] if n_rows else column

    def from_first(self, make: Callable[[], Any]) -> Any:
        """Return what the first process makes; if that fails, it fails everywhere."""
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
        """Replace tensors by their means over the processes, in one exchange."""
        flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.n
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view_as(tensor))

    def all_rows(self, x: Tensor) -> Tensor:
        """Bring the rows of all processes together, in their order, (n N, ...), with gradient."""
        whole = x.new_zeros(self.n, *x.shape)
        whole = whole.index_add(0, torch.tensor([self.rank], device=x.device), x[None])
        return _Sum.apply(whole).flatten(0, 1)

    def own_rows(self, whole: Tensor) -> Tensor:
        """Keep the rows of this process, (N, ...) of (n N, ...)."""
        return whole.view(self.n, -1, *whole.shape[1:])[self.rank]

    @contextmanager
    def step(self, n_rows: int) -> Iterator[None]:
        """Within the block ``n_rows`` rows, those of this process, are a part of the batch."""
        with split_by(self), _WholeBatch(self, n_rows):
            yield


class _WholeBatch(TorchFunctionMode):
    """Random numbers and batch statistics as of the whole batch."""

    def __init__(self, processes: Processes, n_rows: int) -> None:
        super().__init__()
        self.processes, self.n_rows = processes, n_rows

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in LIKE and self._is_batch(len(args[0])):
            x = args[0]
            drawn = LIKE[func](self._whole(x.shape), dtype=x.dtype, device=x.device)
            return self._mine(drawn)
        if func in DRAWS and args and isinstance(args[0], int) and self._is_batch(args[0]):
            return self._mine(func(self._whole(args), **kwargs))
        if func is torch.randint and len(args) == 2 and self._is_batch(args[1][0]):
            return self._mine(func(args[0], self._whole(args[1]), **kwargs))
        if func is torch.multinomial and len(args) > 1 and self._is_batch(args[1]):
            return self._mine(func(args[0], args[1] * self.processes.n, **kwargs))
        if func is batch_norm and kwargs.get("training"):
            return self._normalised(*args, **kwargs)
        return func(*args, **kwargs)

    def _is_batch(self, n_rows: int) -> bool:
        return n_rows > 0 and n_rows % self.n_rows == 0

    def _whole(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (shape[0] * self.processes.n, *shape[1:])

    def _mine(self, drawn: Tensor) -> Tensor:
        """Rows of this process of each batch there is beneath the other."""
        parts = drawn.view(-1, self.processes.n, self.n_rows, *drawn.shape[1:])
        return parts[:, self.processes.rank].flatten(0, 1)

    def _normalised(
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
        """Batch normalisation by the rows of all processes."""
        over = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        n = self.processes.n * x.numel() // x.shape[1]
        wide = x.float()
        mean = _Sum.apply(wide.sum(over)) / n
        centred = wide - mean.view(shape)
        var = _Sum.apply(centred.square().sum(over)) / n
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean, momentum)
                running_var.lerp_(var * n / max(n - 1, 1), momentum)
        scale = (var + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        y = centred * scale.view(shape)
        return (y if bias is None else y + bias.view(shape)).to(x.dtype)


_processes: ContextVar[Processes | None] = ContextVar("processes", default=None)


def current() -> Processes | None:
    """Return the processes that train together, if there are several."""
    return _processes.get()


def from_first(make: Callable[[], Any], random_state: np.random.RandomState | None = None) -> Any:
    """Return what ``make`` gives; of several processes only the first one calls it.

    The stream ``random_state`` is afterwards everywhere as it is there.
    """
    processes = current()
    if processes is None:
        return make()
    if random_state is None:
        return processes.from_first(make)
    made, state = processes.from_first(lambda: (make(), random_state.get_state()))
    random_state.set_state(state)
    return made


def as_in_first(model: torch.nn.Module, *values: Any) -> Sequence[Any]:
    """Give the model the weights it has in the first process; return the values there."""
    if current() is None:
        return values
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    weights, values = from_first(lambda: (weights, values))
    model.load_state_dict(weights)
    return values


def is_first() -> bool:
    """Whether this process is the one that speaks for all."""
    processes = current()
    return processes is None or processes.rank == 0


def check_same(name: str, value: Any) -> None:
    """Check that all processes have the same value; they would wait for one another for ever."""
    processes = current()
    if processes is None:
        return
    found = [None] * processes.n
    dist.all_gather_object(found, value)
    if any(other != found[0] for other in found):
        raise ValueError(
            f"Processes that train together need the same {name}, but theirs are {found}. Have "
            "every process load the same data."
        )


@contextmanager
def together(processes: Processes) -> Iterator[None]:
    """Within the block trainings are those of all processes."""
    token = _processes.set(processes)
    try:
        yield
    finally:
        _processes.reset(token)
