"""DendrogramDisplay: the tree of merges of an agglomerative clustering."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage

from .base import COLORS, Display, check_has, check_shape, draw_legend, take_last_step

#: Color of the merges above the cut, and of the cut itself.
ABOVE = "0.45"
#: Colors of the displays for those of scipy.
PALETTE = {f"C{k}": color for k, color in enumerate(COLORS, start=1)}


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
    skdeepcluster.NeighborClustering.cut : Labels at one height of the tree.

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
        cls, estimator, *, n_clusters: int | None = None, name=None, ax=None, **kwargs
    ) -> Self:
        """Draw the ``children_`` and ``distances_`` of a fitted clusterer.

        The default of `n_clusters` is its ``n_clusters_``.
        """
        estimator, name = take_last_step(estimator, name)
        remedy = "Fit NeighborClustering, or AgglomerativeClustering with compute_distances=True."
        check_has(estimator, "children_", "distances_", remedy=remedy)
        n_leaves, counts = len(estimator.children_) + 1, None
        if hasattr(estimator, "leaves_"):  # -1 for noise
            counts = np.bincount(
                np.asarray(estimator.leaves_) + 1, minlength=n_leaves + 1
            )[1:]
        if n_clusters is None and hasattr(estimator, "n_clusters_"):
            n_clusters = min(estimator.n_clusters_, n_leaves)  # clusters may be empty
        tree = estimator.children_, estimator.distances_, counts
        return cls(*tree, n_clusters=n_clusters, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, max_leaves: int = 40, **kwargs) -> Self:
        """Draw by ``scipy.cluster.hierarchy.dendrogram``, which takes ``kwargs``.

        At most `max_leaves` groups, or ``n_clusters`` if there are more, are at the bottom.
        """
        self.linkage_, totals = self._build_linkage()
        n_leaves, n_clusters = len(totals) // 2 + 1, self.n_clusters
        if n_clusters is not None and not 1 <= n_clusters <= n_leaves:
            raise ValueError(
                f"n_clusters={n_clusters} must be from 1 to the {n_leaves} leaves."
            )
        heights = np.r_[0, self.linkage_[:, 2], 1.1 * self.linkage_[-1, 2]]
        # Halfway between the last merge below the cut and the first one above it.
        cut = heights[n_leaves - (n_clusters or 1) :][:2].mean()
        shown = min(n_leaves, max(max_leaves, n_clusters or 2, 2))
        ax = self._open(ax, (float(np.clip(0.2 * shown, 4.5, 9)), 3.8))
        style = {
            "truncate_mode": "lastp",
            "p": shown,
            "leaf_rotation": 90 if shown > 10 else 0,
        }
        style |= {"color_threshold": cut, "above_threshold_color": ABOVE}
        style |= {"leaf_label_func": lambda node: f"{totals[node]:,}", **kwargs}
        first = len(ax.collections)
        self.tree_ = dendrogram(self.linkage_, ax=ax, **style)
        found = dict.fromkeys(self.tree_["color_list"])
        found.pop(style["above_threshold_color"], None)
        for lines, color in zip(ax.collections[first:], found, strict=False):
            lines.set_color(PALETTE.get(color, color))
        self.cut_ = None if n_clusters is None else float(cut)
        if n_clusters is not None:
            label = f"{n_clusters} cluster" + "s" * (n_clusters > 1)
            ax.axhline(cut, color=ABOVE, ls="--", lw=1, label=label)
            draw_legend(ax)
        ax.set(xlabel="number of samples in each group", ylabel="distance")
        ax.set_ylim(bottom=0)
        return self

    def _build_linkage(self):
        """Return the linkage matrix, and the number of samples in each node."""
        children = check_shape("children", self.children, "n_leaves - 1", 2)
        n_leaves = len(children) + 1
        heights = check_shape("distances", self.distances, n_leaves - 1, dtype=float)
        linkage = np.column_stack([children, heights, np.ones(n_leaves - 1)])
        is_valid_linkage(linkage, throw=True, name="children and distances")
        totals = np.ones((2 * n_leaves - 1, 2), dtype=int)  # samples, leaves
        if self.counts is not None:
            totals[:n_leaves, 0] = check_shape("counts", self.counts, n_leaves)
        for node, pair in enumerate(children, start=n_leaves):
            totals[node] = totals[pair].sum(0)
        linkage[:, 3] = totals[n_leaves:, 1]
        return linkage, totals[:, 0]
