"""Initial responsibilities of rows, or of codes of pretrained networks.

N rows, D features, L code length, K clusters.
"""

from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from ._responsibilities import check_finite, check_partition
from .engine.runtime import draw_generator, draw_seed
from .functional.gaussian import Mixture
from .mixture import em
from .mixture.initialization import Initializer
from .neighbor_clustering import METRICS, NeighborClustering
from .neighbors import count_clusters
from .neighbors import find_partition as partition_by_neighbors
from .neighbors.labels import hold_labels, name_clusters
from .neighbors.search import is_precomputed

#: Constraints on the parameters of all methods that have initial responsibilities.
START_CONSTRAINTS = {
    "metric": [StrOptions(METRICS), callable],
    "start_weight": [Interval(Real, 0, None, closed="left")],
    "smoothness_weight": [Interval(Real, 0, None, closed="left")],
    "pretraining_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "pretraining_learning_rate": [Interval(Real, 0, None, closed="neither")],
    "mixture_n_init": [Interval(Integral, 1, None, closed="left")],
}
#: Constraints on the parameters of methods whose codes follow a mixture prior.
PRIOR_CONSTRAINTS = {
    **START_CONSTRAINTS,
    "encoder": [callable, None],
    "decoder": [callable, None],
    "init": [StrOptions({"neighbors", "mixture"}), NeighborClustering, "array-like"],
    "masking": [Interval(Real, 0, 1, closed="left")],
}
#: Constraints on the parameters of adversarial methods.
ADVERSARIAL_CONSTRAINTS = {
    **START_CONSTRAINTS,
    "generator": [callable, None],
    "discriminator": [callable, None],
    "init": [StrOptions({"neighbors", "mixture"}), NeighborClustering, "array-like", None],
    "pretraining_epochs": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    # Batch normalisation needs two rows.
    "batch_size": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
}
#: Added to the variances of a mixture on codes, as a share of the mean variance of the codes: some
#: dimensions of the codes may be constant.
REG_COVAR = 1e-3
#: EM on codes has converged when the mean log-likelihood changes by less.
TOL = 1e-3
#: Largest temperature of probabilities.
MAX_TEMPERATURE = 100.0
#: Most EM iterations on codes.
MAX_ITER = 200


class Partition(NamedTuple):
    """Clusters of rows, found before training."""

    #: Responsibilities (N, K) that training is regularised towards.
    anchor: np.ndarray
    #: Calibrated responsibilities (N, K); None where there are none.
    calibrated: np.ndarray | None = None


class Initialization(NamedTuple):
    """What the training of a model starts from."""

    #: Responsibilities (N, K) that training is regularised towards, float32.
    anchor: np.ndarray | None = None
    #: Responsibilities (N, K) that the probabilities of the trained model are calibrated by.
    calibrated: np.ndarray | None = None
    #: Initial clusters (N,).
    start_labels: np.ndarray | None = None
    #: Values of InfoGAN's codes (N, S): continuous codes, then noise variables.
    style: np.ndarray | None = None
    #: Initial mixture of the codes, for a new model that has one.
    mixture: Mixture | None = None
    #: Whether the user stopped the pretraining.
    interrupted: bool = False

    @classmethod
    def of(cls, partition, **others):
        """Return what training starts from by a :class:`Partition`, its clusters included."""
        anchor = partition.anchor
        return cls(anchor.astype(np.float32), partition.calibrated, anchor.argmax(1), **others)


def find_partition(init, rows, n_clusters, random_state, n_init, metric="euclidean", labels=None):
    """Return the :class:`Partition` of rows (N, D) into K clusters.

    ``init`` is "neighbors", the partition of the neighbour graph of the rows by ``metric``; a
    NeighborClustering, the same by its settings but without noise; "mixture", the posterior of the
    likeliest of ``n_init`` Gaussian mixtures; or responsibilities (N, K), which are returned as
    they are. The anchor by a neighbour graph is of zeros and ones: shared responsibilities would
    blur the clusters of the codes. Rows with ``labels`` (N,), which are -1 for the others, have
    these clusters.
    """
    if is_mixture(init):
        resp = em.posterior(rows, fit_mixture(rows, n_clusters, random_state, n_init))
        return Partition(_follow_names(resp, labels, rows))
    resp = None
    if isinstance(init, str):
        options = {"random_state": random_state, "n_jobs": torch.get_num_threads()}
        found = partition_by_neighbors(rows, n_clusters, metric=metric, labels=labels, **options)
        resp = found.extend(rows, options["n_jobs"])[0]
    elif isinstance(init, NeighborClustering):
        own = {"n_clusters": n_clusters, "random_state": random_state, "noise": 0.0}
        start = clone(init).set_params(**own, use_labels=labels is not None)
        resp = start.fit(rows, labels).responsibilities_
    # Not used: the numbers that training draws, and with them its results, would change without.
    draw_seed(random_state)
    anchor = init if resp is None else np.eye(n_clusters)[resp.argmax(1)]
    return Partition(hold_labels(anchor, labels), resp)


