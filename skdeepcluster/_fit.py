"""One call of ``fit``: its data and settings, and the samples that it trains on.

N samples, D features, K clusters.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse

from ._checkpoint import Checkpoint
from ._checks import check_sample_weight, repeat_rows
from ._init import NoInit, Partition
from ._settings import Settings
from .engine.data import count_batches, map_rows
from .engine.progress import Progress
from .engine.runtime import broadcast_object
from .neighbors.search import order_rows

#: Maximum size of X, in bytes, that is copied and sorted. Larger arrays are used in place.
MAX_ORDERED = 2**26


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

        They are standardized if features have scales of their own. Otherwise they are those of X,
        so that a clusterer finds the same partition as by itself.
        """
        if self.likelihood.standardizes:
            return map_rows(self.likelihood.standardize, self.X)
        return self.X.toarray() if sparse.issparse(self.X) else self.X

    def take(self, column):
        """Return the entries for the samples trained on of a column of the given samples."""
        return column if self.index is None else column[self.index]

    def search(self, name, make):
        """Return the result of a search, which draws from ``random_state``.

        Only the main process searches; a result in the checkpoint is reused.
        """
        self.progress.begin(name)
        make = partial(broadcast_object, make, self.random_state)
        return self.checkpoint.remember(make, self.random_state)


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
    chosen = chosen[order_rows(X[chosen])]
    if weight is None:
        return chosen
    return chosen[repeat_rows(weight[chosen], random_state, X.shape[0])]
