"""Scores of clusters, without classes or by their agreement with classes.

Clusters and classes may be integers, strings or booleans. -1 is a cluster like any other, except
for :func:`expected_score`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .input.labels import indicate
from .neighbors.search import find_nearest

__all__ = [
    "ExpectedScore",
    "clustering_accuracy",
    "expected_score",
    "match_labels",
    "purity_score",
]


# ---- without classes


class ExpectedScore:
    """Expected scores of partitions of one data set, which is measured once.

    ``ExpectedScore(X)(labels)`` is ``expected_score(X, labels)``; further partitions take
    milliseconds.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, nan where values are missing, or the distances between samples.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.
    **options
        Parameters of :class:`~skdeepcluster.NeighborClustering` that say how samples are compared,
        such as ``metric``, ``standardize``, ``kinds`` and ``augment``; ``random_state`` is 0 by
        default.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.metrics import ExpectedScore
    >>> X, y = make_blobs(100, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> score = ExpectedScore(X)
    >>> bool(score(y) > score(y % 2))
    True
    """

    def __init__(self, X, *, sample_weight=None, **options: Any) -> None:
        from .neighbor_clustering import (
            NeighborClustering,
            prepare_samples,
            read_settings,
        )
        from .partition.search import measure_partitions

        clusterer = NeighborClustering(**{"random_state": 0} | options)
        self.prepared = prepare_samples(clusterer, X, sample_weight)
        self._criterion, self._samples = measure_partitions(
            self.prepared, sample_weight, read_settings(clusterer)
        )

    def __call__(self, labels) -> float | npt.NDArray[np.float64]:
        """Return the scores of labels (n_samples,) or (n_partitions, n_samples)."""
        labels = np.asarray(labels)
        filled = map(self._fill_noise, np.atleast_2d(labels))
        clusters, factors = zip(*filled, strict=True)
        scores = self._criterion.score_robustly(clusters) * factors
        return float(scores[0]) if labels.ndim == 1 else scores

    def _fill_noise(self, partition):
        """Return the clusters (M,) of the scored samples, and a factor of their score.

        Equal samples are in the cluster of most of them, and noise in the nearest cluster.
        """
        inverse = self._samples.inverse
        partition = check_discrete(partition, "labels")
        check_consistent_length(inverse, partition)
        in_graph = inverse >= 0
        names, labels = np.unique(partition[in_graph], return_inverse=True)
        inverse = inverse[in_graph]
        counts = indicate(labels, len(names)).T
        counts = counts @ indicate(inverse, len(self._samples.weights))
        usual = np.ravel(counts.argmax(0))

        clusters = usual[self._criterion.positions]
        is_noise = np.isin(names.astype(str), ["-1", "-1.0"])
        is_cluster = ~is_noise[clusters]
        if not is_cluster.any():
            return clusters, 0.0

        points = self._criterion.coords.embeddings[0]
        nearest = find_nearest(points[~is_cluster], points[is_cluster])
        clusters[~is_cluster] = clusters[is_cluster][nearest]
        agreement = adjusted_rand_score(labels, usual[inverse])
        return clusters, agreement * np.mean(~is_noise[labels])


def expected_score(X, labels, **options) -> float | npt.NDArray[np.float64]:
    """Return the expected adjusted Rand index of partitions with the unknown true clusters.

    A criterion that was learned on simulated data sets judges each partition by how well its
    clusters are separated and found again by other methods. Scores have the same scale as
    ``expected_score_`` of :class:`~skdeepcluster.NeighborClustering`. They compare methods,
    settings and numbers of clusters. Your own classes may differ.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, nan where values are missing, or the distances between samples.
        :class:`ExpectedScore` measures X once for several calls.
    labels : array-like of shape (n_samples,) or (n_partitions, n_samples)
        Clusters under any names, -1 for noise. Noise is judged in the nearest clusters, and the
        score is multiplied by the share of samples that are not noise. Equal samples are judged in
        the cluster of most of them, and the score is multiplied by the adjusted Rand index of
        these clusters with the given ones.
    **options
        As in :class:`ExpectedScore`, for instance ``metric="cosine"``.

    Returns
    -------
    score : float or ndarray of shape (n_partitions,)
        In [0, 1]. A single cluster scores the probability that there is one; noise alone scores 0.
        nan if there is no evidence: as many clusters as distinct samples, or one cluster or noise
        of fewer than ten.

    See Also
    --------
    skdeepcluster.model_selection.label_free_scorer : Scorer for GridSearchCV.

    Notes
    -----
    At most 1,500 distinct samples are judged, all of them in a graph of up to 70,000.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_moons
    >>> from skdeepcluster.metrics import expected_score
    >>> X, y = make_moons(300, noise=0.05, random_state=0)
    >>> halves = KMeans(2, random_state=0).fit_predict(X)
    >>> moons, straight = expected_score(X, [y, halves])
    >>> bool(moons > straight)
    True
    """
    return ExpectedScore(X, **options)(labels)


# ---- with classes


def clustering_accuracy(labels_true, labels_pred) -> float:
    """Share of samples in the right cluster under the best one-to-one map of clusters to classes.

    ``ACC = max_m (1/N) #{i : labels_true[i] = m(labels_pred[i])}`` over all one-to-one maps ``m``
    of clusters to classes (Hungarian algorithm). Samples of clusters without a class are wrong.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Classes.
    labels_pred : array-like of shape (n_samples,)
        Clusters, under any names.

    Returns
    -------
    accuracy : float
        Between 1 / max(number of clusters, number of classes) and 1.

    See Also
    --------
    purity_score : Several clusters may share a class.
    sklearn.metrics.adjusted_rand_score : Agreement of pairs, corrected for chance.

    References
    ----------
    Y. Yang, D. Xu, F. Nie, S. Yan, Y. Zhuang, "Image Clustering Using Local Discriminant Models
    and Global Integration", IEEE Transactions on Image Processing 19(10), 2010.

    Examples
    --------
    >>> from skdeepcluster.metrics import clustering_accuracy
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    >>> clustering_accuracy(["cat", "cat", "dog", "dog"], [0, 0, 0, 1])
    0.75
    """
    table = contingency_matrix(*_read_pair(labels_true, labels_pred))
    matched = linear_sum_assignment(table, maximize=True)
    return float(table[matched].sum() / table.sum())


def purity_score(labels_true, labels_pred) -> float:
    """Share of samples in the most frequent class of their cluster (purity).

    ``(1/N) sum_k max_c #{i : labels_pred[i] = k, labels_true[i] = c}``. It never falls when
    clusters are split, so always report the number of clusters with it.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Classes.
    labels_pred : array-like of shape (n_samples,)
        Clusters, under any names.

    Returns
    -------
    purity : float
        Between the share of the most frequent class and 1.

    See Also
    --------
    clustering_accuracy : Each class has at most one cluster.

    References
    ----------
    J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical Generative
    Adversarial Networks", ICLR 2016.

    Examples
    --------
    >>> from skdeepcluster.metrics import clustering_accuracy, purity_score
    >>> classes, clusters = [0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2]
    >>> purity_score(classes, clusters)
    1.0
    >>> round(clustering_accuracy(classes, clusters), 3)
    0.667
    """
    table = contingency_matrix(*_read_pair(labels_true, labels_pred))
    return float(table.max(axis=0).sum() / table.sum())


def match_labels(labels_true, labels_pred) -> np.ndarray:
    """Rename clusters after classes, one-to-one, so that as many samples agree as possible.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Classes.
    labels_pred : array-like of shape (n_samples,)
        Clusters, under any names.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        The clusters under the names of their classes. Clusters beyond the number of classes get
        the numbers after the largest class, or ``"cluster "`` and their own name. Noise, -1, stays
        -1, and is no class if there are two others.

    See Also
    --------
    clustering_accuracy : The share of samples that agree after matching.

    Examples
    --------
    >>> from skdeepcluster.metrics import match_labels
    >>> match_labels([0, 0, 1, 1, 1], [2, 2, 0, 0, 1])
    array([0, 0, 1, 1, 2])
    """
    true, pred = _read_pair(labels_true, labels_pred)
    classes = np.unique(true)
    clusters, index = np.unique(pred, return_inverse=True)
    table = contingency_matrix(true, pred)
    is_cluster = clusters.astype(str) != "-1"
    is_class = classes.astype(str) != "-1"
    is_class |= is_class.sum() < 2  # a target of -1 and 1 has two classes
    table = table[is_class][:, is_cluster]
    classes = classes[is_class]
    rows, columns = linear_sum_assignment(table, maximize=True)

    names = clusters.astype(object)
    columns = np.flatnonzero(is_cluster)[columns]
    names[columns] = classes[rows]
    unmatched = np.setdiff1d(np.flatnonzero(is_cluster), columns)
    if classes.dtype.kind == "i":
        names[unmatched] = classes[-1] + 1 + np.arange(len(unmatched))
    else:
        names[unmatched] = [f"cluster {name}" for name in clusters[unmatched]]
    return np.array(names.tolist())[index]


def _read_pair(labels_true, labels_pred):
    """Return classes and clusters, (N,), checked."""
    true = check_discrete(labels_true, "labels_true")
    pred = check_discrete(labels_pred, "labels_pred")
    check_consistent_length(true, pred)
    return true, pred


def check_discrete(labels, name):
    """Return labels (N,) as integers of 64 bits, or as strings."""
    labels = check_array(labels, dtype=None, ensure_2d=False, input_name=name)
    labels = np.array(column_or_1d(labels).tolist())
    kind = labels.dtype.kind
    if kind == "U":
        return labels
    if kind not in "biuf" or (labels % 1).any():
        raise ValueError(
            f"{name} must hold integers or strings, got {labels.dtype} such as "
            f"{labels[0]!r}."
        )
    return labels.astype(np.int64)
