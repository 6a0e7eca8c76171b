"""NumberOfClustersDisplay: a criterion for each number of clusters."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .base import COLORS, Display, check_has, check_shape, take_last_step


@dataclass(eq=False, repr=False)
class NumberOfClustersDisplay(Display):
    """Curve of a criterion over the number of clusters, with the chosen number marked.

    Parameters
    ----------
    n_clusters : array-like of shape (n_numbers,)
        Numbers of clusters.
    criterion : array-like of shape (n_numbers,)
        Criterion of each; NaN where it is not defined.
    stability : array-like of shape (n_numbers,), default=None
        Stability of each partition, on a second vertical axis.
    chosen : int, default=None
        The chosen number.
    criterion_name : str, default="criterion"
        Label of the vertical axis.
    name : str, default=None

    Attributes
    ----------
    line_ : matplotlib Line2D
        The criterion.
    stability_ax_, stability_line_ : matplotlib Axes and Line2D, or None
        The second axis and the stability.
    chosen_line_ : matplotlib Line2D or None
        The vertical line at the chosen number.

    See Also
    --------
    skdeepcluster.select_n_clusters : Chooses the number of clusters.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import select_n_clusters
    >>> from skdeepcluster.display import NumberOfClustersDisplay
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> found = select_n_clusters(X, range(1, 6), random_state=0)
    >>> NumberOfClustersDisplay.from_selection(found).chosen
    3
    """

    n_clusters: ArrayLike
    criterion: ArrayLike
    _: KW_ONLY
    stability: ArrayLike | None = None
    chosen: int | None = None
    criterion_name: str = "criterion"

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw how a clusterer fitted with ``n_clusters="auto"`` chose its number of clusters."""
        estimator, name = take_last_step(estimator, name)
        check_has(
            estimator, "n_clusters_curve_", remedy="Fit it with n_clusters='auto'."
        )
        display = cls(
            **estimator.n_clusters_curve_, chosen=estimator.n_clusters_, name=name
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_selection(cls, selection, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the result of :func:`~skdeepcluster.select_n_clusters`."""
        key = selection.criterion
        display = cls(
            selection.results["n_clusters"],
            selection.results[key],
            chosen=selection.best_n_clusters,
            criterion_name=key.upper() if len(key) == 3 else key.replace("_", " "),
            name=take_last_step(selection.best_estimator, name)[1],
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw the criterion by ``Axes.plot``, which takes ``kwargs``, and the rest."""
        numbers = check_shape("n_clusters", self.n_clusters, "n_numbers")
        criterion = check_shape("criterion", self.criterion, len(numbers), dtype=float)
        order = np.argsort(numbers)
        ax = self._open(ax, (5.6, 3.6))
        style = {"color": COLORS[0], "marker": "o", "ms": 4, **kwargs}
        (self.line_,) = ax.plot(numbers[order], criterion[order], **style)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="number of clusters", ylabel=self.criterion_name)
        self.stability_ax_ = self.stability_line_ = self.chosen_line_ = None
        if self.stability is not None:
            stability = check_shape("stability", self.stability, len(numbers))
            self.stability_ax_ = ax.twinx()
            style = {"color": COLORS[1], "marker": "s", "ms": 4, "lw": 1}
            (self.stability_line_,) = self.stability_ax_.plot(
                numbers[order], stability[order], **style
            )
            self.stability_ax_.set(ylim=(0, 1.02))
            self.stability_ax_.set_ylabel("stability", color=COLORS[1])
        if self.chosen is not None:
            style = {"color": "0.4", "ls": "--", "lw": 1, "zorder": 0}
            self.chosen_line_ = ax.axvline(
                self.chosen, **style, label=f"chosen: {self.chosen}"
            )
            ax.legend(frameon=False)
        return self
