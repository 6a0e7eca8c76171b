"""Scores of clusters: without classes, by agreement with classes, and of their probabilities.

Clusters and classes may be integers, strings or booleans. -1 is a cluster like any other, except
for :func:`expected_score`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import hash as hash_of
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .input.checks import check_count
from .input.labels import indicate
from .neighbors.search import find_nearest

__all__ = [
    "clustering_accuracy",
    "error_auc",
    "expected_calibration_error",
    "expected_score",
    "majority_accuracy",
    "match_labels",
]

#: Maximum number of data sets whose criteria are kept.
KEPT = 8
#: Criteria of data sets and their distinct samples.
_criteria: dict[Any, Any] = {}
#: Maximum error of probabilities: sums of float32 are not exact.
SHARE_ERROR = 1e-5


# ---- without classes


def expected_score(
    X,
    labels,
    *,
    metric: Any = "euclidean",
    standardize: Any = "auto",
    categorical_features: Any = "from_dtype",
    kinds=None,
    augment: Any = None,
    sample_weight=None,
    random_state=0,
    n_jobs: int | None = None,
) -> float | npt.NDArray[np.float64]:
    """Return the expected adjusted Rand index of partitions with the unknown true clusters.

    A criterion that was learned on simulated data sets judges each partition by how well its
    clusters are separated and found again by other methods. Scores have the same scale as
    ``expected_score_`` of :class:`~skdeepcluster.NeighborClustering`. They compare methods,
    settings and numbers of clusters. Your own classes may differ.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, nan where values are missing, or the distances between samples. Measurements
        are cached: further calls for the same X and parameters take milliseconds.
    labels : array-like of shape (n_samples,) or (n_partitions, n_samples)
        Clusters under any names, -1 for noise. Noise is judged in the nearest clusters, and the
        score is multiplied by the share of samples that are not noise. Equal samples are judged in
        the cluster of most of them, and the score is multiplied by the adjusted Rand index of
        these clusters with the given ones.
    metric, standardize, categorical_features, kinds, augment, sample_weight, random_state, n_jobs
        As in :class:`~skdeepcluster.NeighborClustering` and its ``fit``.

    Returns
    -------
    score : float or ndarray of shape (n_partitions,)
        In [0, 1]. A single cluster scores the probability that there is one; noise alone scores 0.
        nan if there is no evidence: as many clusters as distinct samples, or one cluster of fewer
        than ten.

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
    labels = np.asarray(labels)
    partitions = [labels] if labels.ndim == 1 else labels
    partitions = [check_discrete(partition, "labels") for partition in partitions]
    for partition in partitions:
        check_consistent_length(X, partition)

    params = {
        "metric": metric,
        "standardize": standardize,
        "categorical_features": categorical_features,
        "kinds": kinds,
        "augment": augment,
        "random_state": random_state,
    }
    criterion, samples = _find_criterion(X, params, sample_weight, n_jobs)
    scores = _rate(criterion, samples, partitions)
    return float(scores[0]) if labels.ndim == 1 else scores


def _find_criterion(X, params, sample_weight, n_jobs):
    """Return the criterion of X and its distinct samples, made once.

    Data are known by their values, and functions by their identity, not by their names.
    """
    from .neighbor_clustering import NeighborClustering, look_at

    known = [id(value) if callable(value) else value for value in params.values()]
    key = hash_of((X, sample_weight, known))
    if key not in _criteria:
        if len(_criteria) == KEPT:
            _criteria.clear()
        estimator = NeighborClustering(accept_sparse=True, n_jobs=n_jobs, **params)
        # The functions are kept, so that no other gets their identity.
        _criteria[key] = *look_at(estimator, X, sample_weight), params
    return _criteria[key][:2]


def _rate(criterion, samples, partitions):
    """Return the expected scores of partitions, labels (N,) each."""
    filled = [_fill_noise(criterion, samples, each) for each in partitions]
    has_clusters = [clusters is not None for clusters, _ in filled]
    judged = [clusters for clusters, _ in filled if clusters is not None]
    # Noise alone scores 0.
    scores = np.zeros(len(filled))
    scores[has_clusters] = criterion.score_robustly(judged)
    return scores * [factor for _, factor in filled]


def _fill_noise(criterion, samples, partition):
    """Return the clusters (M,) of the scored samples, or None, and the factor of their score.

    Equal samples are in the cluster of most of them, and noise in the nearest cluster.
    """
    in_graph = samples.inverse >= 0
    names, labels = np.unique(partition[in_graph], return_inverse=True)
    inverse = samples.inverse[in_graph]
    counts = indicate(labels, len(names)).T @ indicate(inverse, len(samples.weights))
    usual = np.ravel(counts.argmax(0))

    clusters = usual[criterion.positions]
    is_cluster = (names != -1)[clusters]
    if not is_cluster.any():
        return None, 0.0

    points = criterion.coords.layouts[0]
    nearest = find_nearest(points[~is_cluster], points[is_cluster])
    clusters[~is_cluster] = clusters[is_cluster][nearest]
    agreement = adjusted_rand_score(labels, usual[inverse])
    return clusters, agreement * (partition != -1).mean()


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
    majority_accuracy : Several clusters may share a class.
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


