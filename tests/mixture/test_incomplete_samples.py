"""GaussianMixtureEM on samples with missing values: marginal densities, exact EM, imputation."""

import numpy as np
import pytest
import torch
from common import full_covariances, given_mixture
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.functional import statistics
from skdeepcluster.functional.gaussian import Mixture

TYPES = ["full", "tied", "diag", "spherical"]
INITS = ["kmeans", "k-means++", "random", "random_from_data"]
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
    options = {"n_clusters": K, "random_state": 0} | options
    return GaussianMixtureEM(covariance_type=kind, **options)


def log_joint(mixture, X):
    """Return log pi_k + log N(observed x_n | k) by scipy, one sample at a time."""
    joint = np.tile(np.log(mixture.weights_), (len(X), 1))
    covariances = full_covariances(mixture.mixture_)
    for n, k in np.ndindex(joint.shape):
        o = np.flatnonzero(~np.isnan(X[n]))
        if len(o):
            own = mixture.means_[k][o], covariances[k][np.ix_(o, o)]
            joint[n, k] += multivariate_normal.logpdf(X[n, o], *own)
    return joint


@pytest.mark.parametrize("far", [0, 1e7])
@pytest.mark.parametrize("kind", TYPES)
def test_densities_are_those_of_the_observed_features(kind, far):
    means = np.arange(K * 4.0).reshape(K, 4) / 4 + far * np.arange(K)[:, None]
    mixture = GaussianMixtureEM(K, max_iter=0, **given_mixture(means, kind)).fit(X)
    near = X + far * (np.arange(len(X)) % K)[:, None]
    expected = log_joint(mixture, near)
    found = mixture.score_samples(near)
    np.testing.assert_allclose(found, logsumexp(expected, 1), rtol=1e-10, atol=1e-10)
    resp = np.exp(expected - logsumexp(expected, 1, keepdims=True))
    np.testing.assert_allclose(mixture.predict_proba(near), resp, atol=1e-9)
    np.testing.assert_allclose(mixture.predict_proba(X[:1]), [mixture.weights_], rtol=1e-12)


@pytest.mark.parametrize(("kind", "init"), list(zip(TYPES, INITS, strict=True)))
def test_bounds_never_fall(kind, init):
    mixture = make(kind, init_params=init, tol=1e-6, max_iter=500, batch_size=64).fit(X)
    assert np.diff(mixture.lower_bounds_).min() > -1e-9
    assert mixture.score(X) == pytest.approx(mixture.lower_bound_, abs=1e-5)
    assert mixture.converged_


@pytest.mark.parametrize("kind", TYPES)
def test_incomplete_samples_of_weight_zero_change_nothing(kind):
    complete = load_iris().data
    mixture = make(kind, max_iter=3).fit(complete)
    more = np.r_[complete, X]
    weight = np.repeat([1.0, 0.0], len(X))
    with_more = make(kind, max_iter=3).fit(more, sample_weight=weight)
    np.testing.assert_allclose(with_more.means_, mixture.means_, rtol=1e-9)
    np.testing.assert_allclose(with_more.covariances_, mixture.covariances_, atol=1e-9)
    assert np.array_equal(with_more.labels_[: len(X)], mixture.labels_)


def test_moments_of_complete_samples_are_found():
    random_state = np.random.RandomState(1)
    covariance = np.array([[2, 1.2, 0.4], [1.2, 1, 0.3], [0.4, 0.3, 0.5]])
    complete = random_state.multivariate_normal([1, 2, 3], covariance, 20_000)
    given = remove(complete, 0.2)
    mixture = GaussianMixtureEM(1, tol=1e-9, max_iter=500).fit(given)
    np.testing.assert_allclose(mixture.means_[0], [1, 2, 3], atol=0.03)
    np.testing.assert_allclose(mixture.covariances_[0], covariance, atol=0.06)


