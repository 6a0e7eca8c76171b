"""The sums behind EM: moments that add, the posterior that weighs them, and their maximiser.

Letters: N rows, D features, K clusters. ``about`` is a fixed shift (D,) near the data, so that
squares keep their digits; sums about the same shift add up, over batches and over machines.

Reference: C. M. Bishop, Pattern Recognition and Machine Learning, section 9.2.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from . import gaussian
from .gaussian import MATRIX, Mixture


class Moments(NamedTuple):
    """Weighted sums over rows, with r the responsibilities and a a fixed shift; they add.

    s0 = sum_n r_nk, of shape (K,); s1 = sum_n r_nk (x_n - a), of shape (K, D); s2 the sums of
    squares: (K, D, D) full, (1, D, D) tied (summed over k), else their diagonals (K, D).
    """

    s0: Tensor
    s1: Tensor
    s2: Tensor

    def plus(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of rows together; the shift must be the same."""
        return Moments(self.s0 + other.s0, self.s1 + other.s1, self.s2 + other.s2)

    def times(self, factor: float | Tensor) -> "Moments":
        """Return the moments with every row ``factor`` times as heavy."""
        return Moments(self.s0 * factor, self.s1 * factor, self.s2 * factor)


def moments(x: Tensor, resp: Tensor, about: Tensor, covariance_type: str) -> Moments:
    """Return the weighted sums that an M-step needs, of the rows of x about a shift.

    Parameters
    ----------
    x : Tensor of shape (N, D)
    resp : Tensor of shape (N, K)
        Responsibilities, times the weights of the rows if they have any.
    about : Tensor of shape (D,)
        The shift; near the data, so that squares keep their digits.
    covariance_type : {"full", "tied", "diag", "spherical"}

    Returns
    -------
    Moments
        Those of several batches add up to those of all rows.
    """
    x = x - about
    if covariance_type in MATRIX:
        return _matrix_moments(x, resp.T, covariance_type)
    return _vector_moments(torch.cat([x, x.square()], 1), resp.T)


def _matrix_moments(
    x: Tensor, weights: Tensor, covariance_type: str, out: Tensor | None = None
) -> Moments:
    """Return the moments of rows about their shift already and weights (K, N)."""
    s0, s1 = weights.sum(1), weights @ x
    if covariance_type == "tied":
        return Moments(s0, s1, ((x.T * weights.sum(0)) @ x).unsqueeze(0))
    out = None if out is None else out.unflatten(0, s1.shape)
    weighted = torch.mul(weights.unsqueeze(1), x.T.contiguous(), out=out)
    return Moments(s0, s1, (weighted.flatten(0, 1) @ x).unflatten(0, s1.shape))


def _vector_moments(x_and_square: Tensor, weights: Tensor) -> Moments:
    """Do the same from rows beside their squares, (N, 2 D)."""
    return Moments(weights.sum(1), *(weights @ x_and_square).chunk(2, 1))


def expectation(
    mixture: Mixture, about: Tensor, covariance_type: str
) -> Callable[[Tensor, Tensor], tuple[Moments, Tensor]]:
    """E-step: return (x, w) -> the moments of r_nk w_n about a shift, and sum_n w_n log p(x_n).

    r_nk is the posterior p(k | x_n). In double precision and without gradients; the largest
    intermediate result is kept in one place from batch to batch.
    """
    means, scales = mixture.means - about, mixture.scales
    constant = gaussian.log_constant(scales, means.shape[1]) + mixture.log_weights
    read = _matrix_reader if covariance_type in MATRIX else _vector_reader
    joint_and_moments = read(means, scales, constant, about, covariance_type)

    def expect(x: Tensor, weight: Tensor) -> tuple[Moments, Tensor]:
        joint, moments_of = joint_and_moments(x)
        top = joint.amax(0)
        resp = joint.sub_(top).exp_()
        total = resp.sum(0)
        resp.mul_(weight / total)
        return moments_of(resp), weight @ total.log_().add_(top)

    return expect


#: x -> log-joint (K, N), and what makes moments of weights (K, N).
_Reader = Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Moments]]]


def _matrix_reader(
    means: Tensor, scales: Tensor, constant: Tensor, about: Tensor, covariance_type: str
) -> _Reader:
    log_density = gaussian.log_density_of(means, scales, constant)
    lend = _lender(means)

    def read(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Moments]]:
        x = x - about
        out = lend(means.numel(), len(x)) if covariance_type == "full" else None
        return log_density(x, out), lambda w: _matrix_moments(x, w, covariance_type, out)

    return read


