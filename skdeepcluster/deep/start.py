"""Initial partitions: what ``init`` of a network means, found once before training.

N samples, D features, L code length, K clusters.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import Bunch

from ..functional.gaussian import log_joint
from ..input.checks import check_finite, check_responsibilities
from ..input.labels import check_labels, cluster_means
from ..input.parameters import read_n_clusters, with_plain_numbers
from ..mixture import em
from ..neighbor_clustering import NeighborClustering, find_clusters
from ..neighbors.graph import GraphSettings
from ..nn.runtime import draw_generator
from ..partition.invariance import choose_augment, list_kinds
from ..partition.known import name_clusters
from ..partition.search import count_clusters

#: Number of EM runs of a mixture of codes; the likeliest is kept.
N_INIT = 10
#: Added to the variances of a mixture of codes, as a share of their mean variance.
REG_COVAR = 1e-3
#: EM on codes has converged when the mean log-likelihood changes by less, in nats.
TOL = 1e-3
#: Maximum number of EM iterations on codes.
MAX_ITER = 200
#: Maximum temperature of probabilities.
MAX_TEMPERATURE = 100.0


class InitialPartition(NamedTuple):
    """The clusters that training begins with."""

    #: K.
    n_clusters: int
    #: Clusters of the samples, (N,), or None.
    labels: np.ndarray | None = None
    #: Responsibilities (N, K) that training is regularized toward, or None.
    resp: np.ndarray | None = None
    #: Calibrated responsibilities (N, K), or None if they are not known.
    calibrated: np.ndarray | None = None
    #: Scores of numbers of clusters, by name, if the number was sought; or None.
    curve: Bunch | None = None
    #: Whether the clusters are sought in the codes of an autoencoder.
    pretrains: bool = False

    @property
    def target(self):
        """The responsibilities in the precision of training, or None."""
        return None if self.resp is None else self.resp.astype(np.float32)


def partition_from(resp, **known):
    """Return the :class:`InitialPartition` with responsibilities (N, K)."""
    return InitialPartition(resp.shape[1], resp.argmax(1), resp, **known)


# ---- what init is


def check_init(init):
    """Check that a clusterer given as ``init`` takes features."""
    if getattr(init, "metric", None) == "precomputed":
        raise ValueError(
            "init has metric='precomputed'. Name a metric of features, or pass labels."
        )


def is_given(init):
    """Return whether ``init`` is an array of clusters or responsibilities."""
    return not isinstance(init, str) and not hasattr(init, "fit")


def is_own(init):
    """Return whether the clusters are those of the network's own training."""
    return isinstance(init, str) and init == "own"


# ---- how it is found


def read_partition(init, data):
    """Return the :class:`InitialPartition` of given clusters or responsibilities, checked.

    ``data`` is the :class:`~skdeepcluster.deep.fit.Data` of a fit.
    """
    n_clusters = data.known.n_clusters
    if not isinstance(n_clusters, Integral):
        values = check_finite("init", init)
        n_given = values.max() + 1 if values.ndim == 1 else values.shape[1]
        n_clusters = _at_least(int(n_given), data.labels)

    n_samples = data.X_given.shape[0]
    if np.ndim(init) == 1:
        clusters = check_labels("init", init, n_samples, n_clusters, lowest=0)
        resp = np.eye(n_clusters)[clusters]
    else:
        resp = check_responsibilities("init", init, (n_samples, n_clusters))
    return partition_from(hold_labels(data.take(resp), data.labels))


def find_augmentation(estimator, data, random_state):
    """Return the augmentation of a network, and the scores of all if the best one is sought."""
    if estimator.augment != "auto":
        return estimator.augment, None
    prepared = data.prepared
    return choose_augment(
        prepared,
        read_n_clusters(data.known.n_clusters),
        GraphSettings(),
        list_kinds(prepared.points.shape[1], estimator.image_shape),
        random_state,
    )


def find_number(prepared, n_clusters, labels, random_state):
    """Return a :class:`InitialPartition` with the number of clusters alone."""
    found, curve = count_clusters(prepared, n_clusters, random_state=random_state)
    return InitialPartition(_at_least(found, labels), curve=curve)


def search_start(init, prepared, n_clusters, labels, random_state):
    """Return the :class:`InitialPartition` that ``init``, no array, finds in samples.

    ``labels`` (N,) are known clusters, -1 where unknown, or None. ``n_clusters`` may be "auto" or
    bounds.
    """
    if isinstance(init, str):
        init = NeighborClustering()
    clusterer = _configure(init, n_clusters, random_state)
    calibrated = None
    curve = None
    if isinstance(init, NeighborClustering):
        clusterer._validate_params()
        found = find_clusters(with_plain_numbers(clusterer), prepared, labels)
        calibrated = found.result.best.responsibilities
        clusters = calibrated.argmax(1)
        curve = found.result.curve
        n_found = calibrated.shape[1]
    else:
        clusterer.fit(prepared.points)
        clusters = _assign_all(clusterer, prepared.points)
        n_found = int(clusters.max()) + 1

    if not isinstance(n_clusters, Integral):
        n_clusters = _at_least(n_found, labels)
    if n_found > n_clusters:
        raise ValueError(
            f"init={init!r} found {n_found} clusters, but n_clusters={n_clusters}. Set both "
            "alike, or n_clusters='auto'."
        )
    # One-hot: shared responsibilities would blur the clusters of the codes.
    resp = np.eye(n_clusters)[clusters]
    if calibrated is None:
        return partition_from(_number_like(resp, labels, prepared.points))
    resp = hold_labels(resp, labels)
    return partition_from(resp, calibrated=calibrated, curve=curve)


