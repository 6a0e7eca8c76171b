"""compare: several clusterers on the same samples, as a table and as a page of HTML."""

import os
from copy import deepcopy
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.utils import Bunch, check_consistent_length
from sklearn.utils.validation import _num_samples

from .ensemble import count_used, reads_tables
from .input.checks import warn_user
from .input.labels import check_labels, mean_greatest_jaccard, predict_samples
from .inspection.page import find_spots, match_before, write_page
from .metrics import ExpectedScore, check_discrete, clustering_accuracy
from .neighbors.search import list_metric


def compare(
    X, clusterers, y=None, *, as_is: bool = False, verbose: int = 0, **options
) -> "Comparison":
    """Fit several clusterers to the same samples and rank them by their expected scores.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples. Pipelines, and clusterers of this package that read kinds of columns, get X as
        it is. All others get the numbers that :class:`~skdeepcluster.input.Preparation` makes of
        X: scaled, with one-hot categories and without gaps.
    clusterers : list of clusterers or dict of clusterers
        Clusterers of scikit-learn, of this package or others, by name; names in a list are those
        of the classes. Their clones are fitted.
    y : array-like of shape (n_samples,), default=None
        Known classes. Labels are compared with them; no clusterer gets them.
    as_is : bool, default=False
        Whether all clusterers get X as it is.
    verbose : int, default=0
        1 prints a line for each clusterer that is done, with the estimated time left.
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

    See Also
    --------
    skdeepcluster.metrics.expected_score : The measure by itself.
    skdeepcluster.model_selection.label_free_scorer : Search over settings of one clusterer.
    skdeepcluster.ClusterEnsemble : One partition from several clusterers.

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
    samples = score.prepared.points
    prepared = []
    if score.prepared.preparation.changes_samples and not as_is:
        prepared = [name for name, own in clusterers.items() if not reads_tables(own)]
    inputs = {name: samples if name in prepared else X for name in clusterers}
    labels, seconds, errors = _fit_all(clusterers, inputs, verbose)

    scores = score(list(labels.values()))
    order = np.argsort(-scores, kind="stable")  # nan comes last
    names = [list(labels)[i] for i in order]
    labels = {name: labels[name] for name in names}
    agreement = pairwise_distances(list(labels.values()), metric=adjusted_rand_score)
    results = {
        "expected_score": scores[order],
        "agreement": agreement[0],
        **_measure_all(labels, y),
        "seconds": np.array([seconds[name] for name in names]),
    }
    metric = options.get("metric", "euclidean")
    return Comparison(
        names=names,
        best=names[0],
        labels=labels,
        estimators={name: clusterers[name] for name in names},
        results=results,
        agreement=agreement,
        errors=errors,
        prepared=prepared,
        table=X,
        samples=samples,
        metric="euclidean" if metric == "precomputed" else metric,
        y=y,
    )


def _name_clusterers(clusterers):
    """Return clones of the clusterers by name, those of a list by their classes."""
    if isinstance(clusterers, list | tuple):
        kinds = [type(clusterer).__name__ for clusterer in clusterers]
        places = [kinds[: i + 1].count(kind) for i, kind in enumerate(kinds)]
        names = map("{} {}".format, kinds, places)
        names = [name.removesuffix(" 1") for name in names]
        clusterers = dict(zip(names, clusterers, strict=True))
    if not isinstance(clusterers, dict) or not clusterers:
        raise ValueError(
            f"clusterers must be a list or a dict of at least one clusterer, got {clusterers!r}."
        )
    named = {str(name): clone(clusterer) for name, clusterer in clusterers.items()}
    if len(named) < len(clusterers):
        raise ValueError(
            f"clusterers has equal names as texts: {list(clusterers)}. Give each another name."
        )
    return named


# ---- fits


def _fit_all(clusterers, inputs, verbose):
    """Fit clusterers, and return their labels, seconds and errors by name."""
    labels = {}
    seconds = {}
    errors = {}
    n_all = len(clusterers)
    for n_done, (name, clusterer) in enumerate(clusterers.items(), start=1):
        X = deepcopy(inputs[name])  # some clusterers write to their samples
        start = perf_counter()
        try:
            labels[name] = _fit(clusterer, X)
            line = f"{name}: {count_used(labels[name])} clusters"
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
            line = f"{name} failed: {errors[name]}"
            warn_user(line, FitFailedWarning)
        seconds[name] = perf_counter() - start
        if verbose:
            left = sum(seconds.values()) * (n_all / n_done - 1)
            place = f"{n_done} of {n_all}, about {left:.0f} s left"
            print(f"{line} ({seconds[name]:.1f} s; {place})", flush=True)
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


# ---- what is compared


def _measure_all(labels, y):
    """Return measures of labels, and with classes y their agreement."""
    measures = {"clusters": count_used, "noise": lambda own: np.mean(own < 0)}
    if y is not None:
        measures["ACC"] = partial(clustering_accuracy, y)
        measures["ARI"] = partial(adjusted_rand_score, y)
    return {
        title: np.array([measure(own) for own in labels.values()])
        for title, measure in measures.items()
    }


class Comparison(Bunch):
    """Fits of several clusterers, best first, made by :func:`~skdeepcluster.compare`.

    ``print(found)`` writes a table, and notebooks show a page of HTML.

    Attributes
    ----------
    names : list of str
        Clusterers whose fit succeeded, the highest expected score first.
    best : str
        The first name.
    labels : dict of ndarray of shape (n_samples,)
        Cluster labels by name, -1 for noise.
    estimators : dict of estimators
        The fitted clones by name.
    results : dict of ndarray of shape (n_names,)
        "expected_score" (nan if unknown), "agreement" with the best (adjusted Rand index),
        number of "clusters", share of "noise", and "seconds" of the fit. With ``y`` also "ACC",
        see :func:`~skdeepcluster.metrics.clustering_accuracy`, and "ARI", the adjusted Rand index.
    agreement : ndarray of shape (n_names, n_names)
        Adjusted Rand indices of the labels with each other.
    errors : dict of str
        Errors of the clusterers that failed, by name.
    prepared : list of str
        Clusterers that got prepared numbers in place of X.
    table, y : {ndarray, sparse matrix, DataFrame} and ndarray or None
        The samples and classes that were given.
    samples, metric : {ndarray, sparse matrix} and str or callable
        Prepared numbers, and the metric of the map.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import compare
    >>> from skdeepcluster.comparison import Comparison
    >>> found = compare(load_iris().data, {"two": KMeans(2), "nine": KMeans(9)})
    >>> isinstance(found, Comparison), found.best
    (True, 'two')
    >>> page = found.to_html()
    """

    def to_frame(self) -> Any:
        """Return a pandas DataFrame of the results, with a row for each clusterer."""
        import pandas as pd

        return pd.DataFrame(self.results, index=pd.Index(self.names, name="clusterer"))

    def to_text(self) -> str:
        """Return the results as a table, and which clusterer to take."""
        return write_page("comparison.txt", found=self, columns=self._list_columns())

    __str__ = __repr__ = to_text

    def to_html(
        self, path: str | os.PathLike[str] | None = None, title: str | None = None
    ) -> str | None:
        """Return a page of HTML with the results and maps of the samples, or write it to a path.

        Clusters that match those of the best clusterer have the same colors.
        """
        clusters, index, sizes = np.unique(
            self.labels[self.best], return_inverse=True, return_counts=True
        )
        best = index - (clusters[0] < 0)
        n_clusters = best.max() + 1
        colored = dict(self.labels)
        if self.y is not None:
            colored["classes y"] = np.unique(self.y, return_inverse=True)[1]
        maps = {
            name: match_before(own, self.table, best, n_clusters)
            for name, own in colored.items()
        }
        matched = np.array([maps[name] for name in self.names])
        is_same = (matched == best).all(0) & (best >= 0)
        jaccard = [
            mean_greatest_jaccard(best, own[:, None], n_clusters) for own in matched
        ]
        n_samples = len(best)
        rows = self.table.index if hasattr(self.table, "iloc") else range(n_samples)
        return write_page(
            "comparison.html",
            path,
            found=self,
            rows=rows,
            title=title,
            columns=self._list_columns(),
            maps=maps,
            spots=find_spots(self.samples, self.metric),
            clusters=zip(clusters, sizes, strict=True),
            jaccard=jaccard,
            same=is_same.mean(),
        )

    _repr_html_ = to_html

    def _list_columns(self):
        """Return the columns of the table by title."""
        return {
            title.replace("_", " "): values
            for title, values in self.results.items()
            if title != "noise" or values.any()
        }
