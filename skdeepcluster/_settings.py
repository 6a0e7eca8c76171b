"""Settings of a training: what "auto" stands for, chosen once at the beginning of a fit.

Every rule is a smooth function of the shape of X and has the papers' values for MNIST.
"""

from dataclasses import asdict, dataclass
from math import ceil, sqrt

from .engine.data import count_batches
from .engine.runtime import resolve_precision
from .modules.networks import check_widths

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
#: Minimum and maximum batch size.
BATCH_SIZES = 32, 256


@dataclass(frozen=True)
class Recipe:
    """What a method's settings are computed from."""

    #: Peak learning rate of a network whose first hidden layer has the papers' width.
    rate: float
    #: Training steps, in units of sqrt(N).
    steps: float
    #: Pretraining steps, in units of sqrt(N).
    pretraining_steps: float = 6.0
    #: Whether the unit of the training steps is K if this is larger than sqrt(N): networks
    #: without a mixture of codes learn each cluster from nothing.
    counts_clusters: bool = False


@dataclass(frozen=True)
class Settings:
    """Settings of a training; each becomes a fitted attribute."""

    hidden_layer_sizes: tuple[int, ...]
    batch_size: int
    max_epochs: int
    learning_rate: float
    pretraining_epochs: int
    device: str
    precision: str

    def attributes(self):
        """Return the fitted attributes, by name."""
        return {f"{name}_": value for name, value in asdict(self).items()}


def choose_settings(estimator, shape, n_clusters, device, pretrains):
    """Return the :class:`Settings` of an estimator for (N, D) samples and K clusters.

    A fit that continues keeps its widths.
    """
    n_samples, recipe = shape[0], estimator._recipe
    sizes = getattr(estimator, "hidden_layer_sizes_", estimator.hidden_layer_sizes)
    widths = choose_widths(sizes, *shape)
    batch_size = choose_batch_size(estimator.batch_size, n_samples)
    n_batches, root = count_batches(n_samples, batch_size), sqrt(n_samples)
    unit = max(root, n_clusters) if recipe.counts_clusters else root
    epochs = 0
    if pretrains:
        steps = recipe.pretraining_steps * root
        epochs = choose_epochs(estimator.pretraining_epochs, steps, n_batches)
    return Settings(
        hidden_layer_sizes=widths,
        batch_size=batch_size,
        max_epochs=choose_epochs(estimator.max_epochs, recipe.steps * unit, n_batches),
        learning_rate=choose_learning_rate(estimator.learning_rate, recipe, widths),
        pretraining_epochs=epochs,
        device=str(device),
        precision=resolve_precision(estimator.precision, device),
    )


def choose_widths(hidden_layer_sizes, n_samples, n_features):
    """Return the widths of the hidden layers for (N, D) samples.

    The number of weights of a layer, a product of two widths, is proportional to D and to the
    square root of N, up to those of MNIST.
    """
    if not isinstance(hidden_layer_sizes, str):
        return tuple(check_widths("hidden_layer_sizes", hidden_layer_sizes))
    share = sqrt(min(n_features / MNIST_FEATURES, 1)) * min(n_samples / MNIST_SAMPLES, 1) ** 0.25
    width = max(round(MNIST_WIDTH * share), MIN_WIDTH)
    return width, width, THIRD * width


def choose_batch_size(batch_size, n_samples):
    """Return the batch size: sqrt(N) within ``BATCH_SIZES``, at most N."""
    if batch_size == "auto":
        batch_size = min(max(round(sqrt(n_samples)), BATCH_SIZES[0]), BATCH_SIZES[1])
    return min(batch_size, n_samples)


def choose_learning_rate(learning_rate, recipe, widths):
    """Return the peak learning rate, inversely proportional to the width.

    So the outputs of a network change equally in a step whatever its width (G. Yang, E. J. Hu et
    al., "Tensor programs V", NeurIPS 2021).
    """
    if learning_rate != "auto":
        return learning_rate
    return recipe.rate * MNIST_WIDTH / max(widths[0], MIN_WIDTH) if widths else recipe.rate


def choose_epochs(epochs, n_steps, n_batches):
    """Return the number of epochs that has at least ``n_steps`` steps."""
    return max(1, ceil(n_steps / n_batches)) if epochs == "auto" else epochs
