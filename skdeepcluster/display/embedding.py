"""EmbeddingDisplay: points in the plane, coloured by cluster."""

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE

from .axes import COLORS, group_rows, make_axes

#: Each marker is used with all colours before the next one.
MARKERS = "o^sDvP*X<>"
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
    method : {"pca", "tsne"}, default="pca"
        The projection from more than two columns.
    random_state : int, RandomState instance or None, default=0
        For the projection; how a single column is spread out never changes.
    name : str, default=None
        Title of the picture.

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
    >>> EmbeddingDisplay(X, y, name="blobs").plot().ax_.get_title()
    'blobs'
    >>> plt.close("all")
    """

    def __init__(self, embedding, labels=None, *, method="pca", random_state=0, name=None):
        self.embedding = embedding
        self.labels = labels
        self.method = method
        self.random_state = random_state
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        labels=None,
        method="pca",
        random_state=0,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Embed `X` by a fitted estimator's ``transform`` and colour it by ``predict``.

        Parameters
        ----------
        estimator : fitted clusterer
            Without ``transform``, `X` itself is the embedding.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        labels : array-like of shape (n_samples,), default=None
            Colours in place of ``estimator.predict(X)``, for instance the classes.
        method, random_state
            The projection, see `EmbeddingDisplay`.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : EmbeddingDisplay
        """
        embedding = estimator.transform(X) if hasattr(estimator, "transform") else X
        labels = estimator.predict(X) if labels is None else labels
        name = type(estimator).__name__ if name is None else name
        display = cls(embedding, labels, method=method, random_state=random_state, name=name)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, numbers=True, legend=True, **kwargs):
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
        points = _project(self.embedding, self.method, self.random_state)
        names, index = group_rows(self.labels, len(points))
        if points.shape[1] == 1:  # a horizontal strip for each cluster, jittered vertically
            heights = np.random.RandomState(0).uniform(-0.3, 0.3, size=len(points)) - index
            points = np.column_stack([points, heights])
        self.points_ = points
        self.figure_, self.ax_ = make_axes(ax, (6.4, 4.8))
        size = float(np.clip(9000 / len(points), 2, 30))
        style = {"s": size, "alpha": 0.75, "linewidths": 0, "rasterized": True, **kwargs}
        # In a fixed random order: drawn cluster by cluster, the last one would hide the others.
        order = np.random.RandomState(0).permutation(len(points))
        colors = np.array(COLORS)[index % len(COLORS)]
        self.scatter_ = []
        for turn in np.unique(index // len(COLORS)):
            rows = order[index[order] // len(COLORS) == turn]
            marker = {"marker": MARKERS[turn % len(MARKERS)], "c": colors[rows], **style}
            self.scatter_.append(self.ax_.scatter(*points[rows].T, **marker))
        self.ax_.set(xticks=[], yticks=[], title=(self.name if name is None else name) or "")
        if numbers and self.labels is not None and len(names) <= MAX_NUMBERED:
            self._write_numbers(names, index)
        self.legend_ = self._draw_legend(names) if legend and self.labels is not None else None
        return self

    def _write_numbers(self, names, index):
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.5, foreground="white")]
        for k, group in enumerate(names):
            center = np.median(self.points_[index == k], axis=0)
            style = {"ha": "center", "va": "center", "weight": "bold", "path_effects": halo}
            self.ax_.text(*center, str(group), **style)

    def _draw_legend(self, names):
        from matplotlib.lines import Line2D

        handles = []
        for k, group in enumerate(names):
            marker, color = MARKERS[k // len(COLORS) % len(MARKERS)], COLORS[k % len(COLORS)]
            handles.append(Line2D([], [], ls="", marker=marker, color=color, label=str(group)))
        columns = math.ceil(len(names) / 18)
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
        return self.ax_.legend(handles=handles, ncols=columns, frameon=False, **place)


def _project(embedding, method, random_state):
    """Return the embedding in two columns, or in its only one."""
    if method not in ("pca", "tsne"):
        raise ValueError(f"method must be 'pca' or 'tsne', got {method!r}.")
    if not issparse(embedding):
        embedding = np.asarray(embedding)
    if embedding.ndim != 2 or not embedding.shape[0] or not embedding.shape[1]:
        raise ValueError(
            f"embedding must have shape (n_samples, n_components), got {embedding.shape}."
        )
    if embedding.shape[1] > 2 and method == "tsne":
        perplexity = min(30.0, max(1.0, (embedding.shape[0] - 1) / 3))
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=random_state)
        return tsne.fit_transform(_reduce(embedding, 50, random_state))
    return _reduce(embedding, 2, random_state)


def _reduce(embedding, n_columns, random_state):
    """Project more than `n_columns` on principal components; sparse rows are not centred."""
    if embedding.shape[1] > n_columns:
        n_columns = min(n_columns, embedding.shape[0])
        reducer = TruncatedSVD if issparse(embedding) else PCA
        return reducer(n_columns, random_state=random_state).fit_transform(embedding)
    return embedding.toarray() if issparse(embedding) else embedding
