"""Gaussian mixtures: densities, divergences, and the two steps of EM on one batch.

Letters: N samples, D features, K clusters. Scales broadcast: three axes mean lower Cholesky
factors (K, D, D) "full" or (1, D, D) "tied"; two mean standard deviations (K, D) "diag" or (K, 1)
"spherical". Reference: C. M. Bishop, Pattern Recognition and Machine Learning, 2.3 and 9.2.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Covariance types whose scales are matrices.
MATRIX = ("full", "tied")
#: Minimum number of rows in a block of a triangular matrix; smaller blocks save no time.
MIN_BLOCK_ROWS = 12
#: Ratio of a variance to squares about the shift below which squares cancel too many digits.
CANCELLATION = 1e-9
#: Responsibilities below eps^3 are set to zero.
NEGLIGIBLE = torch.finfo(torch.float64).eps ** 3
#: With ``reg_covar=0``, variances below this multiple of eps times the squares count as zero.
ZERO_VARIANCE = 1000.0
LOG_2_PI = math.log(2 * math.pi)

#: Maps samples (N, D) to a tensor.
Function = Callable[[Tensor], Tensor]
#: Maps the terms of samples, see :func:`expand`, to densities (K, N).
Density = Callable[..., Tensor]

#: Tensors that add up over batches.
Sums = tuple[Tensor, ...]
#: (samples (N, D), weights (N,)) -> s0, s1, s2 of :class:`SufficientStatistics`, with
#: responsibilities p(k | x_n) w_n, and the log-likelihood sum_n w_n log p(x_n).
Expectation = Callable[[Tensor, Tensor], Sums]


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the module docstring."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like: Any) -> "Mixture":
        """Return the mixture with another device or dtype, contiguous as pickled copies are.

        Rounding may depend on the memory layout.
        """
        return Mixture(*(field.to(like).contiguous() for field in self))

    def reorder(self, order: Any) -> "Mixture":
        """Return the mixture with its components in another order."""
        log_weights, means, scales = self
        if len(scales) == len(means):
            scales = scales[order]
        return Mixture(log_weights[order], means[order], scales)

    def covariances(self) -> Tensor:
        """Return S_k S_k^T or s_k^2, in the shape of ``scales``."""
        if self.scales.ndim == 3:
            return self.scales @ self.scales.mT
        return self.scales.square()

    def precision_factors(self) -> Tensor:
        """Return U_k = S_k^-T, so that U_k U_k^T is the inverse covariance, or 1 / s_k."""
        if self.scales.ndim == 3:
            return _invert(self.scales).mT
        return self.scales.reciprocal()

    def precisions(self) -> Tensor:
        """Return the inverse covariances, in the shape of ``scales``."""
        factors = self.precision_factors()
        return factors @ factors.mT if factors.ndim == 3 else factors.square()

    def components(self) -> "list[Mixture]":
        """Return the components, each as a mixture."""
        scales = self.scales.expand(len(self.means), *self.scales.shape[1:])
        fields = (field.split(1) for field in self._replace(scales=scales))
        return [Mixture(*component) for component in zip(*fields, strict=True)]

    def center(self) -> Tensor:
        """Return sum_k pi_k mu_k, of shape (D,)."""
        return weighted_mean(self.means, self.log_weights.exp())


def weighted_mean(rows: Tensor, weights: Tensor) -> Tensor:
    """Return the mean (D,) of rows under weights (N,) that sum to one.

    Differences from the first row are averaged, so a large common offset keeps its digits.
    """
    return rows[0] + weights @ (rows - rows[0])


def diagonals(scales: Tensor) -> Tensor:
    """Return the diagonals of matrices (K, D, D); vectors as they are."""
    return torch.linalg.diagonal(scales) if scales.ndim == 3 else scales


def scales_from_precisions(precisions: Tensor) -> Tensor:
    """Return the scales of inverse covariances, both in the shapes of scales.

    P = U U^T with U upper triangular (Cholesky with rows and columns reversed), S = U^-T.
    """
    if precisions.ndim == 2:
        return precisions.rsqrt()
    reverse = precisions.flip(-2, -1)
    factor = torch.linalg.cholesky(reverse).flip(-2, -1)
    return _invert(factor.mT)


def compact_scales(scales: Tensor, kind: str) -> Tensor:
    """Return scikit-learn's shapes: "tied" and "spherical" lose the axis of length one."""
    if kind == "tied":
        return scales[0].contiguous()
    if kind == "spherical":
        scales = scales[:, 0]
    return scales.clone()


def _invert(lower: Tensor) -> Tensor:
    """Invert lower triangular matrices."""
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)


# ---- densities