def majority_accuracy(labels_true, labels_pred) -> float:
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
    accuracy : float
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
    >>> from skdeepcluster.metrics import clustering_accuracy, majority_accuracy
    >>> classes, clusters = [0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2]
    >>> majority_accuracy(classes, clusters)
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
        the numbers after the largest class, or ``"cluster "`` and their own name.

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
    rows, columns = linear_sum_assignment(table, maximize=True)

    unmatched = np.setdiff1d(np.arange(len(clusters)), columns)
    names = np.empty(len(clusters), dtype=object)
    names[columns] = classes[rows]
    if classes.dtype.kind == "i":
        names[unmatched] = classes[-1] + 1 + np.arange(len(unmatched))
    else:
        names[unmatched] = [f"cluster {name}" for name in clusters[unmatched]]
    return np.array(names.tolist())[index]


def expected_calibration_error(y_true, y_prob, *, n_bins: int = 10) -> float:
    """Mean difference between the confidence and the share of samples that are right.

    ``ECE = sum_b (n_b / N) |mean right_b - mean confidence_b|`` over bins of equal count of the
    samples sorted by confidence. Samples of equal confidence count with their mean of ``right``.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes, under any names. Clusters are matched with them as in :func:`match_labels`; a
        sample is right if its most probable cluster is the one of its class.
    y_prob : array-like of shape (n_samples, n_clusters) or (n_samples,)
        Probabilities of the clusters, as ``predict_proba`` returns them. If only the confidences
        are given, (n_samples,), ``y_true`` says whether each sample is right: booleans, or shares
        in [0, 1].
    n_bins : int, default=10
        Number of bins.

    Returns
    -------
    error : float
        Between 0 (calibrated) and 1.

    See Also
    --------
    error_auc : Whether errors have lower confidences.
    sklearn.calibration.CalibrationDisplay : The same as a plot.

    References
    ----------
    M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015.

    Examples
    --------
    >>> from skdeepcluster.metrics import expected_calibration_error
    >>> classes = ["cat", "cat", "dog", "dog"]
    >>> probabilities = [[0.25, 0.75], [0.25, 0.75], [0.75, 0.25], [0.25, 0.75]]
    >>> expected_calibration_error(classes, probabilities)
    0.0
    >>> expected_calibration_error([True, True, True, False], [1.0, 1.0, 1.0, 1.0])
    0.25
    """
    right, confidence = _read_confidence(y_true, y_prob)
    n_bins = check_count("n_bins", n_bins)
    _, index = np.unique(confidence, return_inverse=True)
    shares = np.bincount(index, right) / np.bincount(index)
    shares = shares[index]

    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, min(n_bins, len(order)))
    gaps = [abs((shares[rows] - confidence[rows]).sum()) for rows in bins]
    return float(sum(gaps) / len(order))


def error_auc(y_true, y_prob) -> float:
    """Area under the ROC curve for detecting wrong samples by their low confidence.

    The probability that a wrong sample has a lower confidence than a right one; ties count half.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes, matched with the clusters as in :func:`match_labels`.
    y_prob : array-like of shape (n_samples, n_clusters) or (n_samples,)
        Probabilities of the clusters. If only the confidences in [0, 1] are given, (n_samples,),
        ``y_true`` says whether each sample is right.

    Returns
    -------
    auc : float
        0.5 by chance; NaN if all samples are right or all are wrong.

    See Also
    --------
    expected_calibration_error : Whether confidences are right on average.

    Examples
    --------
    >>> from skdeepcluster.metrics import error_auc
    >>> error_auc([True, True, False], [0.9, 0.5, 0.5])
    0.75
    """
    right, confidence = _read_confidence(y_true, y_prob)
    if len(np.unique(right)) < 2:
        return float("nan")
    return float(roc_auc_score(right, confidence))


def _read_confidence(y_true, y_prob):
    """Return whether each sample is right and its confidence, as float64 (N,) in [0, 1].

    These are given, or computed from classes (N,) and probabilities (N, K).
    """
    y_prob = _check_shares("y_prob", y_prob)
    check_consistent_length(y_true, y_prob)
    if y_prob.ndim == 2:
        sums = y_prob.sum(1)
        if np.abs(sums - 1).max() > SHARE_ERROR * y_prob.shape[1]:
            raise ValueError(
                "y_prob must sum to 1 over the clusters, but has sums from "
                f"{sums.min():.6g} to {sums.max():.6g}. Give confidences as "
                "(n_samples,)."
            )
        matched = match_labels(y_true, y_prob.argmax(1))
        right = matched == check_discrete(y_true, "y_true")
        return right.astype(np.float64), y_prob.max(1)

    return column_or_1d(_check_shares("y_true", y_true)), y_prob


def _check_shares(name, values):
    """Return an array of numbers in [0, 1] as float64."""
    values = check_array(values, dtype=np.float64, ensure_2d=False, input_name=name)
    is_outside = (values < -SHARE_ERROR) | (values > 1 + SHARE_ERROR)
    if is_outside.any():
        outside = values[is_outside][0]
        raise ValueError(
            f"{name} must hold numbers between 0 and 1, got {outside}. Classes need the "
            "probabilities of all clusters, (n_samples, n_clusters)."
        )
    return values.clip(0, 1)


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
