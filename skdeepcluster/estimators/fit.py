"""The values of one call of ``fit``: its samples, and what its trainings share.

N samples, D features, K clusters.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from ..input.checks import check_sample_weight, misses_values
from ..input.distinct import order_rows
from ..input.random import sample_systematically
from ..input.tables import scale_features
from ..modules.codes import Autoencoder
from ..modules.likelihood import Likelihood
from ..modules.model import Augmentation
from ..neighbors.augmented import scale_augment
from ..training.checkpoint import Checkpoint
from ..training.loop import Progress, epoch_table, train
from ..training.runtime import Rows, count_batches, draw_generator
from ..training.settings import Settings
from .start import NeighborClustering, Start

#: Maximum size of X, in bytes, that is copied and sorted. Larger arrays are used in place.
MAX_ORDERED = 2**26
#: Maximum number of samples after repetition, as a multiple of the number of samples.
MOST_REPEATED = 10
#: Peak learning rate of the autoencoder that pretrains networks.
PRETRAINING_RATE = 2e-3


@dataclass(frozen=True)
class Data:
    """The samples given to ``fit``, and the selection to train on."""

    #: Array, memory map or CSR matrix of all given samples, checked.
    X_given: Any
    #: The samples to train on, (N, D), and their indices in X_given, (N,), or None for all.
    X: Any
    index: np.ndarray | None
    #: Known clusters or classes (N,), -1 where unknown; None without any.
    labels: np.ndarray | None
    #: What samples are multiplied by before clusterers compare them, (D,), or None.
    factors: np.ndarray | None = None

    def take(self, column):
        """Return the entries of a column of the given samples that are trained on."""
        return column if self.index is None else column[self.index]

    def fill(self, own, others):
        """Return a column of the given samples from those trained on, or None without any.

        ``others`` (N,) has the values of the samples that are not trained on.
        """
        if own is None or self.index is None:
            return own
        column = others.copy()
        column[self.index] = own
        return column

    def compared_by(self, init):
        """Return the samples as ``init`` compares them, (N, D), dense.

        They are standardized if features have scales of their own, as NeighborClustering
        does, so that it finds the same partition by itself.
        """
        X = self.X.toarray() if sparse.issparse(self.X) else self.X
        is_ours = isinstance(init, NeighborClustering)
        takes_given = is_ours and init.metric != "euclidean"
        return X if takes_given else scale_features(X, self.factors)

    def augment_of(self, augment):
        """Return the augmentation of samples as clusterers compare them, or None."""
        return scale_augment(augment, self.factors)


@dataclass(frozen=True)
class Fit:
    """What the trainings of one call of ``fit`` share."""

    data: Data
    start: Start
    #: The likelihood, which each model copies.
    likelihood: Likelihood
    settings: Settings
    device: torch.device
    random_state: np.random.RandomState
    augment: Augmentation | None
    progress: Progress
    #: Whether a table with a line per epoch is printed.
    is_tabulated: bool
    checkpoint: Checkpoint | None

    @property
    def X(self):
        """The samples to train on, (N, D)."""
        return self.data.X

    @property
    def n_batches(self):
        """Number of steps in an epoch."""
        return count_batches(self.X.shape[0], self.settings.batch_size)

    def train(self, phase, model, rows, max_epochs, learning_rate, callbacks=()):
        """Run the training loop; return the history, and whether the user interrupted it."""
        self.progress.begin(phase, max_epochs * self.n_batches)
        callbacks = [self.progress, *callbacks]
        if self.is_tabulated:
            callbacks.append(epoch_table())
        if self.checkpoint is not None:
            callbacks.append(self.checkpoint)

        with divergence_explained(model):
            history, interrupted = train(
                model,
                rows,
                max_epochs=max_epochs,
                batch_size=self.settings.batch_size,
                learning_rate=learning_rate,
                generator=draw_generator(self.random_state),
                augment=self.augment,
                bfloat16=self.settings.precision == "bfloat16",
                callbacks=callbacks,
            )
        return history, interrupted

    def pretrain(self, encoder, decoder, likelihood):
        """Train networks as a denoising autoencoder, which is returned."""
        autoencoder = Autoencoder(encoder, decoder, likelihood).to(self.device)
        n_epochs = self.settings.pretraining_epochs
        rows = Rows(self.X)
        _, interrupted = self.train(
            "pretraining", autoencoder, rows, n_epochs, PRETRAINING_RATE
        )
        if interrupted:
            raise KeyboardInterrupt
        return autoencoder


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


# ---- the choice of samples


def choose_samples(X, labels, sample_weight, random_state):
    """Return the indices of the samples to train on, repeated by weight, or None for all of X.

    Small data are sorted by values and labels (N,), so that results depend neither on the order
    of the samples nor on whether they are repeated or weighted.
    """
    weight = None if sample_weight is None else check_sample_weight(sample_weight, X)
    if X.data.nbytes > MAX_ORDERED:
        if weight is None:
            return None
        return repeat_rows(weight, random_state, X.shape[0])

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
    are_counts = not (weight % 1).any()
    if are_counts and weight.sum() <= MOST_REPEATED * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())
