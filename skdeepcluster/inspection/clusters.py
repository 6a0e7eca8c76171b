"""What clusters consist of: medoids, typical samples, features that differ."""

import numpy as np
from scipy import sparse
from sklearn.metrics import euclidean_distances, pairwise_distances_chunked
from sklearn.utils import Bunch, check_array
from sklearn.utils.sparsefuncs import mean_variance_axis

from ..input.labels import check_labels, cluster_means, indicate
from ..input.preparation import Preparation
from ..input.types import Labels
from ..utils.random import random_stream

#: Maximum number of samples over which the distances to a medoid are averaged.
MEDOID_SAMPLES = 2000
#: Maximum standard deviation of a constant feature, from rounding, as a share of its mean.
DEVIATION_ROUNDING = 1e-14


# ---- samples


def find_medoids(X, labels, *, random_state=None) -> Labels:
    """Find the medoid of each cluster, the sample with the least mean distance to the others.

    It is the center of PAM [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, or their embedding. Distances are Euclidean.
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    random_state : int, RandomState instance or None, default=None
        Determines the 2,000 samples to which distances are measured in a larger cluster.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Positions of the medoids in X; -1 for an empty cluster.

    References
    ----------
    .. [1] L. Kaufman, P. J. Rousseeuw, "Finding Groups in Data", Wiley 1990, chapter 2.

    Examples
    --------
    >>> from skdeepcluster.inspection import find_medoids
    >>> find_medoids([[0.0], [1.0], [3.0], [9.0], [9.5]], [0, 0, 0, 1, -1])
    array([1, 3])
    """
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    labels = check_labels("labels", labels, X.shape[0])
    random_state = random_stream(random_state)
    medoids = np.full(labels.max(initial=-1) + 1, -1)
    for k in np.unique(labels[labels >= 0]):
        rows = np.flatnonzero(labels == k)
        compared = rows
        if len(rows) > MEDOID_SAMPLES:
            compared = random_state.choice(rows, MEDOID_SAMPLES, replace=False)

        parts = pairwise_distances_chunked(
            X[rows], X[compared], reduce_func=lambda part, _: part.mean(1)
        )
        medoids[k] = rows[np.concatenate(list(parts)).argmin()]
    return medoids


def find_typical(X, labels, medoid, n_rows):
    """Return the samples of a cluster that are nearest to its medoid, the medoid first."""
    if medoid < 0:
        return np.array([], dtype=int)
    rows = np.flatnonzero(labels == labels[medoid])
    gaps = euclidean_distances(X[rows], X[[medoid]])[:, 0]
    gaps[rows == medoid] = -1  # before its copies
    return rows[gaps.argsort(kind="stable")[:n_rows]]


# ---- features


def compare_features(
    X, labels, *, feature_names=None, n_features: int | None = 5
) -> list[Bunch]:
    """Find the features that set each cluster apart, by standardized mean differences.

    The difference is the mean in the cluster minus the mean in all other samples, noise included,
    in standard deviations of the feature [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples. Of a DataFrame, categories become one-hot features, whose means are shares, and
        dates become days. Missing values are left out.
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    feature_names : array-like of shape (n_features,), default=None
        Names of an array's columns; None means "x0", "x1" and so on.
    n_features : int, default=5
        Number of features of each cluster; None means all.

    Returns
    -------
    list of Bunch
        For each cluster arrays ``names``, ``differences``, ``means`` and ``other_means``, the
        largest difference first. For sparse X, such as counts of words, they have only features
        with a greater mean in the cluster.

    References
    ----------
    .. [1] J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, 1988,
       chapter 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster.inspection import compare_features
    >>> iris = load_iris()
    >>> setosa = compare_features(iris.data, iris.target, feature_names=iris.feature_names)[0]
    >>> print(setosa.names[0], setosa.means[0].round(2), setosa.other_means[0].round(2))
    petal length (cm) 1.46 4.91
    """
    values, names = read_features(X, feature_names)
    labels = check_labels("labels", labels, values.shape[0])
    member = indicate(labels, labels.max(initial=-1) + 1).toarray()
    return list_features(values, names, member, n_features)


def read_features(X, names=None, kinds="auto"):
    """Return X as numbers and one-hot features (N, E), nan for gaps, and their names."""
    preparation = Preparation(kinds, learns_kinds=False)
    values = preparation.fit_encode(X)
    if sparse.issparse(X):
        values = sparse.csr_array(values)
    return values, preparation.get_feature_names_out(names)


def list_features(X, names, member, n_features):
    """Return the features that set each cluster apart, see `compare_features`."""
    means = average_known(member, X)
    other_means = average_known(1 - member, X)
    if sparse.issparse(X):
        center, variance = mean_variance_axis(X, 0)
    else:
        center = np.nanmean(X, 0)
        variance = np.nanvar(X, 0)
    deviation = np.sqrt(variance)
    deviation[deviation <= DEVIATION_ROUNDING * np.abs(center)] = np.inf

    features = []
    for own, other, size in zip(means, other_means, member.sum(0), strict=True):
        differences = (own - other) / deviation
        strength = differences if sparse.issparse(X) else np.abs(differences)
        order = np.argsort(-strength, kind="stable")[:n_features]
        order = order[strength[order] > 0]
        if size in (0, len(member)):
            order = order[:0]
        features.append(
            Bunch(
                names=names[order],
                differences=differences[order],
                means=own[order],
                other_means=other[order],
            )
        )
    return features


def average_known(member, X):
    """Return the means (K, D) of the observed values in each cluster."""
    if sparse.issparse(X):
        return cluster_means(member, X)

    known = ~np.isnan(X)
    return member.T @ np.where(known, X, 0) / np.maximum(member.T @ known, 1)
