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
    """

    COVARIANCE_TYPE = "diag"
    #: Bounds of the log-variances.
    LOG_VAR = (-12.0, 12.0)

    def __init__(self, n_clusters: int, n_components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(n_clusters))
        self.means = nn.Parameter(torch.zeros(n_clusters, n_components))
        self.log_vars = nn.Parameter(torch.zeros(n_clusters, n_components))

    @torch.no_grad()
    def set(self, mixture: Mixture) -> None:
        """Take weights, means and standard deviations from a diagonal mixture."""
        self.logits.copy_(mixture.log_weights)
        self.means.copy_(mixture.means)
        self.log_vars.copy_(2 * mixture.scales.log())

    @property
    def mixture(self) -> Mixture:
        """Log-weights, means and standard deviations, as functions of the parameters."""
        stds = (0.5 * self.log_vars.clamp(*self.LOG_VAR)).exp()
        return Mixture(self.logits.log_softmax(-1), self.means, stds)

    def log_joint(self, z: Tensor) -> Tensor:
        """Log p(z, c) of codes, (N, K)."""
        return log_joint(z, self.mixture)

    def expected_log_joint(self, mean: Tensor, std: Tensor) -> Tensor:
        """E[log p(z, c) - log q(z)] for q = N(mean, diag std^2): log pi_c - KL_c, (N, K)."""
        log_weights, means, stds = self.mixture
        return log_weights - kl_diag(mean, std, means, stds)
