"""Agreement of clusters with classes, and whether probabilities tell which rows are wrong.

`clustering_accuracy` (the "ACC" of the papers) and `majority_accuracy` are not comparable: the
second is never below the first and grows with the number of clusters. Labels are compared, never
used to train. Clusters and classes may have any names (integers, strings, booleans), and ``-1`` is
a cluster like any other.
"""

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import roc_auc_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils._missing import is_pandas_na

__all__ = [
    "clustering_accuracy",
    "error_auc",
    "expected_calibration_error",
    "majority_accuracy",
    "match_labels",
]

#: By how much a probability may leave [0, 1]: sums of float32 are not exact.
ROUNDING = 1e-5


def clustering_accuracy(labels_true, labels_pred) -> float:
    """Share of rows in the right cluster, under the best one-to-one naming of the clusters.

    ``ACC = max_m (1/N) #{i : labels_true[i] = m(labels_pred[i])}``, where ``m`` runs over all
    one-to-one maps from clusters to classes (Hungarian algorithm). Rows of clusters beyond the
    number of classes have no class and count as wrong.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Classes.
    labels_pred : array-like of shape (n_samples,)
        Clusters, under any names.

    Returns
    -------
    accuracy : float
        Between 1 / (the larger of the numbers of clusters and of classes) and 1.

    See Also
    --------
    majority_accuracy : Several clusters may share a class.
    sklearn.metrics.adjusted_rand_score : Agreement of pairs, corrected for chance.

    References
    ----------
    Y. Yang, D. Xu, F. Nie, S. Yan, Y. Zhuang, "Image Clustering Using Local Discriminant Models
    and Global Integration", IEEE Transactions on Image Processing 19(10), 2010.

    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics
    Quarterly 2, 1955.

    Examples
    --------
    >>> from skdeepcluster.metrics import clustering_accuracy
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    >>> clustering_accuracy(["cat", "cat", "dog", "dog"], [0, 0, 0, 1])
    0.75

    As a scorer, the classes score and never train:

    >>> from sklearn.cluster import KMeans
    >>> from sklearn.metrics import make_scorer
    >>> scorer = make_scorer(clustering_accuracy)
    >>> X, y = [[0.0], [0.1], [5.0], [5.1]], [1, 1, 0, 0]
    >>> scorer(KMeans(2, random_state=0).fit(X), X, y)
    1.0
    """
    table = _tabulate(labels_true, labels_pred)[2]
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / table.sum())


def majority_accuracy(labels_true, labels_pred) -> float:
    """Share of rows in the most frequent class of their cluster (purity).

    ``(1/N) sum_k max_c #{i : labels_pred[i] = k, labels_true[i] = c}``. It never falls when
    clusters are split, and one cluster per row gives 1: always state the number of clusters.

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
    clustering_accuracy : Every class has one cluster at most.

    References
    ----------
    J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical Generative
    Adversarial Networks", ICLR 2016 (20 clusters for the 10 digits).

    Examples
    --------
    >>> from skdeepcluster.metrics import clustering_accuracy, majority_accuracy
    >>> classes, clusters = [0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2]
    >>> majority_accuracy(classes, clusters)
    1.0
    >>> round(clustering_accuracy(classes, clusters), 3)
    0.667
    """
    table = _tabulate(labels_true, labels_pred)[2]
    return float(table.max(axis=0).sum() / table.sum())


