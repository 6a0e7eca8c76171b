"""TraversalDisplay: what each code of a generator changes."""

from typing import Self

import numpy as np

from .axes import (
    check_fitted,
    choose_grid,
    divide_axes,
    label_features,
    make_axes,
    measure_names,
    name_estimator,
    name_features,
    read_names,
)
from .samples import draw_mosaic, make_mosaic

#: Most panels side by side.
MOST_COLUMNS = 3
#: Values that continuous codes go through by default.
SWEEP = np.linspace(-2, 2, 9)


class TraversalDisplay:
    """Grids of generated rows: one row of the grid per cluster, a code changing along it.

    Parameters
    ----------
    grids : mapping of str to array-like of shape (n_rows, n_columns, n_features)
        Title of a panel -> its rows.
    image_shape : tuple of int, default=None
        (height, width), (channels, height, width) or (height, width, channels) of an image. None
        draws profiles: value against feature, averaged over the rows of a grid, a line per column.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features, below profiles.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each grid.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn; the axes hold the panels.

    See Also
    --------
    SamplesDisplay : Rows of every cluster.
    skdeepcluster.InfoGANClustering.code_report : What each code changes, in numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skdeepcluster.display import TraversalDisplay
    >>> grid = np.random.default_rng(0).uniform(size=(3, 5, 64))
    >>> display = TraversalDisplay({"continuous0": grid}, image_shape=(8, 8)).plot()
    >>> list(display.axes_)
    ['continuous0']
    >>> plt.close("all")
    """

    def __init__(
        self,
        grids,
        *,
        image_shape: tuple[int, ...] | None = None,
        feature_names=None,
        name: str | None = None,
    ) -> None:
        self.grids = grids
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        codes=None,
        values=SWEEP,
        n_noise: int = 10,
        beside=None,
        image_shape: tuple[int, ...] | None = None,
        feature_names=None,
        name: str | None = None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw clusters against noise, and every continuous code against its values.

        Parameters
        ----------
        estimator : fitted estimator with ``sample``, ``traverse`` and ``code_names_``
            An InfoGANClustering.
        codes : list of str, default=None
            Codes that are swept, of ``code_names_``; "cluster" is always drawn. None: the
            continuous ones.
        values : array-like, default=nine values from -2 to 2
            What continuous codes go through.
        n_noise : int, default=10
            Columns of the grid of clusters: each has its noise, the same for all clusters.
        beside : fitted estimator, default=None
            Another one, for instance with ``mi_weight=0``, whose clusters are drawn beside.
        image_shape, feature_names
            The form of the rows, see `TraversalDisplay`.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : TraversalDisplay
        """
        check_fitted(estimator)
        if not hasattr(estimator, "traverse"):
            raise ValueError(
                f"{type(estimator).__name__} has no traverse method; "
                "pass grids of rows to TraversalDisplay(grids)."
            )
        known = estimator.code_names_
        codes = [c for c in known if c.startswith("continuous")] if codes is None else codes
        clusters = {"cluster": estimator}
        if beside is not None:
            clusters["cluster, the other model"] = beside
        grids = {
            title: np.swapaxes(model.traverse("cluster", n_samples=n_noise), 0, 1)
            for title, model in clusters.items()
        }
        for code in [code for code in codes if code != "cluster"]:
            swept = values if code.startswith("continuous") else None
            n_clusters = getattr(estimator, "n_clusters_", estimator.n_clusters)
            rows = [estimator.traverse(code, swept, cluster=k)[0] for k in range(n_clusters)]
            grids[code] = np.stack(rows)
        name = name_estimator(estimator) if name is None else name
        if feature_names is None:
            feature_names = read_names(estimator)
        display = cls(grids, image_shape=image_shape, feature_names=feature_names, name=name)
        display.plot(ax=ax, **kwargs)
        display._explain_panels(clusters, values)
        return display

    def _explain_panels(self, clusters, values):
        """Say in the titles of the panels what the columns, or the colours of lines, stand for."""
        start, end = ("dark", "light") if self.image_shape is None else ("left", "right")
        for title, panel in self.axes_.items():
            if title in clusters:
                text = "dark to light" if self.image_shape is None else "a column for each noise"
            elif title.startswith("continuous"):
                text = f"{values[0]:g} ({start}) to {values[-1]:g} ({end})"
            else:
                text = f"categories from {start} to {end}"
            panel.set_title(f"{title}, {text}", fontsize="medium")
            if self.image_shape is not None:
                panel.set_ylabel("cluster")

    def plot(self, ax=None, *, name: str | None = None, **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        **kwargs : dict
            Passed to ``Axes.imshow`` for images, to ``Axes.plot`` for profiles.

        Returns
        -------
        display : TraversalDisplay
            The display itself.
        """
        if not isinstance(self.grids, dict):
            raise ValueError(
                f"grids must be a dict of arrays by their titles, got {type(self.grids).__name__}."
            )
        grids = {title: np.asarray(grid) for title, grid in self.grids.items()}
        for title, grid in grids.items():
            if grid.ndim != 3 or not grid.size:
                raise ValueError(
                    f"Grid {title!r} must be (n_rows, n_columns, n_features), got {grid.shape}."
                )
        if not grids:
            raise ValueError("There are no grids to draw.")
        title = self.name if name is None else name
        n_rows, n_columns = choose_grid(len(grids), MOST_COLUMNS)
        names = None if self.image_shape is not None else self.feature_names
        height = n_rows * (4.6 + measure_names(name_features(names, None, grid.shape[2]))) + 0.4
        self.figure_, self.ax_ = make_axes(ax, (4.4 * n_columns, height))
        places = divide_axes(self.ax_, len(grids), MOST_COLUMNS, name=title or "")
        self.axes_ = dict(zip(grids, places, strict=True))
        draw = self._plot_profiles if self.image_shape is None else self._plot_images
        for title, grid in grids.items():
            # One line for each value of the code: these are the rows of the grid of clusters and
            # the columns of the others.
            by_row = self.image_shape is None and title.startswith("cluster")
            draw(self.axes_[title], np.swapaxes(grid, 0, 1) if by_row else grid, kwargs)
            self.axes_[title].set_title(title, fontsize="medium")
        return self

    def _plot_images(self, panel, grid, kwargs):
        n_rows, n_columns, n_features = grid.shape
        rows = np.arange(n_rows * n_columns).reshape(n_rows, n_columns)
        samples = grid.reshape(-1, n_features)
        picture, (height, _) = make_mosaic(samples, self.image_shape, rows)
        draw_mosaic(panel, picture, height, range(n_rows), kwargs)

    def _plot_profiles(self, panel, grid, kwargs):
        import matplotlib.pyplot as plt

        profiles = grid.mean(axis=0)
        colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(profiles)))
        for color, profile in zip(colors, profiles, strict=True):
            panel.plot(np.arange(len(profile)), profile, **{"color": color, "lw": 1.0, **kwargs})
        panel.set_ylabel("value")
        label_features(panel, name_features(self.feature_names, None, len(profiles[0])))
