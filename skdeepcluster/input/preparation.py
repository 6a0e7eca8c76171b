"""How X becomes numbers: :func:`prepare` is the door to all that clusters or scores samples.

N samples, D columns of X, E encoded columns: numbers first, then the one-hot columns of
categories.
"""

from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from .checks import (
    check_container,
    check_n_samples,
    check_sparse,
    is_frame,
    is_table,
    misses_values,
    refuse_empty,
    validate_numbers,
)
from .encoder import ColumnEncoder
from .imputer import Imputer
from .kinds import describe_kinds, find_blocks
from .parameters import forget_missing, store_parameters
from .scaler import Scaler

#: Number of components in which sparse samples of more than twice as many features are compared.
N_COMPONENTS = 50


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

    Its steps are a :class:`~.encoder.ColumnEncoder`, which makes numbers of columns, a
    :class:`~.scaler.Scaler`, and an :class:`~.imputer.Imputer` if X misses values. Sparse samples
    of many features, such as texts, then become components of length one.

    Parameters
    ----------
    kinds : "auto", "numbers" or dict, default="auto"
        Kinds of columns. "auto": categories, texts and booleans by the types of a DataFrame, the
        others by their values. "numbers": all columns are numbers as they are. A dict says
        otherwise by name or position: "number", "skewed", "ordinal", "date", "binary", "category"
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
        Whether numbers may be skewed, ordinal and binary, if features have units of their own.
    name : str, default="Preparation"
        Class that error messages name.

    Attributes
    ----------
    kinds_ : dict of str
        Kind of each column: what a dict may say, or "constant".
    encoder_ : ColumnEncoder
        What makes numbers and one-hot columns of X.
    scaler_ : Scaler
        What makes these comparable, by ``factors_``.
    imputer_ : Imputer or None
        What fills gaps, if X of ``fit`` misses values.
    components_ : Pipeline or None
        What turns sparse samples of many features into ``N_COMPONENTS`` components.
    has_gaps_ : bool
        Whether X of ``fit`` misses values.
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
        check_is_fitted(self)
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
        return self.decode(self.scaler_.inverse_transform(X))

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
        names = self.encoder_.list_names(names)
        if self.components_ is not None:
            names = [f"component{i}" for i in range(N_COMPONENTS)]
        return np.array(names, dtype=object)

    # ---- the steps of a fit, one after the other

    def fit_encode(self, X, sample_weight=None, min_samples=1) -> Any:
        """Fit the encoder; return X, checked and encoded, (N, E)."""
        self._forget()
        standardize = self._standardize()
        reads_values = self.kinds != "numbers" and self.learns_kinds
        X = self._check(check_container(X), reset=True, min_samples=min_samples)
        if sparse.issparse(X) and self.metric != "precomputed":
            X = self._densify(X)
        self.encoder_ = ColumnEncoder(
            self.kinds, reads_values and standardize is not False, standardize
        )
        X = self.encoder_.fit_transform(X, sample_weight=sample_weight)
        self.n_encoded_ = X.shape[1]
        self.scaler_ = Scaler(False).fit(np.zeros((1, self.n_encoded_)))
        self.has_gaps_ = misses_values(X)
        if self.has_gaps_:
            names = self.encoder_.names_
            empty = np.flatnonzero(np.isnan(X).all(0))
            refuse_empty([names[self.encoder_.number_columns_[i]] for i in empty])
        return X

    def _densify(self, X):
        """Return sparse samples, dense if they have one-hot columns or few features."""
        has_blocks = isinstance(self.kinds, dict) or bool(find_blocks(X))
        if not has_blocks:
            check_sparse(X)
        self.makes_dense_ = has_blocks or X.shape[1] <= 2 * N_COMPONENTS
        return X.toarray() if self.makes_dense_ else X

    def fit_scale(self, X, sample_weight=None) -> None:
        """Fit the scaler to encoded samples X (N, E)."""
        scaler = self.make_scaler(self._standardize())
        self.scaler_ = scaler.fit(X, sample_weight=sample_weight)

    def make_scaler(self, standardize) -> Scaler:
        """Return a :class:`Scaler` of encoded samples, not fitted."""
        encoder = self.encoder_
        is_ordinal = encoder.numbers_ is not None and "ordinal" in encoder.kinds_
        return Scaler(standardize, encoder.groups_, self.is_table, is_ordinal)

    def fit_compare(self, X, sample_weight=None) -> Any:
        """Return encoded samples X (N, E) of a fit as points, which fill gaps of others."""
        points = self.scaler_.transform(X)
        is_wide = sparse.issparse(points) and points.shape[1] > 2 * N_COMPONENTS
        if self.has_gaps_:
            self.imputer_ = Imputer(self.n_neighbors)
            self.imputer_.fit(points, sample_weight=sample_weight)
            points = self.imputer_.transform(points)
        elif is_wide and self.metric in ("euclidean", "cosine"):
            svd = TruncatedSVD(N_COMPONENTS, random_state=0)
            pipeline = make_pipeline(svd, Normalizer())
            self.components_ = pipeline.set_output(transform="default")
            points = self.components_.fit_transform(points)
        return points

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

    def _forget(self):
        """Forget what an earlier fit has found."""
        self.imputer_ = None
        self.components_ = None
        self.has_gaps_ = False
        self.makes_dense_ = False

    # ---- new samples

    def encode(self, X) -> Any:
        """Return new samples, checked and encoded, (N, E)."""
        check_is_fitted(self)
        X = self._check(check_container(X), reset=False)
        if sparse.issparse(X) and (self.makes_dense_ or self.is_table):
            X = X.toarray()
        return self.encoder_.transform(X)

    def read(self, X, donors=None) -> Any:
        """Return new samples as points: an array, whatever ``set_output`` says."""
        points = self.scaler_.transform(self.encode(X))
        if self.components_ is not None:
            return self.components_.transform(points)
        if not misses_values(points):
            return points
        if self.imputer_ is not None:
            return self.imputer_.transform(points)
        if donors is None:
            raise ValueError(
                "X has missing values, but X of fit had none. Give donors: prepared samples."
            )
        return Imputer(self.n_neighbors).fit(np.asarray(donors)).transform(points)

    def decode(self, X, random_state=None) -> Any:
        """Return encoded samples (N, E) in the columns of the table of the fit.

        Categories are the most probable ones, or drawn by a RandomState.
        """
        return self.encoder_.inverse_transform(X, random_state)

    def fill(self, X, encoded) -> Any:
        """Return a table X with its gaps filled from complete samples (N, E), encoded."""
        if not is_frame(X) or self.encoder_.reader_ is None:
            return self.decode(encoded)
        from .frames import fill_frame

        return fill_frame(X, self.encoder_.restore(encoded))

    # ---- what is said of it

    @property
    def is_table(self) -> bool:
        """Whether columns have kinds."""
        return self.encoder_.is_table_

    @property
    def changes_samples(self) -> bool:
        """Whether prepared samples differ from X."""
        is_scaled = self.factors_ is not None or self.components_ is not None
        return is_scaled or self.is_table or self.has_gaps_

    @property
    def kinds_(self) -> dict[Any, str]:
        """Kind of each column, by its name or position."""
        check_is_fitted(self)
        return dict(zip(self.encoder_.names_, self.encoder_.kinds_, strict=True))

    def describe(self) -> str:
        """Return a line about the kinds of columns."""
        encoder = self.encoder_
        return describe_kinds(encoder.names_, encoder.kinds_, encoder.blocks_)

    @property
    def groups_(self) -> list[list[int]]:
        """One-hot columns of each category."""
        return self.encoder_.groups_

    @property
    def factors_(self) -> np.ndarray | None:
        """What the encoded columns are multiplied by, (E,), or None."""
        return self.scaler_.factors_

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

    def _name(self):
        """Return an estimator of the given name, which errors name, for scikit-learn's checks."""
        named = type(self.name, (BaseEstimator,), {})()
        named.__dict__ = vars(self)  # shared, so that n_features_in_ is set here
        return named

    def _check(self, X, reset, min_samples=1):
        """Return samples, checked; duplicate entries of sparse arrays are summed."""
        reads_table = is_table(X) if reset else self.encoder_.reader_ is not None
        if reads_table and len(X.shape) == 2:
            validate_data(self._name(), X, reset=reset, skip_check_array=True)
            check_n_samples(X, min_samples, self.name)
            return X.toarray() if sparse.issparse(X) else X
        allows_nan = self.metric != "precomputed"
        return validate_numbers(self._name(), X, reset, min_samples, allows_nan)


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
