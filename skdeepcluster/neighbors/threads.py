"""Threads, in each of which BLAS and OpenMP use one: no result depends on their number."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import ThreadpoolController

#: Returns the loaded libraries with threads, found once per process.
find_libraries = cache(ThreadpoolController)


def single_threaded(user_api=None):
    """Return a context that limits BLAS or OpenMP, or both, to one thread: it fixes rounding."""
    return find_libraries().limit(limits=1, user_api=user_api)


@contextmanager
def open_threads(n_jobs=None):
    """Yield a pool of threads, as many as OpenMP takes if ``n_jobs`` is None.

    BLAS and OpenMP use one thread in each of them.
    """
    # Several OpenMP threads would choose differently among equal distances.
    pool = ThreadPoolExecutor(
        _openmp_effective_n_threads(n_jobs),
        initializer=single_threaded,
        initargs=("openmp",),
    )
    with single_threaded("blas"), pool:
        yield pool
