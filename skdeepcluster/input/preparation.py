"""How X becomes numbers: :func:`prepare` is the door to all that clusters or scores samples.

N samples, D columns of X, E encoded columns: numbers first, then the one-hot columns of
categories.
"""

from functools import partial
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from .blocks import find_blocks
from .cells import CellReader
from .checks import (
    DTYPES,
    check_container,
    check_magnitude,
    check_sample_weight,
    check_sparse,
    misses_values,
    name_column,
    refuse_empty,
)
from .columns import (
    ONE_HOT,
    TableEncoder,
    fill_series,
    frame_as,
    is_table,
    list_said,
    read_types,
)
from .imputation import fit_imputer
from .numbers import NumberColumns
from .parameters import forget_missing, store_parameters
from .scales import find_factors, measure_features

#: Maximum number of columns of an array whose kinds are learned.
MAX_COLUMNS = 200
#: Maximum number of columns of a kind that are named in a line.
MAX_LISTED = 5
#: Distance of the values to which points of a table are rounded, in standard deviations.
GRID = 2.0**-32
#: Number of components in which sparse samples of more than twice as many features are compared.
N_COMPONENTS = 50
#: Attributes of a fit that has found nothing yet.
NOTHING_FOUND = dict.fromkeys(
    ("table_", "numbers_", "factors_", "center_", "components_", "imputer_")
) | {"standardizes_": False}


class Prepared(NamedTuple):
    """Samples as everything in this package clusters and scores them."""

    #: Points (N, E), or distances (N, N), without gaps.
    points: Any
    #: The fitted :class:`Preparation`; None for codes of a network.
    preparation: Any = None
    #: Augmentation of the points: changes that do not matter, or None.
    augment: Any = None

    @property
    def groups(self):
        """One-hot columns of each category of a table, or None."""
        if self.preparation is None or not self.preparation.is_table:
            return None
        return self.preparation.groups_

    def change(self, augment):
        """Return the points with an augmentation of samples, or None."""
        if augment is None:
            return self
        factors = self.preparation and self.preparation.factors_
        if factors is not None:
            augment = Scaled(augment, factors)
        return self._replace(augment=augment)


def prepare(X, preparation, sample_weight=None):
    """Fit a :class:`Preparation` to X, and return the :class:`Prepared` samples."""
    encoded = preparation.fit_encode(X, sample_weight)
    preparation.fit_scale(encoded, sample_weight)
    return Prepared(preparation.fit_compare(encoded, sample_weight), preparation)


