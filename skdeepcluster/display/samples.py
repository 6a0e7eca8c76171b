"""SamplesDisplay: samples as images or curves, a row for each cluster."""

from dataclasses import KW_ONLY, dataclass
from math import ceil, prod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .base import (
    Display,
    group_samples,
    name_features,
    take_last_step,
    to_array,
)

#: Width and height of an image in inches.
IMAGE_SIZE = 0.55
#: Width of a row of curves in inches, and its height.
CURVE_WIDTH = 6.4
CURVE_HEIGHT = 0.8
#: Share of the height of a row that curves fill.
FILLED = 0.9
#: Maximum number of feature names written along an axis.
MAX_NAMES = 15


@dataclass(eq=False, repr=False)
class SamplesDisplay(Display):
    """Samples of each cluster in a row: as images, or as curves over the features.

    Parameters
    ----------
    samples : {array-like, sparse matrix} of shape (n_samples, n_features)
        Generated or observed samples.
    labels : array-like of shape (n_samples,), default=None
        Clusters. None fills the rows in the order of the samples.
    image_shape : tuple of int, default=None
        (height, width), (channels, height, width) or (height, width, channels) of an image, with
        1 or 3 channels. None draws curves, value against feature, with their mean in black; all
        rows have the same scale.
    feature_names : array-like of str of shape (n_features,), default=None
        Names below the curves; None takes the columns of a DataFrame.
    name : str, default=None

    Attributes
    ----------
    image_ : matplotlib AxesImage or None
        The images, None for curves.

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
        """Draw samples of each cluster that a fitted estimator generates.

        It calls ``sample(n_per_cluster, cluster=k)``. The default of `image_shape` is that of the
        estimator.
        """
        last, name = take_last_step(estimator, name)
        clusters = range(last.n_clusters_)
        drawn = [last.sample(n_per_cluster, cluster=k)[0] for k in clusters]
        samples = np.concatenate(drawn)
        if image_shape is None:
            image_shape = last.get_params().get("image_shape")
        display = cls(
            samples,
            np.repeat(clusters, n_per_cluster),
            image_shape=image_shape,
            feature_names=name_features(samples.shape[1], feature_names, drawn[0]),
            name=name,
        )
        return display.plot(ax, n_columns=n_per_cluster, **kwargs)

    def plot(self, ax=None, *, n_columns: int = 10, **kwargs) -> Self:
        """Draw at most `n_columns` samples of each cluster.

        ``Axes.imshow`` for images, or ``Axes.plot`` for curves, takes ``kwargs``.
        """
        samples = np.asarray(to_array(self.samples))
        names, index, colors = group_samples(samples, self.labels)
        if self.labels is None:
            index = np.arange(len(samples)) // n_columns
            colors = colors * (index[-1] + 1)
        if self.image_shape is not None:
            samples = _shape_images(samples, self.image_shape)
        rows = [samples[index == k] for k in np.unique(index)]

        if self.image_shape is None:
            ax = self._open(ax, (CURVE_WIDTH, CURVE_HEIGHT * (len(rows) + 1)))
            self._draw_curves(rows, n_columns, colors, kwargs)
        else:
            rows = [row[:n_columns] for row in rows]
            width = IMAGE_SIZE * max(map(len, rows)) + 0.8
            ax = self._open(ax, (width, IMAGE_SIZE * len(rows) + 0.5))
            self._draw_images(rows, kwargs)

        ax.set_yticks([])
        if self.labels is not None:
            ax.set_yticks(np.arange(len(names)) + 0.5, names)
            ax.set_ylabel("cluster")
        ax.tick_params("y", length=0)
        ax.spines[:].set_visible(False)
        return self

    def _draw_images(self, rows, kwargs):
        """Draw the images of each row, which is one unit high."""
        picture = _join_images(rows)
        height, width = np.array(picture.shape[:2]) / (rows[0].shape[1] + 1)
        style = {"cmap": "gray_r", "extent": (0, width, height, 0), **kwargs}
        self.image_ = self.ax_.imshow(picture, **style)
        self.ax_.set_xticks([])

    def _draw_curves(self, rows, n_columns, colors, kwargs):
        """Draw the curves of each row, which is one unit high."""
        ax = self.ax_
        self.image_ = None
        low = min(row.min() for row in rows)
        spread = max(row.max() for row in rows) - low or 1.0
        for k, row in enumerate(rows):
            curves = (row - low) / spread * FILLED + (1 - FILLED) / 2
            heights = k + 1 - curves
            style = {"color": colors[k], "alpha": 0.5, "lw": 0.8, **kwargs}
            ax.plot(heights[:n_columns].T, **style)
            ax.plot(heights.mean(axis=0), color="black")

        n_features = rows[0].shape[1]
        features = name_features(n_features, self.feature_names, self.samples)
        ax.set_ylim(len(rows), 0)
        ax.set_xlabel("feature")
        if features is not None:
            step = ceil(n_features / MAX_NAMES)
            positions = range(0, n_features, step)
            ax.set_xticks(positions, features[::step], rotation=90)


# ---- images


def _shape_images(samples, image_shape):
    """Return samples as images, (N, height, width) or (N, height, width, 3) in [0, 1]."""
    shape = [1, *image_shape][-3:]
    n_features = samples.shape[1]
    has_channels = len(shape) == 3 and {1, 3} & {shape[0], shape[2]}
    if not has_channels or prod(image_shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape} does not fit samples of {n_features} features. Give "
            "(height, width), with 1 or 3 channels before or after them."
        )

    images = samples.reshape(-1, *shape)
    if shape[0] in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.shape[-1] == 1:
        return images[..., 0]

    white = 255 if samples.max() > 2 else 1
    return np.clip(images / white, 0, 1)


def _join_images(rows):
    """Return rows of images as one picture, masked or white between them."""
    _, height, width, *channels = rows[0].shape
    down = height + 1
    right = width + 1
    n_columns = max(map(len, rows))
    shape = len(rows) * down - 1, n_columns * right - 1, *channels
    picture = np.ma.array(np.zeros(shape), mask=True)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            picture[i * down :, j * right :][:height, :width] = image
    return picture.filled(1.0) if channels else picture
