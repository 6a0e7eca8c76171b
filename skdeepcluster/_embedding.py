"""Codes of samples and samples from codes, for estimators whose models have both."""

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from ._checks import check_finite
from ._typing import Reals, TransformerMixin


class EmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """``transform`` by the model's ``encode`` and ``inverse_transform`` by its ``decode``."""

    def transform(self, X) -> npt.NDArray[np.float32]:
        """Codes of the samples: E(x) of DACClustering, else the means of q(z | x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            For InfoGANClustering, Q's posterior of all codes: probabilities of the clusters and of
            the other categories, then means of the continuous codes.
        """
        return self._map("encode", X)

    def inverse_transform(self, X) -> Reals:
        """Decode codes: E[x | z], in the units of the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, for instance from :meth:`transform`, or points between them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            For InfoGANClustering with all noise variables at zero.
        """
        check_is_fitted(self)
        with np.errstate(over="ignore"):
            Z = check_finite("X", X).astype(np.float32)
        if Z.ndim != 2 or Z.shape[1] != self._n_features_out or not np.isfinite(Z).all():
            raise ValueError(
                f"Codes must have shape (n_samples, {self._n_features_out}) and finite float32 "
                f"values, got {Z.shape}. Pass what transform() returns."
            )
        return self._apply(self.model_, self.model_.decode, Z)

    @property
    def _n_features_out(self):
        return self._fit_params["n_components"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
