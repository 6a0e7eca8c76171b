"""The fit of a GaussianMixtureEM: rows of EM, initial mixtures, fitted attributes.

N samples, D features, K components.
"""

import math
from functools import partial

import numpy as np
import torch
from sklearn.mixture._gaussian_mixture import _check_precisions

from ..functional.gaps import observed_density
from ..functional.gaussian import (
    Mixture,
    compact_scales,
    scales_from_precisions,
)
from ..input.checks import (
    LARGEST,
    check_answers,
    check_enough,
    check_finite,
    check_magnitude,
    check_range,
    check_responsibilities,
    check_sample_weight,
    check_shape,
    is_dask,
    is_open,
    warn_of_empty,
    warn_user,
)
from ..input.preparation import Preparation
from ..mixture import dask_rows, em
from ..modules.runtime import draw_generator, resolve_device
from ..partition import count_clusters

#: Number of covariances of a component that EM stores at a time.
N_STORED = 6


def begin(estimator, X, sample_weight, last, n_least):
    """Return X and its weights as rows of EM, checked, and what is known before EM.

    The fit continues from the mixture ``last``, unless it is None.
    """
    curve = None
    if last is None:
        preparation = Preparation(
            None,
            accept_sparse=bool(estimator.accept_sparse),
            name=type(estimator).__name__,
        )
        n_clusters, curve = _find_number(estimator, X, sample_weight, preparation)
        n_least = max(n_least, n_clusters)
    else:
        preparation = estimator.preparation_
        n_clusters = len(last.means)
        _check_continuity(estimator)
        curve = vars(estimator).get("n_clusters_curve_")

    rows = read_rows(
        estimator, X, sample_weight, preparation, n_clusters, last is None, n_least
    )
    _check_memory(estimator.covariance_type, n_clusters, rows.X.shape[1])
    attributes = {
        **preparation.input_attributes(),
        "batch_size_": rows.batch_size,
        "device_": str(rows.device),
        "n_clusters_": n_clusters,
    }
    if curve is not None:
        attributes["n_clusters_curve_"] = curve
    return rows, attributes


def _check_memory(kind, n_clusters, n_features):
    """Check that there is memory for the covariances of all pairs of features."""
    n_stored = N_STORED * {"full": n_clusters, "tied": 1}.get(kind, 0)
    try:
        np.empty((n_stored, n_features, n_features))
    except MemoryError as error:
        raise MemoryError(
            f"Covariances of {n_features} features do not fit into memory. Set "
            "covariance_type='diag', or take principal components."
        ) from error


def _find_number(estimator, X, sample_weight, preparation):
    """Return the number of components, and its curve if it is found."""
    if not is_open(estimator.n_clusters):
        return estimator.n_clusters, None
    if is_dask(X):
        raise ValueError(
            f"n_clusters={estimator.n_clusters!r} compares all samples, but X is a Dask array. "
            "Pass a number, for instance n_clusters_ of a fit to some of the samples."
        )
    X = preparation.fit_read(X)
    check_magnitude(X)
    is_auto = estimator.n_clusters == "auto"
    curve = count_clusters(
        X,
        numbers=None if is_auto else check_range(estimator.n_clusters),
        sample_weight=sample_weight,
        max_clusters=estimator.max_clusters,
        random_state=estimator.random_state,
    )
    return curve.pop("best_n_clusters"), curve


def list_initial(estimator, rows, n_clusters, last, random_state):
    """Yield the initial mixtures of EM."""
    if last is not None:
        yield last.to(rows.device)
        return

    fields = _read_initial(estimator, rows, n_clusters)
    if len(fields) == 3:
        yield Mixture(**fields)
        return

    generator = draw_generator(random_state)
    initializer = em.Initializer(rows, n_clusters, make_m_step(estimator), generator)
    if isinstance(estimator.init_params, str):
        for _ in range(estimator.n_init):
            mixture = initializer.initialize(estimator.init_params, estimator.n_init)
            yield mixture._replace(**fields)
        return

    shape = (rows.X.shape[0], n_clusters)
    resp = check_responsibilities("init_params", estimator.init_params, shape)
    resp = torch.tensor(resp, device=rows.device)
    mixture = em.fit_responsibilities(
        rows,
        lambda batch: resp[batch.where],
        initializer.about,
        make_m_step(estimator),
    )
    yield mixture._replace(**fields)


def make_m_step(estimator):
    """Return the options of the M-step."""
    return em.MStep(estimator.covariance_type, estimator.reg_covar)


def report_run(estimator, number, run, change):
    """Print a line per initialization and interval."""
    if not estimator.verbose:
        return
    i = len(run.bounds)
    if i == 0:
        print(f"Initialization {number}")
    elif i % estimator.verbose_interval == 0:
        detail = f"\t lower bound {run.bound:.6f}\t change {change:.6f}"
        print(f"  Iteration {i}{detail if estimator.verbose > 1 else ''}")


def describe_ordered(estimator, run, rows):
    """Return :func:`describe_mixture` with components that have no samples last."""
    attributes = describe_mixture(estimator, run, rows)
    log_weights, means, scales = attributes["mixture_"]
    empty = np.bincount(attributes["labels_"], rows.weight, len(means)) == 0
    if not empty.any():
        return attributes
    order = np.argsort(empty, kind="stable")
    if len(scales) == len(means):
        scales = scales[order]
    run.mixture = Mixture(log_weights[order], means[order], scales)
    return describe_mixture(estimator, run, rows)


