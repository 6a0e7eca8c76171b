"""Gaussian densities, divergences and mixtures, and the two steps of EM on one batch of rows.

Letters: N rows, D features, K clusters. A covariance is kept as a *scale that broadcasts*:

===========  ===================================  ================================
type         scales                               covariance of component k
===========  ===================================  ================================
full         (K, D, D) lower Cholesky factors     S_k S_k^T
tied         (1, D, D) one such factor            S S^T, the same for every k
diag         (K, D) standard deviations           diag(s_k^2)
spherical    (K, 1) standard deviations           s_k^2 I
===========  ===================================  ================================

Three axes mean matrices, two mean standard deviations; no function needs to know the type of a
mixture to use it. Densities and divergences are differentiable, in float32 and in float64.
Sufficient statistics are taken about a fixed shift ``about`` (D,) near the data, so that squares
lose no digits; those about the same shift add up, over batches and over machines.

Reference: C. M. Bishop, Pattern Recognition and Machine Learning, sections 2.3 and 9.2.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

#: Covariance types whose scales are matrices.
MATRIX = ("full", "tied")
#: Least rows of a block of a triangular matrix: smaller blocks cost more than they save.
MIN_BLOCK_ROWS = 12
#: Most blocks of a triangular matrix.
MAX_BLOCKS = 4
#: Responsibilities below eps^3 are taken as zero. ``maximize`` adds 10 eps of the mean count to
#: every count; those of all N rows together are less than K eps^2 / 10 of that.
NEGLIGIBLE = torch.finfo(torch.float64).eps ** 3
#: Without ``reg_covar``, a variance of less than so many eps of the mean square about the shift is
#: that of equal rows: rounding of the sums alone.
ROUNDING = 1000.0
#: Share of nonzero weights below which sums of squares gather the rows of each component.
MAX_DENSITY = 0.25
#: Shape -> a tensor for an intermediate result, or None: the operation makes its own.
_Allocate = Callable[..., Tensor | None]


def average(rows: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean (D,) of rows, or under weights (N,) that sum to one.

    It is taken from the first row on: a large value that all of them have is not rounded.
    """
    gaps = rows - rows[0]
    return rows[0] + (gaps.mean(0) if weights is None else weights @ gaps)


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the table above."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like: Tensor | torch.device | str | torch.dtype) -> "Mixture":
        """Return the mixture with another device or dtype."""
        return Mixture(*(field.to(like) for field in self))

    def check(self, n_features: int) -> None:
        """Raise a ValueError unless it is a mixture of rows of so many features."""
        weights, means, scales = self
        n_clusters, shape = len(weights), tuple(scales.shape)
        shapes = [(n, *own) for n in (1, n_clusters) for own in ((n_features,) * 2, (n_features,))]
        diagonal = scales.diagonal(dim1=-2, dim2=-1) if scales.ndim == 3 else scales
        sound = (
            weights.ndim == 1
            and tuple(means.shape) == (n_clusters, n_features)
            and shape in [*shapes, (n_clusters, 1), (1, 1)]
            and not bool((weights.isnan() | (weights > 1e-3)).any())
            and bool(weights.exp().sum() > 0)
            and bool(means.isfinite().all() and scales.isfinite().all() and (diagonal > 0).all())
        )
        if not sound:
            raise ValueError(
                f"No mixture of rows of {n_features} features: shapes {tuple(weights.shape)}, "
                f"{tuple(means.shape)} and {shape}, or weights or scales out of range."
            )

    def covariances(self) -> Tensor:
        """S_k S_k^T, or s_k^2: of the shape of ``scales``."""
        return self.scales @ self.scales.mT if self.scales.ndim == 3 else self.scales.square()

    def precision_factors(self) -> Tensor:
        """U_k = S_k^-T, so that U_k U_k^T is the inverse covariance, or 1 / s_k."""
        if self.scales.ndim == 2:
            return self.scales.reciprocal()
        return _invert(self.scales).mT

    def centre(self) -> Tensor:
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


def make_log_density(
    means: Tensor, scales: Tensor, constant: Tensor
) -> Callable[[Tensor], Tensor]:
    """Return x -> constant_k - |S_k^-1 (x_n - mu_k)|^2 / 2, of shape (K, N).

    What does not depend on x is computed once.
    """
    if scales.ndim == 2:
        return _make_vector_log_density(means, scales, constant)
    if len(scales) == len(means):
        log_density = _make_full_log_density(means, scales, constant)
        return lambda x: log_density(torch.cat([torch.ones_like(x[:, :1]), x], 1))
    whiten = _invert(scales)[0].T
    spherical = _make_vector_log_density(means @ whiten, torch.ones_like(means[:1, :1]), constant)
    return lambda x: spherical(x @ whiten)


