"""Samples that stand for a cluster, and samples between clusters."""

import numpy as np
from sklearn.metrics import euclidean_distances, pairwise_distances_chunked

from ..input.checks import random_stream
from ..input.types import Labels
from .features import read_labeled

#: Maximum number of samples over which the distances to a medoid are averaged.
MEDOID_SAMPLES = 2000


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


def rank_samples(labels, resp, distances, n_rows):
    """Return runners-up, margins, and the doubtful samples of each cluster."""
    n_samples, n_clusters = distances.shape
    closeness = -distances if resp is None else resp.copy()
    nearest = closeness.argmax(1)
    index = np.arange(n_samples), np.where(labels < 0, nearest, labels)
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
    border = [order[labels[order] == k][:n_rows] for k in range(n_clusters)]
    return {"runner_up": runner_up, "margin": margin, "border_rows": border}
