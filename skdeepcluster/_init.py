"""Initial partitions: what ``init`` of a network means, resolved once at the beginning of a fit.

N samples, D features, L code length, K clusters.
"""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ._categories import CATEGORICAL
from ._checks import check_finite, check_responsibilities
from ._labels import check_labels, cluster_means
from .engine.runtime import draw_generator
from .mixture import em
from .mixture.initialization import Initializer
from .neighbor_clustering import NeighborClustering
from .neighbors import count_clusters
from .neighbors.labels import hold_labels, name_clusters
from .neighbors.search import fill_missing

CLUSTERER = HasMethods(["fit", "get_params", "set_params"])
#: Constraints on the parameters of all networks with an initial partition.
CONSTRAINTS = {
    "init": [StrOptions({"neighbors", "mixture"}), CLUSTERER, "array-like"],
    "start_weight": [Interval(Real, 0, None, closed="left")],
    "smoothness_weight": [Interval(Real, 0, None, closed="left")],
    "pretraining_epochs": [
        Interval(Integral, 1, None, closed="left"),
        StrOptions({"auto"}),
    ],
}
#: Constraints of networks whose codes follow a mixture.
CODE_CONSTRAINTS = CONSTRAINTS | {
    "categorical_features": CATEGORICAL,
    "encoder": [callable, None],
    "decoder": [callable, None],
    "masking": [Interval(Real, 0, 1, closed="left")],
}
#: Constraints of adversarial networks.
ADVERSARIAL_CONSTRAINTS = CONSTRAINTS | {
    "init": [*CONSTRAINTS["init"], None],
    "generator": [callable, None],
    "discriminator": [callable, None],
    "pretraining_epochs": [
        Interval(Integral, 0, None, closed="left"),
        StrOptions({"auto"}),
    ],
    # Batch normalization needs two samples.
    "batch_size": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
}
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


class Partition(NamedTuple):
    """A partition of the samples, found before training."""

    #: Responsibilities (N, K) that training is regularized toward; None without any.
    anchor: np.ndarray | None = None
    #: Calibrated responsibilities (N, K); None if they are not known.
    calibrated: np.ndarray | None = None

    @property
    def labels(self):
        """Clusters of the samples, (N,), or None."""
        return None if self.anchor is None else self.anchor.argmax(1)


class NoInit:
    """``init=None``: training starts from nothing.

    ``find_points`` returns the samples or codes (N, D) to find clusters in, so that they
    take memory only where they are needed.
    """

    is_searched = has_anchor = from_codes = False
    #: Whether samples are compared as they are given, never standardized.
    takes_given = False

    def find(self, find_points, n_clusters, random_state, labels=None):
        """Return an empty :class:`Partition`."""
        return Partition()

    def count(self, find_points, random_state):
        """Return the number of clusters, and the curve it was chosen from."""
        curve = dict(count_clusters(find_points(), random_state=random_state))
        return curve.pop("best_n_clusters"), curve


class MixtureInit(NoInit):
    """``init="mixture"``: the posterior of a Gaussian mixture.

    It is fitted to codes, which then follow it, or to samples for networks ``without_codes``.
    """

    is_searched = True

    def __init__(self, without_codes):
        self.has_anchor, self.from_codes = without_codes, not without_codes

    def find(self, find_points, n_clusters, random_state, labels=None):
        """Return the :class:`Partition` by the likeliest of several mixtures."""
        points = fill_missing(find_points())
        resp = em.posterior(points, fit_mixture(points, n_clusters, random_state))
        return Partition(_follow_labels(resp, labels, points))


class ClustererInit(NoInit):
    """A clusterer as ``init``; "neighbors" is a :class:`NeighborClustering`."""

    is_searched = has_anchor = True

    def __init__(self, clusterer):
        self.clusterer = clusterer
        is_ours = isinstance(clusterer, NeighborClustering)
        self.takes_given = is_ours and clusterer.metric != "euclidean"

    def find(self, find_points, n_clusters, random_state, labels=None):
        """Return the :class:`Partition` of a clone with ``n_clusters`` clusters."""
        points = self._complete(find_points())
        fitted = self._fit(points, random_state, labels, n_clusters)
        found = self._read_labels(fitted, points)
        n_found = int(found.max()) + 1
        if n_found > n_clusters:
            raise ValueError(
                f"init={self.clusterer!r} found {n_found} clusters, but n_clusters={n_clusters}. "
                "Set n_clusters of both alike, or use n_clusters='auto'."
            )
        # One-hot: shared responsibilities would blur the clusters of the codes.
        anchor = np.eye(n_clusters)[found]
        if isinstance(fitted, NeighborClustering):
            return Partition(hold_labels(anchor, labels), fitted.responsibilities_)
        return Partition(_follow_labels(anchor, labels, points))

    def count(self, find_points, random_state):
        """Return the number of clusters that a clone finds, and its curve or None."""
        points = self._complete(find_points())
        fitted = self._fit(points, random_state, n_clusters="auto")
        n_clusters = int(self._read_labels(fitted, points).max()) + 1
        curve = getattr(fitted, "n_clusters_curve_", None)
        return n_clusters, None if curve is None else dict(curve)

    def _complete(self, points):
        """Return points without missing values, if the clusterer refuses these."""
        return (
            points
            if get_tags(self.clusterer).input_tags.allow_nan
            else fill_missing(points)
        )

    def _fit(self, points, random_state, labels=None, n_clusters=None):
        """Return a fitted clone; it keeps its own n_clusters if it has no "auto"."""
        fitted = clone(self.clusterer)
        own, given = fitted.get_params(deep=False), {"random_state": random_state}
        is_ours = isinstance(fitted, NeighborClustering)
        if is_ours:
            given |= {
                "noise": 0.0,
                "use_labels": labels is not None,
                "standardize": False,
            }
        if n_clusters != "auto" or is_ours:
            given["n_clusters" if "n_clusters" in own else "n_components"] = n_clusters
        fitted.set_params(
            **{name: value for name, value in given.items() if name in own}
        )
        return fitted.fit(points, labels) if is_ours else fitted.fit(points)

    def _read_labels(self, fitted, points):
        """Return the clusters (N,) of a fitted clusterer; noise goes to the nearest mean."""
        labels = getattr(fitted, "labels_", None)
        labels = np.array(fitted.predict(points) if labels is None else labels)
        is_noise = labels < 0
        if is_noise.all():
            raise ValueError(f"init={self.clusterer!r} labels every sample as noise.")
        _, labels[~is_noise] = np.unique(labels[~is_noise], return_inverse=True)
        if is_noise.any():
            means = cluster_means(
                np.eye(labels.max() + 1)[labels[~is_noise]], points[~is_noise]
            )
            labels[is_noise] = pairwise_distances_argmin(points[is_noise], means)
        return labels


