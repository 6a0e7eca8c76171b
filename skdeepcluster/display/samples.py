"""SamplesDisplay: samples as images or profiles."""

import inspect
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
#: Number of samples from a generator that takes no cluster, so that small ones get enough.
N_GENERATED = 1000
#: Maximum number of panels of profiles beside each other.
MAX_PANELS = 5
#: Maximum number of feature names written along an axis, and of characters of a name.
MAX_NAMES = 15
MAX_LENGTH = 20


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

        Clusters that the estimator hardly generates may get fewer than `n_per_cluster` samples, or
        none. The default of `image_shape` is that of the estimator.
        """
        last, name = take_last_step(estimator, name)
        samples, labels = _generate_clusters(estimator, n_per_cluster)
        names = name_features(samples.shape[1], feature_names, None, estimator)
        display = cls(
            samples,
            labels,
            image_shape=image_shape or getattr(last, "image_shape", None),
            feature_names=names,
            name=name,
        )
        return display.plot(ax, n_columns=n_per_cluster, **kwargs)

    def plot(self, ax=None, *, n_columns: int = 10, **kwargs) -> Self:
        """Draw by ``Axes.imshow`` for images or ``Axes.plot`` for profiles, with ``kwargs``.

        A row has at most `n_columns` images, and a panel as many profiles.
        """
        samples = np.asarray(to_array(self.samples))
        if self.image_shape is None:
            self._plot_profiles(ax, samples, n_columns, kwargs)
        else:
            self._plot_images(ax, samples, n_columns, kwargs)
        return self

    def _plot_images(self, ax, samples, n_columns, kwargs):
        """Draw a row of images for each cluster."""
        names, index, _ = group_samples(samples, self.labels)
        if self.labels is None:
            names = []
            index = np.arange(len(samples)) // n_columns

        images = _shape_images(samples, self.image_shape)
        rows = [images[index == k][:n_columns] for k in np.unique(index)]
        picture = _join_images(rows)

        width = IMAGE_SIZE * max(map(len, rows)) + 0.8
        ax = self._open(ax, (width, IMAGE_SIZE * len(rows) + 0.5))
        self.axes_ = [ax]
        self.image_ = ax.imshow(picture, **{"cmap": "gray_r", **kwargs})

        height = (len(picture) + 1) / len(rows)
        ax.set(xticks=[], ylabel="cluster" if len(names) else "")
        ax.set_yticks((np.arange(len(names)) + 0.5) * height - 1, names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)

    def _plot_profiles(self, ax, samples, n_lines, kwargs):
        """Draw a panel of profiles for each cluster."""
        names, index, colors = group_samples(samples, self.labels)
        self.image_ = None
        self.axes_ = self._open_panels(ax, len(names))
        for k, panel in enumerate(self.axes_):
            members = samples[index == k]
            style = {"color": colors[k], "alpha": 0.5, "lw": 0.8, **kwargs}
            panel.plot(members[:n_lines].T, **style)
            panel.plot(members.mean(axis=0), color="black", label="mean")
            if self.labels is not None:
                panel.set_title(f"cluster {names[k]}", fontsize="medium")
            panel.set(xlabel="feature", ylabel="value")
            panel.label_outer()

        first = self.axes_[0]
        first.legend(fontsize="small", frameon=False, handlelength=1)
        first.locator_params(axis="x", nbins=5, integer=True, min_n_ticks=1)
        n_features = samples.shape[1]
        features = name_features(n_features, self.feature_names, self.samples)
        if features is not None:
            step = ceil(n_features / MAX_NAMES)
            ticks = range(0, n_features, step)
            texts = [name[:MAX_LENGTH] for name in features[::step]]
            first.set_xticks(ticks, texts)
            for panel in self.axes_:
                panel.tick_params("x", rotation=90, labelsize="small")
                panel.set_xlabel("")

    def _open_panels(self, ax, n_panels):
        """Return panels with the same limits, in place of the given axes."""
        n_rows = ceil(n_panels / MAX_PANELS)
        n_columns = ceil(n_panels / n_rows)
        ax = self._open(ax, (2.6 * n_columns, 2.6 * n_rows + 0.8))
        ax.set_axis_off()
        ax.set_title("")

        figure = ax.figure.add_subfigure(ax.get_subplotspec())
        figure.suptitle(self.name or "")
        shared = {"sharex": True, "sharey": True, "squeeze": False}
        panels = figure.subplots(n_rows, n_columns, **shared).ravel()
        for panel in panels[n_panels:]:
            panel.remove()
        return list(panels[:n_panels])


def _generate_clusters(estimator, n_per_cluster):
    """Return generated samples, and their clusters if the estimator gives them, or None."""
    if "cluster" not in inspect.signature(estimator.sample).parameters:
        drawn = estimator.sample(N_GENERATED)
        return drawn if isinstance(drawn, tuple) else (drawn[:n_per_cluster], None)

    clusters = range(estimator.n_clusters_)
    drawn = [estimator.sample(n_per_cluster, cluster=k)[0] for k in clusters]
    return np.concatenate(drawn), np.repeat(clusters, n_per_cluster)


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
