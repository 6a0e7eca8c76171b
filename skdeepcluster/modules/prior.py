"""Mixtures of Gaussians as the distribution of codes: found by EM, or learned with the networks.

Letters: N rows, D features, L code length, K clusters.
"""

from abc import abstractmethod
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..functional import random
from ..functional.gaussian import Mixture, compact_scales, log_joint
from .autoencoder import CodeGame, GaussianEncoder, PointEncoder, mask
from .game import Batch
from .likelihood import Likelihood
from .regularization import NO_REGULARIZER, Regularizer


class CodeMixture(nn.Module):
    """A mixture found by EM on the codes of a network; buffers keep its precision."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def __init__(self, mixture: Mixture, covariance_type: str) -> None:
        super().__init__()
        self.covariance_type = covariance_type
        for name, value in mixture._asdict().items():
            self.register_buffer(name, torch.as_tensor(value, device="cpu"))

    @property
    def mixture(self) -> Mixture:
        """The mixture, on the device of the module."""
        return Mixture(self.log_weights, self.means, self.scales)

    def log_resp(self, z: Tensor) -> Tensor:
        """Log p(k | z), of shape (N, K)."""
        return log_joint(z.to(self.means.dtype), self.mixture).log_softmax(-1)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Weights, means and covariances of the mixture."""
        return _mixture_attributes(self.mixture, self.covariance_type)


class MixturePrior(nn.Module):
    """Mixture of diagonal Gaussians over codes, learned by gradient: Cat(pi), N(mu_c, diag s_c^2).

    Starts with all K = ``n_clusters`` components equal to N(0, I) of L = ``n_components``
    dimensions; :meth:`set` takes over a mixture found by EM. No variance falls below ``floor``
    times the mean variance of that mixture, because codes trained toward the means would
    otherwise collapse onto them.
    """

    least: Tensor

    #: Bounds of the log-variances.
    LOG_VAR = (-12.0, 12.0)

    def __init__(self, n_clusters: int, n_components: int, floor: float = 0.0) -> None:
        super().__init__()
        self.floor = floor
        self.register_buffer("least", torch.tensor(self.LOG_VAR[0], dtype=torch.float32))
        self.logits = nn.Parameter(torch.zeros(n_clusters, dtype=torch.float32))
        self.means = nn.Parameter(torch.zeros(n_clusters, n_components, dtype=torch.float32))
        self.log_vars = nn.Parameter(torch.zeros(n_clusters, n_components, dtype=torch.float32))

    @torch.no_grad()
    def set(self, mixture: Mixture) -> None:
        """Take weights, means and standard deviations from a diagonal mixture."""
        self.logits.copy_(mixture.log_weights)
        self.means.copy_(mixture.means)
        self.log_vars.copy_(2 * mixture.scales.log())
        least = torch.log(self.floor * mixture.covariances().mean())
        self.least.copy_(least.clamp_min(self.LOG_VAR[0]))

    @property
    def mixture(self) -> Mixture:
        """Log-weights, means and standard deviations, as functions of the parameters."""
        log_vars = torch.maximum(self.log_vars, self.least).clamp_max(self.LOG_VAR[1])
        stds = (0.5 * log_vars).exp()
        return Mixture(self.logits.log_softmax(-1), self.means, stds)

    @torch.no_grad()
    def separation(self) -> float:
        """Largest share of a code's variance that is between components, over its dimensions."""
        mixture = self.mixture
        within = (mixture.log_weights.exp()[:, None] * mixture.covariances()).sum(0)
        _, variance = _moments(mixture)
        return float((1 - within / variance).max())

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Weights, means and variances."""
        return _mixture_attributes(self.mixture, "diag")

    @staticmethod
    def draw(mixture: Mixture, n_samples: int) -> Tensor:
        """Draw codes of a mixture, (n_samples, L)."""
        log_weights, means, stds = mixture
        cluster = random.multinomial(log_weights.exp(), n_samples)
        return means[cluster] + stds[cluster] * random.randn_like(means[cluster])

    @staticmethod
    def whiten(mixture: Mixture, z: Tensor) -> Tensor:
        """Standardize codes by the mean and the variances of a whole mixture, (N, L)."""
        center, variance = _moments(mixture)
        return (z - center) / variance.sqrt()


def _moments(mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Mean and variances of a whole mixture, within and between its components, each (L,)."""
    center = mixture.center()
    around = mixture.covariances() + (mixture.means - center).square()
    return center, (mixture.log_weights.exp()[:, None] * around).sum(0)


def _mixture_attributes(mixture: Mixture, covariance_type: str) -> dict[str, Tensor]:
    """Weights, means and covariances in scikit-learn's shapes, by attribute."""
    return {
        "weights_": mixture.log_weights.exp(),
        "means_": mixture.means.clone(),
        "covariances_": compact_scales(mixture.covariances(), covariance_type),
    }


class PriorGame(CodeGame):
    """A model whose codes follow a mixture of Gaussians, learned with the networks.

    Parameters
    ----------
    encoder, decoder, likelihood
        As of :class:`CodeGame`.
    prior : MixturePrior
    regularizer : Regularizer, default=NO_REGULARIZER
        Terms that hold the assignment to an anchor; none by default.
    masking : float, default=0.0
        Share of the features set to zero before the encoder where rows are reconstructed, if
        there is an anchor. The terms of the regularizer see all features: a few columns of a
        table may be all that tells clusters apart.
    """

    rates = CodeGame.rates | {"prior.*": 10.0}

    def __init__(
        self,
        encoder: GaussianEncoder | PointEncoder,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: MixturePrior,
        regularizer: Regularizer = NO_REGULARIZER,
        masking: float = 0.0,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.prior = prior
        self.regularizer = regularizer
        self.masking = masking

    def set_mixture(self, mixture: Mixture) -> None:
        """Set the prior to a mixture of codes."""
        self.prior.set(mixture)

    @abstractmethod
    def log_joint(self, posterior: Any, mixture: Mixture) -> Tensor:
        """Logits of p(k | x), (N, K), from the output of the encoder."""

    def log_resp_standardized(self, seen: Tensor, mixture: Mixture | None = None) -> Tensor:
        """Log p(k | x) of standardized rows, (N, K), by the prior's mixture, if it is at hand."""
        mixture = self.prior.mixture if mixture is None else mixture
        return self.log_joint(self.encoder(seen), mixture).log_softmax(-1)

    def observe(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Standardized rows (N, D), and the encoder's input, for which one pass suffices.

        With an anchor these are the rows, masked, and then the rows themselves, (2 N, D).
        """
        seen = self.standardize(batch.x)
        if batch.anchor is None or not self.masking:
            return seen, seen
        return seen, torch.cat([mask(seen, self.masking), seen])

    def regularize(
        self, seen: Tensor, anchor: Tensor | None, log_joint: Tensor, mixture: Mixture
    ) -> dict[str, Tensor]:
        """Terms of the regularizer; log p(k | x) of the rows is the softmax of ``log_joint``."""
        log_resp, log_p = partial(self.log_resp_standardized, mixture=mixture), None
        if anchor is not None:
            log_p = log_joint[-len(seen) :].log_softmax(-1)
        return self.regularizer.terms(log_resp, seen, anchor, log_p, self.progress)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Weights, means and variances of the prior, and its means decoded."""
        return self.prior.fitted_attributes() | {"cluster_centers_": self.decode(self.prior.means)}
