"""Gaussian mixtures that live inside a model."""

import torch
from torch import Tensor, nn

from ..functional.gaussian import Mixture, log_joint


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
