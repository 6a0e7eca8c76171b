"""Gaussian densities, divergences and mixtures, and the two steps of EM on one batch.

Letters: N samples, D features, K clusters. Scales broadcast: three axes mean lower Cholesky
factors (K, D, D) "full" or (1, D, D) "tied"; two mean standard deviations (K, D) "diag" or (K, 1)
"spherical". Reference: C. M. Bishop, Pattern Recognition and Machine Learning, 2.3 and 9.2.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

#: Covariance types whose scales are matrices.
MATRIX = ("full", "tied")
#: Minimum rows of a block of a triangular matrix: smaller blocks cost more than they save.
MIN_BLOCK_ROWS = 12
#: Responsibilities below eps^3 are set to zero.
NEGLIGIBLE = torch.finfo(torch.float64).eps ** 3
#: With ``reg_covar=0``, variances below this multiple of eps times the squares count as zero.
ROUNDING = 1000.0
#: Ratio of a variance to squares about the shift below which squares cancel too many digits.
CANCELLATION = 1e-9
#: Rounds of rejection sampling in :func:`confident_sample`, and of halving afterwards.
REDRAWS = 20
#: The densities (K, N) of the terms of samples that ``_expand`` returns.
_Density = Callable[..., Tensor]


def average(rows: Tensor, weights: Tensor) -> Tensor:
    """Return the mean (D,) of rows under weights (N,) that sum to one.

    Differences from the first row are averaged, so a large common offset keeps its digits.
    """
    return rows[0] + weights @ (rows - rows[0])


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the module docstring."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like: Tensor | torch.device | str | torch.dtype) -> "Mixture":
        """Return the mixture with another device or dtype."""
        return Mixture(*(field.to(like) for field in self))

    def covariances(self) -> Tensor:
        """S_k S_k^T or s_k^2, in the shape of ``scales``."""
        return (
            self.scales @ self.scales.mT
            if self.scales.ndim == 3
            else self.scales.square()
        )

    def precision_factors(self) -> Tensor:
        """U_k = S_k^-T, so that U_k U_k^T is the inverse covariance, or 1 / s_k."""
        if self.scales.ndim == 2:
            return self.scales.reciprocal()
        return _invert(self.scales).mT

    def is_sound(self) -> bool:
        """Return whether shapes agree, weights sum to one and scales are positive and finite."""
        k, d = self.means.shape
        shapes = {(k, d, d), (1, d, d), (k, d), (k, 1)}
        if self.log_weights.shape != (k,) or self.scales.shape not in shapes:
            return False
        stds = (
            self.scales.diagonal(dim1=-2, dim2=-1)
            if self.scales.ndim == 3
            else self.scales
        )
        is_finite = bool(self.means.isfinite().all() and self.scales.isfinite().all())
        total = float(self.log_weights.exp().sum())
        return (
            is_finite
            and bool((stds > 0).all())
            and math.isclose(total, 1, abs_tol=1e-6)
        )

    def center(self) -> Tensor:
        """sum_k pi_k mu_k, of shape (D,)."""
        return average(self.means, self.log_weights.exp())


def scales_from_precisions(precisions: Tensor) -> Tensor:
    """Return the scales whose inverse covariances are given, both in the shapes of scales.

    P = U U^T with U upper triangular (Cholesky with rows and columns reversed), S = U^-T.
    """
    if precisions.ndim == 2:
        return precisions.rsqrt()
    factor = torch.linalg.cholesky(precisions.flip(-2, -1)).flip(-2, -1)
    return _invert(factor.mT)


def _invert(lower: Tensor) -> Tensor:
    """Invert lower triangular matrices."""
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)


def log_constant(scales: Tensor, n_features: int) -> Tensor:
    """Return log N at the mean: -log det S_k - D/2 log 2 pi, of shape (K,), or (1,) when tied."""
    if scales.ndim == 3:
        log_det = scales.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    else:
        log_det = scales.log().expand(-1, n_features).sum(-1)
    return -log_det - 0.5 * n_features * math.log(2 * math.pi)


def _expand(x: Tensor, covariance_type: str) -> tuple[Tensor, ...]:
    """Return the terms of shifted samples x (N, D) that densities and statistics share."""
    if covariance_type == "full":
        return (torch.cat([torch.ones_like(x[:, :1]), x], 1),)
    return (x,) if covariance_type == "tied" else (x, x.square())


def _make_density(mixture: Mixture, constant: Tensor, covariance_type: str) -> _Density:
    """Return terms -> constant_k - |S_k^-1 (x_n - mu_k)|^2 / 2, of shape (K, N)."""
    _, means, scales = mixture
    if covariance_type == "full":
        return _make_full_density(means, scales, constant)
    if covariance_type != "tied":
        return _make_vector_density(means, scales, constant)
    whiten = _invert(scales)[0].T
    spherical = _make_vector_density(
        means @ whiten, torch.ones_like(means[:1, :1]), constant
    )
    return lambda x: spherical(*_expand(x @ whiten, "spherical"))


def _make_separate_density(
    mixture: Mixture, constant: Tensor, covariance_type: str
) -> Callable[[Tensor], Tensor]:
    """Return samples -> the densities (K, N) from differences to each mean, which keep digits."""
    log_weights, means, scales = mixture
    scales, constant = (
        scales.expand(len(means), *scales.shape[1:]),
        constant.expand(len(means)),
    )
    parts = []
    for k, mean in enumerate(means):
        centered = Mixture(log_weights, torch.zeros_like(means[:1]), scales[k : k + 1])
        parts.append(
            (mean, _make_density(centered, constant[k : k + 1], covariance_type))
        )
    return lambda x: torch.cat(
        [density(*_expand(x - m, covariance_type)) for m, density in parts]
    )


def _make_full_density(means: Tensor, scales: Tensor, constant: Tensor) -> _Density:
    """Return :func:`_make_density` for full covariances."""
    whiten = _invert(scales)
    # One matrix product for all components: the column of ones multiplies the means.
    affine = torch.cat([-whiten @ means.unsqueeze(-1), whiten], -1) * math.sqrt(0.5)
    ends = triangular_blocks(means.shape[1])
    blocks = [affine[:, first:end, : 1 + end].flatten(0, 1) for first, end in ends]

    def density(rows: Tensor) -> Tensor:
        log_prob = constant.unsqueeze(1)
        for block in blocks:
            roots = block @ rows[:, : block.shape[1]].T
            log_prob = log_prob - roots.square_().unflatten(
                0, (means.shape[0], -1)
            ).sum(1)
        return log_prob

    return density


def triangular_blocks(n_features: int) -> list[tuple[int, int]]:
    """Return the first and last row of each block of rows of a lower triangular matrix.

    Entries to the right of the end of a block are zero, so products skip them.
    """
    n_blocks = min(max(n_features // MIN_BLOCK_ROWS, 1), 4)
    return list(pairwise(n_features * i // n_blocks for i in range(n_blocks + 1)))


def _make_vector_density(means: Tensor, stds: Tensor, constant: Tensor) -> _Density:
    """Return :func:`_make_density` for standard deviations."""
    constant = constant.unsqueeze(1)
    if means.dtype != torch.float64:  # the expanded square would cancel too many digits
        root, means, stds = math.sqrt(0.5), means.unsqueeze(1), stds.unsqueeze(1)
        return lambda x, _: constant - ((x - means) / stds * root).square().sum(-1)
    precisions = stds.pow(-2).expand_as(means)
    linear = precisions * means
    offset = constant - 0.5 * (linear * means).sum(1, keepdim=True)

    def density(x: Tensor, square: Tensor) -> Tensor:
        return torch.addmm(
            torch.addmm(offset, linear, x.T), precisions, square.T, alpha=-0.5
        )

    return density


def joint_density(mixture: Mixture) -> Callable[[Tensor], Tensor]:
    """Return x -> log_joint(x, mixture), with terms of the mixture computed once."""
    log_weights, means, scales = mixture
    kind = "diag"
    if scales.ndim == 3:
        kind = "full" if len(scales) == len(means) else "tied"
    constant = log_constant(scales, means.shape[1])
    if is_separated(mixture):
        separate = _make_separate_density(mixture, constant, kind)
        return lambda x: separate(x).T + log_weights
    shift = means.detach().mean(0)
    density = _make_density(mixture._replace(means=means - shift), constant, kind)
    return lambda x: density(*_expand(x - shift, kind)).T + log_weights


def is_separated(mixture: Mixture) -> bool:
    """Return whether squares about a common shift lose too many digits, in double precision."""
    if mixture.means.dtype != torch.float64:
        return False
    scales = mixture.scales.detach()
    variances = scales.square() if scales.ndim == 2 else scales.square().sum(-1)
    gaps = (mixture.means - mixture.center()).detach()
    return bool((variances < CANCELLATION * gaps.square()).any())


def log_joint(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-joint log pi_k + log N(x_n | mu_k, S_k S_k^T) of samples (N, D), of shape (N, K).

    Its logsumexp over k is the log-likelihood, its softmax over k the responsibilities.
    """
    return joint_density(mixture)(x)


