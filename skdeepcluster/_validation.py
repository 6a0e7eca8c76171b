"""What all estimators check alike: parameters that are numbers, rows, their weights, answers."""

import math
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Literal

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing, check_array, column_or_1d
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import (
    _check_feature_names,
    _check_sample_weight,
    validate_data,
)

from ._responsibilities import check_labels
from ._typing import ClusterMixin, Labels

#: Largest magnitude of values to learn from: sums of their squares stay in double precision.
LARGEST = 1e100
#: Least largest magnitude: squares of smaller values have few digits in double precision, or none.
SMALLEST = 1e-150
#: Value of parameters that are chosen by the data.
Auto = Literal["auto"]


class NumericParameters:
    """Mixin of estimators whose parameters may be numbers of any type, of which Python's are read.

    Small integers of numpy overflow, unsigned ones turn into floats beside others, and neither
    scikit-learn nor torch takes fractions.
    """

    def _read_numbers(self):
        """Return the parameters with a bool, int or float for every number."""
        constraints, values = self._parameter_constraints, self.get_params(deep=False)
        return {
            name: _to_python(value, "boolean" in constraints.get(name, ()))
            for name, value in values.items()
        }

    def _validate_params(self):
        """Validate types and ranges of the parameters."""
        constraints, name = self._parameter_constraints, type(self).__name__
        validate_parameter_constraints(constraints, self._read_numbers(), name)


class LabelledClusterMixin(ClusterMixin):
    """Mixin of clusterers that take ``y`` for known clusters, if ``use_labels`` says so."""

    def fit_predict(self, X, y=None, **kwargs) -> Labels:
        """Fit to X and return the clusters of its rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to cluster.
        y : array-like of shape (n_samples,), default=None
            As of ``fit``: known clusters with ``use_labels=True``, otherwise ignored.
        **kwargs : dict
            Further arguments of ``fit``, for instance ``sample_weight``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            ``labels_``.
        """
        return self.fit(X, y, **kwargs).labels_

    def _read_labels(self, y, n_rows, n_clusters):
        """Return known clusters (N,), -1 where there is none; None without any."""
        if not self.use_labels or y is None:
            return None
        y = np.asarray(y)
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        labels = check_labels("y", y, n_rows, n_clusters)
        return labels if (labels >= 0).any() else None


def _to_python(value, is_switch):
    """Return a number as an int or float, or a bool for a switch; anything else as it is."""
    if isinstance(value, bool | np.bool_):
        return bool(value) if is_switch else int(value)
    if isinstance(value, Integral):
        return int(value)
    if not isinstance(value, Real):
        return value
    try:
        return float(value)
    except OverflowError:  # of a fraction
        return math.inf if value > 0 else -math.inf


def check_rows(estimator, X, reset, **options):
    """Return X, checked by scikit-learn's ``validate_data`` with these options and to be numbers.

    X is neither copied nor cast, unless its numbers are longer than float64 or several entries of
    a sparse one are to be added up. Errors name the columns of a DataFrame, or the place of what
    is no number.
    """
    _check_feature_names(estimator, X, reset=reset)  # not an error about values
    with naming_faults(X):
        checked = validate_data(estimator, X, reset=reset, dtype="numeric", **options)
        if checked.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(estimator).__name__} needs numbers, but X has dtype {checked.dtype}. "
                "Convert X to floats that are comparable, for instance times to days since a date."
            )
    if sparse.issparse(checked) and not checked.has_canonical_format:
        checked = checked.copy()
        checked.sum_duplicates()
    if checked.dtype.itemsize > 8:
        options = {"input_name": "X", "estimator": estimator, "accept_sparse": True}
        with np.errstate(all="ignore"):  # infinity is refused
            checked = check_array(checked, dtype=np.float64, **options)
    return checked


def check_sample_weight(sample_weight, X):
    """Return the weights of the rows of X as float64, checked; without any, ones."""
    if sample_weight is None:
        return np.ones(X.shape[0])
    try:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"sample_weight should be a finite number for each of the {X.shape[0]} rows of X "
            f"({str(error).splitlines()[0]})."
        ) from error
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in sample_weight, the least {weight.min():.6g}. A weight says "
            "how often a row counts: pass numbers >= 0."
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(weight.sum()):  # of finite weights: shares of the largest
            weight = weight / weight.max()
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def check_enough(n_samples, n_clusters):
    """Check that there are as many rows as clusters."""
    if n_samples < n_clusters:
        raise ValueError(
            f"n_samples={n_samples} should be >= n_clusters={n_clusters}: a cluster needs a row. "
            "Give more rows or ask for fewer clusters."
        )


def check_cluster_numbers(labels, n_rows):
    """Check that there is the number of a cluster for each row, or -1; return them, (N,)."""
    labels = np.asarray(labels)
    if labels.shape != (n_rows,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels has shape {labels.shape} and dtype {labels.dtype}, but X has {n_rows} rows. "
            "Give the number of a cluster for each row, -1 for noise."
        )
    return labels


def check_magnitude(values):
    """Check that values to learn from, dense or sparse, are at most ``LARGEST`` in magnitude."""
    values = values.data if sparse.issparse(values) else values
    largest = max(float(np.max(values, initial=0)), -float(np.min(values, initial=0)))
    if largest > LARGEST:
        raise ValueError(
            f"X has a value of magnitude {largest:.3g}, which is too large: its square is to stay "
            f"in double precision. Expected are magnitudes of at most {LARGEST:.0e}. Scale X, or "
            "correct or leave out such rows."
        )


