"""What a fit runs in: device, random numbers, threads, and samples as tensors.

Random numbers come from generators of the current fit, so that fits in several threads do not
disturb each other; outside of fits, from torch's own.
"""

import threading
from contextlib import contextmanager
from contextvars import ContextVar

import joblib
import numpy as np
import torch
from scipy import sparse

from ..utils.random import draw_seed

# ---- device


def resolve_device(device):
    """Return a device on which torch computes; "auto" is a GPU if there is one, else the CPU."""
    chosen = device
    if device == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=chosen).cpu()
    except Exception as error:
        raise ValueError(
            f"torch cannot use device={str(device)!r} here. Use 'auto', 'cpu' or 'cuda'."
        ) from error
    return torch.device(chosen)


# ---- random numbers


class Stream:
    """Generators with the same seed, one per device."""

    def __init__(self, seed):
        self.seed = seed
        self.generators = {}

    def on(self, device):
        """Return the generator of a device."""
        device = torch.device(device)
        if str(device) == "cuda":  # tensors carry the index of the GPU
            device = torch.device("cuda", torch.cuda.current_device())

        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]


_stream = ContextVar("stream", default=None)


@contextmanager
def seeded(seed):
    """Within the block, in this thread, random numbers come from a stream; None: torch's own."""
    token = _stream.set(None if seed is None else Stream(seed))
    try:
        yield
    finally:
        _stream.reset(token)


def _options(device):
    """Return the device and its generator as options of torch's functions."""
    stream = _stream.get()
    return {"generator": stream and stream.on(device), "device": device}


def rand(shape, device, dtype=torch.float32):
    """Draw uniformly from [0, 1)."""
    return torch.rand(shape, **_options(device), dtype=dtype)


def randn_like(x):
    """Draw from N(0, 1), of the shape, dtype and device of ``x``."""
    return torch.randn(x.shape, **_options(x.device), dtype=x.dtype)


def randint(high, shape, device):
    """Draw integers below ``high`` uniformly."""
    return torch.randint(high, shape, **_options(device))


def multinomial(p, n_samples):
    """Draw categories with probabilities ``p``, independently."""
    generator = _options(p.device)["generator"]
    return torch.multinomial(p, n_samples, True, generator=generator)


def draw_generator(random_state):
    """Return a torch generator on the CPU with a seed drawn from a RandomState."""
    return torch.Generator().manual_seed(draw_seed(random_state))


_fork_lock = threading.RLock()


@contextmanager
def isolated():
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
def forked(seed):
    """Within the block, in one thread at a time, torch's global generators are seeded."""
    uses_gpu = torch.cuda.is_initialized()
    gpus = list(range(torch.cuda.device_count())) if uses_gpu else []
    with _fork_lock, torch.random.fork_rng(devices=gpus), seeded(None):
        torch.default_generator.manual_seed(seed)
        if uses_gpu:
            torch.cuda.manual_seed_all(seed)
        yield


@contextmanager
def building():
    """Within the block networks are built on the CPU; the current generator seeds weights."""
    seed = int(randint(2**31 - 1, (), torch.device("cpu")))
    with forked(seed), torch.device("cpu"):
        yield


# ---- threads


@contextmanager
def limited_threads(maximum=1):
    """Limit the threads that torch uses within the block, in this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(maximum, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_by_size(model, n_rows):
    """Use one thread if a pass of ``n_rows`` samples is small, else all available processors."""
    n_products = n_rows * sum(p.numel() for p in model.parameters())
    return limited_threads(1 if n_products < 2**24 else joblib.cpu_count())


# ---- samples as tensors: X is an array, memory map or CSR matrix, converted one batch at a time

#: Number of samples per batch in prediction; fixed, so that predictions do not depend on it.
BLOCK = 256


def to_tensor(rows, double=False):
    """Convert a slice of X, dense or CSR, to a dense tensor with memory of its own.

    Types that float32 cannot represent, and all types with ``double=True``, become float64.
    """
    dense = rows.toarray() if sparse.issparse(rows) else rows
    is_single = np.can_cast(dense.dtype, np.float32) and not double
    kind = np.float32 if is_single else np.float64
    # torch cannot wrap read-only memory or some dtypes; the cast makes the one copy needed.
    return torch.from_numpy(np.array(dense, dtype=kind, order="C"))


def batches(X, batch_size):
    """Yield the samples of X in order, as tensors of at most ``batch_size`` samples."""
    for start in range(0, X.shape[0], batch_size):
        yield to_tensor(X[start : start + batch_size])


def map_rows(function, X, device="cpu"):
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