def sample(
    mixture: Mixture, counts: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Generate ``counts[k]`` samples of each component in turn, (counts.sum(), D)."""
    _, means, scales = mixture
    sizes = counts.tolist()
    shape = sum(sizes), means.shape[1]
    noise = torch.randn(shape, generator=generator, dtype=means.dtype, device="cpu")
    scales = scales.expand(len(means), *scales.shape[1:])
    parts = zip(means, scales, noise.to(means.device).split(sizes), strict=True)
    matrix = scales.ndim == 3
    return torch.cat(
        [m + (z @ scale.T if matrix else z * scale) for m, scale, z in parts]
    )


def confident_sample(
    mixture: Mixture,
    counts: Tensor,
    confidence: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Generate samples as :func:`sample` does, under the condition p(k | x) >= confidence.

    Rejected samples are generated again ``REDRAWS`` times, then moved halfway to the mean of
    their component until they are accepted.
    """
    own = torch.arange(len(counts), device="cpu").repeat_interleave(counts)

    def reject(x: Tensor) -> Tensor:
        log_p = log_joint(x, mixture).log_softmax(-1)
        return log_p.gather(1, own[:, None]).squeeze(1).exp() < confidence

    centers = mixture.means[own]
    hidden = own[reject(centers)]
    if len(hidden):
        raise ValueError(
            f"Cluster {int(hidden[0])} overlaps others so much that not even its mean reaches a "
            f"confidence of {confidence}. Pass a lower confidence."
        )
    x = sample(mixture, counts, generator)
    for i in range(2 * REDRAWS):
        rejected = reject(x).nonzero().squeeze(1)
        if len(rejected) == 0:
            return x
        if i < REDRAWS:
            again = own[rejected].bincount(minlength=len(counts))
            x[rejected] = sample(mixture, again, generator)
        else:
            x[rejected] = (x[rejected] + centers[rejected]) / 2
    return torch.where(reject(x)[:, None], centers, x)


def kl_diag(mean: Tensor, std: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(mu_k, diag s_k^2)), in nats, of shape (N, K).

    ``mean`` and ``std`` are of shape (N, D), ``means`` (K, D), ``stds`` (K, D) or (K, 1).
    """
    ratio = std.unsqueeze(1) / stds
    apart = (mean.unsqueeze(1) - means) / stds
    return (0.5 * (ratio.square() + apart.square() - 1) - ratio.log()).sum(-1)


def log_prob_diag(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log N(x_n; mean_n, diag exp log_var_n), of shape (N,)."""
    return -0.5 * (
        math.log(2 * math.pi) + log_var + (x - mean) ** 2 * (-log_var).exp()
    ).sum(-1)


def standard_kl(mean: Tensor, std: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(0, I)), in nats, of shape (N,)."""
    return (0.5 * (std.square() + mean.square() - 1) - std.log()).sum(-1)


def expected_log_joint(mean: Tensor, std: Tensor, mixture: Mixture) -> Tensor:
    """E[log p(z, c) - log q(z)] for q = N(mean_n, diag std_n^2): log pi_c - KL_c, (N, K).

    Its softmax over c is the q(c) that minimizes KL(q(z) q(c) || p(z, c)); its logsumexp is minus
    this minimum. Covariances are diagonal.
    """
    return mixture.log_weights - kl_diag(mean, std, mixture.means, mixture.scales)


def compact_scales(scales: Tensor, covariance_type: str) -> Tensor:
    """Return scikit-learn's shapes: "tied" and "spherical" lose the axis of length one."""
    if covariance_type == "tied":
        return scales[0].contiguous()
    return (scales[:, 0] if covariance_type == "spherical" else scales).clone()


# ---- expectation maximization: sufficient statistics, and the mixture that maximizes them


class SufficientStatistics(NamedTuple):
    """Weighted sums over samples, with responsibilities r and the shift a = ``about``.

    s0 = sum_n r_nk, of shape (K,); s1 = sum_n r_nk (x_n - a), of shape (K, D); s2 the sums of
    squares: (K, D, D) full, (1, D, D) tied (summed over k), else their diagonals (K, D). The shift
    is common, (D,), or one per component, (K, D).
    """

    s0: Tensor
    s1: Tensor
    s2: Tensor

    def times(self, factor: float) -> "SufficientStatistics":
        """Return the statistics for sample weights times ``factor``."""
        return SufficientStatistics(*(s * factor for s in self))


def sufficient_statistics(
    x: Tensor, resp: Tensor, about: Tensor, covariance_type: str
) -> SufficientStatistics:
    """Return the statistics of samples x (N, D) with responsibilities times weights (N, K)."""
    if about.ndim == 2:
        each = zip(resp.split(1, 1), about, strict=True)
        parts = [
            sufficient_statistics(x, r, shift, covariance_type) for r, shift in each
        ]
        s0, s1, s2 = map(torch.cat, zip(*parts, strict=True))
        return SufficientStatistics(
            s0, s1, s2.sum(0, True) if covariance_type == "tied" else s2
        )
    return _sum_terms(_expand(x - about, covariance_type), resp.T, covariance_type)


def _sum_terms(
    terms: tuple[Tensor, ...], weights: Tensor, covariance_type: str
) -> SufficientStatistics:
    """Return the statistics of terms, with responsibilities ``weights`` (K, N)."""
    x = terms[0][:, 1:] if covariance_type == "full" else terms[0]
    if covariance_type not in MATRIX:
        s2 = weights @ terms[1]
    elif covariance_type == "tied":
        s2 = ((x.T * weights.sum(0)) @ x).unsqueeze(0)
    else:
        s2 = _sum_squares(x, weights)
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
        weighted = (weights.unsqueeze(1) * x[first:end]).flatten(0, 1)
        block = (x[:end] @ weighted.T).unflatten(1, (len(weights), -1))
        s2[:, :end, first:end] = block.transpose(0, 1)
        s2[:, first:end, :end] = block.permute(1, 2, 0)
    return s2


def expected_statistics(
    mixture: Mixture, about: Tensor, covariance_type: str
) -> Callable[[Tensor, Tensor], tuple[SufficientStatistics, Tensor]]:
    """Return the E-step: (x, w) -> the statistics of p(k | x_n) w_n and sum_n w_n log p(x_n)."""
    means, scales = mixture.means - about, mixture.scales
    constant = log_constant(scales, means.shape[1]) + mixture.log_weights
    separate = about.ndim == 2
    if separate:
        density = _make_separate_density(mixture, constant, covariance_type)
    else:
        density = _make_density(
            mixture._replace(means=means), constant, covariance_type
        )

    def expect(x: Tensor, weight: Tensor) -> tuple[SufficientStatistics, Tensor]:
        terms = (x,) if separate else _expand(x - about, covariance_type)
        joint = density(*terms)
        top = joint.amax(0)
        # Clamped because the exponential is tens of times slower for denormal results.
        resp = joint.sub_(top).clamp_min_(-700).exp_()
        resp = torch.threshold_(resp, NEGLIGIBLE, 0)
        total = resp.sum(0)
        resp.mul_(weight / total)
        evidence = weight @ total.log_().add_(top)
        if separate:
            return sufficient_statistics(x, resp.T, about, covariance_type), evidence
        return _sum_terms(terms, resp, covariance_type), evidence

    return expect


def _moments(
    stats: SufficientStatistics, covariance_type: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return counts n, means s1 / n, squares s2 / n, and the share of the means in the squares."""
    # An empty component keeps a positive count, so its mean is defined: it is the shift.
    n = stats.s0 + 10 * torch.finfo(stats.s0.dtype).eps * stats.s0.mean()
    means = stats.s1 / n.unsqueeze(-1)
    if covariance_type not in MATRIX:
        squares, of_means = stats.s2 / n.unsqueeze(-1), means.square()
        if covariance_type == "spherical":
            squares, of_means = (s.mean(-1, keepdim=True) for s in (squares, of_means))
        return n, means, squares, of_means
    outer = means.unsqueeze(-1) * means.unsqueeze(-2)
    if covariance_type == "full":
        return n, means, stats.s2 / n[:, None, None], outer
    return (
        n,
        means,
        stats.s2 / n.sum(),
        (n[:, None, None] * outer).sum(0, keepdim=True) / n.sum(),
    )


def own_shift(
    stats: SufficientStatistics, about: Tensor, covariance_type: str, reg_covar: float
) -> Tensor | None:
    """Return the means (K, D) as a shift for the statistics if squares about this one cancel."""
    _, means, squares, of_means = _moments(stats, covariance_type)
    if covariance_type in MATRIX:
        squares, of_means = (s.diagonal(dim1=-2, dim2=-1) for s in (squares, of_means))
    cancels = squares - of_means + reg_covar < CANCELLATION * of_means
    return about + means if bool(cancels.any()) else None


def maximize(
    stats: SufficientStatistics,
    about: Tensor,
    covariance_type: str,
    reg_covar: float = 0.0,
) -> Mixture:
    """Return the M-step: the mixture with the highest expected log-likelihood.

    n_k = s0_k, pi_k = n_k / sum n, mu_k = a + s1_k / n_k, and the covariance
    s2_k / n_k - (mu_k - a)(mu_k - a)^T + reg_covar I, restricted to its type. Raises ValueError
    if a covariance is not positive definite, with ``reg_covar=0`` beyond rounding errors.
    """
    n, means, squares, of_means = _moments(stats, covariance_type)
    noise = 0.0 if reg_covar else ROUNDING * torch.finfo(n.dtype).eps
    lost = (noise * about.expand_as(means)).square()
    if covariance_type in MATRIX:
        covariance = squares - of_means
        covariance.diagonal(dim1=-2, dim2=-1).add_(reg_covar)
        scales, failed = torch.linalg.cholesky_ex(covariance)
        pivots, squares = (
            scales.diagonal(dim1=-2, dim2=-1).square(),
            squares.diagonal(0, -2, -1),
        )
        lost = lost.amax(0) if covariance_type == "tied" else lost
    else:
        pivots = (squares - of_means).clamp_min(0) + reg_covar
        scales, failed = pivots.sqrt(), torch.zeros_like(pivots[:, 0])
        lost = lost.mean(-1, keepdim=True) if covariance_type == "spherical" else lost
    singular = (failed != 0) | ~(pivots > noise * squares + lost).all(-1)
    if bool(singular.any()):
        raise ValueError(
            _explain_singular(stats, covariance_type, int(singular.nonzero()[0, 0]))
        )
    return Mixture((n / n.sum()).log(), about + means, scales)


def _explain_singular(stats: SufficientStatistics, covariance_type: str, k: int) -> str:
    """Say which component's covariance is not positive definite, and what to do."""
    n_features = stats.s1.shape[1]
    if covariance_type == "tied":
        found = f"The components together cover samples of weight {float(stats.s0.sum()):.4g}"
    else:
        found = f"Component {k} covers samples of weight {float(stats.s0[k]):.4g}"
    simpler = "use covariance_type='diag', " if covariance_type in MATRIX else ""
    return (
        f"{found}, too few or too similar for a positive definite {covariance_type!r} covariance "
        f"of {n_features} features. Try to {simpler}increase reg_covar, decrease the number of "
        "clusters, or scale X."
    )


def implied_statistics(
    mixture: Mixture, about: Tensor, covariance_type: str, reg_covar: float = 0.0
) -> SufficientStatistics:
    """Invert :func:`maximize`: return the statistics of a mixture, with s0 that sums to one."""
    n, shift, covariance = (
        mixture.log_weights.exp(),
        mixture.means - about,
        mixture.covariances(),
    )
    if covariance_type in MATRIX:
        eye = torch.eye(shift.shape[1], dtype=shift.dtype, device=shift.device)
        outer = shift.unsqueeze(-1) * shift.unsqueeze(-2)
        s2 = n[:, None, None] * (covariance - reg_covar * eye + outer)
        s2 = s2.sum(0, keepdim=True) if covariance_type == "tied" else s2
    else:
        s2 = n.unsqueeze(-1) * (covariance - reg_covar + shift.square())
    return SufficientStatistics(n, n.unsqueeze(-1) * shift, s2)
