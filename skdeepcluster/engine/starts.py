"""Where EM starts: a mixture made from a few thousand different rows, or from responsibilities."""

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from ..functional import kmeans, moments
from ..functional.gaussian import Mixture
from .em import MStep, Responsibilities, WeightedRows, weighted_sums
from .threads import one_thread_to_an_operation

#: k-means and its relatives start from at most this many different rows.
START_ROWS = 25_000
#: Fewer numbers than these are not worth spreading over threads.
SMALL_NUMBERS = 2**20


def distinct(rows: WeightedRows, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return different rows in an order of their own, and the weight of each.

    The answer depends on the weighted set of rows only: not on their order, nor on whether a row
    is heavy or repeated, nor on rows of weight zero. Rows are sorted by their projection on a
    random direction, and equal ones are merged. Of more than ``START_ROWS`` different rows a
    systematic draw along that order is returned, in proportion to weight.
    """
    draws = torch.randn(rows.X.shape[1] + 1, generator=generator, dtype=torch.float64)
    direction, offset = draws[1:].to(rows.device), float(draws[0].sigmoid())
    # A sum per row, not a matrix product: it rounds equal rows alike wherever they stand.
    place = rows.map(lambda x: (x * direction).sum(1))
    order = np.flatnonzero(rows.weight > 0)
    order = order[np.argsort(place[order], kind="stable")]
    first = np.flatnonzero(np.diff(place[order], prepend=-np.inf))
    index, weight = order[first], np.add.reduceat(rows.weight[order], first)
    if len(index) > START_ROWS:
        cumulative = np.cumsum(weight)
        at = (np.arange(START_ROWS) + offset) / START_ROWS * cumulative[-1]
        drawn, count = np.unique(
            np.searchsorted(cumulative, at, side="right").clip(max=len(index) - 1),
            return_counts=True,
        )
        index, weight = index[drawn], count.astype(np.float64)
    return rows.take(index), torch.tensor(weight, device=rows.device)


class Starts:
    """Mixtures to start EM from, all from one draw of different rows.

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
        self.x, self.weight = distinct(rows, generator)
        self.about = self.weight @ self.x / self.weight.sum()

    def mixture(self, how: str, n_restarts: int) -> Mixture:
        """Return the M-step of responsibilities found as ``how`` says.

        Parameters
        ----------
        how : {"kmeans", "k-means++", "random", "random_from_data"}
        n_restarts : int
            Of k-means.

        Returns
        -------
        Mixture
        """
        if how == "kmeans":
            return self.maximised(self._nearest(n_restarts))
        if how == "random":
            return self.maximised(self._scattered())
        if how == "k-means++":
            seeds = kmeans.plusplus(self.x, self.weight, self.n_clusters, self.generator)
        else:
            seeds = self._any_rows()
        x = self.x[seeds]
        eye = torch.eye(self.n_clusters, dtype=x.dtype, device=x.device)
        stats = moments.moments(x, eye, self.about, self.m_step.covariance_type)
        return self.m_step(stats, self.about)

    def maximised(self, resp: Responsibilities) -> Mixture:
        """Return the M-step over all rows of given responsibilities."""
        stats = weighted_sums(self.rows, resp, self.about, self.m_step.covariance_type)
        return self.m_step(stats, self.about)

    def _nearest(self, n_restarts: int) -> Responsibilities:
        """Give each row wholly to its k-means centre."""
        small = self.x.numel() < SMALL_NUMBERS
        with one_thread_to_an_operation() if small else nullcontext():
            centres = kmeans.kmeans(
                self.x, self.weight, self.n_clusters, self.generator, n_restarts=n_restarts
            )
        eye = torch.eye(self.n_clusters, dtype=centres.dtype, device=centres.device)
        return lambda _, x: eye[kmeans.squared_distances(x, centres).min(0).indices]

    def _scattered(self) -> Responsibilities:
        """Numbers in [0, 1) that scatter like random ones but are a function of the row."""
        draws = torch.randn(
            self.x.shape[1] + 1, self.n_clusters, generator=self.generator, dtype=torch.float64
        ).to(self.x)
        spread = float((self.x - self.about).abs().max())
        directions = draws[1:] * (1e4 / spread if spread > 0 else 1.0)

        def resp(_: slice, x: Tensor) -> Tensor:
            scattered = ((x - self.about) @ directions + draws[0]).remainder(1.0)
            return scattered / scattered.sum(1, keepdim=True)

        return resp

    def _any_rows(self) -> Tensor:
        """Rows drawn by weight, none twice while there are others."""
        u = torch.rand(len(self.x), generator=self.generator, dtype=torch.float64).to(self.x)
        # The K smallest of exponential waiting times are a weighted draw without replacement.
        index = (-u.log() / self.weight).argsort()
        return index[torch.arange(self.n_clusters, device=index.device) % len(index)]
