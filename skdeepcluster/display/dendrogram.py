"""DendrogramDisplay: the tree of merges of an agglomerative clustering."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage
from sklearn.utils.validation import check_is_fitted

from ..neighbor_clustering import NeighborClustering
from .base import Display, draw_legend, take_last_step

#: Color of the merges above the cut, and of the cut itself.
ABOVE = "0.45"


@dataclass(eq=False, repr=False)
class DendrogramDisplay(Display):
    """Tree of merges with a cut into clusters, drawn by scipy.

    Parameters
    ----------
    children : array-like of shape (n_leaves - 1, 2)
        Nodes that each merge joins, as ``AgglomerativeClustering.children_``.
    distances : array-like of shape (n_leaves - 1,)
        Heights of the merges.
    counts : array-like of shape (n_leaves,), default=None
        Number of samples at each leaf; None means 1.
    n_clusters : int, default=None
        Number of clusters below the cut; None draws no cut.
    name : str, default=None

    Attributes
    ----------
    linkage_ : ndarray of shape (n_leaves - 1, 4)
        scipy's linkage matrix; the last column counts leaves.
    tree_ : dict
        Result of ``scipy.cluster.hierarchy.dendrogram``.
    cut_ : float or None
        Height of the cut.

    See Also
    --------
    skdeepcluster.NeighborClustering : Its ``tree_`` also has labels at one height.

    Examples
    --------
    >>> from skdeepcluster.display import DendrogramDisplay
    >>> display = DendrogramDisplay([[0, 1], [2, 3]], [1.0, 3.0], [5, 4, 2], n_clusters=2).plot()
    >>> display.cut_
    2.0
    """

    children: ArrayLike
    distances: ArrayLike
    counts: ArrayLike | None = None
    _: KW_ONLY
    n_clusters: int | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        n_clusters: int | None = None,
        name=None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw the ``children_`` and ``distances_`` of a fitted clusterer.

        The default of `n_clusters` is its ``n_clusters_``.
        """
        estimator, name = take_last_step(estimator, name)
        if isinstance(estimator, NeighborClustering):
            children, distances, _, leaves, _ = estimator.tree_
        else:
            message = (
                "%(name)s has no children_ and distances_. Fit AgglomerativeClustering with "
                "compute_distances=True."
            )
            check_is_fitted(estimator, ("children_", "distances_"), msg=message)
            children = estimator.children_
            distances = estimator.distances_
            leaves = np.arange(len(children) + 1)
        n_leaves = len(children) + 1
        if n_clusters is None:
            # Some clusters may be empty.
            n_clusters = min(estimator.n_clusters_, n_leaves)
        display = cls(
            children,
            distances,
            np.bincount(leaves, minlength=n_leaves),
            n_clusters=n_clusters,
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, max_leaves: int = 40, **kwargs) -> Self:
        """Draw by ``scipy.cluster.hierarchy.dendrogram``, which takes ``kwargs``.

        At most `max_leaves` groups, or ``n_clusters`` if there are more, are at the bottom.
        """
        self.linkage_, n_samples = self._build_linkage()
        n_leaves = len(self.linkage_) + 1
        n_clusters = self.n_clusters or 1
        cut = self._find_cut(n_clusters)

        shown = min(n_leaves, max(max_leaves, n_clusters, 2))
        ax = self._open(ax, (np.clip(0.2 * shown, 4.5, 9), 3.8))
        style = {
            "truncate_mode": "lastp",
            "p": shown,
            "leaf_rotation": 90 if shown > 10 else 0,
            "leaf_label_func": lambda node: f"{n_samples[node]:,}",
            "color_threshold": cut,
            "above_threshold_color": ABOVE,
            **kwargs,
        }
        self.tree_ = dendrogram(self.linkage_, ax=ax, **style)

        self.cut_ = None
        if self.n_clusters is not None:
            self.cut_ = cut
            label = f"{n_clusters} cluster" + "s" * (n_clusters > 1)
            ax.axhline(cut, color=ABOVE, ls="--", lw=1, label=label)
            draw_legend(ax)

        ax.set(xlabel="number of samples in each group", ylabel="distance")
        ax.set_ylim(bottom=0)
        return self

    def _build_linkage(self):
        """Return the linkage matrix, and the number of samples in each node."""
        n_leaves = len(self.children) + 1
        ones = np.ones(n_leaves, dtype=int)
        linkage = np.column_stack([self.children, self.distances, ones[1:]])
        is_valid_linkage(linkage, throw=True, name="children and distances")

        linkage[:, 3] = self._add_up(ones)[n_leaves:]
        counts = ones if self.counts is None else self.counts
        return linkage, self._add_up(counts)

    def _add_up(self, counts):
        """Return the counts of all nodes from the counts of the leaves."""
        counts = list(counts)
        for left, right in self.children:
            counts.append(counts[left] + counts[right])
        return counts

    def _find_cut(self, n_clusters):
        """Return the height halfway between the last merge below the cut and the next one."""
        merges = self.linkage_[:, 2]
        n_leaves = len(merges) + 1
        if not 1 <= n_clusters <= n_leaves:
            raise ValueError(
                f"n_clusters={n_clusters} must be from 1 to the {n_leaves} leaves."
            )

        heights = [0, *merges, 1.1 * merges[-1]]
        return float(np.mean(heights[n_leaves - n_clusters :][:2]))