class Preparation(TransformerMixin, BaseEstimator):
    """Turn samples into numbers that can be compared, as clusterers of this package do.

    Categories become one-hot columns, amounts logarithms, and the values of codes are spread over
    the gaps between them. Features of incomparable scales are standardized, and gaps are filled
    by means over the nearest samples.

    Parameters
    ----------
    kinds : "auto", "numbers" or dict, default="auto"
        Kinds of columns. "auto": categories, texts and booleans by the types of a DataFrame, the
        others by their values. "numbers": all columns are numbers as they are. A dict says
        otherwise by name or position: "number", "amount", "code", "date", "flag", "category"
        or "out".
    standardize : "auto" or bool, default="auto"
        Whether features are divided by their own standard deviations. "auto": False for
        comparable scales, probabilities, principal components and other metrics than
        "euclidean"; True for the numbers of a table with kinds of columns.
    metric : str or callable, default="euclidean"
        How samples will be compared; with "precomputed", X has distances.
    n_neighbors : int, default=15
        Number of neighbors whose mean fills a gap.
    learns_kinds : bool, default=True
        Whether numbers may be amounts, codes and flags, if features have units of their own.
    name : str, default="Preparation"
        Class that error messages name.

    Attributes
    ----------
    kinds_ : dict of str
        Kind of each column: what a dict may say, or "constant".
    factors_ : ndarray of shape (n_encoded,) or None
        What the encoded columns are multiplied by.
    center_ : ndarray of shape (n_encoded,) or None
        What is subtracted from the encoded columns of a table before: means of the numbers.
    standardizes_ : bool
        Whether features are divided by their own standard deviations.
    components_ : Pipeline or None
        What turns sparse samples of many features, such as texts, into ``N_COMPONENTS``
        components of length one.
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

    def __init__(
        self,
        kinds="auto",
        *,
        standardize="auto",
        metric="euclidean",
        n_neighbors=15,
        learns_kinds=True,
        name="Preparation",
    ) -> None:
        store_parameters(locals())

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
        prepare(X, self, sample_weight)
        return self

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
        ndarray, CSR matrix or DataFrame of shape (n_samples, n_encoded)
            Prepared samples.
        """
        return self.read(X, donors)

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
        if self.components_ is not None:
            X = self.components_[0].inverse_transform(X)
        return self.decode(self.unscale(X))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the encoded columns: numbers, then "column_category".

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X; None: those of ``fit``, or "x0", "x1", ...

        Returns
        -------
        ndarray of str
            Names.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if self.table_ is not None:
            names = self.table_.list_names(names)
        if self.components_ is not None:
            names = [f"component{i}" for i in range(N_COMPONENTS)]
        return np.array(names, dtype=object)

    # ---- from columns to numbers

    def fit_encode(self, X, sample_weight=None, min_samples=1) -> Any:
        """Learn the kinds of columns; return X, checked and encoded, (N, E)."""
        X = check_container(X)
        reads_values = self.kinds != "numbers" and self.learns_kinds
        reads_values &= self._standardize() is not False
        said, blocks = list_said(X, self.kinds)
        self.cells_ = CellReader()
        X = self.cells_.fit_read(X, said)
        known = {}
        if self.kinds != "numbers":
            known = read_types(X) | dict.fromkeys(self.cells_.dates_, "date") | said
        self.makes_dense_ = bool(known or blocks)
        if self.makes_dense_:
            table = self._check_table(X, reset=True)
            # The values of flags tell whether they are one-hot columns.
            early = known
            if reads_values:
                early = {i: kind for i, kind in known.items() if kind != "flag"}
            learned, _ = _leave_weighted(table, sample_weight)
            self.table_ = TableEncoder(early, blocks).fit(learned)
            numbers = self.table_.read_numbers(table)
        else:
            numbers = self._check_numbers(X, reset=True, min_samples=min_samples)
            if sparse.issparse(numbers) and self.metric != "precomputed":
                numbers = self._densify(numbers)
            table = X if hasattr(X, "dtypes") else numbers
        if reads_values and numbers.size and not sparse.issparse(numbers):
            self._fit_kinds(table, numbers, known, blocks, sample_weight)
        X = self._encode(numbers if self.table_ is None else table, min_samples)
        self.n_encoded_ = X.shape[1]
        self._find_gaps(X)
        return X

    def _find_gaps(self, X):
        """Note whether encoded samples X (N, E) miss values, and refuse empty columns."""
        self.has_gaps_ = misses_values(X)
        if self.has_gaps_:
            names = list(self.kinds_)
            empty = np.flatnonzero(np.isnan(X).all(0))
            refuse_empty([names[self.number_columns[i]] for i in empty])

    def _densify(self, X):
        """Return sparse samples, dense if they have one-hot columns or few features."""
        blocks = find_blocks(X)
        if not blocks:
            check_sparse(X)
        self.makes_dense_ = bool(blocks) or X.shape[1] <= 2 * N_COMPONENTS
        return X.toarray() if self.makes_dense_ else X

    def _fit_kinds(self, table, numbers, known, blocks, sample_weight):
        """Learn the kinds of the ``numbers`` (N, C) of X, if they are columns of a table."""
        numbers, weights = _leave_weighted(numbers, sample_weight)
        features = measure_features(numbers, sample_weight=weights)
        has_kinds = self._says_kinds or "flag" in known.values()
        if not has_kinds and numbers.shape[1] <= MAX_COLUMNS:
            has_kinds = is_table(numbers, features, self.standardize, weights)
        has_categories = not set(known.values()) <= {"flag"}
        found = find_blocks(numbers, has_kinds, has_categories)
        if not has_kinds and not found:
            return
        places = np.array(self.number_columns)
        blocks = [*blocks, *(places[block].tolist() for block in found)]
        self._fit_columns(table, numbers, features, known, blocks, weights)

    def _fit_columns(self, table, numbers, features, known, blocks, weights):
        """Learn the columns of a table whose one-hot ``blocks`` are known."""
        places = np.array(self.number_columns)

        def fit_columns(chosen, known):
            columns = NumberColumns([known.get(i) for i in places[chosen]])
            return columns.fit(numbers[:, chosen], features.take(chosen), weights)

        is_single = np.isin(places, list(chain(*blocks)), invert=True)
        columns = fit_columns(is_single, known)
        learned = dict(zip(places[is_single].tolist(), columns.kinds_, strict=True))
        one_hot = {i: kind for i, kind in learned.items() if kind in ONE_HOT}
        if one_hot or blocks:
            self.table_ = TableEncoder(known | one_hot, blocks).fit(table)
            is_number = is_single & np.isin(places, list(one_hot), invert=True)
            columns = fit_columns(is_number, learned)
        if self._says_kinds or set(columns.kinds_) - {"number", "constant"}:
            self.numbers_ = columns
            if self.table_ is None and hasattr(table, "dtypes"):
                self.table_ = TableEncoder({}).fit(table)

    def encode(self, X) -> Any:
        """Return new samples, checked and encoded, (N, E)."""
        check_is_fitted(self)
        X = self.cells_.read(self._add_left_out(check_container(X)))
        check = self._check_numbers if self.table_ is None else self._check_table
        X = check(X, reset=False)
        is_sparse = sparse.issparse(X) and self.makes_dense_
        return self._encode(X.toarray() if is_sparse else X)

    def _add_left_out(self, X):
        """Return a frame, with empty columns where it lacks some that were left out."""
        if self.table_ is None or not hasattr(X, "columns"):
            return X
        names = self.cells_.names_
        missing = [name for name in names if name not in X.columns]
        if not missing or any(self.kinds_[name] != "out" for name in missing):
            return X
        if hasattr(X, "iloc"):
            return X.reindex(columns=names)
        return X.with_columns(**dict.fromkeys(missing))[names]

    def _encode(self, X, min_samples=1):
        """Return checked samples as numbers and one-hot columns (N, E)."""
        if self.table_ is not None:
            X = check_array(
                self.table_.transform(X),
                ensure_all_finite="allow-nan",
                ensure_min_samples=min_samples,
                estimator=self.name,
            )
        return X if self.numbers_ is None else self.numbers_.transform(X)

    def decode(self, X, random_state=None) -> Any:
        """Return encoded samples (N, E) in the columns of the table of the fit.

        Categories are the most probable ones, or drawn by a RandomState.
        """
        if self.numbers_ is not None:
            n_numbers = len(self.number_columns)
            X = np.array(X, dtype=float)
            X[:, :n_numbers] = self.numbers_.inverse_transform(X[:, :n_numbers])
        if self.table_ is None:
            return X
        return self.cells_.restore(self.table_.inverse_transform(X, random_state))

    def fill(self, X, encoded) -> Any:
        """Return a table X with its gaps filled from complete samples (N, E), encoded."""
        filled = frame_as(X, self.decode(encoded))
        if hasattr(X, "iloc"):
            return X.where(X.notna(), filled.set_axis(X.index))
        if hasattr(X, "columns"):
            return X.with_columns(*map(fill_series, X, filled))
        return filled

    # ---- from numbers to points

    def fit_scale(
        self, X, sample_weight=None, *, standardize=None, columns=None, features=None
    ) -> None:
        """Find the factors of encoded samples X (N, E).

        ``standardize`` is another value than the parameter, ``columns`` are those that it is
        about, and ``features`` are the measures of X, where they are known.
        """
        if standardize is None:
            standardize = self._standardize()
        groups = self.groups_
        if standardize == "auto" and self.is_table:
            standardize = True
        if features is None:
            check_magnitude(X)
        if not standardize and not groups:
            return
        X, weights = _leave_weighted(X, sample_weight)
        if features is None:
            features = measure_features(X, sample_weight=weights)
        has_codes = self.numbers_ is not None and "code" in self.numbers_.kinds_
        self.factors_ = find_factors(
            X, features, standardize, weights, groups, self.is_table, has_codes
        )
        if columns is not None:
            kept = np.isin(np.arange(X.shape[1]), columns)
            self.factors_ = np.where(kept, self.factors_, 1.0)
        self.standardizes_ = self.factors_ is not None and bool(standardize)
        if self.is_table and self.standardizes_:
            self.center_ = features.mean.copy()
            self.center_[list(chain(*groups))] = 0

    def fit_compare(self, X, sample_weight=None) -> Any:
        """Return encoded samples X (N, E) of a fit as points, which fill gaps of others."""
        points = self.scale(X)
        is_wide = sparse.issparse(points) and points.shape[1] > 2 * N_COMPONENTS
        if self.has_gaps_:
            self.imputer_ = fit_imputer(points, self.n_neighbors, sample_weight)
            points = self.imputer_.fill(points)
        elif is_wide and self.metric in ("euclidean", "cosine"):
            svd = TruncatedSVD(N_COMPONENTS, random_state=0)
            self.components_ = make_pipeline(svd, Normalizer())
            points = self.components_.fit_transform(points)
        return points

    def read(self, X, donors=None) -> Any:
        """Return new samples as points: an array, whatever ``set_output`` says."""
        points = self.scale(self.encode(X))
        if self.components_ is not None:
            return self.components_.transform(points)
        if not misses_values(points):
            return points
        if self.imputer_ is not None:
            return self.imputer_.fill(points)
        if donors is None:
            raise ValueError(
                "X has missing values, but X of fit had none. Give donors: prepared samples."
            )
        return fit_imputer(np.asarray(donors), self.n_neighbors).fill(points)

    def _standardize(self):
        """Return what ``standardize`` means for the metric."""
        if self.standardize == "auto" and self.metric != "euclidean":
            return False
        if self.standardize and self.metric == "precomputed":
            raise ValueError(
                "standardize=True needs features, but metric='precomputed' takes distances. Set "
                "standardize='auto', or name a metric of features."
            )
        return self.standardize

    def scale(self, X) -> Any:
        """Return encoded samples (N, E) times the factors, in floating point.

        Numbers of tables are also centered, and rounded, so that no unit changes their last bits.
        """
        if X.dtype not in (np.float32, np.float64):
            X = X.astype(np.float64)
        if self.factors_ is None:
            return X
        with np.errstate(over="ignore"):  # infinite values of new samples are clipped
            if sparse.issparse(X):
                return X.multiply(self.factors_).tocsr()
            if self.center_ is None:
                return X * self.factors_
            return np.rint((X - self.center_) * self.factors_ / GRID) * GRID

    def unscale(self, X) -> Any:
        """Return scaled samples (N, E) as encoded ones."""
        if self.factors_ is None:
            return X
        X = X / self.factors_
        return X if self.center_ is None else X + self.center_

    # ---- what is said of it

    @property
    def is_table(self) -> bool:
        """Whether columns have kinds."""
        return self.numbers_ is not None or self._says_kinds

    @property
    def changes_samples(self) -> bool:
        """Whether prepared samples differ from X."""
        is_scaled = self.factors_ is not None or self.components_ is not None
        return is_scaled or self.is_table or self.has_gaps_

    @property
    def _says_kinds(self):
        """Whether the user or types of columns say other kinds than "out"."""
        return self.table_ is not None and set(self.table_.kinds_.values()) != {"out"}

    @property
    def kinds_(self) -> dict[Any, str]:
        """Kind of each column, by its name or position."""
        check_is_fitted(self)
        kinds = dict.fromkeys(range(self.n_features_in_), "number")
        if self.table_ is not None:
            kinds |= self.table_.kinds_
        if self.numbers_ is not None:
            kinds |= zip(self.number_columns, self.numbers_.kinds_, strict=True)
        return {name: kinds[i] for i, name in enumerate(self.cells_.names_)}

    def describe(self) -> str:
        """Return a line about the kinds of columns."""
        columns = {}
        names = dict(enumerate(map(str, self.kinds_)))
        for block in () if self.table_ is None else self.table_.blocks:
            names[block[0]] = f"{names[block[0]]} to {names[block[-1]]}"
            for i in block[1:]:
                del names[i]
        kinds = list(self.kinds_.values())
        for i, name in names.items():
            columns.setdefault(kinds[i], []).append(name)
        parts = []
        for kind, names in columns.items():
            listed = ", ".join(names[:MAX_LISTED])
            more = ", ..." if len(names) > MAX_LISTED else ""
            if kind == "out":
                kind = "left out"
            elif len(names) > 1:
                kind = "categories" if kind == "category" else f"{kind}s"
            parts.append(f"{len(names)} {kind} ({listed}{more})")
        return f"Columns: {'; '.join(parts)}"

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

    def write_input(self, estimator) -> None:
        """Set the attributes of a fitted estimator that are about its input."""
        estimator.preparation_ = self
        estimator.n_features_in_ = self.n_features_in_
        estimator.feature_names_in_ = vars(self).get("feature_names_in_")
        forget_missing(estimator, "feature_names_in_")

    # ---- checks

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.metric != "precomputed"
        return tags

    def validate(self, X, reset, **options) -> Any:
        """Return X, validated by scikit-learn, whose messages name the estimator."""
        if reset:
            vars(self).update(NOTHING_FOUND)
        named = type(self.name, (BaseEstimator,), {})()
        named.__dict__ = vars(self)  # shared, so that n_features_in_ is set here
        with config_context(array_api_dispatch=False):  # X becomes a numpy array
            return validate_data(named, X, reset=reset, **options)

    def _check_numbers(self, X, reset, min_samples=1):
        """Return samples, checked; duplicate entries of sparse arrays are summed."""
        if isinstance(X, np.ma.MaskedArray):
            X = X.astype(float).filled(np.nan)
        allows_nan = self.metric != "precomputed" and not sparse.issparse(X)
        with name_column(X):
            X = self.validate(
                X,
                reset,
                dtype=DTYPES,
                accept_sparse="csr",
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
            X = X.toarray()
        self.validate(X, reset, skip_check_array=True)
        return X


def _leave_weighted(X, sample_weight):
    """Return the samples of positive weight, and their weights, relative to the largest."""
    if sample_weight is None:
        return X, None
    weights = check_sample_weight(sample_weight, X)
    kept = np.flatnonzero(weights)
    return _safe_indexing(X, kept), weights[kept] / weights.max()


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
