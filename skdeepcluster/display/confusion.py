"""ClusterConfusionDisplay: the classes of the samples in each cluster."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import normalize
from sklearn.utils import check_array, check_consistent_length

from ..input.labels import predict_samples
from ..metrics import check_discrete
from .base import Display, read_array, take_last_step

#: Maximum number of clusters or classes whose counts are written by default.
MAX_WRITTEN = 15


@dataclass(eq=False, repr=False)
class ClusterConfusionDisplay(Display):
    """Table of classes and clusters, with the matching clusters on the diagonal.

    The clusters are ordered by the best one-to-one matching with the classes (Hungarian
    algorithm); clusters without a class come last.

    Parameters
    ----------
    confusion : array-like of shape (n_classes, n_clusters)
        Number of samples of each class in each cluster.
    classes, clusters : array-like, default=None
        Names of the classes and the clusters; None numbers them from 0.
    name : str, default=None

    Attributes
    ----------
    order_ : ndarray of shape (n_clusters,)
        Columns of ``confusion`` from left to right.
    accuracy_ : float
        Share of the samples in the cluster that matches their class.
    im_ : matplotlib AxesImage
        The table, as shares of each class.

    See Also
    --------
    skdeepcluster.metrics.match_labels : The matching of clusters and classes.

    Examples
    --------
    >>> from skdeepcluster.display import ClusterConfusionDisplay
    >>> classes, clusters = ["cat", "cat", "dog", "dog"], [1, 1, 0, 1]
    >>> display = ClusterConfusionDisplay.from_predictions(classes, clusters)
    >>> display.order_, display.accuracy_
    (array([1, 0]), 0.75)
    """

    confusion: ArrayLike
    _: KW_ONLY
    classes: Any = None
    clusters: Any = None

    @classmethod
    def from_predictions(cls, y_true, labels, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the table of the classes and clusters of samples, (n_samples,) each."""
        # Raises for missing values; the names stay as they are given.
        check_discrete(y_true, "y_true")
        check_discrete(labels, "labels")
        check_consistent_length(y_true, labels)

        display = cls(
            contingency_matrix(y_true, labels),
            classes=np.unique(y_true),
            clusters=np.unique(labels),
            name=name,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the table of the classes y and the clusters that a fitted clusterer predicts."""
        _, name = take_last_step(estimator, name)
        labels = predict_samples(estimator, X)
        return cls.from_predictions(y, labels, name=name, ax=ax, **kwargs)

    def plot(self, ax=None, *, include_values: bool | None = None, **kwargs) -> Self:
        """Draw by ``Axes.imshow``, which takes ``kwargs``.

        By default, `include_values` writes the counts of at most 15 classes and clusters.
        """
        table = check_array(
            self.confusion, ensure_non_negative=True, input_name="confusion"
        )
        n_classes, n_clusters = table.shape

        classes = np.arange(n_classes)
        if self.classes is not None:
            classes = read_array("classes", self.classes, n_classes)

        clusters = np.arange(n_clusters)
        if self.clusters is not None:
            clusters = read_array("clusters", self.clusters, n_clusters)

        rows, columns = linear_sum_assignment(table, maximize=True)
        rest = np.setdiff1d(np.arange(n_clusters), columns)
        self.order_ = np.concatenate([columns, rest])
        self.accuracy_ = float(table[rows, columns].sum() / max(table.sum(), 1))
        table = table[:, self.order_]

        height, width = np.clip(0.42 * np.array(table.shape) + 1.2, 3.5, 9)
        ax = self._open(ax, (width, height))
        style = {"cmap": "Blues", "vmin": 0, "vmax": 1, "aspect": "auto", **kwargs}
        self.im_ = ax.imshow(normalize(table, "l1"), **style)

        ax.set_xticks(range(n_clusters), clusters[self.order_])
        ax.set_yticks(range(n_classes), classes)
        ax.set(xlabel="cluster", ylabel="class")

        if include_values is None:
            include_values = max(table.shape) <= MAX_WRITTEN
        if include_values:
            self._write_counts(table)
        return self

    def _write_counts(self, table):
        shades = self.im_.norm(self.im_.get_array())
        for (row, column), count in np.ndenumerate(table):
            self.ax_.text(
                column,
                row,
                f"{count:g}",
                ha="center",
                va="center",
                fontsize=8,
                color=self.im_.cmap(float(shades[row, column] <= 0.5)),
            )
