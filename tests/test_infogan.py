"""InfoGAN: its game by the paper, and codes that are read back."""

import warnings

import numpy as np
import pytest
import torch
from common import check_optimizer_groups, seeded
from torch import nn

from skdeepcluster import InfoGANClustering
from skdeepcluster.infogan import find_style
from skdeepcluster.nn.model import Batch

SMALL = {"hidden_layer_sizes": (32,), "random_state": 0}
#: As published, with small networks.
PUBLISHED = {
    "likelihood": "bernoulli",
    "instance_noise": 0.0,
    "continuous_weight": 1.0,
    "init_weight": 0.0,
    "smoothness_weight": 0.0,
    "reconstruction_weight": 0.0,
    "init": "own",
    "pretraining_epochs": 0,
    "hidden_layer_sizes": (8, 8),
    "max_epochs": 1,
    "random_state": 0,
}


def two_layers(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.Tanh(), nn.Linear(8, n_out))


@pytest.fixture(scope="module")
def x():
    with seeded(1):
        return torch.rand(50, 6)


@pytest.fixture(scope="module")
def game(x):
    """Return a function that makes a model by parameters of the estimator."""

    def make(**settings):
        with warnings.catch_warnings(action="ignore"):
            gan = InfoGANClustering(3, generator=two_layers, **PUBLISHED | settings).fit(x.numpy())
        gan.model_.progress.zero_()
        return gan.model_.train().requires_grad_(True)

    return make


@pytest.fixture(scope="module")
def fitted(rows):
    # A good generator takes longer than good clusters.
    return InfoGANClustering(3, max_epochs=40, **SMALL).fit(rows)


def test_styles_are_uniform_in_every_cluster():
    clusters = np.repeat([0, 1], [20, 31])
    X = np.random.default_rng(0).normal(size=(51, 3)) + 9 * clusters[:, None]
    resp = np.eye(2, dtype=np.float32)[clusters]
    style = find_style(torch.Tensor.float, X, resp, 2, np.random.RandomState(0))
    for k, n in enumerate((20, 31)):
        middles = (np.arange(n) + 0.5) / n * 2 - 1
        found = np.sort(style[clusters == k], axis=0)
        np.testing.assert_allclose(found, np.c_[middles, middles], atol=1e-6)


# ---- the game


def test_losses_are_those_of_the_paper_written_out(game, x):
    model = game(mi_weight=2.0, continuous_weight=0.5)
    with seeded(3):
        terms = model.discriminator_loss(Batch(x))
    with seeded(3), torch.no_grad():
        codes = model.draw_codes(len(x), x.device)
        fake = model.render_standardized(codes, x)
    real, generated = (
        torch.sigmoid(model.critic(model.body(rows_std)))
        for rows_std in (model.standardize(x), fake)
    )
    torch.testing.assert_close(terms["real"], -real.log().mean())
    torch.testing.assert_close(terms["fake"], -(1 - generated).log().mean())
    log_p, mean, log_std = model.read(model.body(fake))
    category = nn.functional.cross_entropy(log_p, codes.cluster)
    density = torch.distributions.Normal(mean, log_std.exp())
    continuous = -density.log_prob(codes.continuous).sum(1).mean()
    torch.testing.assert_close(terms["category"], 2 * category)
    torch.testing.assert_close(terms["continuous"], 2 * 0.5 * continuous)
    with seeded(3):
        terms = model.generator_loss(Batch(x))
    torch.testing.assert_close(terms["adversarial"], -generated.log().mean())
    torch.testing.assert_close(terms["category"], 2 * category)


