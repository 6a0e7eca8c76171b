"""Densities, divergences and the sums of EM against independent code and their own laws."""

from itertools import product

import numpy as np
import pytest
import torch
from common import constrain, full_covariances
from scipy.stats import multivariate_normal
from torch.distributions import Independent, Normal, kl_divergence

from skdeepcluster.functional import gaussian, points

K = 3
D = 4
#: A number of features whose triangular matrices are divided into blocks.
MANY = 27
TYPES = ["full", "tied", "diag", "spherical"]
close = torch.testing.assert_close


def normal(*shape, seed=0):
    """Return normal numbers in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def uniform(*shape, seed=0):
    """Return uniform numbers in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def make_mixture(kind, d=D, apart=1.0, offset=0.0):
    """Return a mixture; ``apart`` and ``offset`` move its means."""
    stds = {
        "full": (K, d),
        "tied": (1, d),
        "diag": (K, d),
        "spherical": (K, 1),
    }
    scales = normal(*stds[kind], seed=1).abs() + 0.5
    if kind in gaussian.MATRIX:
        below = normal(len(scales), d, d, seed=2).tril(-1)
        scales = below + torch.diag_embed(scales)
    log_weights = normal(K, seed=3).log_softmax(0)
    means = 2 * apart * normal(K, d, seed=4) + offset
    return gaussian.Mixture(log_weights, means, scales)


def samples_of(mixture):
    """Return ten samples near each mean."""
    means = mixture.means.repeat(10, 1)
    return means + normal(*means.shape)


# ---- densities


@pytest.mark.parametrize(
    ("kind", "offset", "apart"),
    [
        *product(TYPES, [0.0, 1e4], [1.0]),
        *product(TYPES, [0.0], [1e3]),
        ("full", 0.0, 1e6),
    ],
)
@pytest.mark.parametrize("d", [D, MANY])
def test_density_equals_scipy(kind, offset, apart, d):
    mixture = make_mixture(kind, d, apart, offset)
    x = samples_of(mixture)
    components = zip(mixture.means, full_covariances(mixture), strict=True)
    expected = [multivariate_normal(*component).logpdf(x) for component in components]
    expected = np.transpose(expected) + mixture.log_weights.numpy()
    np.testing.assert_allclose(gaussian.log_joint(x, mixture), expected, rtol=1e-7)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("offset", "apart"), [(1000.0, 1.0), (0.0, 300.0)])
def test_single_precision_keeps_digits(kind, offset, apart):
    mixture = make_mixture(kind, apart=apart, offset=offset).to(torch.float32)
    x = samples_of(mixture).float()
    components = torch.arange(len(x))[:, None] % K
    exact = gaussian.log_joint(x.double(), mixture.to(torch.float64))
    single = gaussian.log_joint(x, mixture).double()
    close(single.gather(1, components), exact.gather(1, components), rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_parameter_gets_its_gradient(kind, dtype):
    mixture = make_mixture(kind).to(dtype)
    x = samples_of(mixture).to(dtype)
    fields = [field.clone().requires_grad_() for field in mixture]

    def evidence(*fields):
        return gaussian.log_joint(x, gaussian.Mixture(*fields)).logsumexp(1).mean()

    if dtype == torch.float64:
        assert torch.autograd.gradcheck(evidence, fields)
    for gradient in torch.autograd.grad(evidence(*fields), fields):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


def test_kl_equals_torch_distributions():
    mean = normal(6, D)
    std = uniform(6, D) + 0.1
    means = normal(K, D, seed=1)
    stds = normal(K, D, seed=2).exp()
    codes = Independent(Normal(mean, std), 1)
    codes_by_cluster = Independent(Normal(mean[:, None], std[:, None]), 1)
    for scales in (stds, stds[:, :1]):
        clusters = Independent(Normal(means, scales.expand(K, D)), 1)
        divergence = gaussian.kl_diag(mean, std, means, scales)
        close(divergence, kl_divergence(codes_by_cluster, clusters))
    standard = Independent(Normal(0 * mean, 1), 1)
    close(gaussian.standard_kl(mean, std), kl_divergence(codes, standard))


# ---- samples


@pytest.mark.parametrize("kind", TYPES)
def test_samples_have_the_moments_of_components(kind):
    n = 100_000
    mixture = make_mixture(kind)
    counts = torch.tensor([0, n, 10])
    x = points.sample(mixture, counts, torch.Generator().manual_seed(0))
    assert x.shape == (n + 10, D)

    covariance = full_covariances(mixture)[1]
    errors = (x[:n].mean(0) - mixture.means[1]).numpy()
    assert (np.abs(errors) < 5 * np.sqrt(np.diag(covariance) / n)).all()
    np.testing.assert_allclose(np.cov(x[:n].T), covariance, atol=0.03 * covariance.max())


# ---- EM


@pytest.mark.parametrize("n_features", [D, MANY, 61])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_sums_of_squares_skip_no_positive_weight(n_features, share):
    x = normal(60, n_features)
    resp = uniform(60, K, seed=1)
    resp[uniform(60, K, seed=2) >= share] = 0
    resp[:, 1] = 0
    stats = gaussian.sufficient_statistics(x, resp, x[0], "full")
    apart = x - x[0]
    close(stats.s2, torch.einsum("nk,ni,nj->kij", resp, apart, apart))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_m_step_is_weighted_mean_and_covariance(kind, offset):
    x = 3 * normal(50, D)
    resp = uniform(50, K)
    about = x.mean(0) + offset + 1
    batches = zip((x + offset).split(7), resp.split(7), strict=True)
    parts = [gaussian.sufficient_statistics(*batch, about, kind) for batch in batches]
    stats = gaussian.SufficientStatistics(*gaussian.add(*parts))
    mixture = gaussian.maximize(stats, about, kind)

    weights = (resp.sum(0) / resp.sum()).numpy()
    means = [np.average(x, axis=0, weights=column) for column in resp.T]
    covariances = np.stack([np.cov(x.T, aweights=column, ddof=0) for column in resp.T])
    expected = constrain(covariances, weights, kind)
    np.testing.assert_allclose(mixture.log_weights.exp(), weights)
    np.testing.assert_allclose(mixture.means - offset, means, atol=1e-8)
    np.testing.assert_allclose(mixture.covariances(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_singular_covariance_is_explained(kind, value):
    x = torch.full((5, D), value).double()
    resp = torch.eye(K).double()[[0, 0, 0, 1, 1]]
    stats = gaussian.sufficient_statistics(x, resp, x[0], kind)
    with pytest.raises(ValueError, match=f"positive definite {kind!r}.*reg_covar.*of clusters"):
        gaussian.maximize(stats, x[0], kind)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("apart", [1, 20, 1000])
def test_e_step_is_posterior_moments_and_evidence(kind, apart):
    mixture = make_mixture(kind, apart=apart)
    far = 3 * normal(20, D, seed=5)
    x = torch.cat([samples_of(mixture), far])
    weight = uniform(len(x))
    about = far.mean(0)
    *stats, evidence = gaussian.expected_statistics(mixture, about, kind)(x, weight)

    joint = gaussian.log_joint(x, mixture)
    resp = joint.softmax(1) * weight[:, None]
    expected = gaussian.sufficient_statistics(x, resp, about, kind)
    close(evidence, weight @ joint.logsumexp(1))
    for field, value in zip(stats, expected, strict=True):
        close(field, value)
