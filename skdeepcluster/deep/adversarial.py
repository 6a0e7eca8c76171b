"""What adversarial methods share: initialization, score, and a check of the generator."""

import copy
from abc import abstractmethod
from numbers import Integral

import numpy as np
import torch
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min
from sklearn.utils._param_validation import Interval

from ..functional.losses import marginal, mutual_information
from ..input.checks import AUTO
from ..nn.networks import mlp
from ..nn.runtime import building
from .base import DeepEstimator
from .codes import GaussianEncoder
from .fit import apply, assign
from .start import CONSTRAINTS, Start, is_given, is_own

#: Length of the codes of an autoencoder in whose codes an initial partition is sought.
N_CODES = 10
#: Minimum number of samples, generated and of X, that a generator is judged by.
MIN_JUDGED = 100
#: Maximum number of samples, generated and of X, that a generator is judged by.
MAX_JUDGED = 1000
#: Maximum number of matrix elements (samples times features) of either, within these bounds.
ELEMENTS = 2**22
#: Maximum :func:`relative_distance` of a generator that has learned to generate samples.
FAR_FROM_DATA = 1 / 3
#: Minimum share of the clusters of X that its samples fall into.
FEW = 0.5


class AdversarialEstimator(DeepEstimator):
    """An estimator that trains an :class:`~skdeepcluster.nn.model.AdversarialModel`.

    Its initial partition is found in samples, or in the codes of an autoencoder if
    ``pretraining_epochs`` asks for one.
    """

    _augments_training = True

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        **CONSTRAINTS,
        "generator": [callable, None],
        "discriminator": [callable, None],
        # Batch normalization needs two samples.
        "batch_size": [Interval(Integral, 2, None, closed="left"), AUTO],
    }

    def _find_start(self, data, augment, random_state):
        pretrains = self._pretrains()
        if pretrains and isinstance(data.known.n_clusters, Integral):
            return Start(data.known.n_clusters, pretrains=True)
        start = super()._find_start(data, augment, random_state)
        return start._replace(pretrains=pretrains)

    def _pretrains(self):
        """Return whether the initial partition is sought in the codes of an autoencoder."""
        if self.pretraining_epochs == "auto":
            return is_own(self.init)
        return self.pretraining_epochs > 0 and not is_given(self.init)

    def _before(self, model, fit):
        if not fit.start.pretrains:
            return fit.start
        # The autoencoder is discarded.
        widths = fit.settings.hidden_layer_sizes
        n_features = fit.X.shape[1]
        with building():
            encoder = GaussianEncoder(mlp(n_features, 2 * N_CODES, widths))
            decoder = mlp(N_CODES, n_features, widths[::-1])
        likelihood = copy.deepcopy(fit.likelihood)
        autoencoder = fit.pretrain(encoder, decoder, likelihood)
        codes = apply(autoencoder, autoencoder.encode, fit.X)
        fit.progress.begin("initial partition")
        return self._search(codes, fit)

    def _after(self, model, fit, start):
        log_p = apply(model, model.log_resp, fit.X)
        log_p = torch.as_tensor(log_p, device="cpu").double()
        model.log_marginal.copy_(marginal(log_p))

    def _describe(self, run, fit, labels, probabilities):
        attributes = super()._describe(run, fit, labels, probabilities)
        model = run.model
        n_judged = min(MAX_JUDGED, max(MIN_JUDGED, ELEMENTS // fit.X.shape[1]))
        some = fit.random_state.permutation(fit.X.shape[0])[:n_judged]
        generated = self._generate(model, n_judged, fit.random_state)
        real = fit.X[np.sort(some)]

        distance = relative_distance(
            apply(model, model.standardize, generated),
            apply(model, model.standardize, real),
        )
        clusters = np.unique(assign(model, real)[0])
        is_reached = np.isin(clusters, assign(model, generated)[0])
        return attributes | {
            "generator_distance_": distance,
            "generator_coverage_": float(is_reached.mean()),
        }

    @abstractmethod
    def _generate(self, model, n_samples, random_state):
        """Return generated samples, (N, D), in the units of the data."""

    def score(self, X, y=None) -> float:
        """Mutual information between samples and clusters, H[mean p] - mean H[p].

        p is the p(c|x) of the objective, without ``temperature_``. It compares fits with the same
        settings. For a search of ``init_weight`` and others, use
        :func:`~skdeepcluster.model_selection.label_free_scorer`.

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

    The median distance from a generated sample to its nearest real sample, on a scale: 0 is the
    median distance from a real sample to its nearest neighbor, and 1 the median distance between
    any two real samples. If these two are equal, the result is 0.
    """
    distances = pairwise_distances(real)
    between = np.median(distances[~np.eye(len(real), dtype=bool)])
    np.fill_diagonal(distances, np.inf)
    nearest = np.median(distances.min(1))
    distance = np.median(pairwise_distances_argmin_min(generated, real)[1])
    return (
        float((distance - nearest) / (between - nearest)) if between > nearest else 0.0
    )
