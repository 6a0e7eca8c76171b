"""Ancestral sampling from a mixture of codes."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ._base import EmbeddingMixin
from ._typing import Reals
from .engine.isolation import isolated
from .engine.runtime import draw_seed, generator, random_stream
from .functional.gaussian import confident_sample


class PriorMixin(EmbeddingMixin):
    """An embedding whose model has a mixture of codes, ``prior``, to sample from."""

    def sample(
        self, n_samples: int = 1, cluster: int | None = None, *, min_confidence: float = 0.0
    ) -> Reals:
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
        n_samples = int(check_scalar(n_samples, "n_samples", Integral, min_val=1))
        check_scalar(min_confidence, "min_confidence", Real, min_val=0, max_val=1)
        stream = random_stream(self.random_state)
        if cluster is None:
            weights = self.weights_.astype(np.float64)
            counts = stream.multinomial(n_samples, weights / weights.sum())
        else:
            n_clusters = len(self.weights_)
            check_scalar(cluster, "cluster", Integral, min_val=0, max_val=n_clusters - 1)
            counts = n_samples * np.eye(n_clusters, dtype=int)[cluster]
        with isolated(), torch.no_grad():
            mixture = self.model_.prior.mixture.to("cpu")
            draws = generator(draw_seed(stream))
            Z = confident_sample(mixture, torch.as_tensor(counts), min_confidence, draws)
        Z = Z.float().numpy()[stream.permutation(n_samples)]
        return self._apply(self.model_, self.model_.decode, Z)
