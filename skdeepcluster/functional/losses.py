"""Loss terms: entropies, divergences and adversarial losses.

Distributions over K outcomes are log-probabilities in the last dimension, shape (..., K), in nats.
Outcomes of probability zero (``-inf``) add nothing to values or gradients.
Reference: T. M. Cover and J. A. Thomas, Elements of Information Theory, 2nd ed., chapter 2.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

#: Lower bound on the probability of an outcome in divergences: 0 times infinity would be NaN, and
#: subnormal gradients slow down matrix products.
SMALLEST_PROBABILITY = 1e-30


def entropy(log_p: Tensor) -> Tensor:
    """H(p) = -sum_k p_k log p_k, in nats, of shape (...).

    Parameters
    ----------
    log_p : Tensor of shape (..., K)
        Normalized log-probabilities.

    Returns
    -------
    Tensor of shape (...)
        Between 0 (certain) and log K (uniform).

    See Also
    --------
    mutual_information : Information that samples and clusters share.

    Examples
    --------
    >>> import torch
    >>> entropy(torch.zeros(4).log_softmax(-1)).exp()
    tensor(4.)
    """
    p = log_p.exp()
    # The clamp makes 0 log 0 equal 0.
    log_p = log_p.clamp_min(torch.finfo(log_p.dtype).min)
    return -(p * log_p).sum(-1)


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum_k p_k (log p_k - log q_k), in nats, of shape (...).

    Parameters
    ----------
    log_p, log_q : Tensor of shape (..., K), broadcast against each other
        Normalized log-probabilities.

    Returns
    -------
    Tensor of shape (...)
        At least 0; infinite where q excludes an outcome that p allows.

    See Also
    --------
    entropy : Uncertainty of one distribution.

    Examples
    --------
    >>> import torch
    >>> p = torch.tensor([0.5, 0.5]).log()
    >>> kl_divergence(p, p)
    tensor(0.)
    """
    return _expect(log_p, log_p - log_q)


def cross_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """H(p, q) = -sum_k p_k log q_k = H(p) + KL(p || q), in nats, of shape (...)."""
    return _expect(log_p, -log_q)


def _expect(log_p: Tensor, value: Tensor) -> Tensor:
    """Return sum_k p_k value_k, of shape (...); outcomes with p_k = 0 add nothing."""
    p = log_p.exp().clamp_min(SMALLEST_PROBABILITY)
    impossible = log_p == -math.inf
    value = value.masked_fill(impossible, 0.0)
    return (p * value).sum(-1)


def mutual_information(log_p: Tensor) -> Tensor:
    """I(x; y) = H[mean_n p(y|x_n)] - mean_n H[p(y|x_n)], in nats, a scalar.

    Parameters
    ----------
    log_p : Tensor of shape (N, K)
        Row n holds log p(y | x_n).

    Returns
    -------
    Tensor of shape ()
        Between 0 (y ignores x) and log K (every y certain, all outcomes equally frequent).

    See Also
    --------
    entropy : The two terms of the difference.

    Examples
    --------
    >>> import torch
    >>> mutual_information(torch.eye(4).log()).exp()
    tensor(4.)
    """
    return entropy(marginal(log_p)) - entropy(log_p).mean()


def marginal(log_p: Tensor) -> Tensor:
    """Return log mean_n p(y | x_n), of shape (K,), from conditionals of shape (N, K)."""
    # logsumexp has no gradient where all terms are -inf.
    impossible = log_p == -math.inf
    never = impossible.all(0)
    masked = log_p.masked_fill(never, 0.0)
    log_sum = masked.logsumexp(0)
    log_mean = log_sum - math.log(len(log_p))
    return log_mean.masked_fill(never, -math.inf)


# ---- losses of logits of "real" (I. Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014)


def called_real(logits: Tensor) -> Tensor:
    """Mean of -log sigmoid(l): the loss of logits whose target is "real"."""
    return softplus(-logits).mean()


def called_fake(logits: Tensor) -> Tensor:
    """Mean of -log(1 - sigmoid(l)): the loss of logits whose target is "fake"."""
    return softplus(logits).mean()
