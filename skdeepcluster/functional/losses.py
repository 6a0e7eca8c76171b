"""Loss terms: entropies, divergences, adversarial losses, and terms that keep a partition.

Distributions over K outcomes are log-probabilities in the last dimension, shape (..., K), in nats.
Outcomes of probability zero (``-inf``) add nothing to values or gradients.
Reference: T. M. Cover and J. A. Thomas, Elements of Information Theory, 2nd ed., chapter 2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot, softplus

from . import random

#: Lower bound on the probability of an outcome in divergences: 0 times infinity would be NaN, and
#: subnormal gradients slow down matrix products.
SMALLEST_PROBABILITY = 1e-30

#: From standardized samples (N, D) to log p(k | x), (N, K).
Assignment = Callable[[Tensor], Tensor]

#: Length of the adversarial step, relative to the distance to the nearest other sample.
RADIUS = 0.25
#: Batch size that RADIUS refers to.
REFERENCE_SIZE = 256
#: Length of the random step where the divergence's gradient is taken, as a share of the radius.
PROBE = 0.1


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
    log_p, log_q = torch.broadcast_tensors(log_p, log_q)
    log_ratio = log_p - log_q
    return _expect(log_p, log_ratio)


def cross_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """H(p, q) = -sum_k p_k log q_k = H(p) + KL(p || q), in nats, of shape (...)."""
    log_p, log_q = torch.broadcast_tensors(log_p, log_q)
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
    if log_p.ndim != 2:
        raise ValueError(
            "mutual_information needs log p(y | x_n) of shape (N, K), but got the shape "
            f"{tuple(log_p.shape)}. Stack one distribution per sample."
        )
    marginal_entropy = entropy(marginal(log_p))
    return marginal_entropy - entropy(log_p).mean()


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


# ---- smoothness, and an initial partition (T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual
# Adversarial Training", IEEE TPAMI 2018)


@dataclass(frozen=True)
class Regularizer:
    """Loss terms "start" and "smoothness"; a weight of 0 leaves out a term and its cost."""

    #: Weight of the cross-entropy to the anchor.
    start_weight: float = 0.0
    #: Weight of the divergence from p(k|x) to p(k|x + step), see :func:`adversarial_step`.
    smoothness_weight: float = 0.0
    #: Share of the most probable clusters in the anchor at the end of training; it grows linearly
    #: from 0 (hard bootstrapping: S. Reed et al., ICLR 2015 workshop).
    own_share: float = 0.0

    def terms(
        self,
        log_resp: Assignment,
        x_std: Tensor,
        anchor: Tensor | None,
        log_p: Tensor | None = None,
        progress: Tensor | float = 1.0,
    ) -> dict[str, Tensor]:
        """Return the weighted terms, scalars; none without an anchor of responsibilities (N, K).

        ``log_resp`` maps standardized samples ``x_std`` (N, D) to log p(k|x), (N, K); ``log_p`` is
        ``log_resp(x_std)`` if it is known; ``progress`` is the elapsed share of training.
        """
        terms: dict[str, Tensor] = {}
        weights = (self.start_weight, self.smoothness_weight)
        if anchor is None or not any(weights):
            return terms
        if log_p is None:
            log_p = log_resp(x_std)

        if self.start_weight:
            if self.own_share:
                clusters = one_hot(log_p.argmax(1), log_p.shape[1]).to(anchor)
                anchor = torch.lerp(anchor, clusters, self.own_share * progress)
            agreement = (anchor * log_p).sum(-1).mean()
            terms["start"] = -self.start_weight * agreement
        if self.smoothness_weight:
            # On a two-dimensional manifold, neighbors are sqrt(256 / n) times as far apart.
            density = min(1.0, math.sqrt(len(x_std) / REFERENCE_SIZE))
            radius = RADIUS * density * nearest_distance(x_std)
            log_p = log_p.detach()
            step = adversarial_step(log_resp, x_std, log_p, radius)
            change = kl_divergence(log_p, log_resp(x_std + step)).mean()
            terms["smoothness"] = self.smoothness_weight * change
        return terms


#: The published objectives add nothing.
NO_REGULARIZER = Regularizer()


def nearest_distance(x: Tensor) -> Tensor:
    """Distance of each sample (N, D) to the nearest other one, (N, 1); 0 for a single sample.

    Examples
    --------
    >>> import torch
    >>> nearest_distance(torch.tensor([[0.0], [1.0], [5.0]])).squeeze()
    tensor([1., 1., 4.])
    """
    if len(x) == 1:
        return torch.zeros_like(x[:, :1])
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    distances = torch.cdist(x, x).masked_fill(itself, torch.inf)
    return distances.amin(1, keepdim=True)


def adversarial_step(
    log_resp: Assignment,
    x: Tensor,
    log_p: Tensor,
    radius: Tensor,
) -> Tensor:
    """Return the step (N, D) of length ``radius`` (N, 1) that changes an assignment most.

    The step is radius * g / |g|, without gradient, with g the gradient of KL(p || p(x + d)) at a
    small random d: one power iteration (eq. 10 and 11). ``log_p`` (N, K) is ``log_resp(x)``.
    """
    probe = normalize(random.randn_like(x))
    probe = (PROBE * radius * probe).requires_grad_()
    divergence = kl_divergence(log_p, log_resp(x + probe)).sum()
    (gradient,) = torch.autograd.grad(divergence, probe)
    # Without this scaling, squares of tiny gradients would underflow.
    largest = gradient.abs().amax(1, keepdim=True)
    gradient = gradient / torch.where(largest > 0, largest, 1)
    return radius * normalize(gradient)
