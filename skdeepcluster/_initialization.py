"""Initial responsibilities of rows, or of codes of pretrained networks.

N rows, D features, L code length, K clusters.
"""

from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions

from ._responsibilities import check_partition
from .engine.runtime import broadcast_object, draw_seed, generator
from .functional.gaussian import Mixture
from .mixture import em
from .mixture.initialization import Initializer
from .neighbor_clustering import METRICS, NeighborClustering
from .neighbors import count_clusters, neighbor_start
from .neighbors.precomputed import is_precomputed

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
}
#: Added to the variances of a mixture on codes, as a share of the mean variance of the codes: some
#: dimensions of the codes may be constant.
REG_COVAR = 1e-3
#: EM on codes has converged when the mean log-likelihood changes by less.
TOL = 1e-3
#: Most EM iterations on codes.
MAX_ITER = 200


class Initialization(NamedTuple):
    """What the training of a model starts from."""

    #: Responsibilities (N, K) that training is regularised towards, float32.
    anchor: np.ndarray | None = None
    #: Initial clusters (N,).
    start_labels: np.ndarray | None = None
    #: Continuous codes (N, C) that InfoGAN's Q is regularised towards.
    style: np.ndarray | None = None
    #: Initial mixture of the codes, for a new model that has one.
    mixture: Mixture | None = None
    #: Whether the user stopped the pretraining.
    interrupted: bool = False


def initial_responsibilities(init, rows, n_clusters, random_state, n_init=10, metric="euclidean"):
    """Return responsibilities (N, K) of clusters for rows (N, D), found without labels.

    ``init`` is "neighbors", the partition of the neighbour graph of the rows by ``metric``; a
    NeighborClustering, the same by its settings but without noise; "mixture", the posterior of the
    likeliest of ``n_init`` Gaussian mixtures; or responsibilities (N, K), which are returned as
    they are. Those of a partition are zeros and ones: shared ones would blur the clusters of the
    codes.
    """
    if isinstance(init, str) and init == "mixture":
        return em.posterior(rows, fit_mixture(rows, n_clusters, random_state, n_init))
    resp = init
    if isinstance(init, str):
        options = {"random_state": random_state, "n_jobs": torch.get_num_threads()}
        start = neighbor_start(rows, n_clusters, metric=metric, **options)
        resp = np.eye(n_clusters)[start.labels]
    elif isinstance(init, NeighborClustering):
        start = clone(init).set_params(n_clusters=n_clusters, random_state=random_state, noise=0.0)
        resp = np.eye(n_clusters)[start.fit(rows).labels_]
    # EM draws one seed from the stream; every other method does so, too, and leaves it in the same
    # state.
    draw_seed(random_state)
    return resp


def initial_mixture(
    init,
    codes,
    rows,
    n_clusters,
    random_state,
    n_init=10,
    covariance_type="diag",
    metric="euclidean",
):
    """Return a mixture of codes (N, L), float64 on the CPU, and responsibilities (N, K).

    With ``init="mixture"`` these are the result of EM and its posterior; otherwise the
    :func:`initial_responsibilities` of ``rows`` and the M-step from them. The neighbour graph is
    that of ``rows`` (N, D): the codes, or the rows themselves.
    """
    if isinstance(init, str) and init == "mixture":
        mixture = fit_mixture(codes, n_clusters, random_state, n_init, covariance_type)
        return mixture, em.posterior(codes, mixture)
    resp = initial_responsibilities(init, rows, n_clusters, random_state, metric=metric)
    return em.m_step(codes, resp, covariance_type, compute_reg_covar(codes)), resp


def fit_mixture(codes, n_clusters, random_state, n_init, covariance_type="diag"):
    """Fit a mixture to codes: EM from k-means, the likeliest of ``n_init`` runs."""
    rows = em.as_rows(codes, n_clusters, covariance_type)
    m_step = em.MStep(covariance_type, compute_reg_covar(codes))
    initializer = Initializer(rows, n_clusters, m_step, generator(draw_seed(random_state)))
    starts = (initializer.initialize("kmeans", max(1, 10 // n_init)) for _ in range(n_init))
    return em.fit(rows, starts, m_step, max_iter=MAX_ITER, tol=TOL).mixture


def compute_reg_covar(codes):
    """Return what is added to the variances of a mixture on codes, see ``REG_COVAR``."""
    return REG_COVAR * float(np.var(codes, axis=0).mean()) + np.finfo(np.float32).tiny


def find_number(init, rows, random_state, **options):
    """Return the number of clusters of ``init``, or of rows (N, D), and its curve or None.

    ``options`` are those of :func:`count_clusters`; a NeighborClustering as ``init`` has its own.
    """
    if is_partition(init):
        labels = check_array(init, dtype=np.float64, ensure_2d=False, input_name="init")
        return max(int(labels.max()) + 1, 1) if labels.ndim == 1 else labels.shape[1], None
    if isinstance(init, NeighborClustering):
        names = "n_neighbors", "metric", "n_components"
        options |= {name: getattr(init, name) for name in names}
    n_jobs = torch.get_num_threads()
    curve = count_clusters(rows, random_state=random_state, n_jobs=n_jobs, **options)
    return curve.pop("best_n_clusters"), curve


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


def is_partition(init):
    """Return whether ``init`` is a partition given by the user."""
    return not (init is None or isinstance(init, str | NeighborClustering))


def check_init(estimator, n_samples):
    """Return ``init``; clusters or responsibilities given by the user, as (N, K), checked."""
    init = estimator.init
    if not is_partition(init):
        return init
    return check_partition("init", init, n_samples, estimator._count_clusters())


def initialize_prior(estimator, model, fit, is_new):
    """Pretrain the networks of a model with a mixture prior, and cluster their codes.

    The neighbour graph is that of the codes, or with few rows, from which an auto-encoder learns
    little, that of the standardised rows. A model that is not new is not pretrained, and keeps the
    clusters it has. With ``init="mixture"`` there is no anchor.
    """
    init, mixture, interrupted = check_init(estimator, fit.n_samples), None, False
    if is_new:
        networks = model.encoder, model.decoder, model.likelihood
        interrupted = estimator._pretrain(*networks, fit)[1]
        codes = estimator._apply(model, model.encode, fit.X)
        rows = estimator._apply(model, model.standardize, fit.X)
        counts = estimator._count_clusters(), fit.random_state, estimator.mixture_n_init
        initialize = partial(initial_mixture, init, codes, rows, *counts, metric=estimator.metric)
        mixture, resp = broadcast_object(initialize, fit.random_state)
    else:
        resp = estimator._apply(model, model.resp, fit.X)
    anchored = not (isinstance(init, str) and init == "mixture")
    anchor = resp.astype(np.float32) if anchored else None
    return Initialization(anchor, resp.argmax(1), mixture=mixture, interrupted=interrupted)
