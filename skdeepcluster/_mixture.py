"""A Gaussian mixture that answers; how it is learnt is the business of ``gaussian_mixture``."""

import math
from functools import partial

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import (
    _check_n_features,
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from .engine import em
from .engine.dask_rows import DaskRows, is_dask
from .engine.precision import resolve_device
from .engine.randomness import draw_seed, generator, random_stream
from .functional import gaussian
from .functional.information import entropy

#: Numbers of X read at once when they are checked.
CHECK_NUMBERS = 2**22


class FittedMixture(ClusterMixin, DensityMixin, BaseEstimator):
    """What every Gaussian mixture does once ``mixture_`` is there."""

    def predict(self, X):
        """Return the most probable component of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        ndarray of shape (n_samples,)
            Component labels.
        """
        return self._labels(self._rows(X))

    def predict_proba(self, X):
        """Return the responsibilities, p(component | row).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Each row sums to one.
        """
        return self._answers(lambda joint: joint.softmax(1), self._rows(X))

    def score_samples(self, X):
        """Return the log-likelihood of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            Natural logarithms of the density.
        """
        return self._answers(lambda joint: joint.logsumexp(1), self._rows(X))

    def score(self, X, y=None, sample_weight=None):
        """Return the mean log-likelihood of the rows; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            Weighted mean of ``score_samples(X)``.
        """
        return self._mean(lambda joint: joint.logsumexp(1), self._rows(X, sample_weight))

    def bic(self, X, sample_weight=None):
        """Return Bayes' information criterion, -2 l + p log N; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; their sum is N.

        Returns
        -------
        float
            With l the log-likelihood of all rows and p the number of free parameters.
        """
        rows = self._rows(X, sample_weight)
        likelihood = self._mean(lambda joint: joint.logsumexp(1), rows)
        return -2 * likelihood * rows.total + self._n_parameters() * math.log(rows.total)

    def aic(self, X, sample_weight=None):
        """Return Akaike's information criterion, -2 l + 2 p; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            With l the log-likelihood of all rows and p the number of free parameters.
        """
        rows = self._rows(X, sample_weight)
        likelihood = self._mean(lambda joint: joint.logsumexp(1), rows)
        return -2 * likelihood * rows.total + 2 * self._n_parameters()

    def icl(self, X, sample_weight=None):
        """Return the integrated completed likelihood, BIC + 2 sum_n H(r_n); lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            BIC with a penalty on doubt: H(r_n) is the entropy of the responsibilities of row n,
            so overlapping components cost more than separate clusters.
        """
        rows = self._rows(X, sample_weight)
        doubt = self._mean(lambda joint: entropy(joint.log_softmax(1)), rows)
        return self.bic(X, sample_weight) + 2 * doubt * rows.total

    def sample(self, n_samples=1):
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, component after component.
        y : ndarray of shape (n_samples,)
            Their components.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples}, but sampling needs at least one sample.")
        random_state = random_stream(self.random_state)
        counts = random_state.multinomial(n_samples, self.weights_ / self.weights_.sum())
        stream = generator(draw_seed(random_state))
        X = gaussian.sample(self.mixture_, torch.from_numpy(counts), stream)
        return X.numpy(), np.repeat(np.arange(len(counts)), counts)

    # ---- inside

    def _rows(self, X, sample_weight=None, reset=False, enough=1):
        """Check X and its weights; leave X where it is: no copy, no cast, no centring."""
        if not reset:
            check_is_fitted(self)
        return self._checked_rows(X, sample_weight, reset, enough)

    def _checked_rows(self, X, sample_weight, reset, enough):
        """As ``_rows``, for a mixture that may not be there yet."""
        if is_dask(X):
            return self._dask_rows(X, sample_weight, reset, enough)
        if sparse.issparse(X) and not self.accept_sparse:
            raise TypeError(
                f"{type(self).__name__} got sparse data, but takes dense arrays by default. Set "
                "accept_sparse=True to have rows made dense one batch at a time, or pass "
                "X.toarray()."
            )
        # Finiteness is checked below, so that a memory map does not stay in memory.
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr" if self.accept_sparse else False,
            dtype="numeric",
            ensure_all_finite=False,
            ensure_min_samples=min(2, enough),
        )
        self._check_finite(X)
        self._check_enough(X, enough)
        weight = self._check_weight(sample_weight, X)
        return em.WeightedRows(X, weight, self._rows_to_batch(X), resolve_device(self.device))

    def _dask_rows(self, X, sample_weight, reset, enough):
        """Check a Dask array where its blocks are."""
        if not (hasattr(X, "to_delayed") and getattr(X, "ndim", 0) == 2 and hasattr(X, "chunks")):
            raise ValueError(
                f"Expected a Dask array of two dimensions, got {type(X).__name__}. Of a Dask "
                "DataFrame pass X.to_dask_array(lengths=True)."
            )
        if np.isnan(X.shape[0]):
            X = X.compute_chunk_sizes()
        X = X.rechunk({1: -1})
        _check_n_features(self, X, reset=reset)
        self._check_enough(X, enough)
        weight = self._check_weight(sample_weight, X)
        rows = DaskRows(X, weight, self._rows_to_batch(X))
        names = {"estimator_name": type(self).__name__, "input_name": "X"}
        rows.check(partial(assert_all_finite, **names))
        return rows

    def _check_enough(self, X, enough):
        if X.shape[0] < enough:
            raise ValueError(
                f"n_samples={X.shape[0]} should be >= n_clusters={enough}. Give more rows or ask "
                "for fewer clusters."
            )

    def _rows_to_batch(self, X):
        if self.batch_size == "auto":
            return em.rows_to_batch(self.n_clusters, X.shape[1], self.covariance_type)
        return self.batch_size

    def _check_finite(self, X):
        """Raise scikit-learn's error at NaN or infinity."""
        names = {"estimator_name": type(self).__name__, "input_name": "X"}
        if sparse.issparse(X):
            assert_all_finite(X.data, **names)
            return
        size = max(1, CHECK_NUMBERS // X.shape[1])
        for start in range(0, X.shape[0], size):
            assert_all_finite(X[start : start + size], **names)
            em.release(X)

    def _check_weight(self, sample_weight, X):
        """Weights as float64, one each without them."""
        if sample_weight is None:
            return np.ones(X.shape[0])
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if (weight < 0).any():
            raise ValueError(
                f"Negative values in sample_weight, the least {weight.min():.6g}. A weight says "
                "how often a row counts: pass numbers >= 0."
            )
        if not weight.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weight

    def _answers(self, function, rows):
        """Apply a function of the log-joint (N, K) to all rows."""
        mixture = self.mixture_.to(rows.device)
        log_prob = gaussian.density(mixture)
        return rows.map(lambda x: function(log_prob(x) + mixture.log_weights))

    def _labels(self, rows):
        return self._answers(lambda joint: joint.max(1).indices, rows)

    def _mean(self, function, rows):
        """Return the weighted mean of a function of the log-joint."""
        return float(rows.weight @ self._answers(function, rows)) / rows.total

    def _n_parameters(self):
        """Return the number of free parameters p."""
        n_clusters, n_features = self.means_.shape
        scales = self.mixture_.scales
        per_scale = n_features * (n_features + 1) // 2 if scales.ndim == 3 else scales.shape[1]
        return len(scales) * per_scale + n_clusters * n_features + n_clusters - 1

    def _keep(self, mixture):
        """Set the mixture, as tensors and in scikit-learn's shapes."""
        # In the layout that its copies have: a product's last digit may depend on it.
        self.mixture_ = gaussian.Mixture(*(field.contiguous() for field in mixture.to("cpu")))
        self.weights_ = self.mixture_.log_weights.exp().numpy()
        self.means_ = self.mixture_.means.clone().numpy()
        self.covariances_ = self._shaped(self.mixture_.covariances())
        factors = self.mixture_.precision_factors()
        self.precisions_cholesky_ = self._shaped(factors)
        self.precisions_ = self._shaped(
            factors @ factors.mT if factors.ndim == 3 else factors.square()
        )

    def _shaped(self, scales):
        return in_sklearns_shape(scales, self.covariance_type)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "mixture_")

    def __getstate__(self):
        """State as arrays and plain objects."""
        state = super().__getstate__()
        if "mixture_" in state:
            fields = tuple(field.numpy() for field in state["mixture_"])
            state = {**state, "mixture_": fields}
        return state

    def __setstate__(self, state):
        """Take the state back."""
        super().__setstate__(state)
        if "mixture_" in state:
            self.mixture_ = gaussian.Mixture(*(torch.tensor(field) for field in state["mixture_"]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "clusterer"
        tags.input_tags.sparse = bool(self.accept_sparse)
        return tags


def in_sklearns_shape(scales, covariance_type):
    """Drop the axis of one that a tied or a spherical scale broadcasts along; an array."""
    if covariance_type == "tied":
        return scales[0].contiguous().numpy()
    return (scales[:, 0] if covariance_type == "spherical" else scales).clone().numpy()