def _vector_reader(
    means: Tensor, scales: Tensor, constant: Tensor, about: Tensor, covariance_type: str
) -> _Reader:
    offset, factors = gaussian.expanded(means, scales, constant)
    lend, d = _lender(means), means.shape[1]

    def read(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Moments]]:
        both = lend(len(x), 2 * d)
        torch.square(torch.sub(x, about, out=both[:, :d]), out=both[:, d:])
        return torch.addmm(offset, factors, both.T), lambda w: _vector_moments(both, w)

    return read


def _lender(like: Tensor) -> Callable[..., Tensor]:
    """Return shape -> memory of that shape, the same each time while it is large enough."""
    memory = [like.new_empty(0)]

    def lend(*shape: int) -> Tensor:
        if memory[0].numel() < math.prod(shape):
            memory[0] = like.new_empty(math.prod(shape))
        return memory[0][: math.prod(shape)].view(shape)

    return lend


def maximise(
    stats: Moments, about: Tensor, covariance_type: str, reg_covar: float = 0.0
) -> Mixture:
    """M-step: the mixture that maximises the expected log-likelihood of given moments.

    n_k = s0_k, pi_k = n_k / sum n, mu_k = a + s1_k / n_k, and the covariance
    s2_k / n_k - (mu_k - a)(mu_k - a)^T + reg_covar I, restricted to its type.

    Parameters
    ----------
    stats : Moments
    about : Tensor of shape (D,)
        The shift of ``stats``.
    covariance_type : {"full", "tied", "diag", "spherical"}
    reg_covar : float
        Added to every variance.

    Returns
    -------
    Mixture

    Raises
    ------
    ValueError
        If a component is too thin for its covariance.
    """
    # An empty component keeps a positive count, so that its mean is defined (it is ``about``).
    n = stats.s0 + 10 * torch.finfo(stats.s0.dtype).eps * stats.s0.mean()
    shift = stats.s1 / n.unsqueeze(-1)
    if covariance_type in MATRIX:
        outer = shift.unsqueeze(-1) * shift.unsqueeze(-2)
        if covariance_type == "full":
            covariance = stats.s2 / n[:, None, None] - outer
        else:
            covariance = (stats.s2 - (n[:, None, None] * outer).sum(0)) / n.sum()
        covariance.diagonal(dim1=-2, dim2=-1).add_(reg_covar)
        scales, failed = torch.linalg.cholesky_ex(covariance)
        thin = failed != 0
    else:
        variance = (stats.s2 / n.unsqueeze(-1) - shift.square()).clamp_min(0)
        if covariance_type == "spherical":
            variance = variance.mean(-1, keepdim=True)
        scales = (variance + reg_covar).sqrt()
        thin = ~(scales > 0).all(-1)
    if bool(thin.any()):
        raise ValueError(_too_thin(stats, covariance_type, int(thin.nonzero()[0, 0])))
    return Mixture((n / n.sum()).log(), about + shift, scales)


def _too_thin(stats: Moments, covariance_type: str, k: int) -> str:
    """Say which component has no covariance, and what to do."""
    n_features = stats.s1.shape[1]
    if covariance_type == "tied":
        found = f"The components together cover rows of weight {float(stats.s0.sum()):.4g}"
    else:
        found = f"Component {k} covers rows of weight {float(stats.s0[k]):.4g}"
    simpler = "use covariance_type='diag', " if covariance_type in MATRIX else ""
    return (
        f"{found}, too few or too much alike for a positive definite {covariance_type!r} "
        f"covariance of {n_features} features (for instance singleton, repeated or constant "
        f"rows). Try to {simpler}increase reg_covar, decrease the number of clusters, or scale "
        "the input data."
    )


def implied_moments(
    mixture: Mixture, about: Tensor, covariance_type: str, reg_covar: float = 0.0
) -> Moments:
    """Return the moments, per row, from which :func:`maximise` would make this mixture.

    They are about the shift, s0 sums to one, and ``reg_covar`` is what ``maximise`` will add.
    """
    n, shift, covariance = mixture.log_weights.exp(), mixture.means - about, mixture.covariances()
    if covariance_type in MATRIX:
        eye = torch.eye(shift.shape[1], dtype=shift.dtype, device=shift.device)
        outer = shift.unsqueeze(-1) * shift.unsqueeze(-2)
        s2 = n[:, None, None] * (covariance - reg_covar * eye + outer)
        s2 = s2.sum(0, keepdim=True) if covariance_type == "tied" else s2
    else:
        s2 = n.unsqueeze(-1) * (covariance - reg_covar + shift.square())
    return Moments(n, n.unsqueeze(-1) * shift, s2)
