"""What fits share, without torch: random generators, parameters, failures, interruption."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

_is_member: ContextVar[bool] = ContextVar("is_member", default=False)


def random_stream(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """Return ``check_random_state(random_state)``, but a new generator for None."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed from a generator of numpy."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def draw_seeds(estimator: Any, random_state: np.random.RandomState) -> dict[str, int]:
    """Draw a seed for every ``random_state`` among the parameters of an estimator."""
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    return {name: draw_seed(random_state) for name in names}


def store_parameters(parameters: dict[str, Any]) -> None:
    """Set the parameters of an ``__init__``, its ``locals()``, as attributes."""
    estimator = parameters["self"]
    vars(estimator).update({name: v for name, v in parameters.items() if name != "self"})


@contextmanager
def restore_on_failure(estimator: Any) -> Iterator[None]:
    """Restore an estimator's attributes if the block raises.

    Within the block numpy's numbers are Python's, because small integers of numpy overflow.
    """
    before = dict(vars(estimator))
    numbers = {name: own.item() for name, own in before.items() if isinstance(own, np.generic)}
    vars(estimator).update(numbers)
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
    for name, number in numbers.items():
        if vars(estimator).get(name) is number:
            vars(estimator)[name] = before[name]


@contextmanager
def fitting_member() -> Iterator[None]:
    """Within the block a member of an ensemble is fitted, and interrupting it discards it."""
    token = _is_member.set(True)
    try:
        yield
    finally:
        _is_member.reset(token)


def end_interrupted_member(interrupted: bool) -> None:
    """Raise KeyboardInterrupt if the user has interrupted the fit of a member of an ensemble."""
    if interrupted and _is_member.get():
        raise KeyboardInterrupt
