"""What a training begins with: its samples, and the partition that ``init`` means.

N samples, E encoded features, K clusters.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import Bunch

from ..input.checks import (
    check_enough,
    check_finite,
    check_responsibilities,
    check_sample_weight,
)
from ..input.distinct import order_samples
from ..input.labels import Known, check_labels, cluster_means
from ..input.parameters import read_n_clusters, with_plain_numbers
from ..input.preparation import Preparation, Prepared
from ..neighbor_clustering import NeighborClustering, read_settings
from ..nn.likelihood import Likelihood, choose_likelihood
from ..partition.known import name_clusters
from ..partition.search import (
    Problem,
    SearchSettings,
    count_clusters,
    find_augment,
    find_clusters,
)
from ..utils.random import sample_systematically

# ---- the samples


@dataclass(frozen=True)
class Data:
    """The samples given to ``fit``, and the selection to train on."""

    #: How X becomes numbers, and how clusterers compare them.
    preparation: Preparation
    #: Array, memory map or CSR matrix of all given samples, encoded, (N, E).
    X_given: Any
    #: The samples to train on, and their indices in X_given, or None for all.
    X: Any
    index: np.ndarray | None
    #: Clusters or classes that the user knows, of all given samples.
    known: Known
    #: The likelihood of the samples, which each model copies.
    likelihood: Likelihood

    @property
    def n_clusters(self):
        """Number of clusters or classes: a number, "auto", or bounds."""
        return self.known.n_clusters

    @property
    def labels(self):
        """Known clusters (N,) of the samples to train on, -1 where unknown; None without any."""
        labels = self.known.labels
        return labels if labels is None else self.take(labels)

    def take(self, column):
        """Return the entries of a column of the given samples that are trained on."""
        return column if self.index is None else column[self.index]

    def fill(self, chosen, default):
        """Return a column of the given samples from those trained on, or None without any.

        ``default`` (N,) has the values of the samples that are not trained on.
        """
        if chosen is None or self.index is None:
            return chosen
        column = default.copy()
        column[self.index] = chosen
        return column

    def compare(self):
        """Return the samples to train on as clusterers compare them, dense."""
        points = self.preparation.fit_compare(self.X)
        if not isinstance(points, np.ndarray):
            points = points.toarray()
        return Prepared(points, self.preparation)


def choose_samples(X, has_gaps, known, sample_weight, random_state):
    """Return the indices of the samples to train on, repeated by weight, or None for all of X.

    Their values decide the order, so that a sample of weight 2 is two samples wherever they stand.
    Arrays above 64 MiB keep their order.
    """
    is_weighted = sample_weight is not None
    index = None
    if is_weighted:
        weight = check_sample_weight(sample_weight, X)
        index = np.flatnonzero(weight)
    if X.data.nbytes <= 2**26:
        index = np.arange(X.shape[0]) if index is None else index
        rows = np.nan_to_num(X[index]) if has_gaps else X[index]
        index = index[order_samples(rows)]
    if is_weighted:
        index = index[repeat_samples(weight[index], random_state, X.shape[0])]

    n_samples = X.shape[0] if index is None else len(index)
    lowest = read_n_clusters(known.n_clusters).lowest
    check_enough(n_samples, lowest, is_weighted)
    return index


def repeat_samples(weight, random_state, n_given):
    """Return indices (M,) that repeat each sample as often as its weight (N,) says.

    If some weights are fractions, or their sum exceeds ``10 * n_given``, ``n_given``
    indices are sampled systematically.
    """
    are_counts = not (weight % 1).any()
    if are_counts and weight.sum() <= 10 * n_given:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    return sample_systematically(weight, n_given, random_state.random_sample())


def scale_samples(preparation, X, likelihood, standardize):
    """Return the likelihood of samples X (N, E), and scale the preparation likewise."""
    groups = preparation.groups_
    if preparation.is_table:
        standardize = bool(standardize)
    with torch.device("cpu"):
        likelihood, features = choose_likelihood(likelihood, standardize, X, groups)

    if not groups:
        standardize = likelihood.standardizes
    if preparation.metric != "euclidean":
        standardize = False
    scaler = preparation.make_scaler(standardize)
    preparation.scaler_ = scaler.fit(X, features=features)
    return likelihood


# ---- the initial partition


class InitialPartition(NamedTuple):
    """The clusters that training begins with."""

    #: K.
    n_clusters: int
    #: Responsibilities (N, K) that training is regularized toward; None if the network finds the
    #: clusters itself.
    resp: np.ndarray | None = None
    #: Calibrated responsibilities (N, K), or None if they are not known.
    calibrated: np.ndarray | None = None
    #: Scores of numbers of clusters, by name, if the number was sought; or None.
    curve: Bunch | None = None

    @property
    def labels(self):
        """Clusters (N,) of the samples, or None."""
        return None if self.resp is None else self.resp.argmax(1)


@dataclass(frozen=True)
class CodesStart:
    """``init="own"``: the network finds its clusters; only their number may be sought before."""

    def find(self, data, augment, random_state):
        """Return the :class:`InitialPartition` with a number of clusters alone."""
        n_clusters = data.n_clusters
        curve = None
        if not isinstance(n_clusters, Integral):
            n_clusters, curve = count_clusters(
                data.compare(), n_clusters, random_state=random_state
            )
            n_clusters = at_least(n_clusters, data.labels)
        return InitialPartition(n_clusters, curve=curve)


@dataclass(frozen=True)
class GivenStart:
    """``init`` is an array: clusters (N,) or responsibilities (N, K) of the given samples."""

    init: Any

    def find(self, data, augment, random_state):
        """Return the :class:`InitialPartition` of the array, checked."""
        init = self.init
        n_clusters = data.n_clusters
        if not isinstance(n_clusters, Integral):
            values = check_finite("init", init)
            n_given = values.max() + 1 if values.ndim == 1 else values.shape[1]
            n_clusters = at_least(int(n_given), data.labels)

        n_samples = data.X_given.shape[0]
        if np.ndim(init) == 1:
            clusters = check_labels("init", init, n_samples, n_clusters, lowest=0)
            resp = np.eye(n_clusters)[clusters]
        else:
            resp = check_responsibilities("init", init, (n_samples, n_clusters))
        resp = hold_labels(data.take(resp), data.labels)
        return InitialPartition(n_clusters, resp)


@dataclass(frozen=True)
class NeighborStart:
    """``init="neighbors"`` or a :class:`NeighborClustering`."""

    clusterer: NeighborClustering

    def find(self, data, augment, random_state):
        """Return the :class:`InitialPartition` that the clusterer finds."""
        clusterer = set_number(self.clusterer, data.n_clusters, random_state)
        clusterer._validate_params()
        prepared = data.compare()
        if clusterer.metric == "euclidean" and clusterer.augment is None:
            prepared = prepared.change(augment)
        clusterer = with_plain_numbers(clusterer)
        problem = Problem(read_n_clusters(clusterer.n_clusters), labels=data.labels)
        found = find_clusters(prepared, problem, read_settings(clusterer))

        calibrated = found.best.responsibilities
        n_found = calibrated.shape[1]
        n_clusters = settle_number(self.clusterer, n_found, data)
        # One-hot: shared responsibilities would blur the clusters of the codes.
        resp = np.eye(n_clusters)[calibrated.argmax(1)]
        resp = hold_labels(resp, data.labels)
        return InitialPartition(n_clusters, resp, calibrated, found.curve)


@dataclass(frozen=True)
class ClustererStart:
    """``init`` is another clusterer, of scikit-learn for example."""

    clusterer: Any

    def find(self, data, augment, random_state):
        """Return the :class:`InitialPartition` that a clone of the clusterer finds."""
        is_known = isinstance(data.n_clusters, Integral)
        n_clusters = data.n_clusters if is_known else None
        clusterer = set_number(self.clusterer, n_clusters, random_state)
        points = data.compare().points
        clusterer.fit(points)
        clusters = assign_all(clusterer, points)

        n_clusters = settle_number(self.clusterer, int(clusters.max()) + 1, data)
        resp = np.eye(n_clusters)[clusters]
        return InitialPartition(n_clusters, number_like(resp, data.labels, points))


def read_init(init):
    """Return what a parameter ``init`` means, an object with ``find``."""
    if isinstance(init, str):
        return CodesStart() if init == "own" else NeighborStart(NeighborClustering())
    if not hasattr(init, "fit"):
        return GivenStart(init)
    if init.get_params(deep=False).get("metric") == "precomputed":
        raise ValueError(
            "init has metric='precomputed'. Name a metric of features, or pass labels."
        )
    if isinstance(init, NeighborClustering):
        return NeighborStart(init)
    return ClustererStart(init)


def find_augmentation(augment, image_shape, data, random_state):
    """Return the augmentation of a network, and the scores of all if the best one is sought."""
    if augment != "auto":
        return augment, None
    settings = SearchSettings(
        augment=augment, image_shape=image_shape, random_state=random_state
    )
    numbers = read_n_clusters(data.n_clusters)
    return find_augment(data.compare(), numbers, settings)


# ---- steps of a clusterer


def set_number(clusterer, n_clusters, random_state):
    """Return a clone with the number, unless it is None, and the seed, as far as it has them."""
    params = clusterer.get_params(deep=False)
    settings = {"random_state": random_state}
    if n_clusters is not None:
        name = "n_clusters" if "n_clusters" in params else "n_components"
        settings[name] = n_clusters
    known = {name: value for name, value in settings.items() if name in params}
    return clone(clusterer).set_params(**known)


def settle_number(clusterer, n_found, data):
    """Return the number of clusters of a fit whose clusterer has found ``n_found``."""
    n_clusters = data.n_clusters
    if not isinstance(n_clusters, Integral):
        n_clusters = at_least(n_found, data.labels)
    if n_found > n_clusters:
        raise ValueError(
            f"init={clusterer!r} found {n_found} clusters, but n_clusters={n_clusters}. Set both "
            "alike, or n_clusters='auto'."
        )
    return n_clusters


def at_least(n_clusters, labels):
    """Return a number of clusters that known clusters (N,) fit into."""
    return n_clusters if labels is None else max(n_clusters, int(labels.max()) + 1)


def assign_all(clusterer, points):
    """Return the clusters (N,) of a fitted clusterer; noise goes to the nearest mean."""
    has_labels = hasattr(clusterer, "labels_")
    labels = clusterer.labels_ if has_labels else clusterer.predict(points)
    labels = np.array(labels)
    is_noise = labels < 0
    if is_noise.all():
        raise ValueError(f"init={clusterer!r} labels all samples as noise.")

    _, labels[~is_noise] = np.unique(labels[~is_noise], return_inverse=True)
    if is_noise.any():
        resp = np.eye(labels.max() + 1)[labels[~is_noise]]
        means = cluster_means(resp, points[~is_noise])
        labels[is_noise] = pairwise_distances_argmin(points[is_noise], means)
    return labels


def hold_labels(resp, labels):
    """Return responsibilities (N, K), which are zero or one where ``labels`` (N,) are not -1."""
    if labels is None:
        return resp
    one_hot = np.eye(resp.shape[1])[labels]
    return np.where((labels >= 0)[:, None], one_hot, resp)


def number_like(resp, labels, points):
    """Return responsibilities (N, K) numbered like the known labels (N,), which are kept."""
    if labels is None:
        return resp
    counts = hold_labels(np.zeros_like(resp), labels)
    clusters = np.eye(resp.shape[1])[resp.argmax(1)]
    names = name_clusters(clusters, counts, points)
    return hold_labels(resp[:, np.argsort(names)], labels)
