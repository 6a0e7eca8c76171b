"""ReliabilityDisplay: the calibration of cluster probabilities."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

from numpy.typing import ArrayLike

from ..metrics import (
    bin_by_confidence,
    error_auc,
    expected_calibration_error,
    read_confidence,
)
from .base import COLORS, Display, check_has, take_last_step


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
        cls, y, probabilities, *, n_bins: int = 10, name=None, ax=None, **kwargs
    ) -> Self:
        """Draw how often the most probable cluster is the one matched with the class.

        The shape of `probabilities` is (n_samples, n_clusters). See
        :func:`~skdeepcluster.metrics.match_labels` for the matching.
        """
        right, confidence = read_confidence(y, probabilities)
        return cls(confidence, right, n_bins=n_bins, name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, n_bins: int = 10, name=None, ax=None, **kwargs
    ) -> Self:
        """Draw the reliability of ``predict_proba(X)`` of a fitted clusterer for classes y."""
        options = {
            "n_bins": n_bins,
            "name": take_last_step(estimator, name)[1],
            "ax": ax,
        }
        check_has(estimator, "predict_proba")
        return cls.from_predictions(y, estimator.predict_proba(X), **options, **kwargs)

    def plot(self, ax=None, **kwargs) -> Self:
        """Draw by ``Axes.plot``, which takes ``kwargs``."""
        given = self.agreement, self.confidence
        _, confidences, shares = bin_by_confidence(*given, self.n_bins)
        self.calibration_error_ = expected_calibration_error(*given, n_bins=self.n_bins)
        self.error_auc_ = error_auc(*given)
        label = f"calibration error {self.calibration_error_:.3f}"
        label += f"\nAUC of finding errors {self.error_auc_:.3f}"
        ax = self._open(ax, (4.8, 4.8))
        ax.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1, label="calibrated")
        style = {
            "color": COLORS[0],
            "marker": "o",
            "label": label,
            "clip_on": False,
            **kwargs,
        }
        (self.line_,) = ax.plot(confidences, shares, **style)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set(
            xlabel="probability of the cluster",
            ylabel="share of samples that are right",
        )
        self.legend_ = ax.legend(loc="best", frameon=False)
        return self
