"""What the decoder's output means: a Bernoulli or a Gaussian in the units of the data.

A likelihood is the only part of a model that knows the units of X. The networks see
``standardize(x)``; densities, means and errors come back in the units of X.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..functional.gaussian import log_prob_diag


class Likelihood(nn.Module, ABC):
    """log p(x | decoded), for decoder outputs of shape (N, D)."""

    @abstractmethod
    def standardize(self, x: Tensor) -> Tensor:
        """From rows in the units of the data to float32 inputs of the encoder, (N, D)."""

    @abstractmethod
    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """Log p(x | decoded) in nats, for rows in the units of the data; of shape (N,)."""

    @abstractmethod
    def mean(self, decoded: Tensor) -> Tensor:
        """E[x | decoded] in the units of the data, (N, D)."""


class Bernoulli(Likelihood):
    """Features in [0, 1], the decoder gives logits: grey levels are read as probabilities."""

    def standardize(self, x: Tensor) -> Tensor:
        """Float32; the data is in [0, 1] already."""
        return x.float()

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)] with p = sigmoid(decoded)."""
        error = binary_cross_entropy_with_logits(decoded.float(), x.float(), reduction="none")
        return -error.sum(-1)

    def mean(self, decoded: Tensor) -> Tensor:
        """Return the probabilities."""
        return decoded.float().sigmoid()


class Gaussian(Likelihood):
    """Any real features, the decoder gives means of standardised features.

    The noise variance of each feature is learnt, bounded from below so that a feature the decoder
    predicts exactly (a constant one, say) cannot drive the density to infinity. ``shift`` and
    ``scale``, (D,), are the mean and standard deviation of each feature, in the precision of the
    data, so that data far from the origin loses no digits before it is centred.
    """

    shift: Tensor
    scale: Tensor

    #: Bounds of the log-variance of the noise, in standardised units.
    LOG_VAR = (-7.0, 4.0)

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        # Log-variances. They start below the features' own (0): from there the decoder would not
        # learn to use the code.
        self.noise = nn.Parameter(torch.full(shift.shape, -2.0))

    def standardize(self, x: Tensor) -> Tensor:
        """(x - shift) / scale, in the precision of the shift, then float32."""
        return ((x - self.shift) / self.scale).float()

    def log_prob(self, x: Tensor, decoded: Tensor) -> Tensor:
        """Log N(standardised x; decoded, exp noise) - sum_d log scale_d."""
        log_var = self.noise.clamp(*self.LOG_VAR)
        volume = self.scale.log().sum().float()
        return log_prob_diag(self.standardize(x), decoded.float(), log_var) - volume

    def mean(self, decoded: Tensor) -> Tensor:
        """Return decoded * scale + shift."""
        return decoded * self.scale + self.shift
