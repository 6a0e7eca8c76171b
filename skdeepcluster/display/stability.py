"""StabilityDisplay: how far each cluster can be trusted."""

from typing import Self

import numpy as np

from .axes import COLORS, draw_level, make_axes, name_estimator, take_last_step

#: Below it a cluster should not be trusted (C. Hennig, fpc's manual of ``clusterboot``).
DOUBTFUL = 0.6
#: Above it a cluster is highly stable (ibidem).
STABLE = 0.85
#: Most clusters for which the sizes are written.
MOST_WRITTEN = 20


class StabilityDisplay:
    """Bars of the stability of each cluster, between 0 and 1, with Hennig's two levels.

    Parameters
    ----------
    stability : array-like of shape (n_clusters,)
        Mean greatest Jaccard index of each cluster, as ``ClusterEnsemble.cluster_stability_``.
    sizes : array-like of shape (n_clusters,), default=None
        Rows of each cluster, written below the numbers of at most 20 clusters.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        One bar for each cluster, in the cluster's colour of the other displays.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    skdeepcluster.stability.cluster_stability : Computes what is drawn.

    References
    ----------
    C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data
    Analysis 52, 2007.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import ClusterEnsemble
    >>> from skdeepcluster.display import StabilityDisplay
    >>> X = load_iris().data
    >>> ensemble = ClusterEnsemble(KMeans(3), max_samples=0.5, random_state=0).fit(X)
    >>> len(StabilityDisplay.from_estimator(ensemble).bars_)
    3
    >>> plt.close("all")
    """

    def __init__(self, stability, *, sizes=None, name: str | None = None) -> None:
        self.stability = stability
        self.sizes = sizes
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name: str | None = None, ax=None, **kwargs) -> Self:
        """Draw the ``cluster_stability_`` of a fit, with the sizes of the clusters.

        Parameters
        ----------
        estimator : fitted ClusterEnsemble or NeighborClustering
            Or any other estimator with one of ``cluster_stability_`` and ``cluster_stability()``,
            and ``labels_``.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : StabilityDisplay
        """
        estimator = take_last_step(estimator)
        if hasattr(estimator, "cluster_stability"):
            stability = estimator.cluster_stability()
        elif hasattr(estimator, "cluster_stability_"):
            stability = estimator.cluster_stability_
        else:
            raise ValueError(
                f"{type(estimator).__name__} has no cluster_stability_; fit a ClusterEnsemble of "
                "it, with max_samples=0.5 for Hennig's reading, or pass numbers to "
                "StabilityDisplay(stability)."
            )
        labels = np.asarray(estimator.labels_)
        sizes = np.bincount(labels[labels >= 0], minlength=len(stability))
        name = name_estimator(estimator) if name is None else name
        return cls(stability, sizes=sizes, name=name).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name: str | None = None, **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        **kwargs : dict
            Passed to ``Axes.bar``.

        Returns
        -------
        display : StabilityDisplay
            The display itself.
        """
        stability = np.asarray(self.stability, dtype=float)
        if stability.ndim != 1 or not stability.size:
            raise ValueError(f"stability must have shape (n_clusters,), got {stability.shape}.")
        numbers = np.arange(len(stability))
        if self.sizes is not None and np.shape(self.sizes) != stability.shape:
            raise ValueError(
                f"sizes must have shape {stability.shape}, one for each cluster, "
                f"got {np.shape(self.sizes)}."
            )
        self.figure_, self.ax_ = make_axes(
            ax, (float(np.clip(0.45 * len(numbers), 3, 9)) + 2, 3.6)
        )
        colors = [COLORS[k % len(COLORS)] for k in numbers]
        self.bars_ = self.ax_.bar(numbers, stability, **{"color": colors, "width": 0.7, **kwargs})
        for level, label in ((DOUBTFUL, "no trust below"), (STABLE, "highly stable above")):
            draw_level(self.ax_, level, f"{level:g}\n{label}", "0.3")
        title = (self.name if name is None else name) or ""
        self.ax_.set(
            xlabel="cluster", ylabel="stability (mean Jaccard index)", ylim=(0, 1.04), title=title
        )
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        if len(numbers) <= MOST_WRITTEN:
            self.ax_.set_xticks(numbers)
        if len(numbers) <= MOST_WRITTEN and self.sizes is not None:
            sizes = zip(numbers, self.sizes, strict=True)
            self.ax_.set_xticks(numbers, [f"{k}\n{size:,}" for k, size in sizes])
            self.ax_.set_xlabel("cluster, number of rows")
        return self
