"""The trainings of one fit: settings, the steps before and after training, predictions.

What "auto" stands for is a smooth function of the shape of X; for MNIST, widths are as in VaDE's
paper. N samples, E encoded features, K clusters, L code length.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA

from ..input.checks import check_answers
from ..nn.networks import check_widths
from ..nn.runtime import (
    BLOCK,
    building,
    draw_generator,
    isolated,
    map_rows,
    resolve_device,
    threads_by_size,
)
from ..training.loop import Rows, StepProgress, count_batches, epoch_table, train
from ..utils.progress import Progress
from .codes import (
    Autoencoder,
    CodeModel,
    end_squares,
    mixture_of_partition,
    partition_codes,
    start_as_pca,
    start_small,
)
from .start import Data, InitialPartition

#: Steps of networks that learn what the initial partition does not know, by augmentation or by
#: themselves, relative to those of others.
LONGER = 4
#: Width of the first hidden layer in the papers, for MNIST.
MNIST_WIDTH = 500
#: Minimum width of a hidden layer.
MIN_WIDTH = 128


# ---- what "auto" stands for


@dataclass(frozen=True)
class Recipe:
    """What a method says about its training."""

    #: Peak learning rate of a network whose first hidden layer has the papers' width.
    rate: float
    #: Training steps, in units of sqrt(N).
    steps: float
    #: Whether the networks of the model are pretrained as an autoencoder.
    pretrains: bool = False
    #: Whether the model is a GAN, which learns each cluster from nothing: the unit of its steps is
    #: K above sqrt(N).
    is_adversarial: bool = False
    #: Whether training changes the clusters, so that other versions of samples can teach them.
    learns_clusters: bool = True
    #: Whether each batch also has labeled samples of its own.
    draws_labeled: bool = False

    def count_steps(self, root, n_clusters, is_taught):
        """Return the number of training steps, ``root`` being sqrt(N).

        ``is_taught`` says whether there is more to learn than the initial partition.
        """
        unit = max(root, n_clusters) if self.is_adversarial else root
        is_longer = self.learns_clusters and is_taught
        return self.steps * unit * (LONGER if is_longer else 1)


@dataclass(frozen=True)
class Settings:
    """The numbers that a training needs, in place of each "auto"."""

    device: torch.device
    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float
    batch_size: int
    #: Number of steps in an epoch.
    n_batches: int
    pretraining_epochs: int
    max_epochs: int
    #: Whether encoder and decoder are the default perceptrons.
    has_perceptrons: bool
    #: Whether the autoencoder learns probabilities, such as those of pixels, by squared errors.
    learns_squares: bool
    draws_labeled: bool
    #: Other versions of the samples that teach the clusters, or None.
    augment: Any
    callbacks: list
    verbose: int

    @classmethod
    def choose(cls, parameters, recipe, data, initial, augment):
        """Return the settings of a fit with these parameters, a dict."""
        n_samples, n_features = data.X.shape
        root = sqrt(n_samples)
        finds_clusters = initial.resp is None
        learns_squares = finds_clusters and data.likelihood.name == "bernoulli"
        widths = choose_widths(parameters["hidden_layer_sizes"], n_samples, n_features)
        batch_size = choose_batch_size(parameters["batch_size"], n_samples)
        n_batches = count_batches(n_samples, batch_size)

        is_taught = finds_clusters or augment is not None
        n_steps = recipe.count_steps(root, initial.n_clusters, is_taught)
        pretraining_epochs = 0
        if recipe.pretrains or recipe.is_adversarial and finds_clusters:
            pretraining_epochs = choose_epochs(
                parameters.get("pretraining_epochs", 0),
                6 * root * (LONGER if learns_squares else 1),
                n_batches,
            )
        # The autoencoder of a GAN always has perceptrons.
        builders = ()
        if "encoder" in parameters:
            builders = "encoder", "decoder", "image_shape"
        return cls(
            device=resolve_device(parameters["device"]),
            hidden_layer_sizes=widths,
            learning_rate=choose_learning_rate(
                parameters["learning_rate"], recipe.rate, widths
            ),
            batch_size=batch_size,
            n_batches=n_batches,
            pretraining_epochs=pretraining_epochs,
            max_epochs=choose_epochs(parameters["max_epochs"], n_steps, n_batches),
            has_perceptrons=all(parameters.get(name) is None for name in builders),
            learns_squares=learns_squares,
            draws_labeled=recipe.draws_labeled,
            augment=augment if recipe.learns_clusters else None,
            callbacks=list(parameters["callbacks"] or ()),
            verbose=parameters["verbose"],
        )


def choose_widths(hidden_layer_sizes, n_samples, n_features):
    """Return the widths of the hidden layers for (N, D) samples.

    The number of weights of a layer, a product of two widths, is proportional to D and to the
    square root of N, up to the shape of MNIST.
    """
    if not isinstance(hidden_layer_sizes, str):
        return tuple(check_widths("hidden_layer_sizes", hidden_layer_sizes))
    features = min(n_features / 784, 1)
    samples = min(n_samples / 70_000, 1)
    share = sqrt(features) * samples**0.25
    width = max(round(MNIST_WIDTH * share), MIN_WIDTH)
    return width, width, 4 * width


def choose_batch_size(batch_size, n_samples):
    """Return the number of samples in a step, at most N."""
    if batch_size == "auto":
        batch_size = min(max(round(sqrt(n_samples)), 32), 256)
    return min(batch_size, n_samples)


def choose_learning_rate(learning_rate, rate, widths):
    """Return the peak learning rate, inversely proportional to the width.

    So the outputs of wide and narrow networks change equally in a step (G. Yang, E. J. Hu et
    al., "Tensor programs V", NeurIPS 2021).
    """
    if learning_rate != "auto":
        return learning_rate
    width = max(widths[0], MIN_WIDTH) if widths else MNIST_WIDTH
    return rate * MNIST_WIDTH / width


def choose_epochs(epochs, n_steps, n_batches):
    """Return the number of epochs that has at least ``n_steps`` steps."""
    if epochs != "auto":
        return epochs
    return max(1, ceil(n_steps / n_batches))


# ---- trainings


@dataclass
class Run:
    """One training from start to end; the best of ``n_init`` is kept."""

    model: torch.nn.Module
    #: The partition that this training began with.
    initial: InitialPartition
    history: list
    interrupted: bool
    score: float = -np.inf


@dataclass(frozen=True)
class Training:
    """What the trainings of one fit share, and their steps."""

    data: Data
    #: The partition that all trainings begin with, as far as it does not depend on codes.
    initial: InitialPartition
    settings: Settings
    random_state: np.random.RandomState
    progress: Progress

    @property
    def X(self):
        """The samples to train on, (N, E)."""
        return self.data.X

    def train(self, model, initial, *, rates=None, callbacks=(), **columns):
        """Train a model; return the :class:`Run`.

        Parameters
        ----------
        model : TrainableModel
            It is trained in place.
        initial : InitialPartition
            Its responsibilities are ``batch.initial``.
        rates : dict of str to float, default=None
            Relative learning rates by patterns of parameter names; None: ``model.rates``.
        callbacks : sequence of skorch callbacks, default=()
            For example one that computes a target of all samples before each epoch:
            ``on_epoch_begin`` gets the model, ``net.module_``, and the samples with their columns,
            ``dataset_train``.
        **columns : ndarray of shape (n_samples, ...)
            What the losses need of each sample, as ``batch.columns``.
        """
        settings = self.settings
        resp = initial.resp
        if resp is not None:
            resp = resp.astype(np.float32)
        rows = Rows(self.X, initial=resp, **columns)
        if settings.draws_labeled:
            rows.add_labeled(self.data.labels, draw_generator(self.random_state))
        history, interrupted = self._loop(
            "training",
            model,
            rows,
            settings.max_epochs,
            settings.learning_rate,
            rates=rates,
            callbacks=[*settings.callbacks, *callbacks],
            augment=settings.augment,
        )
        return Run(model, initial, history, interrupted)

    def train_from_mixture(self, model, callbacks=()):
        """Train a model of codes whose networks are pretrained; return the :class:`Run`.

        It begins with the mixture that is the M-step on the pretrained codes. Without an initial
        partition, the codes are clustered first.
        """
        self.pretrain(model.encoder, model.decoder, model.likelihood)
        moments = apply(model, model.mean_and_variance, self.X)
        codes, variances = np.split(moments, 2, axis=1)
        self.progress.begin("mixture")
        initial = self.initial
        rates = model.rates
        if initial.resp is None:
            # Clusters that nothing keeps are lost at the larger rate of a prior.
            rates = CodeModel.rates
            resp = partition_codes(codes, initial.n_clusters, self.random_state)
            initial = initial._replace(resp=resp)
        mixture = mixture_of_partition(codes, initial.resp, variances=variances)
        model.set_mixture(mixture)
        return self.train(model, initial, rates=rates, callbacks=callbacks)

    def pretrain(self, encoder, decoder, likelihood):
        """Train networks as an autoencoder, which is returned. Perceptrons begin as PCA."""
        settings = self.settings
        n_epochs = settings.pretraining_epochs
        begins_as_pca = settings.has_perceptrons
        learns_squares = settings.learns_squares and begins_as_pca and n_epochs > 0
        autoencoder = Autoencoder(encoder, decoder, likelihood, learns_squares)
        if learns_squares:
            with building():
                start_small(autoencoder.cpu())
        autoencoder.to(settings.device)
        if begins_as_pca and not learns_squares:
            self.start_as_pca(autoencoder)
        if n_epochs:
            _, interrupted = self._loop(
                "pretraining", autoencoder, Rows(self.X), n_epochs, rate=2e-3
            )
            if interrupted:
                raise KeyboardInterrupt
        if learns_squares:
            end_squares(decoder[-1])
        return autoencoder

    def start_as_pca(self, model):
        """Initialize encoder and decoder, perceptrons, to probabilistic PCA of the samples."""
        every = ceil(self.X.shape[0] / 4096)  # more samples change little
        x_std = apply(model, model.likelihood.standardize, self.X[::every])
        n_codes = model.decoder[0].in_features
        halves = [width // 2 for width in self.settings.hidden_layer_sizes]
        q = min(n_codes, *halves, x_std.shape[1], len(x_std) - 1)
        spread = float(x_std.var(0).mean())
        if q < 1 or not spread:
            return

        pca = PCA(q, random_state=0).fit(x_std)
        noise_variance = max(float(pca.noise_variance_), 0.01 * spread)
        arrays = (pca.mean_, pca.components_, pca.explained_variance_)
        options = {"dtype": torch.float32, "device": "cpu"}
        tensors = (torch.as_tensor(array, **options) for array in arrays)
        start_as_pca(model.cpu(), *tensors, noise_variance)
        model.to(self.settings.device)

    def _loop(self, phase, model, rows, n_epochs, rate, *, callbacks=(), **options):
        """Run the training loop; return the history, and whether the user interrupted it."""
        settings = self.settings
        self.progress.begin(phase, n_epochs * settings.n_batches)
        callbacks = [StepProgress(self.progress), *callbacks]
        if settings.verbose > 1:
            callbacks.append(epoch_table())
        with failures_explained(model):
            return train(
                model,
                rows,
                max_epochs=n_epochs,
                batch_size=settings.batch_size,
                learning_rate=rate,
                generator=draw_generator(self.random_state),
                callbacks=callbacks,
                **options,
            )


@contextmanager
def failures_explained(model):
    """Explain weights of a model that are not finite, and callbacks that read a missing loss."""
    failure = None
    try:
        yield
    except KeyError as error:
        if "was not found in history" not in str(error):
            raise
        raise ValueError(
            f"A callback reads a missing loss: {error.args[0]} There is no validation set. "
            "Have it monitor 'train_loss' or a term of history_."
        ) from error
    except RuntimeError as error:
        failure = error
    if not all(bool(p.isfinite().all()) for p in model.parameters()):
        raise FloatingPointError(
            "Training diverged: weights are not finite. Lower learning_rate, or scale the "
            "features."
        ) from failure
    if failure is not None:
        raise failure


# ---- predictions


def apply(model, function, X):
    """Apply a function to fixed blocks of X, so that no result depends on other samples.

    ValueError names the first sample whose result is not finite.
    """
    with isolated(), threads_by_size(model, BLOCK):
        device = next(model.parameters()).device
        return check_answers(map_rows(function, X, device), X)


def assign(model, X):
    """Return the most probable cluster of each sample, and its probability, (N,) each."""
    pairs = apply(model, model.assign_surely, X)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].copy()
