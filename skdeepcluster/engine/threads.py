"""A thread to a batch, where the alternative is all threads to each small product of a batch.

Threads that share every product meet after each of them; on a busy machine they wait for one
another longer than they work. Threads that take whole batches meet once, at the end.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_state = {"blocks": 0, "threads": 1}


@contextmanager
def one_thread_to_an_operation() -> Iterator[int]:
    """Within the block torch does not spread operations; yields the threads there were.

    Blocks in several threads may overlap; each ends with as many threads as the first one found.
    """
    with _lock:
        if _state["blocks"] == 0:
            _state["threads"] = torch.get_num_threads()
        _state["blocks"] += 1
        torch.set_num_threads(1)
    try:
        yield _state["threads"]
    finally:
        with _lock:
            _state["blocks"] -= 1
            torch.set_num_threads(_state["threads"])


def share_out(work: Callable[[int, int, threading.Event], object], most: int) -> list:
    """Return [work(i, n, stop) for i < n], each in a thread of its own.

    Parameters
    ----------
    work : callable
        Does share i of n; to give up early when ``stop`` is set, because another share failed or
        the user pressed Ctrl-C.
    most : int
        Largest n that makes sense; n is at most the number of threads that torch may use.

    Returns
    -------
    list
        The results, in order.
    """
    stop = threading.Event()
    if min(most, torch.get_num_threads()) == 1:
        return [work(0, 1, stop)]
    with one_thread_to_an_operation() as n_threads:
        n = min(most, n_threads)
        with ThreadPoolExecutor(n) as pool:
            try:
                return list(pool.map(lambda i: work(i, n, stop), range(n)))
            except BaseException:
                stop.set()
                raise
