"""The two steps of expectation maximization on one batch of samples, which may miss values, nan.

The E-step sums sufficient statistics, and the M-step is the mixture that maximizes them (C. M.
Bishop, Pattern Recognition and Machine Learning, 9.2). An incomplete sample counts by the density
of its observed features (Z. Ghahramani, M. I. Jordan, NIPS 1994). Letters: N samples, D features,
K clusters; P patterns of M missing features, R samples each.
"""

import operator
from collections.abc import Callable, Iterator
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from .gaussian import (
    CANCELLATION,
    LOG_2_PI,
    MATRIX,
    Function,
    Mixture,
    diagonals,
    expand,
    is_separated,
    joint_density,
    log_constant,
    make_density,
    make_separate_density,
    triangular_blocks,
)

#: Responsibilities below eps^3 are set to zero.
NEGLIGIBLE = torch.finfo(torch.float64).eps ** 3
#: With ``reg_covar=0``, variances below this multiple of eps times the squares count as zero.
ZERO_VARIANCE = 1000.0
#: Maximum number of elements of a tensor over patterns, unless one pattern has more.
MAX_ELEMENTS = 2**20
#: Error for covariances that are singular up to rounding.
SINGULAR = (
    "Missing values have no conditional covariance, because features are too similar for a "
    "positive definite covariance. Increase reg_covar, use covariance_type='diag', or scale X."
)

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
        covered = f"The components together cover samples of weight {float(stats.s0.sum()):.4g}"
    else:
        covered = f"Component {k} covers samples of weight {float(stats.s0[k]):.4g}"
    simpler = "use covariance_type='diag', " if kind in MATRIX else ""
    return (
        f"{covered}, too few or too similar for a positive definite {kind!r} covariance "
        f"of {n_features} features. Try to {simpler}increase reg_covar, decrease the number of "
        "clusters, or scale X."
    )


def find_shifts(
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


# ---- incomplete samples


def observed_density(mixture: Mixture) -> Function:
    """Return x -> log pi_k + log N(observed x_n | k), of shape (N, K)."""
    complete = joint_density(mixture)
    gaps = _find_gaps(mixture)

    def joint(x: Tensor) -> Tensor:
        partial = x.isnan().any(1)
        if not partial.any():
            return complete(x)

        log_p = x.new_empty(len(x), len(mixture.means))
        log_p[~partial] = complete(x[~partial])
        log_p[partial] = gaps.joint(x[partial])
        return log_p

    return joint


def e_step(mixture: Mixture, about: Tensor, kind: str) -> Expectation:
    """Return the E-step, see :func:`expected_statistics`, for the observed features.

    Missing values enter by their conditional means and covariances, given k and the observed ones.
    """
    complete = expected_statistics(mixture, about, kind)
    gaps = _find_gaps(mixture)

    def expect(x: Tensor, weight: Tensor) -> Sums:
        partial = x.isnan().any(1)
        if not partial.any():
            return complete(x, weight)

        sums = complete(x[~partial], weight[~partial])
        parts = gaps.expect(x[partial], weight[partial], about)
        return reduce(add, parts, sums)

    return expect


def conditional_means(mixture: Mixture) -> Function:
    """Return x -> sum_k p(k | observed x_n) E[x_n | observed x_n, k] of missing values, (N, D)."""
    gaps = _find_gaps(mixture)

    def expect(x: Tensor) -> Tensor:
        partial = x.isnan().any(1)
        means = x.clone()
        means[partial] = gaps.expectation(x[partial])
        return means

    return expect


def _find_gaps(mixture: Mixture) -> "_VectorGaps | _MatrixGaps":
    """Return what a mixture says about incomplete samples."""
    if mixture.scales.ndim == 3:
        return _MatrixGaps(mixture)
    return _VectorGaps(mixture)


class _VectorGaps:
    """Incomplete samples x (N, D) under components with standard deviations.

    Missing features do not depend on the observed ones.
    """

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def joint(self, x: Tensor) -> Tensor:
        """Return the log-joint (N, K)."""
        if is_separated(self.mixture):
            parts = [component.joint(x) for component in self._components()]
            return torch.cat(parts, 1)

        log_weights, means, scales = self.mixture
        about = means.mean(0)
        means = means - about
        precisions = scales.pow(-2).expand_as(means)
        linear = precisions * means
        constant = -0.5 * (linear * means + LOG_2_PI) - scales.log()

        observed = 1 - x.isnan().to(x.dtype)
        x = (x - about).nan_to_num(0.0)
        quadratic = x @ linear.T - 0.5 * x.square() @ precisions.T
        return log_weights + observed @ constant.T + quadratic

    def expectation(self, x: Tensor) -> Tensor:
        """Return the expectations (N, D) of missing features; the others are arbitrary."""
        return self.joint(x).softmax(1) @ self.mixture.means

    def expect(self, x: Tensor, weight: Tensor, about: Tensor) -> Iterator[Sums]:
        """Yield the expected statistics and the log-likelihood."""
        joint = self.joint(x)
        resp = joint.softmax(1) * weight[:, None]
        stats = self._sum(x, resp, about)
        yield *stats, weight @ joint.logsumexp(1)

    def _sum(self, x: Tensor, resp: Tensor, about: Tensor) -> SufficientStatistics:
        if about.ndim == 2:
            parts = [
                component._sum(x, resp[:, k : k + 1], about[k])
                for k, component in enumerate(self._components())
            ]
            return join(parts)

        missing = resp.T @ x.isnan().to(x.dtype)
        x = (x - about).nan_to_num(0.0)
        shift = self.mixture.means - about
        s1 = resp.T @ x + missing * shift
        squares = shift.square() + self.mixture.covariances()
        s2 = resp.T @ x.square() + missing * squares
        return SufficientStatistics(resp.sum(0), s1, s2)

    def _components(self) -> "list[_VectorGaps]":
        fields = (field.split(1) for field in self.mixture)
        each = zip(*fields, strict=True)
        return [_VectorGaps(Mixture(*component)) for component in each]


class _Completed(NamedTuple):
    """Incomplete samples of some patterns, under each component.

    rows (N,): their positions; columns (P, M): the features that each pattern misses; joint
    (K, N): the log-joint; centered (K, N, D): E[x | observed, k] - mu_k; lower (K, P, M, M), or
    (1, P, M, M) when tied: Cholesky factors of the inverses of the conditional covariances.
    """

    rows: Tensor
    columns: Tensor
    joint: Tensor
    centered: Tensor
    lower: Tensor


class _MatrixGaps:
    """Incomplete samples x (N, D) under components with covariance matrices."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    @cached_property
    def factors(self) -> Tensor:
        """The factors U_k of the precisions U_k U_k^T, which complete samples do not need."""
        return self.mixture.precision_factors()

    @cached_property
    def precisions(self) -> Tensor:
        """The precisions U_k U_k^T."""
        return self.factors @ self.factors.mT

    def joint(self, x: Tensor) -> Tensor:
        """Return the log-joint (N, K)."""
        joint = x.new_empty(len(x), len(self.mixture.means))
        for part in self._complete(x):
            joint[part.rows] = part.joint.T
        return joint

    def expectation(self, x: Tensor) -> Tensor:
        """Return the expectations (N, D) of missing features; the others are arbitrary."""
        means = self.mixture.means[:, None]
        mean = torch.empty_like(x)
        for part in self._complete(x):
            resp = part.joint.softmax(0)[:, :, None]
            expected = part.centered + means
            mean[part.rows] = (resp * expected).sum(0)
        return mean

    def expect(self, x: Tensor, weight: Tensor, about: Tensor) -> Iterator[Sums]:
        """Yield parts of the expected statistics and of the log-likelihood."""
        shift = (self.mixture.means - about)[:, None]
        for part in self._complete(x):
            weights = weight[part.rows]
            resp = part.joint.softmax(0) * weights
            stats = _sum_completed(part, resp, part.centered + shift)
            yield *stats, weights @ part.joint.logsumexp(0)

    def _complete(self, x: Tensor) -> Iterator[_Completed]:
        """Complete samples by the precisions L: the covariance is L_mm^-1.

        The conditional mean of y = x - mu is -L_mm^-1 L_mo y_o, and the determinant of the
        observed covariance |Sigma| |L_mm|.
        """
        log_weights, means, scales = self.mixture
        constant = log_weights + log_constant(scales, x.shape[1])
        for rows, columns in _group_patterns(x.isnan(), len(means)):
            n_missing = columns.shape[1]
            shape = (len(means), *rows.shape)
            places = _find_places(columns, x.shape[1])
            submatrices = self.precisions.flatten(1)[:, places]
            lower, failed = torch.linalg.cholesky_ex(submatrices)
            if failed.any():
                raise ValueError(SINGULAR)

            rows = rows.flatten()
            y = (x[rows] - means[:, None]).nan_to_num(0.0)
            where = columns[:, None].expand(*shape, n_missing)
            pulls = y @ self.precisions
            pulls = pulls.view(*shape, -1).gather(-1, where)
            expected = -torch.cholesky_solve(pulls.mT, lower).mT
            y.view(*shape, -1).scatter_(-1, where, expected)

            log_stds = torch.linalg.diagonal(lower).log()
            log_det = log_stds.sum(-1, keepdim=True)
            squares = (y @ self.factors).square().sum(-1)
            log_prob = 0.5 * n_missing * LOG_2_PI - log_det
            log_prob = log_prob - 0.5 * squares.view(shape)
            joint = constant[:, None] + log_prob.flatten(1)
            yield _Completed(rows, columns, joint, y, lower)


def _sum_completed(part: _Completed, resp: Tensor, x: Tensor) -> SufficientStatistics:
    """Return the statistics of completed samples (K, N, D), conditional covariances added."""
    weighted = resp[:, :, None] * x
    s2 = weighted.mT @ x
    shares = resp.unflatten(1, (len(part.columns), -1)).sum(-1)
    if len(part.lower) < len(s2):
        s2 = s2.sum(0, keepdim=True)
        shares = shares.sum(0, keepdim=True)

    k, pattern = (shares > NEGLIGIBLE).nonzero(as_tuple=True)
    spread = torch.cholesky_inverse(part.lower[k, pattern])
    spread = spread * shares[k, pattern, None, None]
    places = _find_places(part.columns, x.shape[-1])[pattern]
    places = places + k[:, None, None] * s2[0].numel()
    s2.view(-1).index_add_(0, places.flatten(), spread.flatten())
    return SufficientStatistics(resp.sum(1), weighted.sum(1), s2)


def _find_places(columns: Tensor, n_features: int) -> Tensor:
    """Return the places (P, M, M) in flat (D, D) matrices of each pattern's submatrix."""
    return columns[:, :, None] * n_features + columns[:, None]


def _group_patterns(gaps: Tensor, n_clusters: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the positions (P, R) and missing features (P, M) of samples, for each R and M.

    ``gaps`` (N, D) says what is missing.
    """
    numbers, sizes = _number_patterns(gaps)
    order = numbers.argsort(stable=True)
    first = sizes.cumsum(0) - sizes
    patterns = gaps[order[first]]

    kinds = patterns.sum(1) * 2**32 + sizes
    for kind in kinds.unique().tolist():
        n_missing, n_rows = divmod(kind, 2**32)
        steps = torch.arange(n_rows, device=gaps.device)
        n_elements = n_clusters * (n_missing**2 + n_rows * gaps.shape[1])
        alike = (kinds == kind).nonzero().squeeze(1)
        for some in alike.split(max(1, MAX_ELEMENTS // n_elements)):
            rows = order[first[some, None] + steps]
            columns = patterns[some].nonzero()[:, 1]
            yield rows, columns.view(-1, n_missing)


def _number_patterns(gaps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number (N,) of the pattern of each sample, and the samples per pattern."""
    numbers = gaps.new_zeros(len(gaps), dtype=torch.long)
    for bits in gaps.double().split(32, 1):  # 32 bits and a number fit an integer
        exponents = torch.arange(bits.shape[1], device=bits.device).to(bits)
        word = bits @ 2.0**exponents
        keys = numbers * 2**32 + word.long()
        _, numbers, sizes = keys.unique(return_inverse=True, return_counts=True)
    return numbers, sizes
