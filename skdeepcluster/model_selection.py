"""Model selection without labels: the number of clusters, and a scorer for searches."""

from collections.abc import Callable, Iterator

import numpy as np
from joblib import hash as hash_of
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.validation import _num_samples

from .input.checks import warn_user
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
#: Criteria; those after the first are methods of mixtures, and lower is better.
CRITERIA = ("expected_score", "bic", "aic")


def select_n_clusters(
    X,
    estimator=None,
    n_clusters="auto",
    *,
    criterion: str = "expected_score",
    sample_weight=None,
) -> Bunch:
    """Choose the number of clusters of any clusterer by a criterion without labels.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Samples to cluster, as ``fit`` takes them.
    estimator : clusterer, default=None
        Clusterer with a parameter ``n_clusters``, or mixture with ``n_components``; its clones
        are fitted. None: :class:`~skdeepcluster.NeighborClustering`, or
        :class:`~skdeepcluster.GaussianMixtureEM` with another criterion than "expected_score".
    n_clusters : "auto", (int, int) or iterable of int, default="auto"
        Numbers of clusters to choose from: "auto" and bounds as in
        :class:`~skdeepcluster.NeighborClustering`, or a list or range. "auto" needs
        "expected_score".
    criterion : {"expected_score", "bic", "aic"}, default="expected_score"
        "expected_score" needs a single fit of the estimator: the number is the one that
        :class:`~skdeepcluster.NeighborClustering` finds, with the metric, kinds of columns,
        neighbors and seed of the estimator if it has such parameters. "bic" (number of
        Gaussians) and "aic" (density that predicts best) are minimized and need mixtures.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples for fits and criteria.

    Returns
    -------
    Bunch
        ``best_n_clusters``, ``best_estimator`` (fitted), ``criterion``, ``curve`` and
        ``alternatives``. With "expected_score", the curve is ``n_clusters_curve_`` of
        :class:`~skdeepcluster.NeighborClustering`, and the alternatives are its other partitions,
        the one with the most evidence first. Otherwise, the curve is a Bunch of "n_clusters" and
        the criterion, and there are no alternatives.

    Warns
    -----
    UserWarning
        If the best number is at an edge of those tried, or if "expected_score" has too few
        distinct samples for some numbers.

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
    is_mixture = criterion != "expected_score"
    estimator = _read_estimator(estimator, criterion)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    name = _name_number(estimator)

    def fit(number):
        return clone(estimator).set_params(**{name: number}).fit(X, **weights)

    numbers = read_n_clusters(n_clusters)
    if numbers.is_given or is_mixture and n_clusters == "auto":
        raise ValueError(
            f"A choice by {criterion!r} needs bounds such as (2, 20), or a list, got "
            f"n_clusters={n_clusters!r}."
        )
    if not numbers.is_range:
        n_clusters = numbers.numbers  # an iterator can be read once
    alternatives = []
    if is_mixture:
        fits = {number: fit(number) for number in numbers.numbers}
        curve = _score_mixtures(fits, criterion, X, weights)
        best = int(curve.n_clusters[curve[criterion].argmin()])
        fitted = fits[best]
    elif isinstance(estimator, NeighborClustering) and numbers.is_range:
        fitted = fit(n_clusters)
        best = fitted.n_clusters_
        curve = fitted.n_clusters_curve_
        alternatives = fitted.alternatives_
    else:
        best, curve, alternatives = _search(X, n_clusters, estimator, sample_weight)
        fitted = fit(best)

    if not isinstance(n_clusters, str):
        _warn_of_edges(curve.n_clusters.tolist(), best, criterion)
    return Bunch(
        best_n_clusters=best,
        best_estimator=fitted,
        criterion=criterion,
        curve=curve,
        alternatives=alternatives,
    )


def _read_estimator(estimator, criterion):
    """Return the estimator, or what stands for None, checked to have the criterion."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} is unknown. Use one of {CRITERIA}.")
    is_class = isinstance(estimator, type)
    if is_class or estimator is not None and not hasattr(estimator, "get_params"):
        raise TypeError(
            f"estimator must be a clusterer, got {estimator!r}. Pass numbers as n_clusters."
        )
    if criterion == "expected_score":
        return NeighborClustering(random_state=0) if estimator is None else estimator
    if estimator is None:
        from .gaussian_mixture import GaussianMixtureEM

        return GaussianMixtureEM()
    if not hasattr(estimator, criterion):
        raise ValueError(
            f"criterion={criterion!r} needs a mixture, got {type(estimator).__name__}."
        )
    return estimator


def _name_number(estimator):
    """Return the name of the parameter with the number of clusters."""
    for name in ("n_clusters", "n_components"):
        if name in estimator.get_params():
            return name
    raise ValueError(
        f"{type(estimator).__name__} has neither n_clusters nor n_components. Use compare() for "
        "clusterers that find the number themselves."
    )


def _score_mixtures(fits, criterion, X, weights):
    """Return the curve of a criterion of mixtures, which are given by their numbers."""
    values = [getattr(each, criterion)(X, **weights) for each in fits.values()]
    curve = Bunch(n_clusters=np.array([*fits]))
    curve[criterion] = np.array(values)
    return curve


def _search(X, n_clusters, estimator, sample_weight):
    """Return the best number by the expected score, the curve, and the alternatives."""
    params = estimator.get_params(deep=False)
    shared = {name: params[name] for name in params.keys() & SHARED}
    # A clusterer without a seed has one curve.
    clusterer = NeighborClustering(n_clusters, **{"random_state": 0} | shared)
    prepared = prepare_samples(clusterer, X, sample_weight)
    problem = Problem(read_n_clusters(n_clusters), sample_weight)
    found = find_clusters(prepared, problem, read_settings(clusterer))
    partitions = found.partitions
    labels = [partition.labels for partition in partitions]
    alternatives = list_alternatives(partitions, labels, 0)

    curve = found.curve
    largest = curve.n_clusters.max()
    if isinstance(n_clusters, list) and largest < max(n_clusters):
        warn_user(
            f"Numbers above {largest} are left out: too few samples are distinct.",
            UserWarning,
        )
    return found.best.n_clusters, curve, alternatives


def _warn_of_edges(numbers, best, criterion):
    """Warn if the best number is at an edge of those tried."""
    low = min(numbers)
    high = max(numbers)
    if low < high and (best == high or best == low > 1):
        edge, more = ("largest", "larger") if best == high else ("smallest", "smaller")
        warn_user(
            f"The best number of clusters by {criterion}, {best}, is the {edge} of those tried, "
            f"{low} to {high}. Give {more} ones, too.",
            UserWarning,
        )


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
