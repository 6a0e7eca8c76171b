"""Distributions of x given the decoder's output: Bernoulli, Gaussian, or one for each column.

The networks see ``standardize(x)``; densities and means are in the units of X. Missing values are
nan.
"""

import math
from abc import ABC, abstractmethod
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..input.scaler import (
    are_comparable,
    are_probabilities,
    look_like_probabilities,
    measure_features,
)
from .runtime import to_tensor

#: Minimum probability in :meth:`Likelihood.link`, whose derivative is 1 / p.
LEAST_PROBABILITY = 0.02


class Likelihood(nn.Module, ABC):
    """log p(x | decoded), for decoder outputs of shape (N, D)."""

    #: The value of ``likelihood_`` of a fitted estimator.
    name: str

    @property
    @abstractmethod
    def standardizes(self):
        """Whether features are divided by their own standard deviations."""

    @abstractmethod
    def standardize(self, x):
        """Return float32 inputs of the networks, (N, D), for samples in the units of the data.

        Missing values, nan, become 0, like features that are masked.
        """

    @abstractmethod
    def log_probs(self, x, decoded):
        """Log p(x_d | decoded) of each feature in nats, (N, D); any number for missing values."""

    def log_prob(self, x, decoded):
        """Log p(x | decoded) of the observed features, (N,), or (S, N) for outputs (S, N, D)."""
        return self.log_probs(x, decoded).masked_fill(x.isnan(), 0.0).sum(-1)

    @abstractmethod
    def mean(self, decoded):
        """E[x | decoded] in the units of the data, (N, D)."""

    @abstractmethod
    def deviation(self, x):
        """Return standard deviations of noise in the units of the data, shaped as x (N, D)."""

    def standardized_mean(self, decoded):
        """E[x | decoded], standardized, (N, D)."""
        return self.standardize(self.mean(decoded))

    @abstractmethod
    def link(self, mean):
        """Return the outputs that have a given standardized mean, and their derivatives, (D,)."""


class Probabilities(Likelihood):
    """Features that are decoded to probabilities, without a scale of their own."""

    standardizes = False

    def deviation(self, x):
        """Return zeros."""
        return torch.zeros_like(x)


class Bernoulli(Probabilities):
    """Features clipped to [0, 1], taken as probabilities; the decoder gives logits."""

    name = "bernoulli"

    def standardize(self, x):
        """Float32, clipped to [0, 1]."""
        # Integer bounds would be cast in an exported graph, which breaks its optimizer.
        return x.float().clamp(0.0, 1.0).nan_to_num(0.0)

    def log_probs(self, x, decoded):
        """x_d log p_d + (1 - x_d) log(1 - p_d) with p = sigmoid(decoded)."""
        x = self.standardize(x).expand_as(decoded)
        return -binary_cross_entropy_with_logits(decoded, x, reduction="none")

    def mean(self, decoded):
        """Return the probabilities."""
        return decoded.float().sigmoid()

    def link(self, mean):
        """Return the logits, and 1 / (p (1 - p))."""
        p = mean.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        return p.logit(), 1 / (p * (1 - p))


class Gaussian(Likelihood):
    """Real features; the decoder gives means of standardized features.

    ``shift`` (D,) are the means of the features; ``scale`` are their standard deviations (D,), or
    one number () for all. Both have the precision of the data. The noise variances are learned.
    """

    name = "gaussian"
    shift: Tensor
    scale: Tensor

    #: Maximum magnitude of standardized features: squares of the networks' outputs stay finite.
    LIMIT = 1e6
    #: Bounds of the log-variance of the noise, in standardized units.
    LOG_VAR = (-7.0, 4.0)

    def __init__(self, shift, scale):
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        # Log-variances; at 0, as of the features, the decoder would not learn to use codes.
        noise = torch.full(shift.shape, -2.0, dtype=torch.float32)
        self.noise = nn.Parameter(noise)

    @property
    def standardizes(self):
        """Whether there is a scale for each feature."""
        return self.scale.ndim == 1

    def standardize(self, x):
        """(x - shift) / scale within ``LIMIT``, in the precision of the shift, then float32."""
        x_std = (x - self.shift) / self.scale
        x_std = x_std.clamp(-self.LIMIT, self.LIMIT)
        return x_std.float().nan_to_num(0.0)

    def log_probs(self, x, decoded):
        """Log N(standardize(x)_d; decoded_d, exp noise_d) - log scale_d."""
        log_var = self.noise.clamp(*self.LOG_VAR)
        gaps = self.standardize(x) - decoded
        squares = gaps**2 * (-log_var).exp()
        log_scale = self.scale.log().float()
        constant = math.log(2 * math.pi)
        return -0.5 * (constant + log_var + squares) - log_scale

    def mean(self, decoded):
        """Return decoded * scale + shift."""
        # In single precision, the product may overflow.
        return decoded.double() * self.scale + self.shift

    def deviation(self, x):
        """Return the learned standard deviations."""
        std = (0.5 * self.noise.clamp(*self.LOG_VAR)).exp()
        return (std.double() * self.scale).expand_as(x)

    def link(self, mean):
        """Return the standardized values, and ones."""
        return mean, torch.ones_like(mean)


