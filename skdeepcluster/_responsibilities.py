"""Responsibilities (N, K) of K clusters for N rows: checks, and weighted means."""

from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

#: Most rows after repetition, as a multiple of their number.
MOST_REPEATED = 10


def check_responsibilities(name, value, shape):
    """Return responsibilities given as a parameter, checked, as float64."""
    resp = check_shape(name, value, shape)
    sums = resp.sum(1)
    if (resp < 0).any() or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"Responsibilities given as {name!r} should be at least 0 and each row sum to 1, "
            f"but the least is {resp.min():.6g} and sums run from {sums.min():.6g} to "
            f"{sums.max():.6g}. Pass probabilities, not logarithms or labels."
        )
    return resp


def check_partition(name, value, n_samples, n_clusters):
    """Return responsibilities, (N, K), checked, or made from the cluster of each row."""
    if np.ndim(value) != 1:
        return check_responsibilities(name, value, (n_samples, n_clusters))
    labels = check_shape(name, value, (n_samples,))
    if labels.min() < 0 or labels.max() >= n_clusters or np.any(labels % 1):
        raise ValueError(
            f"Clusters given as {name!r} should be whole numbers from 0 to n_clusters - 1 = "
            f"{n_clusters - 1}, but they run from {labels.min():.6g} to {labels.max():.6g}. "
            "Number them anew (sklearn.preprocessing.LabelEncoder) or change n_clusters."
        )
    return np.eye(n_clusters)[labels.astype(int)]


def check_labels(name, value, n_rows, n_clusters, kind="clusters"):
    """Return what is known of N rows, the numbers (N,) of their clusters or -1, checked."""
    given = np.asarray(value)
    if given.shape != (n_rows,):
        raise ValueError(
            f"{name} has the shape {given.shape}, but X has {n_rows} rows. Give a number for "
            "each row, -1 where it is not known."
        )
    labels = given
    if given.dtype.kind not in "biuf":
        numbers = [value if isinstance(value, Real) else np.nan for value in given.tolist()]
        labels = np.array(numbers, dtype=np.float64)
    right = (labels >= -1) & (labels < n_clusters) & (labels == np.round(labels))
    if not right.all():
        row = int(right.argmin())
        raise ValueError(
            f"{name} has {given.tolist()[row]!r} for row {row}. Expected are the numbers of "
            f"{kind}, whole ones from 0 to n_{kind} - 1 = {n_clusters - 1}, and -1 for a row that "
            f"is not known. Number names by sklearn.preprocessing.LabelEncoder, raise n_{kind}, "
            "or mark the row by -1."
        )
    return labels.astype(np.int64)


def check_finite(name, value):
    """Return an array given as a parameter as float64, checked to hold finite numbers."""
    try:
        return check_array(
            value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name
        )
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"The parameter {name!r} should hold finite numbers ({error}). Strings are numbered "
            "by sklearn.preprocessing.LabelEncoder."
        ) from error


def check_shape(name, value, shape):
    """Return an array given as a parameter, checked for shape and finiteness, as float64."""
    value = check_finite(name, value)
    if value.shape != shape:
        raise ValueError(
            f"The parameter {name!r} should have the shape of {shape}, but got {value.shape}"
        )
    return value


def repeat_rows(weight, random_state, n_given):
    """Return indices of rows (M,), each row as often as its weight (N,) says.

    Whole weights are numbers of repetitions. Other weights, or a sum above ``MOST_REPEATED`` times
    ``n_given``, G, give G indices by systematic sampling: row n is expected G w_n / sum(w) times.
    """
    if not (weight % 1).any() and weight.sum() <= MOST_REPEATED * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())


def sample_systematically(weight, n_drawn, offset):
    """Return positions (n_drawn,) of rows, each in proportion to its weight (N,), in their order.

    Row n is drawn n_drawn w_n / sum(w) times, rounded up or down; ``offset``, from 0 to 1, says
    where the first draw is.
    """
    ends = np.cumsum(weight)
    places = (offset + np.arange(n_drawn)) / n_drawn * ends[-1]
    return np.searchsorted(ends, places, side="right").clip(max=np.flatnonzero(weight)[-1])


def cluster_means(resp, rows):
    """Return the means (K, D) of rows (N, D) under responsibilities; zero for empty clusters."""
    sizes = resp.sum(0)[:, None]
    return resp.T @ rows / np.maximum(sizes, np.finfo(sizes.dtype).tiny)


def indicate(labels, n_clusters):
    """Return a sparse table (N, K) with a 1 at each row's label, none for -1."""
    rows = np.flatnonzero(labels >= 0)
    entries = np.ones(len(rows)), (rows, labels[rows])
    return sparse.csr_array(entries, shape=(len(labels), n_clusters))


def normalize_rows(table):
    """Divide each row by its sum; a row of zeros becomes uniform, (N, K)."""
    total = table.sum(1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), 1 / table.shape[1])


def average_finite(values):
    """Return the mean (N,) of the finite values in each row, (N, k); 0 without any."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1) / np.maximum(known.sum(1), 1)
