"""Labels and responsibilities as arrays: known labels, predictions, sums over clusters.

N samples, K clusters.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _num_samples

#: Labels that stand for no known label, besides None and nan.
UNKNOWN = -1, "-1", "-1.0", "nan", "None", "<NA>", "NaT"
#: Samples are noise if their outlier score exceeds the upper quartile by more than this number of
#: interquartile ranges.
FENCE = 3


# ---- known labels


class Known(NamedTuple):
    """What the user knows of the clusters."""

    #: Cluster (N,) of each sample, -1 for none; None if no cluster is known.
    labels: np.ndarray | None = None
    #: Names of the clusters.
    classes: np.ndarray | None = None
    #: Number of clusters: a number, "auto", or bounds.
    n_clusters: Any = "auto"


def read_known(y, n_samples, n_clusters):
    """Return the :class:`Known` clusters; ``y`` (N,) has labels, or is None.

    Numbers are cluster labels; other labels are numbered in order, as in ``classes_``.
    """
    labels, is_known = read_labels([] if y is None else y)
    if not is_known.any():
        return Known(n_clusters=n_clusters)

    most = n_samples if n_clusters == "auto" else np.max(n_clusters)
    known = labels[is_known].tolist()
    if all(isinstance(label, int | float) for label in known):
        numbers = np.where(is_known, labels, -1)
        numbers = check_labels("y", numbers, n_samples, most)
        classes = np.arange(numbers.max() + 1)
    else:
        classes, numbers = encode_labels(labels, is_known)
        numbers = check_labels("y", numbers, n_samples)
    if len(classes) > most:
        raise ValueError(
            f"y has {len(classes)} labels, {', '.join(map(str, classes))}, but "
            f"n_clusters={n_clusters}. Raise n_clusters, or use 'auto'."
        )
    return Known(numbers, classes, n_clusters)


def read_labels(y):
    """Return labels as an array (N,), and which are known: not ``UNKNOWN``, None or nan.

    Lists become arrays of objects, because strings would lose the types of None, nan and -1.
    """
    if isinstance(y, list | tuple):
        y = np.array(y, dtype=object)
    y = column_or_1d(y, warn=True)
    is_unknown = [is_missing(label) or label in UNKNOWN for label in y.tolist()]
    return y, ~np.array(is_unknown, dtype=bool)


def is_missing(value):
    """Return whether a value is None, nan, NaT, pandas.NA, or an empty text."""
    if isinstance(value, str):
        return not value.strip()
    if value is None or type(value).__name__ == "NAType":
        return True
    return np.ndim(value) == 0 and bool(value != value)


def encode_labels(y, is_known):
    """Return the sorted classes, and the index (N,) of each sample's class, -1 if not known."""
    known = y[is_known]
    if y.dtype.kind == "O":
        if len({isinstance(label, str) for label in known}) > 1:
            raise ValueError("y mixes strings and numbers. Convert all to one type.")
        known = np.array(known.tolist())
    classes, index = np.unique(known, return_inverse=True)
    targets = np.full(len(y), -1)
    targets[is_known] = index
    return classes, targets


def check_labels(name, value, n_samples, n_clusters=None, lowest=-1):
    """Return cluster labels (N,) from ``lowest`` to K - 1 as int64, checked; -1 is no cluster."""
    labels = column_or_1d(value)
    if len(labels) != n_samples:
        raise ValueError(
            f"{name} has the shape {labels.shape}, but X has {n_samples} samples. Give a cluster "
            "label for each sample."
        )
    last = np.inf if n_clusters is None else n_clusters - 1
    for sample, label in enumerate(labels.tolist()):
        is_whole = isinstance(label, int | float) and label % 1 == 0
        if not (is_whole and lowest <= label <= last):
            raise ValueError(
                f"{name} has {label!r} for sample {sample}, but clusters are whole numbers from "
                f"{lowest} to n_clusters - 1 = {last}. Use LabelEncoder, or raise n_clusters."
            )
    return labels.astype(np.int64)


# ---- predictions and noise


def predict_samples(estimator, X):
    """Return the label of each sample: by ``predict``, or the ``labels_`` of the fit."""
    if hasattr(estimator, "predict"):
        return np.asarray(estimator.predict(X))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    labels = np.asarray(getattr(last, "labels_", ()))
    n_samples = _num_samples(X)
    if len(labels) != n_samples:
        raise ValueError(
            f"{type(last).__name__} has no predict, and its {len(labels)} labels_ do not fit "
            f"the {n_samples} samples of X. Give those of the fit, and NoSplit() to searches."
        )
    return labels


def find_offset(outlier_scores, contamination, weights):
    """Return minus the outlier score above which a share ``contamination`` of the weights lies.

    With "auto", it is the outer fence of the scores (J. W. Tukey, "Exploratory Data Analysis",
    1977): three interquartile ranges above the upper quartile.
    """
    if not contamination:
        return -np.inf
    shares = (0.25, 0.75) if contamination == "auto" else 1 - contamination
    limits = np.quantile(outlier_scores, shares, weights=weights, method="inverted_cdf")
    if contamination != "auto":
        return -float(limits)

    lower, upper = limits
    return -float(upper + FENCE * (upper - lower)) if upper > lower else -np.inf


def mark_noise(clusters, outlier_scores, offset):
    """Return the cluster labels (N,), -1 where the outlier score exceeds ``-offset``."""
    return np.where(-outlier_scores < offset, -1, clusters)


# ---- sums over clusters


def indicate(labels, n_clusters):
    """Return the one-hot labels (N, K) as a sparse array, with empty rows for labels of -1."""
    rows = np.flatnonzero(labels >= 0)
    ones = np.ones(len(rows))
    shape = len(labels), n_clusters
    return sparse.csr_array((ones, (rows, labels[rows])), shape=shape)


def number_by_first(labels):
    """Return labels (N,) with the clusters numbered by their first samples."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), dtype=int)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[inverse]


def cluster_means(resp, rows):
    """Return the means (K, D) of samples (N, D) by responsibilities; zero for empty clusters."""
    sizes = resp.sum(0)[:, None]
    tiny = np.finfo(sizes.dtype).tiny
    return resp.T @ rows / np.maximum(sizes, tiny)


def normalize_rows(table):
    """Divide each row of a table (N, K) by its sum; a row of zeros becomes uniform."""
    total = table.sum(1, keepdims=True)
    is_positive = total > 0
    shares = table / np.where(is_positive, total, 1)
    return np.where(is_positive, shares, 1 / table.shape[1])


def average_finite(values):
    """Return the means (N,) of the finite values in each row (N, k); 0 if there are none."""
    return np.ma.masked_invalid(values).mean(1).filled(0)


def mean_greatest_jaccard(labels, member_labels, n_clusters):
    """Return the mean over partitions of each cluster's greatest Jaccard index with theirs, (K,).

    The Jaccard index of sets A and B is |A and B| / |A or B|. Each column of ``member_labels`` is
    a partition; -1 is no cluster.
    """
    indicator = indicate(labels, n_clusters)
    greatest = []
    for other in member_labels.T:
        member = indicate(other, other.max(initial=0) + 1)
        both = (indicator.T @ member).toarray()
        either = indicator.sum(0)[:, None] + member.sum(0) - both
        jaccard = both / np.maximum(either, 1)
        greatest.append(jaccard.max(1))
    return np.mean(greatest, 0)
