"""Tables as numbers, without torch: categories as one-hot columns, then scales of features.

N samples, D columns of the table or features, E encoded columns.
"""

from importlib import import_module
from itertools import pairwise
from numbers import Real
from types import NoneType
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import _safe_indexing, check_array, gen_batches
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import validate_data

from .checks import check_magnitude, check_rows, refuse_empty, warn_user
from .labels import is_missing

#: Constraint on the parameter ``categorical_features``.
CATEGORICAL = ["array-like", StrOptions({"from_dtype"}), None]
#: Maximum number of categories in a column, as in HistGradientBoostingClassifier.
MAX_CATEGORIES = 255
#: Number of different numbers as texts above which they look like quantities.
MANY_NUMBERS = 12
#: Maximum distance of probabilities from [0, 1], in eps of their type, as after MinMaxScaler.
RANGE_ERROR = 4
#: Minimum variance of values that "auto" takes for probabilities, relative to zeros and ones of
#: the same means.
MIN_VARIATION = 0.01
#: Number of samples in a block when X is measured.
CHUNK = 4096
#: Scales are comparable if the largest standard deviation is at most this many times the median.
MAX_SPREAD = 10.0
#: Weight of one-hot columns next to standardized numbers, if the other columns explain at least
#: the share ``EXPLAINED`` of them. Nearest samples agree in heavier categories, and the graph
#: would fall apart into their combinations.
CATEGORY_WEIGHT = 0.375
EXPLAINED = 0.1
#: Weights are multiples of this, so that their squares are exact in any order of the columns.
WEIGHT_STEP = 1 / 64
#: Added to the variances of standardized columns, so that one-hot columns have an inverse.
VARIANCE_RIDGE = 1e-6
#: Minimum number of features whose falling standard deviations look like principal components.
MIN_COMPONENTS = 5


# ---- categories


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
        sizes = [len(own) for own in levels]
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

    def _find_columns(self, X):
        """Return the indices of the categorical columns."""
        given = np.asarray(self.categorical_features).tolist()
        try:
            return _get_column_indices(X, given)
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
    dtypes = enumerate(getattr(X, "dtypes", ()))
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


def read_table(estimator, X, reset, **options):
    """Return X, checked as by ``check_rows``; with categories, as an encoded array (N, E)."""
    given = getattr(estimator, "categorical_features", None)
    if reset:
        vars(estimator).pop("_table", None)
        if isinstance(given, str):  # "from_dtype"
            given = find_categories(X) or None
        is_encoded = given is not None
    else:
        is_encoded = hasattr(estimator, "_table")
    if not is_encoded:
        return check_rows(estimator, X, reset=reset, **options)
    if sparse.issparse(X):
        raise TypeError("categorical_features needs dense X, got a sparse matrix.")

    if not hasattr(X, "shape"):
        X = np.array(X, dtype=object)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if reset:
        estimator._table = TableEncoder(given).fit(X)

    table = estimator._table
    encoded = table.transform(X)
    if reset:
        empty = np.flatnonzero(np.isnan(encoded).all(0))
        refuse_empty([table.numeric_[i] for i in empty], table.names_)
    return check_array(encoded, ensure_all_finite="allow-nan", **options)


def list_groups(estimator):
    """Return the one-hot columns of each category of the fit."""
    if hasattr(estimator, "_table"):
        return estimator._table.groups_
    return []


def count_inputs(estimator):
    """Return the number of features that the model of a fitted estimator takes."""
    if hasattr(estimator, "_table"):
        return estimator._table.n_encoded_
    return estimator.n_features_in_


def restore_table(estimator, X):
    """Return samples of a model (N, E) in the columns of the table of the fit."""
    if hasattr(estimator, "_table"):
        return estimator._table.inverse_transform(X)
    return X


# ---- scales


class Features(NamedTuple):
    """Mean, standard deviation (1 for a constant), minimum and maximum of each feature, (D,)."""

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def deviations(self):
        """Standard deviations of the features that vary."""
        return self.scale[self.high > self.low]


