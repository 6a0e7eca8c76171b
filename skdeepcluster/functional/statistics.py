"""The two steps of expectation maximization on one batch of samples.

The E-step sums sufficient statistics, and the M-step is the mixture that maximizes them. Letters:
N samples, D features, K clusters. Reference: C. M. Bishop, Pattern Recognition and Machine
Learning, 9.2.
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from .gaussian import (
    CANCELLATION,
    MATRIX,
    Mixture,
    diagonals,
    expand,
    log_constant,
    make_density,
    make_separate_density,
    triangular_blocks,
)

#: Responsibilities below eps^3 are set to zero.
NEGLIGIBLE = torch.finfo(torch.float64).eps ** 3
#: With ``reg_covar=0``, variances below this multiple of eps times the squares count as zero.
ZERO_VARIANCE = 1000.0

#: Tensors that add up over batches.
Sums = tuple[Tensor, ...]
#: (samples (N, D), weights (N,)) -> s0, s1, s2 of :class:`SufficientStatistics`, with
#: responsibilities p(k | x_n) w_n, and the log-likelihood sum_n w_n log p(x_n).
Expectation = Callable[[Tensor, Tensor], Sums]


class SufficientStatistics(NamedTuple):
    """Weighted sums over samples, with responsibilities r and the shift a = ``about``.

    s0 = sum_n r_nk, of shape (K,); s1 = sum_n r_nk (x_n - a), of shape (K, D); s2 the sums of
    squares: (K, D, D) full, (1, D, D) tied (summed over k), else their diagonals (K, D). The shift
    is common, (D,), or one per component, (K, D).
    """

    s0: Tensor
    s1: Tensor
    s2: Tensor


def add(*sums: Sums) -> Sums:
    """Add sums of the same kind."""
    return tuple(reduce(operator.add, each) for each in zip(*sums, strict=True))


# ---- E-step


def expected_statistics(
    mixture: Mixture,
    about: Tensor,
    kind: str,
) -> Expectation:
    """Return the E-step of complete samples."""
    log_weights, means, scales = mixture
    constant = log_constant(scales, means.shape[1]) + log_weights
    separate = about.ndim == 2
    if separate:
        density = make_separate_density(means, scales, constant, kind)
    else:
        density = make_density(means - about, scales, constant, kind)

    def expect(x: Tensor, weight: Tensor) -> Sums:
        terms = (x,) if separate else expand(x - about, kind)
        resp, evidence = _normalize(density(*terms), weight)
        if separate:
            return *sufficient_statistics(x, resp.T, about, kind), evidence
        return *_sum_terms(terms, resp, kind), evidence

    return expect


def _normalize(joint: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a log-joint (K, N) into responsibilities times weights; return the evidence, too."""
    top = joint.amax(0)
    # Clamped because the exponential is tens of times slower for denormal results.
    resp = joint.sub_(top).clamp_min_(-700).exp_()
    resp = torch.threshold_(resp, NEGLIGIBLE, 0)

    total = resp.sum(0)
    resp.mul_(weight / total)
    log_likelihood = total.log_().add_(top)
    return resp, weight @ log_likelihood


def sufficient_statistics(
    x: Tensor,
    resp: Tensor,
    about: Tensor,
    kind: str,
) -> SufficientStatistics:
    """Return the statistics of samples x (N, D) with responsibilities times weights (N, K)."""
    if about.ndim == 1:
        terms = expand(x - about, kind)
        return _sum_terms(terms, resp.T, kind)

    each = zip(resp.split(1, 1), about, strict=True)
    parts = [sufficient_statistics(x, *own, kind) for own in each]
    stats = join(parts)
    if kind == "tied":
        stats = stats._replace(s2=stats.s2.sum(0, keepdim=True))
    return stats


def join(parts: list[SufficientStatistics]) -> SufficientStatistics:
    """Return the statistics of a mixture from the statistics of each component."""
    return SufficientStatistics(*map(torch.cat, zip(*parts, strict=True)))


def _sum_terms(
    terms: tuple[Tensor, ...],
    weights: Tensor,
    kind: str,
) -> SufficientStatistics:
    """Return the statistics of terms, with responsibilities ``weights`` (K, N)."""
    x = terms[0]
    if kind == "full":
        x = x[:, 1:]  # without the column of ones
        s2 = _sum_squares(x, weights)
    elif kind == "tied":
        s2 = ((x.T * weights.sum(0)) @ x)[None]
    else:
        s2 = weights @ terms[1]
    return SufficientStatistics(weights.sum(1), weights @ x, s2)


def _sum_squares(x: Tensor, weights: Tensor) -> Tensor:
    """Return sum_n w_kn x_n x_n^T, of shape (K, D, D)."""
    # If most weights are zero, gathering the samples of each component is faster.
    if x.device.type == "cpu" and 4 * int(weights.count_nonzero()) < weights.numel():
        own = ((w[w > 0], x[w > 0]) for w in weights)
        return torch.stack([(w * rows.T) @ rows for w, rows in own])

    x = x.T.contiguous()
    s2 = x.new_empty(len(weights), len(x), len(x))
    for first, end in triangular_blocks(len(x)):
        weighted = (weights[:, None] * x[first:end]).flatten(0, 1)
        block = (x[:end] @ weighted.T).unflatten(1, (len(weights), -1))
        s2[:, :end, first:end] = block.transpose(0, 1)
        s2[:, first:end, :end] = block.permute(1, 2, 0)
    return s2


