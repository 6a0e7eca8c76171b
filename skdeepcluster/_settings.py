"""Settings of a training: what "auto" stands for, chosen once at the beginning of a fit.

Every rule is a smooth function of the shape of X and has the papers' values for MNIST.
"""

import copy
from dataclasses import asdict, dataclass
from math import ceil, sqrt

import numpy as np
import torch

from ._tables import (
    Features,
    are_comparable,
    are_probabilities,
    find_factors,
    look_like_probabilities,
    measure_features,
)
from .engine.data import count_batches, to_tensor
from .engine.runtime import resolve_precision
from .modules.likelihood import Bernoulli, ColumnLikelihood, Gaussian
from .modules.networks import check_widths

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
    share = (
        sqrt(min(n_features / MNIST_FEATURES, 1))
        * min(n_samples / MNIST_SAMPLES, 1) ** 0.25
    )
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
    return (
        recipe.rate * MNIST_WIDTH / max(widths[0], MIN_WIDTH) if widths else recipe.rate
    )


def choose_epochs(epochs, n_steps, n_batches):
    """Return the number of epochs that has at least ``n_steps`` steps."""
    return max(1, ceil(n_steps / n_batches)) if epochs == "auto" else epochs


# ---- the likelihood


def choose_likelihood(likelihood, standardize, X, names=None, groups=()):
    """Return a new likelihood, scaled by X (N, D); ``names`` are the feature names, if any.

    ``groups`` are the one-hot columns of categories, after the numbers.
    """
    if groups:
        return _join_categories(likelihood, standardize, X, groups)
    if isinstance(likelihood, dict):
        likelihood = _read_columns(likelihood, names)
    if isinstance(likelihood, ColumnLikelihood):
        return _scale_columns(copy.deepcopy(likelihood).cpu(), standardize, X)
    features = _measure(X)
    low, high = features.low.min(), features.high.max()
    if likelihood == "bernoulli" and not are_probabilities(low, high, X.dtype):
        raise ValueError(
            f"likelihood='bernoulli' needs values between 0 and 1, but X has {low:.6g} to "
            f"{high:.6g}. Scale X to [0, 1] (MinMaxScaler) or use likelihood='gaussian'."
        )
    is_auto = likelihood == "auto"
    if likelihood == "bernoulli" or (
        is_auto and look_like_probabilities(features, X.dtype)
    ):
        return Bernoulli()
    return Gaussian(*_choose_scaling(features, standardize, X))


def _join_categories(likelihood, standardize, X, groups):
    """Return the likelihood of numbers followed by one-hot columns."""
    if not isinstance(likelihood, str):
        raise ValueError(
            f"likelihood={likelihood!r} gives columns, and so does categorical_features. Set "
            "likelihood to 'auto', 'gaussian' or 'bernoulli', which is that of the numbers."
        )
    n_numbers, kinds = groups[0][0], {"gaussian": [], "bernoulli": []}
    if n_numbers:
        name = choose_likelihood(likelihood, standardize, X[:, :n_numbers]).name
        kinds[name] += range(n_numbers)
    kinds["bernoulli"] += [group[0] for group in groups if len(group) == 1]
    made = ColumnLikelihood(
        **kinds, categorical=[group for group in groups if len(group) > 1]
    )
    return _scale_columns(made, bool(standardize), X)


def choose_factors(likelihood, standardize, X, groups=()):
    """Return what samples are multiplied by before clusterers compare them, (D,), or None."""
    if groups or not likelihood.standardizes:
        return find_factors(X, groups and standardize, groups=groups)
    factors = find_factors(X, standardize=True)
    if isinstance(likelihood, ColumnLikelihood):
        factors[
            np.setdiff1d(np.arange(len(factors)), likelihood.layout["gaussian"])
        ] = 1
    return factors


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


def _choose_scaling(features, standardize, X):
    """Return shift, (D,), and scale, (D,) or (), of features, in the precision of X."""
    deviations = features.deviations
    if standardize == "auto":
        standardize = not are_comparable(deviations)
    scale = features.scale
    if not standardize:
        scale = np.sqrt(np.mean(deviations**2)) if deviations.size else 1.0
    # The mean of a constant is rounded.
    shift = np.where(features.high > features.low, features.mean, features.low)
    dtype = to_tensor(X[:1]).dtype
    return torch.as_tensor(shift, dtype=dtype), torch.as_tensor(scale, dtype=dtype)


# ---- columns


def _read_columns(columns, names):
    """Return the ColumnLikelihood of a dict of columns, by indices or names."""
    kinds = "gaussian", "bernoulli", "categorical"
    if unknown := sorted(columns.keys() - kinds):
        raise ValueError(
            f"likelihood has the keys {unknown}, but expected are some of {kinds}."
        )
    index = {} if names is None else {name: i for i, name in enumerate(names)}
    read = {kind: _check_list(kind, own) for kind, own in columns.items()}
    groups = read.pop("categorical", ())
    categorical = [
        _find_columns(_check_list("categorical", group), index) for group in groups
    ]
    simple = {kind: _find_columns(own, index) for kind, own in read.items()}
    return ColumnLikelihood(**simple, categorical=categorical)


def _check_list(kind, columns):
    """Return columns, or groups of columns, checked to be a list."""
    if isinstance(columns, str) or not np.iterable(columns):
        inner = (
            "a list of columns for each category"
            if kind == "categorical"
            else "columns"
        )
        raise ValueError(
            f"likelihood[{kind!r}] must be a list of {inner}, got {columns!r}."
        )
    return columns


def _find_columns(columns, index):
    """Return the indices of columns that are given by their indices or names."""
    for column in columns:
        if isinstance(column, str) and column not in index:
            known = (
                f"the columns are {', '.join(index)}"
                if index
                else "X has no column names"
            )
            raise ValueError(
                f"likelihood names the column {column!r}, but {known}. Give an index instead."
            )
    return [index[column] if isinstance(column, str) else column for column in columns]


def _scale_columns(likelihood, standardize, X):
    """Check X by the likelihood of its columns, and set the scale of the Gaussian ones."""
    layout = likelihood.layout
    given = set(likelihood.columns.tolist())
    if wrong := given ^ set(range(X.shape[1])):
        raise ValueError(
            f"likelihood must give every column of X, 0 to {X.shape[1] - 1}, but {sorted(wrong)} "
            "are missing or not in X."
        )
    features = _measure(X, layout["categorical"])
    for column in layout["bernoulli"]:
        low, high = features.low[column], features.high[column]
        if not are_probabilities(low, high, X.dtype):
            raise ValueError(
                f"Column {column} is 'bernoulli', but has values from {low:.6g} to {high:.6g}. "
                "Scale it to [0, 1] (MinMaxScaler), or give it as 'gaussian'."
            )
    if layout["gaussian"]:
        own = Features(*(values[layout["gaussian"]] for values in features))
        likelihood.set_scale(*_choose_scaling(own, standardize, X))
    if layout["categorical"]:
        weights = [features.high[group].max() or 1.0 for group in layout["categorical"]]
        likelihood.set_weights(torch.as_tensor(weights, dtype=to_tensor(X[:1]).dtype))
    return likelihood
