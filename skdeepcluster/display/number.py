"""NumberOfClustersDisplay: how the number of clusters was chosen."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .base import COLORS, Display, take_last_step


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
    criterion_name : str, default="expected score"
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
    >>> selection = select_n_clusters(X, n_clusters=range(1, 6))
    >>> NumberOfClustersDisplay.from_selection(selection).chosen
    3
    """

    n_clusters: ArrayLike
    criterion: ArrayLike
    _: KW_ONLY
    stability: ArrayLike | None = None
    chosen: int | None = None
    criterion_name: str = "expected score"

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw how a clusterer fitted with ``n_clusters="auto"`` chose its number of clusters."""
        estimator, name = take_last_step(estimator, name)
        message = "%(name)s has no n_clusters_curve_. Fit it with n_clusters='auto'."
        check_is_fitted(estimator, "n_clusters_curve_", msg=message)
        curve = estimator.n_clusters_curve_
        is_plain = not np.any(curve.penalty)
        display = cls(
            curve.n_clusters,
            curve.criterion - curve.penalty,
            stability=curve.stability,
            criterion_name="expected score" if is_plain else "score less penalty",
            chosen=estimator.n_clusters_,
            name=name,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_selection(cls, selection, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the result of :func:`~skdeepcluster.select_n_clusters`."""
        _, name = take_last_step(selection.best_estimator, name)
        key = selection.criterion
        display = cls(
            selection.results["n_clusters"],
            selection.results[key],
            chosen=selection.best_n_clusters,
            criterion_name=key.upper() if len(key) == 3 else key.replace("_", " "),
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw the criterion by ``Axes.plot``, which takes ``kwargs``, and the rest."""
        order = np.argsort(self.n_clusters)
        x = np.asarray(self.n_clusters)[order]
        criterion = np.asarray(self.criterion)[order]

        ax = self._open(ax, (5.6, 3.6))
        style = {"color": COLORS[0], "marker": "o", "ms": 4, **kwargs}
        (self.line_,) = ax.plot(x, criterion, **style)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="number of clusters", ylabel=self.criterion_name)

        self.stability_ax_ = self.stability_line_ = self.chosen_line_ = None
        if self.stability is not None:
            twin = ax.twinx()
            twin.set_ylim(0, 1.02)
            twin.set_ylabel("stability", color=COLORS[1])
            style = {"color": COLORS[1], "marker": "s", "ms": 4, "lw": 1}
            stability = np.asarray(self.stability)[order]
            (self.stability_line_,) = twin.plot(x, stability, **style)
            self.stability_ax_ = twin

        if self.chosen is not None:
            style = {"color": "0.4", "ls": "--", "lw": 1, "zorder": 0}
            label = f"chosen: {self.chosen}"
            self.chosen_line_ = ax.axvline(self.chosen, label=label, **style)
            ax.legend(frameon=False)
        return self
