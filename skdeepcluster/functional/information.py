"""Information theory in log space.

Distributions over K outcomes come as log-probabilities in the last dimension, shape (..., K),
natural logarithms, results in nats. Outcomes of probability zero (``-inf``) contribute nothing,
to values and to gradients. Means over a batch are those of the whole batch, also when its rows
are distributed over several processes (:func:`split_by`).

Reference: T. M. Cover and J. A. Thomas, Elements of Information Theory, 2nd ed., chapter 2.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch
from torch import Tensor


class Split(Protocol):
    """How a batch is distributed over several processes."""

    def all_rows(self, x: Tensor) -> Tensor:
        """Gather the rows of all processes, with gradient."""

    def own_rows(self, whole: Tensor) -> Tensor:
        """Keep the rows of this process."""


#: In divergences less likely outcomes count as this likely. An underflowed 0 times an infinite
#: value would be NaN, and gradients that are subnormal numbers make products of matrices ten times
#: as slow.
LEAST_PROBABILITY = 1e-30

_split: ContextVar[Split | None] = ContextVar("split", default=None)


@contextmanager
def split_by(split: Split) -> Iterator[None]:
    """Within the block, the rows given to functions are this process's part of a batch."""
    token = _split.set(split)
    try:
        yield
    finally:
        _split.reset(token)


def all_rows(x: Tensor) -> Tensor:
    """Gather the whole batch, (N, ...), from the rows of each process; without processes, ``x``.

    Gradients go back to the process that a row comes from.
    """
    split = _split.get()
    return x if split is None else split.all_rows(x)


def own_rows(whole: Tensor) -> Tensor:
    """Keep the rows of this process among those of the whole batch; without processes, all."""
    split = _split.get()
    return whole if split is None else split.own_rows(whole)


def _expect(log_p: Tensor, value: Tensor) -> Tensor:
    """sum_k p_k value_k, of shape (...); outcomes with p_k = 0 do not count."""
    p = log_p.exp().clamp_min(max(LEAST_PROBABILITY, torch.finfo(log_p.dtype).tiny))
    return (p * value.masked_fill(log_p == -math.inf, 0.0)).sum(-1)


def information_content(log_p: Tensor) -> Tensor:
    """I = -log p, in nats, elementwise: how surprising an outcome is.

    Parameters
    ----------
    log_p : Tensor of any shape
        Log-probabilities.

    Returns
    -------
    Tensor of the same shape
        At least 0 for probabilities; adds up over independent events.

    See Also
    --------
    entropy : Its mean.

    Examples
    --------
    >>> import torch
    >>> information_content(torch.tensor(0.25).log() / torch.tensor(2.0).log())
    tensor(2.)
    """
    return -log_p


def entropy(log_p: Tensor) -> Tensor:
    """H(p) = -sum_k p_k log p_k, in nats, of shape (...).

    Parameters
    ----------
    log_p : Tensor of shape (..., K)
        Normalised log-probabilities.

    Returns
    -------
    Tensor of shape (...)
        Between 0 (certain) and log K (uniform).

    See Also
    --------
    mutual_information : What rows and clusters tell of each other.
    information_content : Of single events.

    Examples
    --------
    >>> import torch
    >>> entropy(torch.zeros(4).log_softmax(-1)).exp()
    tensor(4.)
    """
    # 0 log 0 is 0, as 0 times any finite number.
    return -(log_p.exp() * log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(-1)


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum_k p_k (log p_k - log q_k), in nats, of shape (...).

    Parameters
    ----------
    log_p, log_q : Tensor of shape (..., K), broadcast against each other
        Normalised log-probabilities.

    Returns
    -------
    Tensor of shape (...)
        At least 0; infinite where q excludes what p allows; not symmetric.

    See Also
    --------
    entropy : Of one distribution.

    Examples
    --------
    >>> import torch
    >>> p = torch.tensor([0.5, 0.5]).log()
    >>> kl_divergence(p, p)
    tensor(0.)
    """
    log_p, log_q = torch.broadcast_tensors(log_p, log_q)
    return _expect(log_p, log_p - log_q)


def cross_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """H(p, q) = -sum_k p_k log q_k = H(p) + KL(p || q), in nats, of shape (...).

    Broadcasts; infinite where q excludes what p allows.

    Examples
    --------
    >>> import torch
    >>> p = torch.tensor([0.5, 0.5]).log()
    >>> cross_entropy(p, p) - entropy(p)
    tensor(0.)
    """
    log_p, log_q = torch.broadcast_tensors(log_p, log_q)
    return _expect(log_p, information_content(log_q))


def mutual_information(log_p: Tensor) -> Tensor:
    """I(x; y) = H[mean_n p(y|x_n)] - mean_n H[p(y|x_n)], in nats, a scalar.

    Parameters
    ----------
    log_p : Tensor of shape (N, K)
        Row n holds log p(y | x_n); the rows are equally likely.

    Returns
    -------
    Tensor of shape ()
        Between 0 (y ignores x) and log K (sure of every row, all outcomes used equally).

    Raises
    ------
    ValueError
        When ``log_p`` has not two dimensions.

    See Also
    --------
    entropy : Its two terms.

    Examples
    --------
    >>> import torch
    >>> mutual_information(torch.eye(4).log()).exp()
    tensor(4.)
    """
    if log_p.ndim != 2:
        raise ValueError(
            f"mutual_information needs log p(y | x_n) of several rows, of shape (N, K), but got "
            f"the shape {tuple(log_p.shape)}. Stack the distributions as rows; of a single one "
            "entropy tells the uncertainty."
        )
    return entropy(marginal(log_p)) - entropy(log_p).mean()


def marginal(log_p: Tensor) -> Tensor:
    """Log mean_n p(y | x_n), of shape (K,), from conditionals of shape (N, K)."""
    log_p = all_rows(log_p)
    # logsumexp has no gradient where all terms are -inf.
    never = (log_p == -math.inf).all(0)
    log_mean = log_p.masked_fill(never, 0.0).logsumexp(0) - math.log(log_p.shape[0])
    return log_mean.masked_fill(never, -math.inf)
