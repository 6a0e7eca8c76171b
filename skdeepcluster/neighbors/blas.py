"""Sums that are rounded alike everywhere."""

import functools

from threadpoolctl import ThreadpoolController


@functools.cache
def _libraries():
    """Return the libraries loaded that have threads: found once a process, by reading files."""
    return ThreadpoolController()


def single_threaded_blas():
    """Return a context in which BLAS runs on one thread, whatever the settings of the process.

    BLAS splits sums by the number of threads; with one thread rounding is the same everywhere.
    """
    return _libraries().limit(limits=1, user_api="blas")


def single_threaded():
    """Return a context in which neither BLAS nor OpenMP runs on several threads.

    scikit-learn's k-means adds up what its threads have found in the order in which they end.
    """
    return _libraries().limit(limits=1)