class GivenInit(NoInit):
    """An array as ``init``: labels (N,) or responsibilities (N, K)."""

    has_anchor = True

    def __init__(self, values, n_samples, index):
        self.values, self.n_samples, self.index = values, n_samples, index

    def find(self, find_points, n_clusters, random_state, labels=None):
        """Return the given :class:`Partition`, checked."""
        anchor = check_partition("init", self.values, self.n_samples, n_clusters)
        anchor = anchor if self.index is None else anchor[self.index]
        return Partition(hold_labels(anchor, labels))

    def count(self, find_points, random_state):
        """Return the number of clusters that are given, and no curve."""
        values = check_finite("init", self.values)
        n_clusters = int(values.max()) + 1 if values.ndim == 1 else values.shape[1]
        return max(n_clusters, 1), None


def resolve_init(init, n_samples, index=None, without_codes=False):
    """Return the object that ``init`` stands for, to a network with or ``without_codes``.

    A given array has ``n_samples`` entries; ``index`` selects the ones to train on.
    """
    if init is None:
        return NoInit()
    if isinstance(init, str):
        threads = torch.get_num_threads()
        own = {"neighbors": ClustererInit(NeighborClustering(n_jobs=threads))}
        return own.get(init) or MixtureInit(without_codes)
    if not isinstance(init, BaseEstimator) and not hasattr(init, "fit"):
        return GivenInit(init, n_samples, index)
    if getattr(init, "metric", None) == "precomputed":
        raise ValueError(
            "init compares standardized samples, but its metric asks for precomputed distances. "
            "Name a metric of features, or pass labels_ of a NeighborClustering as init."
        )
    return ClustererInit(init)


def check_partition(name, value, n_samples, n_clusters):
    """Return responsibilities (N, K) from responsibilities or from cluster labels (N,)."""
    if np.ndim(value) != 1:
        return check_responsibilities(name, value, (n_samples, n_clusters))
    return np.eye(n_clusters)[
        check_labels(name, value, n_samples, n_clusters, lowest=0)
    ]


def _follow_labels(resp, labels, points):
    """Return responsibilities (N, K) numbered like the known labels (N,), which are kept."""
    if labels is None:
        return resp
    counts = hold_labels(np.zeros_like(resp), labels)
    names = name_clusters(np.eye(resp.shape[1])[resp.argmax(1)], counts, points)
    return hold_labels(resp[:, np.argsort(names)], labels)


# ---- mixtures of codes


def fit_mixture(codes, n_clusters, random_state, covariance_type="diag"):
    """Return the likeliest of ``N_INIT`` mixtures of codes (N, L), by EM from k-means."""
    double = np.ascontiguousarray(codes, dtype=np.float64)
    rows = em.as_rows(double, n_clusters, covariance_type)
    m_step = em.MStep(covariance_type, compute_reg_covar(codes))
    initializer = Initializer(rows, n_clusters, m_step, draw_generator(random_state))
    starts = (initializer.initialize("kmeans", N_INIT) for _ in range(N_INIT))
    return em.run_em(rows, starts, m_step, max_iter=MAX_ITER, tol=TOL).mixture


def mixture_of_partition(codes, resp, covariance_type="diag"):
    """Return the mixture of codes (N, L) by the M-step from responsibilities (N, K), float64."""
    return em.m_step(codes, resp, covariance_type, compute_reg_covar(codes))


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

    best = minimize_scalar(
        cross_entropy, bounds=(0, np.log(MAX_TEMPERATURE)), method="bounded"
    )
    return float(np.exp(best.x)) if best.fun < cross_entropy(0.0) else 1.0
