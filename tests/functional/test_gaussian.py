"""Densities, divergences and the sums of EM against independent code and their own laws."""

import numpy as np
import pytest
import torch
from common import constrain, full_covariances
from scipy.stats import multivariate_normal, norm
from torch.distributions import Independent, Normal, kl_divergence

from skdeepcluster.functional import gaussian, points, random, statistics
from skdeepcluster.functional.gaussian import Mixture

K, D = 3, 4
TYPES = ["full", "tied", "diag", "spherical"]
close = torch.testing.assert_close


def make_mixture(covariance_type, dtype=torch.float64, offset=0.0, d=D):
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    if covariance_type in gaussian.MATRIX:
        n = K if covariance_type == "full" else 1
        scales = normal(n, d, d).tril(-1) + torch.diag_embed(normal(n, d).abs() + 0.5)
    else:
        scales = normal(K, d if covariance_type == "diag" else 1).abs() + 0.5
    return Mixture(normal(K).log_softmax(0), 2 * normal(K, d) + offset, scales)


@pytest.fixture
def x():
    return 3 * torch.randn(50, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("offset", "apart"), [(0.0, 1.0), (1e4, 1.0), (0.0, 1e6)])
@pytest.mark.parametrize("d", [D, 2 * gaussian.MIN_BLOCK_ROWS + 3])
def test_density_equals_scipy(covariance_type, offset, apart, d):
    mixture = make_mixture(covariance_type, d=d)
    mixture = mixture._replace(means=apart * mixture.means + offset)
    noise = torch.randn(10 * K, d, generator=torch.Generator().manual_seed(0)).double()
    x = noise + mixture.means.repeat(10, 1)
    parts = zip(mixture.means, full_covariances(mixture), strict=True)
    expected = [multivariate_normal(mean, covariance).logpdf(x) for mean, covariance in parts]
    expected = np.transpose(expected) + mixture.log_weights.numpy()
    np.testing.assert_allclose(gaussian.log_joint(x, mixture), expected, rtol=1e-7)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_single_precision_keeps_digits(covariance_type, x):
    mixture = make_mixture(covariance_type)
    x, far = x + 1000, mixture._replace(means=mixture.means + 1000)
    exact = gaussian.log_joint(x, far)
    # Rounding x itself to 24 bits moves it by up to 3e-5.
    close(gaussian.log_joint(x.float(), far.to(torch.float32)).double(), exact, rtol=1e-3, atol=0)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_parameter_gets_its_gradient(covariance_type, dtype, x):
    mixture = make_mixture(covariance_type, dtype)
    fields = [field.clone().requires_grad_() for field in mixture]

    def evidence(*fields):
        return gaussian.log_joint(x.to(dtype), Mixture(*fields)).logsumexp(1).mean()

    if dtype == torch.float64:
        assert torch.autograd.gradcheck(evidence, fields)
    for gradient in torch.autograd.grad(evidence(*fields), fields):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("n_features", [D, 2 * gaussian.MIN_BLOCK_ROWS + 3, 61])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_sums_of_squares_skip_no_positive_weight(n_features, share):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, n_features, generator=generator, dtype=torch.float64)
    resp = torch.rand(60, K, generator=generator, dtype=torch.float64)
    resp[torch.rand(60, K, generator=generator) >= share] = 0
    resp[:, 1] = 0
    stats = statistics.sufficient_statistics(x, resp, x[0], "full")
    apart = x - x[0]
    close(stats.s2, torch.einsum("nk,ni,nj->kij", resp, apart, apart))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("shifts", [1, K])