def _at_least(n_clusters, labels):
    """Return a number of clusters that known clusters (N,) fit into."""
    return n_clusters if labels is None else max(n_clusters, int(labels.max()) + 1)


def _configure(clusterer, n_clusters, random_state):
    """Return a clone with the number and seed of a fit, where it has such parameters.

    Only a NeighborClustering finds the number; others then keep their own.
    """
    params = clusterer.get_params(deep=False)
    settings = {"random_state": random_state}
    if isinstance(clusterer, NeighborClustering) or isinstance(n_clusters, Integral):
        name = "n_clusters" if "n_clusters" in params else "n_components"
        settings[name] = n_clusters
    known = {name: value for name, value in settings.items() if name in params}
    return clone(clusterer).set_params(**known)


def _assign_all(clusterer, points):
    """Return the clusters (N,) of a fitted clusterer; noise goes to the nearest mean."""
    labels = getattr(clusterer, "labels_", None)
    if labels is None:
        labels = clusterer.predict(points)
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


def _number_like(resp, labels, points):
    """Return responsibilities (N, K) numbered like the known labels (N,), which are kept."""
    if labels is None:
        return resp
    counts = hold_labels(np.zeros_like(resp), labels)
    clusters = np.eye(resp.shape[1])[resp.argmax(1)]
    names = name_clusters(clusters, counts, points)
    return hold_labels(resp[:, np.argsort(names)], labels)


# ---- mixtures of codes


def fit_mixture(codes, n_clusters, random_state, covariance_type):
    """Return the likeliest of ``N_INIT`` mixtures of codes (N, L), by EM from k-means."""
    double = np.ascontiguousarray(codes, dtype=np.float64)
    rows = em.as_rows(double, n_clusters, covariance_type)
    m_step = em.MStep(covariance_type, compute_reg_covar(codes))
    initializer = em.Initializer(rows, n_clusters, m_step, draw_generator(random_state))
    starts = (initializer.initialize("kmeans", N_INIT) for _ in range(N_INIT))
    return em.run_em(rows, starts, m_step, max_iter=MAX_ITER, tol=TOL).mixture


def partition_codes(codes, n_clusters, random_state):
    """Return the clusters of codes (N, L), one-hot, (N, K).

    They are those of a mixture with one or with several full covariances: the ones under whose
    diagonal mixture, which models learn, the codes are likelier.
    """
    points = torch.from_numpy(codes).double()
    candidates = []
    scores = []
    for kind in ("tied", "full"):
        mixture = fit_mixture(codes, n_clusters, random_state, kind)
        resp = np.eye(n_clusters)[em.posterior(codes, mixture).argmax(1)]
        diagonal = mixture_of_partition(codes, resp)
        candidates.append(resp)
        scores.append(float(log_joint(points, diagonal).logsumexp(1).mean()))
    return candidates[int(np.argmax(scores))]


def mixture_of_partition(codes, resp, covariance_type="diag", variances=0.0):
    """Return the mixture of codes (N, L) by the M-step from responsibilities (N, K), float64.

    ``variances`` (N, L) of random codes are added to diagonal covariances, as in the M-step that
    maximizes the bound of VaDE.
    """
    mixture = em.m_step(codes, resp, covariance_type, compute_reg_covar(codes))
    if covariance_type != "diag":
        return mixture
    shares = resp / np.maximum(resp.sum(0), np.finfo(float).tiny)
    within = torch.from_numpy(shares.T @ np.broadcast_to(variances, codes.shape))
    return mixture._replace(scales=(mixture.scales.square() + within).sqrt())


def compute_reg_covar(codes):
    """Return what is added to the variances of a mixture of codes, see ``REG_COVAR``."""
    return REG_COVAR * float(np.var(codes, axis=0).mean()) + np.finfo(np.float32).tiny


# ---- calibration


def find_temperature(log_resp, calibrated):
    """Return the temperature, at least 1, of log-responsibilities (N, K) of a model.

    It minimizes the mean cross-entropy of softmax(log_resp / T) to ``calibrated``
    responsibilities (N, K): temperature scaling (C. Guo et al., "On calibration of modern neural
    networks", ICML 2017) with the responsibilities of a partition in place of labels.
    """

    def cross_entropy(log_temperature):
        log_p = log_softmax(log_resp / np.exp(log_temperature), axis=1)
        return -(calibrated * log_p).sum(1).mean()

    bounds = (0, np.log(MAX_TEMPERATURE))
    best = minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
    return float(np.exp(best.x)) if best.fun < cross_entropy(0.0) else 1.0
