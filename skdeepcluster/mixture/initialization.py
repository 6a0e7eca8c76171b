"""Initial mixtures of EM: the M-step of k-means, of single samples, or of responsibilities.

Letters: N samples ``x`` (N, D) with weights ``weight`` (N,), K clusters. Results depend only on
the samples, their weights and their order.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import euclidean_distances
from sklearn.utils.extmath import row_norms
from torch import Tensor

from .._random import sample_systematically
from ..functional import gaussian
from ..functional.gaussian import Mixture, average
from .em import MStep, Responsibilities, WeightedRows, maximize

#: Maximum number of distinct samples for k-means, k-means++ and draws of single samples.
MAX_DISTINCT_ROWS = 25_000


def unique_rows(
    rows: WeightedRows, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return distinct samples, sorted by a random projection, and their weights.

    Equal samples are merged, so the result depends neither on the order of the samples nor on
    repeating a sample instead of weighting it. More than ``MAX_DISTINCT_ROWS`` are sampled.
    Missing values become the means of their features.
    """
    shape = (rows.X.shape[1] + 1,)
    draws = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    direction, offset = draws[1:].to(rows.device), float(draws[0].sigmoid())
    order = np.flatnonzero(rows.weight > 0)
    # Subtracting the median keeps the digits of small differences. Sums over each sample, unlike
    # matrix products, round equal samples equally.
    origin = (
        rows.take(order[:: max(1, len(order) // 1000)])
        .nanmedian(0)
        .values.nan_to_num(0.0)
    )

    def project(x: Tensor) -> Tensor:
        parts = (x - origin).nan_to_num(0.0), x.isnan()
        return torch.stack([(part * direction).sum(1) for part in parts], 1)

    projection = rows.map(project)
    order = order[np.lexsort(projection[order].T)]
    first = np.flatnonzero(np.diff(projection[order], axis=0, prepend=-np.inf).any(1))
    index, weight = order[first], np.add.reduceat(rows.weight[order], first)
    if len(index) > MAX_DISTINCT_ROWS:
        places = sample_systematically(weight, MAX_DISTINCT_ROWS, offset)
        drawn, count = np.unique(places, return_counts=True)
        index, weight = index[drawn], count.astype(np.float64)
    weights = torch.tensor(weight, device=rows.device)
    return _fill(rows.take(index), weights), weights


def _fill(x: Tensor, weight: Tensor) -> Tensor:
    """Return samples with the weighted mean of each feature for its missing values."""
    counts = weight @ (~x.isnan()).to(x.dtype)
    if not counts.all():
        empty = (counts == 0).nonzero().squeeze(1).tolist()
        raise ValueError(
            f"The {len(x)} distinct samples of positive weight that initialize the mixture have "
            f"no values in the columns {empty}. Leave these columns out."
        )
    return torch.where(x.isnan(), (weight @ x.nan_to_num(0.0)) / counts, x)


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
        self.x, self.weight = unique_rows(rows, generator)
        self.about = average(self.x, self.weight / self.weight.sum())

    def initialize(self, method: str, n_init: int) -> Mixture:
        """Return the M-step of "kmeans", "k-means++", "random" or "random_from_data".

        "kmeans" is the best of 10 runs, divided among ``n_init`` initializations.
        """
        if method == "random":
            return self.maximize(self._draw_responsibilities())
        if len(self.x) <= self.n_clusters:
            seeds = self.x[torch.arange(self.n_clusters) % len(self.x)]
        elif method == "kmeans":
            seeds = self._find_centers(max(1, 10 // n_init))
        elif method == "k-means++":
            seeds = self.x[self._find_seeds()]
        else:
            seeds = self.x[
                self.weight.cpu().multinomial(self.n_clusters, generator=self.generator)
            ]
        if method == "kmeans":
            return self.maximize(self._assign_to_nearest(seeds))
        eye = torch.eye(self.n_clusters, dtype=self.x.dtype, device=self.x.device)
        kind = self.m_step.covariance_type
        return self.m_step(
            gaussian.sufficient_statistics(seeds, eye, seeds, kind), seeds
        )

    def maximize(self, resp: Responsibilities) -> Mixture:
        """Return the M-step over all samples of given responsibilities."""
        return maximize(self.rows, resp, self.about, self.m_step)

    def _find_centers(self, n_runs: int) -> Tensor:
        """Return the centers (K, D) with the lowest inertia among ``n_runs`` runs of k-means."""
        x, weight = (self.x - self.about).cpu().numpy(), self.weight.cpu().numpy()
        centers, least = x[: self.n_clusters], math.inf
        for _ in range(n_runs):
            seeds = x[self._find_seeds()]
            run = KMeans(self.n_clusters, init=seeds, n_init=1).fit(
                x, sample_weight=weight
            )
            # Rounding must not decide between runs that found the same clusters.
            if run.inertia_ < least * (1 - 1e-9):
                centers, least = run.cluster_centers_, run.inertia_
        return torch.from_numpy(centers).to(self.x) + self.about

    def _find_seeds(self) -> npt.NDArray[np.int64]:
        """Return the indices (K,) of samples far apart, by greedy k-means++.

        Each is the best of 2 + log K candidates, drawn in proportion to weight times squared
        distance to the samples already chosen.
        """
        x, weight = (self.x - self.about).cpu().numpy(), self.weight.cpu().numpy()
        norms = row_norms(x, squared=True)
        chosen, nearest = [], np.full(len(x), np.inf)
        for k in range(self.n_clusters):
            n_drawn = 2 + int(math.log(self.n_clusters)) if k else 1
            u = torch.rand(
                n_drawn, generator=self.generator, dtype=torch.float64, device="cpu"
            )
            ends = np.cumsum(weight * nearest if k else weight)
            drawn = ends.searchsorted(u.numpy() * ends[-1], side="right").clip(
                max=len(x) - 1
            )
            distances = euclidean_distances(
                x[drawn], x, Y_norm_squared=norms, squared=True
            )
            distances = np.minimum(distances, nearest)
            best = (distances @ weight).argmin()
            nearest = distances[best]
            chosen.append(drawn[best])
        return np.array(chosen)

    def _assign_to_nearest(self, centers: Tensor) -> Responsibilities:
        """Assign each sample to its nearest center."""
        eye = torch.eye(self.n_clusters, dtype=centers.dtype, device=centers.device)
        centers = centers - self.about
        norms = centers.square().sum(1)
        return lambda _, x: eye[(norms - 2 * (x - self.about) @ centers.T).argmin(1)]

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
