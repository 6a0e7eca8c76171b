"""GaussianMixtureEM on samples with missing values: marginal densities, exact EM, imputation."""

import numpy as np
import pytest
import torch
from common import full_covariances, given_mixture
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.functional import gaps, gaussian

TYPES = ["full", "tied", "diag", "spherical"]
K = 3
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def remove(X, share=0.3, seed=0):
    """Return X with a share of its values missing; the first sample misses all of them."""
    X = np.array(X, dtype=float)
    X[np.random.RandomState(seed).random_sample(X.shape) < share] = np.nan
    X[0] = np.nan
    return X


X = remove(load_iris().data)


def make(kind="full", **options):
    """Return a mixture that is not fitted."""
    options = {"n_clusters": K, "random_state": 0} | options
    return GaussianMixtureEM(covariance_type=kind, **options)


def log_joint(mixture, X):
    """Return log pi_k + log N(observed x_n | k) by scipy, one sample at a time."""
    joint = np.tile(np.log(mixture.weights_), (len(X), 1))
    covariances = full_covariances(mixture.mixture_)
    for n, k in np.ndindex(joint.shape):
        o = np.flatnonzero(~np.isnan(X[n]))
        if len(o):
            mean = mixture.means_[k][o]
            covariance = covariances[k][np.ix_(o, o)]
            joint[n, k] += multivariate_normal.logpdf(X[n, o], mean, covariance)
    return joint


def assert_same(one, two):
    """Check that two mixtures have the same means and covariances."""
    np.testing.assert_allclose(one.means_, two.means_, rtol=1e-8)
    np.testing.assert_allclose(one.covariances_, two.covariances_, atol=1e-8)


# ---- densities


