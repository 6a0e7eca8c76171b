"""Base class of the displays, and their colors, panels and names of features."""

from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# Ten colors that differ by at least 38 in CIELAB, and by 27 for color-blind people (Machado,
# Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency").
COLORS = (
    *("#3084fc", "#783018", "#78e4cc", "#f06c78", "#60249c"),
    *("#788400", "#f0cc78", "#244848", "#c0c0fc", "#a8609c"),
)
#: Color of noise, which is in no cluster.
NOISE = "0.6"
#: Markers: each is used with all colors before the next one.
MARKERS = "o^sDvP*X<>"
#: Maximum number of feature names written along an axis.
MAX_NAMES = 15
#: Maximum number of characters of a feature name.
MAX_NAME_LENGTH = 20


@dataclass(eq=False, repr=False)
class Display:
    """Base class of the displays.

    ``from_estimator`` and ``from_predictions`` pass ``ax`` and further keywords to ``plot``.

    Parameters
    ----------
    name : str, default=None
        Title. ``from_estimator`` takes the class of the estimator by default.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        The axes given to ``plot`` as ``ax``; None makes a new figure.
    """

    name: str | None = field(default=None, kw_only=True)

    def _open(self, ax, size):
        """Set and return the axes: the given ones, or new ones of a size in inches."""
        if ax is None:
            ax = import_matplotlib("pyplot").subplots(
                figsize=size, layout="constrained"
            )[1]
        self.figure_, self.ax_ = ax.figure, ax
        ax.set_title(self.name or "")
        return ax

    def _open_panels(self, ax, size, n_panels, max_columns):
        """Return panels, of a size in inches, in place of the axes."""
        n_rows = -(-n_panels // max_columns)
        n_columns = -(-n_panels // n_rows)
        ax = self._open(ax, (size[0] * n_columns, size[1] * n_rows + 0.4))
        ax.set_axis_off()
        # The title has a row of its own, where it does not overlap the titles of the panels.
        heights = [0.001, *[1] * n_rows]
        grid = ax.get_subplotspec().subgridspec(
            n_rows + 1, n_columns, height_ratios=heights
        )
        title = ax.figure.add_subplot(grid[0, :])
        title.set_axis_off()
        title.set_title(ax.get_title())
        ax.set_title("")
        places = [grid[1 + k // n_columns, k % n_columns] for k in range(n_panels)]
        return [ax.figure.add_subplot(place) for place in places]


def import_matplotlib(module):
    """Return a module of matplotlib; ImportError says how to install it."""
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib: pip install matplotlib."
        ) from error


def take_last_step(estimator, name=None):
    """Return the last step of a fitted Pipeline, or the estimator, and ``name`` or its class."""
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator, type(estimator).__name__ if name is None else name


def check_has(estimator, *names, remedy="Pass arrays to the display instead."):
    """Raise ValueError if an estimator lacks an attribute."""
    if missing := [name for name in names if not hasattr(estimator, name)]:
        kind = type(estimator).__name__
        raise ValueError(f"{kind} has no {' and no '.join(missing)}. {remedy}")


def check_shape(name, values, *shape, dtype=None):
    """Return an array of this shape, where a string stands for any size except 0."""
    array = np.asarray(values, dtype=dtype)
    fits = array.ndim == len(shape) and all(
        found > 0 if isinstance(size, str) else found == size
        for found, size in zip(array.shape, shape, strict=True)
    )
    if not fits:
        expected = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
        raise ValueError(f"{name} must have shape ({expected}), got {array.shape}.")
    return array


def draw_legend(ax):
    """Draw a legend to the right of the axes, with a column for each 18 entries."""
    n_columns = -(-len(ax.get_legend_handles_labels()[0]) // 18)
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
    return ax.legend(ncols=n_columns, frameon=False, **place)


def group_rows(labels, n_samples):
    """Return the sorted distinct labels and the index of each sample's label, (N,)."""
    if labels is None:
        return np.array([""]), np.zeros(n_samples, dtype=int)
    return np.unique(check_shape("labels", labels, n_samples), return_inverse=True)


def choose_colors(names):
    """Return the color and the marker of each label from `group_rows`.

    Cluster k always has color k, noise is gray, and other labels are colored in their order.
    """
    places = np.arange(len(names))
    if names.dtype.kind in "iu" and names[0] >= -1 and names[-1] < 2 * len(names):
        places = names
    colors = [NOISE if k < 0 else COLORS[k % len(COLORS)] for k in places]
    return colors, [MARKERS[max(k, 0) // len(COLORS) % len(MARKERS)] for k in places]


def name_features(n_features, *sources):
    """Return the names of the features from the first source that is not None, or None."""
    names = next((names for names in sources if names is not None), None)
    if names is None:
        return None
    return [
        str(name)
        for name in check_shape("feature_names", names, n_features, dtype=object)
    ]


def label_features(ax, names):
    """Label a horizontal axis by at most `MAX_NAMES` names of features, or by numbers for None."""
    if names is None:
        ax.set_xlabel("feature")
        ax.locator_params(axis="x", nbins=5, integer=True, min_n_ticks=1)
        return
    places = np.arange(0, len(names), -(-len(names) // MAX_NAMES))
    texts = [names[place][:MAX_NAME_LENGTH] for place in places]
    ax.set_xticks(places, texts, rotation=90, fontsize="small")
