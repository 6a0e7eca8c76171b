"""Initialisation of EM: the M-step of k-means, of single rows, or of given responsibilities."""

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from ..engine.runtime import single_threaded
from ..functional import gaussian
from ..functional.gaussian import Mixture
from . import kmeans
from .em import MStep, Responsibilities, WeightedRows, maximize

#: k-means, k-means++ and draws of single rows look at most at this many distinct rows.
MAX_DISTINCT_ROWS = 25_000
#: Below this many elements an operation takes longer on several threads than on one.
MIN_PARALLEL_ELEMENTS = 2**20


def unique_rows(rows: WeightedRows, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return distinct rows, sorted along a random direction, and the total weight of each.

    The result depends on the weighted set of rows only: not on their order, nor on whether a row
    has weight two or stands there twice, nor on rows of weight zero. Rows are sorted by their
    projection on a random direction, and equal ones are merged. Of more than
    ``MAX_DISTINCT_ROWS`` distinct rows a systematic draw along that order is returned, in
    proportion to weight.
    """
    draws = torch.randn(rows.X.shape[1] + 1, generator=generator, dtype=torch.float64)
    direction, offset = draws[1:].to(rows.device), float(draws[0].sigmoid())
    # A sum per row, not a matrix product: it rounds equal rows alike wherever they stand.
    place = rows.map(lambda x: (x * direction).sum(1))
    order = np.flatnonzero(rows.weight > 0)
    order = order[np.argsort(place[order], kind="stable")]
    first = np.flatnonzero(np.diff(place[order], prepend=-np.inf))
    index, weight = order[first], np.add.reduceat(rows.weight[order], first)
    if len(index) > MAX_DISTINCT_ROWS:
        cumulative = np.cumsum(weight)
        at = (np.arange(MAX_DISTINCT_ROWS) + offset) / MAX_DISTINCT_ROWS * cumulative[-1]
        drawn, count = np.unique(
            np.searchsorted(cumulative, at, side="right").clip(max=len(index) - 1),
            return_counts=True,
        )
        index, weight = index[drawn], count.astype(np.float64)
    return rows.take(index), torch.tensor(weight, device=rows.device)


class Initializer:
    """Mixtures from which EM starts; all look at the same draw of distinct rows.

    Parameters
    ----------
    rows : WeightedRows
    n_clusters : int
    m_step : MStep
    generator : torch.Generator
    """

    def __init__(
        self, rows: WeightedRows, n_clusters: int, m_step: MStep, generator: torch.Generator
    ) -> None:
        self.rows = rows
        self.n_clusters = n_clusters
        self.m_step = m_step
        self.generator = generator
        self.x, self.weight = unique_rows(rows, generator)
        self.about = self.weight @ self.x / self.weight.sum()

    def mixture(self, how: str, n_restarts: int) -> Mixture:
        """Return the M-step of an initialisation.

        Parameters
        ----------
        how : {"kmeans", "k-means++", "random", "random_from_data"}
        n_restarts : int
            Runs of k-means, of which the one with the least inertia is kept.

        Returns
        -------
        Mixture
        """
        if how == "kmeans":
            return self.maximize(self._assign_to_kmeans(n_restarts))
        if how == "random":
            return self.maximize(self._scatter())
        if how == "k-means++":
            seeds = kmeans.plusplus(self.x, self.weight, self.n_clusters, self.generator)
        else:
            seeds = self._draw_rows()
        x = self.x[seeds]
        eye = torch.eye(self.n_clusters, dtype=x.dtype, device=x.device)
        kind = self.m_step.covariance_type
        stats = gaussian.sufficient_statistics(x, eye, self.about, kind)
        return self.m_step(stats, self.about)

    def maximize(self, resp: Responsibilities) -> Mixture:
        """Return the M-step over all rows of given responsibilities."""
        return maximize(self.rows, resp, self.about, self.m_step)

    def _assign_to_kmeans(self, n_restarts: int) -> Responsibilities:
        """Assign each row to its nearest k-means centre."""
        small = self.x.numel() < MIN_PARALLEL_ELEMENTS
        with single_threaded() if small else nullcontext():
            centres = kmeans.kmeans(
                self.x, self.weight, self.n_clusters, self.generator, n_restarts=n_restarts
            )
        eye = torch.eye(self.n_clusters, dtype=centres.dtype, device=centres.device)
        return lambda _, x: eye[kmeans.squared_distances(x, centres).min(0).indices]

    def _scatter(self) -> Responsibilities:
        """Pseudo-random responsibilities that are a function of the row: equal rows, equal ones.

        The fractional parts of large random projections, normalised.
        """
        draws = torch.randn(
            self.x.shape[1] + 1, self.n_clusters, generator=self.generator, dtype=torch.float64
        ).to(self.x)
        spread = float((self.x - self.about).abs().max())
        directions = draws[1:] * (1e4 / spread if spread > 0 else 1.0)

        def resp(_: slice, x: Tensor) -> Tensor:
            scattered = ((x - self.about) @ directions + draws[0]).remainder(1.0)
            return scattered / scattered.sum(1, keepdim=True)

        return resp

    def _draw_rows(self) -> Tensor:
        """Draw K rows by weight, without replacement while there are that many."""
        u = torch.rand(len(self.x), generator=self.generator, dtype=torch.float64).to(self.x)
        # The K smallest exponential variables of rates w_n: a weighted draw without replacement.
        index = (-u.log() / self.weight).argsort()
        return index[torch.arange(self.n_clusters, device=index.device) % len(index)]
