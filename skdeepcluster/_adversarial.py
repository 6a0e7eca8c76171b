"""What adversarial methods share: a start without an encoder, the score, a check of generators."""

import copy
from abc import abstractmethod

import numpy as np
import torch
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min

from ._base import DeepEstimator
from ._initialization import (
    Initialization,
    Partition,
    check_init,
    is_partition,
    resume_partition,
    search_partition,
)
from .functional.losses import marginal, mutual_information
from .modules.autoencoder import PointEncoder
from .modules.networks import mlp
from .neighbors.labels import hold_labels

#: Most rows drawn, and as many real ones, that a generator is judged by.
MOST_ROWS = 1000
#: Fewest of them, however many features there are.
FEWEST_ROWS = 100
#: Matrix elements (rows times features) of either, within these bounds.
ELEMENTS = 2**22
#: Largest :func:`relative_distance` of a generator that has learnt to draw rows.
FAR = 1 / 3
#: Least share of the clusters of real rows that its rows fall into.
FEW = 0.5


class AdversarialEstimator(DeepEstimator):
    """An estimator that trains an :class:`~skdeepcluster.modules.game.AdversarialGame`."""

    def _initialize(self, model, fit, is_new):
        """Initialise responsibilities, those of the model if it is resumed; none for init=None."""
        if self.init is None:
            return Initialization()
        interrupted = False
        if is_new:
            partition, interrupted = self._find_partition(fit)
        else:
            partition = resume_partition(self, model, fit)
        return Initialization.of(partition, interrupted=interrupted)

    def _pretrains_first(self):
        return True

    def _has_anchor(self):
        return self.init is not None

    def _find_partition(self, fit):
        """Return a Partition of the rows, and whether the user interrupted the pretraining.

        The standardised rows are clustered, or the codes of a denoising auto-encoder, if the user
        asks for its pretraining; it is discarded.
        """
        init = check_init(self, fit)
        if is_partition(init):
            return Partition(hold_labels(init, fit.labels)), False
        if self._choose_pretraining_epochs(fit) == 0:
            return self._divide(init, fit), False
        widths, n_features = self._widths(), fit.X.shape[1]
        encoder = PointEncoder(mlp(n_features, self.n_components, widths))
        decoder = mlp(self.n_components, n_features, widths[::-1])
        likelihood = copy.deepcopy(fit.likelihood)
        autoencoder, interrupted = self._pretrain(encoder, decoder, likelihood, fit)
        codes = self._apply(autoencoder, autoencoder.encode, fit.X)
        return self._divide(init, fit, codes), interrupted

    def _divide(self, init, fit, codes=None):
        """Cluster the codes, or without any the standardised rows, as ``init`` says."""
        return search_partition(self, init, fit, codes)

    def _choose_pretraining_epochs(self, fit):
        needless = self.init is None or is_partition(self.init)
        if needless or self.pretraining_epochs == "auto":
            return 0
        return super()._choose_pretraining_epochs(fit)

    def _after_training(self, model, fit, start):
        log_p = torch.as_tensor(self._apply(model, model.log_resp, fit.X)).double()
        model.log_marginal.copy_(marginal(log_p))

    def _set_fitted_attributes(self, run, fit):
        super()._set_fitted_attributes(run, fit)
        n_rows = min(MOST_ROWS, max(FEWEST_ROWS, ELEMENTS // fit.X.shape[1]))
        some = np.sort(fit.random_state.permutation(fit.n_samples)[:n_rows])
        both = self._generate(n_rows, fit.random_state), fit.X[some]
        seen = [self._apply(run.model, run.model.standardize, rows) for rows in both]
        self.generator_distance_ = relative_distance(*seen)
        drawn, real = (np.unique(self._assign(run.model, rows)[0]) for rows in both)
        self.generator_coverage_ = float(np.isin(real, drawn).mean())

    @abstractmethod
    def _generate(self, n_samples, random_state):
        """Draw rows from the generator, (N, D), in the units of the data."""

    def score(self, X, y=None) -> float:
        """Mutual information between rows and clusters, H[mean p] - mean H[p]: higher is better.

        p are the p(c|x) of the objective, before ``temperature_``.

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
        log_p = torch.as_tensor(self._map("log_resp", X)).double()
        return float(mutual_information(log_p))


def relative_distance(drawn, real):
    """Return how far drawn rows (M, D) are from real ones (N, D), by their nearest neighbours.

    The median distance of drawn rows to their nearest real row lies at 0 if it is that of real
    rows to each other, and at 1 if it is the median distance between any two real rows. 0 where
    these two are equal.
    """
    distances = pairwise_distances(real)
    between = np.median(distances[~np.eye(len(real), dtype=bool)])
    np.fill_diagonal(distances, np.inf)
    nearest = np.median(distances.min(1))
    found = np.median(pairwise_distances_argmin_min(drawn, real)[1])
    return float((found - nearest) / (between - nearest)) if between > nearest else 0.0
