"""Likelihoods against torch.distributions, scipy and scikit-learn; units and limits."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Bernoulli as TorchBernoulli

from skdeepcluster.modules.likelihood import (
    Bernoulli,
    Categorical,
    ColumnLikelihood,
    Gaussian,
    restore_likelihood,
)

COLUMNS = {"gaussian": [4, 0], "bernoulli": [2], "categorical": [[5, 1], [3, 7, 6]]}


def mixed(n_rows=6):
    """Return a likelihood of columns, rows of it, and outputs of a decoder."""
    stream = np.random.default_rng(0)
    x, decoded = stream.normal(size=(n_rows, 8)), stream.normal(size=(n_rows, 8))
    x[:, 2] = stream.uniform(size=n_rows)
    for group in COLUMNS["categorical"]:
        x[:, group] = np.eye(len(group))[stream.integers(len(group), size=n_rows)]
    likelihood = ColumnLikelihood(**COLUMNS)
    likelihood.set_scale(torch.tensor([3.0, 1.0]).double(), torch.tensor([2.0, 5.0]).double())
    with torch.no_grad():
        likelihood.parts["gaussian"].noise.copy_(torch.tensor([-1.0, 0.5]))
    return likelihood, torch.from_numpy(x), torch.from_numpy(decoded)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_bernoulli_equals_torch_distributions():
    logits, x = torch.randn(5, 3).double(), torch.rand(5, 3).double().round()
    expected = TorchBernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(Bernoulli().log_prob(x, logits), expected.float())
    x, huge = torch.tensor([[1.0, 0.0]]), torch.tensor([[1e4, -1e4]])
    assert Bernoulli().log_prob(x, huge) == 0
    assert Bernoulli().log_prob(x, -huge) == -2e4
    assert Bernoulli().mean(torch.tensor([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("scale", [[20.0], 20.0], ids=["own", "common"])
def test_gaussian_density_integrates_to_one(scale):
    module = Gaussian(torch.tensor([3.0]).double(), torch.tensor(scale).double())
    grid = torch.linspace(-400, 400, 20001).double()[:, None]
    density = module.log_prob(grid, torch.full_like(grid, 0.5)).double().exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_beyond_the_range_are_clipped(dtype):
    likelihood, x, decoded = mixed()
    likelihood.set_weights(torch.tensor([0.5, 2.0]))
    beyond, end = x.to(dtype), x.to(dtype)
    beyond[:, 2], end[:, 2] = 1.25, 1
    beyond[:, 5], end[:, 5] = 1e30, 0.5
    beyond[:, 3], end[:, 3] = -1.0, 0
    beyond[0, 0], end[0, 0] = torch.finfo(dtype).max, 1.0 + 5e6
    beyond[1, 0], end[1, 0] = torch.finfo(dtype).min, 1.0 - 5e6
    torch.testing.assert_close(likelihood.standardize(beyond), likelihood.standardize(end))
    found = likelihood.log_prob(beyond, decoded.to(dtype))
    torch.testing.assert_close(found, likelihood.log_prob(end, decoded.to(dtype)))
    assert torch.isfinite(found).all()
    assert Bernoulli().log_prob(torch.tensor([[-3.0, 1e39]]), torch.tensor([[9.0, -9.0]])) <= 0


# ---- categories and columns


def test_missing_categories_and_weights():
    module, logits = Categorical([2, 3]), torch.randn(1, 5)
    x = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]])
    known = logits[:, :2].log_softmax(-1)[:, 1]
    torch.testing.assert_close(module.log_prob(x, logits), known)
    expected = module.mean(logits)
    torch.testing.assert_close(expected.split([2, 3], -1)[1].sum(-1), torch.ones(1))
    module.weight = torch.tensor([0.3, 0.3, 1.0, 1.0, 1.0])
    torch.testing.assert_close(module.log_prob(0.3 * x, logits), known)
    torch.testing.assert_close(module.mean(logits), expected * module.weight)


def test_columns_are_the_sum_of_scipys_densities():
    likelihood, x, decoded = mixed()
    log_p = likelihood.log_prob(x, decoded).detach()
    x, decoded = x.numpy(), decoded.numpy()
    expected = np.zeros(len(x))
    for column, shift, scale, log_var in ((4, 3.0, 2.0, -1.0), (0, 1.0, 5.0, 0.5)):
        place = shift + scale * decoded[:, column]
        expected += stats.norm.logpdf(x[:, column], place, scale * np.exp(log_var / 2))
    p = 1 / (1 + np.exp(-decoded[:, 2]))
    log_true, log_false = stats.bernoulli.logpmf([[1], [0]], p)
    expected += x[:, 2] * log_true + (1 - x[:, 2]) * log_false
    for group in COLUMNS["categorical"]:
        pairs = zip(x[:, group], softmax(decoded[:, group]), strict=True)
        expected += [stats.multinomial.logpmf(row, 1, q) for row, q in pairs]
    np.testing.assert_allclose(log_p, expected, rtol=1e-5)
    means = likelihood.mean(torch.from_numpy(decoded)).numpy()
    np.testing.assert_allclose(means[:, 4], 3 + 2 * decoded[:, 4])
    np.testing.assert_allclose(means[:, 2], p, rtol=1e-5)
    np.testing.assert_allclose(means[:, [3, 7, 6]], softmax(decoded[:, [3, 7, 6]]), rtol=1e-5)


def test_gradients_are_those_of_exponential_family():
    """The gradient by natural parameters is the statistic less its mean."""
    likelihood, x, decoded = mixed()
    decoded.requires_grad_()
    likelihood.log_prob(x, decoded).sum().backward()
    mean, seen = likelihood.mean(decoded.detach()), likelihood.standardize(x)
    variance = likelihood.parts["gaussian"].noise.detach().exp()
    expected = x - mean
    expected[:, [4, 0]] = (seen - decoded.detach())[:, [4, 0]] / variance
    torch.testing.assert_close(decoded.grad, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("common", [False, True])
def test_a_likelihood_is_rebuilt_from_its_state(common, dtype):
    likelihood, x, decoded = mixed()
    gaussian = likelihood.parts["gaussian"]
    if common:
        likelihood.set_scale(gaussian.shift, torch.tensor(7.0))
    likelihood.set_weights(torch.tensor([0.1, 2.0], dtype=dtype))
    for one in (likelihood, gaussian, Bernoulli()):
        two = restore_likelihood(one.state_dict())
        two.load_state_dict(one.state_dict())
        assert type(two) is type(one)
        assert two.standardizes == one.standardizes == (one.name != "bernoulli" and not common)
    two = restore_likelihood(likelihood.state_dict())
    two.load_state_dict(likelihood.state_dict())
    assert two.layout == likelihood.layout == COLUMNS
    short = likelihood.state_dict()
    short["parts.categorical.weight"] = short["parts.categorical.weight"][:1]
    with pytest.raises(RuntimeError, match="size mismatch"):
        restore_likelihood(short).load_state_dict(short)
    weights = (each.parts["categorical"].weight for each in (two, likelihood))
    torch.testing.assert_close(*weights, rtol=0, atol=0)
    torch.testing.assert_close(two.log_prob(x, decoded), likelihood.log_prob(x, decoded))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "needs columns, got none"),
        ({"gaussian": [0, 1], "bernoulli": [1]}, r"\[1\] are given twice"),
        ({"gaussian": [-1]}, "whole numbers from 0 on, got -1"),
        ({"gaussian": [0.5]}, "whole numbers from 0 on, got 0.5"),
        (
            {"categorical": [[0, 1], [2]]},
            r"two or more one-hot columns.*groups are \[\[0, 1\], \[2\]\]",
        ),
    ],
)
def test_wrong_columns_are_explained(columns, message):
    with pytest.raises(ValueError, match=message):
        ColumnLikelihood(**columns)


@pytest.mark.parametrize("kind", [Gaussian, Bernoulli, ColumnLikelihood])
def test_the_link_inverts_the_mean(kind):
    """Its slopes are the derivatives, here by autograd; units and weights are the user's."""
    likelihood, x, _ = mixed()
    likelihood.set_weights(torch.tensor([2.0, 0.5]))
    if kind is not ColumnLikelihood:
        likelihood = likelihood.parts[kind.name]
        x = x[:, COLUMNS[kind.name]]
    mean = likelihood.standardize(x).mean(0).requires_grad_()
    for group, weight in zip(COLUMNS["categorical"], (2.0, 0.5), strict=True):
        if kind is ColumnLikelihood:
            shares = torch.linspace(0.1, 0.9, len(group))
            mean.data[group] = weight * shares / shares.sum()
    decoded, slope = likelihood.link(mean)
    torch.testing.assert_close(likelihood.standardize(likelihood.mean(decoded)), mean)
    torch.testing.assert_close(likelihood.standardized_mean(decoded), mean)
    torch.testing.assert_close(torch.autograd.grad(decoded.sum(), mean)[0], slope)


