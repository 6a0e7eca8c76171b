"""What estimators share without torch: checks, random generators, interruption, and sums.

N samples, K clusters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_random_state, column_or_1d, get_tags
from sklearn.utils.validation import _check_sample_weight, _num_samples, validate_data

from ._typing import ClusterMixin, Labels

#: Type of parameters that a fit may choose.
Auto = Literal["auto"]
#: Types of numbers that X may have; others are converted to the first.
DTYPES = [np.dtype(code) for code in "dfe?bhilqBHILQ"]
#: Maximum magnitude of values in fits: sums of their squares stay in double precision.
LARGEST = 1e100
#: Minimum of the largest magnitude: squares of smaller values lose digits in double precision.
SMALLEST = 1e-150
#: Maximum number of samples after repetition, as a multiple of the number of samples.
MOST_REPEATED = 10
#: Relative rounding error of a share of the weights.
ROUNDING = 1e-12

_is_member: ContextVar[bool] = ContextVar("is_member", default=False)


class LabeledClusterMixin(ClusterMixin):
    """Mixin of clusterers that learn from ``y`` if ``use_labels=True``."""

    def fit_predict(self, X, y=None, **kwargs) -> Labels:
        """Fit to X and return the cluster labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to cluster.
        y : array-like of shape (n_samples,), default=None
            Known clusters with ``use_labels=True``, ignored otherwise.
        **kwargs : dict
            Further arguments of ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            ``labels_``.
        """
        return self.fit(X, y, **kwargs).labels_

    def _read_labels(self, y, n_rows, n_clusters):
        """Return the known clusters (N,), -1 for none; None if no cluster is known.

        Numbers are those of clusters. Other labels are numbered in order, as in ``classes_``.
        """
        vars(self).pop("classes_", None)
        if not self.use_labels or y is None:
            return None
        labels, is_known = read_labels(y)
        if not is_known.any():
            return None
        if all(isinstance(label, int | float) for label in labels[is_known].tolist()):
            numbers = np.where(is_known, labels, -1)
            numbers = check_labels("y", numbers, n_rows, n_clusters)
            classes = np.arange(numbers.max() + 1)
        else:
            classes, numbers = encode_labels(labels, is_known)
            numbers = check_labels("y", numbers, n_rows, max(n_clusters, len(classes)))
        if len(classes) > n_clusters:
            raise ValueError(
                f"y has {len(classes)} labels, {', '.join(map(str, classes))}, but "
                f"n_clusters={n_clusters}. Raise n_clusters, or use n_clusters='auto'."
            )
        self.classes_ = classes
        return numbers


# ---- samples and predictions


def check_rows(estimator, X, reset, **options):
    """Return X, checked by ``validate_data``; duplicate entries of sparse arrays are summed.

    Dense X may miss values, nan, if the estimator allows it, but in a fit no whole column.
    """
    allows = get_tags(estimator).input_tags.allow_nan and not sparse.issparse(X)
    finite = "allow-nan" if allows else True
    options = {"dtype": DTYPES, "ensure_all_finite": finite} | options
    X = validate_data(estimator, X, reset=reset, **options)
    if reset and misses_values(X):
        empty = np.flatnonzero(np.isnan(X).all(0)).tolist()
        refuse_empty(empty, getattr(estimator, "feature_names_in_", None))
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def refuse_empty(columns, names=None):
    """Raise ValueError if there are columns, given by their indices, that have no values."""
    if columns:
        names = columns if names is None else [names[i] for i in columns]
        raise ValueError(f"X has no values in the columns {names}. Leave these columns out.")


def misses_values(X):
    """Return whether X misses values, nan."""
    return not sparse.issparse(X) and X.dtype.kind == "f" and bool(np.isnan(np.min(X, initial=0)))


def check_sample_weight(sample_weight, X):
    """Return the weights (N,) of the samples as float64, checked; ones if None is given."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def predict_samples(estimator, X):
    """Return the label of each sample: by ``predict``, or the ``labels_`` of the fit."""
    if hasattr(estimator, "predict"):
        return np.asarray(estimator.predict(X))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    labels = np.asarray(getattr(last, "labels_", ()))
    if len(labels) != _num_samples(X):
        raise ValueError(
            f"{type(last).__name__} has no predict, and its {len(labels)} labels_ do not fit the "
            f"{_num_samples(X)} samples of X. Give the samples of the fit, and NoSplit() to "
            "searches."
        )
    return labels


