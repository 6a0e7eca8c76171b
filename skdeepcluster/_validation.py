"""Checks that all estimators share: parameters, samples, weights, labels and predictions."""

from contextlib import contextmanager
from numbers import Integral, Real
from typing import Literal

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import (
    _check_feature_names,
    _check_sample_weight,
    validate_data,
)

from ._responsibilities import check_labels
from ._typing import ClusterMixin, Labels

#: Maximum magnitude of values in fits: sums of their squares stay in double precision.
LARGEST = 1e100
#: Minimum of the largest magnitude: squares of smaller values lose digits in double precision.
SMALLEST = 1e-150
#: Type of parameters that a fit may choose.
Auto = Literal["auto"]


class NumericParameters:
    """Mixin of estimators that read parameters of any numeric type as numbers of Python.

    Small integers of numpy overflow, and torch refuses some types.
    """

    def _read_numbers(self):
        """Return the parameters with a bool, int or float for every number."""
        constraints = self._parameter_constraints
        return {
            name: _to_python(value, "boolean" in constraints.get(name, ()))
            for name, value in self.get_params(deep=False).items()
        }

    def _validate_params(self):
        """Validate types and ranges of the parameters."""
        constraints, name = self._parameter_constraints, type(self).__name__
        validate_parameter_constraints(constraints, self._read_numbers(), name)


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
            Further arguments of ``fit``, for instance ``sample_weight``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            ``labels_``.
        """
        return self.fit(X, y, **kwargs).labels_

    def _read_labels(self, y, n_rows, n_clusters):
        """Return the known clusters (N,), -1 for none; None if no cluster is known."""
        if not self.use_labels or y is None:
            return None
        y = np.asarray(y)
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        labels = check_labels("y", y, n_rows, n_clusters)
        return labels if (labels >= 0).any() else None


def _to_python(value, is_switch):
    """Return a number as an int or float, or as a bool for a switch; other values unchanged."""
    if isinstance(value, bool | np.bool_):
        return bool(value) if is_switch else int(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def check_rows(estimator, X, reset, **options):
    """Return X as ``validate_data`` does, checked to be numeric.

    X is neither copied nor cast, except for numbers longer than float64 and for sparse arrays with
    duplicate entries. Errors name the columns of a DataFrame, or the position of the value.
    """
    _check_feature_names(estimator, X, reset=reset)  # before errors about values
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
        with np.errstate(all="ignore"):  # check_array refuses infinity
            checked = check_array(checked, dtype=np.float64, accept_sparse=True, input_name="X")
    return checked


def check_sample_weight(sample_weight, X):
    """Return the weights (N,) of the samples as float64, checked; ones if None is given."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def check_enough(n_samples, n_clusters):
    """Check that there are at least as many samples as clusters."""
    if n_samples < n_clusters:
        raise ValueError(
            f"n_samples={n_samples} should be >= n_clusters={n_clusters}. Pass more samples or "
            "ask for fewer clusters."
        )


def check_cluster_numbers(labels, n_rows):
    """Return cluster labels (N,), checked; -1 is noise."""
    return check_labels("labels", labels, n_rows)


def check_magnitude(values):
    """Check that the magnitude of values to fit, dense or sparse, is at most ``LARGEST``."""
    values = values.data if sparse.issparse(values) else values
    largest = max(float(np.max(values, initial=0)), -float(np.min(values, initial=0)))
    if largest > LARGEST:
        raise ValueError(
            f"X has a value of magnitude {largest:.3g}, which is too large: its square exceeds "
            f"double precision. Expected are magnitudes of at most {LARGEST:.0e}. Scale X, or "
            "correct or leave out such samples."
        )


def check_answers(answers, X, source=""):
    """Return predictions (N, ...) for X, checked to be finite; ``source`` says who predicts."""
    is_finite = np.isfinite(answers).reshape(len(answers), -1).all(1)
    if not is_finite.all():
        sample, reason = int(is_finite.argmin()), ""
        if hasattr(X, "dtype"):  # columns of a DataFrame may be of any type
            values = X[[sample]].toarray()[0] if sparse.issparse(X) else np.asarray(X[sample])
            column = int(np.abs(values).argmax())
            reason = f", whose largest value is {values[column]:.6g} in column {column}"
        raise ValueError(
            f"There is no finite prediction{source} for sample {sample}{reason}. Expected are "
            "values like those of the fit. Correct or leave out this sample."
        )
    return answers


def is_missing(value):
    """Return whether a value is None, nan, NaT or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


@contextmanager
def naming_faults(X, first_row=0):
    """Within the block errors about X, the samples from ``first_row`` on, name what is wrong."""
    try:
        yield
    except (TypeError, ValueError) as error:
        fault = _find_fault(X, first_row)
        if not fault:
            raise
        kind = (
            TypeError if isinstance(error, TypeError) and not hasattr(X, "columns") else ValueError
        )
        raise kind(f"{fault} ({str(error).splitlines()[0].rstrip(':')})") from error


def _find_fault(X, first_row):
    """Return which columns of X hold values that are not finite numbers, and what to do."""
    values = np.asarray(X) if hasattr(X, "columns") or isinstance(X, list | np.ndarray) else X
    if np.ndim(values) > 2:
        return f"X has shape {values.shape}, not (n_samples, n_features): X.reshape(len(X), -1)."
    if np.ndim(values) < 2 or values.dtype.kind not in "fOSU" or sparse.issparse(values):
        return ""
    is_number = np.isfinite if values.dtype.kind == "f" else np.vectorize(_is_number, [bool])
    faults = np.argwhere(~is_number(values))
    if not len(faults):
        return ""
    names = [getattr(X, "columns", range(values.shape[1]))[i] for i in np.unique(faults[:, 1])]
    found = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return (
        f"Columns {found} of X hold values that are not finite numbers, the first in sample "
        f"{first_row + faults[0, 0]}: {values[tuple(faults[0])]!s:.60}. Encode categories "
        "(sklearn.preprocessing.OneHotEncoder) and texts, impute missing values "
        "(sklearn.impute.SimpleImputer), or leave out the samples."
    )


def _is_number(value):
    return isinstance(value, Real) and bool(np.isfinite(float(value)))
