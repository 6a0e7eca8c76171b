"""Files from which a fit that was cut short goes on, and ends as if it never had been.

A fit is a sequence of steps: searches whose results are remembered, and trainings. The same call
takes the results of the steps that are over from the file, and goes on within the one that is not.
Results are arrays and numbers; no code is read from the file.
"""

import json
import os
import time
from dataclasses import is_dataclass
from functools import partial
from types import CodeType, FunctionType

import joblib
import numpy as np
import torch
from sklearn.utils import Bunch

from ._files import hash_content, parse_json, read_arrays, write_arrays
from ._init import Partition
from .engine.loop import describe_callbacks
from .engine.runtime import check_same, is_main_process
from .functional.gaussian import Mixture

#: Seconds between two states of a training.
INTERVAL = 60.0
#: Most rows whose values tell data sets apart.
HASHED_ROWS = 100_000
#: Parameters that make no difference to the result of a fit, but for active callbacks.
IDLE = {"verbose", "callbacks", "checkpoint"}
#: Tuples with names that results may be.
TUPLES = {"tuple": tuple, "Mixture": Mixture, "Partition": Partition}


class Checkpoint:
    """The steps of a fit, kept in a file; without a file nothing is kept.

    Parameters
    ----------
    path : str or path-like, default=None
    identity : str, default=""
        Tells calls of ``fit`` apart, see :func:`identify`.

    Raises
    ------
    ValueError
        When the file is that of another fit, or no checkpoint, or the path is no file's.
    """

    def __init__(self, path=None, identity=""):
        self.path, self.identity = path, identity
        self._steps, self._n_taken, self._written = [], 0, time.monotonic()
        if path is not None:
            name = os.fspath(path)
            if not name or "\0" in name or os.path.isdir(name):
                raise ValueError(f"checkpoint={name!r} should be the name of a file.")
            if os.path.exists(path):
                self._steps = _read(path, identity)
            check_same("checkpoint", len(self._steps))

    def remember(self, make, random_state):
        """Return the result of ``make``, which draws from a RandomState; that of the file, if any.

        The stream is then left in the state in which ``make`` left it.
        """
        if self.path is None:
            return make()
        step = self._take("result")
        if step is None:
            result = make()
            self._keep({"result": result, "stream": random_state.get_state()})
            return result
        random_state.set_state(step["stream"])
        return step["result"]

    def begin_training(self):
        """Return the state that the next training reached, None if it is yet to begin."""
        return None if self.path is None else self._take("weights")

    def is_due(self):
        """Whether the state of the training is to be written."""
        return self.path is not None and time.monotonic() - self._written >= INTERVAL

    def keep_training(self, state):
        """Write the state of the training that has begun, in place of an earlier one."""
        if self.path is not None:
            self._keep(state)

    def remove(self):
        """Remove the file: the fit is over."""
        if self.path is not None and is_main_process() and os.path.exists(self.path):
            os.remove(self.path)

    def _take(self, key):
        """Return the next step of the file, None behind its last one."""
        self._n_taken += 1
        if self._n_taken > len(self._steps):
            return None
        step = self._steps[self._n_taken - 1]
        if key not in step:
            raise ValueError(
                f"Step {self._n_taken} of checkpoint {self.path} is another than this fit's. "
                "Remove the file."
            )
        return step

    def _keep(self, step):
        """Put a step in the place of the one that was taken last, and write the file."""
        self._steps[self._n_taken - 1 :] = [step]
        if is_main_process():
            arrays = {}
            steps = json.dumps(_flatten(self._steps, "steps", arrays))
            content = {"format": "skdeepcluster.checkpoint", "fit": self.identity, "steps": steps}
            content["sha256"] = hash_content(steps, arrays)
            write_arrays(self.path, arrays, content)
        self._written = time.monotonic()


