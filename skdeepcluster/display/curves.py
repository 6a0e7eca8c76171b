"""HistoryDisplay, NumberOfClustersDisplay, ReliabilityDisplay: curves that describe a fit."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import (
    bin_by_confidence,
    error_auc,
    expected_calibration_error,
    read_confidence,
)
from .base import COLORS, Display, check_has, read_array, take_last_step

#: Numbers in a record of a history that are not drawn by default.
OTHERS = "epoch", "dur", "training"
#: Plain names of loss terms, without the network that they belong to.
WORDS = {
    "fake": "generated",
    "kl": "KL divergence",
    "start": "initial partition",
    "train_loss": "total loss",
}


@dataclass(eq=False, repr=False)
class HistoryDisplay(Display):
    """Loss curves, with a panel for each term.

    Parameters
    ----------
    history : list of dict
        One record per epoch, with the loss terms by name. A record may lack terms.
    name : str, default=None

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each term.

    See Also
    --------
    NumberOfClustersDisplay : How the number of clusters was chosen.

    Examples
    --------
    >>> from skdeepcluster.display import HistoryDisplay
    >>> history = [{"epoch": 1, "kl": 3.0}, {"epoch": 2, "kl": 2.0}]
    >>> list(HistoryDisplay(history).plot().axes_)
    ['kl']
    """

    history: Sequence[dict[str, Any]]

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the ``history_`` of a fitted network, or the ``lower_bounds_`` of a mixture."""
        estimator, name = take_last_step(estimator, name)
        history = getattr(estimator, "history_", None)
        if history is None:
            check_has(estimator, "lower_bounds_")
            history = [{"lower bound": bound} for bound in estimator.lower_bounds_]
        return cls(history, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, terms: Sequence[str] | None = None, **kwargs) -> Self:
        """Draw the `terms`, by default all except "dur" and "training", by ``Axes.plot``."""
        keys = dict.fromkeys(key for record in self.history for key in record)
        found = [key for key in keys if np.isfinite(self._read(key)).any()]

        if terms is None:
            terms = [term for term in found if term not in OTHERS]
        if not terms or set(terms) - set(found):
            raise ValueError(
                f"There are no terms {list(terms)} to draw. The history has {found}."
            )

        titles = {term: _title(term) for term in terms}
        self.axes_ = self._open_panels(ax, (3.2, 2.5), titles, max_columns=4)

        steps = np.arange(1, len(self.history) + 1)
        for term, panel in self.axes_.items():
            values = self._read(term)
            known = np.isfinite(values)
            marker = "o" if known.sum() == 1 else ""
            style = {"color": COLORS[0], "marker": marker, **kwargs}
            panel.plot(steps[known], values[known], **style)

            panel.grid(alpha=0.3)
            panel.set_xlim(0.5, len(steps) + 0.5)
            panel.locator_params(axis="x", nbins=5, integer=True)
            panel.set_xlabel("epoch" if "epoch" in keys else "iteration")
        return self

    def _read(self, key):
        """Return the values of all records as floats, with NaN for all except numbers."""
        values = [record.get(key) for record in self.history]
        return np.array([v if isinstance(v, Real) else np.nan for v in values], float)


