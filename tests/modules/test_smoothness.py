"""Adversarial smoothness: the closed form of a linear assignment, limits, constants."""

import pytest
import torch

from skdeepcluster.functional.losses import (
    Regularizer,
    adversarial_divergence,
    adversarial_step,
    bootstrap,
    kl_divergence,
    nearest_distance,
)


@pytest.fixture
def stream():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_the_worst_direction_of_a_linear_model(stream):
    """With p = softmax(x W), K = 2, only the difference of the columns can change p."""
    weight = torch.randn(5, 2, dtype=torch.float64)
    x, radius = torch.randn(40, 5, dtype=torch.float64), torch.rand(40, 1, dtype=torch.float64)

    def log_probs(rows):
        return (rows @ weight).log_softmax(-1)

    step = adversarial_step(log_probs, x, log_probs(x), radius)
    direction = torch.nn.functional.normalize(weight[:, 0] - weight[:, 1], dim=0)
    torch.testing.assert_close((step @ direction).abs(), radius.squeeze(1))
    torch.testing.assert_close(step.norm(dim=1), radius.squeeze(1))


def test_gradients_do_not_pass_through_the_step(stream):
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LogSoftmax(-1))
    x, radius = torch.randn(6, 3), torch.ones(6, 1)
    log_p = network(x).detach()
    step = adversarial_step(network, x, log_p, radius)
    assert not step.requires_grad
    assert all(p.grad is None for p in network.parameters())
    adversarial_divergence(network, x, log_p, radius).mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("gap", [40.0, 60.0, 80.0, 95.0])
def test_almost_certain_assignments_get_full_steps(gap, stream):
    """Their gradients are so small that squares of them vanish in single precision."""
    weight = torch.randn(5, 2)

    def log_probs(rows):
        return (rows @ weight + torch.tensor([gap, 0.0])).log_softmax(-1)

    x, radius = torch.randn(40, 5), torch.rand(40, 1)
    step = adversarial_step(log_probs, x, log_probs(x), radius)
    torch.testing.assert_close(step.norm(dim=1), radius.squeeze(1))
    assert adversarial_divergence(log_probs, x, log_probs(x), radius).abs().max() < 1e-6


def test_an_anchor_yields_to_probable_clusters():
    anchor = torch.tensor([[1.0, 0.0], [0.2, 0.8]])
    log_p = torch.tensor([[0.4, 0.6], [0.9, 0.1]]).log()
    own = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    for share in (0.0, 0.25, 1.0):
        found = bootstrap(anchor, log_p, torch.tensor(share))
        torch.testing.assert_close(found, (1 - share) * anchor + share * own)
    terms = Regularizer(2.0, own_share=0.5).terms(
        lambda x: log_p, torch.zeros(2, 1), anchor, progress=torch.tensor(0.5)
    )
    expected = -2 * ((0.75 * anchor + 0.25 * own) * log_p).sum(1).mean()
    torch.testing.assert_close(terms["start"], expected)


@pytest.mark.parametrize("n_rows", [1, 2, 16, 512])
def test_steps_scale_with_nearest_distances(n_rows, stream):
    """Among fewer than 256 samples the nearest is farther, by the root of their share."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LogSoftmax(-1))
    x, anchor = torch.randn(n_rows, 3), torch.full((n_rows, 2), 0.5)
    gaps = torch.cdist(x, x).fill_diagonal_(torch.inf).amin(1, keepdim=True)
    nearest = gaps if n_rows > 1 else 0 * x[:, :1]
    torch.testing.assert_close(nearest_distance(x), nearest)
    radius = 0.25 * min(1, n_rows / 256) ** 0.5 * nearest
    torch.manual_seed(1)
    found = Regularizer(smoothness_weight=2.0).terms(network, x, anchor)["smoothness"]
    torch.manual_seed(1)
    step = adversarial_step(network, x, network(x).detach(), radius)
    expected = 2 * kl_divergence(network(x), network(x + step)).mean()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-8)


def test_terms_of_weight_zero_are_left_out():
    anchor, x = torch.tensor([[0.3, 0.7]]), torch.zeros(1, 1)

    def log_resp(rows):
        return torch.tensor([[0.4, 0.6]]).log()

    assert Regularizer(start_weight=1.0).terms(log_resp, x, None) == {}
    assert Regularizer().terms(log_resp, x, anchor) == {}
    start = Regularizer(start_weight=1.0).terms(log_resp, x, anchor)
    assert set(start) == {"start"}
    given = torch.tensor([[0.1, 0.9]]).log()
    known = Regularizer(start_weight=1.0).terms(log_resp, x, anchor, given)
    assert known["start"].item() == pytest.approx(-(0.3 * given[0, 0] + 0.7 * given[0, 1]).item())
    whole = Regularizer(start_weight=1.0, own_share=1.0).terms(log_resp, x, anchor)
    assert whole["start"].item() == pytest.approx(-torch.tensor(0.6).log().item())
