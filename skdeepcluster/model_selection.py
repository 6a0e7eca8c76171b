"""Model selection without labels: the number of clusters, and a scorer for searches."""

from collections.abc import Callable, Iterator

import numpy as np
from joblib import hash as hash_of
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Bunch
from sklearn.utils.validation import _num_samples

from .input.labels import predict_samples
from .input.parameters import read_n_clusters
from .metrics import ExpectedScore
from .neighbor_clustering import NeighborClustering, prepare_samples, read_settings
from .neighbors.search import list_metric
from .partition.search import Problem, find_clusters
from .partition.selection import list_alternatives

#: Parameters of a clusterer that the search for its number of clusters shares.
SHARED = {
    "augment",
    "image_shape",
    "kinds",
    "max_samples",
    "metric",
    "n_neighbors",
    "random_state",
    "standardize",
}


def select_n_clusters(
    X, estimator=None, n_clusters="auto", *, sample_weight=None
) -> Bunch:
    """Choose the number of clusters of any clusterer by the expected score, without labels.

    The estimator is fitted once. The number is the one that
    :class:`~skdeepcluster.NeighborClustering` finds, with the metric, kinds of columns, neighbors
    and seed of the estimator if it has such parameters.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples to cluster, as ``fit`` takes them.
    estimator : clusterer, default=None
        Clusterer with a parameter ``n_clusters``, or mixture with ``n_components``; its clone is
        fitted. None: :class:`~skdeepcluster.NeighborClustering`.
    n_clusters : "auto", (int, int) or iterable of int, default="auto"
        Numbers of clusters to choose from: "auto" and bounds as in
        :class:`~skdeepcluster.NeighborClustering`, or a list or range.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples for the fit and the score.

    Returns
    -------
    Bunch
        ``best_n_clusters``, ``best_estimator`` (fitted), ``curve`` and ``alternatives``. The curve
        is ``n_clusters_curve_`` of :class:`~skdeepcluster.NeighborClustering`, and the
        alternatives are its other partitions, the one with the most evidence first.

    Notes
    -----
    ``pandas.DataFrame(selection.curve).plot(x="n_clusters")`` draws the curve.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.model_selection import select_n_clusters
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> select_n_clusters(X, KMeans(random_state=0)).best_n_clusters
    3
    """
    if estimator is None:
        estimator = NeighborClustering(random_state=0)
    name = _name_number(estimator)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}

    def fit(number):
        return clone(estimator).set_params(**{name: number}).fit(X, **weights)

    numbers = read_n_clusters(n_clusters)
    if numbers.is_given:
        raise ValueError(
            "n_clusters must be 'auto', bounds such as (2, 20), or a list, got "
            f"{n_clusters!r}."
        )
    if isinstance(estimator, NeighborClustering) and numbers.is_range:
        fitted = fit(n_clusters)
        best = fitted.n_clusters_
        curve = fitted.n_clusters_curve_
        alternatives = fitted.alternatives_
    else:
        best, curve, alternatives = _search(X, numbers, estimator, sample_weight)
        fitted = fit(best)

    return Bunch(
        best_n_clusters=best,
        best_estimator=fitted,
        curve=curve,
        alternatives=alternatives,
    )


def _name_number(estimator):
    """Return the name of the parameter with the number of clusters."""
    if isinstance(estimator, type) or not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"estimator must be a clusterer, got {estimator!r}. Pass numbers as n_clusters."
        )
    for name in ("n_clusters", "n_components"):
        if name in estimator.get_params():
            return name
    raise ValueError(
        f"{type(estimator).__name__} has neither n_clusters nor n_components. Use compare() for "
        "clusterers that find the number themselves."
    )


def _search(X, numbers, estimator, sample_weight):
    """Return the best number by the expected score, the curve, and the alternatives."""
    params = estimator.get_params(deep=False)
    # A clusterer without a seed has one curve.
    shared = {"random_state": 0}
    shared |= {name: params[name] for name in SHARED & params.keys()}
    clusterer = NeighborClustering(**shared)
    prepared = prepare_samples(clusterer, X, sample_weight)
    problem = Problem(numbers, sample_weight)
    found = find_clusters(prepared, problem, read_settings(clusterer))
    labels = [partition.labels for partition in found.partitions]
    alternatives = list_alternatives(found.partitions, labels, 0)
    return found.best.n_clusters, found.curve, alternatives


class NoSplit:
    """Cross-validator that fits and scores all samples, in one split.

    Pass it as ``cv`` to scikit-learn's searches: a small cluster may be missing from a fold.

    See Also
    --------
    label_free_scorer : Scorer for such a search.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdeepcluster.model_selection import NoSplit, label_free_scorer
    >>> X, _ = make_blobs(100, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> grid = {"n_clusters": [1, 2, 3, 4]}
    >>> scoring = label_free_scorer()
    >>> search = GridSearchCV(KMeans(random_state=0), grid, scoring=scoring, cv=NoSplit())
    >>> search.fit(X).best_params_
    {'n_clusters': 3}
    """

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the indices of all samples for training and for testing."""
        samples = np.arange(_num_samples(X))
        yield samples, samples

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Return 1."""
        return 1


def label_free_scorer(**options) -> Callable[..., float]:
    """Make a scorer for searches that measures the clusters without labels.

    It is :func:`~skdeepcluster.metrics.expected_score`, which compares different methods, too;
    higher is better.

    Parameters
    ----------
    **options
        Parameters of the expected score, for instance ``metric="cosine"``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``; y is ignored.

    See Also
    --------
    NoSplit : Fits and scores all samples in a search, with an example.
    skdeepcluster.metrics.expected_score : The measure by itself.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.model_selection import label_free_scorer
    >>> X, _ = make_blobs(100, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> scorer = label_free_scorer()
    >>> round(scorer(KMeans(3, random_state=0).fit(X), X), 1)
    1.0
    """
    return LabelFreeScorer(options)


class LabelFreeScorer:
    """Scores a fitted clusterer; it remembers the measurements of the last X.

    A closure could not be pickled for joblib's workers.
    """

    def __init__(self, options) -> None:
        self.options = options
        self._key = None

    def __call__(self, estimator, X, y=None) -> float:
        """Return the expected score of the cluster labels of X."""
        options = list_metric([estimator]) | self.options
        labels = predict_samples(estimator, X)
        key = hash_of((X, options.get("metric")))
        if key != self._key:
            self._score = ExpectedScore(X, **options)
            self._key = key
        return self._score(labels)
