"""Gaussian mixtures of incomplete samples, which miss values, nan.

A sample counts by the density of its observed features (Z. Ghahramani, M. I. Jordan, NIPS 1994).
Letters: N samples, D features, of which M are missing, K clusters.
"""

from collections.abc import Iterator
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from .gaussian import (
    LOG_2_PI,
    NEGLIGIBLE,
    Expectation,
    Function,
    Mixture,
    SufficientStatistics,
    Sums,
    add,
    expected_statistics,
    joint_density,
    log_constant,
)


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
    """Return x (N, D) -> x with E[x_nd | observed x_n] for its missing values."""
    gaps = _find_gaps(mixture)

    def fill(x: Tensor) -> Tensor:
        partial = x.isnan().any(1)
        some = x[partial]
        filled = x.clone()
        filled[partial] = torch.where(some.isnan(), gaps.expectation(some), some)
        return filled

    return fill


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
        self.log_weights, self.means, scales = mixture
        self.scales = scales.expand_as(self.means)

    def joint(self, x: Tensor) -> Tensor:
        """Return the log-joint (N, K)."""
        each = []
        for mean, scale in zip(self.means, self.scales, strict=True):
            squares = ((x - mean) / scale).square()
            log_prob = -0.5 * (squares + LOG_2_PI) - scale.log()
            each.append(log_prob.nansum(1))
        return torch.stack(each, 1) + self.log_weights

    def expectation(self, x: Tensor) -> Tensor:
        """Return the expectations (N, D) of missing features; the others are arbitrary."""
        return self.joint(x).softmax(1) @ self.means

    def expect(self, x: Tensor, weight: Tensor, about: Tensor) -> Iterator[Sums]:
        """Yield the expected statistics and the log-likelihood."""
        joint = self.joint(x)
        resp = joint.softmax(1) * weight[:, None]
        is_missing = x.isnan()
        missing = resp.T @ is_missing.to(x.dtype)

        s1 = torch.empty_like(self.means)
        s2 = missing * self.scales.square()
        shifts = about.expand_as(self.means)
        for k, (mean, shift) in enumerate(zip(self.means, shifts, strict=True)):
            filled = torch.where(is_missing, mean, x) - shift
            s1[k] = resp[:, k] @ filled
            s2[k] += resp[:, k] @ filled.square()
        yield resp.sum(0), s1, s2, weight @ joint.logsumexp(1)


class _Completed(NamedTuple):
    """Incomplete samples that miss the same number of features, under each component.

    rows (N,): their positions; columns (N, M): the features that each misses; joint (K, N): the
    log-joint; centered (K, N, D): E[x | observed, k] - mu_k; lower (K, N, M, M), or (1, N, M, M)
    when tied: Cholesky factors of the inverses of the conditional covariances.
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
    def precisions(self) -> Tensor:
        """The inverse covariances, which complete samples do not need."""
        return self.mixture.precisions()

    def joint(self, x: Tensor) -> Tensor:
        """Return the log-joint (N, K)."""
        joint = x.new_empty(len(x), len(self.mixture.means))
        for part in self._complete(x):
            joint[part.rows] = part.joint.T
        return joint

    def expectation(self, x: Tensor) -> Tensor:
        """Return the expectations (N, D) of missing features; the others are arbitrary."""
        mean = torch.empty_like(x)
        for part in self._complete(x):
            resp = part.joint.softmax(0)[:, :, None]
            expected = part.centered + self.mixture.means[:, None]
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
        for rows, columns in _group_by_number(x.isnan(), len(means)):
            places = _find_places(columns, x.shape[1])
            submatrices = self.precisions.flatten(1)[:, places]
            lower, failed = torch.linalg.cholesky_ex(submatrices)
            if failed.any():
                raise ValueError(
                    "Missing values have no conditional covariance, because features are too "
                    "similar for a positive definite covariance. Increase reg_covar, use "
                    "covariance_type='diag', or scale X."
                )

            y = (x[rows] - means[:, None]).nan_to_num(0.0)
            where = columns.expand(len(means), *columns.shape)
            pulls = (y @ self.precisions).gather(-1, where)[..., None]
            expected = -torch.cholesky_solve(pulls, lower)[..., 0]
            y.scatter_(-1, where, expected)

            log_det = torch.linalg.diagonal(lower).log().sum(-1)
            squares = ((y @ self.precisions) * y).sum(-1)
            log_prob = 0.5 * columns.shape[1] * LOG_2_PI - log_det - 0.5 * squares
            yield _Completed(rows, columns, constant[:, None] + log_prob, y, lower)


def _sum_completed(part: _Completed, resp: Tensor, x: Tensor) -> SufficientStatistics:
    """Return the statistics of completed samples (K, N, D), conditional covariances added."""
    weighted = resp[:, :, None] * x
    s1 = weighted.sum(1)
    s2 = weighted.mT @ x
    shares = resp
    if len(part.lower) < len(s2):
        s2 = s2.sum(0, keepdim=True)
        shares = resp.sum(0, keepdim=True)

    k, row = (shares > NEGLIGIBLE).nonzero(as_tuple=True)
    spread = torch.cholesky_inverse(part.lower[k, row])
    spread = spread * shares[k, row, None, None]
    places = _find_places(part.columns, x.shape[-1])[row]
    places = places + k[:, None, None] * s2[0].numel()
    s2.view(-1).index_add_(0, places.flatten(), spread.flatten())
    return SufficientStatistics(resp.sum(1), s1, s2)


def _find_places(columns: Tensor, n_features: int) -> Tensor:
    """Return the places (N, M, M) in flat (D, D) matrices of each sample's submatrix."""
    return columns[:, :, None] * n_features + columns[:, None]


def _group_by_number(gaps: Tensor, n_clusters: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield positions (N,) and missing features (N, M) of samples that miss M, for each M.

    ``gaps`` (N, D) says what is missing.
    """
    n_missing = gaps.sum(1)
    for number in n_missing.unique().tolist():
        rows = (n_missing == number).nonzero().squeeze(1)
        n_elements = n_clusters * (number**2 + gaps.shape[1])
        for some in rows.split(max(1, 2**20 // n_elements)):
            columns = gaps[some].nonzero()[:, 1]
            yield some, columns.view(-1, number)
