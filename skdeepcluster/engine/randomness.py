"""A private random stream: torch's global one is left as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed for torch from a numpy stream."""
    return int(random_state.randint(np.iinfo(np.int32).max))


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Within the block torch's streams start from ``seed``; afterwards they are as before.

    The streams are those of the CPU and of ``device``; ``torch.manual_seed`` would set all.
    """
    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def generator(seed: int) -> torch.Generator:
    """Return a CPU stream of its own, started from ``seed``."""
    return torch.Generator().manual_seed(seed)


def random_stream(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """As scikit-learn's ``check_random_state``, but None is a fresh stream, not the global one."""
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def normal_points(n_points: int, n_dimensions: int) -> torch.Tensor:
    """Return fixed quasi-random points of N(0, I), (n_points, n_dimensions), float64.

    A scrambled Sobol sequence goes through the inverse normal distribution function.
    """
    engine = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=0)
    uniform = engine.draw(n_points, dtype=torch.float64)
    tiny = torch.finfo(torch.float32).eps
    return torch.special.ndtri(uniform.clamp(tiny, 1 - tiny))
