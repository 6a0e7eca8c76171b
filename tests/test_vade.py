"""VaDE: the two forms of the bound, limit cases, what training may not do, and sampling."""

import numpy as np
import pytest
import torch
from common import make_model, seeded
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, Checkpoint, LoadInitState, TrainEndCheckpoint
from torch.distributions import (
    Categorical,
    Independent,
    Normal,
    kl_divergence,
)

from skdeepcluster import VaDEClustering, VAEEmbedding
from skdeepcluster.functional import gaussian, points
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.nn.model import Batch

SMALL = {"n_components": 2, "hidden_layer_sizes": (32,), "random_state": 0}
OBJECTIVES = ["optimal", "published"]


def build(n_clusters=3, method=VaDEClustering, **settings):
    """Return a model of six features in [0, 1] with random parameters."""
    X = np.random.default_rng(0).uniform(size=(50, 6))
    plain = {"init_weight": 0.0, "smoothness_weight": 0.0, "init": "own"}
    plain |= {"hidden_layer_sizes": (8,), "likelihood": "bernoulli", "kl_warm_up": 0.0}
    known = method(n_clusters).get_params()
    plain = {key: value for key, value in plain.items() if key in known}
    return make_model(method(n_clusters, **SMALL | plain | settings), X)


@pytest.fixture
def vade():
    model = build()
    model.encoder.network[-1].bias.data[2:] += 3  # wide posteriors: the forms differ
    return model


def written_out(model, mean, std):
    """Log pi and KL(q(z|x) || p(z|c)), (N, K), by torch.distributions."""
    log_weights, means, stds = model.prior.mixture
    q = Independent(Normal(mean[:, None], std[:, None]), 1)
    return log_weights, kl_divergence(q, Independent(Normal(means, stds), 1))


def draw_normal(*shape):
    """Draw points of two codes."""
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0))


def divergence(model, mean, std, z):
    mixture = model.prior.mixture
    expected = gaussian.expected_log_joint(mean, std, mixture)
    return model.divergence(z, expected, mixture)


def test_published_divergence_is_equation_12(vade):
    vade.objective = "published"
    mean, std = vade.encoder(torch.rand(40, 6))
    z = mean + std * torch.randn(std.shape, generator=torch.Generator().manual_seed(0))
    log_weights, kl = written_out(vade, mean, std)
    gamma = Categorical(logits=gaussian.log_joint(z, vade.prior.mixture))
    cluster = kl_divergence(gamma, Categorical(logits=log_weights.expand(40, 3)))
    found = divergence(vade, mean, std, z)
    torch.testing.assert_close(found, (gamma.probs * kl).sum(-1) + cluster)


