"""Categories as one-hot columns. N samples, D columns of a table, E encoded columns."""

from importlib import import_module
from itertools import pairwise
from numbers import Real
from types import NoneType

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import StrOptions

from .checks import refuse_empty, warn_user
from .labels import is_missing

#: Constraint on the parameter ``categorical_features``.
CATEGORICAL = ["array-like", StrOptions({"from_dtype"}), None]
#: Maximum number of categories in a column, as in HistGradientBoostingClassifier.
MAX_CATEGORIES = 255
#: Number of different numbers as texts above which they look like quantities.
MANY_NUMBERS = 12


class TableEncoder(BaseEstimator):
    """Numbers as they are, then one-hot columns, nan for missing and unseen categories."""

    def __init__(self, categorical_features):
        self.categorical_features = categorical_features

    def fit(self, X):
        """Find the categories of a table X (N, D)."""
        n_columns = X.shape[1]
        self.names_ = list(getattr(X, "columns", range(n_columns)))
        self.is_frame_ = hasattr(X, "dtypes")
        self.categorical_ = sorted(set(self._find_columns(X)))
        self.numeric_ = [i for i in range(n_columns) if i not in self.categorical_]

        values = self._read_categories(X)
        names = [self.names_[i] for i in self.categorical_]
        columns = zip(names, values.T, strict=True)
        levels = [_find_levels(name, column) for name, column in columns]
        sizes = list(map(len, levels))
        empty = np.equal(sizes, 0).nonzero()[0]
        refuse_empty([self.categorical_[k] for k in empty], self.names_)
        for i, size in zip(self.categorical_, sizes, strict=True):
            if size > MAX_CATEGORIES:
                raise ValueError(
                    f"Column {self.names_[i]} has {size} categories, but at most "
                    f"{MAX_CATEGORIES} are allowed. Leave it out, or join categories."
                )

        self.encoder_ = OneHotEncoder(
            categories=levels,
            handle_unknown="ignore",
            sparse_output=False,
        )
        if levels:
            self.encoder_.fit(values)

        ends = np.cumsum([len(self.numeric_), *sizes]).tolist()
        self.groups_ = [list(range(*pair)) for pair in pairwise(ends)]
        self.n_encoded_ = ends[-1]
        return self

    def list_names(self, names):
        """Return the names of the encoded columns for the ``names`` (D,) of the columns."""
        categories = [str(names[i]) for i in self.categorical_]
        numbers = [names[i] for i in self.numeric_]
        return [*numbers, *self.encoder_.get_feature_names_out(categories)]

    def _find_columns(self, X):
        """Return the indices of the categorical columns."""
        columns = np.asarray(self.categorical_features).tolist()
        try:
            return _get_column_indices(X, columns)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"categorical_features are no columns of X: {error}"
            ) from error

    def _read_categories(self, X):
        """Return the values of the categorical columns, None where they are missing."""
        values = np.empty((X.shape[0], len(self.categorical_)), dtype=object)
        for place, i in enumerate(self.categorical_):
            column = np.array(_safe_indexing(X, i, axis=1), dtype=object)
            column[[is_missing(value) for value in column.tolist()]] = None
            values[:, place] = column
        return values

    def _read_numbers(self, X):
        """Return the values of the numeric columns, nan where they are missing."""
        try:
            return check_array(
                _safe_indexing(X, self.numeric_, axis=1),
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name="X",
            )
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Columns that categorical_features leaves out must be numbers: {error}"
            ) from error

    def transform(self, X):
        """Return X (N, D) as numbers and one-hot columns (N, E)."""
        parts = []
        if self.numeric_:
            parts.append(self._read_numbers(X))
        if self.categorical_:
            parts.append(self.encoder_.transform(self._read_categories(X)))

        encoded = np.asfortranarray(np.hstack(parts))
        for group in self.groups_:
            is_unknown = ~encoded[:, group].any(1)
            encoded[np.ix_(is_unknown, group)] = np.nan
        return encoded

    def inverse_transform(self, X):
        """Return encoded samples (N, E) as a table (N, D) with the most probable categories."""
        n_numbers = len(self.numeric_)
        table = np.empty((len(X), len(self.names_)), dtype=object)
        table[:, self.numeric_] = X[:, :n_numbers]
        if self.categorical_:
            decoded = self.encoder_.inverse_transform(X[:, n_numbers:])
            table[:, self.categorical_] = decoded

        columns = [np.array(column.tolist()) for column in table.T]
        if self.is_frame_:
            pandas = import_module("pandas")
            return pandas.DataFrame(dict(zip(self.names_, columns, strict=True)))
        if all(column.dtype.kind in "iuf" for column in columns):
            return table.astype(np.float64)
        return table


def _find_levels(name, values):
    """Return the categories of a column, sorted."""
    for value in values:
        if not isinstance(value, str | Real | np.bool_ | NoneType):
            raise ValueError(
                f"Categories are strings, numbers or booleans, but column {name!r} has "
                f"{value!r}. Convert the column, for instance by .astype(str)."
            )
    known = set(values.tolist()) - {None}
    texts = [value for value in known if isinstance(value, str)]
    if texts and len(texts) < len(known):
        text = min(texts, key=_is_number)
        raise ValueError(
            f"Column {name!r} has numbers and texts, such as {text!r}. Convert it to numbers by "
            "pandas.to_numeric(column, errors='coerce'), or to categories by .astype(str)."
        )
    n_numbers = sum(map(_is_number, texts))
    if n_numbers > MANY_NUMBERS and n_numbers > len(texts) / 2:
        warn_user(
            f"Column {name!r} has {n_numbers} different numbers as texts, which are taken as "
            "categories. If they are quantities, convert them by pandas.to_numeric(column, "
            "errors='coerce').",
            UserWarning,
        )
    return np.array(sorted(known), dtype=object)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def find_categories(X):
    """Return the indices of the columns of a DataFrame with categories, strings or booleans."""
    dtypes = enumerate(X.dtypes)
    return [i for i, dtype in dtypes if _is_category(dtype, X, i)]


def _is_category(dtype, X, i):
    kind = getattr(dtype, "kind", None)
    if kind != "O" or not isinstance(dtype, np.dtype):
        return kind in ("O", "U", "b")
    # Python objects may all be numbers.
    try:
        _safe_indexing(X, i, axis=1).astype(float)
    except (TypeError, ValueError):
        return True
    return False


def check_one_hot(columns, group, start, weight):
    """Return the single nonzero value of one-hot columns, checked; 0 if it is not known yet.

    The samples are numbered from ``start`` and may have zeros alone.
    """
    rows = columns.toarray() if sparse.issparse(columns) else columns
    rows = np.nan_to_num(rows)
    weight = weight or rows.max()
    is_other = np.isin(rows, (0, weight), invert=True).any(1)
    wrong = is_other | (np.count_nonzero(rows, axis=1) > 1)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"The categorical columns {group} must have a single 1, or zeros alone, "
            f"but sample {start + i} has {rows[i].tolist()}. Encode the category by "
            "OneHotEncoder and do not standardize it, or give these columns as "
            "'gaussian'."
        )
    return weight
