"""SamplesDisplay and TraversalDisplay: samples as images or profiles."""

import inspect
import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .base import (
    Display,
    group_samples,
    label_profiles,
    name_features,
    take_last_step,
    to_array,
)

#: Width and height of an image in inches.
IMAGE_SIZE = 0.55
#: Factor of the number of generated samples, so that small clusters get enough.
OVERSAMPLING = 5
#: Values of continuous codes by default.
CODE_VALUES = np.linspace(-2, 2, 9)


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

        Very small clusters may get fewer than `n_per_cluster` samples.
        """
        _, name = take_last_step(estimator, name)
        samples, labels = _generate(estimator, n_per_cluster)
        n_features = samples.shape[1]
        display = cls(
            samples,
            labels,
            image_shape=image_shape,
            feature_names=name_features(n_features, feature_names, None, estimator),
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
        names, index, *_ = group_samples(samples, self.labels)
        if self.labels is None:
            names = []
            index = np.arange(len(samples)) // n_columns

        rows = [samples[index == k][:n_columns] for k in np.unique(index)]
        width = IMAGE_SIZE * max(map(len, rows)) + 0.8
        height = IMAGE_SIZE * len(rows) + 0.5
        ax = self._open(ax, (width, height))
        self.axes_ = [ax]
        self.image_ = draw_images(ax, rows, self.image_shape, names, kwargs)

    def _plot_profiles(self, ax, samples, n_lines, kwargs):
        n_features = samples.shape[1]
        feature_names = name_features(n_features, self.feature_names, self.samples)
        names, index, colors, _ = group_samples(samples, self.labels)
        titles = [""] if self.labels is None else [f"cluster {k}" for k in names]

        size = 2.6, 2.0 if feature_names is None else 2.4
        style = {"alpha": 0.5, "lw": 0.8, **kwargs}

        self.image_ = None
        self.axes_ = self._open_panels(ax, size, titles, max_columns=5)
        for k, panel in enumerate(self.axes_):
            members = samples[index == k]
            panel.sharey(self.axes_[0])
            panel.plot(members[:n_lines].T, **{"color": colors[k], **style})
            panel.plot(members.mean(axis=0), color="black", label="mean")
            label_profiles(panel, feature_names)
            panel.label_outer()
        self.axes_[0].legend(fontsize="small", frameon=False, handlelength=1)


def _generate(estimator, n_per_cluster):
    """Return generated samples, and their clusters if the estimator gives them, or None."""
    n_clusters = getattr(estimator, "n_components", 1)
    n_clusters = getattr(estimator, "n_clusters_", n_clusters)
    if "cluster" in inspect.signature(estimator.sample).parameters:
        clusters = range(n_clusters)
        drawn = [estimator.sample(n_per_cluster, cluster=k) for k in clusters]
        return np.concatenate(drawn), np.repeat(clusters, n_per_cluster)

    n_samples = n_per_cluster * n_clusters
    drawn = estimator.sample(OVERSAMPLING * n_samples)
    return drawn if isinstance(drawn, tuple) else (drawn[:n_samples], None)


@dataclass(eq=False, repr=False)
class TraversalDisplay(Display):
    """Grids of generated samples: one row per cluster, along which a code changes.

    Parameters
    ----------
    grids : dict of str to array-like of shape (n_rows, n_columns, n_features)
        Samples of each panel, by its title.
    image_shape : tuple of int, default=None
        Shape of an image, see `SamplesDisplay`. None draws one profile per column, averaged over
        the rows of a grid.
    feature_names : array-like of str of shape (n_features,), default=None
        Names below the profiles.
    name : str, default=None

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each grid.

    See Also
    --------
    skdeepcluster.InfoGANClustering.traverse : The samples that are drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.display import TraversalDisplay
    >>> grid = np.random.default_rng(0).uniform(size=(3, 5, 64))
    >>> display = TraversalDisplay({"continuous0": grid}, image_shape=(8, 8)).plot()
    >>> list(display.axes_)
    ['continuous0']
    """

    grids: Any
    _: KW_ONLY
    image_shape: tuple[int, ...] | None = None
    feature_names: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        codes=None,
        values=CODE_VALUES,
        n_noise: int = 10,
        image_shape: tuple[int, ...] | None = None,
        feature_names=None,
        name=None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw each cluster of an InfoGANClustering with `n_noise` noise vectors, and its `codes`.

        By default these are the continuous codes, with nine `values` from -2 to 2.
        """
        _, name = take_last_step(estimator, name)
        if codes is None:
            codes = [c for c in estimator.code_names_ if c.startswith("continuous")]

        grid = estimator.traverse("cluster", n_samples=n_noise)
        feature_names = name_features(grid.shape[2], feature_names, None, estimator)
        order = "dark to light"
        titles = {"cluster": f"cluster, {order}"}
        grids = {"cluster": grid}
        if image_shape is not None:
            # A row for each cluster, a column for each noise vector.
            grids["cluster"] = np.swapaxes(grid, 0, 1)
            order = "left to right"
            titles["cluster"] = "cluster, one column per noise vector"

        for code in codes:
            if code == "cluster":
                continue
            swept = None
            ends = "categories"
            if code.startswith("continuous"):
                swept = values
                ends = f"{values[0]:g} to {values[-1]:g}"
            clusters = range(grid.shape[1])
            rows = [estimator.traverse(code, swept, cluster=k)[0] for k in clusters]
            grids[code] = np.stack(rows)
            titles[code] = f"{code}, {ends}, {order}"

        display = cls(
            grids, image_shape=image_shape, feature_names=feature_names, name=name
        )
        display.plot(ax, **kwargs)
        for code, panel in display.axes_.items():
            panel.set_title(titles[code], fontsize="medium")
        return display

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.imshow`` for images or ``Axes.plot`` for profiles, with ``kwargs``."""
        grids = list(map(np.asarray, self.grids.values()))
        size = 5.0, 3.6
        max_columns = 2
        if self.image_shape is not None:
            max_columns = 3
            n_rows, n_columns, _ = np.max([grid.shape for grid in grids], axis=0)
            width = max(IMAGE_SIZE * n_columns + 0.8, 4.2)
            size = width, IMAGE_SIZE * n_rows + 0.6

        panels = self._open_panels(ax, size, self.grids, max_columns)
        self.axes_ = dict(zip(self.grids, panels, strict=True))
        for panel, grid in zip(panels, grids, strict=True):
            if self.image_shape is None:
                self._plot_profiles(panel, grid, kwargs)
            else:
                rows = range(len(grid))
                draw_images(panel, grid, self.image_shape, rows, kwargs)
        return self

    def _plot_profiles(self, panel, grid, kwargs):
        from matplotlib import colormaps

        profiles = grid.mean(axis=0)
        shades = colormaps["viridis"](np.linspace(0, 0.9, len(profiles)))
        for profile, shade in zip(profiles, shades, strict=True):
            panel.plot(profile, **{"color": shade, "lw": 1.0, **kwargs})
        label_profiles(panel, name_features(grid.shape[2], self.feature_names))


# ---- images


def draw_images(ax, rows, image_shape, names, kwargs):
    """Draw rows of images, each an array of samples, with their names."""
    picture = make_mosaic(rows, image_shape)
    image = ax.imshow(picture, **{"cmap": "gray_r", **kwargs})
    height = (len(picture) + 1) / len(rows)
    ax.set_xticks([])
    ax.set_yticks((np.arange(len(names)) + 0.5) * height - 1, names)
    ax.set_ylabel("cluster" if len(names) else "")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def make_mosaic(rows, image_shape):
    """Return rows of images as one picture, masked between them."""
    tiles = _to_images(np.concatenate(rows), image_shape)
    _, height, width, *channels = tiles.shape
    down = height + 1
    right = width + 1

    n_columns = max(map(len, rows))
    shape = len(rows) * down - 1, n_columns * right - 1, *channels
    grid = np.ma.array(np.zeros(shape), mask=True)
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    for (i, j), tile in zip(places, tiles, strict=True):
        grid[i * down :, j * right :][:height, :width] = tile
    return grid.filled(1.0) if channels else grid


def _to_images(samples, image_shape):
    """Return samples as images, (height, width) or (height, width, 3) in [0, 1]."""
    shape = list(image_shape)
    if len(shape) == 2:
        shape = [1, *shape]

    n_features = samples.shape[1]
    has_channels = len(shape) == 3 and not {shape[0], shape[2]}.isdisjoint({1, 3})
    if not has_channels or math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape} does not fit samples of {n_features} features. Give "
            "(height, width), with 1 or 3 channels before or after them for color."
        )

    tiles = samples.reshape(-1, *shape)
    if shape[0] in (1, 3):
        tiles = np.moveaxis(tiles, 1, -1)
    if tiles.shape[-1] == 1:
        return tiles[..., 0]
    return np.clip(tiles / find_white(samples), 0, 1)


def find_white(samples):
    """Return the value of white in color images, 255 or 1."""
    return 255 if samples.max() > 2 else 1