def check_enough(n_samples, n_clusters, is_weighted=False):
    """Check that there are at least as many samples as clusters, and two if they are weighted."""
    if is_weighted and n_samples < 2:
        raise ValueError(
            f"sample_weight leaves n_samples={n_samples} to train on, but 2 are needed. Give "
            "larger weights: a sample of weight 2 counts as two."
        )
    if n_samples < n_clusters:
        raise ValueError(
            f"n_samples={n_samples} should be >= n_clusters={n_clusters}. Pass more samples or "
            "ask for fewer clusters."
        )


def check_magnitude(values):
    """Check that the magnitude of values to fit, dense or sparse, is at most ``LARGEST``."""
    values = values.data if sparse.issparse(values) else values
    bounds = (reduce(values, axis=None, initial=0) for reduce in (np.fmax.reduce, np.fmin.reduce))
    largest = max(abs(float(bound)) for bound in bounds)
    if largest > LARGEST:
        raise ValueError(
            f"X has a value of magnitude {largest:.3g}, which is too large: expected are at most "
            f"{LARGEST:.0e}. Scale X, or correct or leave out such samples."
        )


def check_answers(answers, X, source=""):
    """Return predictions (N, ...) for X, checked to be finite; ``source`` says who predicts."""
    is_finite = np.isfinite(answers).reshape(len(answers), -1).all(1)
    if not is_finite.all():
        raise ValueError(
            f"There is no finite prediction{source} for sample {is_finite.argmin()}. Correct or "
            "leave out this sample."
        )
    return answers


def is_missing(value):
    """Return whether a value is None, nan, NaT or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


# ---- labels and parameters


def read_labels(y):
    """Return labels as an array (N,), and which are known: not -1, None or nan, nor these as text.

    As an array of strings, a list would lose the types of None, nan and -1.
    """
    y = column_or_1d(np.array(y, dtype=object) if isinstance(y, list | tuple) else y, warn=True)
    unknown = -1, "-1", "-1.0", "nan"
    return y, np.array([not is_missing(v) and v not in unknown for v in y.tolist()], dtype=bool)


def encode_labels(y, is_known):
    """Return the sorted classes, and the index (N,) of each sample's class, -1 if not known."""
    known = y[is_known]
    if y.dtype.kind == "O":
        if len({isinstance(label, str) for label in known}) > 1:
            raise ValueError("y mixes strings and numbers. Make all labels the same type.")
        known = np.array(known.tolist())
    targets = np.full(len(y), -1, dtype=np.int64)
    classes, targets[is_known] = np.unique(known, return_inverse=True)
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
        if not isinstance(label, int | float) or label % 1 or not lowest <= label <= last:
            raise ValueError(
                f"{name} has {label!r} for sample {sample}. Expected are whole numbers from 0 to "
                f"n_clusters - 1 = {last}{', and -1 for no cluster' * (lowest < 0)}. Encode names "
                "by sklearn.preprocessing.LabelEncoder, or raise n_clusters."
            )
    return labels.astype(np.int64)


def check_finite(name, value):
    """Return an array as float64, checked to hold finite numbers."""
    try:
        return check_array(
            value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name
        )
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{name!r} should hold finite numbers: {error}") from error


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
            f"The rows of {name!r} should be probabilities that sum to 1, but the smallest value "
            f"is {resp.min():.6g} and sums range from {sums.min():.6g} to {sums.max():.6g}."
        )
    return resp


