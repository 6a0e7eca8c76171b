"""Model selection without labels: the number of clusters, and a scorer for searches."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import signature
from numbers import Integral

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import calinski_harabasz_score, silhouette_score
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils.validation import _num_samples, has_fit_parameter

from .gaussian_mixture import GaussianMixtureEM
from .neighbors import count_clusters
from .neighbors.number import take_number
from .neighbors.search import has_distances

#: Information criteria, names of methods of mixtures; lower is better.
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
        Rows to learn from.
    n_clusters : iterable of int, default=range(1, 11)
        Numbers of clusters to try.
    criterion : {"expected_score", "bic", "icl", "aic", "silhouette", "calinski_harabasz"}, \
default="expected_score"
        "expected_score" asks :func:`~skdeepcluster.neighbors.count_clusters`, and fits the
        estimator once; the others fit it for each number. "bic", "icl" and "aic" are minimised,
        and need a mixture: "bic" estimates the number of Gaussians, "icl" the number of separate
        clusters,
        "aic" the density that predicts best. "silhouette" and "calinski_harabasz" are maximised,
        and measured between rows by
        :func:`~skdeepcluster.model_selection.label_free_scorer`; they are not defined for one
        cluster.
    estimator : clusterer, default=None
        Anything with a parameter ``n_clusters`` (of a mixture that has ``bic``, such as
        scikit-learn's, ``n_components``), cloned for each fit; None is ``GaussianMixtureEM()``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, passed to ``fit`` and to information criteria if given; the silhouette
        and Calinski-Harabasz weigh all rows alike.
    **params
        Parameters to set on each clone, for instance ``covariance_type="diag", n_init=5``.

    Returns
    -------
    Bunch
        ``best_estimator`` (fitted), ``best_n_clusters``, ``criterion`` and ``results``: a dict of
        arrays, ready for a DataFrame: "n_clusters" and the criterion; with "expected_score"
        also the "stability", else of a mixture also the other information criteria, "lower_bound"
        and "converged".

    Raises
    ------
    TypeError
        If ``n_clusters`` is a single number, or the estimator has no such parameter.
    ValueError
        If the criterion is unknown or the estimator does not have it, or ``n_clusters`` is empty
        or holds something else than positive integers, or the estimator takes similarities.

    Warns
    -----
    UserWarning
        If the chosen number is the largest of several tried, or the smallest and the criterion is
        defined for smaller ones: a better one may lie outside of the range. With
        "expected_score", if there are too few distinct samples for some of the numbers, which are
        left out.

    See Also
    --------
    skdeepcluster.neighbors.count_clusters : The number of clusters of rows, without a clusterer.
    skdeepcluster.display.NumberOfClustersDisplay : The criterion of each number, drawn.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.model_selection import select_n_clusters
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> select_n_clusters(X, range(1, 6), random_state=0).best_n_clusters
    3
    >>> select_n_clusters(X, range(2, 6), estimator=KMeans(random_state=0)).best_n_clusters
    3
    """
    estimator = GaussianMixtureEM() if estimator is None else estimator
    numbers = _check_numbers(n_clusters)
    name = _find_parameter(estimator)
    _check_criterion(criterion, estimator)
    given = {} if sample_weight is None else {"sample_weight": sample_weight}
    if given and not (isinstance(estimator, Pipeline) or has_fit_parameter(estimator, *given)):
        raise TypeError(
            f"sample_weight is given, but fit of {type(estimator).__name__} takes none. Leave it "
            "out, or take an estimator whose fit does."
        )
    if criterion == "expected_score":
        best, results = _count(X, numbers, clone(estimator).set_params(**params), given)
        _warn_of_edges(results["n_clusters"].tolist(), best, criterion)
        fit = clone(estimator).set_params(**{name: best}, **params).fit(X, **given)
        return Bunch(
            best_estimator=fit, best_n_clusters=best, criterion=criterion, results=results
        )
    fits = [clone(estimator).set_params(**{name: k}, **params).fit(X, **given) for k in numbers]
    results = {"n_clusters": np.array(numbers)}
    for key in CRITERIA:
        if hasattr(estimator, key):
            results[key] = np.array([_measure_information(fit, key, X, given) for fit in fits])
    if criterion in MEASURES:
        measure = partial(_measure_separation, measure=criterion, space="features")
        labels = [getattr(fit, "labels_", None) for fit in fits]
        pairs = zip(fits, labels, strict=True)
        results[criterion] = np.array([measure(fit, X, labels=own) for fit, own in pairs])
    for key in ("lower_bound", "converged"):
        if all(hasattr(fit, f"{key}_") for fit in fits):
            results[key] = np.array([getattr(fit, f"{key}_") for fit in fits])
    values = results[criterion]
    best = int(values.argmin() if criterion in CRITERIA else values.argmax())
    _warn_of_edges(numbers, numbers[best], criterion)
    return Bunch(
        best_estimator=fits[best],
        best_n_clusters=numbers[best],
        criterion=criterion,
        results=results,
    )


