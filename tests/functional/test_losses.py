"""Loss terms in log space: bounds, identities, independent values, limits at zero."""

import math

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import entropy as scipy_entropy

from skdeepcluster.functional import (
    entropy,
    kl_divergence,
    mutual_information,
)
from skdeepcluster.functional.losses import called_fake, called_real, cross_entropy


def distributions(n, k, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(k), n))


def test_entropy_and_kl_equal_scipy():
    p, q = distributions(20, 7), distributions(20, 7, seed=1)
    np.testing.assert_allclose(entropy(p.log()), scipy_entropy(p, axis=1))
    np.testing.assert_allclose(kl_divergence(p.log(), q.log()), rel_entr(p, q).sum(-1))


def test_kl_is_positive_and_infinite_where_excluded():
    p, q = distributions(50, 4).log(), distributions(50, 4, seed=1).log()
    assert (kl_divergence(p, q) > 0).all()
    torch.testing.assert_close(kl_divergence(p, p), torch.zeros(50).double())
    certain = torch.tensor([1.0, 0.0]).log()
    assert kl_divergence(torch.tensor([0.5, 0.5]).log(), certain) == math.inf
    assert kl_divergence(certain, torch.tensor([0.5, 0.5]).log()) == pytest.approx(math.log(2))


def test_limits_of_entropy_and_mutual_information():
    assert entropy(torch.eye(5).double().log()).abs().max() == 0
    assert entropy(torch.zeros(5).log_softmax(-1)) == pytest.approx(math.log(5))
    same, sure = distributions(1, 6).expand(10, 6).log(), torch.eye(6).repeat(3, 1).log()
    assert mutual_information(same) == pytest.approx(0, abs=1e-12)
    assert mutual_information(sure) == pytest.approx(math.log(6), rel=1e-6)


def test_mutual_information_is_the_kl_of_joint_and_product():
    p = distributions(30, 6)
    joint = p / 30
    product = joint.sum(0, keepdim=True) * joint.sum(1, keepdim=True)
    expected = rel_entr(joint, product).sum()
    assert mutual_information(p.log()).item() == pytest.approx(expected.item())


def test_an_impossible_outcome_has_no_gradient():
    log_p = torch.tensor([[0.4, 0.6, 0.0], [0.9, 0.1, 0.0]]).double().log().requires_grad_()
    found = mutual_information(log_p)
    found.backward()
    without = log_p.detach()[:, :2].clone().requires_grad_()
    expected = mutual_information(without)
    expected.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(log_p.grad[:, :2], without.grad)
    assert (log_p.grad[:, 2] == 0).all()
    some = torch.tensor([[0.4, 0.6], [1.0, 0.0]]).log().requires_grad_()
    mutual_information(some).backward()
    assert torch.isfinite(some.grad).all()


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3), ()])
def test_mutual_information_needs_two_dimensions(shape):
    with pytest.raises(ValueError, match=r"of shape \(N, K\), but got the shape \("):
        mutual_information(torch.zeros(shape))


def test_cross_entropy_is_entropy_plus_divergence():
    p, q = distributions(20, 7).log(), distributions(20, 7, seed=1).log()
    expected = -(p.exp() * q).sum(-1)
    torch.testing.assert_close(cross_entropy(p, q), expected)
    torch.testing.assert_close(cross_entropy(p, q), entropy(p) + kl_divergence(p, q))
    never = torch.tensor([0.0, -math.inf])
    assert cross_entropy(never, torch.tensor([0.5, 0.5]).log()) == pytest.approx(math.log(2))
    assert cross_entropy(torch.tensor([0.5, 0.5]).log(), never) == math.inf


def test_adversarial_losses_are_binary_cross_entropies():
    logits = torch.tensor([-2.0, 0.0, 30.0, 1e4])
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(called_real(logits), loss(logits, torch.ones(4)))
    torch.testing.assert_close(called_fake(logits), loss(logits, torch.zeros(4)))
