"""The losses of a generative adversarial game, on a discriminator's logits of "real", in nats.

Reference: I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014. The generator
minimises the non-saturating loss, -log D (its section 3, against vanishing gradients).
"""

from torch import Tensor
from torch.nn.functional import softplus


def called_real(logits: Tensor) -> Tensor:
    """Mean of -log sigmoid(l): the loss of logits whose target is "real"."""
    return softplus(-logits).mean()


def called_fake(logits: Tensor) -> Tensor:
    """Mean of -log(1 - sigmoid(l)): the loss of logits whose target is "fake"."""
    return softplus(logits).mean()
