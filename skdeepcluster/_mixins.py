"""Answers of estimators with networks: clusters of rows, and codes of rows."""

import warnings

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted


class AssignMixin(ClusterMixin):
    """Clusters of rows, from a model's ``log_resp``."""

    def predict_proba(self, X):
        """Probability of each cluster, given the row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters), float32
            Rows sum to one.
        """
        check_is_fitted(self)
        return self._map(lambda x: self.model_.log_resp(x).exp().float(), X)

    def predict(self, X):
        """Most probable cluster of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Between 0 and ``n_clusters - 1``.
        """
        check_is_fitted(self)
        return self._map(lambda x: self.model_.log_resp(x).argmax(-1), X)

    def _keep(self, run, X):
        super()._keep(run, X)
        self.labels_ = self._answers(run.model, lambda x: run.model.log_resp(x).argmax(-1), X)
        sizes = np.bincount(self.labels_, minlength=self.n_clusters)
        if self.n_clusters > 1 and np.any(sizes == 0):
            alone = np.count_nonzero(sizes) == 1
            found = (
                "All rows fell into one cluster"
                if alone
                else f"Only {np.count_nonzero(sizes)} of {self.n_clusters} clusters have rows"
            )
            warnings.warn(
                f"{found}. Lower n_clusters, train longer (max_epochs), scale the features to a "
                "common range, or try several starts (n_init).",
                ConvergenceWarning,
                stacklevel=3,
            )


class EmbedMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Codes of rows, from a model's ``encode``, and rows from codes."""

    def transform(self, X):
        """Codes of the rows: the means of the posterior q(z | x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """
        check_is_fitted(self)
        return self._map(self.model_.encode, X)

    def inverse_transform(self, X):
        """Rows that codes stand for: E[x | z], in the units of the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, for instance from :meth:`transform`, or points between them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        Z = np.asarray(X, dtype=np.float32)
        if Z.ndim != 2 or Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Codes must have shape (n_samples, {self._n_features_out}), got {Z.shape}. Pass "
                "what transform() returns."
            )
        if not np.isfinite(Z).all():
            raise ValueError("Codes contain NaN or infinity.")
        return self._answers(self.model_, self.model_.decode, Z)

    def _keep(self, run, X):
        super()._keep(run, X)
        self._n_features_out = self.n_components

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
