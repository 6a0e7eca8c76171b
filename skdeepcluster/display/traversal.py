"""TraversalDisplay: what each code of a generator changes."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .base import (
    Display,
    check_has,
    check_shape,
    label_features,
    name_features,
    take_last_step,
)
from .samples import IMAGE_SIZE, draw_images

#: Maximum number of panels side by side.
MAX_COLUMNS = 2
#: Values of continuous codes by default.
SWEEP = np.linspace(-2, 2, 9)


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
    skdeepcluster.InfoGANClustering.code_report : What each code changes, in numbers.

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
        values=SWEEP,
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
        check_has(estimator, "traverse")
        if codes is None:
            codes = [
                code for code in estimator.code_names_ if code.startswith("continuous")
            ]
        grid = estimator.traverse("cluster", n_samples=n_noise)
        clusters, order = range(grid.shape[1]), "dark to light"
        titles = {"cluster": f"cluster, {order}"}
        if (
            image_shape is not None
        ):  # a row for each cluster, a column for each noise vector
            grid, order = np.swapaxes(grid, 0, 1), "left to right"
            titles = {"cluster": "cluster, one column per noise vector"}
        grids = {"cluster": grid}
        for code in [code for code in codes if code != "cluster"]:
            swept, ends = None, "categories"
            if code.startswith("continuous"):
                swept, ends = values, f"{values[0]:g} to {values[-1]:g}"
            samples = [estimator.traverse(code, swept, cluster=k)[0] for k in clusters]
            grids[code], titles[code] = np.stack(samples), f"{code}, {ends}, {order}"
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        form = {
            "image_shape": image_shape,
            "feature_names": feature_names,
            "name": name,
        }
        display = cls(grids, **form).plot(ax, **kwargs)
        for code, title in titles.items():
            display.axes_[code].set_title(title, fontsize="medium")
        return display

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.imshow`` for images or ``Axes.plot`` for profiles, with ``kwargs``."""
        shape = "n_rows", "n_columns", "n_features"
        grids = {
            t: check_shape(f"grid {t!r}", grid, *shape)
            for t, grid in self.grids.items()
        }
        draw, size = self._plot_profiles, (5.0, 3.6)
        if self.image_shape is not None:
            n_rows, n_columns, _ = np.max(
                [grid.shape for grid in grids.values()], axis=0
            )
            size = max(IMAGE_SIZE * n_columns + 0.8, 4.2), IMAGE_SIZE * n_rows + 0.6
            draw = self._plot_images
        panels = self._open_panels(ax, size, len(grids), MAX_COLUMNS)
        self.axes_ = dict(zip(grids, panels, strict=True))
        for title, grid in grids.items():
            draw(self.axes_[title], grid, kwargs)
            self.axes_[title].set_title(title, fontsize="medium")
        return self

    def _plot_images(self, panel, grid, kwargs):
        samples, rows = grid.reshape(-1, grid.shape[2]), np.arange(grid[..., 0].size)
        rows = rows.reshape(grid.shape[:2])
        draw_images(panel, samples, self.image_shape, rows, range(len(rows)), kwargs)

    def _plot_profiles(self, panel, grid, kwargs):
        from matplotlib import colormaps

        profiles = grid.mean(axis=0)
        colors = colormaps["viridis"](np.linspace(0, 0.9, len(profiles)))
        for profile, color in zip(profiles, colors, strict=True):
            panel.plot(profile, **{"color": color, "lw": 1.0, **kwargs})
        panel.set_ylabel("value")
        label_features(panel, name_features(grid.shape[2], self.feature_names))