def _check_numbers(n_clusters):
    """Return the numbers of clusters to try as a list of int."""
    if isinstance(n_clusters, str) or not isinstance(n_clusters, Iterable):
        raise TypeError(
            f"n_clusters={n_clusters!r} is a single value, but several numbers of clusters are "
            "compared. Give several, e.g. range(1, 11)."
        )
    numbers = list(n_clusters)
    if not numbers:
        raise ValueError("n_clusters is empty: give at least one number of clusters to try.")
    odd = [k for k in numbers if not isinstance(k, Integral) or isinstance(k, bool) or k < 1]
    if odd:
        raise ValueError(f"n_clusters must hold integers from 1 on, got {odd[0]!r}.")
    return [int(k) for k in numbers]


def _check_criterion(criterion, estimator):
    """Check that the criterion is known, and can be measured."""
    if getattr(estimator, "affinity", None) == "precomputed":
        raise ValueError(
            f"{type(estimator).__name__}(affinity='precomputed') takes similarities, of which no "
            "criterion tells the number of clusters. Give rows and another affinity, or "
            "an estimator with metric='precomputed' and distances."
        )
    known = ("expected_score", *CRITERIA, *MEASURES)
    if criterion not in known:
        raise ValueError(f"criterion={criterion!r} is unknown. Use one of {known}.")
    if criterion in CRITERIA and not hasattr(estimator, criterion):
        raise ValueError(
            f"criterion={criterion!r} needs a mixture such as GaussianMixtureEM, and "
            f"{type(estimator).__name__} has no method {criterion}. Use one of "
            f"{('expected_score', *MEASURES)}."
        )


def _count(X, numbers, estimator, given):
    """Return the best of some numbers of clusters by the learned criterion, and the results."""
    params = estimator.get_params(deep=False)
    names = "metric", "n_neighbors", "random_state"
    options = {name: params[name] for name in names if params.get(name) is not None}
    with warnings.catch_warnings():
        # The edge of the numbers asked for is warned of, not that of those considered.
        warnings.simplefilter("ignore", ConvergenceWarning)
        curve = count_clusters(X, numbers=numbers, **options, **given)
    place = np.flatnonzero(np.isin(curve.n_clusters, numbers))
    known = curve.n_clusters[place]
    if not len(known):
        raise ValueError(
            f"n_clusters asks for {min(numbers)} or more clusters, but there are too few distinct "
            "samples (five for a cluster). Give smaller numbers."
        )
    if len(known) < len(set(numbers)):
        warnings.warn(
            f"Numbers above {known.max()} are left out: there are too few distinct samples for "
            "more (five for a cluster).",
            UserWarning,
            stacklevel=3,
        )
    scores, stability = curve.criterion[place], curve.stability[place]
    results = {"n_clusters": known, "expected_score": scores, "stability": stability}
    return take_number(known, scores), results


def _find_parameter(estimator):
    """Return the name of the parameter that is the number of clusters."""
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise TypeError(
            f"estimator={estimator!r} is no clusterer. Give an instance, such as KMeans()."
        )
    for name in ("n_clusters", "n_components"):
        if name in estimator.get_params() and (name == "n_clusters" or hasattr(estimator, "bic")):
            return name
    raise TypeError(
        f"{type(estimator).__name__} has no parameter n_clusters. Give a clusterer whose number "
        "of clusters can be set."
    )


def _measure_information(fit, name, X, given):
    """Return an information criterion of a mixture, with the weights if its method takes them."""
    method = getattr(fit, name)
    return method(X, **(given if "sample_weight" in signature(method).parameters else {}))


def _warn_of_edges(numbers, best, criterion):
    """Warn if the best number is at the edge of the range, where a better one may lie beyond."""
    smallest, largest = min(numbers), max(numbers)
    least = 2 if criterion in MEASURES else 1  # these are not defined for one cluster
    at_start, at_end = best == smallest > least, best == largest
    if smallest == largest or not (at_start or at_end):
        return
    edge, remedy = ("largest", "larger") if at_end else ("smallest", "smaller")
    warnings.warn(
        f"The best number of clusters by {criterion}, {best}, is the {edge} of those tried, "
        f"{smallest} to {largest}: a better one may lie beyond. Give {remedy} numbers as "
        "n_clusters, too.",
        UserWarning,
        stacklevel=3,
    )


