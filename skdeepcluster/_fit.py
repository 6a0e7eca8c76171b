"""One call of ``fit``: its data and settings, and a checkpoint to resume it from bit for bit.

N samples, D features, K clusters.
"""

import copy
import os
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, is_dataclass
from functools import partial
from typing import Any
from zipfile import BadZipFile, ZipFile

import joblib
import numpy as np
import torch
from scipy import sparse
from torch.nn.functional import one_hot

from ._checks import (
    check_answers,
    check_sample_weight,
    end_interrupted_member,
    misses_values,
)
from ._init import NoInit, Partition
from ._random import sample_systematically
from ._scaling import scale_features
from ._settings import Settings
from .engine.data import BLOCK, Rows, batches, count_batches, map_rows
from .engine.loop import KeepState, Progress, epoch_table, train
from .engine.runtime import (
    broadcast_object,
    current_process,
    draw_generator,
    is_main_process,
    isolated,
    threads_by_size,
)
from .functional.gaussian import Mixture
from .modules.codes import Autoencoder
from .modules.model import Augmentation
from .neighbors.search import order_rows

#: Maximum number of samples after repetition, as a multiple of the number of samples.
MOST_REPEATED = 10
#: Maximum size of X, in bytes, that is copied and sorted. Larger arrays are used in place.
MAX_ORDERED = 2**26
#: Peak learning rate of the autoencoder that pretrains networks.
PRETRAINING_RATE = 2e-3
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
        return (
            self._steps[self._n_taken - 1]
            if self._n_taken <= len(self._steps)
            else None
        )

    def is_due(self):
        """Return whether it is time to store the state of the training."""
        return self.path is not None and time.monotonic() - self._written >= INTERVAL

    def keep_training(self, state):
        """Store the state of the current training in place of an earlier one."""
        if self.path is not None:
            self._keep(
                copy.deepcopy(state)
            )  # a later training may change the same weights

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
    described = {
        name: _describe(value) for name, value in params.items() if name not in IDLE
    }
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
    return (
        getattr(value, "__qualname__", type(value).__name__)
        if callable(value)
        else value
    )


def _read(path, identity):
    """Return the steps of a checkpoint of this fit."""
    with open(path, "rb") as file, torch.serialization.safe_globals(TYPES):
        try:
            if ZipFile(file).testzip() is not None:  # torch does not compare checksums
                raise BadZipFile("A checksum is wrong.")
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
            found, steps = content["fit"], content["steps"]
            searches = [step for step in steps if "weights" not in step]
            # Beyond its 624 numbers, numpy's generator would read memory of others.
            if not all(
                "result" in s and 0 <= s["random_state"][2] <= 624 for s in searches
            ):
                raise ValueError("A step is incomplete.")
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


