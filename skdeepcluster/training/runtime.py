"""What a fit runs in: device, precision, random generators and threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import joblib
import numpy as np
import torch

from ..functional.random import Stream, drawing_from, randint
from ..input.random import draw_seed

# ---- device and precision


def resolve_device(device: str | torch.device) -> torch.device:
    """Return a device on which torch computes; "auto" is a GPU if there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:
        raise ValueError(
            f"torch cannot use device={str(device)!r} here. Use 'auto', 'cpu' or 'cuda'."
        ) from error
    return torch.device(device)


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
