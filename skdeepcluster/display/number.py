"""NumberOfClustersDisplay: how the number of clusters was chosen."""

from dataclasses import KW_ONLY, dataclass
from itertools import cycle
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .base import COLORS, Display, draw_legend, take_last_step


@dataclass(eq=False, repr=False)
class NumberOfClustersDisplay(Display):
    """Evidence for each number of clusters, what it consists of, and the chosen number.

    Parameters
    ----------
    n_clusters : array-like of shape (n_numbers,)
        Numbers of clusters.
    criterion : array-like of shape (n_numbers,)
        What is compared; NaN where it is not defined.
    parts : dict of str to array-like of shape (n_numbers,), default=None
        What the criterion consists of, drawn in thin lines.
    chosen : int, default=None
        The chosen number.
    criterion_name : str, default="evidence"
        Name of the criterion.
    name : str, default=None

    Attributes
    ----------
    line_ : matplotlib Line2D
        The criterion.
    part_lines_ : list of matplotlib Line2D
        The parts.
    chosen_line_ : matplotlib Line2D or None
        The vertical line at the chosen number.

    See Also
    --------
    skdeepcluster.select_n_clusters : Chooses the number of clusters.

    Notes
    -----
    Where the weakest pair is near 1, two clusters have no valley between them.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import select_n_clusters
    >>> from skdeepcluster.display import NumberOfClustersDisplay
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> selection = select_n_clusters(X, n_clusters=range(1, 6))
    >>> NumberOfClustersDisplay.from_selection(selection).chosen
    3
    """

    n_clusters: ArrayLike
    criterion: ArrayLike
    _: KW_ONLY
    parts: dict[str, ArrayLike] | None = None
    chosen: int | None = None
    criterion_name: str = "evidence"

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw how a clusterer fitted with ``n_clusters="auto"`` chose its number of clusters."""
        estimator, name = take_last_step(estimator, name)
        message = "%(name)s has no n_clusters_curve_. Fit it with n_clusters='auto'."
        check_is_fitted(estimator, "n_clusters_curve_", msg=message)
        display = cls(
            **_read_curve(estimator.n_clusters_curve_),
            chosen=estimator.n_clusters_,
            name=name,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_selection(cls, selection, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the result of :func:`~skdeepcluster.select_n_clusters`."""
        _, name = take_last_step(selection.best_estimator, name)
        display = cls(
            **_read_curve(selection.curve), chosen=selection.best_n_clusters, name=name
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw the criterion by ``Axes.plot``, which takes ``kwargs``, and the rest."""
        order = np.argsort(self.n_clusters)
        x = np.asarray(self.n_clusters)[order]
        ax = self._open(ax, (5.6, 3.6))
        ax.set(xlabel="number of clusters", ylabel=self.criterion_name)
        ax.xaxis.get_major_locator().set_params(integer=True)

        def draw(label, values, **style):
            return ax.plot(x, np.asarray(values)[order], label=label, **style)[0]

        style = {"color": COLORS[0], "marker": "o", "ms": 4, **kwargs}
        self.line_ = draw(self.criterion_name, self.criterion, **style)
        parts = (self.parts or {}).items()
        self.part_lines_ = [
            draw(label, values, color=color, lw=1, ls=(0, (4, 1)))
            for color, (label, values) in zip(cycle(COLORS[1:]), parts, strict=False)
        ]
        self.chosen_line_ = None
        if self.chosen is not None:
            style = {"color": "0.4", "ls": ":", "lw": 1.2, "zorder": 0}
            label = f"chosen: {self.chosen}"
            self.chosen_line_ = ax.axvline(self.chosen, label=label, **style)
        if self.part_lines_ or self.chosen_line_:
            draw_legend(ax)
        return self


def _read_curve(curve):
    """Return the parameters of the display of a curve."""
    numbers, key, *others = curve
    return {
        "n_clusters": curve[numbers],
        "criterion": curve[key],
        "parts": {other.replace("_", " "): curve[other] for other in others},
        "criterion_name": key.upper() if len(key) == 3 else key,
    }
