"""EmbeddingDisplay: points in the plane, coloured by cluster."""

import math
from typing import Self

import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE

from ..neighbors import neighbor_graph, neighbor_layout
from .axes import (
    check_fitted,
    choose_colors,
    group_rows,
    make_axes,
    name_estimator,
    name_features,
    predict_rows,
)

#: Names of the projections, as titles and axes have them.
METHODS = {"pca": "PCA", "tsne": "t-SNE", "neighbors": "neighbour layout"}

#: Columns that t-SNE is given, at most; of more their principal components.
TSNE_COLUMNS = 50
#: Most labels that are written at their points.
MAX_NUMBERED = 50


class EmbeddingDisplay:
    """Scatter plot of an embedding, coloured by cluster.

    Parameters
    ----------
    embedding : {array-like, sparse matrix} of shape (n_samples, n_components)
        One row per sample. Two columns are drawn as they are, more are projected by `method`,
        a single one is spread out vertically.
    labels : array-like of shape (n_samples,), default=None
        Clusters or classes; numbers or strings.
    method : {"pca", "tsne", "neighbors"}, default="pca"
        The projection from more than two columns. ``"neighbors"`` is
        :func:`~skdeepcluster.neighbors.neighbor_layout` of the graph of nearest neighbours, which
        keeps rows near that are near, at the cost of distances between clusters. The axes of
        the last two have no unit.
    random_state : int, RandomState instance or None, default=0
        For the projection; how a single column is spread out never changes.
    feature_names : array-like of str of shape (n_components,), default=None
        Names of the columns, for the axes where columns are drawn as they are. Those of a
        DataFrame if None.
    source : str, default=None
        What the rows are, as ``"transform(X)"``: part of the title and the names of axes.
    name : str, default=None
        Title of the picture. None: projection, `source`, numbers of rows and columns.

    Attributes
    ----------
    points_ : ndarray of shape (n_samples, 2)
        What is drawn.
    scatter_ : list of matplotlib PathCollection
        The points, one collection per marker.
    legend_ : matplotlib Legend or None
        The legend, None without labels.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    MixtureDisplay : The components of a mixture in its codes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.display import EmbeddingDisplay
    >>> X, y = make_blobs(100, n_features=5, random_state=0)
    >>> EmbeddingDisplay(X, y, method="neighbors").plot().ax_.get_title()
    'neighbour layout of 100 rows, 5 columns'
    >>> plt.close("all")
    """

    def __init__(
        self,
        embedding,
        labels=None,
        *,
        method: str = "pca",
        random_state=0,
        feature_names=None,
        source: str | None = None,
        name: str | None = None,
    ) -> None:
        self.embedding = embedding
        self.labels = labels
        self.method = method
        self.random_state = random_state
        self.feature_names = feature_names
        self.source = source
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        labels=None,
        method: str = "pca",
        random_state=0,
        name: str | None = None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Embed `X` by a fitted estimator's ``transform`` and colour it by ``predict``.

        Parameters
        ----------
        estimator : fitted clusterer
            Without ``transform``, `X` itself is the embedding.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        labels : array-like of shape (n_samples,), default=None
            Colours in place of ``estimator.predict(X)``, or of the ``labels_`` of a clusterer
            that cannot predict; for instance the classes.
        method, random_state
            The projection, see `EmbeddingDisplay`.
        name, ax, **kwargs
            As of `plot`; the title begins with the name of the estimator's class if None.

        Returns
        -------
        display : EmbeddingDisplay
        """
        check_fitted(estimator)
        embedding, source = find_embedding(estimator, X)
        labels = predict_rows(estimator, X) if labels is None else labels
        display = cls(embedding, labels, method=method, random_state=random_state, source=source)
        title = f"{name_estimator(estimator)}\n{describe_projection(embedding, method, source)}"
        display.name = title if name is None else name
        return display.plot(ax=ax, **kwargs)

    def plot(
        self,
        ax=None,
        *,
        name: str | None = None,
        numbers: bool = True,
        legend: bool = True,
        **kwargs,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        numbers : bool, default=True
            Whether each label is written at the median of its points, for readers who do not
            tell the colours apart (with at most 50 labels).
        legend : bool, default=True
            Whether there is a legend, right of the axes.
        **kwargs : dict
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : EmbeddingDisplay
            The display itself.
        """
        points, axes = self._project()
        names, index = group_rows(self.labels, len(points))
        if points.shape[1] == 1:  # a horizontal strip for each cluster, jittered vertically
            heights = np.random.RandomState(0).uniform(-0.3, 0.3, size=len(points)) - index
            points = np.column_stack([points, heights])
        self.points_ = points
        self.figure_, self.ax_ = make_axes(ax, (6.4, 4.8))
        size = float(np.clip(14000 / len(points), 2, 30))
        # Markers that have no face are lines.
        width = 0 if kwargs.get("marker") is None else 1
        style = {"s": size, "alpha": 0.85, "linewidths": width, "rasterized": True, **kwargs}
        # In a fixed random order: drawn cluster by cluster, the last one would hide the others.
        order = np.random.RandomState(0).permutation(len(points))
        colors, markers = (np.array(own)[index] for own in choose_colors(names))
        self.scatter_ = []
        for marker in dict.fromkeys(markers):
            rows = order[markers[order] == marker]
            look = {"marker": marker, "c": colors[rows], **style}
            if "color" in kwargs:  # which scatter does not take beside c
                del look["c"]
            self.scatter_.append(self.ax_.scatter(*points[rows].T, **look))
        title = self.name if name is None else name
        if title is None:
            title = describe_projection(self.embedding, self.method, self.source)
        self.ax_.set_title(title, fontsize="medium")
        self._label_axes(axes)
        if numbers and self.labels is not None and len(names) <= MAX_NUMBERED:
            self._write_numbers(names, index)
        self.legend_ = self._draw_legend(names) if legend and self.labels is not None else None
        return self

    def _project(self):
        """Return the embedding in two columns, or in its only one, and labels of the axes."""
        embedding = _check_embedding(self.embedding, self.method)
        n_columns, name = embedding.shape[1], METHODS[self.method]
        if n_columns < 3:
            of = "" if self.source is None else f" of {self.source}"
            names = name_features(self.feature_names, self.embedding, n_columns)
            names = names or [f"column {k}{of}" for k in range(n_columns)]
            return embedding.toarray() if issparse(embedding) else embedding, names
        if self.method == "pca":
            return reduce_columns(embedding, 2, self.random_state)
        labels = [f"{name}, axis {k} (no unit)" for k in (1, 2)]
        if self.method == "neighbors":
            graph = neighbor_graph(embedding)
            return neighbor_layout(graph, 2, random_state=self.random_state), labels
        perplexity = min(30.0, max(1.0, (embedding.shape[0] - 1) / 3))
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=self.random_state)
        if n_columns > TSNE_COLUMNS:
            embedding, _ = reduce_columns(embedding, TSNE_COLUMNS, self.random_state)
        elif issparse(embedding):
            embedding = embedding.toarray()
        return np.asarray(tsne.fit_transform(embedding)), labels

    def _label_axes(self, labels):
        """Write labels, and numbers where they mean something."""
        if len(labels) == 1:
            labels = [*labels, "spread at random"]
            self.ax_.set_yticks([])
        self.ax_.set(xlabel=labels[0], ylabel=labels[1])
        if labels[0].endswith("(no unit)"):
            self.ax_.set(xticks=[], yticks=[])

    def _write_numbers(self, names, index):
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.5, foreground="white")]
        for k, group in enumerate(names):
            center = np.median(self.points_[index == k], axis=0)
            style = {"ha": "center", "va": "center", "weight": "bold", "path_effects": halo}
            self.ax_.text(*center, str(group), **style)

    def _draw_legend(self, names):
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], ls="", marker=marker, color=color, label=str(group))
            for group, color, marker in zip(names, *choose_colors(names), strict=True)
        ]
        return place_legend(self.ax_, handles)


