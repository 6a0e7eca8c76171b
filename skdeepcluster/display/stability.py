"""StabilityDisplay: the stability of each cluster."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .base import COLORS, Display, check_has, check_shape, draw_legend, take_last_step

#: Stability below which a cluster is doubtful (C. Hennig, clusterboot in the R package fpc).
DOUBTFUL = 0.6
#: Stability above which a cluster is stable (same source).
STABLE = 0.85


@dataclass(eq=False, repr=False)
class StabilityDisplay(Display):
    """Bars of the stability of each cluster, with two levels for reading them.

    Parameters
    ----------
    stability : array-like of shape (n_clusters,)
        Stability of each cluster between 0 and 1.
    name : str, default=None

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        One bar for each cluster.

    See Also
    --------
    skdeepcluster.stability.cluster_stability : Stability of any clusterer.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import ClusterEnsemble
    >>> from skdeepcluster.display import StabilityDisplay
    >>> X = load_iris().data
    >>> ensemble = ClusterEnsemble(KMeans(3), random_state=0).fit(X)
    >>> len(StabilityDisplay.from_estimator(ensemble).bars_)
    3
    """

    stability: ArrayLike

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the stability of the clusters of a fitted estimator."""
        estimator, name = take_last_step(estimator, name)
        if hasattr(estimator, "cluster_stability"):
            return cls(estimator.cluster_stability(), name=name).plot(ax, **kwargs)
        remedy = "Draw StabilityDisplay(cluster_stability(estimator, X))."
        check_has(estimator, "cluster_stability_", remedy=remedy)
        return cls(estimator.cluster_stability_, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.bar``, which takes ``kwargs``."""
        stability = check_shape("stability", self.stability, "n_clusters", dtype=float)
        numbers = np.arange(len(stability))
        ax = self._open(ax, (float(np.clip(0.45 * len(numbers), 3, 9)) + 2, 3.6))
        colors = [COLORS[k % len(COLORS)] for k in numbers]
        self.bars_ = ax.bar(
            numbers, stability, **{"color": colors, "width": 0.7, **kwargs}
        )
        for level, ls, text in (
            (STABLE, "--", "stable above"),
            (DOUBTFUL, ":", "doubtful below"),
        ):
            ax.axhline(level, color="0.3", ls=ls, lw=1, label=f"{text} {level}")
        draw_legend(ax)
        ax.set(
            xlabel="cluster", ylabel="stability (mean Jaccard index)", ylim=(0, 1.04)
        )
        ax.xaxis.get_major_locator().set_params(integer=True)
        return self
