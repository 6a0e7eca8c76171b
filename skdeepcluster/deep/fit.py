"""The values of one call of ``fit``: its samples, what its trainings share, the trainings.

What "auto" stands for is a smooth function of the shape of X; for MNIST, widths are as in VaDE's
paper. N samples, E encoded features, K clusters.
"""

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.decomposition import PCA

from ..functional.losses import mutual_information
from ..input.checks import (
    check_answers,
    check_enough,
    check_sample_weight,
    sample_systematically,
    warn_user,
)
from ..input.distinct import order_rows
from ..input.labels import Known
from ..input.parameters import draw_seed, read_n_clusters
from ..input.preparation import Preparation, Prepared
from ..input.progress import Progress
from ..nn.augmentation import check_versions
from ..nn.likelihood import Likelihood, choose_likelihood
from ..nn.networks import check_widths
from ..nn.runtime import (
    BLOCK,
    building,
    draw_generator,
    forked,
    isolated,
    map_rows,
    resolve_device,
    seeded,
    threads_by_size,
    to_tensor,
)
from ..training.checkpoint import Checkpoint
from ..training.loop import (
    Rows,
    StepProgress,
    count_batches,
    epoch_table,
    train,
)
from .codes import (
    Autoencoder,
    CodeModel,
    end_squares,
    start_as_pca,
    start_small,
)
from .start import (
    InitialPartition,
    find_temperature,
    is_own,
    mixture_of_partition,
    partition_codes,
)

#: Parameters that build networks.
BUILDERS = ("encoder", "decoder", "generator", "discriminator")
#: Maximum size of X, in bytes, that is copied and sorted. Larger arrays are used in place.
MAX_ORDERED = 2**26
#: Maximum number of samples after repetition, as a multiple of the number of samples.
MOST_REPEATED = 10
#: Maximum number of samples whose principal components initialize networks.
PCA_SAMPLES = 4096
#: Minimum noise variance of probabilistic PCA, relative to the mean variance of the features.
MIN_NOISE = 0.01
#: Peak learning rate of the autoencoder that pretrains networks.
PRETRAINING_RATE = 2e-3
#: Pretraining steps, in units of sqrt(N).
PRETRAINING_STEPS = 6.0
#: Steps of networks that learn what their start does not know, by augmentation or by themselves,
#: relative to those of others.
LONGER = 4
#: Maximum number of samples that evidence for clusters is taken from.
MAX_WEIGHED = 1000
#: Number of samples of MNIST.
MNIST_SAMPLES = 70_000
#: Number of features of MNIST.
MNIST_FEATURES = 784
#: Width of the first hidden layer for MNIST in the papers.
MNIST_WIDTH = 500
#: Width of the third hidden layer, relative to the first.
THIRD = 4
#: Minimum width of a hidden layer.
MIN_WIDTH = 128
#: Minimum batch size.
MIN_BATCH = 32
#: Maximum batch size.
MAX_BATCH = 256


