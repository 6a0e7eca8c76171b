"""What adversarial methods share: initialization, score, and a check of the generator."""

import copy
from abc import abstractmethod

import numpy as np
import torch
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min

from ._base import DeepEstimator, keep_partition
from ._fit import apply, assign
from ._init import Partition
from .engine.runtime import building
from .functional.losses import marginal, mutual_information
from .modules.codes import PointEncoder
from .modules.networks import mlp

#: Minimum and maximum number of samples, generated and of X, that a generator is judged by.
JUDGED = 100, 1000
#: Maximum number of matrix elements (samples times features) of either, within these bounds.
ELEMENTS = 2**22
#: Maximum :func:`relative_distance` of a generator that has learned to generate samples.
FAR = 1 / 3
#: Minimum share of the clusters of X that its samples fall into.
FEW = 0.5


class AdversarialEstimator(DeepEstimator):
    """An estimator that trains an :class:`~skdeepcluster.modules.model.AdversarialModel`."""

    _without_codes = True

    def _initialize(self, model, fit):
        """Return the initial partition, for a resumed model its own."""
        if not fit.init.has_anchor:
            return Partition()
        if self._continues():
            return keep_partition(model, fit)
        if fit.partition is None:
            codes = self._encode(fit)
            return self._find_partition(fit, lambda: codes)
        return fit.partition

    def _encode(self, fit):
        """Return the codes (N, L) of a denoising autoencoder, which is then discarded."""
        widths, n_features = fit.settings.hidden_layer_sizes, fit.X.shape[1]
        with building():
            encoder = PointEncoder(mlp(n_features, self.n_components, widths))
            decoder = mlp(self.n_components, n_features, widths[::-1])
        autoencoder = fit.pretrain(encoder, decoder, copy.deepcopy(fit.likelihood))
        return apply(autoencoder, autoencoder.encode, fit.X)

    def _pretrains(self, fit):
        is_asked = fit.init.is_searched and self.pretraining_epochs not in ("auto", 0)
        return is_asked and super()._pretrains(fit)

    def _after_training(self, model, fit, partition):
        log_p = torch.as_tensor(
            apply(model, model.log_resp, fit.X), device="cpu"
        ).double()
        model.log_marginal.copy_(marginal(log_p))

    def _set_fitted_attributes(self, run, fit):
        super()._set_fitted_attributes(run, fit)
        n_judged = min(JUDGED[1], max(JUDGED[0], ELEMENTS // fit.X.shape[1]))
        some = np.sort(fit.random_state.permutation(fit.n_samples)[:n_judged])
        both = self._generate(n_judged, fit.random_state), fit.X[some]
        seen = [apply(run.model, run.model.standardize, x) for x in both]
        self.generator_distance_ = relative_distance(*seen)
        generated, real = (np.unique(assign(run.model, x)[0]) for x in both)
        self.generator_coverage_ = float(np.isin(real, generated).mean())

    @abstractmethod
    def _generate(self, n_samples, random_state):
        """Return generated samples, (N, D), in the units of the data."""

    def score(self, X, y=None) -> float:
        """Mutual information between samples and clusters, H[mean p] - mean H[p].

        p is the p(c|x) of the objective, without ``temperature_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score together: p(c) is the mean over them.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        score : float
            In nats, between 0 and log ``n_clusters``; higher is better.
        """
        log_p = torch.as_tensor(self._map("log_resp", X), device="cpu").double()
        return float(mutual_information(log_p))


def relative_distance(generated, real):
    """Return how far generated samples (M, D) are from real ones (N, D).

    The median distance of generated samples to their nearest real sample, on a scale where 0 is
    that of real samples to each other and 1 the median distance between any two real samples. 0
    if these two are equal.
    """
    distances = pairwise_distances(real)
    between = np.median(distances[~np.eye(len(real), dtype=bool)])
    np.fill_diagonal(distances, np.inf)
    nearest = np.median(distances.min(1))
    found = np.median(pairwise_distances_argmin_min(generated, real)[1])
    return float((found - nearest) / (between - nearest)) if between > nearest else 0.0
