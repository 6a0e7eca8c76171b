"""Loss terms: bounds, identities, independent values, limits, and the closed form of a step."""

import math

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import entropy as scipy_entropy
from torch.distributions import Categorical
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from skdeepcluster.functional import entropy, kl_divergence, losses, mutual_information
from skdeepcluster.nn import model

close = torch.testing.assert_close
HALVES = torch.tensor([0.5, 0.5]).log()
CERTAIN = torch.tensor([1.0, 0.0]).log()


def distributions(n, k, seed=0):
    """Return log-probabilities (n, k)."""
    p = np.random.default_rng(seed).dirichlet(np.ones(k), n)
    return torch.from_numpy(p).log()


# ---- entropies and divergences


def test_entropy_and_divergences_equal_scipy():
    log_p = distributions(20, 7)
    log_q = distributions(20, 7, seed=1)
    p = log_p.exp().numpy()
    q = log_q.exp().numpy()
    np.testing.assert_allclose(entropy(log_p), scipy_entropy(p, axis=1))
    np.testing.assert_allclose(kl_divergence(log_p, log_q), rel_entr(p, q).sum(-1))
    close(losses.cross_entropy(log_p, log_q), -(log_p.exp() * log_q).sum(-1))


def test_limits_at_probabilities_of_zero():
    assert entropy(torch.eye(5).double().log()).abs().max() == 0
    assert entropy(HALVES) == pytest.approx(math.log(2))
    assert kl_divergence(CERTAIN, CERTAIN) == 0
    for divergence in (kl_divergence, losses.cross_entropy):
        assert divergence(CERTAIN, HALVES) == pytest.approx(math.log(2))
        assert divergence(HALVES, CERTAIN) == math.inf


def test_mutual_information_is_the_kl_of_joint_and_product():
    log_p = distributions(30, 6)
    joint = log_p.exp() / 30
    product = joint.sum(0, keepdim=True) * joint.sum(1, keepdim=True)
    expected = rel_entr(joint, product).sum()
    assert mutual_information(log_p).item() == pytest.approx(expected.item())

    equal = log_p[:1].expand(10, 6)
    assert mutual_information(equal).item() == pytest.approx(0, abs=1e-12)
    certain = torch.eye(6).repeat(3, 1).log()
    assert mutual_information(certain) == pytest.approx(math.log(6), rel=1e-6)


def test_an_impossible_outcome_has_no_gradient():
    log_p = torch.tensor([[0.4, 0.6, 0.0], [0.9, 0.1, 0.0]]).double().log()
    possible = log_p[:, :2].clone().requires_grad_()
    log_p.requires_grad_()
    information = mutual_information(log_p)
    information.backward()
    expected = mutual_information(possible)
    expected.backward()
    close(information, expected)
    close(log_p.grad[:, :2], possible.grad)
    assert (log_p.grad[:, 2] == 0).all()

    sometimes = torch.stack([HALVES, CERTAIN]).requires_grad_()
    mutual_information(sometimes).backward()
    assert sometimes.grad.isfinite().all()


def test_adversarial_losses_are_binary_cross_entropies():
    logits = torch.tensor([-2.0, 0.0, 30.0, 1e4])
    real = binary_cross_entropy_with_logits(logits, torch.ones(4))
    fake = binary_cross_entropy_with_logits(logits, torch.zeros(4))
    close(losses.called_real(logits), real)
    close(losses.called_fake(logits), fake)


# ---- the initial partition


def test_the_initial_partition_yields_to_probable_clusters():
    initial = torch.tensor([[1.0, 0.0], [0.2, 0.8]])
    log_p = torch.tensor([[0.4, 0.6], [0.9, 0.1]]).log()
    clusters = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    regularizer = model.Regularizer(init_weight=2.0, own_share=0.5)
    for progress in (0.0, 0.5, 1.0):
        share = progress / 2
        target = (1 - share) * initial + share * clusters
        terms = regularizer.terms(None, torch.zeros(2, 1), initial, log_p, progress)
        close(terms["initial"], -2 * (target * log_p).sum(1).mean())


def test_other_versions_learn_the_clusters_of_the_samples():
    initial = torch.tensor([[1.0, 0.0], [0.2, 0.8]])
    log_p = torch.tensor([[0.4, 0.6], [0.7, 0.3]]).log()
    log_original = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log()
    regularizer = model.Regularizer(init_weight=2.0)
    for progress in (0.0, 0.5, 1.0):
        terms = regularizer.terms(None, torch.zeros(2, 1), initial, log_p, progress, log_original)
        target = (1 - progress) * initial + progress * torch.eye(2)
        close(terms["initial"], -2 * (target * log_p).sum(1).mean())


