"""What an InfoGAN draws and reads: noise, categorical codes and continuous codes.

Letters: N rows, Z noise variables, A categorical codes of K_a values, C continuous codes. What a
generator takes are inputs, (N, Z + sum K_a + C): noise, one-hot categories, continuous codes.

Reference: X. Chen et al., "InfoGAN", NeurIPS 2016, sections 4 to 6.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import nll_loss, one_hot

from ..functional.gaussian import log_prob_diag
from ..functional.information import entropy

#: Bounds of the log-standard-deviation with which continuous codes are read.
LOG_STD = (-4.0, 2.0)


class Codes(NamedTuple):
    """Drawn codes: noise (N, Z), categories (N, A) integers, continuous (N, C)."""

    noise: Tensor
    categories: Tensor
    continuous: Tensor


class Reading(NamedTuple):
    """Q(c|x): per categorical code log-probabilities (N, K_a); means and log-stds, (N, C)."""

    log_probs: list[Tensor]
    mean: Tensor
    log_std: Tensor


class LatentSpace:
    """Which codes there are, how they are drawn, and what it costs to misread them.

    Parameters
    ----------
    n_noise : int
        Noise variables, uniform on [-1, 1].
    sizes : sequence of int
        Values of each categorical code; the first is the cluster.
    n_continuous : int
        Continuous codes, uniform on [-1, 1].
    """

    def __init__(self, n_noise: int, sizes: Sequence[int], n_continuous: int) -> None:
        self.n_noise = n_noise
        self.sizes = list(sizes)
        self.n_continuous = n_continuous
        #: Width of what the generator takes.
        self.n_inputs = n_noise + sum(self.sizes) + n_continuous
        #: Width of what Q gives: logits, means, log-standard-deviations.
        self.n_readings = sum(self.sizes) + 2 * n_continuous

    def draw(self, n_rows: int, log_prior: Tensor) -> Codes:
        """Draw codes: the cluster by its prior (K,), all others uniformly."""
        device = log_prior.device
        first = torch.multinomial(log_prior.exp(), n_rows, replacement=True)
        others = [torch.randint(size, (n_rows,), device=device) for size in self.sizes[1:]]
        noise = torch.rand(n_rows, self.n_noise, device=device) * 2 - 1
        continuous = torch.rand(n_rows, self.n_continuous, device=device) * 2 - 1
        return Codes(noise, torch.stack([first, *others], 1), continuous)

    def inputs(self, codes: Codes) -> Tensor:
        """Lay codes out as the generator takes them, (N, n_inputs)."""
        hot = [
            one_hot(column, size)
            for column, size in zip(codes.categories.T, self.sizes, strict=True)
        ]
        return torch.cat([codes.noise, torch.cat(hot, 1).to(codes.noise), codes.continuous], 1)

    def read(self, readings: Tensor) -> Reading:
        """Take Q's output (N, n_readings) apart, in float32."""
        n = self.n_continuous
        *logits, mean, log_std = readings.float().split([*self.sizes, n, n], 1)
        return Reading(
            [values.log_softmax(-1) for values in logits], mean, log_std.clamp(*LOG_STD)
        )

    def misread(self, reading: Reading, codes: Codes) -> dict[str, Tensor]:
        """Cost -log Q(c|x) of the drawn codes, in nats, means over the rows.

        Returns
        -------
        dict of scalar Tensors
            "category", the cross-entropies summed over the categorical codes, and with continuous
            codes "continuous", their Gaussian negative log-likelihood.
        """
        columns = zip(reading.log_probs, codes.categories.T, strict=True)
        costs = {"category": torch.stack([nll_loss(p, c) for p, c in columns]).sum()}
        if self.n_continuous:
            costs["continuous"] = self.misread_continuous(reading, codes.continuous)
        return costs

    def misread_continuous(self, reading: Reading, continuous: Tensor) -> Tensor:
        """Gaussian negative log-likelihood of the first codes, (N, at most C), a mean, scalar."""
        first = slice(continuous.shape[1])
        mean, log_var = reading.mean[:, first], 2 * reading.log_std[:, first]
        return -log_prob_diag(continuous, mean, log_var).mean()

    def information(self, reading: Reading, codes: Codes, log_prior: Tensor) -> Tensor:
        """Lower bounds H(c) + log Q(c|x) on what x tells of each code, in nats, (A + C,).

        Means over the rows. A categorical code's is at most its entropy, log K_a when uniform.
        """
        entropies = [
            entropy(log_prior),
            *(reading.mean.new_tensor(n).log() for n in self.sizes[1:]),
        ]
        costs = [nll_loss(p, codes.categories[:, a]) for a, p in enumerate(reading.log_probs)]
        bounds = [h - cost for h, cost in zip(entropies, costs, strict=True)]
        for j in range(self.n_continuous):
            mean, log_var = reading.mean[:, j, None], 2 * reading.log_std[:, j, None]
            log_q = log_prob_diag(codes.continuous[:, j, None], mean, log_var).mean()
            bounds.append(math.log(2) + log_q)
        return torch.stack(bounds)
