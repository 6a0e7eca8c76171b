"""Settings of a training: what "auto" stands for, chosen once at the beginning of a fit.

Every rule is a smooth function of the shape of X; for MNIST, widths are as in VaDE's paper.
"""

import copy
from dataclasses import asdict, dataclass
from math import ceil, sqrt

import numpy as np
import torch

from ..input.scales import (
    are_comparable,
    are_probabilities,
    look_like_probabilities,
    measure_features,
)
from ..nn.likelihood import Bernoulli, ColumnLikelihood, Gaussian
from ..nn.networks import check_widths
from ..nn.runtime import to_tensor
from ..training.loop import count_batches

#: Minimum of the largest magnitude: squares of smaller values lose digits in double precision.
SMALLEST = 1e-150
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
#: Pretraining steps, in units of sqrt(N).
PRETRAINING_STEPS = 6.0
#: Minimum batch size.
MIN_BATCH = 32
#: Maximum batch size.
MAX_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """What a method's settings are computed from."""

    #: Peak learning rate of a network whose first hidden layer has the papers' width.
    rate: float
    #: Training steps, in units of sqrt(N).
    steps: float
    #: Whether the networks of the model are pretrained.
    pretrains: bool = False
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
    #: None for an estimator without this parameter.
    pretraining_epochs: int | None
    device: str

    def attributes(self):
        """Return the fitted attributes, by name."""
        values = asdict(self).items()
        return {f"{name}_": value for name, value in values if value is not None}


def choose_settings(params, recipe, shape, n_clusters, device, pretrains):
    """Return the :class:`Settings` for parameters, by name, (N, D) samples and K clusters."""
    n_samples, n_features = shape
    widths = choose_widths(params["hidden_layer_sizes"], n_samples, n_features)

    root = sqrt(n_samples)
    batch_size = params["batch_size"]
    if batch_size == "auto":
        batch_size = min(max(round(root), MIN_BATCH), MAX_BATCH)
    batch_size = min(batch_size, n_samples)
    n_batches = count_batches(n_samples, batch_size)

    unit = max(root, n_clusters) if recipe.counts_clusters else root
    max_epochs = choose_epochs(params["max_epochs"], recipe.steps * unit, n_batches)
    pretraining_epochs = params.get("pretraining_epochs")
    if pretrains:
        n_steps = PRETRAINING_STEPS * root
        pretraining_epochs = choose_epochs(pretraining_epochs, n_steps, n_batches)
    elif pretraining_epochs is not None:
        pretraining_epochs = 0
    return Settings(
        hidden_layer_sizes=widths,
        batch_size=batch_size,
        max_epochs=max_epochs,
        learning_rate=choose_learning_rate(params["learning_rate"], recipe, widths),
        pretraining_epochs=pretraining_epochs,
        device=str(device),
    )


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


def choose_learning_rate(learning_rate, recipe, widths):
    """Return the peak learning rate, inversely proportional to the width.

    So the outputs of wide and narrow networks change equally in a step (G. Yang, E. J. Hu et
    al., "Tensor programs V", NeurIPS 2021).
    """
    if learning_rate != "auto":
        return learning_rate
    if not widths:
        return recipe.rate
    return recipe.rate * MNIST_WIDTH / max(widths[0], MIN_WIDTH)


def choose_epochs(epochs, n_steps, n_batches):
    """Return the number of epochs that has at least ``n_steps`` steps."""
    if epochs != "auto":
        return epochs
    return max(1, ceil(n_steps / n_batches))


# ---- the likelihood


def choose_likelihood(likelihood, standardize, X, groups=()):
    """Return a new likelihood, scaled by X (N, E), and the :class:`Features` of X.

    ``groups`` are the one-hot columns of categories, after the numbers.
    """
    if groups and not isinstance(likelihood, str):
        raise ValueError(
            f"likelihood={likelihood!r} gives columns, but X has categories. Set "
            "likelihood to 'auto', 'gaussian' or 'bernoulli', which is that of the numbers."
        )
    if isinstance(likelihood, dict):
        likelihood = ColumnLikelihood(**likelihood)
    if isinstance(likelihood, ColumnLikelihood):
        _check_layout(likelihood, X.shape[1])
        likelihood = copy.deepcopy(likelihood).cpu()
        features = _measure(X, likelihood.layout["categorical"])
    else:
        features = _measure(X)
    if groups:
        likelihood = _join_categories(likelihood, features, X.dtype, groups)
        standardize = bool(standardize)
    if isinstance(likelihood, ColumnLikelihood):
        return _scale_columns(likelihood, standardize, X, features), features

    kind = _choose_kind(likelihood, features, X.dtype)
    if kind == "bernoulli":
        return Bernoulli(), features
    return Gaussian(*_choose_scaling(X, features, standardize)), features


