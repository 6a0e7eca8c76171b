"""EmbeddingDisplay: samples in the plane."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_array

from ..input.labels import predict_samples
from ..neighbor_clustering import NeighborClustering
from ..neighbors import neighbor_embedding, neighbor_graph
from .base import (
    NOISE,
    Display,
    draw_legend,
    group_samples,
    name_features,
    reach_last_step,
    take_last_step,
    to_array,
)

#: Projections.
METHODS = "auto", "pca", "neighbors"
#: Maximum number of samples for which "auto" computes a neighbor embedding.
MAX_EMBEDDING = 5000
#: Style of labels that are written at their points.
TEXT_STYLE = {
    "ha": "center",
    "va": "center",
    "weight": "bold",
    "bbox": {"boxstyle": "round,pad=0.1", "fc": "w", "ec": "none", "alpha": 0.6},
}
#: Maximum number of labels that are written at their points.
MAX_WRITTEN = 50


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
        :func:`~skdeepcluster.neighbors.neighbor_embedding`, where distances between clusters mean
        little. ``"auto"`` takes it for up to 5,000 samples, and PCA for more.
    metric : str or callable, default="euclidean"
        Metric of :func:`~skdeepcluster.neighbors.neighbor_graph`.
    name : str, default=None

    Attributes
    ----------
    points_ : ndarray of shape (n_samples, 2)
        Points that are drawn.
    scatter_ : matplotlib PathCollection
        The points, in a random order, so that no cluster covers the others.
    legend_ : matplotlib Legend or None

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.display import EmbeddingDisplay
    >>> X, y = make_blobs(100, n_features=5, random_state=0)
    >>> EmbeddingDisplay(X, y).plot().ax_.get_xlabel()
    'neighbor embedding 1'
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

        For a NeighborClustering, a two-dimensional embedding of X replaces ``transform(X)``.
        """
        _, name = take_last_step(estimator, name)
        last, X = reach_last_step(estimator, X)
        if labels is None:
            labels = predict_samples(last, X)

        embedding = last.transform(X) if hasattr(last, "transform") else X
        display = cls(embedding, labels, method=method, name=name)
        is_embedding = display._choose_method(len(labels)) == "neighbors"
        if is_embedding and isinstance(last, NeighborClustering):
            display.embedding = last._read(X)
            display.metric = last.metric
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.scatter``, which takes ``kwargs``, with at most 50 labels written."""
        self.points_, axes = self._project()
        names, index, colors = group_samples(self.points_, self.labels)

        ax = self._open(ax, (6.4, 4.8))
        ax.set(**axes)
        style = {
            "s": np.clip(14000 / len(index), 2, 30),
            "alpha": 0.85,
            "linewidths": 0.3,
            "rasterized": True,
        }
        order = np.random.RandomState(0).permutation(len(index))
        shown = np.array(colors)[index[order]]
        style = {"color": shown, **style, **kwargs}
        self.scatter_ = ax.scatter(*self.points_[order].T, **style)
        self.legend_ = None
        if self.labels is not None:
            self._name_clusters(names, index, colors)
        return self

    def _project(self):
        """Return the points (N, 2) and properties of the axes."""
        embedding = check_array(
            self.embedding, accept_sparse=True, input_name="embedding"
        )
        method = self._choose_method(embedding.shape[0])
        if embedding.shape[1] == 2:
            names = name_features(2, X=self.embedding) or ["column 0", "column 1"]
            return to_array(embedding), {"xlabel": names[0], "ylabel": names[1]}

        axes = {"aspect": "equal", "adjustable": "datalim"}
        if method == "neighbors":
            graph = neighbor_graph(embedding, metric=self.metric)
            points = neighbor_embedding(graph, 2, random_state=0)
            names = "neighbor embedding 1", "neighbor embedding 2"
            # An embedding has no unit.
            axes |= {"xticks": [], "yticks": []}
        else:
            pca = PCA(2, random_state=0)
            points = pca.fit_transform(embedding)
            names = [
                f"component {k} ({share:.0%} of the variance)"
                for k, share in enumerate(pca.explained_variance_ratio_, start=1)
            ]
        return points, axes | {"xlabel": names[0], "ylabel": names[1]}

    def _choose_method(self, n_samples):
        """Return the projection that "auto" stands for, or the given one."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}.")
        if self.method != "auto":
            return self.method
        return "neighbors" if n_samples <= MAX_EMBEDDING else "pca"

    def _name_clusters(self, names, index, colors):
        """Name the clusters in a legend, and each at its sample nearest to their median."""
        for k, (name, color) in enumerate(zip(names, colors, strict=True)):
            text = "noise" if color == NOISE else str(name)
            self.ax_.plot([], [], "o", color=color, label=text)
            if color == NOISE or len(names) > MAX_WRITTEN:
                continue

            own = self.points_[index == k]
            gaps = np.linalg.norm(own - np.median(own, axis=0), axis=1)
            self.ax_.text(*own[gaps.argmin()], text, **TEXT_STYLE)
        self.legend_ = draw_legend(self.ax_)
