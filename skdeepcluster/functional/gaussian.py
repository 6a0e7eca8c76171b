"""Gaussian densities, mixtures, samples and divergences.

Letters: N samples, D features, K clusters. Scales broadcast: three axes mean lower Cholesky
factors (K, D, D) "full" or (1, D, D) "tied"; two mean standard deviations (K, D) "diag" or (K, 1)
"spherical". Reference: C. M. Bishop, Pattern Recognition and Machine Learning, 2.3.
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
#: Rounds of rejection sampling in :func:`confident_sample`, and of halving afterwards.
REDRAWS = 20
#: Confidence of samples, as a share of the confidence of their component's mean.
CONFIDENCE = 0.9
LOG_2_PI = math.log(2 * math.pi)

#: Maps samples (N, D) to a tensor.
Function = Callable[[Tensor], Tensor]
#: Maps the terms of samples, see :func:`expand`, to densities (K, N).
Density = Callable[..., Tensor]


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the module docstring."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like: Any) -> "Mixture":
        """Return the mixture with another device or dtype."""
        return Mixture(*(field.to(like) for field in self))

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

    def is_sound(self) -> bool:
        """Return whether shapes agree, weights sum to one and scales are positive and finite."""
        k, d = self.means.shape
        shapes = {(k, d, d), (1, d, d), (k, d), (k, 1)}
        if self.log_weights.shape != (k,) or self.scales.shape not in shapes:
            return False

        total = float(self.log_weights.exp().sum())
        return (
            math.isclose(total, 1, abs_tol=1e-6)
            and bool(self.means.isfinite().all())
            and bool(self.scales.isfinite().all())
            and bool((diagonals(self.scales) > 0).all())
        )

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
    log_weights, means, scales = mixture
    constant = log_constant(scales, means.shape[1])
    kind = "diag"
    if scales.ndim == 3:
        kind = "full" if len(scales) == len(means) else "tied"

    if is_separated(mixture):
        separate = make_separate_density(means, scales, constant, kind)
        return lambda x: separate(x).T + log_weights

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
    if kind == "tied":
        return _make_tied_density(means, scales, constant)
    return _make_vector_density(means, scales, constant)


def make_separate_density(
    means: Tensor,
    scales: Tensor,
    constant: Tensor,
    kind: str,
) -> Function:
    """Return samples -> the densities (K, N) from differences to each mean, which keep digits."""
    origin = torch.zeros_like(means[:1])
    scales = scales.expand(len(means), *scales.shape[1:])
    constant = constant.expand(len(means))
    densities = [
        make_density(origin, scales[k : k + 1], constant[k : k + 1], kind)
        for k in range(len(means))
    ]

    def separate(x: Tensor) -> Tensor:
        parts = []
        for mean, density in zip(means, densities, strict=True):
            terms = expand(x - mean, kind)
            parts.append(density(*terms))
        return torch.cat(parts)

    return separate


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
    ends = [0]
    for i in range(1, n_blocks + 1):
        ends.append(n_features * i // n_blocks)
    return list(pairwise(ends))


def _make_tied_density(means: Tensor, scales: Tensor, constant: Tensor) -> Density:
    whiten = _invert(scales)[0].T
    unit = torch.ones_like(means[:1, :1])
    spherical = _make_vector_density(means @ whiten, unit, constant)

    def density(x: Tensor) -> Tensor:
        whitened = x @ whiten
        return spherical(whitened, whitened.square())

    return density


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


# ---- samples


def sample(
    mixture: Mixture,
    counts: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Generate ``counts[k]`` samples of each component in turn, (counts.sum(), D)."""
    _, means, scales = mixture
    sizes = counts.tolist()
    shape = sum(sizes), means.shape[1]
    normal = torch.randn(shape, generator=generator, dtype=means.dtype, device="cpu")
    parts = normal.to(means.device).split(sizes)

    scales = scales.expand(len(means), *scales.shape[1:])
    samples = []
    for mean, scale, z in zip(means, scales, parts, strict=True):
        apart = z @ scale.T if scale.ndim == 2 else z * scale
        samples.append(mean + apart)
    return torch.cat(samples)


def confident_sample(
    mixture: Mixture,
    counts: Tensor,
    confidence: float | None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Generate samples as :func:`sample` does, under the condition p(k | x) >= confidence.

    None is ``CONFIDENCE`` times p(k | mean of k). Rejected samples are generated again
    ``REDRAWS`` times, then moved halfway to the mean of their component until they are accepted.
    """
    largest = log_joint(mixture.means, mixture).softmax(-1).diagonal()
    least = largest * CONFIDENCE
    if confidence is not None:
        least = torch.full_like(largest, confidence)

    hidden = torch.nonzero((largest < least) & (counts > 0))[:, 0]
    if len(hidden):
        raise ValueError(
            f"Cluster {int(hidden[0])} overlaps others so much that not even its mean reaches a "
            f"confidence of {confidence}. Pass a lower confidence."
        )

    components = torch.arange(len(counts), device="cpu").repeat_interleave(counts)
    centers = mixture.means[components]

    def reject(x: Tensor) -> Tensor:
        log_resp = log_joint(x, mixture).log_softmax(-1)
        log_p = log_resp.gather(1, components[:, None])[:, 0]
        return log_p.exp() < least[components]

    x = sample(mixture, counts, generator)
    for i in range(2 * REDRAWS):
        rejected = reject(x)
        if not rejected.any():
            break
        if i < REDRAWS:
            again = components[rejected].bincount(minlength=len(counts))
            x[rejected] = sample(mixture, again, generator)
        else:
            x[rejected] = (x[rejected] + centers[rejected]) / 2
    return torch.where(reject(x)[:, None], centers, x)


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
