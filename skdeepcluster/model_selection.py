"""Model selection without labels: the number of clusters, and a scorer for searches."""

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.metrics import calinski_harabasz_score, silhouette_score
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils.validation import _num_samples

from .gaussian_mixture import GaussianMixtureEM

#: Information criteria, names of methods of GaussianMixtureEM.
CRITERIA = ("bic", "icl", "aic")


def select_n_clusters(
    X, n_clusters=range(1, 11), *, criterion="bic", estimator=None, sample_weight=None, **params
):
    """Fit a mixture for each number of clusters and choose by an information criterion.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to learn from.
    n_clusters : iterable of int, default=range(1, 11)
        Numbers of clusters to try.
    criterion : {"bic", "icl", "aic"}, default="bic"
        What to minimise. "bic" estimates the number of Gaussians, "icl" the number of separate
        clusters, "aic" the density that predicts best.
    estimator : GaussianMixtureEM, default=None
        Cloned for each fit; None is ``GaussianMixtureEM()``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    **params
        Parameters to set on each clone, for instance ``covariance_type="diag", n_init=5``.

    Returns
    -------
    Bunch
        ``best_estimator`` (fitted), ``best_n_clusters``, ``criterion`` and ``results``: a dict of
        arrays "n_clusters", "bic", "icl", "aic", "lower_bound", "converged", ready for a
        DataFrame.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.model_selection import select_n_clusters
    >>> X, _ = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    >>> select_n_clusters(X, range(1, 6), random_state=0).best_n_clusters
    3
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} is unknown. Use one of {CRITERIA}.")
    estimator = GaussianMixtureEM() if estimator is None else estimator
    numbers = [int(number) for number in n_clusters]
    if not numbers:
        raise ValueError("n_clusters is empty: give at least one number of clusters to try.")
    fits = [
        clone(estimator)
        .set_params(n_clusters=number, **params)
        .fit(X, sample_weight=sample_weight)
        for number in numbers
    ]
    results = {"n_clusters": np.array(numbers)}
    for name in CRITERIA:
        results[name] = np.array([getattr(fit, name)(X, sample_weight) for fit in fits])
    results["lower_bound"] = np.array([fit.lower_bound_ for fit in fits])
    results["converged"] = np.array([fit.converged_ for fit in fits])
    best = int(results[criterion].argmin())
    return Bunch(
        best_estimator=fits[best],
        best_n_clusters=numbers[best],
        criterion=criterion,
        results=results,
    )


class NoSplit:
    """A "cross-validation" of one split, in which every row is both fitted and scored.

    Clusterers describe the rows that they are fitted to; there is little to overfit, and a small
    cluster may be missing from half of the rows. Pass it as ``cv`` to scikit-learn's searches.

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

    def split(self, X, y=None, groups=None):
        """Yield all rows as training set and as test set."""
        rows = np.arange(_num_samples(X))
        yield rows, rows

    def get_n_splits(self, X=None, y=None, groups=None):
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


def label_free_scorer(measure="silhouette", *, space="features"):
    """Make a scorer for searches that measures the separation of the clusters of X.

    scikit-learn's measures raise an error when all rows are in one cluster, which a search treats
    as a failed fit. This scorer returns the least value instead.

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
    """
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r} is unknown. Use one of {', '.join(MEASURES)}.")
    if space not in ("features", "codes"):
        raise ValueError(f"space={space!r} is unknown. Use 'features' or 'codes'.")
    # Not a closure: joblib's workers need a scorer that can be pickled.
    return partial(_measure_separation, measure=measure, space=space)


def _measure_separation(estimator, X, y=None, *, measure, space):
    """Return the measure of the clusters that the estimator predicts for X."""
    function, worst = MEASURES[measure]
    if function is silhouette_score and _num_samples(X) > MAX_SILHOUETTE_ROWS:
        sample = np.random.RandomState(0).permutation(_num_samples(X))[:MAX_SILHOUETTE_ROWS]
        X = _safe_indexing(X, np.sort(sample))
    labels = estimator.predict(X)
    if not 1 < len(np.unique(labels)) < len(labels):
        return worst
    return float(function(X if space == "features" else estimator.transform(X), labels))
