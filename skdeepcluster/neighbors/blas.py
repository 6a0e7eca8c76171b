"""Matrix products that are rounded alike everywhere."""

import functools

from threadpoolctl import ThreadpoolController


@functools.cache
def _libraries():
    """Return the BLAS libraries loaded; to find them reads the files of all: once a process."""
    return ThreadpoolController()


def single_threaded_blas():
    """Return a context in which BLAS runs on one thread, whatever the settings of the process.

    BLAS splits sums by the number of threads; with one thread rounding is the same everywhere.
    """
    return _libraries().limit(limits=1, user_api="blas")
