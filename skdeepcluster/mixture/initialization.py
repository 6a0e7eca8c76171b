"""Initial mixtures of EM: the M-step of k-means, of single samples, or of responsibilities.

Letters: N samples ``x`` (N, D) with weights ``weight`` (N,), K clusters. Results depend only on
the samples, their weights and their order.
"""

import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import euclidean_distances
from sklearn.utils.extmath import row_norms
from torch import Tensor

from ..functional.gaussian import Mixture, weighted_mean
from ..functional.statistics import maximize, sufficient_statistics
from ..input.checks import sample_systematically
from .em import (
    MStep,
    Responsibilities,
    WeightedBatch,
    WeightedRows,
    fit_responsibilities,
)

#: Maximum number of distinct samples for k-means, k-means++ and draws of single samples.
MAX_DISTINCT_ROWS = 25_000


def distinct_samples(
    rows: WeightedRows,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return distinct samples, sorted by a random projection, and their weights.

    Equal samples are merged, so the result depends neither on the order of the samples nor on
    repeating a sample instead of weighting it. More than ``MAX_DISTINCT_ROWS`` are sampled.
    Missing values become the means of their features.
    """
    shape = (rows.X.shape[1] + 1,)
    draws = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    offset = float(draws[0].sigmoid())

    order = np.flatnonzero(rows.weight > 0)
    projection = _project_samples(rows, order, draws[1:].to(rows.device))
    order = order[projection[order].argsort(kind="stable")]
    first = np.flatnonzero(np.diff(projection[order], prepend=np.nan))
    index = order[first]
    weight = np.add.reduceat(rows.weight[order], first)

    if len(index) > MAX_DISTINCT_ROWS:
        places = sample_systematically(weight, MAX_DISTINCT_ROWS, offset)
        drawn, count = np.unique(places, return_counts=True)
        index = index[drawn]
        weight = count.astype(np.float64)
    weights = torch.tensor(weight, device=rows.device)
    return _fill(rows.take(index), weights), weights


def _project_samples(
    rows: WeightedRows,
    order: np.ndarray,
    direction: Tensor,
) -> np.ndarray:
    """Return complex projections (N,) of what samples miss, and of their values."""
    # Subtracting the median keeps the digits of small differences. Sums over each sample, unlike
    # matrix products, round equal samples equally.
    some = rows.take(order[:: max(1, len(order) // 1000)])
    origin = some.nanmedian(0).values.nan_to_num(0.0)

    def project(x: Tensor) -> Tensor:
        missing = x.isnan() * direction
        values = (x - origin).nan_to_num(0.0) * direction
        return torch.complex(missing.sum(1), values.sum(1))

    return rows.map(project)


def _fill(x: Tensor, weight: Tensor) -> Tensor:
    """Return samples with the weighted mean of each feature for its missing values."""
    counts = weight @ (~x.isnan()).to(x.dtype)
    if not counts.all():
        empty = (counts == 0).nonzero().squeeze(1).tolist()
        raise ValueError(
            f"The {len(x)} distinct samples of positive weight that initialize the mixture have "
            f"no values in the columns {empty}. Leave these columns out."
        )
    means = (weight @ x.nan_to_num(0.0)) / counts
    return torch.where(x.isnan(), means, x)


class Initializer:
    """Makes the initial mixtures of EM, all from one set of distinct samples."""

    def __init__(
        self,
        rows: WeightedRows,
        n_clusters: int,
        m_step: MStep,
        generator: torch.Generator,
    ) -> None:
        self.rows = rows
        self.n_clusters = n_clusters
        self.m_step = m_step
        self.generator = generator
        self.x, self.weight = distinct_samples(rows, generator)
        self.about = weighted_mean(self.x, self.weight / self.weight.sum())

    def initialize(self, method: str, n_init: int) -> Mixture:
        """Return the M-step of "kmeans", "k-means++", "random" or "random_from_data".

        "kmeans" is the best of 10 runs, divided among ``n_init`` initializations.
        """
        if method == "random":
            return self.maximize(self._draw_responsibilities())

        seeds = self._find_seeds(method, n_init)
        if method == "kmeans":
            return self.maximize(self._assign_to_nearest(seeds))

        resp = torch.eye(self.n_clusters, dtype=seeds.dtype, device=seeds.device)
        kind = self.m_step.covariance_type
        stats = sufficient_statistics(seeds, resp, seeds, kind)
        return maximize(stats, seeds, *self.m_step)

    def maximize(self, resp: Responsibilities) -> Mixture:
        """Return the M-step over all samples of given responsibilities."""
        return fit_responsibilities(self.rows, resp, self.about, self.m_step)

    def _find_seeds(self, method: str, n_init: int) -> Tensor:
        """Return the initial means (K, D) of a method."""
        if len(self.x) <= self.n_clusters:
            return self.x[
                torch.arange(self.n_clusters, device=self.x.device) % len(self.x)
            ]
        if method == "kmeans":
            return self._find_centers(max(1, 10 // n_init))
        if method == "k-means++":
            x, weight = self._centered_samples()
            return self.x[self._find_far_samples(x, weight)]

        weights = self.weight.cpu()
        drawn = weights.multinomial(self.n_clusters, generator=self.generator)
        return self.x[drawn]

    def _centered_samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct samples, shifted to their mean, and their weights."""
        x = self.x - self.about
        return x.cpu().numpy(), self.weight.cpu().numpy()

    def _find_centers(self, n_runs: int) -> Tensor:
        """Return the centers (K, D) with the lowest inertia among ``n_runs`` runs of k-means."""
        x, weight = self._centered_samples()
        centers = x[: self.n_clusters]
        least = math.inf
        for _ in range(n_runs):
            seeds = x[self._find_far_samples(x, weight)]
            run = KMeans(self.n_clusters, init=seeds, n_init=1)
            run.fit(x, sample_weight=weight)
            # Rounding must not decide between runs that found the same clusters.
            if run.inertia_ < least * (1 - 1e-9):
                centers = run.cluster_centers_
                least = run.inertia_
        return torch.from_numpy(centers).to(self.x) + self.about

    def _find_far_samples(
        self,
        x: np.ndarray,
        weight: np.ndarray,
    ) -> np.ndarray:
        """Return the indices (K,) of samples far apart, by greedy k-means++.

        Each is the best of 2 + log K candidates, drawn in proportion to weight times squared
        distance to the samples already chosen.
        """
        norms = row_norms(x, squared=True)
        nearest = np.full(len(x), np.inf)
        ends = np.cumsum(weight)
        n_drawn = 1
        chosen = []
        for _ in range(self.n_clusters):
            drawn = self._draw(ends, n_drawn)
            distances = euclidean_distances(
                x[drawn], x, Y_norm_squared=norms, squared=True
            )
            distances = np.minimum(distances, nearest)
            best = (distances @ weight).argmin()
            nearest = distances[best]
            chosen.append(drawn[best])
            ends = np.cumsum(weight * nearest)
            n_drawn = 2 + int(math.log(self.n_clusters))
        return np.array(chosen)

    def _draw(self, ends: np.ndarray, n_drawn: int) -> np.ndarray:
        """Draw indices in proportion to weights, given as their cumulated sums."""
        u = torch.rand(
            n_drawn,
            generator=self.generator,
            dtype=torch.float64,
            device="cpu",
        )
        drawn = ends.searchsorted(u.numpy() * ends[-1], side="right")
        return drawn.clip(max=len(ends) - 1)

    def _assign_to_nearest(self, centers: Tensor) -> Responsibilities:
        """Assign each sample to its nearest center."""
        eye = torch.eye(self.n_clusters, dtype=centers.dtype, device=centers.device)
        centers = centers - self.about
        norms = centers.square().sum(1)

        def resp(batch: WeightedBatch) -> Tensor:
            x = batch.x - self.about
            distances = norms - 2 * x @ centers.T
            return eye[distances.argmin(1)]

        return resp

    def _draw_responsibilities(self) -> Responsibilities:
        """Return pseudo-random responsibilities, normalized, that hash the values of a sample.

        They are fractional parts of large random projections: equal for equal samples.
        """
        shape = self.x.shape[1] + 1, self.n_clusters
        draws = torch.randn(
            shape,
            generator=self.generator,
            dtype=torch.float64,
            device="cpu",
        ).to(self.x)
        largest = float((self.x - self.about).abs().max())
        directions = draws[1:] * (1e4 / largest if largest > 0 else 1.0)

        def resp(batch: WeightedBatch) -> Tensor:
            projections = (batch.x - self.about) @ directions + draws[0]
            fractions = projections.remainder(1.0)
            return fractions / fractions.sum(1, keepdim=True)

        return resp
