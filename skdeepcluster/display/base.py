"""Base class of the displays, and their colors and names of features."""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from math import ceil
from typing import Self

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
#: Maximum number of entries in a column of a legend.
MAX_ENTRIES = 18


@dataclass(eq=False, repr=False)
class Display(ABC):
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

    @abstractmethod
    def plot(self, ax=None) -> Self:
        """Draw with matplotlib, and return the display."""

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


def to_array(X):
    """Return a sparse matrix as an array, and anything else as it is."""
    return X.toarray() if issparse(X) else X


def name_features(n_features, names=None, X=None):
    """Return the given names of the features, else the columns of a DataFrame X, or None."""
    if names is None:
        names = getattr(X, "columns", None)
    if names is None:
        return None
    if len(names) != n_features:
        raise ValueError(
            f"feature_names must have {n_features} names, got {len(names)}."
        )
    return list(map(str, names))


# ---- labels and their colors


def group_samples(samples, labels):
    """Return the distinct labels, each sample's index in them (N,), and their colors.

    Cluster k always has color k, noise is gray, and other labels are colored in their order.
    """
    if labels is None:
        labels = np.full(len(samples), "")
    check_consistent_length(samples, labels)
    names, index = np.unique(labels, return_inverse=True)

    numbers = range(len(names))
    are_clusters = names.dtype.kind in "iu" and names[0] >= -1
    if are_clusters and names[-1] < 2 * len(names):
        numbers = names.tolist()

    colors = [NOISE if k < 0 else COLORS[k % len(COLORS)] for k in numbers]
    return names, index, colors


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
