"""Features whose few values alone decide the clusters. N samples, D features, K clusters."""

import numpy as np
from scipy import sparse
from scipy.stats import rankdata
from sklearn.metrics import homogeneity_score

from ..input.labels import cluster_means

#: Beginning of the warning.
FEW_VALUES = "The clusters are little more than the values of"
#: Maximum number of values that most samples have, and the minimum share of these samples.
MAX_VALUES = 12
MIN_SHARE = 0.9
#: Minimum number of samples for each value.
REPEATED = 5
#: Minimum share of the entropy of the clusters that the values explain.
DECIDED = 0.6
#: Maximum share of the variance of ranks that is between clusters, of a feature that does not
#: differ.
UNRELATED = 0.2
#: Maximum number of features of a table, and of samples that are looked at.
MAX_FEATURES = 100
MAX_SAMPLES = 2000


def find_deciding(X, labels, n_numbers):
    """Return which of the first ``n_numbers`` features of X (N, D) alone decide the labels (N,).

    They are all features that differ between clusters, and have few values, also together.
    """
    n_samples, n_features = X.shape
    if sparse.issparse(X) or n_features > MAX_FEATURES or len(np.unique(labels)) < 2:
        return []
    some = slice(None, None, 1 + n_samples // MAX_SAMPLES)
    X = X[some]
    labels = labels[some]

    related = np.flatnonzero(_share_between(X, labels) > UNRELATED)
    if len(related) in (0, n_features) or related[-1] >= n_numbers:
        return []
    values = _join_values(X[:, related])
    if values is None or homogeneity_score(labels, values) < DECIDED:
        return []
    return related.tolist()


def _join_values(X):
    """Return the place (N,) of each sample among few distinct ones, or None if there are many."""
    _, places, counts = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    n_most = counts[order[:MAX_VALUES]].sum()
    if n_most < max(MIN_SHARE * len(X), REPEATED * len(counts)):
        return None
    rank = np.argsort(order)
    return np.minimum(rank, MAX_VALUES)[places.ravel()]


def _share_between(X, labels):
    """Return the share (D,) of the variance of each feature's ranks that is between clusters."""
    _, places = np.unique(labels, return_inverse=True)
    member = np.eye(places.max() + 1)[places]
    ranks = rankdata(X, axis=0)
    centered = ranks - ranks.mean(0)
    between = member.sum(0) @ np.square(cluster_means(member, centered))
    return between / np.square(centered).sum(0).clip(np.finfo(float).tiny)
