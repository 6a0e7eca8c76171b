"""Model selection without labels: the number of clusters, and a scorer for searches."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import methodcaller

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.validation import _num_samples

from .input.checks import check_count, warn_user
from .input.labels import predict_samples
from .metrics import expected_score
from .neighbors.search import has_distances
from .partition import count_clusters

#: Information criteria, which are methods of mixtures; lower is better.
CRITERIA = ("bic", "icl", "aic")


def select_n_clusters(
    X,
    n_clusters: Iterable[int] = range(1, 11),
    *,
    criterion: str = "expected_score",
    estimator=None,
    sample_weight=None,
    **params,
) -> Bunch:
    """Choose the number of clusters of any clusterer by a criterion without labels.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples to cluster.
    n_clusters : iterable of int, default=range(1, 11)
        Numbers of clusters to try.
    criterion : {"expected_score", "bic", "icl", "aic"}, default="expected_score"
        "expected_score" is computed by :func:`~skdeepcluster.partition.count_clusters` and needs
        a single fit. "bic" (number of Gaussians), "icl" (number of separate clusters) and "aic"
        (density that predicts best) are minimized and need mixtures.
    estimator : clusterer, default=None
        Clusterer with a parameter ``n_clusters``, or mixture with ``n_components``; None is
        :class:`~skdeepcluster.GaussianMixtureEM`. Its clones are fitted.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples for fits and information criteria.
    **params
        Parameters of the clones, for instance ``covariance_type="diag", n_init=5``.

    Returns
    -------
    Bunch
        ``best_estimator`` (fitted), ``best_n_clusters``, ``criterion`` and ``results``, a dict of
        arrays: "n_clusters", the criterion and, with "expected_score", "stability".

    Warns
    -----
    UserWarning
        If the best number is at an edge of those tried, or if "expected_score" has too few
        distinct samples for some numbers.

    See Also
    --------
    skdeepcluster.partition.count_clusters : Number of clusters without a clusterer.
    skdeepcluster.display.NumberOfClustersDisplay : Plot of the criterion.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.model_selection import select_n_clusters
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> select_n_clusters(X, range(2, 6), estimator=KMeans(random_state=0)).best_n_clusters
    3
    """
    if estimator is None:
        from .gaussian_mixture import GaussianMixtureEM

        estimator = GaussianMixtureEM()
    base = clone(estimator).set_params(**params)
    numbers = _check_numbers(n_clusters)
    name = "n_clusters" if "n_clusters" in base.get_params() else "n_components"
    _check_criterion(criterion, base)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}

    def fit(number):
        return clone(base).set_params(**{name: number}).fit(X, **weights)

    if criterion == "expected_score":
        best, results = _count(X, numbers, base, weights)
        fitted = fit(best)
    else:
        fits = [fit(number) for number in numbers]
        measure = methodcaller(criterion, X, **weights)
        values = np.array(list(map(measure, fits)))
        results = {"n_clusters": np.array(numbers), criterion: values}
        index = values.argmin()
        best = numbers[index]
        fitted = fits[index]

    _warn_of_edges(results["n_clusters"].tolist(), best, criterion)
    return Bunch(
        best_estimator=fitted,
        best_n_clusters=best,
        criterion=criterion,
        results=results,
    )


def _check_numbers(n_clusters):
    """Return the numbers of clusters to try as a list of int, each once."""
    if isinstance(n_clusters, str) or not isinstance(n_clusters, Iterable):
        raise TypeError(
            f"n_clusters={n_clusters!r} is a single value. Give several numbers to "
            "compare, e.g. range(1, 11)."
        )
    numbers = [check_count("n_clusters", k) for k in n_clusters]
    if not numbers:
        raise ValueError("n_clusters is empty. Give numbers of clusters to try.")
    return list(dict.fromkeys(numbers))


def _check_criterion(criterion, estimator):
    """Check that the criterion is known and can be computed."""
    known = ("expected_score", *CRITERIA)
    if criterion not in known:
        raise ValueError(f"criterion={criterion!r} is unknown. Use one of {known}.")
    if criterion in CRITERIA and not hasattr(estimator, criterion):
        raise ValueError(
            f"criterion={criterion!r} needs a mixture such as GaussianMixtureEM, but "
            f"got {type(estimator).__name__}."
        )


def _count(X, numbers, estimator, weights):
    """Return the best number of clusters by the expected score, and the results."""
    params = estimator.get_params(deep=False)
    names = "metric", "n_neighbors", "random_state"
    options = {name: params[name] for name in names if params.get(name) is not None}
    # As in expected_score, so that a clusterer without a seed has one curve.
    if "random_state" not in params:
        options["random_state"] = 0
    curve = count_clusters(X, numbers=numbers, **options, **weights)

    known = curve.n_clusters
    if len(known) < len(numbers):
        warn_user(
            f"Numbers above {known.max()} are left out: too few samples are distinct.",
            UserWarning,
        )
    results = {
        "n_clusters": known,
        "expected_score": curve.criterion,
        "stability": curve.stability,
    }
    return curve.best_n_clusters, results


def _warn_of_edges(numbers, best, criterion):
    """Warn if the best number is at an edge of those tried."""
    low = min(numbers)
    high = max(numbers)
    if low < high and (best == high or best == low > 1):
        edge, more = ("largest", "larger") if best == high else ("smallest", "smaller")
        warn_user(
            f"The best number of clusters by {criterion}, {best}, is the {edge} of those tried, "
            f"{low} to {high}. Give {more} numbers as n_clusters, too.",
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
    # A closure could not be pickled for joblib's workers.
    return partial(_score, options=options)


def _score(estimator, X, y=None, *, options):
    """Return the expected score of the cluster labels of X."""
    labels = predict_samples(estimator, X)
    if has_distances(estimator):
        options = {"metric": "precomputed"} | options
    return expected_score(X, labels, **options)
