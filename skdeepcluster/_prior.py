"""What methods share whose codes follow a mixture: start, pretraining and ancestral sampling."""

from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ._base import DeepEstimator, EmbeddingMixin
from ._initialization import (
    PRIOR_CONSTRAINTS,
    Initialization,
    Partition,
    check_init,
    fit_mixture,
    is_mixture,
    mixture_of_partition,
    resume_partition,
    search_partition,
)
from ._typing import Reals
from .engine.runtime import draw_generator, isolated, random_stream
from .functional.gaussian import confident_sample
from .mixture import em


class PriorEstimator(EmbeddingMixin, DeepEstimator):
    """An estimator that trains a :class:`~skdeepcluster.modules.prior.PriorGame`."""

    _parameter_constraints = {**DeepEstimator._parameter_constraints, **PRIOR_CONSTRAINTS}

    def _initialize(self, model, fit, is_new):
        """Cluster the standardised rows, pretrain the networks of a new model.

        The prior starts from the M-step on the pretrained codes. With ``init="mixture"`` it is a
        mixture fitted to the codes instead, and there is no anchor. A model that is not new is not
        pretrained, and keeps the clusters it has.
        """
        init, mixture, interrupted = check_init(self, fit), None, False
        from_codes = is_mixture(init)
        if is_new:
            # The search comes first, so that fits of all methods with one seed begin alike.
            partition = None if from_codes else search_partition(self, init, fit)
            networks = model.encoder, model.decoder, model.likelihood
            interrupted = self._pretrain(*networks, fit)[1]
            codes = self._apply(model, model.encode, fit.X)
            if from_codes:
                fit.progress.begin("mixture")
                counts = self._count_clusters(), fit.random_state, self.mixture_n_init
                mixture = fit.search(partial(fit_mixture, codes, *counts))
                partition = Partition(em.posterior(codes, mixture))
            else:
                mixture = fit.search(partial(mixture_of_partition, codes, partition.anchor))
        else:
            partition = resume_partition(self, model, fit)
        start = Initialization.of(partition, mixture=mixture, interrupted=interrupted)
        return start._replace(anchor=None) if from_codes else start

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
            draws = draw_generator(stream)
            Z = confident_sample(mixture, torch.from_numpy(counts), min_confidence, draws)
        Z = Z.float().numpy()[stream.permutation(n_samples)]
        return self._apply(self.model_, self.model_.decode, Z)
