"""Checks of samples and of arrays that parameters are, and warnings, without torch.

N samples, K clusters.
"""

import math
import sys
import warnings
from contextlib import contextmanager

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture._base import _check_shape
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

#: Types of numbers that X may have; others are converted to the first.
DTYPES = list(map(np.dtype, "dfe?bhilqBHILQ"))
#: Maximum magnitude of values in fits: sums of their squares stay in double precision.
LARGEST = 1e100
#: Maximum share of stored values of sparse samples.
MAX_DENSITY = 1 / 3
#: Packages whose lines are no user's.
INTERNAL = {"skdeepcluster", "sklearn", "joblib", "contextlib"}


# ---- samples and predictions


def check_sparse(X):
    """Check that sparse samples are worth it.

    Others are refused, because scikit-learn's checks of estimators that take them know
    ``predict_proba`` of classifiers only.
    """
    density = X.nnz / max(1, math.prod(X.shape))
    if density > MAX_DENSITY:
        raise TypeError(
            f"X is sparse, but stores {density:.0%} of its values, at most "
            f"{MAX_DENSITY:.0%} are expected. Pass X.toarray()."
        )


def validate_numbers(estimator, X, reset=False, min_samples=1, allows_nan=True):
    """Return samples of numbers, checked as an estimator's X; nan where values are missing."""
    X = check_container(X)
    if isinstance(X, np.ma.MaskedArray):
        X = X.astype(float).filled(np.nan)
    if getattr(X, "dtype", None) is not None and X.dtype.kind in "mM":
        raise ValueError(
            f"X must be numbers, got {X.dtype}. Convert dates and times to days."
        )
    is_complete = sparse.issparse(X) or not allows_nan
    with name_column(X), config_context(array_api_dispatch=False):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=DTYPES,
            accept_sparse="csr",
            ensure_all_finite=True if is_complete else "allow-nan",
            ensure_min_samples=min_samples,
        )
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def is_frame(X):
    """Return whether X is a DataFrame."""
    return hasattr(X, "columns") and hasattr(X, "shape")


def is_table(X):
    """Return whether X is a DataFrame, or an array of objects, texts or dates."""
    return is_frame(X) or isinstance(X, np.ndarray) and X.dtype.kind in "OUSmM"


def check_container(X):
    """Return a table, sparse samples or an array, checked to have samples and features."""
    if sparse.issparse(X) or is_dask(X):
        return X
    try:
        values = X if hasattr(X, "dtypes") else np.asanyarray(X)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"X cannot be read as an array: {error}") from error
    shape = values.shape
    if len(shape) == 1 and values.dtype.kind in "US":
        raise ValueError(
            "X must be numbers or a table, got texts. Pass embeddings of the texts, or the matrix "
            "of a TfidfVectorizer."
        )
    is_empty = is_frame(X) and shape[1] == 0
    if (
        is_empty
        or len(shape) not in (1, 2)
        or getattr(values, "dtype", np.dtype(float)).names
    ):
        raise ValueError(
            f"X must be numbers of shape (n_samples, n_features), got {type(X).__name__} of shape "
            f"{shape}. Flatten images or series by X.reshape(len(X), -1)."
        )
    return values


@contextmanager
def name_column(X, names=None):
    """Name the first column that is not numeric or finite in errors about X (N, D)."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if len(getattr(X, "shape", ())) != 2 or sparse.issparse(X):
            raise
        if names is None:
            names = getattr(X, "columns", range(X.shape[1]))
        for i, name in enumerate(names):
            _check_column(_safe_indexing(X, i, axis=1), name, error)
        raise


def _check_column(column, name, error):
    """Raise an error about a column if it is not numeric or finite."""
    values = np.asarray(column)
    try:
        numbers = values if values.dtype.kind == "c" else values.astype(float)
        is_infinite = np.isinf(numbers).any()
    except (TypeError, ValueError):
        kind = TypeError if type(error) is TypeError else ValueError
        reason = str(error).partition(". ")[0].rstrip(".")
        raise kind(
            f"Column {name!r} of X is not numeric: {reason}. Name categories in kinds, encode "
            "them by OneHotEncoder, or convert dates by pandas.to_datetime."
        ) from error
    if is_infinite:
        raise ValueError(f"{error} The first is in column {name!r}.") from error


def refuse_empty(names):
    """Raise ValueError if there are columns, given by their names, that have no values."""
    if names:
        raise ValueError(f"X has no values in the columns {names}. Leave them out.")


def misses_values(X):
    """Return whether X misses values, nan."""
    if sparse.issparse(X) or X.dtype.kind != "f":
        return False
    return bool(np.isnan(np.min(X, initial=0)))


def check_sample_weight(sample_weight, X):
    """Return the weights (N,) of the samples as float64, checked; ones if None is given."""
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def leave_weighted(X, sample_weight):
    """Return the samples of positive weight, and their weights, relative to the largest."""
    if sample_weight is None:
        return X, None
    weights = check_sample_weight(sample_weight, np.empty((X.shape[0], 1)))
    kept = np.flatnonzero(weights)
    taken = X[kept] if hasattr(X, "dtype") else X.take(kept)
    return taken, weights[kept] / weights.max()


def check_n_samples(X, n_least, name):
    """Check that a table has samples."""
    if X.shape[0] < n_least:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) (shape={X.shape}) while a minimum of "
            f"{n_least} is required by {name}."
        )


def check_enough(n_samples, n_clusters, is_weighted=False):
    """Check that there are at least as many samples as clusters, and two if they are weighted."""
    if is_weighted and n_samples < 2:
        raise ValueError(
            f"sample_weight leaves n_samples={n_samples} to train on, but 2 are needed. "
            "Give larger weights: a sample of weight 2 counts as two."
        )
    if n_samples < n_clusters:
        raise ValueError(
            f"n_samples={n_samples} should be >= n_clusters={n_clusters}. Pass more "
            "samples or ask for fewer clusters."
        )


def check_magnitude(values):
    """Check that the magnitude of values to fit, dense or sparse, is at most ``LARGEST``."""
    if sparse.issparse(values):
        values = values.data
    high = float(np.fmax.reduce(values, axis=None, initial=0))
    low = float(np.fmin.reduce(values, axis=None, initial=0))
    largest = max(high, -low)
    if largest > LARGEST:
        raise ValueError(
            f"X has a value of magnitude {largest:.3g}, but at most {LARGEST:.0e} is "
            "allowed. Scale X, or leave out such samples."
        )


def check_answers(answers, X, source=""):
    """Return predictions (N, ...) for X, checked to be finite; ``source`` says who predicts."""
    is_finite = np.isfinite(answers).reshape(len(answers), -1).all(1)
    if not is_finite.all():
        raise ValueError(
            f"There is no finite prediction{source} for sample {is_finite.argmin()}. "
            "Leave it out."
        )
    return answers


def is_dask(X):
    """Return whether X is a Dask collection, without importing Dask."""
    return type(X).__module__.split(".")[0].startswith("dask")


# ---- parameters


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
    _check_shape(value, shape, name)
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


# ---- fits


def warn_user(message, category=ConvergenceWarning):
    """Give a warning at the line of the user that called the package."""
    frame = sys._getframe()
    level = 0
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.partition(".")[0] not in INTERNAL:
            break
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)


def warn_of_empty(n_found, n_clusters, clusters, remedy):
    """Warn if fewer clusters have samples than were asked for."""
    if n_found < n_clusters:
        warn_user(
            f"Only {n_found} of n_clusters={n_clusters} {clusters} have samples. {remedy}"
        )