@dataclass(frozen=True)
class Fit:
    """The data and settings of one call of ``fit``."""

    #: Array, memory map or CSR matrix of the samples to train on, (N, D).
    X: Any
    #: The samples given to ``fit``, checked, and their indices in X, (N,), or None.
    X_given: Any
    index: np.ndarray | None
    #: Known clusters (N,), or a classifier's classes, -1 where unknown; None without any.
    labels: np.ndarray | None
    init: NoInit
    likelihood: torch.nn.Module
    random_state: np.random.RandomState
    checkpoint: Checkpoint
    progress: Progress
    augment: Augmentation | None = None
    #: Whether a table with a line per epoch is printed.
    is_tabulated: bool = False
    #: What samples are multiplied by before clusterers compare them, (D,), or None.
    factors: np.ndarray | None = None
    settings: Settings | None = None
    #: The initial partition; None if it is to be found in codes, or is the fitted model's own.
    partition: Partition | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def n_samples(self):
        """N."""
        return self.X.shape[0]

    @property
    def n_batches(self):
        """Number of steps in an epoch."""
        return count_batches(self.n_samples, self.settings.batch_size)

    def points(self):
        """Return the samples in which clusters are sought, (N, D).

        They are standardized if features have scales of their own, as NeighborClustering does, so
        that it finds the same partition by itself.
        """
        X = self.X.toarray() if sparse.issparse(self.X) else self.X
        return X if self.init.takes_given else scale_features(X, self.factors)

    def take(self, column):
        """Return the entries for the samples trained on of a column of the given samples."""
        return column if self.index is None else column[self.index]

    def blocks(self, labels):
        """Yield blocks of the samples with the one-hot labels (n, K) of clusters with samples."""
        own = torch.from_numpy(np.unique(labels, return_inverse=True)[1])
        n_clusters = int(own.max()) + 1
        for x, block in zip(batches(self.X, BLOCK), own.split(BLOCK), strict=True):
            yield x.to(self.device), one_hot(block.to(self.device), n_clusters)

    def anchor(self, partition):
        """Return what training is regularized toward, (N, K), float32, or None."""
        is_used = partition.anchor is not None and self.init.has_anchor
        return partition.anchor.astype(np.float32) if is_used else None

    def search(self, name, make):
        """Return the result of a search, which draws from ``random_state``.

        Only the main process searches; a result in the checkpoint is reused.
        """
        self.progress.begin(name)
        make = partial(broadcast_object, make, self.random_state)
        return self.checkpoint.remember(make, self.random_state)

    def train(self, phase, model, rows, *, max_epochs, callbacks=(), **options):
        """Run the training loop; return the history, and whether the user interrupted it."""
        self.progress.begin(phase, max_epochs * self.n_batches)
        callbacks = [self.progress, *callbacks]
        if self.is_tabulated:
            callbacks.append(epoch_table())
        if self.checkpoint.path is not None:
            callbacks.append(KeepState(self.checkpoint))
        with divergence_explained(model):
            history, interrupted = train(
                model,
                rows,
                max_epochs=max_epochs,
                batch_size=self.settings.batch_size,
                generator=draw_generator(self.random_state),
                augment=self.augment,
                bfloat16=self.settings.precision == "bfloat16",
                callbacks=callbacks,
                **options,
            )
        end_interrupted_member(interrupted)
        return history, interrupted

    def pretrain(self, encoder, decoder, likelihood):
        """Train networks as a denoising autoencoder, which is returned."""
        autoencoder = Autoencoder(encoder, decoder, likelihood).to(self.device)
        options = {
            "max_epochs": self.settings.pretraining_epochs,
            "learning_rate": PRETRAINING_RATE,
        }
        if self.train("pretraining", autoencoder, Rows(self.X), **options)[1]:
            raise KeyboardInterrupt
        return autoencoder


@dataclass
class Run:
    """One training from start to end; the best of ``n_init`` is kept."""

    model: torch.nn.Module
    history: list
    interrupted: bool
    start_labels: np.ndarray | None
    criterion: float = -np.inf


@contextmanager
def divergence_explained(model):
    """Raise FloatingPointError if the weights of a model that the block trains are not finite."""
    failure = None
    try:
        yield
    except RuntimeError as error:
        failure = error
    if not all(bool(p.isfinite().all()) for p in model.parameters()):
        raise FloatingPointError(
            "Training diverged: the weights of the model are not finite. Lower learning_rate, or "
            "scale the features to a common range."
        ) from failure
    if failure is not None:
        raise failure


def choose_samples(X, labels, sample_weight, random_state):
    """Return the indices of the samples to train on, repeated by weight, or None for all of X.

    Small data are sorted by values and labels (N,), so that neither their order matters nor
    whether samples are repeated or weighted.
    """
    weight = None if sample_weight is None else check_sample_weight(sample_weight, X)
    if X.data.nbytes > MAX_ORDERED:
        return None if weight is None else repeat_rows(weight, random_state, X.shape[0])
    chosen = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
    if labels is not None:
        chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    rows = np.nan_to_num(X[chosen]) if misses_values(X) else X[chosen]
    chosen = chosen[order_rows(rows)]
    if weight is None:
        return chosen
    return chosen[repeat_rows(weight[chosen], random_state, X.shape[0])]


def repeat_rows(weight, random_state, n_given):
    """Return indices (M,) that repeat each sample as often as its weight (N,) says.

    If some weights are fractions, or if their sum exceeds ``MOST_REPEATED * n_given``,
    ``n_given`` indices are sampled systematically.
    """
    if not (weight % 1).any() and weight.sum() <= MOST_REPEATED * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())


# ---- predictions


def apply(model, function, X):
    """Apply a function to fixed blocks of X, so that no result depends on other samples.

    ValueError names the first sample whose result is not finite.
    """
    with isolated(), threads_by_size(model, BLOCK):
        return check_answers(map_rows(function, X, next(model.parameters()).device), X)


def assign(model, X):
    """Return the most probable cluster of each sample, and its probability, (N,) each."""
    found = apply(model, model.assign_surely, X)
    return found[:, 0].astype(np.int64), found[:, 1].copy()
