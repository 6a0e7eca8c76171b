"""Gaussian mixtures: densities, divergences, and the two steps of EM on one batch.

Letters: N samples, D features, K clusters. Scales broadcast: three axes mean lower Cholesky
factors (K, D, D) "full" or (1, D, D) "tied"; two mean standard deviations (K, D) "diag" or (K, 1)
"spherical". Reference: C. M. Bishop, Pattern Recognition and Machine Learning, 2.3 and 9.2.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

#: Covariance types whose scales are matrices.
MATRIX = ("full", "tied")
#: Responsibilities below eps^3 are set to zero.
NEGLIGIBLE = torch.finfo(torch.float64).eps ** 3
LOG_2_PI = math.log(2 * math.pi)


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the module docstring."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like):
        """Return the mixture with another device or dtype, contiguous as pickled copies are.

        Rounding may depend on the layout in memory.
        """
        return Mixture(*(field.to(like).contiguous() for field in self))

    def covariances(self):
        """Return S_k S_k^T or s_k^2, in the shape of ``scales``."""
        if self.scales.ndim == 3:
            return self.scales @ self.scales.mT
        return self.scales.square()

    def precision_factors(self):
        """Return U_k = S_k^-T, so that U_k U_k^T is the inverse covariance, or 1 / s_k."""
        if self.scales.ndim == 3:
            return _invert(self.scales).mT
        return self.scales.reciprocal()

    def precisions(self):
        """Return the inverse covariances, in the shape of ``scales``."""
        factors = self.precision_factors()
        return factors @ factors.mT if factors.ndim == 3 else factors.square()

    def center(self):
        """Return sum_k pi_k mu_k, of shape (D,)."""
        return weighted_mean(self.means, self.log_weights.exp())


def weighted_mean(rows, weights):
    """Return the mean (D,) of rows under weights (N,) that sum to one.

    Differences from the first row are averaged, so a large common offset keeps its digits.
    """
    return rows[0] + weights @ (rows - rows[0])


def diagonals(scales):
    """Return the diagonals of matrices (K, D, D); vectors as they are."""
    return torch.linalg.diagonal(scales) if scales.ndim == 3 else scales


def scales_from_precisions(precisions):
    """Return the scales of inverse covariances, both in the shapes of scales.

    P = U U^T with U upper triangular (Cholesky with rows and columns reversed), S = U^-T.
    """
    if precisions.ndim == 2:
        return precisions.rsqrt()
    reverse = precisions.flip(-2, -1)
    factor = torch.linalg.cholesky(reverse).flip(-2, -1)
    return _invert(factor.mT)


def compact_scales(scales, kind):
    """Return scikit-learn's shapes: "tied" and "spherical" lose the axis of length one."""
    if kind == "tied":
        return scales[0].contiguous()
    if kind == "spherical":
        scales = scales[:, 0]
    return scales.clone()


def _invert(lower):
    """Invert lower triangular matrices."""
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)


# ---- densities


def log_joint(x, mixture):
    """Log-joint log pi_k + log N(x_n | mu_k, S_k S_k^T) of samples (N, D), of shape (N, K).

    Its logsumexp over k is the log-likelihood, its softmax over k the responsibilities.
    """
    return joint_density(mixture)(x)


def joint_density(mixture):
    """Return x -> log_joint(x, mixture), with terms of the mixture computed once."""
    log_weights, means, scales = mixture
    constant = log_constant(scales, means.shape[1])[:, None]
    shift = means.detach().mean(0)
    half_squares = _make_half_squares(means - shift, scales)

    def joint(x):
        log_prob = constant - half_squares(x - shift)
        return log_prob.T + log_weights

    return joint


def log_constant(scales, n_features):
    """Return log N at the mean: -log det S_k - D/2 log 2 pi, of shape (K,), or (1,) when tied."""
    log_stds = diagonals(scales).log()
    log_det = log_stds.expand(-1, n_features).sum(-1)
    return -log_det - 0.5 * n_features * LOG_2_PI


def _make_half_squares(means, scales):
    """Return x -> |S_k^-1 (x_n - mu_k)|^2 / 2, of shape (K, N)."""
    if scales.ndim == 2:
        return _make_vector_squares(means, scales)
    if len(scales) == len(means):
        return _make_matrix_squares(means, scales)
    whiten = _invert(scales)[0].T
    spherical = _make_vector_squares(means @ whiten, torch.ones_like(means[:1, :1]))
    return lambda x: spherical(x @ whiten)


