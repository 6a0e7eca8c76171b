"""Labels (N,), responsibilities (N, K) and weights (N,) of N samples: checks and reductions."""

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

#: Maximum number of samples after repetition, as a multiple of the number of samples.
MOST_REPEATED = 10
#: Relative rounding error of a share of the weights.
ROUNDING = 1e-12


# ---- checks of what users pass as parameters


def check_finite(name, value):
    """Return an array as float64, checked to hold finite numbers."""
    try:
        return check_array(
            value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name
        )
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"The parameter {name!r} should hold finite numbers ({error}). Encode strings by "
            "sklearn.preprocessing.LabelEncoder."
        ) from error


def check_shape(name, value, shape):
    """Return an array as float64, checked for its shape and to hold finite numbers."""
    value = check_finite(name, value)
    if value.shape != shape:
        raise ValueError(
            f"The parameter {name!r} should have the shape of {shape}, but got {value.shape}"
        )
    return value


def check_responsibilities(name, value, shape):
    """Return responsibilities (N, K) as float64, checked to be probabilities."""
    resp = check_shape(name, value, shape)
    sums = resp.sum(1)
    if (resp < 0).any() or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"Responsibilities given as {name!r} should be at least 0 and each row sum to 1, "
            f"but the smallest is {resp.min():.6g} and sums range from {sums.min():.6g} to "
            f"{sums.max():.6g}. Pass probabilities, not logarithms or labels."
        )
    return resp


def check_partition(name, value, n_samples, n_clusters):
    """Return responsibilities (N, K) from responsibilities or from cluster labels (N,)."""
    if np.ndim(value) != 1:
        return check_responsibilities(name, value, (n_samples, n_clusters))
    return np.eye(n_clusters)[check_labels(name, value, n_samples, n_clusters, lowest=0)]


def check_labels(name, value, n_samples, n_clusters=None, lowest=-1):
    """Return cluster labels (N,) from ``lowest`` to K - 1 as int64, checked; -1 is no cluster."""
    labels = np.asarray(value)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"{name} has the shape {labels.shape}, but X has {n_samples} samples. Give a cluster "
            "label for each sample."
        )
    labels = labels.tolist()
    last = np.inf if n_clusters is None else n_clusters - 1
    for sample, label in enumerate(labels):
        if not isinstance(label, int | float) or label % 1 or not lowest <= label <= last:
            raise ValueError(
                f"{name} has {label!r} for sample {sample}. Expected are whole numbers from 0 to "
                f"n_clusters - 1 = {last}{', and -1 for no cluster' * (lowest < 0)}. Encode names "
                "by sklearn.preprocessing.LabelEncoder, or raise n_clusters."
            )
    return np.array(labels, dtype=np.int64)


# ---- weights


def repeat_rows(weight, random_state, n_given):
    """Return indices (M,) that repeat each sample as often as its weight (N,) says.

    Whole weights are numbers of repetitions. If some are fractions, or if their sum exceeds
    ``MOST_REPEATED * n_given``, ``n_given`` indices are sampled systematically.
    """
    if not (weight % 1).any() and weight.sum() <= MOST_REPEATED * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())


def sample_systematically(weight, n_drawn, offset):
    """Return sorted indices (n_drawn,) of samples, drawn in proportion to their weights (N,).

    Sample n occurs n_drawn w_n / sum(w) times, rounded up or down. ``offset``, between 0 and 1,
    is the position of the first draw.
    """
    ends = np.cumsum(weight)
    places = (offset + np.arange(n_drawn)) / n_drawn * ends[-1]
    return np.searchsorted(ends, places, side="right").clip(max=np.flatnonzero(weight)[-1])


def find_offset(outlier_scores, noise, weights):
    """Return minus the outlier score above which a share ``noise`` of the weights lies."""
    if not noise:
        return -np.inf
    order = np.lexsort((weights, -outlier_scores))
    sums = np.cumsum(weights[order])
    most = noise * sums[-1] * (1 + ROUNDING)
    first = order[np.searchsorted(sums[:-1], most, side="right")]
    return -float(outlier_scores[first])


def mark_noise(clusters, outlier_scores, offset):
    """Return the cluster labels (N,), -1 where the outlier score exceeds ``-offset``."""
    return np.where(-outlier_scores < offset, -1, clusters)


# ---- reductions


def cluster_means(resp, rows):
    """Return the means (K, D) of samples (N, D) by responsibilities; zero for empty clusters."""
    sizes = resp.sum(0)[:, None]
    return resp.T @ rows / np.maximum(sizes, np.finfo(sizes.dtype).tiny)


def indicate(labels, n_clusters):
    """Return the one-hot labels (N, K) as a sparse array, with empty rows for labels of -1."""
    rows = np.flatnonzero(labels >= 0)
    entries = np.ones(len(rows)), (rows, labels[rows])
    return sparse.csr_array(entries, shape=(len(labels), n_clusters))


def normalize_rows(table):
    """Divide each row of a table (N, K) by its sum; a row of zeros becomes uniform."""
    total = table.sum(1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), 1 / table.shape[1])


def average_finite(values):
    """Return the means (N,) of the finite values in each row (N, k); 0 if there are none."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1) / np.maximum(known.sum(1), 1)


def mean_greatest_jaccard(labels, member_labels, n_clusters):
    """Return the mean over partitions of each cluster's greatest Jaccard index with theirs, (K,).

    The Jaccard index of two sets of samples is |A and B| / |A or B|; it is 0 for empty clusters.
    ``member_labels`` has a partition in each column; -1 is no cluster.
    """
    own = indicate(labels, n_clusters)
    best = []
    for other in member_labels.T:
        member = indicate(other, other.max(initial=0) + 1)
        both = (own.T @ member).toarray()
        either = own.sum(0)[:, None] + member.sum(0) - both
        best.append((both / np.maximum(either, 1)).max(1))
    return np.mean(best, 0)
