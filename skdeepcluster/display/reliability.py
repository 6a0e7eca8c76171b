"""ReliabilityDisplay: whether the probabilities of clusters tell which rows are right."""

from typing import Self

import numpy as np

from ..metrics import (
    bin_by_confidence,
    error_auc,
    expected_calibration_error,
    match_labels,
    read_labels,
)
from .axes import COLORS, check_fitted, make_axes, name_estimator


class ReliabilityDisplay:
    """Reliability diagram: the share of rows that are right against the probability they have.

    Rows are sorted by the probability of the cluster they are assigned to, and divided into bins
    of equal count. Points below the diagonal are overconfident.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Probability of the cluster that each row is assigned to, between 0 and 1.
    agreement : array-like of shape (n_samples,)
        Whether each row is right, or the share of judges that say so, between 0 and 1.
    n_bins : int, default=10
        Bins; at most one per row.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    calibration_error_ : float
        See :func:`~skdeepcluster.metrics.expected_calibration_error`.
    error_auc_ : float or None
        See :func:`~skdeepcluster.metrics.error_auc`; None where ``agreement`` holds shares.
    line_ : matplotlib Line2D
        The points of the bins.
    legend_ : matplotlib Legend
        With both numbers.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    skdeepcluster.metrics.expected_calibration_error : The error as one number.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeepcluster.display import ReliabilityDisplay
    >>> right, confidence = [True, False, True, True], [0.5, 0.5, 1.0, 1.0]
    >>> display = ReliabilityDisplay(confidence, right, n_bins=2).plot()
    >>> display.calibration_error_
    0.0
    >>> plt.close("all")
    """

    def __init__(
        self, confidence, agreement, *, n_bins: int = 10, name: str | None = None
    ) -> None:
        self.confidence = confidence
        self.agreement = agreement
        self.n_bins = n_bins
        self.name = name

    @classmethod
    def from_predictions(
        cls, y, probabilities, *, n_bins: int = 10, name: str | None = None, ax=None, **kwargs
    ) -> Self:
        """Draw how often the most probable cluster is that of the row's class.

        Clusters are matched to classes one-to-one, such that most rows agree (Hungarian
        algorithm); rows of clusters without a class are wrong.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Classes.
        probabilities : array-like of shape (n_samples, n_clusters)
            Of the clusters, as by ``predict_proba``.
        n_bins : int, default=10
            See `ReliabilityDisplay`.
        name, ax, **kwargs
            As of `plot`.

        Returns
        -------
        display : ReliabilityDisplay
        """
        probabilities = np.asarray(probabilities)
        if probabilities.ndim != 2 or not probabilities.size:
            raise ValueError(
                "probabilities must have shape (n_samples, n_clusters), as by predict_proba, "
                f"got {probabilities.shape}."
            )
        right = match_labels(y, probabilities.argmax(1)) == read_labels(y, "y")
        display = cls(probabilities.max(1), right, n_bins=n_bins, name=name)
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, n_bins: int = 10, name: str | None = None, ax=None, **kwargs
    ) -> Self:
        """Draw the reliability of a fitted clusterer's ``predict_proba(X)``.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``predict_proba``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Classes.
        n_bins : int, default=10
            See `ReliabilityDisplay`.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : ReliabilityDisplay
        """
        check_fitted(estimator)
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"{type(estimator).__name__} has no predict_proba method; "
                "pass numbers to ReliabilityDisplay(confidence, agreement)."
            )
        name = name_estimator(estimator) if name is None else name
        probabilities = estimator.predict_proba(X)
        return cls.from_predictions(y, probabilities, n_bins=n_bins, name=name, ax=ax, **kwargs)

    def plot(self, ax=None, *, name: str | None = None, **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        **kwargs : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        display : ReliabilityDisplay
            The display itself.
        """
        _, confidences, shares = bin_by_confidence(self.agreement, self.confidence, self.n_bins)
        self.calibration_error_ = expected_calibration_error(
            self.agreement, self.confidence, n_bins=self.n_bins
        )
        decided = np.isin(self.agreement, (0, 1)).all()
        self.error_auc_ = error_auc(self.agreement, self.confidence) if decided else None
        self.figure_, self.ax_ = make_axes(ax, (4.8, 4.8))
        label = f"calibration error {self.calibration_error_:.3f}"
        if self.error_auc_ is not None:
            label += f"\nAUC of finding errors {self.error_auc_:.3f}"
        self.ax_.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1, label="calibrated")
        style = {"color": COLORS[0], "marker": "o", "label": label, "clip_on": False, **kwargs}
        (self.line_,) = self.ax_.plot(confidences, shares, **style)
        self.ax_.set(
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
            xlabel="probability of the assigned cluster",
            ylabel="share of rows that are right",
            title=(self.name if name is None else name) or "",
        )
        self.legend_ = self.ax_.legend(loc="best", frameon=False)
        return self
