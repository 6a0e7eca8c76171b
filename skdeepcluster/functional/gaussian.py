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
from typing import NamedTuple

import torch
from torch import Tensor

#: Covariance types whose scales are matrices.
MATRIX = ("full", "tied")


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the table above."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like: Tensor | torch.device | str | torch.dtype) -> "Mixture":
        """Return the mixture with another device or dtype."""
        return Mixture(*(field.to(like) for field in self))

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
        return self.log_weights.exp() @ self.means


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


def make_log_density(means: Tensor, scales: Tensor, constant: Tensor) -> Callable[..., Tensor]:
    """Return x -> constant_k - |S_k^-1 (x_n - mu_k)|^2 / 2, of shape (K, N).

    What does not depend on x is computed once. ``out`` may be a workspace of shape (K D, N) for
    the matrix product of full covariances.
    """
    if scales.ndim == 2:
        return _make_vector_log_density(means, scales, constant)
    whiten = _invert(scales)
    if len(scales) < len(means):
        whitened = means @ whiten[0].T, torch.ones_like(means[:1, :1])
        spherical = _make_vector_log_density(*whitened, constant)
        return lambda x, out=None: spherical(x @ whiten[0].T)
    # One matrix product for all components; a column of ones multiplies the means.
    rows = torch.cat([whiten, -whiten @ means.unsqueeze(-1)], -1).flatten(0, 1) * math.sqrt(0.5)

    def log_density(x: Tensor, out: Tensor | None = None) -> Tensor:
        columns = torch.cat([x.T, torch.ones_like(x[:, :1].T)])
        roots = torch.mm(rows, columns, out=out).unflatten(0, means.shape)
        return constant.unsqueeze(1) - roots.square_().sum(1)

    return log_density


def _make_vector_log_density(
    means: Tensor, stds: Tensor, constant: Tensor
) -> Callable[..., Tensor]:
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


def density(mixture: Mixture) -> Callable[[Tensor], Tensor]:
    """Return x -> log_prob(x, mixture); what depends on the mixture alone is computed once."""
    _, means, scales = mixture
    # Centring changes no result, but data far from the origin would lose digits without it.
    shift = means.detach().mean(0)
    constant = log_constant(scales, means.shape[1])
    log_density = make_log_density(means - shift, scales, constant)
    return lambda x: log_density(x - shift).T


def log_prob(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-density log N(x_n | mu_k, S_k S_k^T) of rows (N, D), of shape (N, K).

    The weights of the mixture are not used.

    Examples
    --------
    >>> import torch
    >>> standard = Mixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(1, 1))
    >>> apart, near = torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)
    >>> (log_prob(apart, standard) - log_prob(near, standard)).round()
    tensor([[-2.]])
    """
    return density(mixture)(x)


def log_joint(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-joint log pi_k + log N(x_n | mu_k, S_k S_k^T) of rows (N, D), of shape (N, K).

    Its logsumexp over k is the log-likelihood of a row, its softmax over k the responsibilities.
    """
    return log_prob(x, mixture) + mixture.log_weights


def sample(mixture: Mixture, counts: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw ``counts[k]`` rows from component k, component after component; (counts.sum(), D)."""
    _, means, scales = mixture
    sizes = counts.tolist()
    noise = torch.randn(sum(sizes), means.shape[1], generator=generator, dtype=means.dtype)
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
    own = torch.repeat_interleave(torch.arange(len(counts)), counts)

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
    far = torch.ones(len(x), 1, dtype=x.dtype)
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
    return kl_diag(mean, std, torch.zeros_like(mean[:1]), torch.ones_like(std[:1])).squeeze(1)


def compact_scales(scales: Tensor, covariance_type: str) -> Tensor:
    """Return scikit-learn's shapes: "tied" and "spherical" without the axis of length one."""
    if covariance_type == "tied":
        return scales[0].contiguous()
    return (scales[:, 0] if covariance_type == "spherical" else scales).clone()


def normal_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return fixed quasi-random points of N(0, I), (n_points, n_dimensions), float64.

    A scrambled Sobol sequence is transformed by the normal quantile function.
    """
    engine = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=0)
    uniform = engine.draw(n_points, dtype=torch.float64)
    tiny = torch.finfo(torch.float32).eps
    return torch.special.ndtri(uniform.clamp(tiny, 1 - tiny))


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
    x: Tensor, weights: Tensor, covariance_type: str, out: Tensor | None = None
) -> SufficientStatistics:
    """Return the statistics of rows minus the shift, with responsibilities ``weights`` (K, N)."""
    s0, s1 = weights.sum(1), weights @ x
    if covariance_type == "tied":
        return SufficientStatistics(s0, s1, ((x.T * weights.sum(0)) @ x).unsqueeze(0))
    out = None if out is None else out.unflatten(0, s1.shape)
    weighted = torch.mul(weights.unsqueeze(1), x.T.contiguous(), out=out)
    return SufficientStatistics(s0, s1, (weighted.flatten(0, 1) @ x).unflatten(0, s1.shape))


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
    if covariance_type in MATRIX:
        log_density = make_log_density(means, scales, constant)

        def evaluate(x: Tensor) -> _Evaluation:
            x = x - about
            out = allocate(means.numel(), len(x)) if covariance_type == "full" else None
            return log_density(x, out), lambda w: _matrix_statistics(x, w, covariance_type, out)

    else:
        offset, factors = expand_square(means, scales, constant)

        def evaluate(x: Tensor) -> _Evaluation:
            both = allocate(len(x), 2 * d)
            torch.square(torch.sub(x, about, out=both[:, :d]), out=both[:, d:])
            return torch.addmm(offset, factors, both.T), lambda w: _vector_statistics(both, w)

    def expect(x: Tensor, weight: Tensor) -> tuple[SufficientStatistics, Tensor]:
        joint, accumulate = evaluate(x)
        top = joint.amax(0)
        resp = joint.sub_(top).exp_()
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
    raised if a covariance is not positive definite.
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
        singular = failed != 0
    else:
        variance = (stats.s2 / n.unsqueeze(-1) - shift.square()).clamp_min(0)
        if covariance_type == "spherical":
            variance = variance.mean(-1, keepdim=True)
        scales = (variance + reg_covar).sqrt()
        singular = ~(scales > 0).all(-1)
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