def _make_matrix_squares(means, scales):
    whiten = _invert(scales) * math.sqrt(0.5)
    offset = (whiten @ means[:, :, None]).flatten(0, 1)
    rows = whiten.flatten(0, 1)

    def half_squares(x):
        roots = torch.addmm(offset, rows, x.T, beta=-1)
        return roots.square_().unflatten(0, means.shape).sum(1)

    return half_squares


def _make_vector_squares(means, stds):
    if means.dtype != torch.float64:  # the expanded square would cancel too many digits
        root = math.sqrt(0.5)
        means = means[:, None]
        stds = stds[:, None]
        return lambda x: ((x - means) / stds * root).square().sum(-1)

    constant, linear, square = _expand_squares(means, stds)

    def half_squares(x):
        squares = torch.addmm(constant, square, x.square().T)
        return torch.addmm(squares, linear, x.T)

    return half_squares


def _expand_squares(means, stds):
    """Return the factors of 1 (K, 1), x and x^2 (K, D) in |(x - mu_k) / s_k|^2 / 2."""
    square = 0.5 * stds.pow(-2).expand_as(means)
    linear = -2 * square * means
    return (square * means.square()).sum(1, keepdim=True), linear, square


# ---- E-step


class SufficientStatistics(NamedTuple):
    """Weighted sums over samples, with responsibilities r and the shift a = ``about``.

    s0 = sum_n r_nk, of shape (K,); s1 = sum_n r_nk (x_n - a), of shape (K, D); s2 the sums of
    squares: (K, D, D) full, (1, D, D) tied (summed over k), else their diagonals (K, D).
    """

    s0: Tensor
    s1: Tensor
    s2: Tensor


def add(*sums):
    """Add sums of the same kind."""
    return tuple(sum(each) for each in zip(*sums, strict=True))


def expected_statistics(mixture, about, kind):
    """Return the E-step: (samples (N, D), weights (N,)) -> statistics, and the log-likelihood.

    Both are in double precision.
    """
    if kind not in MATRIX:
        return _expected_squares(mixture, about)
    joint = joint_density(mixture)

    def expect(x, weight):
        resp, evidence = _normalize(joint(x).T, weight)
        return *sufficient_statistics(x, resp.T, about, kind), evidence

    return expect


def _expected_squares(mixture, about):
    """Return the E-step for features that are independent in each component.

    The log-joint and its statistics are both linear in x - a and (x - a)^2.
    """
    constant, *factors = _expand_squares(mixture.means - about, mixture.scales)
    factors = torch.cat(factors, 1)
    log_peak = log_constant(mixture.scales, len(about)) + mixture.log_weights
    constant = log_peak[:, None] - constant

    def expect(x, weight):
        rows = x.new_empty(len(x), 2 * len(about))
        shifted, squares = rows.chunk(2, 1)
        torch.sub(x, about, out=shifted)
        torch.square(shifted, out=squares)
        joint = torch.addmm(constant, factors, rows.T, alpha=-1)
        resp, evidence = _normalize(joint, weight)
        s1, s2 = (resp @ rows).chunk(2, 1)
        return resp.sum(1), s1, s2, evidence

    return expect


def _normalize(joint, weight):
    """Turn a log-joint (K, N) into responsibilities times weights; return the evidence, too."""
    top = joint.amax(0)
    # Clamped because the exponential is tens of times slower for denormal results.
    resp = joint.sub_(top).clamp_min_(-700).exp_()
    resp = torch.threshold_(resp, NEGLIGIBLE, 0)

    total = resp.sum(0)
    resp.mul_(weight / total)
    log_likelihood = total.log_().add_(top)
    return resp, weight @ log_likelihood


def sufficient_statistics(x, resp, about, kind):
    """Return the statistics of samples x (N, D) with responsibilities times weights (N, K)."""
    x = x - about
    weights = resp.T
    if kind == "full":
        s2 = _sum_squares(x, weights)
    elif kind == "tied":
        s2 = ((x.T * weights.sum(0)) @ x)[None]
    else:
        s2 = weights @ x.square()
    return SufficientStatistics(weights.sum(1), weights @ x, s2)


