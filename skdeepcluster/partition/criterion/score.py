"""Expected scores of partitions of one data set.

M scored samples, D features, C partitions, R members of an ensemble, K clusters.
"""

from functools import cached_property

import numpy as np
from scipy.special import expit
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from ...neighbors.graph import sum_links
from ...neighbors.search import find_nearest
from ..candidates import find_candidates
from .constants import LEAST_SIZE, ONE_NUMBERS
from .features import Ensemble, describe_one
from .learned import load_criterion
from .measurements import Whole, measure_samples

#: Number of steps of the walk that averages votes.
VOTE_STEPS = 2


class Criterion:
    """Expected scores of partitions of one data set, on at most ``sizes.merged`` of its samples.

    A partition is compared with an ensemble of candidates with as many clusters, which the
    embedding alone determines: its score does not depend on where it comes from.
    """

    def __init__(self, coords, n_features):
        #: Positions of the samples, here M of them, on which partitions are scored.
        self.positions = coords.scored
        self.coords = coords.core
        self._all = coords
        #: :class:`~.features.Ensemble` by number of clusters.
        self.ensembles = {}
        self._n_features = n_features

    @cached_property
    def measured(self):
        """:class:`~.measurements.Measured` for the scored samples."""
        nearest = find_nearest(self._all.embeddings[0], self.coords.embeddings[0])
        whole = Whole(self._all.graph, nearest)
        return measure_samples(self.coords, whole, self._n_features)

    @property
    def max_clusters(self):
        """Maximum number of clusters that is compared with others."""
        return len(np.unique(self.positions)) // LEAST_SIZE

    def find_ensemble(self, n_clusters):
        """Return the :class:`~.features.Ensemble` of a number of clusters."""
        if n_clusters not in self.ensembles:
            stream = np.random.RandomState(n_clusters)
            candidates = [*find_candidates(self.coords, n_clusters, stream, brief=True)]
            ensemble = Ensemble(self.measured, candidates, n_clusters)
            self.ensembles[n_clusters] = ensemble
        return self.ensembles[n_clusters]

    def score_ensemble(self, n_clusters):
        """Return the expected scores (R,) of the members of an ensemble."""
        return self._predict(self.find_ensemble(n_clusters).features)

    def _predict(self, features):
        """Return the expected scores (C,) of partitions with these features (C, F)."""
        return self._find_trees("score").predict(features).clip(0, 1)

    def _find_trees(self, purpose):
        # Coordinates that are an embedding tell less than features.
        space = "features" if self.coords.has_features else "embedding"
        return load_criterion().trees[f"{purpose}, {space}"]

    def find_best(self, n_clusters):
        """Return the labels (M,) of the member of an ensemble with the highest score."""
        if n_clusters == 1:
            return np.zeros(len(self.positions), dtype=int)
        best = self.score_ensemble(n_clusters).argmax()
        return self.find_ensemble(n_clusters).labels[best]

    def score_robustly(self, labels):
        """Return the expected scores (C,) of partitions (C, M), nan without evidence.

        A few wrong labels change features much. So a partition scores at least as high as the one
        that most neighbors of each sample are in, multiplied by the agreement of the two.
        """
        smooth = np.array([self._smooth(row) for row in labels])
        agreement = list(map(adjusted_rand_score, labels, smooth))
        near = np.nan_to_num(self.score(smooth)) * agreement
        return np.maximum(self.score(labels), near)

    def _smooth(self, labels):
        """Return the labels (M,) that most neighbors have."""
        clusters, positions = np.unique(labels, return_inverse=True)
        votes = np.eye(len(clusters))[positions]
        return clusters[spread_votes(votes, self.coords.graph).argmax(1)]

    def score(self, labels):
        """Return the expected scores (C,) of partitions (C, M) as they are."""
        scores = self._map_features(self._predict, labels)
        is_one = np.array([np.ptp(row) == 0 for row in labels])
        if is_one.any():
            scores[is_one] = self.score_one()
        return scores

    def score_excess(self, labels):
        """Return by how much candidates (C, M) for one number exceed the mean expected score.

        These trees learn what sets candidates apart, and nothing of how difficult data sets are.
        """
        excess = self._map_features(self._find_trees("choice").predict, labels)
        return np.nan_to_num(excess, nan=-1.0)

    def _map_features(self, function, labels):
        """Return a function of the features of partitions (C, M), nan without features."""
        labels = [np.unique(row, return_inverse=True)[1] for row in labels]
        counts = np.array([row.max() + 1 for row in labels])
        values = np.full(len(labels), np.nan)
        for k in np.unique(counts):
            if 1 < k < len(self.positions):
                has_k = counts == k
                ensemble = self.find_ensemble(k)
                values[has_k] = function(ensemble.compare(np.array(labels)[has_k]))
        return values

    def score_one(self):
        """Return the expected score of a single cluster: the probability that it is true.

        It is nan if there are too few samples for two clusters.
        """
        features = self.list_one_features()
        if not features:
            return np.nan
        scores = {k: self._predict(rows) for k, rows in features.items()}
        found = describe_one(self.measured.data, features, scores)
        logits = load_criterion().trees["one"].predict(found[None])
        return float(expit(logits)[0])

    def list_one_features(self):
        """Return the features (R, F) of the ensembles of ONE_NUMBERS, by possible number."""
        possible = [k for k in ONE_NUMBERS if k <= self.max_clusters]
        return {k: self.find_ensemble(k).features for k in possible}


def spread_votes(votes, graph):
    """Return the mean votes (M, K) at the end of a walk of VOTE_STEPS steps from each sample."""
    steps = normalize(graph, norm="l1")
    spread = votes
    for _ in range(VOTE_STEPS):
        spread = steps @ spread
    has_links = sum_links(graph) > 0
    return np.where(has_links[:, None], spread, votes)