def log_joint(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-joint log pi_k + log N(x_n | mu_k, S_k S_k^T) of samples (N, D), of shape (N, K).

    Its logsumexp over k is the log-likelihood, its softmax over k the responsibilities.
    """
    return joint_density(mixture)(x)


def joint_density(mixture: Mixture) -> Function:
    """Return x -> log_joint(x, mixture), with terms of the mixture computed once."""
    if is_separated(mixture):
        parts = [joint_density(component) for component in mixture.components()]
        return lambda x: torch.cat([part(x) for part in parts], 1)

    log_weights, means, scales = mixture
    constant = log_constant(scales, means.shape[1])
    kind = "diag"
    if scales.ndim == 3:
        kind = "full" if len(scales) == len(means) else "tied"
    shift = means.detach().mean(0)
    density = make_density(means - shift, scales, constant, kind)

    def joint(x: Tensor) -> Tensor:
        terms = expand(x - shift, kind)
        return density(*terms).T + log_weights

    return joint


def is_separated(mixture: Mixture) -> bool:
    """Return whether squares about a common shift lose too many digits, in double precision."""
    if mixture.means.dtype != torch.float64:
        return False

    squares = mixture.scales.detach().square()
    variances = squares.sum(-1) if squares.ndim == 3 else squares
    gaps = (mixture.means - mixture.center()).detach()
    return bool((variances < CANCELLATION * gaps.square()).any())


def log_constant(scales: Tensor, n_features: int) -> Tensor:
    """Return log N at the mean: -log det S_k - D/2 log 2 pi, of shape (K,), or (1,) when tied."""
    log_stds = diagonals(scales).log()
    log_det = log_stds.expand(-1, n_features).sum(-1)
    return -log_det - 0.5 * n_features * LOG_2_PI


def expand(x: Tensor, kind: str) -> tuple[Tensor, ...]:
    """Return the terms of shifted samples x (N, D) that densities and statistics share."""
    if kind == "full":
        one = torch.ones_like(x[:, :1])
        return (torch.cat([one, x], 1),)
    if kind == "tied":
        return (x,)
    return x, x.square()


def make_density(
    means: Tensor,
    scales: Tensor,
    constant: Tensor,
    kind: str,
) -> Density:
    """Return terms -> constant_k - |S_k^-1 (x_n - mu_k)|^2 / 2, of shape (K, N)."""
    if kind == "full":
        return _make_full_density(means, scales, constant)
    if kind != "tied":
        return _make_vector_density(means, scales, constant)
    whiten = _invert(scales)[0].T
    unit = torch.ones_like(means[:1, :1])
    spherical = _make_vector_density(means @ whiten, unit, constant)

    def density(x: Tensor) -> Tensor:
        whitened = x @ whiten
        return spherical(whitened, whitened.square())

    return density


def _make_full_density(means: Tensor, scales: Tensor, constant: Tensor) -> Density:
    whiten = _invert(scales)
    # One matrix product for all components: the column of ones multiplies the means.
    offset = -whiten @ means[:, :, None]
    affine = torch.cat([offset, whiten], -1) * math.sqrt(0.5)
    n_clusters, n_features = means.shape
    blocks = [
        affine[:, first:end, : 1 + end].flatten(0, 1)
        for first, end in triangular_blocks(n_features)
    ]

    def density(x: Tensor) -> Tensor:
        log_prob = constant[:, None]
        for block in blocks:
            roots = block @ x[:, : block.shape[1]].T
            squares = roots.square_().unflatten(0, (n_clusters, -1))
            log_prob = log_prob - squares.sum(1)
        return log_prob

    return density


def triangular_blocks(n_features: int) -> list[tuple[int, int]]:
    """Return the first and last row of each block of rows of a lower triangular matrix.

    Entries to the right of the end of a block are zero, so products skip them.
    """
    n_blocks = min(max(n_features // MIN_BLOCK_ROWS, 1), 4)
    ends = [n_features * i // n_blocks for i in range(n_blocks + 1)]
    return list(pairwise(ends))


def _make_vector_density(means: Tensor, stds: Tensor, constant: Tensor) -> Density:
    constant = constant[:, None]
    if means.dtype != torch.float64:  # the expanded square would cancel too many digits
        root = math.sqrt(0.5)
        means = means[:, None]
        stds = stds[:, None]
        return lambda x, _: constant - ((x - means) / stds * root).square().sum(-1)

    precisions = stds.pow(-2).expand_as(means)
    linear = precisions * means
    squares = (linear * means).sum(1, keepdim=True)
    offset = constant - 0.5 * squares

    def density(x: Tensor, square: Tensor) -> Tensor:
        log_prob = torch.addmm(offset, linear, x.T)
        return torch.addmm(log_prob, precisions, square.T, alpha=-0.5)

    return density


# ---- E-step


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
    return tuple(sum(each) for each in zip(*sums, strict=True))


def expected_statistics(
    mixture: Mixture,
    about: Tensor,
    kind: str,
) -> Expectation:
    """Return the E-step of complete samples."""
    if about.ndim == 2:
        joint = joint_density(mixture)

        def expect_apart(x: Tensor, weight: Tensor) -> Sums:
            resp, evidence = _normalize(joint(x).T, weight)
            return *sufficient_statistics(x, resp.T, about, kind), evidence

        return expect_apart

    log_weights, means, scales = mixture
    constant = log_constant(scales, means.shape[1]) + log_weights
    density = make_density(means - about, scales, constant, kind)

    def expect(x: Tensor, weight: Tensor) -> Sums:
        terms = expand(x - about, kind)
        resp, evidence = _normalize(density(*terms), weight)
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

    pairs = zip(resp.split(1, 1), about, strict=True)
    parts = [sufficient_statistics(x, column, shift, kind) for column, shift in pairs]
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
        parts = ((w[w > 0], x[w > 0]) for w in weights)
        return torch.stack([(w * rows.T) @ rows for w, rows in parts])

    x = x.T.contiguous()
    s2 = x.new_empty(len(weights), len(x), len(x))
    for first, end in triangular_blocks(len(x)):
        weighted = (weights[:, None] * x[first:end]).flatten(0, 1)
        block = (x[:end] @ weighted.T).unflatten(1, (len(weights), -1))
        s2[:, :end, first:end] = block.transpose(0, 1)
        s2[:, first:end, :end] = block.permute(1, 2, 0)
    return s2


# ---- M-step


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
    covariance = squares - of_means
    if covariance.ndim == 2:
        variances = covariance.clamp_min(0) + reg_covar
        scales = variances.sqrt()
    else:
        diagonals(covariance).add_(reg_covar)
        scales, failed = torch.linalg.cholesky_ex(covariance)
        variances = diagonals(scales).square()
        variances[failed > 0] = 0.0

    rounding = 0.0 if reg_covar else ZERO_VARIANCE * torch.finfo(n.dtype).eps
    lost = (rounding * about.expand_as(means)).square()
    if kind == "tied":
        lost = lost.amax(0)
    if kind == "spherical":
        lost = lost.mean(-1, keepdim=True)

    singular = ~(variances > rounding * diagonals(squares) + lost).all(-1)
    if singular.any():
        first = int(singular.nonzero()[0, 0])
        raise ValueError(_explain_singular(stats, kind, first))
    return Mixture((n / n.sum()).log(), about + means, scales)


def _raw_moments(stats: SufficientStatistics, kind: str) -> tuple[Tensor, ...]:
    """Return counts (K,), means (K, D) about the shift, mean squares, squares of the means."""
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
    return n, means, squares, of_means


def _square(means: Tensor, kind: str) -> Tensor:
    """Return outer products (K, D, D) for matrices, or squares (K, D)."""
    if kind in MATRIX:
        return means[:, :, None] * means[:, None]
    return means.square()


def _explain_singular(stats: SufficientStatistics, kind: str, k: int) -> str:
    """Say which component's covariance is not positive definite, and what to do."""
    if kind == "tied":
        covered = f"The components together cover samples of weight {float(stats.s0.sum()):.4g}"
    else:
        covered = f"Component {k} covers samples of weight {float(stats.s0[k]):.4g}"
    simpler = "use covariance_type='diag', " if kind in MATRIX else ""
    return (
        f"{covered}, too few or too similar for a positive definite {kind!r} covariance "
        f"of {stats.s1.shape[1]} features. Try to {simpler}increase reg_covar, decrease the "
        "number of clusters, or scale X."
    )


def find_shifts(
    stats: SufficientStatistics,
    about: Tensor,
    kind: str,
    reg_covar: float,
) -> Tensor | None:
    """Return the means (K, D) as a shift for the statistics if squares about this one cancel."""
    _, means, squares, of_means = _raw_moments(stats, kind)
    of_means = diagonals(of_means)
    variances = diagonals(squares) - of_means + reg_covar
    cancels = variances < CANCELLATION * of_means
    return about + means if cancels.any() else None


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


# ---- divergences


def kl_diag(mean: Tensor, std: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(mu_k, diag s_k^2)), in nats, of shape (N, K).

    ``mean`` and ``std`` are of shape (N, D), ``means`` (K, D), ``stds`` (K, D) or (K, 1).
    """
    ratio = std[:, None] / stds
    apart = (mean[:, None] - means) / stds
    squares = ratio.square() + apart.square()
    return (0.5 * (squares - 1) - ratio.log()).sum(-1)


def log_prob_diag(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log N(x_n; mean_n, diag exp log_var_n), of shape (N,)."""
    squares = (x - mean) ** 2 * (-log_var).exp()
    return -0.5 * (LOG_2_PI + log_var + squares).sum(-1)


def standard_kl(mean: Tensor, std: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(0, I)), in nats, of shape (N,)."""
    squares = std.square() + mean.square()
    return (0.5 * (squares - 1) - std.log()).sum(-1)


def expected_log_joint(mean: Tensor, std: Tensor, mixture: Mixture) -> Tensor:
    """E[log p(z, c) - log q(z)] for q = N(mean_n, diag std_n^2): log pi_c - KL_c, (N, K).

    Its softmax over c is the q(c) that minimizes KL(q(z) q(c) || p(z, c)); its logsumexp is minus
    this minimum. Covariances are diagonal.
    """
    log_weights, means, scales = mixture
    return log_weights - kl_diag(mean, std, means, scales)