@pytest.mark.parametrize("initial", [None, torch.eye(4)])
def test_own_clusters_maximize_the_information_and_leave_their_start(initial):
    """IMSAT: smoothness + 0.1 (mean H[p(y|x)] - 4 H[mean p(y|x)])."""
    logits = torch.tensor([[2.0, 0.0, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [1, 0, 0, 1]])
    x = torch.eye(4)

    def log_resp(rows):
        return (rows @ logits).log_softmax(1)

    log_p = log_resp(x)
    uncertain = Categorical(log_p.exp()).entropy().mean()
    used = Categorical(log_p.exp().mean(0)).entropy()
    own = model.Regularizer(0.5, 5.0, information_weight=5.0, end=0.5)
    held = model.Regularizer(0.5, 5.0)
    for progress, left in ((0.0, 1.0), (0.25, 0.5), (0.5, 0.0), (1.0, 0.0)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            terms = own.terms(log_resp, x, initial, log_p, progress)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            expected = held.terms(log_resp, x, initial, log_p, progress)
        close(terms.pop("information"), 0.5 * (uncertain - 4 * used))
        assert terms.keys() == expected.keys()
        close(terms["smoothness"], expected["smoothness"])
        if initial is not None:
            close(terms["initial"], left * expected["initial"])


def test_terms_of_weight_zero_are_left_out():
    initial = torch.tensor([[0.3, 0.7]])
    x = torch.zeros(1, 1)

    def log_resp(rows):
        return torch.tensor([[0.4, 0.6]]).log()

    start = model.Regularizer(init_weight=1.0)
    assert start.terms(log_resp, x, None) == {}
    assert model.Regularizer().terms(log_resp, x, initial) == {}
    terms = start.terms(log_resp, x, initial)
    assert set(terms) == {"initial"}
    close(terms["initial"], -(initial * log_resp(x)).sum())


# ---- smoothness


@pytest.fixture
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.usefixtures("_seeded")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [0.0, 40.0, 60.0, 80.0, 95.0])
def test_the_worst_direction_of_a_linear_model(gap, dtype):
    """With p = softmax(x W + b), K = 2, only the difference of the columns can change p.

    Almost certain assignments have gradients whose squares vanish in single precision.
    """
    weight = torch.randn(5, 2, dtype=dtype)
    x = torch.randn(40, 5, dtype=dtype)
    radius = torch.rand(40, 1, dtype=dtype)
    bias = torch.tensor([gap, 0.0], dtype=dtype)

    def log_resp(rows):
        return (rows @ weight + bias).log_softmax(-1)

    step = model.adversarial_step(log_resp, x, log_resp(x), radius)
    close(step.norm(dim=1), radius.squeeze(1))
    if gap == 0 and dtype == torch.float64:
        direction = normalize(weight[:, 0] - weight[:, 1], dim=0)
        close((step @ direction).abs(), radius.squeeze(1))


@pytest.mark.usefixtures("_seeded")
def test_gradients_do_not_pass_through_the_step():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LogSoftmax(-1))
    x = torch.randn(6, 3)
    radius = torch.ones(6, 1)
    log_p = network(x).detach()
    step = model.adversarial_step(network, x, log_p, radius)
    assert not step.requires_grad
    assert all(p.grad is None for p in network.parameters())
    regularizer = model.Regularizer(smoothness_weight=1.0)
    regularizer.terms(network, x, log_p.exp())["smoothness"].backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.usefixtures("_seeded")
@pytest.mark.parametrize("n_rows", [1, 2, 16, 512])
def test_steps_scale_with_nearest_distances(n_rows):
    """Among fewer than 256 samples the nearest is farther, by the root of their share."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LogSoftmax(-1))
    x = torch.randn(n_rows, 3)
    initial = torch.full((n_rows, 2), 0.5)
    nearest = torch.zeros(1, 1)
    if n_rows > 1:
        distances = torch.cdist(x, x).fill_diagonal_(torch.inf)
        nearest = distances.amin(1, keepdim=True)
    radius = 0.25 * min(1, n_rows / 256) ** 0.5 * nearest

    torch.manual_seed(1)
    terms = model.Regularizer(smoothness_weight=2.0).terms(network, x, initial)
    torch.manual_seed(1)
    step = model.adversarial_step(network, x, network(x).detach(), radius)
    expected = 2 * kl_divergence(network(x), network(x + step)).mean()
    close(terms["smoothness"], expected, rtol=1e-3, atol=1e-8)
