"""Answers of estimators with networks: clusters of rows, codes of rows, rows drawn anew."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .engine.randomness import draw_seed, generator, normal_points, random_stream
from .functional.gaussian import confident_sample
from .functional.information import marginal, mutual_information

#: Quasi-random samples of z that ``score_samples`` averages a bound over.
ELBO_SAMPLES = 16


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


class BoundMixin:
    """Score of rows by the evidence lower bound, a model's ``elbo``."""

    def score_samples(self, X):
        """Lower bound on log p(x) of each row, in nats and in the units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            The samples of z are a fixed quasi-random set, the same for every row.
        """
        check_is_fitted(self)
        return self._criterion(self.model_, self._check_rows(X), self._fit_params["n_components"])

    def _criterion(self, model, X, n_codes=None):
        n_codes = self.n_components if n_codes is None else n_codes
        noise = normal_points(ELBO_SAMPLES, n_codes).to(next(model.parameters()).device)
        return self._answers(model, lambda x: model.elbo(x, noise), X)


class PriorMixin:
    """Clusters of codes as a generative model, from a model's ``prior`` and ``decode``."""

    def sample(self, n_samples=1, cluster=None, *, min_confidence=0.0):
        """Draw codes from the mixture, or from one of its clusters, and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        cluster : int, default=None
            Draw from this cluster only. None: from all, by their weights.
        min_confidence : float, default=0.0
            Keep only codes z whose own cluster has at least this probability p(c | z); the paper
            shows rows above 0.999. Codes that still fall short after several draws are moved
            towards the mean of their cluster until they reach it.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            E[x|z] of the drawn codes, in the units of the training data. An int
            ``random_state`` draws the same rows on every call.

        Raises
        ------
        ValueError
            If even the mean of a cluster falls short of ``min_confidence``.
        """
        check_is_fitted(self)
        n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=1)
        check_scalar(min_confidence, "min_confidence", Real, min_val=0, max_val=1)
        stream = random_stream(self.random_state)
        if cluster is None:
            weights = self.weights_.astype(np.float64)
            counts = stream.multinomial(n_samples, weights / weights.sum())
        else:
            n_clusters = len(self.weights_)
            check_scalar(cluster, "cluster", Integral, min_val=0, max_val=n_clusters - 1)
            counts = n_samples * np.eye(n_clusters, dtype=int)[cluster]
        with torch.no_grad():
            mixture = self.model_.prior.mixture.to("cpu")
            draws = generator(draw_seed(stream))
            Z = confident_sample(mixture, torch.as_tensor(counts), min_confidence, draws)
        Z = Z.float().numpy()[stream.permutation(n_samples)]
        return self._answers(self.model_, self.model_.decode, Z)

    def _keep(self, run, X):
        super()._keep(run, X)
        with torch.no_grad():
            mixture = run.model.prior.mixture
            self.weights_ = mixture.log_weights.exp().cpu().numpy()
            self.means_ = mixture.means.cpu().numpy()
            self.covariances_ = mixture.covariances().cpu().numpy()
            means = self.means_.astype(np.float32)
        self.cluster_centers_ = self._answers(run.model, run.model.decode, means)


class InformationMixin:
    """Score by the information between rows and clusters, from a model's ``information``.

    Needs a model with the buffer ``log_marginal``.
    """

    def _finish(self, model, X, random_state):
        log_p = torch.as_tensor(self._answers(model, model.log_resp, X)).double()
        model.log_marginal.copy_(marginal(log_p))

    def _criterion(self, model, X):
        return self._answers(model, model.information, X)

    def score_samples(self, X):
        """Information of each row about its cluster: KL(p(c|x) || p(c)), in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        information : ndarray of shape (n_samples,), float64
            p(c) is the mean of p(c|x) over the rows trained on, so that answers stay row-wise;
            over those rows, the mean is :meth:`score`.
        """
        check_is_fitted(self)
        return self._criterion(self.model_, self._check_rows(X))

    def score(self, X, y=None):
        """Mutual information between rows and clusters, H[mean p] - mean H[p]: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score, together: p(c) is the mean over them.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        score : float
            In nats, between 0 and log ``n_clusters``.
        """
        check_is_fitted(self)
        log_p = torch.as_tensor(self._map(self.model_.log_resp, X)).double()
        return float(mutual_information(log_p))
