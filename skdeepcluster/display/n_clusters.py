"""NumberOfClustersDisplay: a criterion over the numbers of clusters, and the one chosen."""

from typing import Self

import numpy as np

from .axes import COLORS, make_axes, name_estimator, take_last_step


class NumberOfClustersDisplay:
    """Curve of a criterion over the number of clusters, with the chosen number marked.

    Parameters
    ----------
    n_clusters : array-like of shape (n_numbers,)
        Numbers of clusters tried.
    criterion : array-like of shape (n_numbers,)
        Criterion of each; NaN where it is not defined.
    stability : array-like of shape (n_numbers,), default=None
        Stability of each partition, drawn on a second vertical axis from 0 to 1.
    chosen : int, default=None
        The chosen number.
    criterion_name : str, default="criterion"
        Label of the vertical axis.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The criterion.
    stability_ax_ : matplotlib Axes or None
        The second axes, None without stability.
    stability_line_ : matplotlib Line2D or None
        The stability.
    chosen_line_ : matplotlib Line2D or None
        The vertical line at the chosen number.
    text_ : matplotlib Text or None
        The chosen number above the line.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    skdeepcluster.select_n_clusters : Computes what is drawn.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import select_n_clusters
    >>> from skdeepcluster.display import NumberOfClustersDisplay
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> found = select_n_clusters(X, range(1, 6), random_state=0)
    >>> NumberOfClustersDisplay.from_selection(found).chosen
    3
    >>> plt.close("all")
    """

    def __init__(
        self,
        n_clusters,
        criterion,
        *,
        stability=None,
        chosen: int | None = None,
        criterion_name: str = "criterion",
        name: str | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.criterion = criterion
        self.stability = stability
        self.chosen = chosen
        self.criterion_name = criterion_name
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name: str | None = None, ax=None, **kwargs) -> Self:
        """Draw how a clusterer fitted with ``n_clusters="auto"`` chose its number of clusters.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``n_clusters_`` and ``n_clusters_curve_``, which holds the arrays ``n_clusters``,
            ``criterion`` and ``stability``.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : NumberOfClustersDisplay
        """
        estimator = take_last_step(estimator)
        curve = getattr(estimator, "n_clusters_curve_", None)
        if curve is None:
            raise ValueError(
                f"{type(estimator).__name__} has no n_clusters_curve_; fit it with "
                "n_clusters='auto', or pass what select_n_clusters returns to from_selection."
            )
        display = cls(
            curve["n_clusters"],
            curve["criterion"],
            stability=curve.get("stability"),
            chosen=estimator.n_clusters_,
            name=name_estimator(estimator) if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_selection(cls, selection, *, name: str | None = None, ax=None, **kwargs) -> Self:
        """Draw what :func:`~skdeepcluster.select_n_clusters` found.

        Parameters
        ----------
        selection : Bunch
            As it returns it.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : NumberOfClustersDisplay
        """
        key = selection.criterion
        display = cls(
            selection.results["n_clusters"],
            selection.results[key],
            chosen=selection.best_n_clusters,
            criterion_name=key.upper() if len(key) == 3 else key.replace("_", " "),
            name=type(selection.best_estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name: str | None = None, **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        **kwargs : dict
            Passed to ``Axes.plot`` for the criterion.

        Returns
        -------
        display : NumberOfClustersDisplay
            The display itself.
        """
        numbers = np.asarray(self.n_clusters)
        if numbers.ndim != 1 or not numbers.size:
            raise ValueError(f"n_clusters must have shape (n_numbers,), got {numbers.shape}.")
        order = np.argsort(numbers)
        criterion = self._read("criterion", len(numbers))[order]
        stability = None if self.stability is None else self._read("stability", len(numbers))
        numbers = numbers[order]
        self.figure_, self.ax_ = make_axes(ax, (5.6, 3.6))
        style = {"color": COLORS[0], "marker": "o", "ms": 4, **kwargs}
        (self.line_,) = self.ax_.plot(numbers, criterion, **style)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.set(xlabel="number of clusters", ylabel=self.criterion_name)
        # Above the text of the chosen number.
        self.ax_.set_title((self.name if name is None else name) or "", pad=16)
        self.stability_ax_ = self.stability_line_ = None
        if stability is not None:
            self._draw_stability(numbers, stability[order])
        self.chosen_line_ = self.text_ = None
        if self.chosen is not None:
            style = {"color": "0.4", "ls": "--", "lw": 1, "zorder": 0}
            self.chosen_line_ = self.ax_.axvline(self.chosen, **style)
            place = {"xy": (self.chosen, 1), "xycoords": ("data", "axes fraction"), "ha": "center"}
            style = {"xytext": (0, 3), "textcoords": "offset points", "fontsize": 8}
            self.text_ = self.ax_.annotate(f"chosen: {self.chosen}", **place, **style)
        return self

    def _read(self, key, n_numbers):
        """Return the values of a curve, one for each number of clusters."""
        values = np.asarray(getattr(self, key), dtype=float)
        if values.shape != (n_numbers,):
            raise ValueError(
                f"{key} must have shape ({n_numbers},), one for each of n_clusters, "
                f"got {values.shape}."
            )
        return values

    def _draw_stability(self, numbers, stability):
        """Draw the stability against an axis of its own, in its own colour."""
        self.stability_ax_, color = self.ax_.twinx(), COLORS[1]
        style = {"color": color, "marker": "s", "ms": 4, "lw": 1}
        (self.stability_line_,) = self.stability_ax_.plot(numbers, stability, **style)
        self.stability_ax_.set(ylim=(0, 1.02))
        self.stability_ax_.set_ylabel("stability", color=color)
        self.stability_ax_.tick_params(axis="y", colors=color)
        self.ax_.yaxis.label.set_color(self.line_.get_color())
        self.ax_.tick_params(axis="y", colors=self.line_.get_color())
