"""Random numbers from the generators of the current fit; outside of fits, from torch's own.

Fits in several threads have generators of their own and do not disturb each other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor


class Stream:
    """Generators with the same seed, one per device."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device | str) -> torch.Generator:
        """Return the generator of a device."""
        device = torch.device(device)
        if str(device) == "cuda":  # tensors carry the index of the GPU
            device = torch.device("cuda", torch.cuda.current_device())

        if device not in self.generators:
            generator = torch.Generator(device)
            self.generators[device] = generator.manual_seed(self.seed)
        return self.generators[device]


_stream: ContextVar[Stream | None] = ContextVar("stream", default=None)


@contextmanager
def drawing_from(stream: Stream | None) -> Iterator[None]:
    """Within the block, in this thread, random numbers come from the stream; None: torch's own."""
    token = _stream.set(stream)
    try:
        yield
    finally:
        _stream.reset(token)


def current_stream() -> Stream | None:
    """Return the stream of the innermost block; None outside."""
    return _stream.get()


def _options(device: torch.device) -> dict[str, Any]:
    """Return the device and its generator as options of torch's functions."""
    stream = current_stream()
    generator = None if stream is None else stream.on(device)
    return {"generator": generator, "device": device}


def randn(
    shape: Sequence[int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw from N(0, 1)."""
    return torch.randn(shape, **_options(device), dtype=dtype)


def rand(
    shape: Sequence[int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw uniformly from [0, 1)."""
    return torch.rand(shape, **_options(device), dtype=dtype)


def randn_like(x: Tensor) -> Tensor:
    """Draw from N(0, 1), of the shape, dtype and device of ``x``."""
    return randn(x.shape, x.device, x.dtype)


def rand_like(x: Tensor) -> Tensor:
    """Draw uniformly from [0, 1), of the shape, dtype and device of ``x``."""
    return rand(x.shape, x.device, x.dtype)


def randint(high: int, shape: Sequence[int], device: torch.device) -> Tensor:
    """Draw integers below ``high`` uniformly."""
    return torch.randint(high, shape, **_options(device))


def multinomial(p: Tensor, n_samples: int) -> Tensor:
    """Draw categories with probabilities ``p``, independently."""
    generator = _options(p.device)["generator"]
    return torch.multinomial(p, n_samples, True, generator=generator)


def bernoulli(p: Tensor) -> Tensor:
    """Draw zeros and ones with probabilities ``p``."""
    return (rand_like(p) < p).to(p.dtype)
