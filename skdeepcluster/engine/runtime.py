"""What a fit runs in: device, precision, random generators, threads, processes, interruption.

The global state of numpy and torch is restored after use.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import joblib
import numpy as np
import torch
import torch.distributed as dist

from .._fitting import draw_seed as draw_seed
from .._fitting import draw_seeds as draw_seeds
from .._fitting import end_interrupted_member as end_interrupted_member
from .._fitting import fitting_member as fitting_member
from .._fitting import random_stream as random_stream
from .._fitting import restore_on_failure as restore_on_failure
from .._fitting import store_parameters as store_parameters
from ..functional.random import Stream, drawing_from, randint

# ---- device and precision


def resolve_device(device: str | torch.device) -> torch.device:
    """Return a checked device; "auto" is the GPU if there is one, else the CPU.

    With several processes, "auto" gives each process a GPU of its own.
    """
    processes = current_processes()
    if device == "auto" and processes is not None:
        return processes.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device of torch. Use 'auto', 'cpu' or 'cuda'."
        ) from error
    try:
        torch.zeros(1, device=resolved).cpu()
    except Exception as error:
        raise ValueError(
            f"device={str(device)!r}, but torch finds none here that computes. Use device='auto' "
            "or 'cpu'."
        ) from error
    return resolved


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return a precision; "auto" is "bfloat16" where the hardware accelerates it.

    CPUs need AMX tiles: with AVX-512's dot product alone bfloat16 may be slower than float32.
    """
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


#: Held while torch's global generators are forked.
_fork_lock = threading.RLock()


@contextmanager
def isolated() -> Iterator[None]:
    """Within the block, in this thread, global modes of torch and numpy are the default ones.

    The modes are gradients, inference, autocast and numpy's floating-point errors. The package
    names the dtype, the device and the generator of every tensor it makes.
    """
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
    """Within the block all code draws from torch's global generators, seeded, then restored.

    One thread at a time executes such a block.
    """
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


# ---- threads: one per independent task, instead of all of them in every small operation

#: Minimum number of multiplications (samples times weights) of a pass through a network that a
#: second thread speeds up. With fewer, threads wait for each other longer than they compute.
MANY_PRODUCTS = 2**24

_threads_lock = threading.Lock()
_threads = {"blocks": 0, "count": 1}
#: Number of torch's threads in the innermost block of this thread.
_own_threads: ContextVar[int | None] = ContextVar("own_threads", default=None)
#: The threads that :func:`share_out` reuses within a block of :func:`reused_threads`.
_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("pool", default=None)


@contextmanager
def limited_threads(most: int = 1) -> Iterator[int]:
    """Limit torch's threads within the block; yields the number of threads before.

    Blocks in several threads may overlap. The number before the first of them is restored; a
    nested block restores the number of the block around it.
    """
    outer = _own_threads.get()
    with _threads_lock:
        if _threads["blocks"] == 0:
            _threads["count"] = torch.get_num_threads()
        _threads["blocks"] += 1
        before = _threads["count"] if outer is None else outer
        torch.set_num_threads(min(most, before))
    token = _own_threads.set(min(most, before))
    try:
        yield before
    finally:
        _own_threads.reset(token)
        with _threads_lock:
            _threads["blocks"] -= 1
            torch.set_num_threads(before)


def threads_by_size(model: torch.nn.Module, n_rows: int) -> AbstractContextManager[Any]:
    """Return a context with the number of threads that a pass of ``n_rows`` samples can use.

    Small networks use one thread, large networks all available processors.
    """
    n_products = n_rows * sum(p.numel() for p in model.parameters())
    return limited_threads(1 if n_products < MANY_PRODUCTS else joblib.cpu_count())


@contextmanager
def reused_threads() -> Iterator[ThreadPoolExecutor]:
    """Within the block calls of :func:`share_out` reuse the threads of the first call.

    A new thread often waits on the processor of the thread that starts it, and allocates memory.
    """
    outer = _pool.get()
    if outer is not None:
        yield outer
        return
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        token = _pool.set(pool)
        try:
            yield pool
        finally:
            _pool.reset(token)


def share_out(work: Callable[[int, int, threading.Event], Any], max_workers: int) -> list[Any]:
    """Return [work(i, n, stop) for i < n], each call in a thread of its own.

    Threads that process whole batches or mixtures synchronize once, at the end, instead of after
    each operation. ``work`` does every n-th task from task i on, and returns early when ``stop``
    is set: another thread has failed, or the user has pressed Ctrl-C. n is the number of threads
    that torch may use, at most ``max_workers``.
    """
    stop = threading.Event()
    if min(max_workers, torch.get_num_threads()) == 1:
        return [work(0, 1, stop)]
    with reused_threads() as pool, limited_threads() as n_threads:
        n = min(max_workers, n_threads)
        parts = [pool.submit(work, i, n, stop) for i in range(n)]
        try:
            return [part.result() for part in parts]
        except BaseException:
            stop.set()
            wait(parts)
            raise


# ---- processes that train one model together, see ``distributed``

_processes: ContextVar[Any] = ContextVar("processes", default=None)


def current_processes() -> Any:
    """Return the processes that train together, or None if this one trains alone."""
    return _processes.get()


@contextmanager
def training_together(processes: Any) -> Iterator[None]:
    """Within the block all trainings are shared by the processes."""
    token = _processes.set(processes)
    try:
        yield
    finally:
        _processes.reset(token)


def is_main_process() -> bool:
    """Return whether this process reports for all processes."""
    processes = current_processes()
    return processes is None or processes.rank == 0


def broadcast_object(
    make: Callable[[], Any], random_state: np.random.RandomState | None = None
) -> Any:
    """Return the result of ``make``, which only the main process calls.

    Other processes receive the result and the state of ``random_state`` after it.
    """
    processes = current_processes()
    if processes is None:
        return make()
    if random_state is None:
        return processes.broadcast_object(make)
    made, state = processes.broadcast_object(lambda: (make(), random_state.get_state()))
    random_state.set_state(state)
    return made


def broadcast_weights(model: torch.nn.Module, *values: Any) -> Sequence[Any]:
    """Copy the weights of the main process to the model; return the main process's values."""
    if current_processes() is None:
        return values
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    weights, values = broadcast_object(lambda: (weights, values))
    model.load_state_dict(weights)
    return values


def check_same(name: str, value: Any) -> None:
    """Check that all processes have the same value; otherwise they would deadlock."""
    processes = current_processes()
    if processes is None:
        return
    found = [None] * processes.n
    dist.all_gather_object(found, value)
    if any(other != found[0] for other in found):
        raise ValueError(
            f"Processes that train together need the same {name}, but theirs are {found}. Have "
            "every process load the same data."
        )
