"""compare: several clusterers on the same samples, as a table and as a page of HTML."""

from copy import deepcopy
from functools import partial
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import Bunch, check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import _num_samples

from .display import EmbeddingDisplay
from .ensemble import count_used, reads_tables
from .input.checks import warn_user
from .input.labels import check_labels, predict_samples
from .inspection.page import write_page
from .metrics import ExpectedScore, check_discrete, clustering_accuracy, match_labels
from .neighbors.search import list_metric

#: Number of maps beside each other in a page.
N_COLUMNS = 3


def compare(X, clusterers, y=None, **options) -> "Comparison":
    """Fit several clusterers to the same samples and rank them by their expected scores.

    Scores that differ by less than 0.05 cannot tell clusterers apart, and below 0.3 hardly any
    clusters were found.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples. Pipelines, and clusterers of this package that read kinds of columns, get X as
        it is. All others get the numbers that :class:`~skdeepcluster.input.Preparation` makes of
        X: scaled, with one-hot categories and without gaps. Each gets a copy.
    clusterers : list or dict of clusterers
        Clusterers by name; names in a list are those of the classes. Their clones are fitted.
    y : array-like of shape (n_samples,), default=None
        Known classes. Labels are compared with them; no clusterer gets them.
    **options
        Parameters of :class:`~skdeepcluster.metrics.ExpectedScore`, for instance
        ``metric="cosine"`` or ``kinds={"city": "category"}``.

    Returns
    -------
    Comparison
        The fits, best first. ``print`` writes a table, and ``to_html`` a page with maps.

    Warns
    -----
    FitFailedWarning
        If a clusterer raises an error; the others are still compared.

    Examples
    --------
    >>> from sklearn.cluster import DBSCAN, KMeans
    >>> from sklearn.datasets import make_moons
    >>> from skdeepcluster import NeighborClustering, compare
    >>> X, y = make_moons(300, noise=0.05, random_state=0)
    >>> ours = NeighborClustering(2, random_state=0)
    >>> found = compare(X, [KMeans(2, random_state=0), DBSCAN(eps=0.1), ours], y)
    >>> found.names[-1]
    'KMeans'
    >>> round(float(found.results["ARI"].max()), 1)
    1.0
    """
    clusterers = _name_clusterers(clusterers)
    options = list_metric(clusterers.values()) | options
    if y is not None:
        y = check_discrete(y, "y")
        check_consistent_length(X, y)
    # Errors in X and in options come before the fits.
    score = ExpectedScore(X, **options)
    labels, seconds, errors = _fit_all(clusterers, X, score.prepared)
    scores = score(list(labels.values()))
    order = np.argsort(-scores, kind="stable")  # nan comes last
    names = [list(labels)[i] for i in order]
    labels = {name: labels[name] for name in names}
    metric = options.get("metric", "euclidean")
    return Comparison(
        names=names,
        labels=labels,
        estimators={name: clusterers[name] for name in names},
        results={
            "expected_score": scores[order],
            **_measure(list(labels.values()), y),
            "seconds": np.array([seconds[name] for name in names]),
        },
        errors=errors,
        samples=score.prepared.points,
        metric="euclidean" if metric == "precomputed" else metric,
    )


def _name_clusterers(clusterers):
    """Return clones of the clusterers by name, those of a list by their classes."""
    if isinstance(clusterers, list | tuple):
        named = {}
        for clusterer in clusterers:
            kind = type(clusterer).__name__
            n_same = sum(type(other) is type(clusterer) for other in named.values())
            named[f"{kind} {n_same + 1}" if n_same else kind] = clusterer
        clusterers = named
    if not isinstance(clusterers, dict) or not clusterers:
        raise ValueError(
            f"clusterers must be a list or a dict of at least one clusterer, got {clusterers!r}."
        )
    return {str(name): clone(clusterer) for name, clusterer in clusterers.items()}


def _fit_all(clusterers, X, prepared):
    """Fit clusterers, and return their labels, seconds and errors by name."""
    labels = {}
    seconds = {}
    errors = {}
    for name, clusterer in clusterers.items():
        takes_all = reads_tables(clusterer) or not prepared.preparation.changes_samples
        # Some clusterers write to their samples.
        samples = deepcopy(X if takes_all else prepared.points)
        start = perf_counter()
        try:
            labels[name] = _fit(clusterer, samples)
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
            warn_user(f"{name} failed: {errors[name]}", FitFailedWarning)
        seconds[name] = perf_counter() - start
    if not labels:
        raise ValueError(f"No clusterer could be fitted: {errors}")
    return labels, seconds, errors


