"""EmbeddingDisplay: samples in the plane, colored by cluster."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from ..neighbors import neighbor_graph, neighbor_layout
from .base import Display, choose_colors, group_rows, name_estimator, name_features, predict_rows

#: Names of the projections in axis labels.
METHODS = {"pca": "PCA", "tsne": "t-SNE", "neighbors": "neighbor layout"}
#: Maximum number of samples for which "auto" computes a neighbor layout, about two seconds.
MAX_LAYOUT = 5000
#: Label of the axis along which a single column is spread out.
JITTER = "spread at random"
#: Maximum number of principal components for t-SNE.
TSNE_COMPONENTS = 50
#: Maximum number of labels that are written next to their points.
MAX_NUMBERED = 50
#: Half the width and height of such a label, as shares of the picture's.
LABEL_SIZE = np.array([0.025, 0.035])
#: Share of the points of a group that a label may cover rather than move one ring outward.
RING_COST = 0.02


@dataclass(eq=False, repr=False)
class EmbeddingDisplay(Display):
    """Scatter plot of an embedding, colored by cluster.

    Parameters
    ----------
    embedding : {array-like, sparse matrix} of shape (n_samples, n_components)
        Two columns are drawn as they are, and a single one is spread out vertically. More columns
        are projected, and drawn with the same scale on both axes.
    labels : array-like of shape (n_samples,), default=None
        Clusters or classes, numbers or strings.
    method : {"auto", "pca", "tsne", "neighbors"}, default="auto"
        Projection of more than two columns. ``"neighbors"`` is the
        :func:`~skdeepcluster.neighbors.neighbor_layout` of the graph of nearest neighbors. It
        shows which samples are close; distances between clusters mean little. ``"auto"`` takes it
        for up to 5,000 samples, and PCA for more.
    metric : str or callable, default="euclidean"
        Metric of the neighbors, see :func:`~skdeepcluster.neighbors.neighbor_graph`.
    random_state : int, RandomState instance or None, default=0
        Random state of the projection.
    feature_names : array-like of str of shape (n_components,), default=None
        Axis labels of columns drawn as they are; None takes the columns of a DataFrame.
    name : str, default=None
        Title.

    Attributes
    ----------
    points_ : ndarray of shape (n_samples, 2)
        Points that are drawn.
    projection_ : PCA, TruncatedSVD or None
        The fitted projection, if it is linear.
    scatter_ : list of matplotlib PathCollection
        The points, one collection per marker.
    legend_ : matplotlib Legend or None

    See Also
    --------
    MixtureDisplay : The same with the components of a mixture.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.display import EmbeddingDisplay
    >>> X, y = make_blobs(100, n_features=5, random_state=0)
    >>> EmbeddingDisplay(X, y).plot().ax_.get_xlabel()
    'neighbor layout 1'
    >>> plt.close("all")
    """

    embedding: Any
    labels: ArrayLike | None = None
    _: KW_ONLY
    method: str = "auto"
    metric: Any = "euclidean"
    random_state: Any = 0
    feature_names: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        labels=None,
        method: str = "auto",
        random_state=0,
        name: str | None = None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw ``transform(X)`` of a fitted estimator, colored by its predictions or `labels`.

        Without ``transform`` the embedding is X; without ``predict`` the labels are ``labels_``.
        A NeighborClustering, whose ``transform`` is a layout, gets a two-dimensional one of X.
        """
        options = {"random_state": random_state, "name": name_estimator(estimator, name)}
        options["method"] = _choose_method(method, _num_samples(X))
        embedding = estimator.transform(X) if hasattr(estimator, "transform") else X
        if hasattr(estimator, "layout_") and options["method"] == "neighbors":
            embedding, options["metric"] = X, estimator.metric
        labels = predict_rows(estimator, X) if labels is None else labels
        return cls(embedding, labels, **options).plot(ax, **kwargs)

    def plot(
        self,
        ax=None,
        *,
        name: str | None = None,
        numbers: bool = True,
        legend: bool = True,
        **kwargs,
    ) -> Self:
        """Draw by ``Axes.scatter``, which takes ``kwargs``.

        `numbers` writes each label next to its points, if there are at most 50 labels; `legend`
        draws them to the right of the axes.
        """
        self.points_, axes = self._project()
        names, index = group_rows(self.labels, len(self.points_))
        if self.points_.shape[1] == 1:  # a jittered strip for each label
            heights = np.random.RandomState(0).uniform(-0.3, 0.3, size=len(index)) - index
            self.points_ = np.column_stack([self.points_, heights])
        self._open_axes(ax, name, axes)
        self._scatter(choose_colors(names), index, kwargs)
        self.legend_ = None
        if self.labels is not None:
            if numbers and len(names) <= MAX_NUMBERED:
                self._write_labels(names, index)
            for group, color, marker in zip(names, *choose_colors(names), strict=True):
                self.ax_.plot([], [], ls="", marker=marker, color=color, label=str(group))
            self.legend_ = draw_legend(self.ax_) if legend else None
        return self

    def _open_axes(self, ax, name, labels):
        """Open axes with labels, and one scale if the points are projected."""
        is_projected, height = np.shape(self.embedding)[1] > 2, 4.8
        if is_projected:
            width, height = np.ptp(self.points_, axis=0)
            height = float(np.clip(5 * height / (width or 1) + 1, 3, 6.4))
        ax = self._open(ax, (6.4, height), name)
        ax.set(xlabel=labels[0], ylabel=labels[1], aspect="equal" if is_projected else "auto")
        if is_projected and self.projection_ is None:  # a layout has no unit
            ax.set(xticks=[], yticks=[])
        if labels[1] == JITTER:
            ax.set_yticks([])

    def _scatter(self, looks, index, kwargs):
        """Draw the points in a random order, so that no cluster lies on top of the others."""
        size = float(np.clip(14000 / len(index), 2, 30))
        width = 1 if "marker" in kwargs else 0  # "x" and "+" are lines
        style = {"s": size, "alpha": 0.85, "linewidths": width, "rasterized": True, **kwargs}
        order = np.random.RandomState(0).permutation(len(index))
        colors, markers = (np.array(look)[index] for look in looks)
        self.scatter_ = []
        for marker in dict.fromkeys(markers):
            rows = order[markers[order] == marker]
            color = {} if "color" in kwargs else {"c": colors[rows]}
            look = {"marker": marker, **color, **style}
            self.scatter_.append(self.ax_.scatter(*self.points_[rows].T, **look))

    def _project(self):
        """Return the points in two columns, or in one, and the labels of both axes."""
        embedding = check_array(self.embedding, accept_sparse=True, input_name="embedding")
        n_samples, n_columns = embedding.shape
        method, self.projection_ = _choose_method(self.method, n_samples), None
        if n_columns < 3:
            columns = getattr(self.embedding, "columns", [f"column {k}" for k in range(n_columns)])
            names = name_features(n_columns, self.feature_names, columns)
            points = embedding.toarray() if issparse(embedding) else embedding
            return points, [*names, JITTER][:2]
        if method == "pca":
            self.projection_, points = fit_pca(embedding, 2, self.random_state)
            return points, [*label_components(self.projection_), JITTER][:2]
        labels = [f"{METHODS[method]} {k}" for k in (1, 2)]
        if method == "neighbors":
            graph = neighbor_graph(embedding, metric=self.metric)
            return neighbor_layout(graph, 2, random_state=self.random_state), labels
        points = fit_pca(embedding, min(n_columns, TSNE_COMPONENTS), self.random_state)[1]
        perplexity = min(30.0, max(1.0, (n_samples - 1) / 3))
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=self.random_state)
        return np.asarray(tsne.fit_transform(points)), labels

    def _write_labels(self, names, index):
        places = place_labels(self.points_, index)
        for group, place, color in zip(names, places, choose_colors(names)[0], strict=True):
            frame = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": color, "alpha": 0.85}
            style = {"ha": "center", "va": "center", "fontsize": 9, "bbox": frame}
            self.ax_.text(*place, str(group), **style)


