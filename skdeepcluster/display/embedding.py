"""EmbeddingDisplay: samples in the plane."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_array

from ..input.labels import predict_samples
from ..neighbor_clustering import NeighborClustering
from ..neighbors import neighbor_graph, neighbor_layout
from .base import (
    NOISE,
    Display,
    draw_legend,
    group_samples,
    name_features,
    reach_last_step,
    take_last_step,
    to_array,
    transform_samples,
)
from .places import place_names

#: Projections.
METHODS = "auto", "pca", "neighbors"
#: Properties of axes with one scale.
EQUAL = {"aspect": "equal", "adjustable": "datalim"}
#: Maximum number of samples for which "auto" computes a neighbor layout.
MAX_LAYOUT = 5000
#: Maximum number of labels that are written next to their points.
MAX_NUMBERED = 50
#: Height of a written label, in points.
LABEL_HEIGHT = 14


@dataclass(eq=False, repr=False)
class EmbeddingDisplay(Display):
    """Scatter plot of an embedding, colored by cluster.

    Parameters
    ----------
    embedding : {array-like, sparse matrix} of shape (n_samples, n_components)
        Two columns are drawn as they are; any other number is projected.
    labels : array-like of shape (n_samples,), default=None
        Clusters or classes, numbers or strings.
    method : {"auto", "pca", "neighbors"}, default="auto"
        Projection of other numbers of columns. ``"neighbors"`` is a
        :func:`~skdeepcluster.neighbors.neighbor_layout`, where distances between clusters mean
        little. ``"auto"`` takes it for up to 5,000 samples, and PCA for more.
    metric : str or callable, default="euclidean"
        Metric of :func:`~skdeepcluster.neighbors.neighbor_graph`.
    name : str, default=None

    Attributes
    ----------
    points_ : ndarray of shape (n_samples, 2)
        Points that are drawn.
    scatter_ : list of matplotlib PathCollection
        The points, one collection per marker.
    legend_ : matplotlib Legend or None

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

        For a NeighborClustering, a two-dimensional layout of X replaces ``transform(X)``.
        """
        _, name = take_last_step(estimator, name)
        last, X = reach_last_step(estimator, X)
        if labels is None:
            labels = predict_samples(last, X)

        display = cls(transform_samples(last, X), labels, method=method, name=name)
        is_layout = display._choose_method(len(labels)) == "neighbors"
        if is_layout and isinstance(last, NeighborClustering):
            display.embedding = last._read(X)
            display.metric = last.metric
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.scatter``, which takes ``kwargs``, with at most 50 labels written."""
        points, axes = self._project()
        names, index, colors, markers = group_samples(points, self.labels)

        self.points_ = points
        ax = self._open(ax, (6.4, 4.8))
        ax.set(**axes, xmargin=0.08, ymargin=0.08)

        self._scatter(np.array(colors)[index], np.array(markers)[index], kwargs)
        self.legend_ = None
        if self.labels is None:
            return self

        is_noise = np.array([color == NOISE for color in colors])
        texts = np.where(is_noise, "noise", names.astype(str))
        for text, color, marker in zip(texts, colors, markers, strict=True):
            ax.plot([], [], ls="", marker=marker, color=color, label=text)
        self.legend_ = draw_legend(ax)
        if len(names) <= MAX_NUMBERED:
            self._write_names(texts, np.where(is_noise[index], -1, index))
        return self

    def _scatter(self, colors, markers, kwargs):
        """Draw the points in a random order, so that no cluster lies on top of the others."""
        style = {
            "s": np.clip(14000 / len(colors), 2, 30),
            "alpha": 0.85,
            "linewidths": 0.3,
            "rasterized": True,
        }

        order = np.random.RandomState(0).permutation(len(colors))
        self.scatter_ = []
        for marker in dict.fromkeys(markers):
            some = order[markers[order] == marker]
            look = {"marker": marker, "color": colors[some], **style, **kwargs}
            self.scatter_.append(self.ax_.scatter(*self.points_[some].T, **look))

    def _project(self):
        """Return the points (N, 2) and properties of the axes."""
        embedding = check_array(
            self.embedding, accept_sparse=True, input_name="embedding"
        )
        method = self._choose_method(embedding.shape[0])
        if embedding.shape[1] == 2:
            points = to_array(embedding)
            names = name_features(2, X=self.embedding) or ["column 0", "column 1"]
            axes = {}
        elif method == "neighbors":
            graph = neighbor_graph(embedding, metric=self.metric)
            points = neighbor_layout(graph, 2, random_state=0)
            names = "neighbor layout 1", "neighbor layout 2"
            # A layout has no unit.
            axes = EQUAL | {"xticks": [], "yticks": []}
        else:
            pca = PCA(2, random_state=0)
            points = pca.fit_transform(embedding)
            names = [
                f"component {k} ({share:.0%} of the variance)"
                for k, share in enumerate(pca.explained_variance_ratio_, start=1)
            ]
            axes = EQUAL
        return points, dict(zip(("xlabel", "ylabel"), names, strict=True)) | axes

    def _choose_method(self, n_samples):
        """Return the projection that "auto" stands for, or the given one."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}.")
        if self.method != "auto":
            return self.method
        return "neighbors" if n_samples <= MAX_LAYOUT else "pca"

    def _write_names(self, names, labels):
        """Write names of clusters beside their points."""
        # The layout of the figure sets the size of the axes.
        self.figure_.canvas.figure.draw_without_rendering()
        to_pixels = self.ax_.transData
        pixels = to_pixels.transform(self.points_)
        line = LABEL_HEIGHT * self.figure_.dpi / 72
        box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.6}
        for name, *middle in place_names(pixels, labels, names, line):
            self.ax_.text(
                *to_pixels.inverted().transform(middle),
                name,
                ha="center",
                va="center",
                weight="bold",
                bbox=box,
            )