@pytest.mark.parametrize("far", [0, 1e7])
@pytest.mark.parametrize("kind", TYPES)
def test_densities_are_those_of_the_observed_features(kind, far):
    means = np.arange(K * 4.0).reshape(K, 4) / 4 + far * np.arange(K)[:, None]
    mixture = GaussianMixtureEM(K, max_iter=0, **given_mixture(means, kind)).fit(X)
    near = X + far * (np.arange(len(X)) % K)[:, None]
    joint = log_joint(mixture, near)
    evidence = logsumexp(joint, 1, keepdims=True)
    log_p = mixture.score_samples(near)
    np.testing.assert_allclose(log_p, evidence[:, 0], rtol=1e-10, atol=1e-10)
    resp = mixture.predict_proba(near)
    np.testing.assert_allclose(resp, np.exp(joint - evidence), atol=1e-9)
    np.testing.assert_allclose(resp[0], mixture.weights_, rtol=1e-12)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_patterns_of_many_features_are_kept_apart(kind):
    """Pairs differ in a feature among the first or last ones; 900 exceed one tensor."""
    stream = np.random.default_rng(0)
    rows = stream.normal(size=(920, 40))
    gaps = stream.random(rows.shape).argsort(1) < 20
    gaps[900:] = False
    for i in range(20):
        gaps[900 + i, [20, [0, 1, 31, 32, 39][i // 4], 33 + i % 2]] = True
    rows[gaps] = np.nan
    start = given_mixture(stream.normal(size=(3, 40)), kind)
    mixture = GaussianMixtureEM(3, max_iter=0, **start).fit(stream.normal(size=(50, 40)))
    expected = logsumexp(log_joint(mixture, rows), 1)
    np.testing.assert_allclose(mixture.score_samples(rows), expected)


@pytest.mark.parametrize("n_clusters", [1, K])
@pytest.mark.parametrize("kind", TYPES)
def test_imputation_averages_conditional_means_over_the_components(kind, n_clusters):
    mixture = make(kind, n_clusters=n_clusters).fit(X)
    resp = mixture.predict_proba(X)
    covariances = full_covariances(mixture.mixture_)
    expected = np.nan_to_num(X)
    for n, k in np.ndindex(resp.shape):
        o = np.flatnonzero(~np.isnan(X[n]))
        m = np.flatnonzero(np.isnan(X[n]))
        mean = mixture.means_[k]
        slope = covariances[k][np.ix_(m, o)] @ np.linalg.inv(covariances[k][np.ix_(o, o)])
        expected[n, m] += resp[n, k] * (mean[m] + slope @ (X[n, o] - mean[o]))
    np.testing.assert_allclose(mixture.impute(X), expected, rtol=1e-8, atol=1e-8)


# ---- EM


@pytest.mark.parametrize(
    ("kind", "init"),
    [
        ("full", "kmeans"),
        ("tied", "k-means++"),
        ("diag", "random"),
        ("spherical", "random_from_data"),
    ],
)
def test_bounds_never_fall(kind, init):
    mixture = make(kind, init_params=init, tol=1e-6, max_iter=500, batch_size=64).fit(X)
    assert np.diff(mixture.lower_bounds_).min() > -1e-9
    assert mixture.score(X) == pytest.approx(mixture.lower_bound_, abs=1e-5)
    assert mixture.converged_


def test_moments_of_complete_samples_are_found():
    covariance = np.array([[2, 1.2, 0.4], [1.2, 1, 0.3], [0.4, 0.3, 0.5]])
    stream = np.random.RandomState(1)
    complete = stream.multivariate_normal([1, 2, 3], covariance, 20_000)
    mixture = GaussianMixtureEM(1, tol=1e-9, max_iter=500).fit(remove(complete, 0.2))
    np.testing.assert_allclose(mixture.means_[0], [1, 2, 3], atol=0.03)
    np.testing.assert_allclose(mixture.covariances_[0], covariance, atol=0.06)


@pytest.mark.parametrize("kind", TYPES)
def test_weights_are_repetitions(kind):
    weight = np.random.RandomState(0).randint(0, 3, len(X))
    repeated = np.repeat(X, weight, 0)
    once = make(kind, max_iter=5).fit(X, sample_weight=weight)
    assert_same(once, make(kind, max_iter=5).fit(repeated))
    assert once.bic(X, weight) == pytest.approx(once.bic(repeated))


@pytest.mark.parametrize("kind", TYPES)
def test_batches_and_memory_maps_give_the_same(kind, tmp_path):
    stored = np.memmap(tmp_path / "X", mode="w+", dtype=X.dtype, shape=X.shape)
    stored[:] = X
    whole = make(kind, max_iter=5).fit(X)
    assert_same(make(kind, max_iter=5, batch_size=32).fit(stored), whole)


def test_dask_arrays_give_the_same():
    blocks = pytest.importorskip("dask.array").from_array(X, chunks=(40, 4))
    whole = make(max_iter=5).fit(X)
    parts = make(max_iter=5).fit(blocks)
    assert_same(parts, whole)
    np.testing.assert_allclose(parts.impute(blocks), whole.impute(X), rtol=1e-8)
    np.testing.assert_array_equal(parts.predict(blocks[5:6]), whole.predict(X[5:6]))
    single = make(max_iter=5).fit(blocks.astype("float32"))
    assert_same(single, make(max_iter=5).fit(X.astype("float32")))


def test_partial_fit_takes_missing_values():
    mixture = make(learning_decay=0.0).partial_fit(X)  # without decay a step is one of EM
    assert_same(mixture, make(max_iter=1).fit(X))
    without_first = X.copy()
    without_first[:, 0] = np.nan
    mixture.partial_fit(without_first)
    assert np.isfinite(mixture.lower_bound_)
    assert np.isfinite(mixture.means_).all()


# ---- errors


def test_columns_without_values_and_infinities_are_refused():
    empty = X.copy()
    empty[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"no values in the columns \[2\]"):
        make().fit(empty)
    with pytest.raises(ValueError, match=r"no values in the columns \[2\]"):
        make().fit(X, sample_weight=np.isnan(X[:, 2]))

    infinite = X.copy()
    infinite[3, 1] = np.inf
    fitted = make().fit(X)
    for method in (make().fit, fitted.predict, fitted.impute):
        with pytest.raises(ValueError, match="infinity"):
            method(infinite)


def test_equal_features_have_no_conditional_covariance():
    scales = torch.tensor([[[1.0, 0, 0], [1, 1e-9, 0], [0, 0, 1]]]).double()
    mixture = gaussian.Mixture(torch.zeros(1).double(), torch.zeros(1, 3).double(), scales)
    gap = torch.tensor([[torch.nan, torch.nan, 0.0]]).double()
    with pytest.raises(ValueError, match="no conditional covariance.*Increase reg_covar"):
        gaps.observed_density(mixture)(gap)