def check_partition(name, value, n_samples, n_clusters):
    """Return responsibilities (N, K) from responsibilities or from cluster labels (N,)."""
    if np.ndim(value) != 1:
        return check_responsibilities(name, value, (n_samples, n_clusters))
    return np.eye(n_clusters)[check_labels(name, value, n_samples, n_clusters, lowest=0)]


# ---- fits


def random_stream(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """Return ``check_random_state(random_state)``, but a new generator for None."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed from a generator of numpy."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def draw_seeds(estimator: Any, random_state: np.random.RandomState) -> dict[str, int]:
    """Draw a seed for every ``random_state`` among the parameters of an estimator."""
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    return {name: draw_seed(random_state) for name in names}


def store_parameters(parameters: dict[str, Any]) -> None:
    """Set the parameters of an ``__init__``, its ``locals()``, as attributes."""
    estimator = parameters["self"]
    vars(estimator).update({name: v for name, v in parameters.items() if name != "self"})


@contextmanager
def restore_on_failure(estimator: Any) -> Iterator[None]:
    """Restore an estimator's attributes if the block raises.

    Within the block numpy's numbers are Python's, because small integers of numpy overflow.
    """
    before = dict(vars(estimator))
    numbers = {name: own.item() for name, own in before.items() if isinstance(own, np.generic)}
    vars(estimator).update(numbers)
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
    for name, number in numbers.items():
        if vars(estimator).get(name) is number:
            vars(estimator)[name] = before[name]


@contextmanager
def fitting_member() -> Iterator[None]:
    """Within the block a member of an ensemble is fitted, and interrupting it discards it."""
    token = _is_member.set(True)
    try:
        yield
    finally:
        _is_member.reset(token)


def end_interrupted_member(interrupted: bool) -> None:
    """Raise KeyboardInterrupt if the user has interrupted the fit of a member of an ensemble."""
    if interrupted and _is_member.get():
        raise KeyboardInterrupt


# ---- weights


def repeat_rows(weight, random_state, n_given):
    """Return indices (M,) that repeat each sample as often as its weight (N,) says.

    If some weights are fractions, or if their sum exceeds ``MOST_REPEATED * n_given``,
    ``n_given`` indices are sampled systematically.
    """
    if not (weight % 1).any() and weight.sum() <= MOST_REPEATED * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())


def sample_systematically(weight, n_drawn, offset):
    """Return sorted indices (n_drawn,) of samples, chosen in proportion to their weights (N,).

    ``offset``, between 0 and 1, is the position of the first one.
    """
    ends = np.cumsum(weight)
    places = (offset + np.arange(n_drawn)) / n_drawn * ends[-1]
    return np.searchsorted(ends, places, side="right").clip(max=np.flatnonzero(weight)[-1])


def find_offset(outlier_scores, noise, weights):
    """Return minus the outlier score above which a share ``noise`` of the weights lies.

    It is halfway to the next score, so that no label depends on rounding, as in other runtimes.
    """
    if not noise:
        return -np.inf
    order = np.lexsort((weights, -outlier_scores))
    sums = np.cumsum(weights[order])
    most = noise * sums[-1] * (1 + ROUNDING)
    last = outlier_scores[order[np.searchsorted(sums[:-1], most, side="right")]]
    above = outlier_scores[outlier_scores > last].min(initial=np.inf)
    halfway = last + (above - last) / 2
    return -float(halfway if last < halfway < above else last)


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

    The Jaccard index of sets A and B is |A and B| / |A or B|. Each column of ``member_labels`` is
    a partition; -1 is no cluster.
    """
    own = indicate(labels, n_clusters)
    best = []
    for other in member_labels.T:
        member = indicate(other, other.max(initial=0) + 1)
        both = (own.T @ member).toarray()
        either = own.sum(0)[:, None] + member.sum(0) - both
        best.append((both / np.maximum(either, 1)).max(1))
    return np.mean(best, 0)