class Categorical(Probabilities):
    """One-hot features in groups of ``sizes``, times ``weight`` (D,); the decoder gives logits."""

    weight: Tensor

    def __init__(self, sizes):
        super().__init__()
        self.sizes = list(sizes)
        ones = torch.ones(sum(self.sizes), dtype=torch.float32)
        self.register_buffer("weight", ones)

    def standardize(self, x):
        """Float32, clipped to [0, weight]."""
        zero = self.weight.new_zeros(())
        return x.clamp(zero, self.weight).float().nan_to_num(0.0)

    def log_probs(self, x, decoded):
        """Log softmax(decoded_g) of the category; a group of zeros adds nothing."""
        share = self.standardize(x) / self.weight.float()
        return share * self._log_softmax(decoded)

    def mean(self, decoded):
        """Return the probabilities times the weights."""
        return self._log_softmax(decoded).exp() * self.weight

    def link(self, mean):
        """Return log p and 1 / (weight p), with p = mean / weight."""
        p = (mean / self.weight).clamp_min(LEAST_PROBABILITY)
        return p.log(), 1 / (self.weight * p)

    def _log_softmax(self, decoded):
        """Log-probabilities of the categories of each group, (N, D)."""
        groups = decoded.float().split(self.sizes, -1)
        log_p = [logits.log_softmax(-1) for logits in groups]
        return torch.cat(log_p, -1)


class ColumnLikelihood(Likelihood):
    """Independent likelihoods of columns: Gaussian, Bernoulli and categorical ones.

    Parameters
    ----------
    gaussian : iterable of int, default=()
        Indices of the columns of real numbers.
    bernoulli : iterable of int, default=()
        Indices of the columns with values in [0, 1].
    categorical : iterable of iterables of int, default=()
        Indices of the one-hot columns of each categorical feature. A sample has a single 1 in each
        group, or the group's weight, or only zeros if its category is missing.
    """

    name = "columns"
    parts: Any
    columns: Tensor
    sizes: Tensor
    position: Tensor

    def __init__(self, gaussian=(), bernoulli=(), categorical=()):
        super().__init__()
        groups = [list(group) for group in (gaussian, bernoulli, *categorical)]
        sizes = [len(group) for group in groups]
        n_gaussian, n_bernoulli, *n_categories = sizes
        lengths = (n_gaussian, n_bernoulli, sum(n_categories))
        self.lengths = [length for length in lengths if length]
        self.parts = nn.ModuleDict()
        if n_gaussian:
            zeros = torch.zeros(n_gaussian, dtype=torch.float32)
            self.parts["gaussian"] = Gaussian(zeros, zeros + 1)
        if n_bernoulli:
            self.parts["bernoulli"] = Bernoulli()
        if n_categories:
            self.parts["categorical"] = Categorical(n_categories)

        # All columns, part by part, and the numbers of columns of the parts and groups.
        columns = torch.tensor(list(chain.from_iterable(groups)))
        self.register_buffer("columns", columns)
        self.register_buffer("sizes", torch.tensor(sizes))
        self.register_buffer("position", columns.argsort(), persistent=False)

    @property
    def standardizes(self):
        """Whether there is a scale for each Gaussian column."""
        return any(part.standardizes for part in self.parts.values())

    def set_scale(self, shift, scale):
        """Set shift and scale of the Gaussian columns."""
        gaussian = self.parts["gaussian"]
        gaussian.shift = shift
        gaussian.scale = scale

    def set_weights(self, weights):
        """Set the weight of each group of one-hot columns."""
        sizes = self.sizes[2:]
        self.parts["categorical"].weight = weights.repeat_interleave(sizes)

    def standardize(self, x):
        """Return the inputs of each part, in the order of the columns."""
        return self._map("standardize", x)

    def log_probs(self, x, decoded):
        """Log p of the parts, (N, D)."""
        return self._map("log_probs", x, decoded)

    def mean(self, decoded):
        """Return the means of the parts, (N, D)."""
        return self._map("mean", decoded)

    def deviation(self, x):
        """Return the deviations of the parts, (N, D)."""
        return self._map("deviation", x)

    def link(self, mean):
        """Return the links of the parts."""
        outputs, slopes = zip(*self._call("link", mean), strict=True)
        return self._join(outputs), self._join(slopes)

    def _map(self, method, *values):
        """Apply a method of each part; return the results in the order of the columns."""
        return self._join(self._call(method, *values))

    def _call(self, method, *values):
        """Call a method of each part with its columns of the values."""
        ordered = [value.index_select(-1, self.columns) for value in values]
        split = [value.split(self.lengths, -1) for value in ordered]
        parts = zip(self.parts.values(), *split, strict=True)
        return [getattr(part, method)(*columns) for part, *columns in parts]

    def _join(self, values):
        """Return the values of all parts in the order of the columns."""
        return torch.cat(list(values), -1).index_select(-1, self.position)