def test_codes_are_drawn_by_their_distributions_and_joined(game):
    model = game()
    prior = torch.tensor([0.1, 0.2, 0.7])
    model.log_prior.copy_(prior.log())
    with seeded(0):
        codes = model.draw_codes(8000, torch.device("cpu"))
    shares = codes.cluster.bincount(minlength=3) / 8000
    torch.testing.assert_close(shares, prior, atol=0.02, rtol=0)
    for values in (codes.noise, codes.continuous):
        assert -1 <= values.min() < -0.99
        assert 0.99 < values.max() <= 1
        np.testing.assert_allclose(values.mean(0), 0, atol=0.03)
        np.testing.assert_allclose(values.var(0), 1 / 3, atol=0.02)
    expected = np.hstack([codes.noise, np.eye(3)[codes.cluster], codes.continuous])
    np.testing.assert_allclose(model.join(codes), expected)


def test_a_loss_reaches_its_own_modules(game, x):
    check_optimizer_groups(game(), Batch(x))


def test_own_terms_vanish_at_weight_zero_and_without_a_partition(game, x):
    batch = Batch(x, torch.full((50, 3), 1 / 3), {"style": torch.zeros(50, 2)})
    ours = game(init=np.arange(50) % 3, init_weight=1.0, smoothness_weight=1.0)
    published = {"real", "fake", "category", "continuous"}
    added = set(ours.discriminator_loss(batch)) - published
    assert added == {"initial", "smoothness", "style"}
    assert set(ours.discriminator_loss(Batch(x))) == published
    assert set(game().discriminator_loss(batch)) == published | {"style"}
    ours = game(reconstruction_weight=1.0)
    published = {"adversarial", "category", "continuous"}
    assert set(ours.generator_loss(batch)) - published == {"reconstruction"}
    assert set(ours.generator_loss(Batch(x))) == published
    assert set(game().generator_loss(batch)) == published


def test_other_versions_of_samples_train_clusters_alone(game, x):
    initial = torch.full((50, 3), 1 / 3)
    style = torch.zeros(50, 2)
    batch = Batch(x, initial, {"style": style})
    model = game(init=np.arange(50) % 3, reconstruction_weight=1.0, init_weight=1.0)

    def losses(augmented):
        seen = batch._replace(augmented=augmented)
        with seeded(3):
            generator = model.generator_loss(seen).items()
            return model.discriminator_loss(seen) | {f"own {k}": v for k, v in generator}

    plain = losses(None)
    same = losses(x)
    moved = losses(x.flip(0) ** 2)
    torch.testing.assert_close(plain, same)
    changed = {name for name in plain if not torch.equal(plain[name], moved[name])}
    assert changed == {"initial"}


def test_the_reconstruction_error_of_the_same_codes_fades(game, x):
    model = game(reconstruction_weight=3.0)
    initial = torch.eye(3)[torch.arange(50) % 3]
    style = torch.rand(50, 64) * 2 - 1
    inputs = torch.cat([style[:, 2:], initial, style[:, :2]], 1)
    error = (model.generator(inputs).sigmoid() - x).square().mean()
    for progress in (0.0, 0.75, 1.0):
        model.progress.fill_(progress)
        terms = model.generator_loss(Batch(x, initial, {"style": style}))
        torch.testing.assert_close(terms["reconstruction"], 3 * (1 - progress) * error)


# ---- the estimator


def test_transform_is_the_posterior_of_all_codes(fitted, rows):
    Z = fitted.transform(rows)
    assert Z.shape == (len(rows), 3 + 2)
    p = fitted.predict_proba(rows).astype(np.float64) ** fitted.temperature_
    np.testing.assert_allclose(Z[:, :3], p / p.sum(1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_samples_of_a_cluster_fall_into_it(fitted):
    for k in range(3):
        X, y = fitted.sample(100, cluster=k)
        assert (y == k).all()
        assert (fitted.predict(X) == k).mean() > 0.9
    X, y = fitted.sample(300)
    assert (fitted.predict(X) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gan: gan.sample(2, cluster=3), "cluster == 3, must be <= 2"),
        (lambda gan: gan.inverse_transform(np.ones((2, 4))), r"\(n_samples, 5\)"),
    ],
)
def test_errors_say_what_to_do(fitted, call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted)
