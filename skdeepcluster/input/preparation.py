"""The preparation of X: from samples as users have them to numbers that can be compared.

A fit reads X (checks, categories), scales it, and fills gaps. N samples, D columns of the table
or features, E encoded columns.
"""

from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, gen_batches
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import check_is_fitted, validate_data

from .checks import (
    DTYPES,
    check_magnitude,
    check_sample_weight,
    misses_values,
    name_column,
    refuse_empty,
    refuse_sparse,
)
from .imputation import Imputer, fit_imputer
from .tables import TableEncoder, check_one_hot, find_categories

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
#: Minimum number of features that are taken for principal components.
MIN_COMPONENTS = 5
#: Maximum correlation of principal components, and maximum of their means in standard deviations.
MAX_CORRELATION = 1e-3


class Preparation(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn samples into numbers that can be compared, as clusterers of this package do.

    Categories become one-hot columns, features of incomparable scales are standardized, and gaps
    are filled by means over the nearest samples.

    Parameters
    ----------
    categorical_features : array-like, "from_dtype" or None, default="from_dtype"
        Columns of categories: indices, names or a mask. "from_dtype": the columns of a DataFrame
        that are categories, strings or booleans. Categories that ``fit`` did not see are missing.
    standardize : "auto" or bool, default="auto"
        Whether features are divided by their own standard deviations. "auto": False for
        comparable scales, probabilities and principal components; True for the numbers of a table
        with categories.
    n_neighbors : int, default=15
        Number of neighbors whose mean fills a gap.
    accept_sparse : bool, default=False
        Whether X may be a sparse matrix.
    allow_nan : bool, default=True
        Whether dense X may have gaps.
    takes_categories : bool, default=True
        Whether error messages name ``categorical_features``.
    name : str, default="Preparation"
        Class that error messages name.

    Attributes
    ----------
    factors_ : ndarray of shape (n_encoded,) or None
        What the encoded columns are multiplied by.
    standardizes_ : bool
        Whether features are divided by their own standard deviations.
    has_gaps_ : bool
        Whether X of ``fit`` misses values.
    groups_ : list of list of int
        One-hot columns of each category.
    n_encoded_ : int
        Number of encoded columns.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has names that are all strings.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.input import Preparation
    >>> X = np.array([[0.0, 500.0], [1.0, 100.0], [2.0, 900.0]])
    >>> Preparation(standardize=True).fit_transform(X).std(0).round(3).tolist()
    [1.0, 1.0]
    """

    # Until a fit finds others.
    table_ = None
    imputer_ = None
    factors_ = None
    standardizes_ = False

    def __init__(
        self,
        categorical_features="from_dtype",
        *,
        standardize="auto",
        n_neighbors=15,
        accept_sparse=False,
        allow_nan=True,
        takes_categories=True,
        name="Preparation",
    ) -> None:
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.n_neighbors = n_neighbors
        self.accept_sparse = accept_sparse
        self.allow_nan = allow_nan
        self.takes_categories = takes_categories
        self.name = name

    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Learn categories, scales and donors of missing values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The fitted preparation.
        """
        self.fit_transform(X, sample_weight=sample_weight)
        return self

    def fit_transform(self, X, y=None, sample_weight=None) -> Any:
        """Fit to X and return it, prepared.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_encoded)
            Prepared samples.
        """
        X = _to_floats(self.fit_read(X))
        weights = sample_weight
        if weights is not None:
            weights = check_sample_weight(weights, X)
        self.fit_scale(X, self.standardize, weights)
        X = self.scale(X)
        if self.has_gaps_:
            imputer = fit_imputer(X, self.n_neighbors, weights)
            self.imputer_ = imputer._asdict()
            X = imputer.fill(X)
        return X

    def transform(self, X, donors=None) -> Any:
        """Prepare new samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples with the columns of ``fit``.
        donors : ndarray of shape (n_donors, n_encoded), default=None
            Prepared samples that fill gaps if X of ``fit`` had none.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_encoded)
            Prepared samples.
        """
        X = self.scale(_to_floats(self.read(X)))
        if not misses_values(X):
            return X
        if self.imputer_ is not None:
            return Imputer(**self.imputer_).fill(X)
        if donors is None:
            raise ValueError(
                "X has missing values, but X of fit had none. Give donors: prepared samples."
            )
        return fit_imputer(donors, self.n_neighbors).fill(X)

    def inverse_transform(self, X) -> Any:
        """Return prepared samples in the columns and units of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_encoded)
            Prepared samples.

        Returns
        -------
        ndarray or DataFrame of shape (n_samples, n_features)
            Samples, with the most probable categories.
        """
        check_is_fitted(self)
        X = np.asarray(X)
        return self.restore(X if self.factors_ is None else X / self.factors_)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the encoded columns: numbers, then "column_category".

        Parameters
        ----------
        input_features : Ignored
            Present for API consistency by convention.

        Returns
        -------
        ndarray of str
            Names.
        """
        check_is_fitted(self)
        numbered = [f"x{i}" for i in range(self.n_features_in_)]
        names = vars(self).get("feature_names_in_", numbered)
        if self.table_ is not None:
            names = self.table_.list_names(names)
        return np.array(names, dtype=object)

    # ---- steps

    def fit_read(self, X, min_samples=1) -> Any:
        """Return X of a fit, checked and encoded, (N, E)."""
        if not self.accept_sparse:
            refuse_sparse(X, self.name)
        columns = self.categorical_features
        if isinstance(columns, str):  # "from_dtype"
            columns = find_categories(X) if hasattr(X, "dtypes") else []
            columns = columns or None
        self.table_ = None
        self.imputer_ = None
        if columns is None:
            X = self._check_numbers(X, reset=True, min_samples=min_samples)
        else:
            X = self._check_table(X, reset=True)
            self.table_ = TableEncoder(columns).fit(X)
            X = self._encode(X, min_samples)
        self.n_encoded_ = X.shape[1]
        self.has_gaps_ = misses_values(X)
        if self.has_gaps_:
            self._refuse_empty(np.flatnonzero(np.isnan(X).all(0)).tolist())
        return X

    def read(self, X) -> Any:
        """Return new samples, checked and encoded, (N, E)."""
        check_is_fitted(self)
        if not self.accept_sparse:
            refuse_sparse(X, self.name)
        if self.table_ is None:
            return self._check_numbers(X, reset=False)
        return self._encode(self._check_table(X, reset=False))

    def fit_scale(
        self, X, standardize, sample_weight=None, columns=None, features=None
    ) -> None:
        """Find the factors of encoded samples X (N, E).

        ``columns`` are those that are standardized; None: all. ``features`` are the measures of
        X if they are known.
        """
        groups = self.groups_
        self.factors_ = None
        self.standardizes_ = False
        if not standardize and not groups:
            if features is None:
                check_magnitude(X)
            return
        if sample_weight is not None:
            check_magnitude(X)
            kept = sample_weight > 0
            X = X[kept]
            sample_weight = sample_weight[kept] / sample_weight.max()
        if features is None:
            features = measure_features(X, sample_weight=sample_weight)
        self.factors_ = find_factors(X, features, standardize, sample_weight, groups)
        if columns is not None:
            kept = np.isin(np.arange(X.shape[1]), columns)
            self.factors_ = np.where(kept, self.factors_, 1.0)
        self.standardizes_ = self.factors_ is not None and bool(standardize)

    def scale(self, X) -> Any:
        """Return encoded samples (N, E) times the factors, in double precision."""
        if self.factors_ is None:
            return X
        with np.errstate(over="ignore"):  # infinite values of new samples are clipped
            if sparse.issparse(X):
                return X.multiply(self.factors_).tocsr()
            return X * self.factors_

    def scale_augment(self, augment) -> Any:
        """Return the augmentation, or None, of scaled samples."""
        if augment is None or self.factors_ is None:
            return augment
        return Scaled(augment, self.factors_)

    def restore(self, X) -> Any:
        """Return encoded samples (N, E) in the columns of the table of the fit."""
        return X if self.table_ is None else self.table_.inverse_transform(X)

    @property
    def groups_(self) -> list[list[int]]:
        """One-hot columns of each category."""
        return [] if self.table_ is None else self.table_.groups_

    @property
    def number_columns(self) -> list[int]:
        """Columns of X that are numbers, the first encoded ones."""
        if self.table_ is None:
            return list(range(self.n_features_in_))
        return self.table_.numeric_

    def input_attributes(self) -> dict[str, Any]:
        """Return what a fitted estimator says of its input, by name."""
        state = vars(self)
        names = "n_features_in_", "feature_names_in_"
        attributes = {name: state[name] for name in names if name in state}
        return attributes | {"preparation_": self}

    # ---- checks

    def validate(self, X, reset, **options) -> Any:
        """Return X, validated by scikit-learn, whose messages name the estimator."""
        named = type(self.name, (BaseEstimator,), {})()
        state = vars(self)
        for name in ("n_features_in_", "feature_names_in_"):
            if name in state and not reset:
                setattr(named, name, state[name])
        X = validate_data(named, X, reset=reset, **options)
        if reset:
            state.pop("feature_names_in_", None)
            state.update(vars(named))
        return X

    def _check_numbers(self, X, reset, min_samples=1):
        """Return samples, checked; duplicate entries of sparse arrays are summed."""
        n_dimensions = getattr(X, "ndim", 2)
        if n_dimensions > 2:
            raise ValueError(
                f"Found array with dim {n_dimensions}, but expected are samples of shape "
                "(n_samples, n_features). Flatten images or series by X.reshape(len(X), -1)."
            )
        if isinstance(X, np.ma.MaskedArray):
            X = X.astype(float).filled(np.nan)
        allows_nan = self.allow_nan and not sparse.issparse(X)
        remedy = "Encode categories by OneHotEncoder"
        if self.takes_categories:
            remedy = "Name columns of categories by categorical_features"
        with name_column(X, remedy):
            X = self.validate(
                X,
                reset,
                dtype=DTYPES,
                accept_sparse="csr" if self.accept_sparse else False,
                ensure_all_finite="allow-nan" if allows_nan else True,
                ensure_min_samples=min_samples,
            )
        if sparse.issparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X

    def _check_table(self, X, reset):
        """Return a table, checked to have the columns of the fit."""
        if sparse.issparse(X):
            raise TypeError("categorical_features needs dense X, got a sparse matrix.")
        if isinstance(X, list | tuple):
            X = np.array(X, dtype=object)
        self.validate(X, reset, skip_check_array=True)
        return X

    def _encode(self, X, min_samples=1):
        """Return a table as numbers and one-hot columns (N, E)."""
        return check_array(
            self.table_.transform(X),
            ensure_all_finite="allow-nan",
            ensure_min_samples=min_samples,
            estimator=self.name,
        )

    def _refuse_empty(self, columns):
        """Refuse encoded columns without values, by the names in X."""
        if self.table_ is not None:
            numeric = self.table_.numeric_
            refuse_empty([numeric[i] for i in columns], self.table_.names_)
        refuse_empty(columns, vars(self).get("feature_names_in_"))


def _to_floats(X):
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)


class Scaled:
    """An augmentation of samples that are multiplied by ``factors`` (D,)."""

    def __init__(self, augment, factors):
        self.augment = augment
        self.factors = factors

    def __call__(self, x):
        """Return other versions of scaled samples (N, D)."""
        return self._rescale(self.augment, x)

    def list_transforms(self, n_transforms, seed):
        """Return linear functions of scaled samples."""
        transforms = self.augment.list_transforms(n_transforms, seed)
        return [partial(self._rescale, transform) for transform in transforms]

    def _rescale(self, function, x):
        factors = x.new_tensor(self.factors)
        return function(x / factors) * factors


# ---- scales


class Features(NamedTuple):
    """Mean, standard deviation (1 for a constant), minimum and maximum of each feature, (D,)."""

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def take(self, columns):
        """Return the measures of some features."""
        return Features(*(values[columns] for values in self))

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
        part_weight = None if sample_weight is None else sample_weight[part]
        smallest, largest = _find_range(rows)
        check_magnitude(np.concatenate([smallest, largest]))
        with np.errstate(over="ignore", invalid="ignore"):
            # Tiny values have variance 0.
            scaler.partial_fit(rows, sample_weight=part_weight)
        low = np.fmin(low, smallest)
        high = np.fmax(high, largest)
        for i, group in enumerate(groups):
            columns = rows[:, group]
            weights[i] = check_one_hot(columns, group, part.start, weights[i])
    return Features(scaler.mean_, scaler.scale_, low, high)


def _find_range(rows):
    """Return the minimum and maximum of each feature, (D,), among values other than nan."""
    if sparse.issparse(rows):
        return min_max_axis(rows, axis=0)
    return np.fmin.reduce(rows), np.fmax.reduce(rows)


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


def are_comparable(X, features, sample_weight=None):
    """Return whether the features of X (N, D) can keep their scales.

    They cannot if a few features dominate, unless they are principal components.
    """
    deviations = features.deviations
    if deviations.size < 2:
        return True
    median = np.quantile(deviations, 0.5, method="lower")
    if deviations.max() <= MAX_SPREAD * median:
        return True
    return _are_components(X, features, sample_weight)


def _are_components(X, features, sample_weight):
    """Return whether the features that vary are centered and uncorrelated."""
    varies = features.high > features.low
    is_centered = np.abs(features.mean) <= MAX_CORRELATION * features.scale
    if varies.sum() < MIN_COMPONENTS or not is_centered[varies].all():
        return False
    correlation = _correlate(X, features, sample_weight)
    np.fill_diagonal(correlation, 0)
    return bool(np.abs(correlation).max() <= MAX_CORRELATION)


def find_factors(X, features, standardize="auto", sample_weight=None, groups=()):
    """Return the factors (D,) that standardize X, or None if features keep their scales.

    "auto" is the rule of networks whose likelihood is "auto". With categories, it standardizes the
    numbers. ``groups`` of one-hot columns have the weights of :func:`weigh_categories`, or 1 if
    numbers keep their scales.
    """
    if not standardize and not groups:
        return None
    if standardize == "auto" and not groups:
        is_uniform = are_comparable(X, features, sample_weight)
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
    n_others = n_numbers + ranks.sum() - ranks
    freedom = n_samples - n_others - 1
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
