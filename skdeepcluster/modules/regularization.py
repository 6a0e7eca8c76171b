"""Loss terms that keep an assignment near its start and smooth in x; additions to the papers.

Anchor: the cross-entropy to the initial responsibilities. Smoothness: virtual adversarial training
(VAT), the divergence under the small change of a row that changes its assignment most.

Reference: T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training: A
Regularization Method for Supervised and Semi-Supervised Learning", IEEE TPAMI 2018.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..functional import random
from ..functional.losses import all_rows, kl_divergence, own_rows

#: Length of the adversarial step, in distances to the nearest other row of a batch.
RADIUS = 0.25
#: Rows of the batch to which RADIUS refers.
REFERENCE_ROWS = 256
#: Length of the random step at which the divergence's gradient is taken, as a share of the radius.
PROBE = 0.1


@dataclass(frozen=True)
class Regularizer:
    """Loss terms "start" and "smoothness"; a weight of 0 leaves a term out, and its cost."""

    #: Of the cross-entropy -sum_c R_c log p(c|x) to the initial responsibilities R.
    start_weight: float = 0.0
    #: Of :func:`adversarial_divergence` for a step of ``RADIUS`` times the distance to the nearest
    #: other row of the batch.
    smoothness_weight: float = 0.0
    #: Weight of the model's most probable clusters in place of R at the end of training, see
    #: :func:`bootstrap`; it grows linearly from 0.
    own_share: float = 0.0

    def terms(
        self,
        log_resp: Callable[[Tensor], Tensor],
        seen: Tensor,
        anchor: Tensor | None,
        log_p: Tensor | None = None,
        progress: Tensor | float = 1.0,
    ) -> dict[str, Tensor]:
        """Weighted terms, scalars; none without an anchor, the R of shape (N, K).

        ``log_resp`` maps standardized rows (N, D), like ``seen``, to log p(c|x), (N, K);
        ``log_p`` is ``log_resp(seen)`` where it is known already; ``progress`` is the elapsed
        share of training.
        """
        terms: dict[str, Tensor] = {}
        if anchor is None or not (self.start_weight or self.smoothness_weight):
            return terms
        log_p = log_resp(seen) if log_p is None else log_p
        if self.start_weight:
            if self.own_share:
                anchor = bootstrap(anchor, log_p, self.own_share * progress)
            terms["start"] = -self.start_weight * (anchor * log_p).sum(-1).mean()
        if self.smoothness_weight:
            # Nearest neighbors are farther apart in smaller batches: by sqrt(256 / n) on a
            # two-dimensional manifold.
            batch = all_rows(seen)
            scale = RADIUS * min(1.0, math.sqrt(len(batch) / REFERENCE_ROWS))
            radius = own_rows(scale * nearest_distance(batch))
            divergence = adversarial_divergence(log_resp, seen, log_p.detach(), radius)
            terms["smoothness"] = self.smoothness_weight * divergence.mean()
        return terms


#: The published objectives add nothing.
NO_REGULARIZER = Regularizer()


def bootstrap(anchor: Tensor, log_p: Tensor, own_share: Tensor | float) -> Tensor:
    """Mix an anchor (N, K) with the most probable clusters by ``log_p`` (N, K), (N, K).

    Rows of which the network is sure, against the anchor, leave it (hard bootstrapping: S. Reed et
    al., "Training deep neural networks on noisy labels with bootstrapping", ICLR 2015 workshop).

    Examples
    --------
    >>> import torch
    >>> anchor, log_p = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.3, 0.7]]).log()
    >>> bootstrap(anchor, log_p, torch.tensor(0.25))
    tensor([[0.7500, 0.2500]])
    """
    own = one_hot(log_p.argmax(1), log_p.shape[1]).to(anchor)
    return torch.lerp(anchor, own, own_share)


def nearest_distance(x: Tensor) -> Tensor:
    """Distance of each row (N, D) to the nearest other one, (N, 1); 0 for a single row.

    Examples
    --------
    >>> import torch
    >>> nearest_distance(torch.tensor([[0.0], [1.0], [5.0]])).squeeze()
    tensor([1., 1., 4.])
    """
    if len(x) == 1:
        return torch.zeros_like(x[:, :1])
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    return torch.cdist(x, x).masked_fill(itself, torch.inf).amin(1, keepdim=True)


def adversarial_step(
    log_resp: Callable[[Tensor], Tensor], x: Tensor, log_p: Tensor, radius: Tensor
) -> Tensor:
    """Return the step (N, D) of length ``radius`` (N, 1) that changes an assignment most.

    One power iteration: the gradient g of KL(p || p(x + d)) at a small random d points along the
    direction in which the divergence curves most (eq. 10 and 11); the step is radius * g / |g|,
    without gradient. ``log_p`` (N, K) is ``log_resp(x)``, as a constant.
    """
    probe = torch.nn.functional.normalize(random.randn_like(x))
    probe = (PROBE * radius * probe).requires_grad_()
    divergence = kl_divergence(log_p, log_resp(x + probe)).sum()
    (gradient,) = torch.autograd.grad(divergence, probe)
    # Scaled by the largest element first: squares of the tiny gradients of almost certain
    # assignments would underflow.
    largest = gradient.abs().amax(1, keepdim=True)
    gradient = gradient / torch.where(largest > 0, largest, 1)
    return radius * torch.nn.functional.normalize(gradient)


def adversarial_divergence(
    log_resp: Callable[[Tensor], Tensor], x: Tensor, log_p: Tensor, radius: Tensor
) -> Tensor:
    """KL(p(x) || p(x + step)) of each row for its :func:`adversarial_step`, in nats, (N,).

    Gradients reach the parameters of the network through ``p(x + step)`` only.
    """
    step = adversarial_step(log_resp, x, log_p, radius)
    return kl_divergence(log_p, log_resp(x + step))
