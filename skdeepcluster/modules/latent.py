"""The latent variables of an InfoGAN: noise, categorical codes and continuous codes.

Letters: N samples, Z noise variables, A categorical codes of K_a values, C continuous codes. The
generator's inputs are noise, one-hot categories and continuous codes, (N, Z + sum K_a + C).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import nll_loss, one_hot

from ..functional.gaussian import log_prob_diag
from .runtime import multinomial, rand, randint

#: Bounds of the log-standard-deviations of continuous codes by Q. The loss grows with the square
#: of an error in standard deviations, so smaller ones would let it explode.
LOG_STD = (-3.0, 2.0)


class Codes(NamedTuple):
    """Noise (N, Z), categories (N, A), int64, and continuous codes (N, C) of samples."""

    noise: Tensor
    categories: Tensor
    continuous: Tensor


class Reading(NamedTuple):
    """Q(c|x): log-probabilities (N, K_a) per categorical code; means and log-stds (N, C)."""

    log_probs: list[Tensor]
    mean: Tensor
    log_std: Tensor


class LatentSpace:
    """The codes, their distribution, and the losses of Q's reading of them.

    There are ``n_noise`` noise variables and ``n_continuous`` continuous codes, uniform on
    [-1, 1], and categorical codes with ``sizes`` values; the first one is the cluster.
    """

    def __init__(
        self,
        n_noise: int,
        sizes: Sequence[int],
        n_continuous: int,
    ) -> None:
        self.n_noise = n_noise
        self.sizes = list(sizes)
        self.n_continuous = n_continuous
        n_values = sum(self.sizes)
        #: Number of the generator's inputs.
        self.n_inputs = n_noise + n_values + n_continuous
        #: Number of Q's outputs: logits, means, log-standard-deviations.
        self.n_readings = n_values + 2 * n_continuous

    @property
    def names(self) -> list[str]:
        """Names of the codes."""
        categories = [f"category{a}" for a in range(1, len(self.sizes))]
        continuous = [f"continuous{j}" for j in range(self.n_continuous)]
        return ["cluster", *categories, *continuous]

    def find(self, name: str) -> int:
        """Return the position of a code among all codes."""
        if name not in self.names:
            raise ValueError(f"No code {name!r}; there are {', '.join(self.names)}.")
        return self.names.index(name)

    def draw(self, n_samples: int, log_prior: Tensor) -> Codes:
        """Sample codes: the cluster from its prior (K,), all others uniformly."""
        device = log_prior.device
        cluster = multinomial(log_prior.exp(), n_samples)
        others = [randint(size, (n_samples,), device) for size in self.sizes[1:]]

        def uniform(n_codes: int) -> Tensor:
            return rand((n_samples, n_codes), device) * 2 - 1

        return Codes(
            uniform(self.n_noise),
            torch.stack([cluster, *others], 1),
            uniform(self.n_continuous),
        )

    def inputs(self, codes: Codes) -> Tensor:
        """Return the generator's inputs for codes, (N, n_inputs)."""
        pairs = zip(codes.categories.T, self.sizes, strict=True)
        categories = [one_hot(category, size) for category, size in pairs]
        return torch.cat([codes.noise, *categories, codes.continuous], 1)

    def read(self, readings: Tensor) -> Reading:
        """Split Q's output (N, n_readings) into the parameters of Q(c|x), in float32."""
        n = self.n_continuous
        *logits, mean, log_std = readings.float().split([*self.sizes, n, n], 1)
        log_probs = [values.log_softmax(-1) for values in logits]
        return Reading(log_probs, mean, log_std.clamp(*LOG_STD))

    def reading_loss(self, reading: Reading, codes: Codes) -> dict[str, Tensor]:
        """-log Q(c|x) of codes in nats, mean over the samples.

        "category" is the sum over categorical codes, "continuous" the sum over continuous codes.
        """
        pairs = zip(reading.log_probs, codes.categories.T, strict=True)
        categories = [nll_loss(log_p, category) for log_p, category in pairs]
        losses = {"category": torch.stack(categories).sum()}
        if self.n_continuous:
            losses["continuous"] = self.continuous_loss(reading, codes.continuous)
        return losses

    def continuous_loss(self, reading: Reading, continuous: Tensor) -> Tensor:
        """Mean Gaussian negative log-likelihood of the first continuous codes, (N, <= C)."""
        n_codes = continuous.shape[1]
        mean = reading.mean[:, :n_codes]
        log_var = 2 * reading.log_std[:, :n_codes]
        return -log_prob_diag(continuous, mean, log_var).mean()
