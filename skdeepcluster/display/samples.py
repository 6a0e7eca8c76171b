"""SamplesDisplay: samples of each cluster, as images or profiles."""

import inspect
import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from .base import (
    Display,
    check_has,
    check_shape,
    choose_colors,
    group_rows,
    label_features,
    name_features,
    take_last_step,
)

#: Maximum number of panels of profiles side by side.
MAX_COLUMNS = 5
#: Width and height of an image in inches.
IMAGE_SIZE = 0.55
#: Factor of the number of generated samples, so that small clusters get enough.
OVERSAMPLING = 5


@dataclass(eq=False, repr=False)
class SamplesDisplay(Display):
    """Samples of each cluster: a row of images, or a panel of profiles over the features.

    Parameters
    ----------
    samples : {array-like, sparse matrix} of shape (n_samples, n_features)
        Generated or observed samples.
    labels : array-like of shape (n_samples,), default=None
        Clusters.
    image_shape : tuple of int, default=None
        (height, width), (channels, height, width) or (height, width, channels) of an image, with
        1 or 3 channels. None draws profiles: value against feature, one line per sample.
    feature_names : array-like of str of shape (n_features,), default=None
        Names below the profiles; None takes the columns of a DataFrame.
    name : str, default=None

    Attributes
    ----------
    image_ : matplotlib AxesImage or None
        The images, None for profiles.
    axes_ : list of matplotlib Axes
        The panels of the profiles, or the axes of the images.

    See Also
    --------
    TraversalDisplay : Samples that differ in one code only.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeepcluster.display import SamplesDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = SamplesDisplay(X[:50], y[:50], image_shape=(8, 8)).plot()
    >>> len(display.ax_.get_yticks())
    10
    """

    samples: Any
    labels: ArrayLike | None = None
    _: KW_ONLY
    image_shape: tuple[int, ...] | None = None
    feature_names: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        n_per_cluster: int = 10,
        image_shape: tuple[int, ...] | None = None,
        feature_names=None,
        name=None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw samples that a fitted estimator generates by ``sample``.

        Very small clusters may get less than `n_per_cluster` samples.
        """
        _, name = take_last_step(estimator, name)
        check_has(estimator, "sample")
        samples, labels = _generate(estimator, n_per_cluster)
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        form = {
            "image_shape": image_shape,
            "feature_names": feature_names,
            "name": name,
        }
        return cls(samples, labels, **form).plot(ax, n_columns=n_per_cluster, **kwargs)

    def plot(self, ax=None, *, n_columns: int = 10, **kwargs) -> Self:
        """Draw by ``Axes.imshow`` for images or ``Axes.plot`` for profiles, with ``kwargs``.

        A row has at most `n_columns` images, and a panel as many profiles.
        """
        samples = self.samples.toarray() if issparse(self.samples) else self.samples
        samples = check_shape("samples", samples, "n_samples", "n_features")
        names, index = group_rows(self.labels, len(samples))
        draw = self._plot_profiles if self.image_shape is None else self._plot_images
        draw(ax, samples, names, index, n_columns, kwargs)
        return self

    def _plot_images(self, ax, samples, names, index, n_columns, kwargs):
        rows = [np.flatnonzero(index == k)[:n_columns] for k in range(len(names))]
        if self.labels is None:
            names = []
            rows = np.split(
                np.arange(len(samples)), range(n_columns, len(samples), n_columns)
            )
        size = IMAGE_SIZE * max(map(len, rows)) + 0.8, IMAGE_SIZE * len(rows) + 0.5
        self.axes_ = [self._open(ax, size)]
        self.image_ = draw_images(
            self.ax_, samples, self.image_shape, rows, names, kwargs
        )

    def _plot_profiles(self, ax, samples, names, index, n_lines, kwargs):
        columns = getattr(self.samples, "columns", None)
        feature_names = name_features(samples.shape[1], self.feature_names, columns)
        self.image_, size = None, (2.6, 2.0 if feature_names is None else 2.4)
        self.axes_ = self._open_panels(ax, size, len(names), MAX_COLUMNS)
        style = {
            "alpha": 0.5,
            "lw": 0.8,
            "marker": "o" if samples.shape[1] == 1 else "",
            **kwargs,
        }
        for k, (panel, color) in enumerate(
            zip(self.axes_, choose_colors(names)[0], strict=True)
        ):
            members = samples[index == k]
            panel.sharey(self.axes_[0])
            panel.plot(members[:n_lines].T, **{"color": color, **style})
            panel.plot(
                members.mean(axis=0),
                color="black",
                marker=style["marker"],
                label="mean",
            )
            title = "" if self.labels is None else f"cluster {names[k]}"
            panel.set_title(title, fontsize="medium")
            panel.set_ylabel("value")
            label_features(panel, feature_names)
            panel.label_outer()
        self.axes_[0].legend(fontsize="small", frameon=False, handlelength=1)


def _generate(estimator, n_per_cluster):
    """Return generated samples, and their clusters if the estimator gives them, or None."""
    n_clusters = getattr(
        estimator, "n_clusters_", getattr(estimator, "n_components", 1)
    )
    if "cluster" in inspect.signature(estimator.sample).parameters:
        drawn = [estimator.sample(n_per_cluster, cluster=k) for k in range(n_clusters)]
        return np.concatenate(drawn), np.repeat(np.arange(n_clusters), n_per_cluster)
    n_samples = n_per_cluster * n_clusters
    drawn = estimator.sample(OVERSAMPLING * n_samples)
    return drawn if isinstance(drawn, tuple) else (drawn[:n_samples], None)


def draw_images(ax, samples, image_shape, rows, names, kwargs):
    """Draw rows of images, given by their positions in ``samples``, with a name for each row."""
    picture, height = make_mosaic(samples, image_shape, rows)
    image = ax.imshow(picture, **{"cmap": "gray_r", **kwargs})
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(names)) * height + height / 2 - 1, names)
    ax.set_ylabel("cluster" if len(names) else "")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def make_mosaic(samples, image_shape, rows):
    """Return rows of images as one masked picture, and the height of a row in pixels."""
    tiles = _to_images(samples, image_shape)
    height, width = tiles.shape[1] + 1, tiles.shape[2] + 1
    shape = len(rows) * height - 1, max(map(len, rows)) * width - 1, *tiles.shape[3:]
    grid = np.ma.array(np.zeros(shape), mask=True)
    for r, row in enumerate(rows):
        for c, tile in enumerate(tiles[row]):
            top, left = r * height, c * width
            grid[top : top + height - 1, left : left + width - 1] = tile
    return grid.filled(1.0) if grid.ndim == 3 else grid, height


def _to_images(samples, image_shape):
    """Return samples as images, (height, width) or (height, width, 3) in [0, 1]."""
    shape = tuple(np.atleast_1d(image_shape).tolist())
    has_channels = len(shape) == 3 and not {shape[0], shape[2]}.isdisjoint({1, 3})
    if not (len(shape) == 2 or has_channels) or math.prod(shape) != samples.shape[1]:
        raise ValueError(
            f"image_shape={image_shape} does not fit samples of {samples.shape[1]} features. Give "
            "(height, width), with 1 or 3 channels before or after them for color."
        )
    tiles = samples.reshape(-1, *shape)
    if not has_channels:
        return tiles
    tiles = np.moveaxis(tiles, 1, -1) if shape[0] in (1, 3) else tiles
    if tiles.shape[-1] == 1:
        return tiles[..., 0]
    return np.clip(tiles / find_white(samples), 0, 1)


def find_white(samples):
    """Return the value of white in color images, 255 or 1."""
    return 255 if samples.max() > 2 else 1