def _title(term):
    """Return a term in plain words, after the network that it belongs to."""
    network, _, word = term.partition("_")
    if word and term not in WORDS:
        return f"{network}: {WORDS.get(word, word)}".replace("_", " ")
    return WORDS.get(term, term).replace("_", " ")


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
    alternatives : array-like of int, default=None
        Other numbers, which get a ring.
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
    criterion_name: str = "expected score"
    alternatives: ArrayLike | None = None

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw how a clusterer fitted with ``n_clusters="auto"`` chose its number of clusters."""
        estimator, name = take_last_step(estimator, name)
        remedy = "Fit it with n_clusters='auto'."
        check_has(estimator, "n_clusters_curve_", remedy=remedy)
        others = getattr(estimator, "alternatives_", ())
        display = cls(
            **estimator.n_clusters_curve_,
            chosen=estimator.n_clusters_,
            alternatives=[other.n_clusters for other in others],
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
        numbers = read_array("n_clusters", self.n_clusters, "n_numbers")
        criterion = read_array("criterion", self.criterion, len(numbers))
        order = np.argsort(numbers)
        x = numbers[order]

        ax = self._open(ax, (5.6, 3.6))
        style = {"color": COLORS[0], "marker": "o", "ms": 4, **kwargs}
        (self.line_,) = ax.plot(x, criterion[order], **style)
        self._mark_alternatives(ax, x, criterion[order])
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="number of clusters", ylabel=self.criterion_name)

        self.stability_ax_ = self.stability_line_ = self.chosen_line_ = None
        if self.stability is not None:
            stability = read_array("stability", self.stability, len(numbers))
            twin = ax.twinx()
            twin.set_ylim(0, 1.02)
            twin.set_ylabel("stability", color=COLORS[1])
            (self.stability_line_,) = twin.plot(
                x,
                stability[order],
                color=COLORS[1],
                marker="s",
                ms=4,
                lw=1,
            )
            self.stability_ax_ = twin

        if self.chosen is not None:
            self.chosen_line_ = ax.axvline(
                self.chosen,
                color="0.4",
                ls="--",
                lw=1,
                zorder=0,
                label=f"chosen: {self.chosen}",
            )
            ax.legend(frameon=False)
        return self

    def _mark_alternatives(self, ax, x, criterion):
        """Draw rings at the other numbers."""
        others = [] if self.alternatives is None else self.alternatives
        is_other = np.isin(x, others)
        if is_other.any():
            names = ", ".join(map(str, x[is_other]))
            ring = {
                "color": COLORS[0],
                "mfc": "none",
                "ms": 11,
                "label": f"or: {names}",
            }
            ax.plot(x[is_other], criterion[is_other], "o", **ring)


@dataclass(eq=False, repr=False)
class ReliabilityDisplay(Display):
    """Reliability diagram: the share of samples that are right against their probability.

    Bins have equal numbers of samples. Points below the diagonal are overconfident.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Probability of the cluster of each sample.
    agreement : array-like of shape (n_samples,)
        Whether each sample is right.
    n_bins : int, default=10
        Number of bins.
    name : str, default=None

    Attributes
    ----------
    calibration_error_ : float
        See :func:`~skdeepcluster.metrics.expected_calibration_error`.
    error_auc_ : float
        See :func:`~skdeepcluster.metrics.error_auc`.
    line_ : matplotlib Line2D
        The bins.
    legend_ : matplotlib Legend

    See Also
    --------
    skdeepcluster.metrics.expected_calibration_error : The error as one number.

    Examples
    --------
    >>> from skdeepcluster.display import ReliabilityDisplay
    >>> right, confidence = [True, False, True, True], [0.5, 0.5, 1.0, 1.0]
    >>> display = ReliabilityDisplay(confidence, right, n_bins=2).plot()
    >>> display.calibration_error_
    0.0
    """

    confidence: ArrayLike
    agreement: ArrayLike
    _: KW_ONLY
    n_bins: int = 10

    @classmethod
    def from_predictions(
        cls,
        y,
        probabilities,
        *,
        n_bins: int = 10,
        name=None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw how often the most probable cluster is the one matched with the class.

        The shape of `probabilities` is (n_samples, n_clusters). See
        :func:`~skdeepcluster.metrics.match_labels` for the matching.
        """
        right, confidence = read_confidence(y, probabilities)
        return cls(confidence, right, n_bins=n_bins, name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        n_bins: int = 10,
        name=None,
        ax=None,
        **kwargs,
    ) -> Self:
        """Draw the reliability of ``predict_proba(X)`` of a fitted clusterer for classes y."""
        _, name = take_last_step(estimator, name)
        check_has(estimator, "predict_proba")
        options = {"n_bins": n_bins, "name": name, "ax": ax, **kwargs}
        return cls.from_predictions(y, estimator.predict_proba(X), **options)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.plot``, which takes ``kwargs``."""
        given = self.agreement, self.confidence
        _, confidences, shares = bin_by_confidence(*given, self.n_bins)
        self.calibration_error_ = expected_calibration_error(*given, n_bins=self.n_bins)
        self.error_auc_ = error_auc(*given)

        ax = self._open(ax, (4.8, 4.8))
        ax.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1, label="calibrated")
        style = {
            "color": COLORS[0],
            "marker": "o",
            "clip_on": False,
            "label": f"calibration error {self.calibration_error_:.3f}\n"
            f"AUC of finding errors {self.error_auc_:.3f}",
            **kwargs,
        }
        (self.line_,) = ax.plot(confidences, shares, **style)
        ax.set(
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
            xlabel="probability of the cluster",
            ylabel="share of samples that are right",
        )
        self.legend_ = ax.legend(loc="best", frameon=False)
        return self
