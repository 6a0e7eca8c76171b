"""What clusters consist of: medoids, typical and doubtful samples, features that differ."""

import numpy as np
from scipy import sparse
from sklearn.metrics import euclidean_distances, pairwise_distances_chunked
from sklearn.utils import Bunch
from sklearn.utils.sparsefuncs import mean_variance_axis

from ..input.labels import cluster_means, indicate
from ..input.parameters import random_stream
from ..input.types import Labels
from .reading import count_categories, name_columns, read_column_kinds, read_labeled

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
        Samples, or their codes. Distances are Euclidean.
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    random_state : int, RandomState instance or None, default=None
        Determines the 2,000 samples to which distances are measured in a larger cluster.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Positions of the medoids in X; -1 for an empty cluster.

    See Also
    --------
    ClusterReport : Also lists typical and doubtful samples.

    References
    ----------
    .. [1] L. Kaufman, P. J. Rousseeuw, "Finding Groups in Data", Wiley 1990, chapter 2.

    Examples
    --------
    >>> from skdeepcluster.inspection import find_medoids
    >>> find_medoids([[0.0], [1.0], [3.0], [9.0], [9.5]], [0, 0, 0, 1, -1])
    array([1, 3])
    """
    X, labels = read_labeled(X, labels)
    stream = random_stream(random_state)
    medoids = np.full(labels.max(initial=-1) + 1, -1)
    for k in np.unique(labels[labels >= 0]):
        rows = np.flatnonzero(labels == k)
        compared = rows
        if len(rows) > MEDOID_SAMPLES:
            compared = stream.choice(rows, MEDOID_SAMPLES, replace=False)

        parts = pairwise_distances_chunked(
            X[rows], X[compared], reduce_func=lambda part, _: part.mean(1)
        )
        medoids[k] = rows[np.concatenate(list(parts)).argmin()]
    return medoids


def find_typical(codes, labels, medoids, n_rows):
    """Return the samples of each cluster that are nearest to its medoid, without the medoid."""
    typical = []
    for k, medoid in enumerate(medoids):
        rows = np.flatnonzero(labels == k)
        rows = rows[rows != medoid]
        if len(rows):
            gaps = euclidean_distances(codes[rows], codes[[medoid]])[:, 0]
            rows = rows[gaps.argsort(kind="stable")[:n_rows]]
        typical.append(rows)
    return typical


def rank_samples(codes, labels, resp, member, n_rows):
    """Return runners-up, margins, and the doubtful samples of each cluster."""
    if resp is None:
        closeness = -euclidean_distances(codes, cluster_means(member, codes))
        closeness[:, ~member.any(0)] = -np.inf
    else:
        closeness = resp.copy()

    nearest = closeness.argmax(1)
    index = np.arange(len(labels)), np.where(labels < 0, nearest, labels)
    best = closeness[index]
    closeness[index] = -np.inf
    second = closeness.max(1)
    runner_up = np.where(np.isinf(second), -1, closeness.argmax(1))

    if resp is None:
        limits = np.finfo(float)
        second = np.maximum(second, limits.min)
        farther = -np.minimum(best, second)
        margin = (best - second) / np.maximum(farther, limits.tiny)
    else:
        margin = best - np.maximum(second, 0)

    order = margin.argsort(kind="stable")
    border = [order[labels[order] == k][:n_rows] for k in range(member.shape[1])]
    return {"runner_up": runner_up, "margin": margin, "border_rows": border}


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
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    feature_names : array-like of shape (n_features,), default=None
        Names; None means the columns of a DataFrame, or "x0", "x1" and so on.
    n_features : int, default=5
        Number of features of each cluster; None means all.

    Returns
    -------
    list of Bunch
        For each cluster arrays ``names``, ``differences``, ``means`` and ``other_means``, the
        largest difference first. For sparse X, such as counts of words, they have only features
        with a greater mean in the cluster.

    See Also
    --------
    ClusterReport : Also describes the samples of each cluster.

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
    X, _ = count_categories(X, read_column_kinds(X))
    names = name_columns(X, feature_names)
    X, labels = read_labeled(X, labels)
    member = indicate(labels, labels.max(initial=-1) + 1).toarray()
    return list_features(names, n_features, *compare_means(X, member))


def compare_means(X, member):
    """Return standardized differences, means and means elsewhere (K, D) of features.

    Of sparse X, differences below zero become zero.
    """
    is_sparse = sparse.issparse(X)
    if is_sparse:
        center, variance = mean_variance_axis(X, 0)
    else:
        center = np.nanmean(X, 0)
        variance = np.nanvar(X, 0)
    deviation = np.sqrt(variance)
    deviation[deviation <= DEVIATION_ROUNDING * np.abs(center)] = np.inf

    means = average_known(member, X)
    other_means = average_known(1 - member, X)
    is_part = member.any(0) & ~member.all(0)
    differences = is_part[:, None] * (means - other_means) / deviation
    if is_sparse:
        differences = np.maximum(differences, 0)
    return differences, means, other_means


def list_features(names, n_features, differences, means, other_means):
    """Return the first features of each cluster, see `compare_features`."""
    features = []
    for k, strength in enumerate(np.abs(differences)):
        order = np.argsort(-strength, kind="stable")[:n_features]
        order = order[strength[order] > 0]
        features.append(
            Bunch(
                names=names[order],
                differences=differences[k, order],
                means=means[k, order],
                other_means=other_means[k, order],
            )
        )
    return features


def average_known(member, X):
    """Return the means (K, D) of the observed values in each cluster."""
    if sparse.issparse(X):
        return cluster_means(member, X)

    known = ~np.isnan(X)
    return member.T @ np.where(known, X, 0) / np.maximum(member.T @ known, 1)