def _allocate_nothing(*_: int) -> None:
    """Leave the memory of intermediate results to the operations, as autograd needs it."""


def _make_full_log_density(
    means: Tensor, scales: Tensor, constant: Tensor
) -> Callable[..., Tensor]:
    """Return :func:`make_log_density` for full covariances and rows (1, x_n), (N, 1 + D)."""
    whiten = _invert(scales)
    # One matrix product for all components; the column of ones multiplies the means.
    affine = torch.cat([-whiten @ means.unsqueeze(-1), whiten], -1) * math.sqrt(0.5)
    ends = triangular_blocks(means.shape[1])
    blocks = [affine[:, first:end, : 1 + end].flatten(0, 1) for first, end in ends]

    def log_density(rows: Tensor, allocate: _Allocate = _allocate_nothing) -> Tensor:
        log_prob = constant.unsqueeze(1)
        for block in blocks:
            out = allocate(block.shape[0], rows.shape[0])  # symbolic where it is exported
            roots = torch.mm(block, rows[:, : block.shape[1]].T, out=out)
            log_prob = log_prob - roots.square_().unflatten(0, (means.shape[0], -1)).sum(1)
        return log_prob

    return log_density


def triangular_blocks(n_features: int) -> list[tuple[int, int]]:
    """Return where each of a few blocks of rows of a lower triangular matrix begins and ends.

    The entries right of a block's end are zero: products that leave them out take as little as
    5/8 of the operations.
    """
    n_blocks = min(max(n_features // MIN_BLOCK_ROWS, 1), MAX_BLOCKS)
    return list(pairwise(n_features * i // n_blocks for i in range(n_blocks + 1)))


def _make_vector_log_density(
    means: Tensor, stds: Tensor, constant: Tensor
) -> Callable[[Tensor], Tensor]:
    """Return :func:`make_log_density` for standard deviations."""
    if means.dtype != torch.float64:
        # In single precision the expanded square below would cancel too many digits.
        root, means, stds = math.sqrt(0.5), means.unsqueeze(1), stds.unsqueeze(1)
        return lambda x: constant.unsqueeze(1) - ((x - means) / stds * root).square().sum(-1)
    offset, factors = expand_square(means, stds, constant)
    return lambda x: torch.addmm(offset, factors, torch.cat([x, x.square()], 1).T)


def expand_square(means: Tensor, stds: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Return (K, 1) and (K, 2 D): the log-density as an affine function of x and its square."""
    precisions = stds.pow(-2).expand_as(means)
    linear = precisions * means
    offset = constant.unsqueeze(1) - 0.5 * (linear * means).sum(1, keepdim=True)
    return offset, torch.cat([linear, -0.5 * precisions], 1)


def joint_density(mixture: Mixture) -> Callable[[Tensor], Tensor]:
    """Return x -> log_joint(x, mixture); what depends on the mixture alone is computed once."""
    log_weights, means, scales = mixture
    # Centring changes no result, but data far from the origin would lose digits without it.
    shift = means.detach().mean(0)
    constant = log_constant(scales, means.shape[1])
    log_density = make_log_density(means - shift, scales, constant)
    return lambda x: log_density(x - shift).T + log_weights


def log_joint(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-joint log pi_k + log N(x_n | mu_k, S_k S_k^T) of rows (N, D), of shape (N, K).

    Its logsumexp over k is the log-likelihood of a row, its softmax over k the responsibilities.
    """
    return joint_density(mixture)(x)


def sample(mixture: Mixture, counts: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw ``counts[k]`` rows from component k, component after component; (counts.sum(), D)."""
    _, means, scales = mixture
    sizes = counts.tolist()
    shape = sum(sizes), means.shape[1]
    noise = torch.randn(shape, generator=generator, dtype=means.dtype, device="cpu")
    scales = scales.expand(len(means), *scales.shape[1:])
    parts = zip(means, scales, noise.to(means.device).split(sizes), strict=True)
    matrix = scales.ndim == 3
    return torch.cat([m + (z @ scale.T if matrix else z * scale) for m, scale, z in parts])


#: Rounds of rejection sampling in :func:`confident_sample`.
REDRAWS = 20
#: Bisection steps for the rows that are still rejected then: 2^-20 of the distance to the mean.
BISECTIONS = 20


def confident_sample(
    mixture: Mixture, counts: Tensor, confidence: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw rows as :func:`sample` does, under the condition p(k | x) >= confidence.

    Rows below the confidence are rejected and drawn again, at most ``REDRAWS`` times. The few
    left are moved along the segment towards the mean of their component, by the least distance
    that suffices (bisection). If the mean itself is below the confidence, ValueError is raised.
    """
    own = torch.arange(len(counts), device="cpu").repeat_interleave(counts)

    def is_rejected(x: Tensor, own: Tensor) -> Tensor:
        log_p = log_joint(x, mixture).log_softmax(-1)
        return log_p.gather(1, own[:, None]).squeeze(1).exp() < confidence

    centres = mixture.means[own]
    hidden = own[is_rejected(centres, own)]
    if len(hidden):
        raise ValueError(
            f"Cluster {int(hidden[0])} overlaps others so much that not even its mean reaches a "
            f"confidence of {confidence}. Ask for less."
        )
    x = sample(mixture, counts, generator)
    for _ in range(REDRAWS):
        rejected = is_rejected(x, own).nonzero().squeeze(1)
        if len(rejected) == 0:
            return x
        x[rejected] = sample(mixture, own[rejected].bincount(minlength=len(counts)), generator)
    # Bisection of the distance from the mean, relative to that of x: "near" is always accepted,
    # "far" only for rows that need not move.
    far = torch.ones_like(x[:, :1])
    near = far - is_rejected(x, own)[:, None].to(x.dtype)
    for _ in range(BISECTIONS):
        half = (near + far) / 2
        rejected = is_rejected(centres + half * (x - centres), own)[:, None]
        near, far = torch.where(rejected, near, half), torch.where(rejected, half, far)
    return centres + near * (x - centres)


def kl_diag(mean: Tensor, std: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(mu_k, diag s_k^2)), in nats, of shape (N, K).

    sum_d [ (std_nd^2 + (mean_nd - mu_kd)^2) / s_kd^2 - 1 ] / 2 - log(std_nd / s_kd)

    ``mean`` and ``std`` are of shape (N, D), ``means`` (K, D), ``stds`` (K, D) or (K, 1).

    Examples
    --------
    >>> import torch
    >>> zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    >>> kl_diag(zero + 2, one, zero, one)
    tensor([[6.]])
    """
    ratio = std.unsqueeze(1) / stds
    apart = (mean.unsqueeze(1) - means) / stds
    return (0.5 * (ratio.square() + apart.square() - 1) - ratio.log()).sum(-1)


def log_prob_diag(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log N(x_n; mean_n, diag exp log_var_n), of shape (N,).

    -1/2 sum_d [log 2 pi + log v_d + (x_d - mean_d)^2 / v_d]
    """
    return -0.5 * (math.log(2 * math.pi) + log_var + (x - mean) ** 2 * (-log_var).exp()).sum(-1)


def standard_kl(mean: Tensor, std: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(0, I)), in nats, of shape (N,)."""
    return (0.5 * (std.square() + mean.square() - 1) - std.log()).sum(-1)


def expected_log_joint(mean: Tensor, std: Tensor, mixture: Mixture) -> Tensor:
    """E[log p(z, c) - log q(z)] for q = N(mean_n, diag std_n^2): log pi_c - KL_c, (N, K).

    Its logsumexp over c is minus the least KL(q(z) q(c) || p(z, c)) over q(c), its softmax that
    q(c). The mixture's covariances are diagonal.
    """
    log_weights, means, stds = mixture
    return log_weights - kl_diag(mean, std, means, stds)


def compact_scales(scales: Tensor, covariance_type: str) -> Tensor:
    """Return scikit-learn's shapes: "tied" and "spherical" without the axis of length one."""
    if covariance_type == "tied":
        return scales[0].contiguous()
    return (scales[:, 0] if covariance_type == "spherical" else scales).clone()


# ---- expectation maximisation: sufficient statistics, and the mixture that maximises them


class SufficientStatistics(NamedTuple):
    """Weighted sums over rows, with r the responsibilities and a the shift ``about``.

    s0 = sum_n r_nk, of shape (K,); s1 = sum_n r_nk (x_n - a), of shape (K, D); s2 the sums of
    squares: (K, D, D) full, (1, D, D) tied (summed over k), else their diagonals (K, D).
    """

    s0: Tensor
    s1: Tensor
    s2: Tensor

    def times(self, factor: float) -> "SufficientStatistics":
        """Return the statistics with the weight of every row times ``factor``."""
        return SufficientStatistics(*(s * factor for s in self))


def sufficient_statistics(
    x: Tensor, resp: Tensor, about: Tensor, covariance_type: str
) -> SufficientStatistics:
    """Return the statistics of rows x (N, D) about a shift.

    ``resp`` (N, K) are responsibilities, times the weights of the rows if they have any.
    """
    x = x - about
    if covariance_type in MATRIX:
        return _matrix_statistics(x, resp.T, covariance_type)
    return _vector_statistics(torch.cat([x, x.square()], 1), resp.T)


def _matrix_statistics(
    x: Tensor,
    weights: Tensor,
    covariance_type: str,
    allocate: _Allocate = _allocate_nothing,
) -> SufficientStatistics:
    """Return the statistics of rows minus the shift, with responsibilities ``weights`` (K, N)."""
    if covariance_type == "tied":
        s2 = ((x.T * weights.sum(0)) @ x).unsqueeze(0)
    elif x.device.type == "cpu" and _is_sparse(weights):
        s2 = _sum_sparse_squares(x, weights)
    else:
        s2 = _sum_squares(x.T.contiguous(), weights, allocate)
    return SufficientStatistics(weights.sum(1), weights @ x, s2)


def _sum_squares(x: Tensor, weights: Tensor, allocate: _Allocate) -> Tensor:
    """Return sum_n w_kn x_n x_n^T, of shape (K, D, D), for columns x_n (D, N)."""
    s2 = x.new_empty(len(weights), len(x), len(x))
    for first, end in triangular_blocks(len(x)):
        out = allocate(len(weights), end - first, x.shape[1])
        weighted = torch.mul(weights.unsqueeze(1), x[first:end], out=out).flatten(0, 1)
        block = (x[:end] @ weighted.T).unflatten(1, (len(weights), -1))
        s2[:, :end, first:end] = block.transpose(0, 1)
        s2[:, first:end, :end] = block.permute(1, 2, 0)
    return s2


def _is_sparse(weights: Tensor) -> bool:
    """Return whether so many weights are zero that gathering the rows of the others is faster."""
    return int(weights.count_nonzero()) < MAX_DENSITY * weights.numel()


def _sum_sparse_squares(x: Tensor, weights: Tensor) -> Tensor:
    """Return :func:`_sum_squares` of rows x (N, D); those of weight zero are not read."""
    component, row = weights.nonzero(as_tuple=True)
    x, sizes = x.index_select(0, row), component.bincount(minlength=len(weights)).tolist()
    weighted = x * weights[component, row].unsqueeze(1)
    parts = zip(weighted.split(sizes), x.split(sizes), strict=True)
    return torch.stack([w.T @ x for w, x in parts])


def _vector_statistics(x_and_square: Tensor, weights: Tensor) -> SufficientStatistics:
    """Return the statistics from rows and their squares side by side, (N, 2 D)."""
    return SufficientStatistics(weights.sum(1), *(weights @ x_and_square).chunk(2, 1))


#: The log-joint (K, N) of a batch, and a function from weights (K, N) to its statistics.
_Evaluation = tuple[Tensor, Callable[[Tensor], SufficientStatistics]]


def expected_statistics(
    mixture: Mixture, about: Tensor, covariance_type: str
) -> Callable[[Tensor, Tensor], tuple[SufficientStatistics, Tensor]]:
    """Return the E-step: (x, w) -> the statistics of r_nk w_n and sum_n w_n log p(x_n).

    r_nk is the posterior p(k | x_n). Computed in double precision and without gradients; batches
    share one workspace for the largest intermediate result.
    """
    means, scales = mixture.means - about, mixture.scales
    constant = log_constant(scales, means.shape[1]) + mixture.log_weights
    allocate, d = _make_workspace(means), means.shape[1]
    if covariance_type == "full":
        log_density = _make_full_log_density(means, scales, constant)

        def evaluate(x: Tensor) -> _Evaluation:
            rows = torch.cat([torch.ones_like(x[:, :1]), x - about], 1)
            joint = log_density(rows, allocate)
            return joint, lambda w: _matrix_statistics(rows[:, 1:], w, "full", allocate)

    elif covariance_type == "tied":
        tied_density = make_log_density(means, scales, constant)

        def evaluate(x: Tensor) -> _Evaluation:
            x = x - about
            return tied_density(x), lambda w: _matrix_statistics(x, w, "tied")

    else:
        offset, factors = expand_square(means, scales, constant)

        def evaluate(x: Tensor) -> _Evaluation:
            both = allocate(len(x), 2 * d)
            torch.square(torch.sub(x, about, out=both[:, :d]), out=both[:, d:])
            return torch.addmm(offset, factors, both.T), lambda w: _vector_statistics(both, w)

    def expect(x: Tensor, weight: Tensor) -> tuple[SufficientStatistics, Tensor]:
        joint, accumulate = evaluate(x)
        top = joint.amax(0)
        # Clamped, for the exponential is tens of times slower where it is a denormal number.
        resp = joint.sub_(top).clamp_min_(-700).exp_()
        resp = torch.threshold_(resp, NEGLIGIBLE, 0)
        total = resp.sum(0)
        resp.mul_(weight / total)
        return accumulate(resp), weight @ total.log_().add_(top)

    return expect


def _make_workspace(like: Tensor) -> Callable[..., Tensor]:
    """Return shape -> an uninitialised tensor of that shape; calls reuse one block of memory."""
    memory = [like.new_empty(0)]

    def allocate(*shape: int) -> Tensor:
        if memory[0].numel() < math.prod(shape):
            memory[0] = like.new_empty(math.prod(shape))
        return memory[0][: math.prod(shape)].view(shape)

    return allocate


def maximize(
    stats: SufficientStatistics, about: Tensor, covariance_type: str, reg_covar: float = 0.0
) -> Mixture:
    """Return the M-step: the mixture of greatest expected log-likelihood for given statistics.

    n_k = s0_k, pi_k = n_k / sum n, mu_k = a + s1_k / n_k, and the covariance
    s2_k / n_k - (mu_k - a)(mu_k - a)^T + reg_covar I, restricted to its type. ValueError is
    raised if a covariance is not positive definite; with ``reg_covar=0`` also if it is so by the
    rounding of squares alone.
    """
    # An empty component keeps a positive count, so that its mean is defined (it is ``about``).
    n = stats.s0 + 10 * torch.finfo(stats.s0.dtype).eps * stats.s0.mean()
    shift = stats.s1 / n.unsqueeze(-1)
    noise = 0.0 if reg_covar else ROUNDING * torch.finfo(n.dtype).eps
    if covariance_type in MATRIX:
        outer = shift.unsqueeze(-1) * shift.unsqueeze(-2)
        if covariance_type == "full":
            covariance = stats.s2 / n[:, None, None] - outer
        else:
            covariance = (stats.s2 - (n[:, None, None] * outer).sum(0)) / n.sum()
        covariance.diagonal(dim1=-2, dim2=-1).add_(reg_covar)
        scales, failed = torch.linalg.cholesky_ex(covariance)
        rows = n.unsqueeze(-1) if covariance_type == "full" else n.sum()
        squares = stats.s2.diagonal(dim1=-2, dim2=-1) / rows
        pivots = scales.diagonal(dim1=-2, dim2=-1).square()
        singular = (failed != 0) | ~(pivots > noise * squares).all(-1)
    else:
        squares = stats.s2 / n.unsqueeze(-1)
        variance = (squares - shift.square()).clamp_min(0)
        if covariance_type == "spherical":
            variance, squares = (v.mean(-1, keepdim=True) for v in (variance, squares))
        variance = variance + reg_covar
        scales = variance.sqrt()
        singular = ~(variance > noise * squares).all(-1)
    if bool(singular.any()):
        raise ValueError(_explain_singular(stats, covariance_type, int(singular.nonzero()[0, 0])))
    return Mixture((n / n.sum()).log(), about + shift, scales)


def _explain_singular(stats: SufficientStatistics, covariance_type: str, k: int) -> str:
    """Say which component's covariance is not positive definite, and what to do."""
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


def implied_statistics(
    mixture: Mixture, about: Tensor, covariance_type: str, reg_covar: float = 0.0
) -> SufficientStatistics:
    """Return the statistics, per row, whose M-step is this mixture: :func:`maximize` inverted.

    s0 sums to one; ``reg_covar`` is what the M-step adds.
    """
    n, shift, covariance = mixture.log_weights.exp(), mixture.means - about, mixture.covariances()
    if covariance_type in MATRIX:
        eye = torch.eye(shift.shape[1], dtype=shift.dtype, device=shift.device)
        outer = shift.unsqueeze(-1) * shift.unsqueeze(-2)
        s2 = n[:, None, None] * (covariance - reg_covar * eye + outer)
        s2 = s2.sum(0, keepdim=True) if covariance_type == "tied" else s2
    else:
        s2 = n.unsqueeze(-1) * (covariance - reg_covar + shift.square())
    return SufficientStatistics(n, n.unsqueeze(-1) * shift, s2)
