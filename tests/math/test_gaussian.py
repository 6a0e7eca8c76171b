"""Densities, divergences and the sums of EM against independent code and their own laws."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.distributions import Independent, Normal, kl_divergence

from skdeepcluster.functional import gaussian, points
from skdeepcluster.functional.gaussian import Mixture

K, D = 3, 4
TYPES = ["full", "tied", "diag", "spherical"]
close = torch.testing.assert_close


def make_mixture(covariance_type, dtype=torch.float64, offset=0.0):
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    if covariance_type in gaussian.MATRIX:
        n = K if covariance_type == "full" else 1
        scales = normal(n, D, D).tril(-1) + torch.diag_embed(normal(n, D).abs() + 0.5)
    else:
        scales = normal(K, D if covariance_type == "diag" else 1).abs() + 0.5
    return Mixture(normal(K).log_softmax(0), 2 * normal(K, D) + offset, scales)


def covariance_matrices(mixture):
    covariances = mixture.covariances()
    if covariances.ndim == 2:
        covariances = torch.diag_embed(covariances.expand(K, D))
    return covariances.expand(K, D, D).numpy()


@pytest.fixture
def x():
    return 3 * torch.randn(50, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_density_equals_scipy(covariance_type, offset, x):
    mixture = make_mixture(covariance_type, offset=offset)
    x = x + offset
    expected = [
        multivariate_normal(mean, covariance).logpdf(x)
        for mean, covariance in zip(mixture.means, covariance_matrices(mixture), strict=True)
    ]
    expected = np.transpose(expected) + mixture.log_weights.numpy()
    np.testing.assert_allclose(gaussian.log_joint(x, mixture), expected, rtol=1e-8)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_single_precision_keeps_its_digits(covariance_type, x):
    mixture = make_mixture(covariance_type)
    x, far = x + 1000, mixture._replace(means=mixture.means + 1000)
    exact = gaussian.log_joint(x, far)
    # Rounding x itself to 24 bits moves it by up to 3e-5.
    close(gaussian.log_joint(x.float(), far.to(torch.float32)).double(), exact, rtol=1e-3, atol=0)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_mixture_integrates_to_one(covariance_type):
    mixture = make_mixture(covariance_type)
    wide = Mixture(
        torch.zeros(1).double(),
        mixture.means.mean(0, keepdim=True),
        torch.full((1, 1), 4.0).double(),
    )
    draws = gaussian.sample(wide, torch.tensor([200_000]), torch.Generator().manual_seed(0))
    ratio = (
        gaussian.log_joint(draws, mixture).logsumexp(1) - gaussian.log_joint(draws, wide)[:, 0]
    ).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / len(draws) ** 0.5


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_parameter_of_a_learnt_prior_gets_its_gradient(covariance_type, dtype, x):
    mixture = make_mixture(covariance_type, dtype)
    fields = [field.clone().requires_grad_() for field in mixture]

    def evidence(*fields):
        return gaussian.log_joint(x.to(dtype), Mixture(*fields)).logsumexp(1).mean()

    if dtype == torch.float64:
        assert torch.autograd.gradcheck(evidence, fields)
    for gradient in torch.autograd.grad(evidence(*fields), fields):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("covariance_type", TYPES)
def test_moments_of_batches_add_up(covariance_type, x):
    resp = torch.rand(50, K, dtype=torch.float64)
    about = x.mean(0)
    whole = gaussian.sufficient_statistics(x, resp, about, covariance_type)
    parts = [
        gaussian.sufficient_statistics(x[i : i + 7], resp[i : i + 7], about, covariance_type)
        for i in range(0, 50, 7)
    ]
    for total, *summands in zip(whole, *parts, strict=True):
        close(total, sum(summands))


def test_many_features_are_taken_in_blocks(x):
    n_features = 2 * gaussian.MIN_BLOCK_ROWS + 3
    generator = torch.Generator().manual_seed(0)
    x, means, square = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in [(50, n_features), (K, n_features), (K, n_features, n_features)]
    )
    scales = torch.linalg.cholesky(square @ square.mT + torch.eye(n_features))
    mixture = Mixture(torch.zeros(K, dtype=torch.float64), means, scales)
    expected = [
        multivariate_normal(mean, scale @ scale.T).logpdf(x)
        for mean, scale in zip(means.numpy(), scales.numpy(), strict=True)
    ]
    np.testing.assert_allclose(gaussian.log_joint(x, mixture), np.transpose(expected), rtol=1e-9)


@pytest.mark.parametrize("n_features", [D, 2 * gaussian.MIN_BLOCK_ROWS + 3])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_sums_of_squares_skip_no_row_of_positive_weight(n_features, share):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, n_features, generator=generator, dtype=torch.float64)
    resp = torch.rand(60, K, generator=generator, dtype=torch.float64)
    resp[torch.rand(60, K, generator=generator) >= share] = 0
    resp[:, 1] = 0
    stats = gaussian.sufficient_statistics(x, resp, x[0], "full")
    apart = x - x[0]
    close(stats.s2, torch.einsum("nk,ni,nj->kij", resp, apart, apart))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_m_step_equals_weighted_mean_and_covariance(covariance_type, offset, x):
    resp = torch.rand(50, K, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    about = x.mean(0) + offset + 1
    mixture = gaussian.maximize(
        gaussian.sufficient_statistics(x + offset, resp, about, covariance_type),
        about,
        covariance_type,
    )
    covariances = np.stack([np.cov(x.T, aweights=r, ddof=0) for r in resp.T])
    weights = (resp.sum(0) / resp.sum()).numpy()
    if covariance_type == "tied":
        covariances = np.einsum("k,kij->ij", weights, covariances)[None]
    elif covariance_type != "full":
        covariances = np.stack([np.diag(c) for c in covariances])
        if covariance_type == "spherical":
            covariances = covariances.mean(1, keepdims=True)
    np.testing.assert_allclose(mixture.log_weights.exp(), weights)
    np.testing.assert_allclose(
        mixture.means - offset, [np.average(x, axis=0, weights=r) for r in resp.T], atol=1e-8
    )
    np.testing.assert_allclose(mixture.covariances(), covariances, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_implied_moments_give_the_mixture_back(covariance_type):
    mixture, about = make_mixture(covariance_type), torch.ones(D, dtype=torch.float64)
    stats = gaussian.implied_statistics(mixture, about, covariance_type, 0.01)
    close(stats.s0.sum(), torch.tensor(1.0).double())
    for found, expected in zip(
        gaussian.maximize(stats.times(50.0), about, covariance_type, 0.01), mixture, strict=True
    ):
        close(found, expected)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_precisions_and_scales_are_two_ways_to_say_the_same(covariance_type):
    mixture = make_mixture(covariance_type)
    factors = mixture.precision_factors()
    if factors.ndim == 3:
        close(factors, factors.triu())
    precisions = factors @ factors.mT if factors.ndim == 3 else factors.square()
    close(gaussian.scales_from_precisions(precisions), mixture.scales)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_samples_have_the_moments_of_their_component(covariance_type):
    mixture, n = make_mixture(covariance_type), 100_000
    counts = torch.tensor([0, n, 10])
    draws = gaussian.sample(mixture, counts, torch.Generator().manual_seed(0))
    assert draws.shape == (n + 10, D)
    covariance = covariance_matrices(mixture)[1]
    error = np.sqrt(np.diag(covariance) / n)
    assert ((draws[:n].mean(0) - mixture.means[1]).abs().numpy() < 5 * error).all()
    np.testing.assert_allclose(np.cov(draws[:n].T), covariance, atol=0.03 * covariance.max())


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_thin_component_is_named_with_remedies(covariance_type):
    x = torch.ones(5, D, dtype=torch.float64)
    resp = torch.eye(K, dtype=torch.float64)[[0, 0, 0, 1, 1]]
    stats = gaussian.sufficient_statistics(x, resp, x[0], covariance_type)
    found = (
        "components together cover samples of weight 5"
        if covariance_type == "tied"
        else ("Component 0 covers samples of weight 3")
    )
    with pytest.raises(ValueError, match=f"{found}.*increase reg_covar.*number of clusters"):
        gaussian.maximize(stats, x[0], covariance_type)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("spread", [1, 20, 1000])
def test_expectation_is_posterior_moments_and_evidence(covariance_type, spread, x):
    mixture, about = make_mixture(covariance_type), x.mean(0)
    mixture = mixture._replace(means=spread * mixture.means)
    # Some rows near each component, and some that are near none.
    x = torch.cat([x[:35], x[35:] / 3 + mixture.means.repeat(5, 1)])
    weight = torch.rand(50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expect = gaussian.expected_statistics(mixture, about, covariance_type)
    joint = gaussian.log_joint(x, mixture)
    resp = joint.softmax(1) * weight.unsqueeze(1)
    for rows in (slice(0, 20), slice(20, 50), slice(5, 6)):
        stats, evidence = expect(x[rows], weight[rows])
        expected = gaussian.sufficient_statistics(x[rows], resp[rows], about, covariance_type)
        close(evidence, weight[rows] @ joint[rows].logsumexp(1))
        for found, wanted in zip(stats, expected, strict=True):
            close(found, wanted)


def test_kl_equals_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(6, D, generator=generator), torch.rand(6, D, generator=generator) + 0.1
    means, stds = (
        torch.randn(K, D, generator=generator),
        torch.rand(K, D, generator=generator) + 0.1,
    )
    expected = torch.stack(
        [
            kl_divergence(
                Independent(Normal(mean, std), 1),
                Independent(Normal(m.expand(6, D), s.expand(6, D)), 1),
            )
            for m, s in zip(means, stds, strict=True)
        ],
        dim=1,
    )
    close(gaussian.kl_diag(mean, std, means, stds), expected)
    close(
        gaussian.kl_diag(mean, std, means, stds[:, :1]),
        gaussian.kl_diag(mean, std, means, stds[:, :1].expand(K, D)),
    )
    standard = kl_divergence(
        Independent(Normal(mean, std), 1), Independent(Normal(0 * mean, 1 + 0 * std), 1)
    )
    close(gaussian.standard_kl(mean, std), standard)


def test_kl_of_a_gaussian_from_itself_is_zero_and_flat():
    means, stds = torch.randn(1, D), torch.rand(1, D) + 0.5
    mean, std = means.clone().requires_grad_(), stds.clone().requires_grad_()
    value = gaussian.kl_diag(mean, std, means, stds)
    assert value.item() == 0
    for gradient in torch.autograd.grad(value.sum(), [mean, std]):
        close(gradient, torch.zeros(1, D), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_dimensions", [1, 5, 20])
def test_balanced_points_have_the_moments_of_a_normal_distribution(n_dimensions):
    z = points.balanced_points(4 * n_dimensions, n_dimensions)
    assert z.shape == (8 * n_dimensions, n_dimensions)
    close(z.T @ z / len(z), torch.eye(n_dimensions, dtype=torch.float64))
    assert (z.sum(0).abs() < 1e-12).all()
    assert (torch.einsum("ni,nj,nk->ijk", z, z, z).abs() < 1e-9).all()
    kurtosis = z.pow(4).mean()
    assert 2 < kurtosis < 3.5


def test_hashed_rows_look_drawn_and_belong_to_the_rows():
    rows = torch.cartesian_prod(*[torch.arange(2.0)] * 10)
    found = points.hash_rows(rows, 3)
    assert ((found >= 0) & (found < 1)).all()
    ends = torch.arange(1, 1025).double() / 1024
    assert ((found.sort(0).values - ends[:, None]).abs() < 0.06).all(), "Kolmogorov and Smirnov"
    assert found.T.corrcoef().fill_diagonal_(0).abs().max() < 0.1
    close(points.hash_rows(rows.flip(0).double(), 3).flip(0), found)
