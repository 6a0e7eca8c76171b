"""What a computation needs of the machine: device, precision, random streams, threads, processes.

Global state of numpy and torch is left as it was found.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

# ---- device and precision


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn "auto" into the GPU if there is one, else the CPU; check any other name.

    Of several processes each has a GPU of its own by "auto".
    """
    processes = current_processes()
    if device == "auto" and processes is not None:
        return processes.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device of torch. Use 'auto', 'cpu' or 'cuda'."
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={str(device)!r}, but torch finds no CUDA GPU. Use device='auto' or 'cpu'."
        )
    return resolved


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turn "auto" into "bfloat16" where the hardware is fast at it, else "float32".

    A CPU is fast at bfloat16 with AMX tiles; with AVX-512's dot product alone it may be slower
    than in float32.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"


# ---- random streams


def random_stream(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """As scikit-learn's ``check_random_state``, but None is a fresh stream, not the global one."""
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed for torch from a numpy stream."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def generator(seed: int) -> torch.Generator:
    """Return a CPU stream of its own, started from ``seed``."""
    return torch.Generator().manual_seed(seed)


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


# ---- threads: one for each independent task, instead of all for each small operation

_threads_lock = threading.Lock()
_threads = {"blocks": 0, "count": 1}


@contextmanager
def single_threaded() -> Iterator[int]:
    """Within the block torch runs each operation on one thread; yields the number there was.

    Blocks in several threads may overlap; the last one to end restores the number of threads that
    the first one found.
    """
    with _threads_lock:
        if _threads["blocks"] == 0:
            _threads["count"] = torch.get_num_threads()
        _threads["blocks"] += 1
        torch.set_num_threads(1)
    try:
        yield _threads["count"]
    finally:
        with _threads_lock:
            _threads["blocks"] -= 1
            torch.set_num_threads(_threads["count"])


def share_out(work: Callable[[int, int, threading.Event], Any], max_workers: int) -> list:
    """Return [work(i, n, stop) for i < n], each call in a thread of its own.

    Threads that share each operation synchronise after each; threads that take whole batches or
    mixtures synchronise once, at the end.

    Parameters
    ----------
    work : callable
        Does every n-th task from task i on; gives up early when ``stop`` is set, because another
        thread failed or the user pressed Ctrl-C.
    max_workers : int
        Largest useful n; n is at most the number of threads that torch may use.

    Returns
    -------
    list
        The results, in order.
    """
    stop = threading.Event()
    if min(max_workers, torch.get_num_threads()) == 1:
        return [work(0, 1, stop)]
    with single_threaded() as n_threads:
        n = min(max_workers, n_threads)
        with ThreadPoolExecutor(n) as pool:
            try:
                return list(pool.map(lambda i: work(i, n, stop), range(n)))
            except BaseException:
                stop.set()
                raise


# ---- processes that train one model together; how they do is in ``distributed``


_processes: ContextVar[Any] = ContextVar("processes", default=None)


def current_processes() -> Any:
    """Return the processes that train together, None if this one trains alone."""
    return _processes.get()


@contextmanager
def training_together(processes: Any) -> Iterator[None]:
    """Within the block trainings are those of all processes."""
    token = _processes.set(processes)
    try:
        yield
    finally:
        _processes.reset(token)


def is_main_process() -> bool:
    """Whether this process is the one that reports for all."""
    processes = current_processes()
    return processes is None or processes.rank == 0


def broadcast_object(
    make: Callable[[], Any], random_state: np.random.RandomState | None = None
) -> Any:
    """Return what ``make`` gives; of several processes only the main one calls it.

    The stream ``random_state`` is afterwards everywhere as it is there.
    """
    processes = current_processes()
    if processes is None:
        return make()
    if random_state is None:
        return processes.broadcast_object(make)
    made, state = processes.broadcast_object(lambda: (make(), random_state.get_state()))
    random_state.set_state(state)
    return made


def broadcast_weights(model: torch.nn.Module, *values: Any) -> Sequence[Any]:
    """Give the model the weights of the main process; return the values there."""
    if current_processes() is None:
        return values
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    weights, values = broadcast_object(lambda: (weights, values))
    model.load_state_dict(weights)
    return values


def check_same(name: str, value: Any) -> None:
    """Check that all processes have the same value; otherwise they would wait for ever."""
    processes = current_processes()
    if processes is None:
        return
    found = [None] * processes.n
    dist.all_gather_object(found, value)
    if any(other != found[0] for other in found):
        raise ValueError(
            f"Processes that train together need the same {name}, but theirs are {found}. Have "
            "every process load the same data."
        )


# ---- attributes of estimators


def store_parameters(parameters: dict[str, Any]) -> None:
    """Set the parameters of an ``__init__``, its ``locals()``, as attributes, unchanged."""
    estimator = parameters["self"]
    vars(estimator).update({name: v for name, v in parameters.items() if name != "self"})


@contextmanager
def restore_on_failure(estimator: Any) -> Iterator[None]:
    """Put an estimator's attributes back as they were when the block raises."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