def identify(estimator, X, *others):
    """Return a text that differs between fits that could end differently.

    Of data of more than ``HASHED_ROWS`` rows so many evenly spaced ones are looked at.
    """
    params = estimator.get_params(deep=False)
    described = {name: _describe(value) for name, value in params.items() if name not in IDLE}
    if active := describe_callbacks(params.get("callbacks")):
        described["callbacks"] = _describe(active)
    rows = X[:: max(1, X.shape[0] // HASHED_ROWS)]
    digest = joblib.hash((described, X.shape, str(X.dtype), rows, others))
    return f"{type(estimator).__name__} {digest}"


def _describe(value, is_brought=False):
    """Return a parameter as what can be compared in another process.

    Two RandomStates are alike: a fit that was cut short has drawn from the one that it was given,
    and goes on with the state in the file. Functions among the values that a function has brought
    along, such as itself, are told apart by their names.
    """
    if isinstance(value, np.random.RandomState):
        return "stream"
    if isinstance(value, dict):
        return {name: _describe(v, is_brought) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_describe(v, is_brought) for v in value]
    if hasattr(value, "get_params"):
        return type(value).__name__, _describe(value.get_params(deep=False))
    if is_dataclass(value):  # RandomAffine, which is called, too
        return repr(value)
    return _describe_callable(value, is_brought) if callable(value) else value


def _describe_callable(value, is_brought):
    """Return the name of a function or class, with all that a function or a partial one is of."""
    if isinstance(value, partial):
        return "partial", *map(_describe, (value.func, value.args, value.keywords))
    name = getattr(value, "__qualname__", type(value).__name__)
    if is_brought or not isinstance(value, FunctionType):
        return name
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    brought = value.__defaults__, value.__kwdefaults__, cells
    return name, _describe_code(value.__code__), _describe(brought, is_brought=True)


def _describe_code(code):
    """Return the instructions, names and constants of a function's code."""
    constants = [_describe_code(c) if isinstance(c, CodeType) else c for c in code.co_consts]
    return code.co_code, code.co_names, constants


def _read(path, identity):
    """Return the steps of a checkpoint of this fit."""
    try:
        arrays, content = read_arrays(path)
        if content.get("format") != "skdeepcluster.checkpoint":
            raise ValueError("it holds no checkpoint")
        if hash_content(content.get("steps", ""), arrays) != content.get("sha256"):
            raise ValueError("it has changed since it was written")
        if content.get("fit") == identity:
            return _unflatten(parse_json(content["steps"]), arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"checkpoint={path} cannot be read: {error}. Remove the file.") from error
    raise ValueError(
        f"checkpoint={path} is of another fit: parameters or data differ. Repeat that fit, remove "
        "the file, or name another one; fits that run at the same time need a file each."
    )


def _flatten(value, place, arrays):
    """Return a value as JSON; its arrays are added to ``arrays`` by their path, ``place``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | torch.Tensor):
        is_tensor = isinstance(value, torch.Tensor)
        arrays[place] = value.detach().cpu().numpy() if is_tensor else value
        return {"tensor" if is_tensor else "array": place}
    if isinstance(value, dict):
        pairs = [[key, _flatten(v, f"{place}.{key}", arrays)] for key, v in value.items()]
        return {"dict": pairs, "bunch": isinstance(value, Bunch)}
    items = [_flatten(item, f"{place}.{i}", arrays) for i, item in enumerate(value)]
    return items if isinstance(value, list) else {"items": items, "kind": type(value).__name__}


def _unflatten(node, arrays):
    """Return the value of what :func:`_flatten` returned."""
    if isinstance(node, list):
        return [_unflatten(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        return torch.from_numpy(arrays[node["tensor"]])
    if "array" in node:
        return arrays[node["array"]]
    if "dict" in node:
        pairs = {key: _unflatten(value, arrays) for key, value in node["dict"]}
        return Bunch(**pairs) if node["bunch"] else pairs
    items, kind = _unflatten(node["items"], arrays), TUPLES[node["kind"]]
    return kind(items) if kind is tuple else kind(*items)