def describe_mixture(estimator, run, rows):
    """Return the fitted attributes of a run of EM, by name."""
    # Contiguous as in pickled copies, because rounding may depend on the memory layout.
    fields = (field.contiguous() for field in run.mixture.to("cpu"))
    mixture = Mixture(*fields)
    factors = mixture.precision_factors()
    precisions = factors.square()
    if factors.ndim == 3:
        precisions = factors @ factors.mT
    labels, probabilities = assign_components(mixture, rows)

    def compact(scales):
        return compact_scales(scales, estimator.covariance_type).numpy()

    return {
        "converged_": run.converged,
        "covariances_": compact(mixture.covariances()),
        "labels_": labels,
        "lower_bound_": run.bound,
        "lower_bounds_": run.bounds,
        "means_": mixture.means.clone().numpy(),
        "mixture_": mixture,
        "n_iter_": len(run.bounds),
        "precisions_": compact(precisions),
        "precisions_cholesky_": compact(factors),
        "probabilities_": probabilities,
        "weights_": mixture.log_weights.exp().numpy(),
        "_covariance_type": estimator.covariance_type,
    }


def read_rows(
    estimator, X, sample_weight, preparation, n_clusters, is_first=False, n_least=None
):
    """Return X and its weights, checked, as rows of EM; X is neither copied nor cast.

    EM learns from them if ``n_least`` is the minimum number of samples. The first ones
    decide the features.
    """
    enough = n_least or 1
    is_lazy = is_dask(X)
    if is_lazy:
        X, values = dask_rows.check(preparation, X, is_first)
    elif is_first:
        X = values = preparation.fit_read(X, min_samples=min(2, enough))
    else:
        X = values = preparation.read(X)
    check_enough(X.shape[0], enough)
    if n_least is not None:
        check_magnitude(values)

    weight = check_sample_weight(sample_weight, X)
    batch_size = estimator.batch_size
    if batch_size == "auto":
        batch_size = em.batch_size_for_cache(
            n_clusters, X.shape[1], estimator.covariance_type
        )
    if is_lazy:
        return dask_rows.DaskRows(X, weight, int(batch_size))
    device = resolve_device(estimator.device)
    return em.WeightedRows(X, weight, int(batch_size), device)


def apply_joint(mixture, function, rows):
    """Apply a function of a mixture's log-joint (N, K) to all samples; check the results."""
    log_joint = observed_density(mixture.to(rows.device))

    def answer(x):
        # Squares of clipped values are finite.
        return function(log_joint(x.clamp(-LARGEST, LARGEST)))

    return check_answers(rows.map(answer), rows.X)


def assign_components(mixture, rows):
    """Return the most probable component of each sample, and its probability, (N,) each."""
    pairs = apply_joint(mixture, _assign_surely, rows)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].copy()


def _assign_surely(joint):
    """Return the most probable component of each sample and its probability, (N, 2)."""
    best, label = joint.max(1)
    probability = (best - joint.logsumexp(1)).exp()
    return torch.stack([label.double(), probability], 1)


def warn_of_fit(estimator, attributes):
    """Warn about missing convergence and empty components."""
    if not attributes["converged_"] and estimator.max_iter > 0:
        warn_user(
            f"EM did not converge in {attributes['n_iter_']} iterations. Increase max_iter or tol."
        )
    warn_of_empty(
        len(np.unique(attributes["labels_"])),
        attributes["n_clusters_"],
        "components",
        "Decrease n_clusters or reg_covar, or scale X.",
    )


def _check_continuity(mixture):
    """Check that parameters agree with the fitted mixture."""
    known = {
        "n_clusters": mixture.n_clusters_,
        "covariance_type": mixture._covariance_type,
    }
    for name, value in known.items():
        now = vars(mixture)[name]
        among = check_range(now) if isinstance(now, tuple) else (now,)
        if now != "auto" and value not in among:
            raise ValueError(
                f"The fit continues from a mixture with {name}={value!r}, but now "
                f"{name}={now!r}. Keep it, or call fit with warm_start=False."
            )


def _read_initial(mixture, rows, n_clusters):
    """Return the fields of ``Mixture`` given as parameters, checked."""
    k = n_clusters
    d = rows.X.shape[1]
    read = partial(torch.tensor, device=rows.device)
    fields = {}
    if mixture.weights_init is not None:
        weights = check_shape("weights_init", mixture.weights_init, (k,))
        least = weights.min()
        total = weights.sum()
        if least < 0 or not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(
                "The parameter 'weights_init' should be at least 0 and sum to 1, but the minimum "
                f"is {least:.6g} and the sum {total:.6g}."
            )
        fields["log_weights"] = read(weights).log()
    if mixture.means_init is not None:
        means = check_shape("means_init", mixture.means_init, (k, d))
        fields["means"] = read(means)
    if mixture.precisions_init is not None:
        kind = mixture.covariance_type
        precisions = check_finite("precisions_init", mixture.precisions_init)
        try:
            precisions = read(_check_precisions(precisions, kind, k, d))
        except ValueError as error:
            raise ValueError(f"precisions_init: {error}") from error
        if kind == "tied":
            precisions = precisions[None]
        if kind == "spherical":
            precisions = precisions[:, None]
        fields["scales"] = scales_from_precisions(precisions)
    return fields