@dataclass(frozen=True)
class Data:
    """The samples given to ``fit``, and the selection to train on."""

    #: How X becomes numbers, and how clusterers compare them.
    preparation: Preparation
    #: Array, memory map or CSR matrix of all given samples, encoded, (N, E).
    X_given: Any
    #: The samples to train on, and their indices in X_given, or None for all.
    X: Any
    index: np.ndarray | None
    #: Clusters or classes that the user knows, of all given samples.
    known: Known

    @property
    def labels(self):
        """Known clusters (N,) of the samples to train on, -1 where unknown; None without any."""
        labels = self.known.labels
        return labels if labels is None else self.take(labels)

    def take(self, column):
        """Return the entries of a column of the given samples that are trained on."""
        return column if self.index is None else column[self.index]

    def fill(self, chosen, default):
        """Return a column of the given samples from those trained on, or None without any.

        ``default`` (N,) has the values of the samples that are not trained on.
        """
        if chosen is None or self.index is None:
            return chosen
        column = default.copy()
        column[self.index] = chosen
        return column

    @cached_property
    def prepared(self):
        """The samples to train on, :class:`Prepared` for clusterers, dense."""
        points = self.preparation.fit_compare(self.X)
        if sparse.issparse(points):
            points = points.toarray()
        return Prepared(points, self.preparation)


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
class Fit:
    """What the trainings of one call of ``fit`` share."""

    #: The estimator with plain numbers as parameters, and what it chose for "auto".
    estimator: Any
    data: Data
    #: The likelihood, which each model copies.
    likelihood: Likelihood
    #: The partition that all trainings begin with, as far as it does not depend on codes.
    initial: InitialPartition
    random_state: np.random.RandomState
    progress: Progress
    checkpoint: Checkpoint | None

    @property
    def device(self):
        """The device of the networks."""
        return torch.device(self.estimator.device_)

    @property
    def X(self):
        """The samples to train on, (N, D)."""
        return self.data.X

    @property
    def n_batches(self):
        """Number of steps in an epoch."""
        return count_batches(self.X.shape[0], self.estimator.batch_size_)

    def train(self, model, initial, callbacks=(), **columns):
        """Train a model, whose losses may need other columns (N, ...); return the :class:`Run`.

        ``callbacks`` are skorch's, such as one that computes a target of all samples before each
        epoch: ``on_epoch_begin`` gets the model, ``net.module_``, and the samples with their
        columns, ``dataset_train``.
        """
        estimator = self.estimator
        augment = None
        before = {}
        if estimator._learns_clusters:
            augment = estimator.augment_
            before = weigh_clusters(model, self.X, augment)
        rows = Rows(self.X, anchor=initial.target, **columns)
        if estimator._draws_labeled:
            rows.add_labeled(self.data.labels, draw_generator(self.random_state))
        history, interrupted = self._loop(
            "training",
            model,
            rows,
            estimator.max_epochs_,
            estimator.learning_rate_,
            [*(estimator.callbacks or ()), *callbacks],
            augment,
        )
        if history and before:
            history[0] |= {f"{name}_before": value for name, value in before.items()}
            history[-1] |= weigh_clusters(model, self.X, augment)
        return Run(model, initial, history, interrupted)

    def _loop(
        self,
        phase,
        model,
        rows,
        max_epochs,
        learning_rate,
        callbacks=(),
        augment=None,
    ):
        """Run the training loop; return the history, and whether the user interrupted it."""
        estimator = self.estimator
        self.progress.begin(phase, max_epochs * self.n_batches)
        callbacks = [StepProgress(self.progress), *callbacks]
        if estimator.verbose > 1:
            callbacks.append(epoch_table())
        if self.checkpoint is not None:
            callbacks.append(self.checkpoint)
        with divergence_explained(model):
            return train(
                model,
                rows,
                max_epochs=max_epochs,
                batch_size=estimator.batch_size_,
                learning_rate=learning_rate,
                generator=draw_generator(self.random_state),
                augment=augment,
                callbacks=callbacks,
            )

    # ---- before a training

    def start_as_pca(self, model):
        """Initialize encoder and decoder, perceptrons, to probabilistic PCA of the samples."""
        every = -(-self.X.shape[0] // PCA_SAMPLES)
        x_std = apply(model, model.likelihood.standardize, self.X[::every])
        n_codes = model.decoder[0].in_features
        halves = [width // 2 for width in self.estimator.hidden_layer_sizes_]
        q = min(n_codes, *halves, x_std.shape[1], len(x_std) - 1)
        spread = float(x_std.var(0).mean())
        if q < 1 or not spread:
            return

        pca = PCA(q, random_state=0).fit(x_std)
        noise_variance = max(float(pca.noise_variance_), MIN_NOISE * spread)
        arrays = (pca.mean_, pca.components_, pca.explained_variance_)
        options = {"dtype": torch.float32, "device": "cpu"}
        tensors = (torch.as_tensor(array, **options) for array in arrays)
        start_as_pca(model.cpu(), *tensors, noise_variance)
        model.to(self.device)

    def pretrain(self, encoder, decoder, likelihood, are_perceptrons=True):
        """Train networks as an autoencoder, which is returned. Perceptrons begin as PCA."""
        n_epochs = self.estimator.pretraining_epochs_
        is_plain = are_perceptrons and n_epochs > 0
        squares = is_plain and learns_squares(self.estimator, likelihood)
        autoencoder = Autoencoder(encoder, decoder, likelihood, squares)
        if squares:
            with building():
                start_small(autoencoder.cpu())
        autoencoder.to(self.device)
        if are_perceptrons and not squares:
            self.start_as_pca(autoencoder)
        if n_epochs:
            _, interrupted = self._loop(
                "pretraining", autoencoder, Rows(self.X), n_epochs, PRETRAINING_RATE
            )
            if interrupted:
                raise KeyboardInterrupt
        if squares:
            end_squares(decoder[-1])
        return autoencoder

    def begin_with_mixture(self, model):
        """Pretrain a model of codes, and set its mixture; return the partition it begins with.

        The mixture is the M-step on the pretrained codes. With ``init="own"`` they are clustered
        first.
        """
        are_perceptrons = self.estimator._has_perceptrons()
        self.pretrain(model.encoder, model.decoder, model.likelihood, are_perceptrons)
        moments = apply(model, model.mean_and_variance, self.X)
        codes, variances = np.split(moments, 2, axis=1)
        self.progress.begin("mixture")
        initial = self.initial
        resp = initial.resp
        if resp is None:
            # Clusters that nothing keeps are lost at the larger rate of a prior.
            model.rates = CodeModel.rates
            resp = partition_codes(codes, initial.n_clusters, self.random_state)
            initial = initial._replace(labels=resp.argmax(1), resp=resp)
        model.set_mixture(mixture_of_partition(codes, resp, variances=variances))
        return initial


def weigh_clusters(model, X, augment):
    """Return evidence for the clusters of a model, from some samples without labels, by names.

    "information" is the mutual information between samples and clusters, in nats, "agreement" the
    share of samples whose other versions, by ``augment``, are of their cluster.
    """
    model.eval()
    some = X[:: -(-X.shape[0] // MAX_WEIGHED)]
    log_p = apply(model, model.log_resp, some)
    evidence = {"information": measure_information(log_p)}
    if augment is not None:
        x = to_tensor(some)
        with forked(0):
            moved = augment(x)
        check_versions(x, moved)
        is_same = assign(model, moved.detach().numpy())[0] == log_p.argmax(1)
        evidence["agreement"] = float(is_same.mean())
    return evidence


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
            "Training diverged: weights are not finite. Lower learning_rate, or scale the "
            "features."
        ) from failure
    if failure is not None:
        raise failure


# ---- trainings


def train_best(fit):
    """Train ``n_init`` times; return the :class:`Run` with the highest mean score."""
    estimator = fit.estimator
    n_epochs = estimator.max_epochs_ + getattr(estimator, "pretraining_epochs_", 0)
    fit.progress.plan(estimator.n_init * n_epochs * fit.n_batches)
    # Networks and augmentations of the user draw by themselves.
    is_own = takes_builders(estimator) or estimator.augment is not None
    drawing = forked if is_own else seeded
    runs = []
    for _ in range(estimator.n_init):
        with drawing(draw_seed(fit.random_state)):
            run = _train_once(fit)
        runs.append(run)
        if run.interrupted:
            warn_user(
                f"Training was interrupted after {len(run.history)} epochs. The estimator holds "
                "what was learned so far."
            )
            break
    return max(runs, key=lambda run: run.score)


def takes_builders(estimator):
    """Return whether functions of the user build networks."""
    return any(vars(estimator).get(name) is not None for name in BUILDERS)


def _train_once(fit):
    """Build, train and calibrate one model."""
    estimator = fit.estimator
    with building():
        model = estimator._build(
            fit.X.shape[1],
            fit.initial.n_clusters,
            estimator.hidden_layer_sizes_,
            copy.deepcopy(fit.likelihood),
        )
    run = estimator._train(model.to(fit.device), fit)
    fit.progress.begin("predictions")
    if run.initial.calibrated is not None:
        log_resp = apply(model, model.log_resp, fit.X).astype(np.float64)
        model.temperature.fill_(find_temperature(log_resp, run.initial.calibrated))
    if estimator.n_init > 1:
        run.score = float(np.mean(apply(model, model.score, fit.X)))
    return run


# ---- predictions


def apply(model, function, X):
    """Apply a function to fixed blocks of X, so that no result depends on other samples.

    ValueError names the first sample whose result is not finite.
    """
    with isolated(), threads_by_size(model, BLOCK):
        device = next(model.parameters()).device
        return check_answers(map_rows(function, X, device), X)


def measure_information(log_p):
    """Return the mutual information between samples and clusters, of log p(k | x), (N, K)."""
    log_p = torch.as_tensor(log_p, device="cpu").double()
    return float(mutual_information(log_p))


def assign(model, X):
    """Return the most probable cluster of each sample, and its probability, (N,) each."""
    pairs = apply(model, model.assign_surely, X)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].copy()


# ---- the choice of samples


def choose_samples(preparation, X, known, sample_weight, random_state):
    """Return the :class:`Data`: the samples to train on, repeated by weight, or all of X.

    Small data are sorted by values and labels (N,), so that results depend neither on the order
    of the samples nor on whether they are repeated or weighted.
    """
    weight = sample_weight
    if weight is not None:
        weight = check_sample_weight(weight, X)
    has_gaps = preparation.has_gaps_
    index = _order_samples(X, has_gaps, known.labels, weight, random_state)
    chosen = X if index is None else X[index]
    least = read_n_clusters(known.n_clusters).lowest
    check_enough(chosen.shape[0], least, index is not None)
    return Data(preparation, X, chosen, index, known)


def _order_samples(X, has_gaps, labels, weight, random_state):
    """Return the indices of the samples to train on, or None for all of X."""
    if X.data.nbytes > MAX_ORDERED:
        if weight is None:
            return None
        return repeat_rows(weight, random_state, X.shape[0])

    chosen = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
    if labels is not None:
        chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    rows = np.nan_to_num(X[chosen]) if has_gaps else X[chosen]
    chosen = chosen[order_rows(rows)]
    if weight is None:
        return chosen
    return chosen[repeat_rows(weight[chosen], random_state, X.shape[0])]


def scale_samples(estimator, data):
    """Return the likelihood of the samples, and scale the preparation likewise."""
    preparation = data.preparation
    groups = preparation.groups_
    standardize = estimator.standardize
    if preparation.is_table:
        standardize = bool(standardize)
    with torch.device("cpu"):
        likelihood, features = choose_likelihood(
            estimator.likelihood, standardize, data.X, groups
        )
    if not groups:
        standardize = likelihood.standardizes
    layout = None if groups else getattr(likelihood, "layout", None)
    columns = layout and layout["gaussian"]
    if preparation.metric != "euclidean":
        standardize = False
    preparation.fit_scale(
        data.X, standardize=standardize, columns=columns, features=features
    )
    return likelihood


def repeat_rows(weight, random_state, n_given):
    """Return indices (M,) that repeat each sample as often as its weight (N,) says.

    If some weights are fractions, or if their sum exceeds ``MOST_REPEATED * n_given``,
    ``n_given`` indices are sampled systematically.
    """
    are_counts = not (weight % 1).any()
    if are_counts and weight.sum() <= MOST_REPEATED * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())


# ---- what "auto" stands for


def learns_squares(estimator, likelihood):
    """Return whether a network by itself encodes probabilities, such as those of pixels."""
    return is_own(estimator.init) and likelihood.name == "bernoulli"


def choose_settings(estimator, shape, initial, likelihood):
    """Set the fitted attributes of an estimator that training on (N, E) samples needs."""
    n_samples, n_features = shape
    estimator.device_ = str(resolve_device(estimator.device))
    widths = choose_widths(estimator.hidden_layer_sizes, n_samples, n_features)
    estimator.hidden_layer_sizes_ = widths
    estimator.learning_rate_ = choose_learning_rate(estimator, widths)

    root = sqrt(n_samples)
    batch_size = estimator.batch_size
    if batch_size == "auto":
        batch_size = min(max(round(root), MIN_BATCH), MAX_BATCH)
    estimator.batch_size_ = min(batch_size, n_samples)
    n_batches = count_batches(n_samples, estimator.batch_size_)

    unit = max(root, initial.n_clusters) if estimator._is_adversarial else root
    n_steps = estimator._steps * unit
    has_more = estimator.augment_ is not None or is_own(estimator.init)
    if estimator._learns_clusters and has_more:
        n_steps *= LONGER
    estimator.max_epochs_ = choose_epochs(estimator.max_epochs, n_steps, n_batches)
    if estimator._pretrains or initial.pretrains:
        epochs = estimator.pretraining_epochs
        n_steps = PRETRAINING_STEPS * root
        if learns_squares(estimator, likelihood):
            n_steps *= LONGER
        estimator.pretraining_epochs_ = choose_epochs(epochs, n_steps, n_batches)
    elif "pretraining_epochs" in vars(estimator):
        estimator.pretraining_epochs_ = 0


def choose_widths(hidden_layer_sizes, n_samples, n_features):
    """Return the widths of the hidden layers for (N, D) samples.

    The number of weights of a layer, a product of two widths, is proportional to D and to the
    square root of N, up to the shape of MNIST.
    """
    if not isinstance(hidden_layer_sizes, str):
        return tuple(check_widths("hidden_layer_sizes", hidden_layer_sizes))
    features = min(n_features / MNIST_FEATURES, 1)
    samples = min(n_samples / MNIST_SAMPLES, 1)
    share = sqrt(features) * samples**0.25
    width = max(round(MNIST_WIDTH * share), MIN_WIDTH)
    return width, width, THIRD * width


def choose_learning_rate(estimator, widths):
    """Return the peak learning rate, inversely proportional to the width.

    So the outputs of wide and narrow networks change equally in a step (G. Yang, E. J. Hu et
    al., "Tensor programs V", NeurIPS 2021).
    """
    if estimator.learning_rate != "auto":
        return estimator.learning_rate
    width = max(widths[0], MIN_WIDTH) if widths else MNIST_WIDTH
    return estimator._rate * MNIST_WIDTH / width


def choose_epochs(epochs, n_steps, n_batches):
    """Return the number of epochs that has at least ``n_steps`` steps."""
    if epochs != "auto":
        return epochs
    return max(1, ceil(n_steps / n_batches))
