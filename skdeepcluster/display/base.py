"""Base class of the displays, and their colors, panels and names of features."""

from dataclasses import KW_ONLY, dataclass
from math import ceil

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support

# Ten colors that differ by at least 38 in CIELAB, and by 27 for color-blind people (Machado,
# Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency").
COLORS = [
    "#3084fc",
    "#783018",
    "#78e4cc",
    "#f06c78",
    "#60249c",
    "#788400",
    "#f0cc78",
    "#244848",
    "#c0c0fc",
    "#a8609c",
]
#: Color of noise, which is in no cluster.
NOISE = "0.6"
#: Markers: each is used with all colors before the next one.
MARKERS = "o^sDvP*X<>"
#: Maximum number of feature names written along an axis.
MAX_NAMES = 15
#: Maximum number of characters of a feature name.
MAX_NAME_LENGTH = 20
#: Maximum number of entries in a column of a legend.
MAX_ENTRIES = 18


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

    _: KW_ONLY
    name: str | None = None

    def _open(self, ax, size):
        """Set and return the axes: the given ones, or new ones of a size in inches."""
        if ax is None:
            check_matplotlib_support("A display")
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=size, layout="constrained")

        self.ax_ = ax
        self.figure_ = ax.figure
        ax.set_title(self.name or "")
        return ax

    def _open_panels(self, ax, size, titles, max_columns):
        """Return a panel of a size in inches for each title, in place of the axes."""
        n_rows = ceil(len(titles) / max_columns)
        n_columns = ceil(len(titles) / n_rows)
        width, height = size
        ax = self._open(ax, (width * n_columns, height * n_rows + 0.4))
        ax.set_axis_off()
        ax.set_title("")

        figure = ax.figure.add_subfigure(ax.get_subplotspec())
        figure.suptitle(self.name or "")
        panels = []
        for k, title in enumerate(titles, start=1):
            panel = figure.add_subplot(n_rows, n_columns, k)
            panel.set_title(title, fontsize="medium")
            panels.append(panel)
        return panels


# ---- what displays are given


def take_last_step(estimator, name=None):
    """Return the last step of a fitted Pipeline, or the estimator, and ``name`` or its class."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator, type(estimator).__name__ if name is None else name


def reach_last_step(estimator, X):
    """Return the last step of a fitted Pipeline and its input, or the estimator and X."""
    while isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator[-1]
    return estimator, X


def transform_samples(estimator, X):
    """Return the codes of X by a fitted estimator, or X if it has no codes."""
    return estimator.transform(X) if hasattr(estimator, "transform") else X


def check_has(estimator, *names, remedy):
    """Raise ValueError if an estimator lacks an attribute."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        lacks = " and no ".join(missing)
        raise ValueError(f"{type(estimator).__name__} has no {lacks}. {remedy}")


def to_array(X):
    """Return a sparse matrix as an array, and anything else as it is."""
    return X.toarray() if issparse(X) else X


# ---- labels and their colors


def group_samples(samples, labels):
    """Return the distinct labels, each sample's index in them (N,), their colors and markers.

    Cluster k always has color k, noise is gray, and other labels are colored in their order.
    """
    if labels is None:
        labels = np.full(len(samples), "")
    check_consistent_length(samples, labels)
    names, index = np.unique(labels, return_inverse=True)

    numbers = range(len(names))
    if names.dtype.kind in "iu" and names[0] >= -1 and names[-1] < 2 * len(names):
        numbers = names.tolist()

    colors = [choose_color(k) for k in numbers]
    markers = [MARKERS[max(k, 0) // len(COLORS) % len(MARKERS)] for k in numbers]
    return names, index, colors, markers


def choose_color(k):
    """Return the color of cluster k, gray for noise."""
    return NOISE if k < 0 else COLORS[k % len(COLORS)]


def draw_legend(ax):
    """Draw a legend to the right of the axes."""
    handles, _ = ax.get_legend_handles_labels()
    return ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
        frameon=False,
        ncols=ceil(len(handles) / MAX_ENTRIES),
    )


# ---- profiles over the features


def name_features(n_features, names=None, X=None, estimator=None):
    """Return the given names of the features, else the names in X or in a fit, or None."""
    if names is None:
        fitted = getattr(estimator, "feature_names_in_", None)
        names = getattr(X, "columns", fitted)
    if names is None:
        return None
    if len(names) != n_features:
        raise ValueError(
            f"feature_names must have {n_features} names, got {len(names)}."
        )
    return list(map(str, names))


def label_profiles(ax, names):
    """Label axes with features, by at most `MAX_NAMES` names, or by numbers for None."""
    ax.set_ylabel("value")
    if names is None:
        ax.set_xlabel("feature")
        ax.locator_params(axis="x", nbins=5, integer=True, min_n_ticks=1)
        return

    step = ceil(len(names) / MAX_NAMES)
    places = range(0, len(names), step)
    texts = [name[:MAX_NAME_LENGTH] for name in names[::step]]
    ax.set_xticks(places, texts, rotation=90, fontsize="small")