def match_labels(labels_true, labels_pred) -> npt.NDArray[Any]:
    """Rename clusters after classes, one-to-one, such that most rows agree.

    The names behind `clustering_accuracy`, for confusion matrices and pictures: the accuracy
    equals ``np.mean(match_labels(labels_true, labels_pred) == labels_true)``. Rows that shared
    a cluster still share a name, and no two clusters get the same one.

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
        new names in their sorted order: with numbers as classes those after the largest,
        with strings ``"cluster "`` and the cluster's own name. Numbers come back as int64
        (so do booleans and floats such as ``1.0``), strings as strings of numpy, or as objects
        if the classes are objects.

    See Also
    --------
    clustering_accuracy : The share of rows that agree after matching.

    Examples
    --------
    >>> from skdeepcluster.metrics import match_labels
    >>> match_labels([0, 0, 1, 1, 1], [7, 7, 3, 3, 7])
    array([0, 0, 1, 1, 0])
    >>> match_labels([0, 0, 1, 1, 1], [2, 2, 0, 0, 1])
    array([0, 0, 1, 1, 2])
    >>> match_labels(["a", "a", "b"], [1, 1, 5]).tolist()
    ['a', 'a', 'b']
    """
    true, pred, table = _tabulate(labels_true, labels_pred)
    classes = np.unique(true)
    clusters, index = np.unique(pred, return_inverse=True)
    rows, columns = linear_sum_assignment(table, maximize=True)
    unmatched = np.setdiff1d(np.arange(len(clusters)), columns)
    new = _make_names(classes, clusters[unmatched])
    kind = object if classes.dtype.kind == "O" else np.result_type(classes, new)
    names = np.empty(len(clusters), dtype=kind)
    names[columns] = classes[rows]
    names[unmatched] = new
    return names[index]


def expected_calibration_error(right, confidence, *, n_bins: int = 10) -> float:
    """Mean distance between the confidence in a row's cluster and the share of rows it is right.

    ``ECE = sum_b (n_b / N) |mean right_b - mean confidence_b|``, over bins of equal count of the
    rows sorted by confidence. Rows of equal confidence count with their common share, whatever
    bins they fall into, so that the order of rows does not matter.

    Parameters
    ----------
    right : array-like of shape (n_samples,)
        Whether each row is in the cluster of its class: booleans, or shares between 0 and 1.
    confidence : array-like of shape (n_samples,)
        Probability of the cluster that each row is assigned to, between 0 and 1.
    n_bins : int, default=10
        Bins; at most one per row.

    Returns
    -------
    error : float
        Between 0 (calibrated) and 1.

    See Also
    --------
    error_auc : Whether the order of the confidences finds the errors, whatever their values.
    skdeepcluster.display.ReliabilityDisplay : The same as a picture.

    References
    ----------
    M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015.

    Examples
    --------
    >>> from skdeepcluster.metrics import expected_calibration_error
    >>> right, confidence = [True, True, False, True], [0.75, 0.75, 0.75, 0.75]
    >>> expected_calibration_error(right, confidence)
    0.0
    >>> expected_calibration_error(right, [1.0, 1.0, 1.0, 1.0])
    0.25
    """
    counts, confidences, shares = bin_by_confidence(right, confidence, n_bins)
    return float(counts @ np.abs(shares - confidences) / counts.sum())


