"""What all estimators check alike: numbers among their parameters, and that rows are numbers."""

import math
from numbers import Integral, Real
from typing import Literal

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.utils import _safe_indexing, check_array, column_or_1d
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import _check_feature_names, validate_data

from ._responsibilities import check_labels

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
            name: _to_python(value, "boolean" in constraints[name])
            for name, value in values.items()
        }

    def _validate_params(self):
        """Validate types and ranges of the parameters."""
        constraints, name = self._parameter_constraints, type(self).__name__
        validate_parameter_constraints(constraints, self._read_numbers(), name)


class LabelledClusterMixin(ClusterMixin):
    """Mixin of clusterers that take ``y`` for known clusters, if ``use_labels`` says so."""

    def fit_predict(self, X, y=None, **kwargs):
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

    X is neither copied nor cast, unless its numbers are longer than float64. Errors about a
    DataFrame name the columns.
    """
    _check_feature_names(estimator, X, reset=reset)  # not an error about values
    try:
        checked = validate_data(estimator, X, reset=reset, dtype="numeric", **options)
        if checked.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(estimator).__name__} needs numbers, but X has dtype {checked.dtype}. "
                "Convert X to floats that are comparable, for instance times to days since a date."
            )
    except (TypeError, ValueError) as error:
        fault = _describe_columns(X)
        if not fault:
            raise
        raise ValueError(f"{fault} ({str(error).splitlines()[0]})") from error
    if checked.dtype.itemsize > 8:
        options = {"input_name": "X", "estimator": estimator, "accept_sparse": True}
        with np.errstate(all="ignore"):  # infinity is refused
            checked = check_array(checked, dtype=np.float64, **options)
    return checked


def is_missing(value):
    """Return whether a value is None, nan, NaT or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _describe_columns(X):
    """Return which columns of a DataFrame are missing values or no numbers, and what to do."""
    if not hasattr(X, "dtypes"):
        return ""
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


def _join(names):
    """Return the first few names in a text."""
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