class NoSplit:
    """A "cross-validation" of one split, in which every row is both fitted and scored.

    Clusterers describe the rows that they are fitted to; there is little to overfit, and a small
    cluster may be missing from half of the rows. Pass it as ``cv`` to scikit-learn's searches.

    See Also
    --------
    label_free_scorer : The scorer that such a search needs.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.model_selection import NoSplit, label_free_scorer
    >>> X, _ = make_blobs(100, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> search = GridSearchCV(
    ...     GaussianMixtureEM(random_state=0),
    ...     {"n_clusters": [1, 2, 3, 4]},
    ...     scoring=label_free_scorer("silhouette"),
    ...     cv=NoSplit(),
    ... )
    >>> search.fit(X).best_params_
    {'n_clusters': 3}
    """

    def split(
        self, X, y=None, groups=None
    ) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
        """Yield all rows as training set and as test set."""
        rows = np.arange(_num_samples(X))
        yield rows, rows

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Return 1."""
        return 1

    def __repr__(self):
        return "NoSplit()"


#: Measures of separation, and the value for partitions for which they are not defined.
MEASURES = {
    "silhouette": (silhouette_score, -1.0),
    "calinski_harabasz": (calinski_harabasz_score, 0.0),
}
#: Most rows for the silhouette, which compares all pairs; of more, a fixed random sample.
MAX_SILHOUETTE_ROWS = 5000


def label_free_scorer(
    measure: str = "silhouette", *, space: str = "features"
) -> Callable[..., float]:
    """Make a scorer for searches that measures the separation of the clusters of X.

    scikit-learn's measures raise an error when all rows are in one cluster, which a search treats
    as a failed fit. This scorer returns the least value instead. Rows that the estimator labels
    -1, noise, are left out.

    Parameters
    ----------
    measure : {"silhouette", "calinski_harabasz"}, default="silhouette"
        scikit-learn's; higher is better.
    space : {"features", "codes"}, default="features"
        Where distances are measured: between rows, or between their codes (``transform``). Codes
        differ between candidates: distances between them may be large because the codes are.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``; y is ignored.

    See Also
    --------
    NoSplit : Fits and scores all rows in a search.
    skdeepcluster.select_n_clusters : Chooses the number of clusters, which no score does.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdeepcluster import NeighborClustering
    >>> from skdeepcluster.model_selection import NoSplit, label_free_scorer
    >>> start, grid = NeighborClustering(3, random_state=0), {"n_neighbors": [5, 15]}
    >>> search = GridSearchCV(start, grid, scoring=label_free_scorer(), cv=NoSplit())
    >>> bool(search.fit(load_iris().data).best_score_ > 0.5)
    True
    """
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r} is unknown. Use one of {', '.join(MEASURES)}.")
    if space not in ("features", "codes"):
        raise ValueError(f"space={space!r} is unknown. Use 'features' or 'codes'.")
    # Not a closure: joblib's workers need a scorer that can be pickled.
    return partial(_measure_separation, measure=measure, space=space)


def _measure_separation(estimator, X, y=None, *, measure, space, labels=None):
    """Return the measure of given clusters of X, of those that the estimator predicts if None."""
    function, worst = MEASURES[measure]
    kept = np.arange(_num_samples(X))
    if function is silhouette_score and len(kept) > MAX_SILHOUETTE_ROWS:
        kept = np.random.RandomState(0).permutation(len(kept))[:MAX_SILHOUETTE_ROWS]
        kept.sort()
    labels = _label_rows(estimator, X, kept) if labels is None else np.asarray(labels[kept])
    is_clear = labels != -1  # rows of noise are no cluster
    kept, labels = kept[is_clear], labels[is_clear]
    if not 1 < len(np.unique(labels)) < len(labels):
        return worst
    if space == "features" and has_distances(estimator):
        return _measure_by_distances(X, kept, labels, measure)
    X = _take(X, kept)
    if space == "codes" and not hasattr(estimator, "transform"):
        raise TypeError(
            f"{type(estimator).__name__} has no codes (transform). Use "
            "label_free_scorer(space='features')."
        )
    return float(function(X if space == "features" else estimator.transform(X), labels))


def _label_rows(estimator, X, kept):
    """Return the clusters of some rows of X: predicted, or those that a fit to X has found."""
    if hasattr(estimator, "predict"):
        return np.asarray(estimator.predict(_take(X, kept)))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    labels = np.asarray(getattr(last, "labels_", ()))
    if len(labels) != _num_samples(X):
        raise TypeError(
            f"{type(last).__name__} has no predict, and its labels_ are not of these rows. Score "
            "the rows that it is fitted to: search with cv=NoSplit()."
        )
    return labels[kept]


def _take(X, kept):
    """Return some rows of X; X itself if they are all."""
    return X if len(kept) == _num_samples(X) else _safe_indexing(X, kept)


def _measure_by_distances(X, kept, labels, measure):
    """Return the silhouette of some rows, given the distances (N, N) of all to all."""
    if measure != "silhouette" or sparse.issparse(X) or X.shape[0] != X.shape[1]:
        given = "a sparse matrix" if sparse.issparse(X) else f"shape {X.shape}"
        raise ValueError(
            f"measure={measure!r} of precomputed distances needs those of all rows to all rows, "
            f"and is then 'silhouette' only; X is {given}. Search with cv=NoSplit() and dense "
            "distances, or label_free_scorer(space='codes')."
        )
    X = np.asarray(X)[np.ix_(kept, kept)]
    return float(silhouette_score(X, labels, metric="precomputed"))
