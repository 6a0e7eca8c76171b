"""SamplesDisplay: what clusters look like, as images or profiles."""

import inspect
import math
from numbers import Integral
from typing import Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_scalar

from .axes import (
    check_fitted,
    choose_colors,
    choose_grid,
    divide_axes,
    group_rows,
    label_features,
    make_axes,
    measure_names,
    name_estimator,
    name_features,
    read_names,
)

#: Most panels of profiles side by side.
MOST_COLUMNS = 5
#: Where ``sample`` draws the labels itself, so many times the rows that are shown are drawn, so
#: that clusters of small weight have enough.
OVERSAMPLING = 5


class SamplesDisplay:
    """Samples cluster by cluster: a grid of images, or profiles over the features.

    Parameters
    ----------
    samples : array-like of shape (n_samples, n_features)
        Generated or observed rows.
    labels : array-like of shape (n_samples,), default=None
        Clusters. With labels, each cluster has its row of images or its panel of profiles.
    image_shape : tuple of int, default=None
        (height, width), (channels, height, width) or (height, width, channels) of an image, with
        1 or 3 channels. None draws profiles: value against feature, one line per sample.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features, below profiles. Those of a DataFrame if None.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    image_ : matplotlib AxesImage or None
        The grid of images, None for profiles.
    axes_ : list of matplotlib Axes
        The panels of the profiles, or the axes of the images.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn; the axes hold the panels.

    See Also
    --------
    TraversalDisplay : Rows that differ in one code only.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeepcluster.display import SamplesDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = SamplesDisplay(X[:50], y[:50], image_shape=(8, 8)).plot()
    >>> len(display.ax_.get_yticks())
    10
    >>> plt.close("all")
    """

    def __init__(
        self,
        samples,
        labels=None,
        *,
        image_shape: tuple[int, ...] | None = None,
        feature_names=None,
        name: str | None = None,
    ) -> None:
        self.samples = samples
        self.labels = labels
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        n_per_cluster: int = 10,
        image_shape: tuple[int, ...] | None = None,
        feature_names=None,
        name: str | None = None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw what a fitted estimator generates by its ``sample``.

        Clusters are known where ``sample`` takes ``cluster=`` or returns samples and labels;
        else the samples are drawn without rows.

        Parameters
        ----------
        estimator : fitted estimator with ``sample``
            A mixture or a generative network.
        n_per_cluster : int, default=10
            Samples per cluster; fewer where a cluster is so rare that it did not come up.
        image_shape, feature_names
            The form of the rows, see `SamplesDisplay`.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : SamplesDisplay
        """
        check_fitted(estimator)
        if not hasattr(estimator, "sample"):
            raise ValueError(
                f"{type(estimator).__name__} has no sample method; "
                "pass rows to SamplesDisplay(samples, labels)."
            )
        name = name_estimator(estimator) if name is None else name
        samples, labels = draw_samples(estimator, n_per_cluster)
        if labels is None:
            samples = samples[: len(samples) // OVERSAMPLING]
        if feature_names is None:
            feature_names = read_names(estimator)
        display = cls(
            samples, labels, image_shape=image_shape, feature_names=feature_names, name=name
        )
        return display.plot(ax=ax, **{"n_columns": n_per_cluster, **kwargs})

    def plot(self, ax=None, *, name: str | None = None, n_columns: int = 10, **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        n_columns : int, default=10
            Images in a row; with labels, further ones of a cluster are left out.
        **kwargs : dict
            Passed to ``Axes.imshow`` for images, to ``Axes.plot`` for profiles.

        Returns
        -------
        display : SamplesDisplay
            The display itself.
        """
        samples = self.samples.toarray() if issparse(self.samples) else np.asarray(self.samples)
        if samples.ndim != 2 or not len(samples):
            raise ValueError(f"samples must be (n_samples, n_features), got {samples.shape}.")
        check_scalar(n_columns, "n_columns", Integral, min_val=1)
        names, index = group_rows(self.labels, len(samples))
        title = (self.name if name is None else name) or ""
        draw = self._plot_profiles if self.image_shape is None else self._plot_images
        draw(samples, names, index, ax, title, n_columns, kwargs)
        return self

    def _plot_images(self, samples, names, index, ax, title, n_columns, kwargs):
        if self.labels is None:
            rows = np.split(np.arange(len(samples)), range(n_columns, len(samples), n_columns))
        else:
            rows = [np.flatnonzero(index == k)[:n_columns] for k in range(len(names))]
        grid, (height, width) = make_mosaic(samples, self.image_shape, rows)
        n_columns = max(len(row) for row in rows)
        size = (0.55 * n_columns + 0.8, 0.55 * len(rows) * height / width + 0.5)
        self.figure_, self.ax_ = make_axes(ax, size)
        self.axes_ = [self.ax_]
        names = [] if self.labels is None else names
        self.image_ = draw_mosaic(self.ax_, grid, height, names, kwargs)
        self.ax_.set(title=title, ylabel="" if self.labels is None else "cluster")

    def _plot_profiles(self, samples, names, index, ax, title, n_columns, kwargs):
        rows, columns = choose_grid(len(names), MOST_COLUMNS)
        feature_names = name_features(self.feature_names, self.samples, samples.shape[1])
        height = 1.8 * rows + 0.4 + measure_names(feature_names)
        self.figure_, self.ax_ = make_axes(ax, (max(2.6 * columns, 4.0), height))
        self.image_ = None
        self.axes_ = divide_axes(self.ax_, len(names), MOST_COLUMNS, name=title, share=True)
        colors, _ = choose_colors(names)
        for k, (group, panel) in enumerate(zip(names, self.axes_, strict=True)):
            members, features = samples[index == k], np.arange(samples.shape[1])
            marker, mean = ("o", "_") if len(features) == 1 else ("", "")
            style = {"color": colors[k], "alpha": 0.5, "lw": 0.8, "marker": marker, **kwargs}
            panel.plot(features, members[:n_columns].T, **style)
            if len(members) > 1:
                style = {"color": "black", "lw": 1.2, "marker": mean, "ms": 12, "label": "mean"}
                panel.plot(features, members.mean(axis=0), **style)
            if self.labels is not None:
                panel.set_title(f"cluster {group}", fontsize="medium")
            if k % columns == 0:
                panel.set_ylabel("value")
            label_features(panel, feature_names)
            if k < len(names) - columns:  # the panel below has the same features
                panel.set_xlabel("")
                panel.tick_params(labelbottom=False)
        averaged = [panel for panel in self.axes_ if panel.get_legend_handles_labels()[0]]
        for panel in averaged[:1]:
            panel.legend(fontsize="small", frameon=False, handlelength=1)


