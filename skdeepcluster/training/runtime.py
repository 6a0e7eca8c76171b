"""What a fit runs in: device, precision, random generators, threads and processes."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import joblib
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ..functional.random import Stream, drawing_from, randint
from ..input.checks import draw_seed
from ..modules.model import Batch

# ---- device and precision


def resolve_device(device: str | torch.device) -> torch.device:
    """Return a device on which torch computes; "auto" is the process's GPU, else the CPU."""
    found = current_process().device if device == "auto" else device
    try:
        torch.zeros(1, device=found).cpu()
    except Exception as error:
        raise ValueError(
            f"torch cannot use device={str(device)!r} here. Use 'auto', 'cpu' or 'cuda'."
        ) from error
    return torch.device(found)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return a precision; "auto" is "bfloat16" on GPUs with it and on CPUs with AMX tiles."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"


# ---- random generators


def generator(seed: int) -> torch.Generator:
    """Return a seeded torch generator on the CPU."""
    return torch.Generator().manual_seed(seed)


def draw_generator(random_state: np.random.RandomState) -> torch.Generator:
    """Return a torch generator on the CPU with a seed drawn from a RandomState."""
    return generator(draw_seed(random_state))


_fork_lock = threading.RLock()


@contextmanager
def isolated() -> Iterator[None]:
    """Within the block, torch's gradients and autocast and numpy's errors are as by default."""
    with (
        np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block, in this thread, the package draws from generators of its own."""
    with drawing_from(Stream(seed)):
        yield


@contextmanager
def forked(seed: int) -> Iterator[None]:
    """Within the block, in one thread at a time, torch's global generators are seeded."""
    uses_gpu = torch.cuda.is_initialized()
    gpus = list(range(torch.cuda.device_count())) if uses_gpu else []
    with _fork_lock, torch.random.fork_rng(devices=gpus), drawing_from(None):
        torch.default_generator.manual_seed(seed)
        if uses_gpu:
            torch.cuda.manual_seed_all(seed)
        yield


@contextmanager
def building() -> Iterator[None]:
    """Within the block networks are built on the CPU; the current generator seeds weights."""
    seed = int(randint(2**31 - 1, (), torch.device("cpu")))
    with forked(seed), torch.device("cpu"):
        yield


# ---- threads

#: Minimum number of multiplications (samples times weights) of a pass through a network that a
#: second thread speeds up.
MANY_PRODUCTS = 2**24


@contextmanager
def limited_threads(maximum: int = 1) -> Iterator[None]:
    """Limit the threads that torch uses within the block, in this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(maximum, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_by_size(model: torch.nn.Module, n_rows: int) -> AbstractContextManager[Any]:
    """Use one thread if a pass of ``n_rows`` samples is small, else all available processors."""
    n_products = n_rows * sum(p.numel() for p in model.parameters())
    return limited_threads(1 if n_products < MANY_PRODUCTS else joblib.cpu_count())


def share_out(work: Callable[[int, int], Any], max_workers: int) -> list[Any]:
    """Return [work(i, n) for i < n], each call in a thread of its own.

    ``work(i, n)`` does every n-th task from task i on. n is the number of torch's threads, at most
    ``max_workers``.
    """
    n = min(max_workers, torch.get_num_threads())
    if n == 1:
        return [work(0, 1)]
    with limited_threads(), ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, range(n), [n] * n))


# ---- processes that train one model together


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

        Columns with fewer than two samples for each process are returned whole.
        """
        if self.n == 1:
            return batch

        def take(column: Tensor) -> Tensor:
            n_rows = len(column) // self.n
            if n_rows < 2:  # batch normalization needs two
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
