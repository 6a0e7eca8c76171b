"""Likelihoods: densities against torch.distributions, units, limits."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from skdeepcluster.functional.gaussian import log_prob_diag
from skdeepcluster.modules.likelihood import Bernoulli, Gaussian


def test_bernoulli_equals_torch_distributions():
    logits, x = torch.randn(5, 3).double(), torch.rand(5, 3).double().round()
    expected = TorchBernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(Bernoulli().log_prob(x, logits), expected.float())


def test_bernoulli_is_sharp_and_finite_at_huge_logits():
    x = torch.tensor([[1.0, 0.0]])
    assert Bernoulli().log_prob(x, torch.tensor([[1e4, -1e4]])).item() == 0
    assert Bernoulli().log_prob(x, torch.tensor([[-1e4, 1e4]])).item() == -2e4


def test_gaussian_equals_torch_distributions():
    x, mean, log_var = torch.randn(3, 6, 4).double()
    expected = Normal(mean, (0.5 * log_var).exp()).log_prob(x).sum(-1)
    torch.testing.assert_close(log_prob_diag(x, mean, log_var), expected)


def test_gaussian_density_integrates_to_one_in_the_users_units():
    module = Gaussian(torch.tensor([3.0]).double(), torch.tensor([20.0]).double())
    grid = torch.linspace(-400, 400, 20001).double()[:, None]
    density = module.log_prob(grid, torch.full_like(grid, 0.5)).double().exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1, abs=1e-4)


def test_gaussian_mean_undoes_standardize():
    x = torch.from_numpy(np.random.default_rng(0).normal(1e6, 2.0, (100, 3)))
    module = Gaussian(x.mean(0), x.std(0))
    torch.testing.assert_close(module.mean(module.standardize(x)), x, rtol=0, atol=1e-5)
    assert module.standardize(x).dtype == torch.float32


def test_noise_cannot_drive_the_density_to_infinity():
    module = Gaussian(torch.zeros(2), torch.ones(2))
    with torch.no_grad():
        module.noise.fill_(-1e6)
    perfect = module.log_prob(torch.zeros(1, 2), torch.zeros(1, 2))
    assert perfect.item() == pytest.approx(2 * (3.5 - 0.5 * np.log(2 * np.pi)), rel=1e-5)


def test_bernoulli_mean_is_a_probability():
    mean = Bernoulli().mean(torch.tensor([-1e4, 0.0, 1e4]))
    assert mean.tolist() == [0.0, 0.5, 1.0]
