"""Assignments that do not jump: divergence under the small change that disturbs them most.

Reference: T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training: A
Regularization Method for Supervised and Semi-Supervised Learning", IEEE TPAMI 2018.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .information import kl_divergence

#: Length of the random step at which the divergence's gradient is taken, as a share of the radius.
PROBE = 0.1


def nearest_distance(x: Tensor) -> Tensor:
    """Distance of each row to the nearest other one, (N, 1); 0 for a single row.

    Parameters
    ----------
    x : Tensor of shape (N, D)

    Returns
    -------
    Tensor of shape (N, 1)

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
    log_probs: Callable[[Tensor], Tensor], x: Tensor, log_p: Tensor, radius: Tensor
) -> Tensor:
    """Return the step of given length that changes an assignment most, by one power iteration.

    The gradient g of KL(p || p(x + d)) at a small random d points along the direction in which
    the divergence curves most (eq. 10 and 11); the step is radius * g / |g|.

    Parameters
    ----------
    log_probs : callable, (N, D) -> (N, K)
        Log-probabilities of the assignment.
    x : Tensor of shape (N, D)
    log_p : Tensor of shape (N, K)
        ``log_probs(x)``, as a constant.
    radius : Tensor of shape (N, 1)
        Length of each row's step; 0 leaves the row where it is.

    Returns
    -------
    Tensor of shape (N, D)
        Without gradient.
    """
    probe = torch.nn.functional.normalize(torch.randn_like(x))
    probe = (PROBE * radius * probe).requires_grad_()
    divergence = kl_divergence(log_p, log_probs(x + probe)).sum()
    (gradient,) = torch.autograd.grad(divergence, probe)
    # To order one first: squares of the gradients of almost certain assignments would vanish.
    largest = gradient.abs().amax(1, keepdim=True)
    gradient = gradient / torch.where(largest > 0, largest, 1)
    return radius * torch.nn.functional.normalize(gradient)


def adversarial_divergence(
    log_probs: Callable[[Tensor], Tensor], x: Tensor, log_p: Tensor, radius: Tensor
) -> Tensor:
    """KL(p(x) || p(x + step)) of each row for its :func:`adversarial_step`, in nats, (N,).

    Parameters
    ----------
    log_probs, x, log_p, radius
        As there; gradients reach the parameters through ``p(x + step)`` only.

    Returns
    -------
    Tensor of shape (N,)
    """
    step = adversarial_step(log_probs, x, log_p, radius)
    return kl_divergence(log_p, log_probs(x + step))
