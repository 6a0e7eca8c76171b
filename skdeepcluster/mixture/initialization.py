"""Initial mixtures of EM: the M-step of k-means, of single samples, or of responsibilities.

Letters: N samples ``x`` (N, D) with weights ``weight`` (N,), K clusters. Random choices invert the
cumulative weight, so results depend only on the samples, their weights and their order.
Reference: D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, 2007.
"""

import math
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from .._checks import sample_systematically
from ..engine.runtime import limited_threads
from ..functional import gaussian
from ..functional.gaussian import Mixture, average
from .em import MStep, Responsibilities, WeightedRows, maximize

#: Maximum number of distinct samples for k-means, k-means++ and draws of single samples.
MAX_DISTINCT_ROWS = 25_000
#: k-means runs, divided among the initializations of a fit (at least one each).
KMEANS_RUNS = 10
#: Number of samples for medians and quantiles.
SPREAD_ROWS = 1000
#: Minimum number of elements for which tensor operations on several threads are faster.
MIN_PARALLEL_ELEMENTS = 2**20


def unique_rows(rows: WeightedRows, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return distinct samples, sorted by a random projection, and their weights.

    Equal samples are merged and their weights added, so the result does not depend on the order
    of the samples, on repeating a sample instead of weighting it, or on weights of zero. If there
    are more than ``MAX_DISTINCT_ROWS``, a systematic sample in proportion to weight is returned.
    """
    shape = (rows.X.shape[1] + 1,)
    draws = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    direction, offset = draws[1:].to(rows.device), float(draws[0].sigmoid())
    order = np.flatnonzero(rows.weight > 0)
    # Subtracting the median keeps the digits of small differences. Sums over each sample, unlike
    # matrix products, round equal samples equally.
    origin = _median(rows.take(order[:: max(1, len(order) // SPREAD_ROWS)]))
    projection = rows.map(lambda x: ((x - origin) * direction).sum(1))
    order = order[np.argsort(projection[order], kind="stable")]
    first = np.flatnonzero(np.diff(projection[order], prepend=-np.inf))
    index, weight = order[first], np.add.reduceat(rows.weight[order], first)
    if len(index) > MAX_DISTINCT_ROWS:
        places = sample_systematically(weight, MAX_DISTINCT_ROWS, offset)
        drawn, count = np.unique(places, return_counts=True)
        index, weight = index[drawn], count.astype(np.float64)
    return rows.take(index), torch.tensor(weight, device=rows.device)


def _median(x: Tensor) -> Tensor:
    """Return the median (D,) of about ``SPREAD_ROWS`` samples."""
    return x[:: max(1, len(x) // SPREAD_ROWS)].median(0).values


class Initializer:
    """Makes the initial mixtures of EM, all from one set of distinct samples."""

    def __init__(
        self, rows: WeightedRows, n_clusters: int, m_step: MStep, generator: torch.Generator
    ) -> None:
        self.rows = rows
        self.n_clusters = n_clusters
        self.m_step = m_step
        self.generator = generator
        self.x, self.weight = unique_rows(rows, generator)
        self.about = average(self.x, self.weight / self.weight.sum())
        self._check_spread()

    def initialize(self, method: str, n_init: int) -> Mixture:
        """Return the M-step of "kmeans", "k-means++", "random" or "random_from_data".

        "kmeans" takes the lowest inertia of the k-means runs of one of ``n_init`` initializations.
        """
        if method == "kmeans":
            return self.maximize(self._assign_to_kmeans(max(1, KMEANS_RUNS // n_init)))
        if method == "random":
            return self.maximize(self._draw_responsibilities())
        if method == "k-means++":
            seeds = plusplus(self.x, self.weight, self.n_clusters, self.generator)
        else:
            seeds = self._draw_rows()
        eye = torch.eye(self.n_clusters, dtype=self.x.dtype, device=self.x.device)
        means, kind = self.x[seeds], self.m_step.covariance_type
        return self.m_step(gaussian.sufficient_statistics(means, eye, means, kind), means)

    def maximize(self, resp: Responsibilities) -> Mixture:
        """Return the M-step over all samples of given responsibilities."""
        return maximize(self.rows, resp, self.about, self.m_step)

    def _check_spread(self) -> None:
        """Check that no value is so large that double precision cannot hold the others with it."""
        some = self.x[:: max(1, len(self.x) // SPREAD_ROWS)]
        median = some.median(0).values
        spread = (some - median).abs().sort(0).values[int(0.9 * (len(some) - 1))]
        gap = (self.about - median).abs() * gaussian.ROUNDING * torch.finfo(torch.float64).eps
        lost = (spread > 0) & (gap > spread)
        if lost.any():
            column = int(lost.nonzero()[0, 0])
            far = float(self.x[(self.x[:, column] - median[column]).abs().argmax(), column])
            raise ValueError(
                f"Column {column} of X has the value {far:.6g}, which is too large: most other "
                f"values are within {float(spread[column]):.3g} of {float(median[column]):.6g}, "
                "and double precision has no digits left for them. Correct or leave out such "
                "samples, or transform the column."
            )

    def _assign_to_kmeans(self, n_restarts: int) -> Responsibilities:
        """Assign each sample to its nearest k-means center."""
        small = self.x.numel() < MIN_PARALLEL_ELEMENTS
        with limited_threads() if small else nullcontext():
            centers = kmeans(self.x, self.weight, self.n_clusters, self.generator, n_restarts)
        eye = torch.eye(self.n_clusters, dtype=centers.dtype, device=centers.device)
        shift = _median(self.x)
        centers = centers - shift

        def resp(_: slice, x: Tensor) -> Tensor:
            x = x - shift
            return eye[squared_distances(x, x.square().sum(1), centers).argmin(0)]

        return resp

    def _draw_responsibilities(self) -> Responsibilities:
        """Return pseudo-random responsibilities, normalized, that hash the values of a sample.

        They are fractional parts of large random projections: equal for equal samples.
        """
        shape = self.x.shape[1] + 1, self.n_clusters
        draws = torch.empty(shape, dtype=torch.float64, device="cpu")
        draws = draws.normal_(generator=self.generator).to(self.x)
        largest = float((self.x - self.about).abs().max())
        directions = draws[1:] * (1e4 / largest if largest > 0 else 1.0)

        def resp(_: slice, x: Tensor) -> Tensor:
            fractions = ((x - self.about) @ directions + draws[0]).remainder(1.0)
            return fractions / fractions.sum(1, keepdim=True)

        return resp

    def _draw_rows(self) -> Tensor:
        """Draw K samples by weight, without replacement unless there are fewer than K."""
        u = torch.empty(len(self.x), dtype=torch.float64, device="cpu")
        u = u.uniform_(generator=self.generator).to(self.x)
        # The K smallest of exponential variables of rate w_n (Efraimidis and Spirakis, 2006).
        index = (-u.log() / self.weight).argsort()
        return index[torch.arange(self.n_clusters, device=index.device) % len(index)]


# ---- k-means


def _draw(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw n samples with probability proportional to ``weight``, with replacement."""
    cumulative = weight.cumsum(0)
    u = torch.rand(n, generator=generator, dtype=torch.float64, device="cpu").to(weight)
    index = torch.searchsorted(cumulative, u * cumulative[-1], right=True)
    return index.clamp_max(len(weight) - 1)


def squared_distances(x: Tensor, norms: Tensor, centers: Tensor) -> Tensor:
    """|x_n - c_k|^2, (K, N), with norms |x_n|^2; exact if most samples are near the origin."""
    inner = torch.addmm(centers.square().sum(1, keepdim=True), centers, x.T, alpha=-2)
    return inner.add_(norms).clamp_min_(0)


def plusplus(x: Tensor, weight: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    """Return the indices (K,) of samples far apart, by greedy k-means++.

    Each is the best of 2 + log K candidates, drawn in proportion to weight times squared distance
    to the samples already chosen.
    """
    x = x - _median(x)
    norms = x.square().sum(1)
    chosen = _draw(weight, 1, generator)
    nearest = squared_distances(x, norms, x[chosen]).squeeze(0)
    for _ in range(1, n_clusters):
        candidates = _draw(weight * nearest, 2 + int(math.log(n_clusters)), generator)
        distances = squared_distances(x, norms, x[candidates]).minimum(nearest)
        best = (distances @ weight).argmin()
        nearest = distances[best]
        chosen = torch.cat([chosen, candidates[best : best + 1]])
    return chosen


def lloyd(
    x: Tensor, weight: Tensor, centers: Tensor, max_iter: int = 300, tol: float = 1e-4
) -> tuple[Tensor, float]:
    """Iterate Lloyd's algorithm from centers (K, D), K <= N; return the last centers and inertia.

    The inertia is sum_n w_n min_k |x_n - c_k|^2 at the last assignment. A center without samples
    moves to the sample farthest from its own center. The iteration stops when the squared
    movements of the centers sum to at most ``tol`` times the mean variance of the features.
    """
    tol = tol * float((x - average(x)).square().mean())
    shift = _median(x)
    x, centers = x - shift, centers - shift
    norms = x.square().sum(1)
    inertia, total = math.inf, float(weight.sum()) * (1 + 1e-9)
    for _ in range(max_iter):
        distances = squared_distances(x, norms, centers)
        nearest = distances.amin(0)
        inertia = float(weight @ nearest)
        members = torch.where(distances == nearest, weight, 0.0)
        if float(members.sum()) > total:
            # Divide the weight of a sample among equally near centers.
            members *= weight / members.sum(0)
        size = members.sum(1)
        moved = (members @ x) / size.unsqueeze(1)
        empty = (size == 0).nonzero().squeeze(1)
        moved[empty] = x[nearest.topk(len(empty)).indices]
        change, centers = float((moved - centers).square().sum()), moved
        if change <= tol:
            break
    return centers + shift, inertia


def kmeans(
    x: Tensor, weight: Tensor, n_clusters: int, generator: torch.Generator, n_restarts: int = 1
) -> Tensor:
    """Return the centers (K, D) with the lowest inertia among ``n_restarts`` runs.

    If there are at most K samples, they are the centers, repeated as needed.
    """
    if len(x) <= n_clusters:
        return x[torch.arange(n_clusters, device=x.device) % len(x)]
    best, least = x[:n_clusters], math.inf
    for _ in range(n_restarts):
        centers, inertia = lloyd(x, weight, x[plusplus(x, weight, n_clusters, generator)])
        # Rounding must not decide between runs that found the same clusters.
        if inertia < least * (1 - 1e-9):
            best, least = centers, inertia
    return best