def _follow_names(resp, labels, rows):
    """Return responsibilities (N, K) of clusters named by ``labels`` (N,), which are held."""
    if labels is None:
        return resp
    counts = hold_labels(np.zeros_like(resp), labels)
    names = name_clusters(np.eye(resp.shape[1])[resp.argmax(1)], counts, rows)
    return hold_labels(resp[:, np.argsort(names)], labels)


def fit_mixture(codes, n_clusters, random_state, n_init, covariance_type="diag"):
    """Fit a mixture to codes: EM from k-means, the likeliest of ``n_init`` runs."""
    double = np.ascontiguousarray(codes, dtype=np.float64)
    rows = em.as_rows(double, n_clusters, covariance_type)
    m_step = em.MStep(covariance_type, compute_reg_covar(codes))
    initializer = Initializer(rows, n_clusters, m_step, draw_generator(random_state))
    starts = (initializer.initialize("kmeans", n_init) for _ in range(n_init))
    return em.fit_to_the_end(rows, starts, m_step, max_iter=MAX_ITER, tol=TOL)


def mixture_of_partition(codes, resp, covariance_type="diag"):
    """Return the mixture of codes (N, L) by the M-step from responsibilities (N, K), float64."""
    return em.m_step(codes, resp, covariance_type, compute_reg_covar(codes))


def compute_reg_covar(codes):
    """Return what is added to the variances of a mixture on codes, see ``REG_COVAR``."""
    return REG_COVAR * float(np.var(codes, axis=0).mean()) + np.finfo(np.float32).tiny


def find_number(init, rows, random_state, **options):
    """Return the number of clusters of ``init``, or of rows (N, D), and its curve or None.

    ``options`` are those of :func:`count_clusters`; a NeighborClustering as ``init`` has its own
    graph and layout, and may consider fewer numbers.
    """
    if is_partition(init):
        labels = check_finite("init", init)
        return max(int(labels.max()) + 1, 1) if labels.ndim == 1 else labels.shape[1], None
    if isinstance(init, NeighborClustering):
        names = "n_neighbors", "metric", "n_components"
        options |= {name: getattr(init, name) for name in names}
        options["max_clusters"] = min(options["max_clusters"], init.max_clusters)
    n_jobs = torch.get_num_threads()
    curve = count_clusters(rows, random_state=random_state, n_jobs=n_jobs, **options)
    return curve.pop("best_n_clusters"), dict(curve)


def check_metrics(estimator):
    """Check that a start that compares rows is not to read distances."""
    init = getattr(estimator, "init", None)
    for name, owner in {"metric": estimator, "init": init}.items():
        metric = getattr(owner, "metric", None)
        if is_precomputed(metric):
            raise ValueError(
                f"The start of {type(estimator).__name__} compares codes or rows, but {name} asks "
                "for precomputed distances. Name a metric of features, or pass labels_ of a "
                "NeighborClustering fitted to your distances as init."
            )


def name_start(init):
    """Return the name of the phase of a fit in which ``init`` finds a partition."""
    return "mixture" if is_mixture(init) else "neighbours"


def is_partition(init):
    """Return whether ``init`` is a partition given by the user."""
    return not (init is None or isinstance(init, str | NeighborClustering))


def check_init(estimator, fit):
    """Return ``init``; a partition given by the user as (N, K), checked."""
    init = estimator.init
    if not is_partition(init):
        return init
    n_given = fit.given["X"].shape[0]
    return fit.take(check_partition("init", init, n_given, estimator._count_clusters()))


def is_mixture(init):
    """Return whether ``init`` asks for a Gaussian mixture fitted to codes."""
    return isinstance(init, str) and init == "mixture"


def search_partition(estimator, init, fit, rows=None):
    """Return the :class:`Partition` of rows (N, D), by default the standardised ones of a fit."""
    fit.progress.begin(name_start(init))
    if rows is None and not is_partition(init):
        rows = fit.standardize_rows()
    counts = estimator._count_clusters(), fit.random_state, estimator.mixture_n_init
    options = {"metric": estimator.metric, "labels": fit.labels}
    return fit.search(partial(find_partition, init, rows, *counts, **options))


def resume_partition(estimator, model, fit):
    """Return the :class:`Partition` of a model that is trained on: its own, and the labels."""
    resp = estimator._apply(model, model.own_resp, fit.X)
    return Partition(hold_labels(resp, fit.labels))


def find_temperature(log_resp, calibrated):
    """Return the temperature T, at least 1, of log-responsibilities (N, K) of a model.

    The one at which the mean cross-entropy of softmax(log_resp / T) to ``calibrated``
    responsibilities (N, K) is least: temperature scaling (C. Guo et al., "On calibration of modern
    neural networks", ICML 2017) by a partition's responsibilities in place of labels. Powers of
    responsibilities keep the order of the clusters of a row.
    """

    def cross_entropy(log_temperature):
        log_p = log_softmax(log_resp / np.exp(log_temperature), axis=1)
        return -(calibrated * log_p).sum(1).mean()

    best = minimize_scalar(cross_entropy, bounds=(0, np.log(MAX_TEMPERATURE)), method="bounded")
    return float(np.exp(best.x)) if best.fun < cross_entropy(0.0) else 1.0
