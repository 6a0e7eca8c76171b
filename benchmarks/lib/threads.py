"""The number of threads, for the time of a block or of a script."""

import os
import sys
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

#: What OpenMP, BLAS libraries and numba read when they are loaded.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def start_anew_with(n_threads):
    """Start this script anew with the number of threads in its environment, if it is not there.

    A library that has been loaded with more or fewer threads need not heed a later limit.
    """
    wanted = dict.fromkeys(VARIABLES, str(n_threads))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, command, os.environ | wanted)


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