@pytest.mark.parametrize("n_clusters", [1, K])
@pytest.mark.parametrize("kind", TYPES)
def test_imputation_averages_conditional_means_over_the_components(kind, n_clusters):
    mixture = make(kind, n_clusters=n_clusters).fit(X)
    resp, expected = mixture.predict_proba(X), np.zeros_like(X)
    covariances = full_covariances(mixture.mixture_)
    for n, k in np.ndindex(resp.shape):
        o, m = np.flatnonzero(~np.isnan(X[n])), np.flatnonzero(np.isnan(X[n]))
        mean, covariance = mixture.means_[k], covariances[k]
        slope = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
        expected[n, m] += resp[n, k] * (mean[m] + slope @ (X[n, o] - mean[o]))
    np.testing.assert_allclose(
        mixture.impute(X), np.where(np.isnan(X), expected, X), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("kind", TYPES)
def test_weights_are_repetitions(kind):
    weight = np.random.RandomState(0).randint(0, 3, len(X))
    once = make(kind, max_iter=5).fit(X, sample_weight=weight)
    repeated = make(kind, max_iter=5).fit(np.repeat(X, weight, 0))
    np.testing.assert_allclose(once.means_, repeated.means_, rtol=1e-8)
    np.testing.assert_allclose(once.covariances_, repeated.covariances_, atol=1e-8)
    assert once.bic(X, weight) == pytest.approx(repeated.bic(np.repeat(X, weight, 0)))


@pytest.mark.parametrize("kind", TYPES)
def test_batches_and_memory_maps_give_the_same(kind, tmp_path):
    stored = np.memmap(tmp_path / "X", mode="w+", dtype=X.dtype, shape=X.shape)
    stored[:] = X
    whole = make(kind, max_iter=5).fit(X)
    batches = make(kind, max_iter=5, batch_size=32).fit(stored)
    np.testing.assert_allclose(batches.means_, whole.means_, rtol=1e-8)
    np.testing.assert_allclose(batches.covariances_, whole.covariances_, atol=1e-8)


def test_partial_fit_takes_missing_values():
    stream = make(learning_decay=0.0)
    mixture = make(max_iter=1).fit(X)
    stream.partial_fit(X)  # without decay a step is one of EM
    np.testing.assert_allclose(stream.means_, mixture.means_, rtol=1e-10)
    without_first = X.copy()
    without_first[:, 0] = np.nan
    bound = stream.partial_fit(without_first).lower_bound_
    assert np.isfinite(bound)
    assert np.isfinite(stream.means_).all()


def test_columns_without_values_and_infinities_are_refused():
    empty, infinite = X.copy(), X.copy()
    empty[:, 2], infinite[3, 1] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"no values in the columns \[2\]"):
        make().fit(empty)
    with pytest.raises(ValueError, match=r"no values in the columns \[2\]"):
        make().fit(X, sample_weight=np.isnan(X[:, 2]))
    for predict in (make().fit, make().fit(X).predict, make().fit(X).impute):
        with pytest.raises(ValueError, match="infinity"):
            predict(infinite)


def test_dask_arrays_give_the_same():
    blocks = pytest.importorskip("dask.array").from_array(X, chunks=(40, 4))
    whole, parts = make(max_iter=5).fit(X), make(max_iter=5).fit(blocks)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-8)
    np.testing.assert_allclose(parts.impute(blocks), whole.impute(X), rtol=1e-8)
    np.testing.assert_array_equal(parts.predict(blocks[5:6]), whole.predict(X[5:6]))
    single = make(max_iter=5).fit(blocks.astype("float32"))
    np.testing.assert_allclose(single.means_, make(max_iter=5).fit(X.astype("float32")).means_)


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("limit", [1, 2**20])
def test_patterns_of_many_features_are_kept_apart(kind, limit, monkeypatch):
    monkeypatch.setattr(statistics, "MAX_ELEMENTS", limit)
    stream = np.random.default_rng(0)
    rows = stream.normal(size=(24, 40))
    for i in range(20):  # pairs of patterns differ in a feature among the first or the last ones
        rows[i, [20, [0, 1, 31, 32, 39][i // 4], 33 + i % 2]] = np.nan
    given = given_mixture(stream.normal(size=(3, 40)), kind)
    mixture = GaussianMixtureEM(3, max_iter=0, **given).fit(stream.normal(size=(50, 40)))
    np.testing.assert_allclose(mixture.score_samples(rows), logsumexp(log_joint(mixture, rows), 1))


def test_equal_features_have_no_conditional_covariance():
    scales = torch.tensor([[[1.0, 0, 0], [1, 1e-9, 0], [0, 0, 1]]]).double()
    mixture = Mixture(torch.zeros(1).double(), torch.zeros(1, 3).double(), scales)
    gap = torch.tensor([[torch.nan, torch.nan, 0.0]]).double()
    with pytest.raises(ValueError, match="no conditional covariance.*Increase reg_covar"):
        statistics.observed_density(mixture)(gap)
