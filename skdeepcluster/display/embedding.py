"""EmbeddingDisplay: samples in the plane, colored by cluster."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from .._labels import predict_samples
from ..neighbors import neighbor_graph, neighbor_layout
from .base import NOISE, Display, choose_colors, draw_legend, group_rows, take_last_step

#: Projections of more than two columns.
METHODS = "auto", "pca", "neighbors"
#: Properties of axes with one scale.
EQUAL = {"aspect": "equal", "adjustable": "datalim"}
#: Maximum number of samples for which "auto" computes a neighbor layout.
MAX_LAYOUT = 5000
#: Maximum number of labels that are written next to their points.
MAX_NUMBERED = 50
#: Directions from a cluster to its label, and the distance as a share of the larger axis.
SIDES = np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4])
LABEL_GAP = 0.04


@dataclass(eq=False, repr=False)
class EmbeddingDisplay(Display):
    """Scatter plot of an embedding, colored by cluster.

    Parameters
    ----------
    embedding : {array-like, sparse matrix} of shape (n_samples, n_components)
        Two columns are drawn as they are, a single one is spread out vertically, and more columns
        are projected.
    labels : array-like of shape (n_samples,), default=None
        Clusters or classes, numbers or strings.
    method : {"auto", "pca", "neighbors"}, default="auto"
        Projection of more than two columns. ``"neighbors"`` is a
        :func:`~skdeepcluster.neighbors.neighbor_layout`, in which distances between clusters mean
        little. ``"auto"`` takes it for up to 5,000 samples, and PCA for more.
    metric : str or callable, default="euclidean"
        Metric of :func:`~skdeepcluster.neighbors.neighbor_graph`.
    random_state : int, RandomState instance or None, default=0
        Random state of the projection.
    name : str, default=None

    Attributes
    ----------
    points_ : ndarray of shape (n_samples, 2)
        Points that are drawn.
    projection_ : PCA or None
        The fitted projection by PCA.
    scatter_ : list of matplotlib PathCollection
        The points, one collection per marker.
    legend_ : matplotlib Legend or None

    See Also
    --------
    MixtureDisplay : The same with the components of a mixture.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.display import EmbeddingDisplay
    >>> X, y = make_blobs(100, n_features=5, random_state=0)
    >>> EmbeddingDisplay(X, y).plot().ax_.get_xlabel()
    'neighbor layout 1'
    """

    embedding: Any
    labels: ArrayLike | None = None
    _: KW_ONLY
    method: str = "auto"
    metric: Any = "euclidean"
    random_state: Any = 0

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        labels=None,
        method: str = "auto",
        name=None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw ``transform(X)`` of a fitted estimator, or X, colored by its clusters or `labels`.

        A NeighborClustering, whose ``transform`` is a layout, gets a two-dimensional one of X.
        """
        _, name = take_last_step(estimator, name)
        embedding = estimator.transform(X) if hasattr(estimator, "transform") else X
        labels = predict_samples(estimator, X) if labels is None else labels
        display = cls(embedding, labels, method=method, name=name)
        if display._choose_method(len(labels)) == "neighbors":
            display.embedding, display.metric = find_samples(estimator, X, embedding)
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.scatter``, which takes ``kwargs``, with at most 50 labels written."""
        self.points_, axes = self._project()
        names, index = group_rows(self.labels, len(self.points_))
        if self.points_.shape[1] == 1:  # a jittered strip for each label
            heights = (
                np.random.RandomState(0).uniform(-0.3, 0.3, size=len(index)) - index
            )
            self.points_ = np.column_stack([self.points_, heights])
            axes |= {"ylabel": "spread at random", "yticks": []}
        self._open(ax, (6.4, 4.8)).set(**axes, xmargin=0.08, ymargin=0.08)
        looks = choose_colors(names)
        self._scatter(looks, index, kwargs)
        self.legend_ = None
        if self.labels is not None:
            for k, (group, color, marker) in enumerate(zip(names, *looks, strict=True)):
                text = "noise" if color == NOISE else str(group)
                self.ax_.plot([], [], ls="", marker=marker, color=color, label=text)
                if len(names) <= MAX_NUMBERED and color != NOISE:
                    self._write_label(text, index == k)
            self.legend_ = draw_legend(self.ax_)
        return self

    def _scatter(self, looks, index, kwargs):
        """Draw the points in a random order, so that no cluster lies on top of the others."""
        size = float(np.clip(14000 / len(index), 2, 30))
        style = {"s": size, "alpha": 0.85, "linewidths": 0.3, "rasterized": True}
        order = np.random.RandomState(0).permutation(len(index))
        colors, markers = (np.array(look)[index] for look in looks)
        self.scatter_ = []
        for marker in dict.fromkeys(markers):
            some = order[markers[order] == marker]
            look = {"marker": marker, "color": colors[some], **style, **kwargs}
            self.scatter_.append(self.ax_.scatter(*self.points_[some].T, **look))

    def _project(self):
        """Return the points in two columns, or in one, and properties of the axes."""
        embedding = check_array(
            self.embedding, accept_sparse=True, input_name="embedding"
        )
        n_samples, n_columns = embedding.shape
        method, self.projection_ = self._choose_method(n_samples), None
        if n_columns < 3:
            columns = getattr(
                self.embedding, "columns", [f"column {k}" for k in range(n_columns)]
            )
            points = embedding.toarray() if issparse(embedding) else embedding
            return points, dict(
                zip(("xlabel", "ylabel"), map(str, columns), strict=False)
            )
        if method == "neighbors":
            graph = neighbor_graph(embedding, metric=self.metric)
            axes = {"xlabel": "neighbor layout 1", "ylabel": "neighbor layout 2"}
            axes |= EQUAL | {"xticks": [], "yticks": []}  # a layout has no unit
            return neighbor_layout(graph, 2, random_state=self.random_state), axes
        self.projection_ = PCA(min(2, n_samples), random_state=self.random_state)
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # equal samples have no variance
            points = self.projection_.fit_transform(embedding)
        axes = EQUAL.copy()
        shares = np.nan_to_num(self.projection_.explained_variance_ratio_)
        for label, k, share in zip(("xlabel", "ylabel"), (1, 2), shares, strict=False):
            axes[label] = f"component {k} ({share:.0%} of the variance)"
        return points, axes

    def _choose_method(self, n_samples):
        """Return the projection that "auto" stands for, or the given one."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}.")
        if self.method != "auto":
            return self.method
        return "neighbors" if n_samples <= MAX_LAYOUT else "pca"

    def _write_label(self, text, members):
        """Write a label beside its points, on that side of them where fewest points are."""
        points = self.points_ - np.median(self.points_[members], axis=0)
        gaps = LABEL_GAP * (np.ptp(points, axis=0).max() or 1.0) * SIDES
        inner = np.flatnonzero(members)[np.abs(points[members]).sum(1).argsort()]
        inner = inner[: -(-9 * len(inner) // 10)]  # without outliers
        edges = inner[
            (points[inner] @ SIDES.T).argmax(0)
        ]  # the outermost sample on each side
        away = np.abs(points[:, None] - points[edges] - gaps).max(2)
        side = int((away < np.abs(gaps).max()).sum(0).argmin())
        across, up = np.sign(SIDES[side].round(9)).astype(int)
        style = {
            "ha": ("center", "left", "right")[across],
            "va": ("center", "bottom", "top")[up],
        }
        style["bbox"] = {
            "boxstyle": "round,pad=0.1",
            "fc": "white",
            "ec": "none",
            "alpha": 0.6,
        }
        style |= {
            "xytext": 5 * SIDES[side],
            "textcoords": "offset points",
            "weight": "bold",
        }
        self.ax_.annotate(text, self.points_[edges[side]], **style)


def find_samples(estimator, X, codes):
    """Return what a NeighborClustering or its Pipeline lays out, else codes, and the metric."""
    while isinstance(estimator, Pipeline):
        X, estimator = (
            estimator[:-1].transform(X) if len(estimator) > 1 else X,
            estimator[-1],
        )
    if not hasattr(estimator, "layout_"):
        return codes, "euclidean"
    return estimator._scale_rows(X), estimator.metric
