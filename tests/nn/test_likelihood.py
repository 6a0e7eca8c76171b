"""Likelihoods against torch.distributions, scipy and autograd; units and limits."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import softmax
from torch.distributions import Bernoulli

from skdeepcluster.nn import likelihood
from skdeepcluster.nn.likelihood import ColumnLikelihood

COLUMNS = {"gaussian": [4, 0], "bernoulli": [2], "categorical": [[5, 1], [3, 7, 6]]}
GROUPS = COLUMNS["categorical"]
close = torch.testing.assert_close


def make_mixed(weights=(1.0, 1.0)):
    """Return a likelihood of columns, samples of it, and outputs of a decoder."""
    stream = np.random.default_rng(0)
    x = stream.normal(size=(6, 8))
    decoded = stream.normal(size=(6, 8))
    x[:, 2] = stream.uniform(size=6)
    for group, weight in zip(GROUPS, weights, strict=True):
        size = len(group)
        x[:, group] = weight * np.eye(size)[stream.integers(size, size=6)]

    mixed = ColumnLikelihood(**COLUMNS)
    mixed.set_scale(torch.tensor([3.0, 1.0]).double(), torch.tensor([2.0, 5.0]).double())
    mixed.set_weights(torch.tensor(weights).double())
    noise = mixed.parts["gaussian"].noise
    noise.data = torch.tensor([-1.0, 0.5])
    return mixed, torch.from_numpy(x), torch.from_numpy(decoded)


# ---- densities and means


def test_bernoulli_equals_torch_distributions():
    bernoulli = likelihood.Bernoulli()
    logits = torch.randn(5, 3).double()
    x = torch.rand(5, 3).double().round()
    expected = Bernoulli(logits=logits).log_prob(x).sum(-1)
    close(bernoulli.log_prob(x, logits), expected.float())

    certain = torch.tensor([[1.0, 0.0]])
    huge = torch.tensor([[1e4, -1e4]])
    assert bernoulli.log_prob(certain, huge) == 0
    assert bernoulli.log_prob(certain, -huge) == -2e4
    assert bernoulli.mean(huge).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("scale", [[20.0], 20.0], ids=["by feature", "common"])
def test_gaussian_density_integrates_to_one(scale):
    shift = torch.tensor([3.0]).double()
    gaussian = likelihood.Gaussian(shift, torch.tensor(scale).double())
    grid = torch.linspace(-400, 400, 20001).double()[:, None]
    density = gaussian.log_prob(grid, torch.full_like(grid, 0.5)).double().exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, 2.0)])
def test_columns_are_the_sum_of_scipys_densities(weights):
    mixed, x, decoded = make_mixed(weights)
    log_p = mixed.log_prob(x, decoded).detach()
    means = mixed.mean(decoded)
    x = x.numpy()
    decoded = decoded.numpy()

    expected = np.zeros(len(x))
    for column, shift, scale, log_var in ((4, 3.0, 2.0, -1.0), (0, 1.0, 5.0, 0.5)):
        mean = shift + scale * decoded[:, column]
        std = scale * np.exp(log_var / 2)
        expected += stats.norm.logpdf(x[:, column], mean, std)
        np.testing.assert_allclose(means[:, column], mean)

    p = 1 / (1 + np.exp(-decoded[:, 2]))
    log_true, log_false = stats.bernoulli.logpmf([[1], [0]], p)
    expected += x[:, 2] * log_true + (1 - x[:, 2]) * log_false
    np.testing.assert_allclose(means[:, 2], p, rtol=1e-5)

    for group, weight in zip(GROUPS, weights, strict=True):
        p = softmax(decoded[:, group], axis=1)
        rows = zip(x[:, group] / weight, p, strict=True)
        expected += [stats.multinomial.logpmf(counts, 1, row) for counts, row in rows]
        np.testing.assert_allclose(means[:, group], weight * p, rtol=1e-5)
    np.testing.assert_allclose(log_p, expected, rtol=1e-5)


def test_a_category_that_is_missing_adds_nothing():
    categorical = likelihood.Categorical([2, 3])
    logits = torch.randn(1, 5)
    x = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]])
    close(categorical.log_prob(x, logits), logits[:, :2].log_softmax(-1)[:, 1])


def test_gradients_are_those_of_exponential_family():
    """The gradient by natural parameters is the statistic less its mean."""
    mixed, x, decoded = make_mixed()
    decoded.requires_grad_()
    mixed.log_prob(x, decoded).sum().backward()
    output = decoded.detach()
    expected = x - mixed.mean(output)
    variance = mixed.parts["gaussian"].noise.detach().exp()
    gaps = mixed.standardize(x) - output
    expected[:, [4, 0]] = gaps[:, [4, 0]] / variance
    close(decoded.grad, expected, rtol=1e-5, atol=1e-5)


def test_deviations_are_those_of_the_gaussian_columns():
    mixed, x, _ = make_mixed()
    found = mixed.deviation(x)
    expected = np.zeros(8)
    expected[COLUMNS["gaussian"]] = np.exp([-0.5, 0.25]) * [2, 5]
    np.testing.assert_allclose(found.detach(), np.tile(expected, (6, 1)), rtol=1e-6)


# ---- limits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_beyond_the_range_are_clipped(dtype):
    mixed, x, decoded = make_mixed((0.5, 2.0))
    decoded = decoded.to(dtype)
    limits = x.to(dtype)
    limits[:, 2] = 1
    limits[:, 5] = 0.5
    limits[:, 3] = 0
    limits[0, 0] = 1.0 + 5e6
    limits[1, 0] = 1.0 - 5e6
    beyond = limits.clone()
    beyond[:, 2] = 1.25
    beyond[:, 5] = 1e30
    beyond[:, 3] = -1.0
    beyond[0, 0] = torch.finfo(dtype).max
    beyond[1, 0] = torch.finfo(dtype).min
    close(mixed.standardize(beyond), mixed.standardize(limits))
    log_p = mixed.log_prob(beyond, decoded)
    close(log_p, mixed.log_prob(limits, decoded))
    assert log_p.isfinite().all()


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "columns"])
def test_the_link_inverts_the_mean(kind):
    """Its slopes are the derivatives, here by autograd; units and weights are the user's."""
    weights = (2.0, 0.5)
    part, x, _ = make_mixed(weights)
    if kind != "columns":
        part = part.parts[kind]
        x = x[:, COLUMNS[kind]]
    mean = part.standardize(x).mean(0)
    if kind == "columns":
        for group, weight in zip(GROUPS, weights, strict=True):
            shares = torch.linspace(0.1, 0.9, len(group))
            mean[group] = weight * shares / shares.sum()
    mean.requires_grad_()
    decoded, slope = part.link(mean)
    close(part.standardize(part.mean(decoded)), mean)
    close(part.standardized_mean(decoded), mean)
    close(torch.autograd.grad(decoded.sum(), mean)[0], slope, check_dtype=False)


# ---- columns and saved states


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("has_common_scale", [False, True])
def test_a_likelihood_is_rebuilt_from_its_state(has_common_scale, dtype):
    mixed, x, decoded = make_mixed()
    gaussian = mixed.parts["gaussian"]
    if has_common_scale:
        mixed.set_scale(gaussian.shift, torch.tensor(7.0))
    mixed.set_weights(torch.tensor([0.1, 2.0], dtype=dtype))
    for saved in (gaussian, likelihood.Bernoulli(), mixed):
        restored = likelihood.restore_likelihood(saved.state_dict())
        restored.load_state_dict(saved.state_dict())
        assert type(restored) is type(saved)
        assert restored.standardizes == saved.standardizes

    assert restored.standardizes != has_common_scale
    close(restored.log_prob(x, decoded), mixed.log_prob(x, decoded))
    short = mixed.state_dict()
    short["parts.categorical.weight"] = short["parts.categorical.weight"][:1]
    with pytest.raises(RuntimeError, match="size mismatch"):
        likelihood.restore_likelihood(short).load_state_dict(short)