def check_answers(answers, X, source=""):
    """Return the answers (N, ...) to rows X (N, D); ValueError names a row whose is not finite.

    ``source`` says whose answers they are.
    """
    ends = np.min(answers, initial=0), np.max(answers, initial=0)
    if not np.isfinite(ends).all():
        row, reason = int(np.isfinite(answers.reshape(len(answers), -1)).all(1).argmin()), ""
        if hasattr(X, "dtype"):  # not of a DataFrame, whose columns may be of any type
            values = X[[row]].toarray()[0] if sparse.issparse(X) else np.asarray(X[row])
            column = int(np.abs(values).argmax())
            reason = f", whose largest value is {values[column]:.6g} in column {column}"
        raise ValueError(
            f"There is no finite answer{source} to row {row}{reason}. Expected are values like "
            "those of the rows fitted. Correct or leave out this row."
        )
    return answers


@contextmanager
def naming_faults(X, first_row=0):
    """Within the block an error about X, rows from ``first_row`` on, says what in X is wrong."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        is_frame = hasattr(X, "columns")
        fault = _describe_columns(X) if is_frame else _describe_values(X, first_row)
        if not fault:
            raise
        kind = TypeError if isinstance(error, TypeError) and not is_frame else ValueError
        raise kind(f"{fault} ({str(error).splitlines()[0].rstrip(':')})") from error


def is_missing(value):
    """Return whether a value is None, nan, NaT or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _describe_columns(X):
    """Return which columns of a DataFrame are missing values or no numbers, and what to do."""
    empty, other = [], []
    for i, name in enumerate(X.columns):
        values = np.asarray(_safe_indexing(X, i, axis=1))
        if values.dtype.kind in "biuf":
            known = values[~np.isnan(values)]
        else:
            known = [value for value in values.astype(object) if not is_missing(value)]
            is_time = values.dtype.kind in "mM"
            if is_time or not all(isinstance(value, Real) for value in known):
                other.append(name)
        if len(known) < len(values):
            empty.append(name)
    faults = []
    if other:
        faults.append(
            f"Columns {_join(other)} are not numbers: encode categories by "
            "sklearn.preprocessing.OneHotEncoder, and times and texts by numbers."
        )
    if empty:
        faults.append(
            f"Columns {_join(empty)} have missing values: fill them in by "
            "sklearn.impute.SimpleImputer, or leave the columns or the rows out."
        )
    return " ".join(faults)


def _describe_values(X, first_row):
    """Return what makes X, which is no DataFrame, no table of numbers, and what to do."""
    if sparse.issparse(X):
        return ""
    if hasattr(X, "detach"):
        return "X is a tensor of torch: pass X.detach().cpu().numpy()."
    try:
        values = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)
    except ValueError:  # arrays of different shapes
        return ""
    if values.ndim > 2:
        return (
            f"X has shape {values.shape}, but a row is a list of numbers: of images, series or "
            "sets pass X.reshape(len(X), -1)."
        )
    if not values.ndim:
        return (
            f"X is of type {type(X).__name__}: pass an array, a DataFrame, a sparse matrix or a "
            "list of rows, of shape (n_samples, n_features)."
        )
    return _describe_list(values) if values.ndim == 1 else _describe_value(values, first_row)


def _describe_list(values):
    """Return what makes an array (N,) no rows, and what to do, where it is no list of numbers."""
    if values.size and all(isinstance(value, str) for value in values):
        return (
            "X holds texts: turn them into rows of numbers, for instance by an embedding model or "
            "by sklearn.feature_extraction.text.TfidfVectorizer."
        )
    lengths = {len(row) for row in values if isinstance(row, list | tuple | np.ndarray)}
    if len(lengths) > 1:
        return (
            f"Rows of X have from {min(lengths)} to {max(lengths)} values: give every row the "
            "same features."
        )
    return ""


def _describe_value(values, first_row):
    """Return where the first value of an array (N, D) is that is no finite number, if any is."""
    if values.dtype.kind == "f":
        sound = np.isfinite(values)
    elif values.dtype.kind in "OSU":
        sound = np.array([[_is_number(value) for value in row] for row in values], dtype=bool)
    else:
        return ""
    if sound.all():
        return ""
    row, column = np.unravel_index(sound.argmin(), sound.shape)
    value = values[row, column]
    value = value.item() if isinstance(value, np.generic) else value
    if np.ndim(value) == 0 and is_missing(value):
        remedy = "fill missing values in by sklearn.impute.SimpleImputer, or leave the row out"
    elif isinstance(value, Real):
        remedy = "correct the value, or leave the row out"
    else:
        remedy = "encode categories by sklearn.preprocessing.OneHotEncoder, texts by numbers"
    found = value if isinstance(value, Real) else repr(value)
    return f"Row {first_row + row} of X holds {found!s:.60} in column {column}: {remedy}."


def _is_number(value):
    return isinstance(value, Real | np.bool_) and bool(np.isfinite(float(value)))


def _join(names):
    """Return the first few names in a text."""
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