def _fit(clusterer, X):
    """Fit a clusterer and return its labels, -1 for noise."""
    if hasattr(clusterer, "fit_predict"):
        labels = clusterer.fit_predict(X)
    else:
        labels = predict_samples(clusterer.fit(X), X)
    # Labels below -1 are noise of HDBSCAN.
    return check_labels("labels", np.maximum(labels, -1), _num_samples(X))


def _measure(partitions, y):
    """Return measures of partitions, and with classes y their agreement."""
    measures = {
        "agreement": partial(adjusted_rand_score, partitions[0]),
        "clusters": count_used,
        "noise": lambda labels: np.mean(labels < 0),
    }
    if y is not None:
        measures["ACC"] = partial(clustering_accuracy, y)
        measures["ARI"] = partial(adjusted_rand_score, y)
    return {
        name: np.array([measure(labels) for labels in partitions])
        for name, measure in measures.items()
    }


class Comparison(Bunch):
    """Fits of several clusterers, best first, made by :func:`~skdeepcluster.compare`.

    ``print(found)`` writes a table, and notebooks show a page of HTML.

    Attributes
    ----------
    names : list of str
        Clusterers whose fit succeeded, the highest expected score first.
    labels : dict of ndarray of shape (n_samples,)
        Cluster labels by name, -1 for noise.
    estimators : dict of estimators
        The fitted clones by name.
    results : dict of ndarray of shape (n_names,)
        "expected_score" (nan if unknown), "agreement" with the first (adjusted Rand index),
        "clusters", share of "noise", and "seconds" of the fit. With ``y`` also "ACC", the
        ``clustering_accuracy``, and "ARI", the adjusted Rand index.
    errors : dict of str
        Errors of the clusterers that failed, by name.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from skdeepcluster import compare
    >>> from skdeepcluster.comparison import Comparison
    >>> found = compare([[1, 0], [2, 0], [0, 9], [0, 8]], [KMeans(2)])
    >>> isinstance(found, Comparison), found.to_frame().shape
    (True, (1, 5))
    """

    def to_frame(self) -> Any:
        """Return a pandas DataFrame of the results, with a row for each clusterer."""
        import pandas as pd

        return pd.DataFrame(self.results, index=pd.Index(self.names, name="clusterer"))

    def __str__(self) -> str:
        columns = []
        for column in zip(*self._write_table(), strict=True):
            width = max(map(len, column))
            columns.append([text.rjust(width) for text in column])
        return "\n".join(map("  ".join, zip(*columns, strict=True)))

    __repr__ = __str__

    def to_html(self, path=None) -> str | None:
        """Return a page of HTML with maps by matplotlib, or write it to a path.

        Clusters that match those of the first clusterer have the same colors.
        """
        check_matplotlib_support("Comparison.to_html")
        from matplotlib.figure import Figure

        n_rows = ceil(len(self.names) / N_COLUMNS)
        figure = Figure(figsize=(10, 3.2 * n_rows), layout="constrained")
        points = self.samples
        first = self.labels[self.names[0]]
        classes = np.where(first < 0, first.max() + 1, first)
        for position, name in enumerate(self.names, start=1):
            own = self.labels[name]
            matched = np.where(own < 0, -1, match_labels(classes, own))
            display = EmbeddingDisplay(points, matched, metric=self.metric, name=name)
            display.plot(figure.add_subplot(n_rows, N_COLUMNS, position))
            display.legend_.remove()
            display.ax_.set(xlabel="", ylabel="", xticks=[], yticks=[])
            points = display.points_  # computed once

        title = f"Comparison of clusterers on {len(first):,} samples"
        return write_page(path, title, self._write_table(), figure)

    _repr_html_ = to_html

    def _write_table(self):
        """Return the results as rows of texts, the titles first."""
        table = [["clusterer", *self.results]]
        for i, name in enumerate(self.names):
            numbers = [f"{values[i]:.3g}" for values in self.results.values()]
            table.append([name, *numbers])
        return table
