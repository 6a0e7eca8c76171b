"""How many clusters: mixtures of several sizes, compared by an information criterion."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch

from .gaussian_mixture import GaussianMixtureEM

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
        What to minimise. "bic" finds the number of Gaussians, "icl" the number of separate
        clusters, "aic" the best predicting density.
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
