"""The number of threads, for the time of a block."""

from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def limited(n_threads):
    """Limit torch, BLAS and OpenMP to `n_threads` within the block; None leaves them alone."""
    if n_threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)
