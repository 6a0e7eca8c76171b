"""Random numbers from the random generator of the current fit, or from torch's outside of fits.

Each fit has its own generators, so fits in threads disturb neither each other nor the global
random state of torch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor


class Stream:
    """Random generators for every device, from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device | str) -> torch.Generator:
        """Return the generator of a device."""
        device = torch.device(device)
        if str(device) == "cuda":  # tensors carry the index of the GPU
            device = torch.device("cuda", torch.cuda.current_device())
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]


_stream: ContextVar[Stream | None] = ContextVar("stream", default=None)


@contextmanager
def drawing_from(stream: Stream) -> Iterator[Stream]:
    """Draw random numbers from the stream within the block, in this thread only."""
    token = _stream.set(stream)
    try:
        yield stream
    finally:
        _stream.reset(token)


def current_stream() -> Stream | None:
    """Return the stream of the enclosing block, or None."""
    return _stream.get()


def current_generator(device: torch.device | str) -> torch.Generator | None:
    """Return the current stream's generator for a device; None means torch's own."""
    stream = _stream.get()
    return None if stream is None else stream.on(device)


def randn(
    shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw from N(0, 1)."""
    return torch.randn(shape, generator=current_generator(device), device=device, dtype=dtype)


def rand(shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw uniformly from [0, 1)."""
    return torch.rand(shape, generator=current_generator(device), device=device, dtype=dtype)


def randn_like(x: Tensor) -> Tensor:
    """Draw from N(0, 1), of the shape, dtype and device of ``x``."""
    return randn(x.shape, x.device, x.dtype)


def rand_like(x: Tensor) -> Tensor:
    """Draw uniformly from [0, 1), of the shape, dtype and device of ``x``."""
    return rand(x.shape, x.device, x.dtype)


def randint(high: int, shape: Sequence[int], device: torch.device) -> Tensor:
    """Draw integers below ``high`` uniformly."""
    return torch.randint(high, shape, generator=current_generator(device), device=device)


def multinomial(p: Tensor, n_samples: int) -> Tensor:
    """Draw categories with probabilities ``p``, independently."""
    return torch.multinomial(p, n_samples, True, generator=current_generator(p.device))


def bernoulli(p: Tensor) -> Tensor:
    """Draw zeros and ones with probabilities ``p``."""
    return (rand_like(p) < p).to(p.dtype)
