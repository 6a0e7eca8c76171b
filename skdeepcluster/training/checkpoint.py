"""Checkpoints: files that let the trainings of a fit resume bit for bit."""

import copy
import hashlib
import os
import threading
import time
from contextlib import suppress
from dataclasses import is_dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback

from ..input.files import check_regular, replace_atomically
from .loop import Net

#: Seconds between two states of a training.
SECONDS_BETWEEN = 60.0
#: Maximum number of samples whose values identify the data.
HASHED_ROWS = 100_000
#: Parameters that may differ when a fit is resumed.
IDLE = {"verbose", "callbacks", "checkpoint"}
#: Types that a file may contain besides tensors and plain data.
TYPES: list[Any] = [
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["All"]},
    np.empty(0).__reduce__()[0],  # what makes arrays
    np.float64(0).__reduce__()[0],  # what makes numbers
]
#: Number of bytes of the checksum, SHA-256, with which a file ends.
DIGEST_SIZE = 32
#: torch's list of safe types belongs to the process, whose threads read one after the other.
READING = threading.Lock()


class Checkpoint(Callback):
    """Keeps the states of a fit's trainings in a file; the last callback of each training.

    The file also has the random state that the fit began with: if the file exists,
    ``random_state`` is set to it, and the fit repeats what it did before the training that
    was interrupted.
    """

    def __init__(
        self,
        estimator: Any,
        data: tuple[Any, ...],
        random_state: np.random.RandomState,
    ) -> None:
        # Where a link leads, the file is written and removed.
        self.path = path = os.path.realpath(estimator.checkpoint)
        self.identity = identify(estimator, *data)
        self._trainings: list[dict[str, Any]] = []
        self._n_begun = 0
        self._written = time.monotonic()
        check_regular(path)
        with suppress(FileNotFoundError):  # another fit may remove it at any time
            stored = _read(path, self.identity)
            self._trainings = stored["trainings"]
            random_state.set_state(stored["random_state"])
        self._random_state = random_state.get_state()

    def on_train_begin(self, net: Net, *_: Any, **__: Any) -> None:
        """Restore the state of the training, if there is one."""
        self._n_begun += 1
        if self._n_begun <= len(self._trainings):
            net.set_state(self._trainings[self._n_begun - 1])

    def on_epoch_end(self, net: Net, **_: Any) -> None:
        """Keep the state, if it is due."""
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            self._keep(net.get_state())

    def on_train_end(self, net: Net, *_: Any, **__: Any) -> None:
        """Keep the state at the end of a training that the user has not interrupted."""
        if not net.interrupted and not net.is_over:
            self._keep(net.get_state(is_over=True))

    def remove(self) -> None:
        """Remove the file at the end of the fit."""
        Path(self.path).unlink(missing_ok=True)

    def _keep(self, state: dict[str, Any]) -> None:
        """Replace the state of the current training, and write the file."""
        # A copy, because a later training may change the same weights.
        self._trainings[self._n_begun - 1 :] = [copy.deepcopy(state)]
        content = {
            "fit": self.identity,
            "random_state": self._random_state,
            "trainings": self._trainings,
        }
        # torch hides what a full disk answers.
        torch.save(content, buffer := BytesIO())
        with replace_atomically(self.path) as file:
            file.write(buffer.getbuffer())
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
        self._written = time.monotonic()


def _read(path: Any, identity: str) -> dict[str, Any]:
    """Return the content of a checkpoint of this fit."""
    stored = Path(path).read_bytes()
    with READING, torch.serialization.safe_globals(TYPES):
        try:
            written = stored[:-DIGEST_SIZE]
            if hashlib.sha256(written).digest() != stored[-DIGEST_SIZE:]:
                raise ValueError("The checksum is wrong.")
            content = torch.load(BytesIO(written), "cpu", weights_only=True)
            # Few keys, or a position above 624, make numpy read out of bounds.
            _, keys, position, *_ = content["random_state"]
            if np.shape(keys) != (624,) or not 0 <= position <= 624:
                raise ValueError("The random state is damaged.")
            np.random.RandomState().set_state(content["random_state"])
            if not all("weights" in state for state in content["trainings"]):
                raise ValueError("A training is incomplete.")
        except Exception as error:
            raise ValueError(
                f"checkpoint={path} cannot be read. Remove the file, or name another one. "
                f"{type(error).__name__}: {error}"
            ) from error
    if content["fit"] != identity:
        raise ValueError(
            f"checkpoint={path} belongs to another fit: parameters or data differ. Remove it, "
            "or name another file."
        )
    return content


# ---- the identity of a fit


def identify(estimator: Any, X: Any, labels: Any, sample_weight: Any) -> str:
    """Return a text that identifies a fit by its parameters and data."""
    params = estimator.get_params(deep=False)
    described = {
        name: _describe(value) for name, value in params.items() if name not in IDLE
    }
    samples = X[:: max(1, X.shape[0] // HASHED_ROWS)]
    digest = joblib.hash(
        (described, X.shape, str(X.dtype), samples, (labels, sample_weight))
    )
    return f"{type(estimator).__name__} {digest}"


def _describe(value: Any) -> Any:
    """Return a parameter as data that are equal in another process; functions by name."""
    if isinstance(value, np.random.RandomState):
        return "RandomState"
    if isinstance(value, partial):
        return _describe(value.func), value.args, value.keywords
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False).items()
        return type(value).__name__, {name: _describe(param) for name, param in params}
    if is_dataclass(value):  # an augmentation
        return repr(value)
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    return value