def _sum_squares(x, weights):
    """Return sum_n w_kn x_n x_n^T, of shape (K, D, D)."""
    # If most weights are zero, gathering the samples of each component is faster.
    if x.device.type == "cpu" and 4 * int(weights.count_nonzero()) < weights.numel():
        parts = ((w[w > 0], x[w > 0]) for w in weights)
        return torch.stack([(w * rows.T) @ rows for w, rows in parts])

    weighted = (weights[:, None] * x.T).flatten(0, 1)
    return (weighted @ x).unflatten(0, (len(weights), -1))


# ---- M-step


def maximize(stats, about, kind, reg_covar=0.0):
    """Return the M-step: the mixture with the highest expected log-likelihood.

    n_k = s0_k, pi_k = n_k / sum n, mu_k = a + s1_k / n_k, and the covariance
    s2_k / n_k - (mu_k - a)(mu_k - a)^T + reg_covar I, restricted to its type. Raises ValueError
    if a covariance is not positive definite.
    """
    n, means, squares, of_means = _raw_moments(stats, kind)
    covariance = squares - of_means
    if covariance.ndim == 2:
        scales = (covariance.clamp_min(0) + reg_covar).sqrt()
    else:
        diagonals(covariance).add_(reg_covar)
        scales, failed = torch.linalg.cholesky_ex(covariance)
        diagonals(scales)[failed > 0] = 0.0

    singular = ~(diagonals(scales) > 0).all(-1)
    if singular.any():
        raise ValueError(
            "A component covers too few or too similar samples for a positive definite "
            f"{kind!r} covariance of {means.shape[1]} features. Increase reg_covar, use "
            "covariance_type='diag', decrease the number of clusters, or scale X."
        )
    return Mixture((n / n.sum()).log(), about + means, scales)


def _raw_moments(stats, kind):
    """Return counts (K,), means (K, D) about the shift, mean squares, squares of the means."""
    # An empty component keeps a positive count, so its mean is defined: it is the shift.
    n = stats.s0 + 10 * torch.finfo(stats.s0.dtype).eps * stats.s0.mean()
    means = stats.s1 / n[:, None]
    counts = n[:, None]
    of_means = means.square()
    if kind in MATRIX:
        counts = counts[:, None]
        of_means = means[:, :, None] * means[:, None]
    if kind == "tied":
        of_means = (counts * of_means).sum(0, keepdim=True) / n.sum()
        counts = n.sum()

    squares = stats.s2 / counts
    if kind == "spherical":
        squares = squares.mean(-1, keepdim=True)
        of_means = of_means.mean(-1, keepdim=True)
    return n, means, squares, of_means


# ---- divergences


def kl_diag(mean, std, means, stds):
    """KL(N(mean_n, diag std_n^2) || N(mu_k, diag s_k^2)), in nats, of shape (N, K).

    ``mean`` and ``std`` are of shape (N, D), ``means`` (K, D), ``stds`` (K, D) or (K, 1).
    """
    ratio = std[:, None] / stds
    apart = (mean[:, None] - means) / stds
    squares = ratio.square() + apart.square()
    return (0.5 * (squares - 1) - ratio.log()).sum(-1)


def log_prob_diag(x, mean, log_var):
    """Log N(x_n; mean_n, diag exp log_var_n), of shape (N,)."""
    squares = (x - mean) ** 2 * (-log_var).exp()
    return -0.5 * (LOG_2_PI + log_var + squares).sum(-1)


def standard_kl(mean, std):
    """KL(N(mean_n, diag std_n^2) || N(0, I)), in nats, of shape (N,)."""
    squares = std.square() + mean.square()
    return (0.5 * (squares - 1) - std.log()).sum(-1)


def expected_log_joint(mean, std, mixture):
    """E[log p(z, c) - log q(z)] for q = N(mean_n, diag std_n^2): log pi_c - KL_c, (N, K).

    Its softmax over c is the q(c) that minimizes KL(q(z) q(c) || p(z, c)); its logsumexp is minus
    this minimum. Covariances are diagonal.
    """
    log_weights, means, scales = mixture
    return log_weights - kl_diag(mean, std, means, scales)
