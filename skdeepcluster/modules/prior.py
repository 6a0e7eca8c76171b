"""Gaussian mixtures that live inside a model."""

import torch
from torch import Tensor, nn

from ..functional.gaussian import Mixture, kl_diag, log_joint


class CodeMixture(nn.Module):
    """A mixture found by EM, kept beside the network whose codes it divides.

    Parameters
    ----------
    mixture : Mixture
        Log-weights, means and scales; kept in their precision.
    """

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        for name, value in mixture._asdict().items():
            self.register_buffer(name, torch.as_tensor(value))

    @property
    def mixture(self) -> Mixture:
        """The mixture, where the buffers are now."""
        return Mixture(self.log_weights, self.means, self.scales)

    def log_resp(self, z: Tensor) -> Tensor:
        """Log p(k | z), of shape (N, K)."""
        return log_joint(z.to(self.means.dtype), self.mixture).log_softmax(-1)


class MixturePrior(nn.Module):
    """Mixture of diagonal Gaussians over codes, learnt by gradient: Cat(pi), N(mu_c, diag s_c^2).

    Starts as N(0, I) K times over; :meth:`set` puts a mixture found by EM in its place.

    Parameters
    ----------
    n_clusters : int
        K.
    n_components : int
        L, the size of a code.
    floor : float, default=0.0
        Least variance in any direction, as a share of the mean variance of the mixture put in
        place: it keeps codes that are drawn to the means from shrinking into them.
    """

    least: Tensor

    COVARIANCE_TYPE = "diag"
    #: Bounds of the log-variances.
    LOG_VAR = (-12.0, 12.0)

    def __init__(self, n_clusters: int, n_components: int, floor: float = 0.0) -> None:
        super().__init__()
        self.floor = floor
        self.register_buffer("least", torch.tensor(self.LOG_VAR[0]))
        self.logits = nn.Parameter(torch.zeros(n_clusters))
        self.means = nn.Parameter(torch.zeros(n_clusters, n_components))
        self.log_vars = nn.Parameter(torch.zeros(n_clusters, n_components))

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

    def log_joint(self, z: Tensor) -> Tensor:
        """Log p(z, c) of codes, (N, K)."""
        return log_joint(z, self.mixture)

    def expected_log_joint(self, mean: Tensor, std: Tensor) -> Tensor:
        """E[log p(z, c) - log q(z)] for q = N(mean, diag std^2): log pi_c - KL_c, (N, K)."""
        log_weights, means, stds = self.mixture
        return log_weights - kl_diag(mean, std, means, stds)

    def draw(self, n_samples: int) -> Tensor:
        """Draw codes from the global stream, (n_samples, L)."""
        log_weights, means, stds = self.mixture
        cluster = torch.multinomial(log_weights.exp(), n_samples, replacement=True)
        return means[cluster] + stds[cluster] * torch.randn_like(means[cluster])

    def whiten(self, z: Tensor) -> Tensor:
        """Codes about the centre of the mixture, in units of its spread, (N, L)."""
        mixture = self.mixture
        centre = mixture.centre()
        weights = mixture.log_weights.exp()[:, None]
        around = mixture.covariances() + (mixture.means - centre).square()
        return (z - centre) / (weights * around).sum(0).sqrt()
