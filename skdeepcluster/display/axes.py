"""What all displays share: colours, figures, panels, and grouping of rows by label."""

from importlib import import_module

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

# Found by a search for ten colours that differ most: of any two, the CIELAB difference is at least
# 38 in normal vision, and 27 under protanopia, deuteranopia and tritanopia (G. M. Machado,
# M. M. Oliveira, L. A. F. Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", 2009, severity 1). Their lightness is between 28 and 84.
COLORS = (
    *("#3084fc", "#783018", "#78e4cc", "#f06c78", "#60249c"),
    *("#788400", "#f0cc78", "#244848", "#c0c0fc", "#a8609c"),
)
#: Colour of rows of no cluster.
NOISE = "0.6"
#: Each marker is used with all colours before the next one.
MARKERS = "o^sDvP*X<>"
#: Most names of features that are written along an axis.
MOST_NAMES = 15
#: Characters of such a name, at most.
LONGEST_NAME = 20


def make_axes(ax, size):
    """Return figure and axes: the given axes, or those of a new figure of `size` inches."""
    if ax is not None:
        return ax.figure, ax
    plt = import_matplotlib("pyplot")
    return plt.subplots(figsize=size, layout="constrained")


def import_matplotlib(module):
    """Return a module of matplotlib; ImportError says how to install it."""
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install matplotlib.") from error


def check_fitted(estimator):
    """Raise NotFittedError for an estimator that is not fitted, TypeError for a class."""
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)


def take_last_step(estimator):
    """Return a fitted estimator, of a Pipeline the last step; raise as :func:`check_fitted`."""
    check_fitted(estimator)
    return _find_last_step(estimator)


def name_estimator(estimator):
    """Return the name of an estimator's class; of a Pipeline that of its last step."""
    return type(_find_last_step(estimator)).__name__


def _find_last_step(estimator):
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator


def predict_rows(estimator, X):
    """Return the cluster or class of each row, (N,): by ``predict``, or the fit's ``labels_``."""
    name = type(estimator).__name__
    if hasattr(estimator, "predict"):
        labels = np.asarray(estimator.predict(X))
    elif hasattr(estimator, "labels_"):
        labels = np.asarray(estimator.labels_)
    else:
        raise ValueError(f"{name} has neither predict nor labels_. Give a fitted clusterer.")
    if labels.shape != (_num_samples(X),):
        raise ValueError(
            f"{name} has no predict, and its labels_ of shape {labels.shape} are not of these "
            f"{_num_samples(X)} rows. Give the rows of the fit."
        )
    return labels


def draw_level(ax, height, text, color):
    """Draw a dashed level line across `ax`, with a text at its right end."""
    ax.axhline(height, color=color, ls="--", lw=1)
    place = {"xy": (1, height), "xycoords": ("axes fraction", "data"), "va": "center"}
    style = {"xytext": (4, 0), "textcoords": "offset points", "fontsize": 8}
    ax.annotate(text, **place, **style, annotation_clip=False)


def choose_grid(n_panels, most_columns):
    """Return the fewest rows for `n_panels`, and the fewest columns for that many rows."""
    n_rows = -(-n_panels // most_columns)
    return n_rows, -(-n_panels // n_rows)


def divide_axes(ax, n_panels, most_columns, name=None, share=False):
    """Divide `ax` into `n_panels` axes, row by row; `share` gives them one vertical scale."""
    if ax.get_subplotspec() is None:
        raise ValueError("ax must be part of a grid, as plt.subplots() makes it, to hold panels.")
    n_rows, n_columns = choose_grid(n_panels, most_columns)
    # The title has a row of its own: that of `ax` would overlap the titles of the panels.
    heights = [0.01 if name else 0.0001, *[1] * n_rows]
    grid = ax.get_subplotspec().subgridspec(n_rows + 1, n_columns, height_ratios=heights)
    ax.set_axis_off()
    if name:
        title = ax.figure.add_subplot(grid[0, :])
        title.set_axis_off()
        title.set_title(name)
    made = []
    for k in range(n_panels):
        place = grid[1 + k // n_columns, k % n_columns]
        made.append(ax.figure.add_subplot(place, sharey=made[0] if share and made else None))
        if share and k % n_columns:
            made[-1].tick_params(labelleft=False)
    return made


def group_rows(labels, n_samples):
    """Return the sorted distinct labels and each row's index into them; one group if None."""
    if labels is None:
        return np.array([""]), np.zeros(n_samples, dtype=int)
    labels = np.asarray(labels)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"labels must have shape ({n_samples},), one per row, got {labels.shape}."
        )
    return np.unique(labels, return_inverse=True)


def choose_colors(names):
    """Return the colour and the marker of each group of rows, by :func:`group_rows`.

    Numbers of clusters are those of their colours, so that these do not change where a cluster is
    absent, and -1, noise, is grey. Other labels, of which most numbers from 0 on are no group,
    have colours in their order.
    """
    places = np.arange(len(names))
    if names.dtype.kind in "iu" and names[0] >= -1 and names[-1] < 2 * len(names):
        places = names
    colors = [NOISE if k < 0 else COLORS[k % len(COLORS)] for k in places]
    return colors, [MARKERS[max(k, 0) // len(COLORS) % len(MARKERS)] for k in places]


def name_features(feature_names, rows, n_features, estimator=None):
    """Return the names of columns, a list of str, or None.

    They are the given ones, else those of a DataFrame, else those that the estimator knows.
    """
    sources = feature_names, getattr(rows, "columns", None), read_names(estimator)
    names = next((names for names in sources if names is not None), None)
    if names is None:
        return None
    names = np.asarray(names, dtype=object)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must hold {n_features} names, one for each feature, but has the shape "
            f"{names.shape}."
        )
    return [str(name) for name in names]


def read_names(estimator):
    """Return the names of the features that an estimator was fitted to, or None."""
    return getattr(estimator, "feature_names_in_", None)


def label_features(ax, names):
    """Label a horizontal axis of features by their names, or by numbers where there are none."""
    if names is None:
        ax.set_xlabel("feature")
        ax.locator_params(axis="x", nbins=5, integer=True, min_n_ticks=1)
        return
    # Of many names every second, third, ... is written, for they would overlap.
    places = np.arange(0, len(names), -(-len(names) // MOST_NAMES))
    texts = [shorten(names[place]) for place in places]
    ax.set_xticks(places, texts, rotation=90, fontsize="small")


def measure_names(names):
    """Return the height in inches of names that are written below an axis by `label_features`."""
    return 0.0 if names is None else 0.08 * max(len(shorten(name)) for name in names)


def shorten(name):
    """Return a name of at most `LONGEST_NAME` characters."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
