"""Threads, in each of which BLAS and OpenMP use one: no result depends on their number."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import ThreadpoolController

#: Returns the loaded libraries with threads, found once per process.
find_libraries = cache(ThreadpoolController)
#: Limits of BLAS, which all threads share: the first one knows the number before all of them.
LIMITS = []
LOCK = Lock()


def limit(user_api):
    """Limit libraries to one thread, as a context or from now on."""
    return find_libraries().limit(limits=1, user_api=user_api)


@contextmanager
def single_threaded(user_api=None):
    """Limit BLAS or OpenMP, or both, to one thread: it fixes rounding."""
    with LOCK:
        LIMITS.append(limit("blas"))
    try:
        with limit(user_api):
            yield
    finally:
        with LOCK:
            last = LIMITS.pop()
            if not LIMITS:
                last.restore_original_limits()


@contextmanager
def open_threads(n_jobs=None):
    """Yield a pool of threads, as many as OpenMP takes if ``n_jobs`` is None.

    BLAS and OpenMP use one thread in each of them.
    """
    # Several OpenMP threads would choose differently among equal distances.
    pool = ThreadPoolExecutor(
        _openmp_effective_n_threads(n_jobs),
        initializer=limit,
        initargs=("openmp",),
    )
    with single_threaded("blas"), pool:
        yield pool
