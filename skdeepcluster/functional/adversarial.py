"""The two sides of a generative adversarial game, on logits of "this is real", in nats.

Reference: I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014; the player who is
judged minimises -log of what the judge says (its section 3, against vanishing gradients).
"""

from torch import Tensor
from torch.nn.functional import softplus


def called_real(logits: Tensor) -> Tensor:
    """Mean of -log sigmoid(l): what it costs when these are to be called real."""
    return softplus(-logits).mean()


def called_fake(logits: Tensor) -> Tensor:
    """Mean of -log(1 - sigmoid(l)): what it costs when these are to be called fake."""
    return softplus(logits).mean()