def _choose_kind(likelihood, features, dtype):
    """Return "bernoulli" or "gaussian", checked, for numbers with these features."""
    if likelihood == "auto":
        is_binary = look_like_probabilities(features, dtype)
        return "bernoulli" if is_binary else "gaussian"
    if likelihood == "bernoulli":
        _check_probabilities("X", features, dtype)
    return likelihood


def _check_probabilities(name, features, dtype):
    """Check that some features are in [0, 1]."""
    low = features.low.min()
    high = features.high.max()
    if not are_probabilities(low, high, dtype):
        raise ValueError(
            f"likelihood='bernoulli' needs values between 0 and 1, but {name} has {low:.6g} to "
            f"{high:.6g}. Scale {name} to [0, 1] (MinMaxScaler) or use 'gaussian'."
        )


def _join_categories(likelihood, features, dtype, groups):
    """Return the likelihood of numbers followed by one-hot columns."""
    kinds = {"gaussian": [], "bernoulli": []}
    n_numbers = groups[0][0]
    if n_numbers:
        kind = _choose_kind(likelihood, features.take(slice(n_numbers)), dtype)
        kinds[kind] += range(n_numbers)
    kinds["bernoulli"] += [group[0] for group in groups if len(group) == 1]
    categories = [group for group in groups if len(group) > 1]
    return ColumnLikelihood(**kinds, categorical=categories)


def list_standardized(likelihood):
    """Return the columns that a likelihood standardizes, or None for all."""
    if isinstance(likelihood, ColumnLikelihood):
        return likelihood.layout["gaussian"]
    return None


def _measure(X, groups=()):
    """Return the :class:`Features` of X, checked to be large enough."""
    features = measure_features(X, groups)
    largest = max(np.max(features.high), -np.min(features.low))
    if 0 < largest < SMALLEST:
        raise ValueError(
            f"The largest magnitude of X is {largest:.3g}, but at least {SMALLEST:.0e} is needed "
            "for double precision. Scale X."
        )
    return features


def _choose_scaling(X, features, standardize):
    """Return shift, (D,), and scale, (D,) or (), of features, in the precision of X."""
    deviations = features.deviations
    if standardize == "auto":
        standardize = not are_comparable(X, features)
    scale = features.scale
    if not standardize:
        scale = np.sqrt(np.mean(deviations**2)) if deviations.size else 1.0
    # The mean of a constant is rounded.
    shift = np.where(features.high > features.low, features.mean, features.low)
    dtype = to_tensor(X[:1]).dtype
    return torch.as_tensor(shift, dtype=dtype), torch.as_tensor(scale, dtype=dtype)


def _check_layout(likelihood, n_features):
    """Check that a likelihood gives each column once."""
    wrong = set(likelihood.columns.tolist()) ^ set(range(n_features))
    if wrong:
        raise ValueError(
            f"likelihood must give every column of X, 0 to {n_features - 1}, but {sorted(wrong)} "
            "are missing or not in X."
        )


def _scale_columns(likelihood, standardize, X, features):
    """Check X by the likelihood of its columns, and set the scale of the Gaussian ones."""
    layout = likelihood.layout
    for column in layout["bernoulli"]:
        _check_probabilities(f"column {column}", features.take([column]), X.dtype)

    dtype = to_tensor(X[:1]).dtype
    if layout["gaussian"]:
        columns = layout["gaussian"]
        scaling = _choose_scaling(X[:, columns], features.take(columns), standardize)
        likelihood.set_scale(*scaling)
    if layout["categorical"]:
        weights = [features.high[group].max() or 1.0 for group in layout["categorical"]]
        likelihood.set_weights(torch.as_tensor(weights, dtype=dtype))
    return likelihood