def _choose_method(method, n_samples):
    """Return the projection that "auto" stands for, or the given one."""
    if method == "auto":
        return "neighbors" if n_samples <= MAX_LAYOUT else "pca"
    if method not in METHODS:
        known = str(["auto", *METHODS])[1:-1]
        raise ValueError(f"method must be one of {known}, got {method!r}.")
    return method


def place_labels(points, index):
    """Return a place (K, 2) near each group of points that covers few points and no label.

    Candidates are on rings around the point nearest to the median. The cost of a candidate is the
    sum over groups of the share of their points that it covers, and increases with the ring.
    """
    spread = np.maximum(np.ptp(points, axis=0), 1e-12)
    points, sizes = points / spread, np.bincount(index)
    rings, angles = np.meshgrid([1, 1.5, 2, 3, 4], np.pi / 4 * np.arange(8), indexing="ij")
    steps = 1.3 * np.stack([rings * np.sin(angles), rings * np.cos(angles)], -1) * LABEL_SIZE
    places = np.full((len(sizes), 2), np.nan)
    for k in np.argsort(sizes, kind="stable"):
        own = points[index == k]
        anchor = own[np.abs(own - np.median(own, axis=0)).sum(1).argmin()]
        candidates, costs = anchor + steps.reshape(-1, 2), RING_COST * rings.ravel()
        for c, place in enumerate(candidates):
            covered = index[(np.abs(points - place) < LABEL_SIZE).all(1)]
            costs[c] += (np.bincount(covered, minlength=len(sizes)) / sizes).sum()
            costs[c] += (np.abs(places - place) < 2 * LABEL_SIZE).all(1).sum()
        places[k] = candidates[np.argmin(costs)]
    return places * spread


def draw_legend(ax):
    """Draw a legend to the right of the axes, with a column for each 18 entries."""
    n_columns = math.ceil(len(ax.get_legend_handles_labels()[0]) / 18)
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
    return ax.legend(ncols=n_columns, frameon=False, **place)


def fit_pca(embedding, n_components, random_state):
    """Return a fitted PCA, or a TruncatedSVD of sparse samples, and their components."""
    kind = TruncatedSVD if issparse(embedding) else PCA
    reducer = kind(min(n_components, embedding.shape[0]), random_state=random_state)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal samples have a variance of zero
        return reducer, np.asarray(reducer.fit_transform(embedding))


def label_components(reducer):
    """Return axis labels of a fitted PCA or TruncatedSVD, with the shares of the variance."""
    name = "PCA" if isinstance(reducer, PCA) else "SVD"
    shares = np.nan_to_num(reducer.explained_variance_ratio_)
    return [f"{name} {k} ({share:.0%} of the variance)" for k, share in enumerate(shares, 1)]
