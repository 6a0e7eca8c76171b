"""Settings of a training: what "auto" stands for, chosen once at the beginning of a fit.

Every rule is a smooth function of the shape of X and has the papers' values for MNIST.
"""

import copy
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from ._checks import SMALLEST, check_magnitude
from .engine.data import count_batches, to_tensor
from .engine.runtime import resolve_precision
from .modules.likelihood import Bernoulli, ColumnLikelihood, Gaussian
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
#: Values may leave [0, 1] by this many eps of their type, as after MinMaxScaler.
ROUNDING = 4
#: Minimum variance of values that "auto" takes for probabilities, relative to zeros and ones of
#: the same means.
LEAST_VARIATION = 0.01
#: Number of samples in a block when X is measured.
CHUNK = 4096
#: Scales are comparable if the largest standard deviation is at most this many times the median.
MOST_SPREAD = 10.0
#: Minimum number of features whose falling standard deviations look like principal components.
LEAST_COMPONENTS = 5


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


# ---- the likelihood


class Features(NamedTuple):
    """Mean, standard deviation (1 for a constant), minimum and maximum of each feature, (D,)."""

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray


def choose_likelihood(likelihood, standardize, X, names=None):
    """Return a new likelihood, scaled by X (N, D); ``names`` are the feature names, if any."""
    if isinstance(likelihood, dict):
        likelihood = _read_columns(likelihood, names)
    if isinstance(likelihood, ColumnLikelihood):
        return _scale_columns(copy.deepcopy(likelihood).cpu(), standardize, X)
    features = measure_features(X)
    low, high = features.low.min(), features.high.max()
    within = are_probabilities(low, high, X.dtype)
    if likelihood == "bernoulli" and not within:
        raise ValueError(
            f"likelihood='bernoulli' needs values between 0 and 1, but X has {low:.6g} to "
            f"{high:.6g}. Scale X to [0, 1] (MinMaxScaler) or use likelihood='gaussian'."
        )
    if likelihood == "bernoulli" or (
        likelihood == "auto" and within and vary_as_probabilities(features)
    ):
        return Bernoulli()
    return Gaussian(*_choose_scaling(features, standardize, X))


def are_probabilities(low, high, dtype):
    """Return whether values from ``low`` to ``high`` are within [0, 1] up to rounding."""
    margin = ROUNDING * np.finfo(dtype).eps if np.issubdtype(dtype, np.floating) else 0.0
    return low >= -margin and high <= 1 + margin


def vary_as_probabilities(features):
    """Return whether features in [0, 1] vary enough for probabilities, or are all constant."""
    varies = features.high > features.low
    mean, scale = features.mean[varies], features.scale[varies]
    return np.square(scale).sum() >= LEAST_VARIATION * (mean * (1 - mean)).sum()


def measure_features(X, groups=()):
    """Measure the features of X in one pass with float64 sums; check groups of one-hot columns."""
    is_sparse = sparse.issparse(X)
    scaler = StandardScaler(with_mean=not is_sparse)
    low, high = np.inf, -np.inf
    weights = [0.0] * len(groups)
    for start in range(0, X.shape[0], CHUNK):
        rows = X[start : start + CHUNK]
        check_magnitude(rows)
        with np.errstate(over="ignore", invalid="ignore"):  # tiny values raise below
            scaler.partial_fit(rows)
        low = np.fmin(low, _to_dense(rows.min(axis=0)) if is_sparse else np.fmin.reduce(rows))
        high = np.fmax(high, _to_dense(rows.max(axis=0)) if is_sparse else np.fmax.reduce(rows))
        for i, group in enumerate(groups):
            columns = np.nan_to_num(_to_dense(rows[:, group]))
            weights[i] = _check_one_hot(columns, group, start, weights[i])
    largest = max(np.max(high), -np.min(low))
    if 0 < largest < SMALLEST:
        raise ValueError(
            f"The largest magnitude of X is {largest:.3g}, but at least {SMALLEST:.0e} is needed "
            "for double precision. Scale X."
        )
    return Features(scaler.mean_, scaler.scale_, low.ravel(), high.ravel())


def _to_dense(values):
    return values.toarray() if sparse.issparse(values) else np.asarray(values)


def _check_one_hot(rows, group, start, weight):
    """Return the single nonzero value of one-hot columns, checked; 0 if it is not known yet.

    The samples are numbered from ``start`` and may have zeros alone.
    """
    weight = weight or rows.max()
    wrong = np.isin(rows, (0, weight), invert=True).any(1) | (np.count_nonzero(rows, axis=1) > 1)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"The categorical columns {group} must have a single 1, or zeros alone, but sample "
            f"{start + i} has {rows[i].tolist()}. Encode the category by OneHotEncoder and do not "
            "standardize it, or give these columns as 'gaussian'."
        )
    return weight


def _choose_scaling(features, standardize, X):
    """Return shift, (D,), and scale, (D,) or (), of features, in the precision of X."""
    deviations = features.scale[features.high > features.low]
    if standardize == "auto":
        standardize = not are_comparable(deviations)
    scale = features.scale
    if not standardize:
        scale = np.sqrt(np.mean(deviations**2)) if deviations.size else 1.0
    # The mean of a constant is rounded.
    shift = np.where(features.high > features.low, features.mean, features.low)
    dtype = to_tensor(X[:1]).dtype
    return torch.as_tensor(shift, dtype=dtype), torch.as_tensor(scale, dtype=dtype)


def are_comparable(deviations):
    """Return whether features with these standard deviations, (D,), need no scales of their own.

    They do if a few dominate. Principal components, whose deviations fall, keep their scales.
    """
    if deviations.size < 2:
        return True
    largest, median = deviations.max(), np.sort(deviations)[(len(deviations) - 1) // 2]
    fall = len(deviations) >= LEAST_COMPONENTS and (np.diff(deviations) <= 1e-6 * largest).all()
    return bool(fall or largest <= MOST_SPREAD * median)


# ---- columns


def _read_columns(columns, names):
    """Return the ColumnLikelihood of a dict of columns, by indices or names."""
    kinds = "gaussian", "bernoulli", "categorical"
    if unknown := sorted(columns.keys() - kinds):
        raise ValueError(f"likelihood has the keys {unknown}, but expected are some of {kinds}.")
    index = {} if names is None else {name: i for i, name in enumerate(names)}
    read = {kind: _check_list(kind, own) for kind, own in columns.items()}
    groups = read.pop("categorical", ())
    categorical = [_find_columns(_check_list("categorical", group), index) for group in groups]
    simple = {kind: _find_columns(own, index) for kind, own in read.items()}
    return ColumnLikelihood(**simple, categorical=categorical)


def _check_list(kind, columns):
    """Return columns, or groups of columns, checked to be a list."""
    if isinstance(columns, str) or not np.iterable(columns):
        inner = "a list of columns for each category" if kind == "categorical" else "columns"
        raise ValueError(f"likelihood[{kind!r}] must be a list of {inner}, got {columns!r}.")
    return columns


def _find_columns(columns, index):
    """Return the indices of columns that are given by their indices or names."""
    for column in columns:
        if isinstance(column, str) and column not in index:
            known = f"the columns are {', '.join(index)}" if index else "X has no column names"
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
    features = measure_features(X, layout["categorical"])
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