def draw_samples(estimator, n_per_cluster):
    """Return samples, and their clusters where the estimator gives them."""
    parameters = inspect.signature(estimator.sample).parameters
    settings = estimator.get_params(deep=False)
    n_clusters = settings.get("n_clusters", settings.get("n_components"))
    if hasattr(estimator, "classes_"):
        n_clusters = len(estimator.classes_)
    n_clusters = getattr(estimator, "n_clusters_", n_clusters)  # where it is given as "auto"
    if "cluster" in parameters:
        drawn = [estimator.sample(n_per_cluster, cluster=k) for k in range(n_clusters)]
        return np.concatenate(drawn), np.repeat(np.arange(n_clusters), n_per_cluster)
    drawn = estimator.sample(OVERSAMPLING * n_per_cluster * (n_clusters or 1))
    return drawn if isinstance(drawn, tuple) else (drawn, None)


def draw_mosaic(ax, picture, height, names, kwargs):
    """Draw a mosaic without frame, with the names of its rows, `height` pixels apart."""
    image = ax.imshow(picture, **{"cmap": "gray_r", **kwargs})
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(names)) * height + height / 2 - 1, names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def make_mosaic(samples, image_shape, rows):
    """Return images in rows as one masked picture, and the height and width of each's place."""
    tiles = _to_images(samples, image_shape)
    height, width = tiles.shape[1] + 1, tiles.shape[2] + 1
    n_columns = max(len(row) for row in rows)
    shape = len(rows) * height - 1, n_columns * width - 1, *tiles.shape[3:]
    grid = np.ma.array(np.zeros(shape), mask=True)
    for r, row in enumerate(rows):
        for c, tile in enumerate(tiles[row]):
            top, left = r * height, c * width
            grid[top : top + height - 1, left : left + width - 1] = tile
    return grid.filled(1.0) if grid.ndim == 3 else grid, (height, width)


def _to_images(samples, image_shape):
    """Reshape rows to images, (height, width) or (height, width, 3), the latter in [0, 1]."""
    shape = tuple(np.atleast_1d(image_shape).tolist())
    if len(shape) not in (2, 3) or math.prod(shape) != samples.shape[1]:
        raise ValueError(
            f"image_shape={image_shape} does not fit rows of {samples.shape[1]} features: give "
            "(height, width), (channels, height, width) or (height, width, channels)."
        )
    tiles = samples.reshape(-1, *shape)
    if len(shape) == 2:
        return tiles
    if shape[0] in (1, 3):
        tiles = np.moveaxis(tiles, 1, -1)
    if tiles.shape[-1] == 1:
        return tiles[..., 0]
    if tiles.shape[-1] != 3:
        raise ValueError(f"Images have 1 or 3 channels, got image_shape {shape}.")
    return np.clip(tiles / find_white(samples), 0, 1)


def find_white(samples):
    """Return the value of full brightness in rows of coloured images, 255 or 1."""
    return 255 if samples.max() > 2 else 1