# ---- M-step


class _RawMoments(NamedTuple):
    """Moments about the shift: counts (K,), means (K, D), mean squares, squares of the means."""

    counts: Tensor
    means: Tensor
    squares: Tensor
    of_means: Tensor


def maximize(
    stats: SufficientStatistics,
    about: Tensor,
    kind: str,
    reg_covar: float = 0.0,
) -> Mixture:
    """Return the M-step: the mixture with the highest expected log-likelihood.

    n_k = s0_k, pi_k = n_k / sum n, mu_k = a + s1_k / n_k, and the covariance
    s2_k / n_k - (mu_k - a)(mu_k - a)^T + reg_covar I, restricted to its type. Raises ValueError
    if a covariance is not positive definite, with ``reg_covar=0`` beyond rounding errors.
    """
    n, means, squares, of_means = _raw_moments(stats, kind)
    scales, variances = _factorize(squares - of_means, reg_covar)

    noise = 0.0 if reg_covar else ZERO_VARIANCE * torch.finfo(n.dtype).eps
    lost = (noise * about.expand_as(means)).square()
    if kind == "tied":
        lost = lost.amax(0)
    if kind == "spherical":
        lost = lost.mean(-1, keepdim=True)

    singular = ~(variances > noise * diagonals(squares) + lost).all(-1)
    if singular.any():
        first = int(singular.nonzero()[0, 0])
        raise ValueError(_explain_singular(stats, kind, first))
    return Mixture((n / n.sum()).log(), about + means, scales)


def _raw_moments(stats: SufficientStatistics, kind: str) -> _RawMoments:
    # An empty component keeps a positive count, so its mean is defined: it is the shift.
    n = stats.s0 + 10 * torch.finfo(stats.s0.dtype).eps * stats.s0.mean()
    means = stats.s1 / n[:, None]
    counts = n[:, None, None] if kind in MATRIX else n[:, None]
    of_means = _square(means, kind)
    if kind == "tied":
        of_means = (counts * of_means).sum(0, keepdim=True) / n.sum()
        counts = n.sum()

    squares = stats.s2 / counts
    if kind == "spherical":
        squares = squares.mean(-1, keepdim=True)
        of_means = of_means.mean(-1, keepdim=True)
    return _RawMoments(n, means, squares, of_means)


def _square(means: Tensor, kind: str) -> Tensor:
    """Return outer products (K, D, D) for matrices, or squares (K, D)."""
    if kind in MATRIX:
        return means[:, :, None] * means[:, None]
    return means.square()


def _factorize(covariance: Tensor, reg_covar: float) -> tuple[Tensor, Tensor]:
    """Return the scales of covariances, and their squared diagonals, 0 if there is no factor."""
    if covariance.ndim == 2:
        variances = covariance.clamp_min(0) + reg_covar
        return variances.sqrt(), variances

    diagonals(covariance).add_(reg_covar)
    scales, failed = torch.linalg.cholesky_ex(covariance)
    pivots = diagonals(scales).square()
    pivots[failed > 0] = 0.0
    return scales, pivots


def _explain_singular(stats: SufficientStatistics, kind: str, k: int) -> str:
    """Say which component's covariance is not positive definite, and what to do."""
    n_features = stats.s1.shape[1]
    if kind == "tied":
        found = f"The components together cover samples of weight {float(stats.s0.sum()):.4g}"
    else:
        found = f"Component {k} covers samples of weight {float(stats.s0[k]):.4g}"
    simpler = "use covariance_type='diag', " if kind in MATRIX else ""
    return (
        f"{found}, too few or too similar for a positive definite {kind!r} covariance "
        f"of {n_features} features. Try to {simpler}increase reg_covar, decrease the number of "
        "clusters, or scale X."
    )


def own_shift(
    stats: SufficientStatistics,
    about: Tensor,
    kind: str,
    reg_covar: float,
) -> Tensor | None:
    """Return the means (K, D) as a shift for the statistics if squares about this one cancel."""
    moments = _raw_moments(stats, kind)
    of_means = diagonals(moments.of_means)
    variances = diagonals(moments.squares) - of_means + reg_covar
    cancels = variances < CANCELLATION * of_means
    return about + moments.means if cancels.any() else None


def implied_statistics(
    mixture: Mixture,
    about: Tensor,
    kind: str,
    reg_covar: float = 0.0,
) -> SufficientStatistics:
    """Invert :func:`maximize`: return the statistics of a mixture, with s0 that sums to one."""
    n = mixture.log_weights.exp()
    means = mixture.means - about
    squares = mixture.covariances()
    diagonals(squares).sub_(reg_covar)
    squares = squares + _square(means, kind)

    s2 = n[:, None, None] * squares if kind in MATRIX else n[:, None] * squares
    if kind == "tied":
        s2 = s2.sum(0, keepdim=True)
    return SufficientStatistics(n, n[:, None] * means, s2)
