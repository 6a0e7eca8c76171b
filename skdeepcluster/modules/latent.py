"""The latent variables of an InfoGAN: noise, categorical codes and continuous codes.

Letters: N rows, Z noise variables, A categorical codes of K_a values, C continuous codes. The
generator's inputs are noise, one-hot categories and continuous codes, (N, Z + sum K_a + C).

Reference: X. Chen et al., "InfoGAN", NeurIPS 2016, sections 4 to 6.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import nll_loss, one_hot

from ..functional import random
from ..functional.gaussian import log_prob_diag
from ..functional.losses import entropy

#: Bounds of the log-standard-deviations of Q's continuous codes, which are about 1 in size. The
#: loss grows with the square of an error in standard deviations: surer readings let it explode.
LOG_STD = (-3.0, 2.0)
#: Values of a continuous code in a traversal, as in the paper.
SWEEP = np.linspace(-2, 2, 9)


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
    """Which codes there are, how they are drawn, and the losses of reading them back.

    There are ``n_noise`` noise variables and ``n_continuous`` continuous codes, uniform on
    [-1, 1], and categorical codes with ``sizes`` values, of which the first is the cluster.
    """

    def __init__(self, n_noise: int, sizes: Sequence[int], n_continuous: int) -> None:
        self.n_noise = n_noise
        self.sizes = list(sizes)
        self.n_continuous = n_continuous
        #: Columns of the generator's inputs.
        self.n_inputs = n_noise + sum(self.sizes) + n_continuous
        #: Columns of Q's outputs: logits, means, log-standard-deviations.
        self.n_readings = sum(self.sizes) + 2 * n_continuous

    @property
    def names(self) -> list[str]:
        """Names of the codes."""
        others = [f"category{a}" for a in range(1, len(self.sizes))]
        return ["cluster", *others, *(f"continuous{j}" for j in range(self.n_continuous))]

    def find(self, name: str) -> int:
        """Return the position of a code among all codes."""
        if name not in self.names:
            raise ValueError(f"No code {name!r}; there are {', '.join(self.names)}.")
        return self.names.index(name)

    def list_values(self, name: str) -> np.ndarray:
        """Return all values of a categorical code, or nine of a continuous one."""
        index = self.find(name)
        return np.arange(self.sizes[index]) if index < len(self.sizes) else SWEEP

    def set(self, codes: Codes, values: Mapping[str, Any]) -> Codes:
        """Return codes with some replaced by numbers or arrays (N,), given by name."""
        categories, continuous = codes.categories.clone(), codes.continuous.clone()
        for name, given in values.items():
            index, value = self.find(name), np.asarray(given)
            if value.shape not in ((), (len(categories),)) or value.dtype.kind not in "biuf":
                raise ValueError(
                    f"Code {name!r} must be a number or have shape ({len(categories)},), got "
                    f"shape {value.shape} of {value.dtype}."
                )
            j = index - len(self.sizes)
            if j >= 0 and np.isfinite(value).all():
                continuous[:, j] = torch.from_numpy(value.astype(np.float32))
            elif j < 0 and np.isin(value, np.arange(self.sizes[index])).all():
                categories[:, index] = torch.from_numpy(value.astype(np.int64))
            else:
                asked = "be finite" if j >= 0 else f"be in 0, ..., {self.sizes[index] - 1}"
                raise ValueError(f"Code {name!r} must {asked}, got {value}.")
        return Codes(codes.noise, categories, continuous)

    def draw(self, n_rows: int, log_prior: Tensor) -> Codes:
        """Draw codes: the cluster by its prior (K,), all others uniformly."""
        device = log_prior.device
        first = random.multinomial(log_prior.exp(), n_rows)
        others = [random.randint(size, (n_rows,), device) for size in self.sizes[1:]]
        noise = random.rand((n_rows, self.n_noise), device) * 2 - 1
        continuous = random.rand((n_rows, self.n_continuous), device) * 2 - 1
        return Codes(noise, torch.stack([first, *others], 1), continuous)

    def inputs(self, codes: Codes) -> Tensor:
        """Return the generator's inputs for codes, (N, n_inputs)."""
        columns = zip(codes.categories.T, self.sizes, strict=True)
        hot = [one_hot(column, size).to(codes.noise) for column, size in columns]
        return torch.cat([codes.noise, *hot, codes.continuous], 1)

    def read(self, readings: Tensor) -> Reading:
        """Split Q's output (N, n_readings) into the parameters of Q(c|x), in float32."""
        n = self.n_continuous
        *logits, mean, log_std = readings.float().split([*self.sizes, n, n], 1)
        log_probs = [values.log_softmax(-1) for values in logits]
        return Reading(log_probs, mean, log_std.clamp(*LOG_STD))

    def reading_loss(self, reading: Reading, codes: Codes) -> dict[str, Tensor]:
        """-log Q(c|x) of the drawn codes, in nats, means over the rows.

        "category" sums the cross-entropies of the categorical codes; with continuous codes
        "continuous" is their Gaussian negative log-likelihood.
        """
        columns = zip(reading.log_probs, codes.categories.T, strict=True)
        losses = {"category": torch.stack([nll_loss(p, c) for p, c in columns]).sum()}
        if self.n_continuous:
            losses["continuous"] = self.continuous_loss(reading, codes.continuous)
        return losses

    def continuous_loss(self, reading: Reading, continuous: Tensor) -> Tensor:
        """Mean Gaussian negative log-likelihood of the first codes, (N, at most C)."""
        first = slice(continuous.shape[1])
        mean, log_var = reading.mean[:, first], 2 * reading.log_std[:, first]
        return -log_prob_diag(continuous, mean, log_var).mean()

    def information(self, reading: Reading, codes: Codes, log_prior: Tensor) -> Tensor:
        """Lower bounds H(c) + E log Q(c|x) on the information I(c; x), in nats, (A + C,).

        A categorical code's is at most its entropy, log K_a when uniform.
        """
        uniform = [reading.mean.new_tensor(n).log() for n in self.sizes[1:]]
        entropies, columns = [entropy(log_prior), *uniform], codes.categories.T
        pairs = zip(entropies, reading.log_probs, columns, strict=True)
        bounds = [h - nll_loss(log_p, column) for h, log_p, column in pairs]
        for j in range(self.n_continuous):
            mean, log_var = reading.mean[:, j, None], 2 * reading.log_std[:, j, None]
            log_q = log_prob_diag(codes.continuous[:, j, None], mean, log_var).mean()
            bounds.append(math.log(2) + log_q)
        return torch.stack(bounds)