def test_optimal_divergence_is_the_least_over_gamma(vade):
    x = torch.rand(40, 6)
    mean, std = vade.encoder(x)
    log_weights, kl = written_out(vade, mean, std)
    least = divergence(vade, mean, std, mean)

    def at(log_gamma):
        return (log_gamma.exp() * (log_gamma + kl - log_weights)).sum(-1)

    torch.testing.assert_close(least, at(vade.log_resp(x)))
    others = torch.randn(50, 40, 3, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    assert all((at(other) > least).all() for other in others)


@torch.no_grad()
def test_scores_are_bounds_at_the_best_gamma(vade):
    x = torch.rand(40, 6)
    mean, std = vade.encoder(x)
    noise = draw_normal(32)
    decoded = vade.decoder(mean + std * noise[:, None])
    log_x = vade.likelihood.log_prob(x.expand(32, 40, 6), decoded).mean(0)
    log_weights, kl = written_out(vade, mean, std)
    expected = log_x + (log_weights - kl).logsumexp(-1)
    torch.testing.assert_close(vade.score(x, noise.double()).float(), expected)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_one_cluster_with_a_unit_prior_is_the_vae(objective, vade):
    one = build(1, objective=objective)
    vae = build(1, VAEEmbedding)
    vae.progress.fill_(1.0)
    for model in (one, vae):
        model.encoder = vade.encoder
        model.decoder = vade.decoder
    for parameter in one.prior.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(400, 6)
    with seeded(1):
        ours = one.loss(Batch(x))
    with seeded(1):
        theirs = vae.loss(Batch(x))
    torch.testing.assert_close(ours["reconstruction"], theirs["reconstruction"])
    torch.testing.assert_close(ours["kl"], theirs["kl"])
    noise = draw_normal(32).double()
    torch.testing.assert_close(one.score(x, noise), vae.score(x, noise))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_far_codes_give_sharp_predictions_and_finite_gradients(objective, vade):
    vade.objective = objective
    with torch.no_grad():
        vade.encoder.network[-1].bias[:2] += 1e6
    x = torch.rand(5, 6)
    assert torch.isfinite(vade.log_resp(x)).all()
    assert vade.log_resp(x).exp().amax(-1).min() > 0.99
    sum(vade.loss(Batch(x)).values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in vade.parameters())


def test_every_parameter_gets_a_gradient():
    vade = build(init=np.arange(50) % 3, init_weight=1.0, smoothness_weight=1.0)
    start = torch.eye(3)[torch.arange(9) % 3]
    for arguments in ([], [start]):
        vade.zero_grad()
        terms = vade.loss(Batch(torch.rand(9, 6), *arguments))
        assert set(terms) == {"reconstruction", "kl"} | (
            {"initial", "smoothness"} if arguments else set()
        )
        sum(terms.values()).backward()
        assert all(p.grad.abs().sum() > 0 for p in vade.parameters())


def test_networks_by_themselves_maximize_the_information_unless_as_published():
    batch = Batch(torch.rand(9, 6), torch.eye(3)[torch.arange(9) % 3])
    published = {"reconstruction", "kl"}
    assert set(build().loss(batch)) == published
    terms = build(smoothness_weight=1.0).loss(batch)
    assert set(terms) - published == {"initial", "smoothness", "information"}


@pytest.mark.full
@pytest.mark.parametrize("n_rows", [600, 1797])
def test_a_good_initial_partition_is_kept(n_rows):
    X, y = (values[:n_rows] for values in load_digits(return_X_y=True))
    vade = VaDEClustering(10, hidden_layer_sizes=(256, 256), random_state=0).fit(X / 16)
    start, end = (clustering_accuracy(y, labels) for labels in (vade.init_labels_, vade.labels_))
    assert end > start - 0.02
    assert end > 0.75


def test_samples_of_a_cluster_fall_into_it(rows):
    vade = VaDEClustering(3, **SMALL, max_epochs=20, pretraining_epochs=20).fit(rows)
    for k in range(3):
        X, y = vade.sample(40, cluster=k)
        assert X.shape == (40, rows.shape[1])
        assert (y == k).all()
        assert (vade.predict(X) == k).mean() > 0.9
    X, y = vade.sample(2000)
    assert (vade.predict(X) == y).mean() > 0.9
    shares = np.bincount(y, minlength=3) / 2000
    np.testing.assert_allclose(shares, vade.weights_, atol=0.07)
    assert vade.cluster_centers_.shape == (3, rows.shape[1])
    np.testing.assert_array_equal(np.sort(vade.predict(vade.cluster_centers_)), [0, 1, 2])


def test_lost_clusters_are_a_warning_with_advice():
    X = np.random.default_rng(0).normal(size=(20, 5))
    settings = {"init_weight": 0, "max_epochs": 9, "learning_rate": 0.05}
    with pytest.warns(ConvergenceWarning, match=r"have samples\. Lower n_clusters"):
        VaDEClustering(15, **SMALL, **settings).fit(X)


def test_samples_of_overlapping_clusters_are_clear():
    means = torch.tensor([[-1.0], [1.0]])
    apart = gaussian.Mixture(torch.zeros(2).log_softmax(0), means, torch.ones(2, 1))
    counts = torch.tensor([300, 200])
    x = points.clear_sample(apart, counts, torch.Generator().manual_seed(0))
    largest = float(gaussian.log_joint(apart.means, apart).softmax(-1)[0, 0])
    own = gaussian.log_joint(x, apart).softmax(-1)
    assert own[:300, 0].min() >= 0.9 * largest
    assert own[300:, 1].min() >= 0.9 * largest
    assert len(x.unique()) == 500


@pytest.mark.filterwarnings("ignore:(Only . of n_clusters=3|.* left their initial clusters)")
def test_ctrl_c_keeps_the_epochs_that_were_complete(rows):
    class CtrlC(Callback):
        def on_batch_end(self, net, **_):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    brief = {"init": "own", "max_epochs": 5, "pretraining_epochs": 1}
    vade = VaDEClustering(3, **SMALL, **brief, callbacks=[CtrlC()])
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 epochs"):
        vade.fit(rows)
    assert vade.n_iter_ == 2
    np.testing.assert_array_equal(vade.predict(rows), vade.labels_)


@pytest.mark.filterwarnings("ignore:(Only . of n_clusters=3|.* left their initial clusters)")
def test_checkpoints_of_skorch_hold_the_weights_and_go_on(rows, tmp_path):
    brief = {"init": "own", "max_epochs": 3, "pretraining_epochs": 0}
    vade = VaDEClustering(3, **SMALL, **brief)
    every = Checkpoint(monitor=None, dirname=tmp_path)
    vade.set_params(callbacks=[every, TrainEndCheckpoint(dirname=tmp_path)]).fit(rows)
    for file in ("params.pt", "train_end_params.pt"):
        saved = torch.load(tmp_path / file)
        for name, parameter in vade.model_.named_parameters():
            torch.testing.assert_close(saved[name], parameter.data)

    longer = VaDEClustering(3, **SMALL, **brief | {"max_epochs": 5})
    longer.set_params(callbacks=[LoadInitState(every)]).fit(rows)
    losses = [epoch["train_loss"] for epoch in longer.history_]
    assert losses[:3] == [epoch["train_loss"] for epoch in vade.history_]
    assert len(losses) == 5