@pytest.mark.parametrize(("noise", "log_std"), [(-1e6, -3.5), (1e6, 2)])
def test_noise_is_bounded(noise, log_std):
    module = Gaussian(torch.zeros(1), torch.ones(1))
    with torch.no_grad():
        module.noise.fill_(noise)
    found = module.log_prob(torch.tensor([[0.1]]), torch.zeros(1, 1)).item()
    assert found == pytest.approx(stats.norm.logpdf(0.1, scale=np.exp(log_std)), rel=1e-5)


def test_bounds_of_probabilities_and_means():
    ends, least = torch.tensor([0.0, 1.0]), torch.tensor([0.02, 0.98])
    for found, expected in zip(Bernoulli().link(ends), Bernoulli().link(least), strict=True):
        torch.testing.assert_close(found, expected)
    assert Bernoulli().link(least)[0].tolist() == pytest.approx(np.log([0.02 / 0.98, 49]))
    assert Categorical([2]).link(ends)[0].tolist() == pytest.approx([np.log(0.02), 0])
    means, plain = torch.tensor([[-1e9, 5.0, 1e9]]), Gaussian(torch.zeros(1), torch.ones(1))
    standardized = plain.standardized_mean(means)
    assert standardized.tolist() == [[-1e6, 5, 1e6]]