def restore_likelihood(state):
    """Build the likelihood that has a given state dict; a :class:`Bernoulli` has no state."""
    if "shift" in state:
        return Gaussian(state["shift"], state["scale"])
    if "columns" not in state:
        return Bernoulli()
    columns = state["columns"].split(state["sizes"].tolist())
    gaussian, bernoulli, *groups = (group.tolist() for group in columns)
    restored = ColumnLikelihood(gaussian, bernoulli, groups)
    if "gaussian" in restored.parts:
        part = "parts.gaussian."
        restored.set_scale(state[part + "shift"], state[part + "scale"])
    if "categorical" in restored.parts:
        restored.parts["categorical"].to(state["parts.categorical.weight"].dtype)
    return restored


# ---- the likelihood of samples


def choose_likelihood(likelihood, standardize, X, groups):
    """Return a new likelihood, scaled by X (N, E), and the :class:`Features` of X.

    ``groups`` are the one-hot columns of categories, after the numbers.
    """
    features = measure_features(X)
    largest = max(np.max(features.high), -np.min(features.low))
    if 0 < largest < 1e-150:  # squares would lose digits
        raise ValueError(f"X has no magnitude above {largest:.3g}. Scale X.")
    if groups:
        columns = _choose_columns(likelihood, standardize, X, features, groups)
        return columns, features
    if _choose_kind(likelihood, features, X.dtype) == "bernoulli":
        return Bernoulli(), features
    return Gaussian(*_choose_scaling(X, features, standardize)), features


def _choose_kind(likelihood, features, dtype):
    """Return "bernoulli" or "gaussian", checked, for numbers with these features."""
    if likelihood == "auto":
        is_binary = look_like_probabilities(features, dtype)
        return "bernoulli" if is_binary else "gaussian"
    low = features.low.min()
    high = features.high.max()
    if likelihood == "bernoulli" and not are_probabilities(low, high, dtype):
        raise ValueError(
            f"likelihood='bernoulli' needs values between 0 and 1, but X has {low:.6g} to "
            f"{high:.6g}. Scale it (MinMaxScaler) or use 'gaussian'."
        )
    return likelihood


def _choose_columns(likelihood, standardize, X, features, groups):
    """Return the likelihood of numbers followed by one-hot columns, scaled by X (N, E)."""
    layout = {"gaussian": [], "bernoulli": []}
    numbers = list(range(groups[0][0]))
    if numbers:
        kind = _choose_kind(likelihood, features.take(numbers), X.dtype)
        layout[kind] += numbers
    layout["bernoulli"] += [group[0] for group in groups if len(group) == 1]
    categories = [group for group in groups if len(group) > 1]
    columns = ColumnLikelihood(**layout, categorical=categories)

    gaussian = layout["gaussian"]
    if gaussian:
        some = features.take(gaussian)
        columns.set_scale(*_choose_scaling(X[:, gaussian], some, standardize))
    if categories:
        weights = [features.high[group].max() or 1.0 for group in categories]
        dtype = to_tensor(X[:1]).dtype
        columns.set_weights(torch.as_tensor(weights, dtype=dtype))
    return columns


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