def test_m_step_is_weighted_mean_and_covariance(covariance_type, offset, shifts, x):
    resp = torch.rand(50, K, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    about = x.mean(0) + offset + 1
    about = about if shifts == 1 else about + torch.arange(K)[:, None]
    batches = zip((x + offset).split(7), resp.split(7), strict=True)
    stats = [statistics.sufficient_statistics(*b, about, covariance_type) for b in batches]
    whole = statistics.SufficientStatistics(*map(sum, zip(*stats, strict=True)))
    mixture = statistics.maximize(whole, about, covariance_type)
    covariances = np.stack([np.cov(x.T, aweights=r, ddof=0) for r in resp.T])
    weights = (resp.sum(0) / resp.sum()).numpy()
    expected = constrain(covariances, weights, covariance_type)
    np.testing.assert_allclose(mixture.log_weights.exp(), weights)
    np.testing.assert_allclose(
        mixture.means - offset, [np.average(x, axis=0, weights=r) for r in resp.T], atol=1e-8
    )
    np.testing.assert_allclose(mixture.covariances(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_implied_statistics_give_the_mixture_back(covariance_type):
    mixture, about = make_mixture(covariance_type), torch.ones(D, dtype=torch.float64)
    stats = statistics.implied_statistics(mixture, about, covariance_type, 0.01)
    close(stats.s0.sum(), torch.tensor(1.0).double())
    x = torch.zeros(2, D, dtype=torch.float64)
    resp = torch.ones(2, K, dtype=torch.float64)
    known = statistics.sufficient_statistics(x, resp, about, covariance_type)
    assert [field.shape for field in stats] == [field.shape for field in known]
    found = statistics.maximize(stats, about, covariance_type, 0.01)
    for field, expected in zip(found, mixture, strict=True):
        close(field, expected)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_samples_have_the_moments_of_components(covariance_type):
    mixture, n = make_mixture(covariance_type), 100_000
    counts = torch.tensor([0, n, 10])
    draws = gaussian.sample(mixture, counts, torch.Generator().manual_seed(0))
    assert draws.shape == (n + 10, D)
    covariance = full_covariances(mixture)[1]
    error = np.sqrt(np.diag(covariance) / n)
    assert ((draws[:n].mean(0) - mixture.means[1]).abs().numpy() < 5 * error).all()
    np.testing.assert_allclose(np.cov(draws[:n].T), covariance, atol=0.03 * covariance.max())


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_singular_component_is_named(covariance_type, value):
    x = torch.full((5, D), value, dtype=torch.float64)
    resp = torch.eye(K, dtype=torch.float64)[[0, 0, 0, 1, 1]]
    stats = statistics.sufficient_statistics(x, resp, x[0], covariance_type)
    tied = "components together cover samples of weight 5"
    found = tied if covariance_type == "tied" else "Component 0 covers samples of weight 3"
    with pytest.raises(ValueError, match=f"{found}.*increase reg_covar.*number of clusters"):
        statistics.maximize(stats, x[0], covariance_type)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("spread", [1, 20, 1000])
@pytest.mark.parametrize("separate", [False, True])
def test_e_step_is_posterior_moments_and_evidence(covariance_type, spread, separate, x):
    mixture = make_mixture(covariance_type)
    mixture = mixture._replace(means=spread * mixture.means)
    about = mixture.means if separate else x.mean(0)
    # Some samples near each component, and some near none.
    x = torch.cat([x[:35], x[35:] / 3 + mixture.means.repeat(5, 1)])
    weight = torch.rand(50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expect = statistics.expected_statistics(mixture, about, covariance_type)
    joint = gaussian.log_joint(x, mixture)
    resp = joint.softmax(1) * weight.unsqueeze(1)
    for rows in (slice(0, 20), slice(20, 50), slice(5, 6)):
        *stats, evidence = expect(x[rows], weight[rows])
        expected = statistics.sufficient_statistics(x[rows], resp[rows], about, covariance_type)
        close(evidence, weight[rows] @ joint[rows].logsumexp(1))
        for found, wanted in zip(stats, expected, strict=True):
            close(found, wanted)


def test_kl_equals_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(6, D, generator=generator), torch.rand(6, D, generator=generator) + 0.1
    means, stds = torch.randn(2, K, D, generator=generator)
    for scales in (stds.exp(), stds[:, :1].exp()):
        q, p = Normal(mean[:, None], std[:, None]), Normal(means, scales.expand(K, D))
        found = gaussian.kl_diag(mean, std, means, scales)
        close(found, kl_divergence(Independent(q, 1), Independent(p, 1)))
    standard = kl_divergence(
        Independent(Normal(mean, std), 1), Independent(Normal(0 * mean, 1), 1)
    )
    close(gaussian.standard_kl(mean, std), standard)


@pytest.mark.parametrize("n_dimensions", [1, 5, 20])
def test_balanced_points_have_normal_moments(n_dimensions):
    z = points.balanced_points(4 * n_dimensions, n_dimensions)
    assert z.shape == (8 * n_dimensions, n_dimensions)
    close(z.T @ z / len(z), torch.eye(n_dimensions, dtype=torch.float64))
    assert (z.sum(0).abs() < 1e-12).all()
    assert (torch.einsum("ni,nj,nk->ijk", z, z, z).abs() < 1e-9).all()
    kurtosis = z.pow(4).mean()
    assert 2 < kurtosis < 3.5


def test_hashes_are_uniform_and_belong_to_samples():
    rows = torch.cartesian_prod(*[torch.arange(2.0)] * 10)
    found = points.random_shifts(rows, 3)
    assert ((found >= 0) & (found < 1)).all()
    ends = torch.arange(1, 1025).double() / 1024
    assert ((found.sort(0).values - ends[:, None]).abs() < 0.06).all(), "Kolmogorov and Smirnov"
    assert found.T.corrcoef().fill_diagonal_(0).abs().max() < 0.1
    close(points.random_shifts(rows.flip(0).double(), 3).flip(0), found)


def test_rejected_samples_move_toward_their_mean_until_accepted():
    means = torch.tensor([[-4.0], [0.0], [4.0]], dtype=torch.float64)
    mixture = Mixture(torch.zeros(3).double().log_softmax(0), means, torch.ones_like(means))
    log_p = gaussian.log_joint(means, mixture).log_softmax(1)
    confidence = float(log_p[1, 1].exp()) * 0.9999  # of a narrow interval around zero
    counts, stream = torch.tensor([0, 300, 0]), torch.Generator().manual_seed(0)
    x = gaussian.confident_sample(mixture, counts, confidence, stream)
    assert len(x.unique()) == 300
    assert 0 < x.abs().min() < x.abs().max() < 0.2


@pytest.mark.parametrize("covariance_type", TYPES)
def test_single_precision_separates_far_components(covariance_type):
    mixture = make_mixture(covariance_type, torch.float32)
    mixture = mixture._replace(means=300 * mixture.means)
    noise = torch.randn(10 * K, D, generator=torch.Generator().manual_seed(0))
    x, own = noise + mixture.means.repeat(10, 1), torch.arange(10 * K) % K
    exact = gaussian.log_joint(x.double(), mixture.to(torch.float64)).gather(1, own[:, None])
    found = gaussian.log_joint(x, mixture).gather(1, own[:, None])
    close(found.double(), exact, atol=0.02, rtol=0)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_mixture_with_one_flaw_is_unsound(covariance_type):
    mixture = make_mixture(covariance_type)
    assert mixture.is_sound()
    means, scales = mixture.means.clone(), mixture.scales.clone()
    means[0, 1], scales[..., -1, -1] = torch.nan, 0
    infinite = torch.where(mixture.scales > 0.5, torch.inf, mixture.scales)
    flaws = [{"means": means}, {"scales": scales}, {"scales": infinite}]
    flaws += [{"scales": mixture.scales[..., :-1]}, {"log_weights": mixture.log_weights[:2]}]
    flaws += [{"log_weights": mixture.log_weights + shift} for shift in (1e-5, -1e-5, torch.nan)]
    for flaw in flaws[: 3 + (covariance_type != "spherical")] + flaws[4:]:
        assert not mixture._replace(**flaw).is_sound(), flaw
    assert mixture._replace(log_weights=mixture.log_weights + 1e-8).is_sound()


@pytest.mark.parametrize("n_dimensions", [1, 5])
def test_quasi_random_points_have_one_in_each_interval(n_dimensions):
    uniform = points.uniform_points(64, n_dimensions)
    assert uniform.dtype == torch.float64
    places = (64 * uniform).floor().sort(0).values
    close(places, torch.arange(64.0).double()[:, None].expand(64, n_dimensions), rtol=0, atol=0)
    close(points.normal_points(64, n_dimensions), torch.from_numpy(norm.ppf(uniform)))
    levels = torch.tensor([0.0, 0.5, 1.0]).double()
    ends = points.normal_quantiles(levels, 0.01)
    close(ends, torch.tensor([norm.ppf(0.01), 0.0, norm.ppf(0.99)]).double())
    least, middle, largest = points.normal_quantiles(levels)
    assert -torch.inf < least == -largest < middle == 0


def test_quasi_random_points_are_normal_in_all_dimensions():
    z = points.normal_points(4096, 3)
    close(z.T.cov(), torch.eye(3).double(), atol=2e-2, rtol=0)
    assert points.normal_points(1, 200).isfinite().all()


def test_random_numbers_follow_their_distributions_and_streams():
    device, n = torch.device("cpu"), 20_000
    with random.drawing_from(random.Stream(3)):
        normal, uniform = random.randn((n,), device), random.rand((n,), device)
        coins = random.bernoulli(torch.full((n,), 0.3).double())
        classes = random.multinomial(torch.tensor([0.2, 0.0, 0.8]), n)
        whole = random.randint(5, (n,), device)
    assert normal.dtype == uniform.dtype == torch.float32
    for levels in (norm.cdf(normal.numpy()), uniform.numpy()):
        gaps = np.sort(levels) - np.arange(1, n + 1) / n
        assert abs(gaps).max() < 0.02, "Kolmogorov and Smirnov"
    assert coins.dtype == random.randn_like(coins).dtype == random.rand_like(coins).dtype
    assert coins.dtype == torch.float64
    assert coins.mean().item() == pytest.approx(0.3, abs=0.02)
    shares = [np.bincount(found) / n for found in (classes, whole)]
    np.testing.assert_allclose(shares[0], [0.2, 0, 0.8], atol=0.02)
    np.testing.assert_allclose(shares[1], [0.2] * 5, atol=0.02)
    with random.drawing_from(random.Stream(3)):
        close(random.randn_like(normal), normal, rtol=0, atol=0)
        with random.drawing_from(random.Stream(3)):
            close(random.randn_like(normal), normal, rtol=0, atol=0)
        assert random.current_stream().seed == 3
    assert random.current_stream() is None


def test_separation_is_judged_by_the_variance_of_each_feature():
    means = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double()
    scales = torch.tensor([[[1e-6, 0], [1, 1e-6]]]).double()  # variances 1e-12 and 1
    weights = torch.tensor([0.5, 0.5]).double().log()
    assert gaussian.is_separated(Mixture(weights, means, scales))
    assert not gaussian.is_separated(Mixture(weights, means.flip(1), scales))
    assert not gaussian.is_separated(Mixture(weights, means / 1e3, scales))
    assert not gaussian.is_separated(Mixture(weights, means, scales).to(torch.float32))
