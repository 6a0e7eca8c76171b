"""Checkpoints: resume an interrupted fit bit for bit.

The same call of ``fit`` takes finished searches and trainings from the file and continues.
"""

import copy
import os
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from functools import partial

import joblib
import numpy as np
import torch

from ._init import Partition
from .engine.runtime import current_process, is_main_process
from .functional.gaussian import Mixture

#: Seconds between two states of a training.
INTERVAL = 60.0
#: Maximum number of samples whose values identify the data.
HASHED_ROWS = 100_000
#: Parameters that may differ when a fit is resumed.
IDLE = {"verbose", "callbacks", "checkpoint"}
#: Types that a file may contain besides tensors and plain data.
TYPES = [
    *(np.ndarray, np.dtype, *{type(np.dtype(code)) for code in np.typecodes["All"]}),
    *(np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]),
    *(Mixture, Partition),
]


class Checkpoint:
    """The steps of the fit ``identity``, stored in the file ``path`` if there is one."""

    def __init__(self, path=None, identity=""):
        self.path, self.identity = path, identity
        self._steps, self._n_taken, self._written = [], 0, time.monotonic()
        if path is not None:
            self._steps = _read(path, identity) if os.path.exists(path) else []
            current_process().check_same("checkpoint", len(self._steps))

    def remember(self, make, random_state):
        """Return the result of ``make``, which uses ``random_state``, or the stored one."""
        if self.path is None:
            return make()
        step = self.begin_training()
        if step is None:
            step = {"result": make(), "random_state": random_state.get_state()}
            self._keep(step)
        random_state.set_state(step["random_state"])
        return step["result"]

    def begin_training(self):
        """Return the stored state of the next step, or None if it has not begun."""
        self._n_taken += 1
        return self._steps[self._n_taken - 1] if self._n_taken <= len(self._steps) else None

    def is_due(self):
        """Return whether it is time to store the state of the training."""
        return self.path is not None and time.monotonic() - self._written >= INTERVAL

    def keep_training(self, state):
        """Store the state of the current training in place of an earlier one."""
        if self.path is not None:
            self._keep(copy.deepcopy(state))  # a later training may change the same weights

    def remove(self):
        """Remove the file at the end of the fit."""
        if self.path is not None and is_main_process():
            with suppress(FileNotFoundError):
                os.remove(self.path)

    def _keep(self, step):
        """Replace the step that was taken last, and write the file."""
        self._steps[self._n_taken - 1 :] = [step]
        if is_main_process():
            with replace_atomically(self.path) as file:
                torch.save({"fit": self.identity, "steps": self._steps}, file)
        self._written = time.monotonic()


def identify(estimator, X, *others):
    """Return a text that identifies a fit by its parameters, data and ``others``."""
    params = estimator.get_params(deep=False)
    described = {name: _describe(value) for name, value in params.items() if name not in IDLE}
    samples = X[:: max(1, X.shape[0] // HASHED_ROWS)]
    digest = joblib.hash((described, X.shape, str(X.dtype), samples, others))
    return f"{type(estimator).__name__} {digest}"


def _describe(value):
    """Return a parameter as data that are equal in another process; functions by name."""
    if isinstance(value, np.random.RandomState):
        return "RandomState"
    if isinstance(value, partial):
        return _describe(value.func), value.args, value.keywords
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False).items()
        return type(value).__name__, {name: _describe(own) for name, own in params}
    if is_dataclass(value):  # an augmentation
        return repr(value)
    return getattr(value, "__qualname__", type(value).__name__) if callable(value) else value


def _read(path, identity):
    """Return the steps of a checkpoint of this fit."""
    with open(path, "rb") as file, torch.serialization.safe_globals(TYPES):
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            found, steps = content["fit"], content["steps"]
        except Exception as error:
            raise ValueError(
                f"checkpoint={path} cannot be read. Remove the file, or name another one. "
                f"{type(error).__name__}: {error}"
            ) from error
    if found != identity:
        raise ValueError(
            f"checkpoint={path} belongs to another fit: parameters or data differ. Remove the "
            "file, or name another one."
        )
    return steps


@contextmanager
def replace_atomically(path):
    """Yield a new binary file that replaces ``path`` if the block completes."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} exists and is no regular file. Give another name.")
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise
