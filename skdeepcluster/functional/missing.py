"""Gaussian mixtures of samples that may miss values, nan: densities, E-step, expectations.

A sample counts by the marginal density of its observed features. Reference: Z. Ghahramani,
M. I. Jordan, "Supervised learning from incomplete data via an EM approach", NIPS 1994.
Letters: N samples, D features, K clusters; P patterns of M missing features, R samples each.
"""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from . import gaussian
from .gaussian import Mixture, SufficientStatistics

#: Maximum number of elements of a tensor over patterns, unless one pattern has more.
MAX_ELEMENTS = 2**20
#: Error for covariances that are singular up to rounding.
SINGULAR = (
    "Missing values have no conditional covariance, because features are too similar for a "
    "positive definite covariance. Increase reg_covar, use covariance_type='diag', or scale X."
)
#: Functions of samples (N, D) alone, and of samples and their weights (N,).
_Function = Callable[[Tensor], Tensor]
_Expectation = Callable[[Tensor, Tensor], tuple[SufficientStatistics, Tensor]]


def misses_values(x: Tensor) -> bool:
    """Return whether samples miss values; one sum, so that complete batches stay fast."""
    return bool(x.sum().isnan())


def joint_density(mixture: Mixture) -> _Function:
    """Return x -> log pi_k + log N(observed x_n | k), of shape (N, K)."""
    complete, gaps = gaussian.joint_density(mixture), _Gaps(mixture)

    def joint(x: Tensor) -> Tensor:
        if not misses_values(x):
            return complete(x)
        partial = x.isnan().any(1)
        found = x.new_empty(len(x), len(mixture.means))
        found[~partial], found[partial] = complete(x[~partial]), gaps.joint(x[partial])
        return found

    return joint


def expected_statistics(
    mixture: Mixture, about: Tensor, covariance_type: str
) -> _Expectation:
    """Return the E-step, as :func:`gaussian.expected_statistics`, for the observed features.

    Missing values enter by their conditional means and covariances, given k and the observed ones.
    """
    complete = gaussian.expected_statistics(mixture, about, covariance_type)
    gaps = _Gaps(mixture)

    def expect(x: Tensor, weight: Tensor) -> tuple[SufficientStatistics, Tensor]:
        if not misses_values(x):
            return complete(x, weight)
        partial = x.isnan().any(1)
        stats, evidence = complete(x[~partial], weight[~partial])
        for more, log_likelihood in gaps.expect(x[partial], weight[partial], about):
            stats = SufficientStatistics(
                *(a + b for a, b in zip(stats, more, strict=True))
            )
            evidence = evidence + log_likelihood
        return stats, evidence

    return expect


def expectation(mixture: Mixture) -> _Function:
    """Return x -> sum_k p(k | observed x_n) E[x_n | observed x_n, k] of missing values, (N, D)."""
    gaps = _Gaps(mixture)

    def expect(x: Tensor) -> Tensor:
        partial, found = x.isnan().any(1), x.clone()
        found[partial] = gaps.expectation(x[partial])
        return found

    return expect


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


class _Gaps:
    """What a mixture says about incomplete samples x (N, D)."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.is_matrix = mixture.scales.ndim == 3

    def joint(self, x: Tensor) -> Tensor:
        """Return the log-joint (N, K)."""
        if not self.is_matrix:
            return _vector_joint(x, self.mixture)
        found = x.new_empty(len(x), len(self.mixture.means))
        for part in self._complete(x):
            found[part.rows] = part.joint.T
        return found

    def expectation(self, x: Tensor) -> Tensor:
        """Return the expectations (N, D), which mean something for missing features only."""
        means = self.mixture.means
        if not self.is_matrix:
            return self.joint(x).softmax(1) @ means
        found = torch.empty_like(x)
        for part in self._complete(x):
            resp = part.joint.softmax(0).unsqueeze(-1)
            found[part.rows] = (resp * (part.centered + means.unsqueeze(1))).sum(0)
        return found

    def expect(
        self, x: Tensor, weight: Tensor, about: Tensor
    ) -> Iterator[tuple[SufficientStatistics, Tensor]]:
        """Yield parts of the expected statistics and of the log-likelihood."""
        if not self.is_matrix:
            joint = _vector_joint(x, self.mixture)
            resp = joint.softmax(1) * weight.unsqueeze(1)
            yield (
                _vector_statistics(x, resp, self.mixture, about),
                weight @ joint.logsumexp(1),
            )
            return
        shift = (self.mixture.means - about).unsqueeze(1)
        for part in self._complete(x):
            own = weight[part.rows]
            stats = self._sum(part, part.joint.softmax(0) * own, part.centered + shift)
            yield stats, own @ part.joint.logsumexp(0)

    def _sum(self, part: _Completed, resp: Tensor, x: Tensor) -> SufficientStatistics:
        """Return the statistics of completed samples (K, N, D), conditional covariances added."""
        weighted, n_features = resp.unsqueeze(-1) * x, x.shape[-1]
        s2, shares = weighted.mT @ x, resp.unflatten(1, (len(part.columns), -1)).sum(-1)
        if len(part.lower) < len(s2):
            s2, shares = s2.sum(0, keepdim=True), shares.sum(0, keepdim=True)
        k, pattern = (shares > gaussian.NEGLIGIBLE).nonzero(as_tuple=True)
        spread = (
            torch.cholesky_inverse(part.lower[k, pattern])
            * shares[k, pattern, None, None]
        )
        places = (
            _find_places(part.columns, n_features)[pattern]
            + k[:, None, None] * n_features**2
        )
        s2.view(-1).index_add_(0, places.flatten(), spread.flatten())
        return SufficientStatistics(resp.sum(1), weighted.sum(1), s2)

    @cached_property
    def _precision(self) -> tuple[Tensor, Tensor]:
        """U_k and the precisions U_k U_k^T."""
        factors = self.mixture.precision_factors()
        return factors, factors @ factors.mT

    def _complete(self, x: Tensor) -> Iterator[_Completed]:
        """Complete samples by the precisions L: the covariance is L_mm^-1.

        The conditional mean of y = x - mu is -L_mm^-1 L_mo y_o, and the determinant of the
        observed covariance |Sigma| |L_mm|.
        """
        log_weights, means, scales = self.mixture
        factors, precisions = self._precision
        constant = log_weights + gaussian.log_constant(scales, x.shape[1])
        for rows, columns in _group_patterns(x.isnan(), len(means)):
            shape, n_missing = (len(means), *rows.shape), columns.shape[1]
            places = _find_places(columns, x.shape[1])
            own = precisions.flatten(1).index_select(1, places.flatten())
            lower, failed = torch.linalg.cholesky_ex(own.view(-1, *places.shape))
            if failed.any():
                raise ValueError(SINGULAR)
            y = (x[rows.flatten()] - means.unsqueeze(1)).nan_to_num(0.0)
            where = columns.unsqueeze(1).expand(*shape, n_missing)
            pulls = (y @ precisions).view(*shape, -1).gather(-1, where)
            y.view(*shape, -1).scatter_(
                -1, where, -torch.cholesky_solve(pulls.mT, lower).mT
            )
            log_prob = 0.5 * n_missing * math.log(2 * math.pi)
            log_prob = log_prob - lower.diagonal(dim1=-2, dim2=-1).log().sum(
                -1, keepdim=True
            )
            log_prob = log_prob - 0.5 * (y @ factors).square().sum(-1).view(shape)
            joint = constant.unsqueeze(1) + log_prob.flatten(1)
            yield _Completed(rows.flatten(), columns, joint, y, lower)


def _find_places(columns: Tensor, n_features: int) -> Tensor:
    """Return the places (P, M, M) in flat (D, D) matrices of each pattern's submatrix."""
    return columns.unsqueeze(2) * n_features + columns.unsqueeze(1)


def _group_patterns(gaps: Tensor, n_clusters: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the positions (P, R) and missing features (P, M) of samples, for each R and M.

    ``gaps`` (N, D) says what is missing.
    """
    own = torch.zeros(len(gaps), dtype=torch.long, device=gaps.device)
    for bits in gaps.double().split(32, 1):
        word = bits @ 2.0 ** torch.arange(
            bits.shape[1], dtype=bits.dtype, device=bits.device
        )
        keys = own * 2**32 + word.long()
        _, own, sizes = keys.unique(return_inverse=True, return_counts=True)
    order, first = own.argsort(stable=True), sizes.cumsum(0) - sizes
    patterns = gaps[order[first]]
    kinds = patterns.sum(1) * 2**32 + sizes
    for kind in kinds.unique().tolist():
        n_missing, n_rows = divmod(kind, 2**32)
        alike = (kinds == kind).nonzero().squeeze(1)
        steps = torch.arange(n_rows, device=gaps.device)
        n_elements = n_clusters * (n_missing**2 + n_rows * gaps.shape[1])
        for some in alike.split(max(1, MAX_ELEMENTS // n_elements)):
            rows = order[first[some].unsqueeze(1) + steps]
            yield rows, patterns[some].nonzero()[:, 1].view(-1, n_missing)


def _split(mixture: Mixture) -> Iterator[Mixture]:
    """Yield each component as a mixture."""
    return (Mixture(*part) for part in zip(*(f.split(1) for f in mixture), strict=True))


def _vector_joint(x: Tensor, mixture: Mixture) -> Tensor:
    """Return the log-joint (N, K) for standard deviations."""
    if gaussian.is_separated(mixture):
        return torch.cat([_vector_joint(x, part) for part in _split(mixture)], 1)
    log_weights, means, scales = mixture
    about = means.mean(0)
    x, means, precisions = x - about, means - about, scales.pow(-2).expand_as(means)
    observed, x = 1 - x.isnan().to(x.dtype), x.nan_to_num(0.0)
    linear = precisions * means
    constant = -0.5 * (linear * means + math.log(2 * math.pi)) - scales.log()
    quadratic = x @ linear.T - 0.5 * x.square() @ precisions.T
    return log_weights + observed @ constant.T + quadratic


def _vector_statistics(
    x: Tensor, resp: Tensor, mixture: Mixture, about: Tensor
) -> SufficientStatistics:
    """Return the expected statistics of samples with responsibilities times weights (N, K)."""
    if about.ndim == 2:
        each = zip(resp.split(1, 1), _split(mixture), about, strict=True)
        parts = [_vector_statistics(x, *part) for part in each]
        return SufficientStatistics(*map(torch.cat, zip(*parts, strict=True)))
    x, shift = x - about, mixture.means - about
    missing = resp.T @ x.isnan().to(x.dtype)
    x = x.nan_to_num(0.0)
    s2 = resp.T @ x.square() + missing * (shift.square() + mixture.covariances())
    return SufficientStatistics(resp.sum(0), resp.T @ x + missing * shift, s2)