def describe_projection(embedding, method, source):
    """Return the projection, and what is projected, as a title."""
    n_samples, n_columns = _check_embedding(embedding, method).shape
    what = f"{n_samples:,} rows, {n_columns:,} column" + "s" * (n_columns != 1)
    what = what if source is None else f"{source}: {what}"
    return what if n_columns < 3 else f"{METHODS[method]} of {what}"


def _check_embedding(embedding, method):
    if method not in METHODS:
        raise ValueError(f"method must be 'pca', 'tsne' or 'neighbors', got {method!r}.")
    embedding = embedding if issparse(embedding) else np.asarray(embedding)
    if embedding.dtype.kind not in "biuf":
        try:
            embedding = embedding.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Only numbers can be drawn ({error}). For the last step of a Pipeline, pass the "
                "rows that the steps before it prepare."
            ) from error
    if embedding.ndim != 2 or not embedding.shape[0] or not embedding.shape[1]:
        raise ValueError(
            f"embedding must have shape (n_samples, n_components), got {embedding.shape}."
        )
    return embedding


def place_legend(ax, handles):
    """Draw a legend right of the axes, in as many columns as it takes."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
    return ax.legend(handles=handles, ncols=math.ceil(len(handles) / 18), frameon=False, **place)


def find_embedding(estimator, X):
    """Return ``estimator.transform(X)``, or X itself without ``transform``, and what it is."""
    if hasattr(estimator, "transform"):
        return estimator.transform(X), "transform(X)"
    return X, "X"


def reduce_columns(embedding, n_columns, random_state):
    """Project on principal components, and name them; sparse rows are not centred.

    Returns the projection (n_samples, n_columns), of fewer columns if there are fewer rows, and
    labels of its axes.
    """
    kind = TruncatedSVD if issparse(embedding) else PCA
    reducer = kind(min(n_columns, embedding.shape[0]), random_state=random_state)
    with np.errstate(divide="ignore", invalid="ignore"):  # shares of a variance of zero
        return np.asarray(reducer.fit_transform(embedding)), label_components(reducer)


def label_components(reducer):
    """Name the axes of a fitted PCA or TruncatedSVD, with the share of the variance of each."""
    name = "PCA" if isinstance(reducer, PCA) else "SVD"
    shares = np.nan_to_num(reducer.explained_variance_ratio_)  # of rows that are all alike
    return [f"{name} {k} ({share:.0%} of the variance)" for k, share in enumerate(shares, 1)]