def bin_by_confidence(
    right, confidence, n_bins: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sort rows into bins of equal count; return counts, mean confidences and shares right (B,).

    Rows of equal confidence count with their common share.
    """
    right, confidence = _check_confidence(right, confidence)
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins must be an integer from 1 on, got {n_bins!r}.")
    _, index, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    common = (np.bincount(index, right) / counts)[index]
    bins = np.array_split(np.argsort(confidence, kind="stable"), min(n_bins, len(confidence)))
    means = [(len(rows), confidence[rows].mean(), common[rows].mean()) for rows in bins]
    return tuple(np.array(column) for column in zip(*means, strict=True))


def error_auc(right, confidence) -> float:
    """Area under the ROC curve of finding the rows that are wrong by their low confidence.

    The probability that a wrong row has a lower confidence than a right one; ties count half.

    Parameters
    ----------
    right : array-like of shape (n_samples,)
        Whether each row is in the cluster of its class: booleans, or 0 and 1.
    confidence : array-like of shape (n_samples,)
        Probability of the cluster that each row is assigned to, or another certainty between 0
        and 1, such as the agreement of an ensemble.

    Returns
    -------
    auc : float
        Between 0 and 1; 1 if all wrong rows have lower confidences than all right ones, .5 by
        chance, and NaN if all rows are right or all wrong.

    See Also
    --------
    expected_calibration_error : Whether the values of the confidences are right.
    sklearn.metrics.roc_auc_score : The same of any classes and scores.

    Examples
    --------
    >>> from skdeepcluster.metrics import error_auc
    >>> error_auc([True, True, False], [0.9, 0.5, 0.5])
    0.75
    """
    right, confidence = _check_confidence(right, confidence)
    odd = right[(right != 0) & (right != 1)]
    if odd.size:
        raise ValueError(f"right must hold booleans, or 0 and 1, got {odd[0]}.")
    if len(np.unique(right)) < 2:
        return float("nan")
    return float(roc_auc_score(right, confidence))


def _check_confidence(right, confidence):
    """Return both as float64 arrays of one number in [0, 1] for each row."""
    checked = []
    for name, values in (("right", right), ("confidence", confidence)):
        values = np.asarray(values)
        if values.ndim != 1 or not values.size:
            raise ValueError(f"{name} must have shape (n_samples,), got {values.shape}.")
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{name} must hold numbers between 0 and 1, got {values.dtype}.")
        values = values.astype(np.float64)
        outside = values[~((values >= -ROUNDING) & (values <= 1 + ROUNDING))]
        if outside.size:
            raise ValueError(f"{name} must hold numbers between 0 and 1, got {outside[0]}.")
        checked.append(values.clip(0, 1))
    right, confidence = checked
    if len(right) != len(confidence):
        raise ValueError(
            f"right has {len(right)} entries and confidence has {len(confidence)}; both must be "
            "of the same rows, in the same order."
        )
    return right, confidence


def _make_names(classes, clusters):
    if classes.dtype.kind == "i":
        n_names = len(clusters)
        if classes[-1] <= np.iinfo(np.int64).max - n_names:
            return classes[-1] + 1 + np.arange(n_names)
        return np.setdiff1d(np.arange(len(classes) + n_names), classes)[:n_names]
    taken, names = set(classes.tolist()), []
    for cluster in clusters:
        name = f"cluster {cluster}"
        while name in taken:
            name += "'"
        taken.add(name)
        names.append(name)
    return np.array(names, dtype=str)


def _tabulate(labels_true, labels_pred):
    true, pred = read_labels(labels_true, "labels_true"), read_labels(labels_pred, "labels_pred")
    if len(true) != len(pred):
        raise ValueError(
            f"labels_true has {len(true)} entries and labels_pred has {len(pred)}; "
            "both must label the same rows, in the same order."
        )
    return true, pred, contingency_matrix(true, pred)


def read_labels(labels, name) -> np.ndarray:
    """Return one label per row: numbers as int64, strings as they are."""
    # A list of mixed types must not become an array of strings.
    is_mixed = isinstance(labels, list | tuple) and len({isinstance(x, str) for x in labels}) > 1
    labels = np.asarray(labels, dtype=object if is_mixed else None)
    if labels.dtype.kind == "T":
        labels = labels.astype(object)
    if labels.ndim != 1:
        hint = " For probabilities per cluster pass their argmax(axis=1)." * (labels.ndim == 2)
        raise ValueError(f"{name} must have shape (n_samples,), got {labels.shape}.{hint}")
    if not labels.size:
        raise ValueError(f"{name} is empty; at least one label is needed.")
    if labels.dtype.kind not in "biufOSU":
        raise ValueError(f"{name} must hold integers or strings, got {labels.dtype}.")
    if labels.dtype.kind in "fO" and any(x is None or is_pandas_na(x) or x != x for x in labels):
        raise ValueError(f"{name} contains missing values (NaN or None); leave these rows out.")
    return _check_objects(labels, name) if labels.dtype.kind == "O" else _convert(labels, name)


def _check_objects(labels, name):
    if all(isinstance(x, str) for x in labels):
        return labels
    plain = np.array(labels.tolist())
    if plain.dtype.kind not in "biuf" or any(isinstance(x, str) for x in labels):
        raise ValueError(f"{name} mixes types; labels must be all numbers or all strings.")
    return _convert(plain, name)


def _convert(labels, name):
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "latin-1")  # a character for each byte
    if labels.dtype.kind == "U":
        return labels.astype(str)
    if labels.dtype.kind == "f":
        odd = labels[(np.rint(labels) != labels) | np.isinf(labels)]
        if odd.size:
            raise ValueError(
                f"{name} holds continuous values such as {odd[0]}; "
                "labels must be integers or strings."
            )
    if labels.dtype.kind in "uf":
        large = labels[np.abs(labels.astype(np.float64)) >= 2.0**63]
        if large.size:
            raise ValueError(f"{name} holds {large[0]}, but labels must be integers of 64 bits.")
    return labels.astype(np.int64)
