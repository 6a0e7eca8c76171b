"""Initialisation of EM: the M-step of k-means, of single rows, or of given responsibilities."""

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from .._responsibilities import sample_systematically
from ..engine.runtime import limited_threads
from ..functional import gaussian
from ..functional.gaussian import Mixture
from . import kmeans
from .em import MStep, Responsibilities, WeightedRows, maximize

#: Most distinct rows that k-means, k-means++ and draws of single rows use; of more, a subsample.
MAX_DISTINCT_ROWS = 25_000
#: k-means runs divided among the starts of a fit, at least one each.
KMEANS_RUNS = 10
#: Rows that tell how far most values are from each other.
SPREAD_ROWS = 1000
#: Elements below which a tensor operation takes longer on several threads than on one.
MIN_PARALLEL_ELEMENTS = 2**20


def unique_rows(rows: WeightedRows, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return distinct rows, sorted by their projection on a random direction, and their weights.

    Equal rows are merged and their weights added, so the result depends on the weighted set of
    rows only: not on their order, nor on whether a row has weight two or occurs twice, nor on
    rows of weight zero. Of more than ``MAX_DISTINCT_ROWS`` distinct rows a systematic sample
    along that order is returned, in proportion to weight.
    """
    shape = (rows.X.shape[1] + 1,)
    draws = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    direction, offset = draws[1:].to(rows.device), float(draws[0].sigmoid())
    # Summed row by row: a matrix product may round equal rows differently at other positions. From
    # the median on, a large value that most of them have does not round the others away.
    order = np.flatnonzero(rows.weight > 0)
    origin = rows.take(order[:: max(1, len(order) // SPREAD_ROWS)]).median(0).values
    projection = rows.map(lambda x: ((x - origin) * direction).sum(1))
    order = order[np.argsort(projection[order], kind="stable")]
    first = np.flatnonzero(np.diff(projection[order], prepend=-np.inf))
    index, weight = order[first], np.add.reduceat(rows.weight[order], first)
    if len(index) > MAX_DISTINCT_ROWS:
        places = sample_systematically(weight, MAX_DISTINCT_ROWS, offset)
        drawn, count = np.unique(places, return_counts=True)
        index, weight = index[drawn], count.astype(np.float64)
    return rows.take(index), torch.tensor(weight, device=rows.device)


class Initializer:
    """Makes the mixtures from which EM starts, all from one subsample of distinct rows."""

    def __init__(
        self, rows: WeightedRows, n_clusters: int, m_step: MStep, generator: torch.Generator
    ) -> None:
        self.rows = rows
        self.n_clusters = n_clusters
        self.m_step = m_step
        self.generator = generator
        self.x, self.weight = unique_rows(rows, generator)
        self.about = gaussian.average(self.x, self.weight / self.weight.sum())
        self._check_spread()

    def initialize(self, method: str, n_init: int) -> Mixture:
        """Return the M-step of "kmeans", "k-means++", "random" or "random_from_data".

        "kmeans" is the run with the least inertia of those for one of ``n_init`` starts.
        """
        if method == "kmeans":
            return self.maximize(self._assign_to_kmeans(max(1, KMEANS_RUNS // n_init)))
        if method == "random":
            return self.maximize(self._draw_responsibilities())
        if method == "k-means++":
            seeds = kmeans.plusplus(self.x, self.weight, self.n_clusters, self.generator)
        else:
            seeds = self._draw_rows()
        eye = torch.eye(self.n_clusters, dtype=self.x.dtype, device=self.x.device)
        kind = self.m_step.covariance_type
        stats = gaussian.sufficient_statistics(self.x[seeds], eye, self.about, kind)
        return self.m_step(stats, self.about)

    def _check_spread(self) -> None:
        """Check that no value is so far from the others that their squares about the mean vanish.

        Sums of squares about the mean have the rounding of its square distance from most rows.
        """
        some = self.x[:: max(1, len(self.x) // SPREAD_ROWS)]
        median = some.median(0).values
        spread = (some - median).abs().sort(0).values[int(0.9 * (len(some) - 1))]
        gap = (self.about - median).abs() * torch.finfo(torch.float64).eps ** 0.5
        lost = (spread > 0) & (gap > spread)
        if lost.any():
            column = int(lost.nonzero()[0, 0])
            far = float(self.x[(self.x[:, column] - median[column]).abs().argmax(), column])
            raise ValueError(
                f"Column {column} of X has the value {far:.6g}, which is too large beside the "
                f"others, most of which are within {float(spread[column]):.3g} of "
                f"{float(median[column]):.6g}: double precision has no digits left for these. "
                "Correct or leave out such rows, or transform the column."
            )

    def maximize(self, resp: Responsibilities) -> Mixture:
        """Return the M-step over all rows of given responsibilities."""
        return maximize(self.rows, resp, self.about, self.m_step)

    def _assign_to_kmeans(self, n_restarts: int) -> Responsibilities:
        """Assign each row to its nearest k-means centre."""
        small = self.x.numel() < MIN_PARALLEL_ELEMENTS
        with limited_threads() if small else nullcontext():
            centres = kmeans.kmeans(
                self.x, self.weight, self.n_clusters, self.generator, n_restarts=n_restarts
            )
        eye = torch.eye(self.n_clusters, dtype=centres.dtype, device=centres.device)
        return lambda _, x: eye[kmeans.squared_distances(x, centres).min(0).indices]

    def _draw_responsibilities(self) -> Responsibilities:
        """Return pseudo-random responsibilities that depend on the values of a row only.

        They are the normalised fractional parts of large random projections, as in a hash
        function: equal rows get equal responsibilities.
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
        """Draw K rows by weight, without replacement unless there are fewer than K."""
        u = torch.empty(len(self.x), dtype=torch.float64, device="cpu")
        u = u.uniform_(generator=self.generator).to(self.x)
        # Weighted sampling without replacement: the K smallest of exponential variables of rate
        # w_n (Efraimidis and Spirakis, 2006).
        index = (-u.log() / self.weight).argsort()
        return index[torch.arange(self.n_clusters, device=index.device) % len(index)]
