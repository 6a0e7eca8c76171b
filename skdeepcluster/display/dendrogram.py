"""DendrogramDisplay: the order in which groups of rows were merged."""

from typing import Self

import numpy as np
from scipy.cluster.hierarchy import dendrogram

from .axes import COLORS, draw_level, make_axes, name_estimator, take_last_step

#: Colour of the merges above the cut, and of the cut itself.
ABOVE = "0.45"


class DendrogramDisplay:
    """Tree of merges: leaves below, each merge at its height; a cut gives clusters.

    Parameters
    ----------
    children : array-like of shape (n_leaves - 1, 2)
        The two nodes that each merge joins, as ``AgglomerativeClustering.children_``: numbers
        below n_leaves are leaves, n_leaves + i is the result of merge i.
    distances : array-like of shape (n_leaves - 1,)
        Heights of the merges, finite and at least 0.
    counts : array-like of shape (n_leaves,), default=None
        Rows at each leaf, written below it; None: one row each.
    n_clusters : int, default=None
        Number of clusters, between 1 and n_leaves: the cut that undoes the last
        ``n_clusters - 1`` merges is drawn, and the clusters coloured below it.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    linkage_ : ndarray of shape (n_leaves - 1, 4)
        scipy's linkage matrix; the last column counts leaves.
    tree_ : dict
        What ``scipy.cluster.hierarchy.dendrogram`` returns.
    cut_ : float or None
        Height of the cut.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    skdeepcluster.NeighborClustering.cut : Labels at one height of the tree.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeepcluster.display import DendrogramDisplay
    >>> display = DendrogramDisplay([[0, 1], [2, 3]], [1.0, 3.0], [5, 4, 2], n_clusters=2).plot()
    >>> display.cut_
    2.0
    >>> plt.close("all")
    """

    def __init__(
        self,
        children,
        distances,
        counts=None,
        *,
        n_clusters: int | None = None,
        name: str | None = None,
    ) -> None:
        self.children = children
        self.distances = distances
        self.counts = counts
        self.n_clusters = n_clusters
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        n_clusters: int | None = None,
        name: str | None = None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw the merges of a fitted clusterer.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``children_`` and ``distances_``, and ``leaves_``, the leaf of each row, unless
            each row is a leaf (as in AgglomerativeClustering with ``compute_distances=True``).
        n_clusters : int, default=None
            The estimator's ``n_clusters_`` if None, or all leaves if there are fewer.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : DendrogramDisplay
        """
        estimator = take_last_step(estimator)
        missing = [key for key in ("children_", "distances_") if not hasattr(estimator, key)]
        if missing:
            raise ValueError(
                f"{type(estimator).__name__} has no {' and no '.join(missing)}; fit a clusterer "
                "that merges groups, such as NeighborClustering, or AgglomerativeClustering with "
                "compute_distances=True."
            )
        counts = None
        if hasattr(estimator, "leaves_"):
            leaves = np.asarray(estimator.leaves_)
            counts = np.bincount(leaves[leaves >= 0], minlength=len(estimator.children_) + 1)
        if n_clusters is None:
            n_clusters = getattr(estimator, "n_clusters_", None)
            if n_clusters is not None:  # some of which may have no rows, and no leaf
                n_clusters = min(n_clusters, len(estimator.children_) + 1)
        display = cls(
            estimator.children_,
            estimator.distances_,
            counts,
            n_clusters=n_clusters,
            name=name_estimator(estimator) if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name: str | None = None, max_leaves: int = 40, **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        max_leaves : int, default=40
            Of more leaves the first merges are not drawn, such that so many groups are left below
            (at least ``n_clusters``).
        **kwargs : dict
            Passed to ``scipy.cluster.hierarchy.dendrogram``, but for its ``orientation``: the
            tree hangs from the top.

        Returns
        -------
        display : DendrogramDisplay
            The display itself.
        """
        if kwargs.get("orientation", "top") != "top":
            raise ValueError(
                f"orientation={kwargs['orientation']!r} is not drawn: cut and axes are those of "
                "'top'. Leave it out."
            )
        self.linkage_, totals = self._build_linkage()
        n_leaves = len(self.linkage_) + 1
        n_clusters = self._check_n_clusters(n_leaves)
        shown = min(n_leaves, max(max_leaves, n_clusters or 2, 2))
        colors = self._color_nodes(n_clusters or 1, shown)
        self.figure_, self.ax_ = make_axes(ax, (float(np.clip(0.2 * shown, 4.5, 9)), 3.8))
        style = {
            "truncate_mode": "lastp",
            "p": shown,
            "leaf_label_func": lambda node: f"{totals[node]:,}",
            "link_color_func": lambda node: colors[node],
            "leaf_rotation": 90 if shown > 10 else 0,
            **kwargs,
        }
        self.tree_ = dendrogram(self.linkage_, ax=self.ax_, **style)
        self.cut_ = None
        if n_clusters is not None:
            self.cut_ = self._find_cut(n_clusters)
            text = "1 cluster" if n_clusters == 1 else f"{n_clusters} clusters"
            draw_level(self.ax_, self.cut_, text, ABOVE)
        self.ax_.set_ylim(bottom=0)
        title = (self.name if name is None else name) or ""
        self.ax_.set(xlabel="rows of each group", ylabel="distance", title=title)
        return self

    def _build_linkage(self):
        """Return the linkage matrix, and the rows of each node."""
        children, distances = np.asarray(self.children), np.asarray(self.distances, dtype=float)
        if children.ndim != 2 or children.shape[1] != 2 or not len(children):
            raise ValueError(
                f"children must have shape (n_leaves - 1, 2), with two leaves at least, "
                f"got {children.shape}."
            )
        n_leaves = len(children) + 1
        if distances.shape != (n_leaves - 1,):
            raise ValueError(
                f"distances must have shape ({n_leaves - 1},), one for each merge, "
                f"got {distances.shape}."
            )
        if not (np.isfinite(distances) & (distances >= 0)).all():
            raise ValueError("distances must be finite and at least 0.")
        if (np.sort(children, None) != np.arange(2 * n_leaves - 2)).any() or (
            children >= n_leaves + np.arange(n_leaves - 1)[:, None]
        ).any():
            raise ValueError(
                "children is no tree: every node but the last must be joined once, after it is "
                "made."
            )
        counts = np.ones(n_leaves, dtype=int) if self.counts is None else np.asarray(self.counts)
        if counts.shape != (n_leaves,):
            raise ValueError(
                f"counts must have shape ({n_leaves},), one for each leaf, got {counts.shape}."
            )
        totals = _add_up(children, counts)
        sizes = _add_up(children, np.ones(n_leaves, dtype=int))[n_leaves:]
        return np.column_stack([children, distances, sizes]).astype(float), totals

    def _check_n_clusters(self, n_leaves):
        """Return the number of clusters to cut into, or None."""
        if self.n_clusters is not None and not 1 <= self.n_clusters <= n_leaves:
            raise ValueError(
                f"n_clusters={self.n_clusters} must be between 1 and the number of leaves, "
                f"{n_leaves}."
            )
        return self.n_clusters

    def _color_nodes(self, n_clusters, shown):
        """Return the colour of each node: its cluster's below the cut, else that of no cluster."""
        children = self.linkage_[:, :2].astype(int)
        n_leaves, n_nodes = len(children) + 1, 2 * len(children) + 1
        parents = np.full(n_nodes, n_nodes)
        parents[children] = n_leaves + np.arange(len(children))[:, None]
        # Clusters are numbered from left to right, so that neighbours have different colours.
        clusters = {}
        for node in dendrogram(self.linkage_, shown, "lastp", no_plot=True)["leaves"]:
            while parents[node] <= n_nodes - n_clusters:  # the last n_clusters - 1 are undone
                node = parents[node]
            clusters.setdefault(node, len(clusters))
        colors = [ABOVE] * n_nodes
        for node in range(n_nodes - 1, -1, -1):
            if node in clusters:
                colors[node] = COLORS[clusters[node] % len(COLORS)]
            elif node < n_nodes - 1:
                colors[node] = colors[parents[node]]
        return colors

    def _find_cut(self, n_clusters):
        """Return the height midway between the merges that are undone and the others."""
        below = self.linkage_[: len(self.linkage_) + 1 - n_clusters, 2].max(initial=0)
        undone = self.linkage_[len(self.linkage_) + 1 - n_clusters :, 2]
        above = undone.min() if len(undone) else 1.1 * below
        return float((below + above) / 2)


def _add_up(children, counts):
    """Return the total of each node of a tree, from those of its leaves."""
    totals = np.concatenate([counts, np.zeros(len(children), dtype=counts.dtype)])
    for node, pair in enumerate(children, start=len(counts)):
        totals[node] = totals[pair].sum()
    return totals
