"""ClusterConfusionDisplay: which classes the clusters are made of."""

from typing import Self

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_consistent_length

from ..metrics import read_labels
from .axes import check_fitted, make_axes, name_estimator, predict_rows

#: Most clusters or classes for which the counts are written by default.
MOST_WRITTEN = 15


class ClusterConfusionDisplay:
    """Table of classes against clusters, each cluster in the column of its class.

    scikit-learn's confusion matrix compares two lists of the same names; clusters have numbers
    of their own. Here they keep them, and are ordered by the best one-to-one matching with the
    classes; clusters left over come last.

    Parameters
    ----------
    confusion : array-like of shape (n_classes, n_clusters)
        Rows of each class in each cluster.
    classes, clusters : array-like, default=None
        Their names; 0, 1, ... if None.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    order_ : ndarray of shape (n_clusters,)
        Columns of ``confusion`` from left to right.
    accuracy_ : float
        Share of rows in the cluster that is matched with their class.
    im_ : matplotlib AxesImage
        The table.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    skdeepcluster.metrics.match_labels : The matching of clusters and classes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeepcluster.display import ClusterConfusionDisplay
    >>> classes, clusters = ["cat", "cat", "dog", "dog"], [1, 1, 0, 1]
    >>> display = ClusterConfusionDisplay.from_predictions(classes, clusters)
    >>> display.order_, display.accuracy_
    (array([1, 0]), 0.75)
    >>> plt.close("all")
    """

    def __init__(self, confusion, *, classes=None, clusters=None, name: str | None = None) -> None:
        self.confusion = confusion
        self.classes = classes
        self.clusters = clusters
        self.name = name

    @classmethod
    def from_predictions(
        cls, y_true, labels, *, name: str | None = None, ax=None, **kwargs
    ) -> Self:
        """Draw the table of classes and clusters of rows.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Classes.
        labels : array-like of shape (n_samples,)
            Clusters.
        name, ax, **kwargs
            As of `plot`.

        Returns
        -------
        display : ClusterConfusionDisplay
        """
        for given, kind in ((y_true, "y_true"), (labels, "labels")):
            read_labels(given, kind)  # raises what is wrong; classes keep their names
        check_consistent_length(y_true, labels)
        names = {"classes": np.unique(y_true), "clusters": np.unique(labels)}
        display = cls(contingency_matrix(y_true, labels), **names, name=name)
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, name: str | None = None, ax=None, **kwargs
    ) -> Self:
        """Draw the table of classes and of a fitted clusterer's ``predict(X)``.

        Parameters
        ----------
        estimator : fitted clusterer
            With ``predict``, or with ``labels_`` of the rows of X.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Classes.
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : ClusterConfusionDisplay
        """
        check_fitted(estimator)
        name = name_estimator(estimator) if name is None else name
        return cls.from_predictions(y, predict_rows(estimator, X), name=name, ax=ax, **kwargs)

    def plot(
        self, ax=None, *, name: str | None = None, include_values: bool | None = None, cmap="Blues"
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        include_values : bool, default=None
            Whether to write the numbers; None: with at most 15 classes and clusters.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours of the shares of each class.

        Returns
        -------
        display : ClusterConfusionDisplay
            The display itself.
        """
        table = np.asarray(self.confusion)
        if table.ndim != 2 or not table.size:
            raise ValueError(
                f"confusion must have shape (n_classes, n_clusters), got {table.shape}."
            )
        if not (np.isfinite(table) & (table >= 0)).all():
            raise ValueError("confusion must hold numbers of rows, finite ones and at least 0.")
        for k, names in enumerate((self.classes, self.clusters)):
            if names is not None and len(names) != table.shape[k]:
                raise ValueError(
                    f"{('classes', 'clusters')[k]} must hold {table.shape[k]} names, as confusion "
                    f"of shape {table.shape} says, got {len(names)}."
                )
        rows, columns = linear_sum_assignment(table, maximize=True)
        rest = np.setdiff1d(np.arange(table.shape[1]), columns)
        self.order_ = np.concatenate([columns, rest])
        self.accuracy_ = float(table[rows, columns].sum() / max(table.sum(), 1))
        table = table[:, self.order_]
        side = np.clip(0.42 * np.array(table.shape[::-1]) + 1.2, 3.5, 9)
        self.figure_, self.ax_ = make_axes(ax, tuple(side))
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        self.im_ = self.ax_.imshow(shares, cmap=cmap, vmin=0, vmax=1, aspect="auto")
        if include_values is None:
            include_values = max(table.shape) <= MOST_WRITTEN
        if include_values:
            self._write_counts(table, shares)
        self._write_names(self.name if name is None else name)
        return self

    def _write_counts(self, table, shares):
        for (row, column), count in np.ndenumerate(table):
            color = self.im_.cmap(0.0 if shares[row, column] > 0.5 else 1.0)
            style = {"ha": "center", "va": "center", "fontsize": 8, "color": color}
            self.ax_.text(column, row, f"{count:g}", **style)

    def _write_names(self, name):
        n_classes, n_clusters = np.shape(self.confusion)
        classes = np.arange(n_classes) if self.classes is None else np.asarray(self.classes)
        clusters = np.arange(n_clusters) if self.clusters is None else np.asarray(self.clusters)
        self.ax_.set_xticks(np.arange(n_clusters), clusters[self.order_])
        self.ax_.set_yticks(np.arange(n_classes), classes)
        self.ax_.set(xlabel="cluster", ylabel="class", title=name or "")
