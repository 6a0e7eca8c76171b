"""log p(x | decoded), summed over the D features, of shape (N,)."""

import math

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)], p = sigmoid(logits); x in [0, 1]."""
    return -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def gaussian(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """-1/2 sum_d [log 2 pi + log v_d + (x_d - mean_d)^2 / v_d], of shape (N,)."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (x - mean) ** 2 * (-log_var).exp()).sum(-1)
