"""Tables with categories, as numbers and one-hot columns, without torch.

N samples, D columns of the table, E encoded columns.
"""

import importlib

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import validate_data

from ._checks import check_rows, refuse_empty
from ._labels import is_missing

#: Constraint on the parameter ``categorical_features``.
CATEGORICAL = ["array-like", StrOptions({"from_dtype"}), None]
#: Maximum number of categories in a column, as in HistGradientBoostingClassifier.
MAX_CATEGORIES = 255
#: Libraries whose tables are made again.
LIBRARIES = "pandas", "polars"


class TableEncoder(BaseEstimator):
    """Numbers as they are, then one-hot columns, nan for missing and unseen categories."""

    def __init__(self, categorical_features="from_dtype"):
        self.categorical_features = categorical_features

    def fit(self, X):
        """Find the categories of a table X (N, D)."""
        self.names_ = list(getattr(X, "columns", range(X.shape[1])))
        self.library_ = type(X).__module__.split(".")[0]
        self.categorical_ = sorted(set(self._find_columns(X)))
        self.numeric_ = [i for i in range(X.shape[1]) if i not in self.categorical_]
        values = self._read_categories(X)
        levels = list(map(self._list_levels, self.categorical_, values.T))
        empty = [
            i for i, own in zip(self.categorical_, levels, strict=True) if not len(own)
        ]
        refuse_empty(empty, self.names_)
        options = {"handle_unknown": "ignore", "sparse_output": False}
        self.encoder_ = OneHotEncoder(categories=levels, **options)
        if levels:
            self.encoder_.fit(values)
        ends = np.cumsum([len(self.numeric_), *map(len, levels)]).tolist()
        self.groups_ = [list(range(*ends[i : i + 2])) for i in range(len(levels))]
        self.n_encoded_ = ends[-1]
        return self

    def _find_columns(self, X):
        """Return the indices of the categorical columns."""
        if not isinstance(self.categorical_features, str):
            try:
                return _get_column_indices(
                    X, np.asarray(self.categorical_features).tolist()
                )
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"categorical_features are no columns of X: {error}"
                ) from error
        return [
            i for i, kind in enumerate(getattr(X, "dtypes", ())) if not _is_number(kind)
        ]

    def _read_categories(self, X):
        """Return the values of the categorical columns, None where they are missing."""
        values = np.empty((X.shape[0], len(self.categorical_)), dtype=object)
        for place, i in enumerate(self.categorical_):
            column = np.asarray(_safe_indexing(X, i, axis=1), dtype=object).tolist()
            values[:, place] = [
                None if is_missing(value) else value for value in column
            ]
        return values

    def _list_levels(self, i, values):
        """Return the categories of column i, in order."""
        levels = sorted(
            set(values.tolist()) - {None}, key=lambda own: (type(own).__name__, own)
        )
        if len(levels) > MAX_CATEGORIES:
            raise ValueError(
                f"Column {self.names_[i]} has {len(levels)} categories, but at most "
                f"{MAX_CATEGORIES} are allowed. Leave it out, or join categories."
            )
        return np.array(levels, dtype=object)

    def transform(self, X):
        """Return X (N, D) as numbers and one-hot columns (N, E)."""
        parts = []
        if self.numeric_:
            numbers = _safe_indexing(X, self.numeric_, axis=1)
            options = {
                "dtype": np.float64,
                "ensure_all_finite": "allow-nan",
                "input_name": "X",
            }
            try:
                parts.append(check_array(numbers, **options))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Columns that categorical_features leaves out must be numbers: {error}"
                ) from error
        if self.categorical_:
            one_hot = self.encoder_.transform(self._read_categories(X))
            for group in self.groups_:
                own = one_hot[:, np.array(group, dtype=int) - len(self.numeric_)]
                parts.append(np.where(own.any(1, keepdims=True), own, np.nan))
        return np.hstack(parts)

    def inverse_transform(self, X):
        """Return encoded samples (N, E) as a table (N, D) with the most probable categories."""
        n_numbers, table = (
            len(self.numeric_),
            np.empty((len(X), len(self.names_)), dtype=object),
        )
        table[:, self.numeric_] = X[:, :n_numbers]
        if self.categorical_:
            table[:, self.categorical_] = self.encoder_.inverse_transform(
                X[:, n_numbers:]
            )
        columns = [np.array(column.tolist()) for column in table.T]
        if self.library_ in LIBRARIES:
            library = importlib.import_module(self.library_)
            return library.DataFrame(dict(zip(self.names_, columns, strict=True)))
        is_number = all(column.dtype.kind in "iuf" for column in columns)
        return table.astype(np.float64) if is_number else table


def _is_number(dtype):
    """Return whether a column of a DataFrame of pandas or polars has numbers."""
    return dtype.kind in "iuf" if hasattr(dtype, "kind") else dtype.is_numeric()


def read_table(estimator, X, reset, **options):
    """Return X, checked as by ``check_rows``; with categories, as an encoded array (N, E)."""
    if reset:
        vars(estimator).pop("_table", None)
    given = getattr(estimator, "categorical_features", None)
    if "_table" not in vars(estimator) and (given is None or not reset):
        return check_rows(estimator, X, reset=reset, **options)
    if sparse.issparse(X):
        raise TypeError("categorical_features needs dense X, got a sparse matrix.")
    X = X if hasattr(X, "shape") else np.array(X, dtype=object)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if reset:
        estimator._table = TableEncoder(given).fit(X)
    table = estimator._table
    encoded = table.transform(X)
    if reset:
        is_empty = np.isnan(encoded[:, : len(table.numeric_)]).all(0)
        refuse_empty(
            np.array(table.numeric_, dtype=int)[is_empty].tolist(), table.names_
        )
    least = options.get("ensure_min_samples", 1)
    return check_array(encoded, ensure_all_finite="allow-nan", ensure_min_samples=least)


def list_groups(estimator):
    """Return the one-hot columns of each category of the fit."""
    return estimator._table.groups_ if hasattr(estimator, "_table") else []


def count_inputs(estimator):
    """Return the number of features that the model of a fitted estimator takes."""
    table = getattr(estimator, "_table", None)
    return estimator.n_features_in_ if table is None else table.n_encoded_


def restore_table(estimator, X):
    """Return samples of a model (N, E) in the columns of the table of the fit."""
    return estimator._table.inverse_transform(X) if hasattr(estimator, "_table") else X
