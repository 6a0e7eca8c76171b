"""EmbeddingDisplay and MixtureDisplay: samples in the plane, and the components of a mixture."""

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
    check_has,
    choose_color,
    draw_legend,
    group_samples,
    name_features,
    reach_last_step,
    take_last_step,
    to_array,
    transform_samples,
)
from .places import place_names

#: Projections of more than two columns.
METHODS = "auto", "pca", "neighbors"
#: Properties of axes with one scale.
EQUAL = {"aspect": "equal", "adjustable": "datalim"}
#: Maximum number of samples for which "auto" computes a neighbor layout.
MAX_LAYOUT = 5000
#: Maximum number of labels that are written next to their points.
MAX_NUMBERED = 50
#: Height of a written label, in points.
LINE = 14


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
        :func:`~skdeepcluster.neighbors.neighbor_layout`, where distances between clusters mean
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

        For a NeighborClustering, a two-dimensional layout of X replaces ``transform(X)``.
        """
        _, name = take_last_step(estimator, name)
        last, X = reach_last_step(estimator, X)
        if labels is None:
            labels = predict_samples(last, X)

        display = cls(transform_samples(last, X), labels, method=method, name=name)
        is_layout = display._choose_method(len(labels)) == "neighbors"
        if is_layout and isinstance(last, NeighborClustering):
            display.embedding = last.preparation_.read(X)
            display.metric = last.metric
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.scatter``, which takes ``kwargs``, with at most 50 labels written."""
        points, axes = self._project()
        names, index, colors, markers = group_samples(points, self.labels)

        if points.shape[1] == 1:
            # A jittered strip for each label.
            jitter = np.random.RandomState(0).uniform(-0.3, 0.3, len(index))
            points = np.column_stack([points, jitter - index])
            axes |= {"ylabel": "spread at random", "yticks": []}

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
        """Return the points in two columns, or in one, and properties of the axes."""
        embedding = check_array(
            self.embedding, accept_sparse=True, input_name="embedding"
        )

        n_samples, n_columns = embedding.shape
        method = self._choose_method(n_samples)
        self.projection_ = None
        if n_columns < 3:
            points = to_array(embedding)
            names = name_features(n_columns, X=self.embedding)
            names = names or [f"column {k}" for k in range(n_columns)]
            axes = {}
        elif method == "neighbors":
            graph = neighbor_graph(embedding, metric=self.metric)
            points = neighbor_layout(graph, 2, random_state=self.random_state)
            names = "neighbor layout 1", "neighbor layout 2"
            # A layout has no unit.
            axes = EQUAL | {"xticks": [], "yticks": []}
        else:
            pca = PCA(2, random_state=self.random_state)
            points = pca.fit_transform(embedding)
            names = [
                f"component {k} ({share:.0%} of the variance)"
                for k, share in enumerate(pca.explained_variance_ratio_, start=1)
            ]
            axes = EQUAL
            self.projection_ = pca

        labels = zip(("xlabel", "ylabel"), names, strict=False)
        return points, dict(labels) | axes

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
        line = LINE * self.figure_.dpi / 72
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


@dataclass(eq=False, repr=False)
class MixtureDisplay(Display):
    """Ellipses of the components of a mixture, with the samples.

    More than two dimensions are projected on the first two principal components of the samples.

    Parameters
    ----------
    points : array-like of shape (n_samples, n_components)
        Samples, or their codes.
    means : array-like of shape (n_clusters, n_components)
    covariances : array-like
        Covariances in scikit-learn's shape for this ``covariance_type``.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
    labels : array-like of shape (n_samples,), default=None
        Clusters of the points, which set their colors.
    name : str, default=None

    Attributes
    ----------
    ellipses_ : list of matplotlib Ellipse
        For each component and each number of standard deviations.
    legend_ : matplotlib Legend

    See Also
    --------
    EmbeddingDisplay : The samples alone, with other projections.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.display import MixtureDisplay
    >>> X, _ = make_blobs(100, n_features=5, random_state=0)
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> len(MixtureDisplay.from_estimator(mixture, X).ellipses_)
    6
    """

    points: Any
    means: ArrayLike
    covariances: ArrayLike
    _: KW_ONLY
    covariance_type: str = "full"
    labels: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls, estimator, X, *, labels=None, name=None, ax=None, **kwargs
    ) -> Self:
        """Draw the mixture of a fitted estimator, in its codes if it has ``transform``.

        The default of `labels` is ``predict(X)``.
        """
        _, name = take_last_step(estimator, name)
        check_has(estimator, "means_", "covariances_", remedy="Use EmbeddingDisplay.")
        display = cls(
            transform_samples(estimator, X),
            estimator.means_,
            estimator.covariances_,
            covariance_type=getattr(estimator, "covariance_type", "diag"),
            labels=estimator.predict(X) if labels is None else labels,
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, n_std=(1.0, 2.0), **kwargs) -> Self:
        """Draw ellipses at `n_std` standard deviations from the mean, one number or several.

        :meth:`EmbeddingDisplay.plot` draws the samples with ``kwargs``.
        """
        points = to_array(self.points)
        means = np.asarray(self.means)
        covariances = self._expand_covariances(*means.shape)
        embedding = EmbeddingDisplay(points, self.labels, method="pca", name=self.name)
        embedding.plot(ax, **{"alpha": 0.5, **kwargs})
        self.ax_ = embedding.ax_
        self.figure_ = embedding.figure_

        pca = embedding.projection_
        if pca is not None:
            means = pca.transform(means)
            covariances = pca.components_ @ covariances @ pca.components_.T

        n_std = np.atleast_1d(n_std)
        self.ellipses_ = []
        for k, mean in enumerate(means):
            for n in n_std:
                self._draw_ellipse(k, mean, covariances[k], n)

        numbers = ", ".join(f"{n:g}" for n in n_std)
        self.ellipses_[0].set_label(f"component:\n{numbers} standard\ndeviations")
        self.legend_ = draw_legend(self.ax_)
        self.ax_.autoscale_view()
        return self

    def _draw_ellipse(self, k, mean, covariance, n_std):
        from matplotlib.patches import Ellipse

        values, vectors = np.linalg.eigh(covariance)
        width, height = 2 * n_std * np.sqrt(values)
        ellipse = Ellipse(
            mean,
            width,
            height,
            angle=np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])),
            fill=False,
            edgecolor=choose_color(k),
            linewidth=1.8,
        )
        self.ellipses_.append(self.ax_.add_patch(ellipse))

    def _expand_covariances(self, n_clusters, n_features):
        """Return the covariances as matrices, (n_clusters, n_features, n_features)."""
        covariances = np.asarray(self.covariances)
        if self.covariance_type in ("full", "tied"):
            shape = n_clusters, n_features, n_features
            return np.broadcast_to(covariances, shape)
        return covariances.reshape(n_clusters, -1, 1) * np.eye(n_features)