def measure_features(X, groups=(), sample_weight=None):
    """Measure the features of X in one pass with float64 sums; check groups of one-hot columns."""
    scaler = StandardScaler(with_mean=not sparse.issparse(X))
    low = np.inf
    high = -np.inf
    weights = [0.0] * len(groups)
    for part in gen_batches(X.shape[0], CHUNK):
        rows = X[part]
        own = None if sample_weight is None else sample_weight[part]
        check_magnitude(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            scaler.partial_fit(rows, sample_weight=own)  # tiny values have variance 0
        smallest, largest = _find_range(rows)
        low = np.fmin(low, smallest)
        high = np.fmax(high, largest)
        for i, group in enumerate(groups):
            columns = rows[:, group]
            weights[i] = _check_one_hot(columns, group, part.start, weights[i])
    return Features(scaler.mean_, scaler.scale_, low, high)


def _find_range(rows):
    """Return the minimum and maximum of each feature, (D,), among values other than nan."""
    if sparse.issparse(rows):
        return min_max_axis(rows, axis=0)
    return np.fmin.reduce(rows), np.fmax.reduce(rows)


def _check_one_hot(columns, group, start, weight):
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


def are_probabilities(low, high, dtype):
    """Return whether values from ``low`` to ``high`` are within [0, 1] up to rounding."""
    margin = 0.0
    if np.issubdtype(dtype, np.floating):
        margin = RANGE_ERROR * np.finfo(dtype).eps
    return low >= -margin and high <= 1 + margin


def look_like_probabilities(features, dtype):
    """Return whether features in [0, 1] vary enough for probabilities, or are all constant."""
    if not are_probabilities(features.low.min(), features.high.max(), dtype):
        return False
    mean = features.mean[features.high > features.low]
    least = MIN_VARIATION * (mean * (1 - mean)).sum()
    return np.square(features.deviations).sum() >= least


def are_comparable(deviations):
    """Return whether features with these standard deviations, (D,), can keep their scales.

    They cannot if a few features dominate, unless they look like principal components, whose
    deviations fall.
    """
    if deviations.size < 2:
        return True
    largest = deviations.max()
    falls = (np.diff(deviations) <= 1e-6 * largest).all()
    if falls and deviations.size >= MIN_COMPONENTS:
        return True
    median = np.quantile(deviations, 0.5, method="lower")
    return bool(largest <= MAX_SPREAD * median)


def find_factors(X, standardize="auto", sample_weight=None, groups=()):
    """Return the factors (D,) that standardize X, or None if features keep their scales.

    "auto" is the rule of networks whose likelihood is "auto". With categories, it standardizes the
    numbers. ``groups`` of one-hot columns have the weights of :func:`weigh_categories`, or 1 if
    numbers keep their scales.
    """
    if not standardize and not groups:
        return None
    if sample_weight is not None:
        kept = sample_weight > 0
        X = X[kept]
        sample_weight = sample_weight[kept] / sample_weight.max()

    features = measure_features(X, sample_weight=sample_weight)
    if standardize == "auto" and not groups:
        is_uniform = are_comparable(features.deviations)
        if is_uniform or look_like_probabilities(features, X.dtype):
            return None
    scale = features.scale if standardize else np.ones(X.shape[1])

    # Single precision hides how sums are rounded in another order of the samples.
    mantissa, exponent = np.frexp(scale)
    rounded = mantissa.astype(np.float32).astype(np.float64)
    factors = 1 / np.ldexp(rounded, exponent)
    if groups and standardize:
        weights = weigh_categories(X, features, groups, sample_weight)
        for group, weight in zip(groups, weights, strict=True):
            factors[group] = weight
    return factors


def weigh_categories(X, features, groups, sample_weight=None):
    """Return the weights of categories next to standardized numbers.

    The weight of a category grows with the share of its variance that a linear regression on all
    other columns explains, adjusted for their number. A category that is independent of all other
    columns has the weight 0, because it makes no clusters.
    """
    n_numbers = groups[0][0]
    full = np.full(len(groups), CATEGORY_WEIGHT)
    if not (features.high > features.low)[:n_numbers].any():
        return full

    # Copies of a sample say nothing new.
    n_samples = len({hash(row.tobytes()) for row in X})
    ranks = np.array([len(group) - 1 for group in groups])
    others = n_numbers + ranks.sum() - ranks
    freedom = n_samples - others - 1
    if freedom.min() < 1:
        return full

    covariance = _correlate(X, features, sample_weight)
    np.fill_diagonal(covariance, covariance.diagonal() + VARIANCE_RIDGE)
    precision = np.linalg.inv(covariance)
    shares = np.zeros(len(groups))
    for i, group in enumerate(groups):
        block = np.ix_(group, group)
        residual = np.trace(np.linalg.inv(precision[block]))
        total = np.trace(covariance[block])
        shares[i] = 1 - residual / total * (n_samples - 1) / freedom[i]

    weights = CATEGORY_WEIGHT * np.clip(shares / EXPLAINED, 0, 1)
    return np.round(weights / WEIGHT_STEP) * WEIGHT_STEP


def _correlate(X, features, sample_weight):
    """Return the covariances (E, E) of standardized columns, with means for missing values."""
    total = np.zeros((X.shape[1], X.shape[1]))
    for part in gen_batches(X.shape[0], CHUNK):
        rows = np.nan_to_num((X[part] - features.mean) / features.scale)
        weighted = rows if sample_weight is None else rows * sample_weight[part, None]
        total += weighted.T @ rows
    return total / (X.shape[0] if sample_weight is None else sample_weight.sum())


def scale_features(X, factors):
    """Return X (N, D) times ``factors`` (D,), in double precision; X itself for None."""
    if factors is None:
        return X
    with np.errstate(over="ignore"):  # infinite values of new samples are clipped later
        if sparse.issparse(X):
            return X.multiply(factors).tocsr()
        return X * factors
