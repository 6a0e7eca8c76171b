"""VAE: independent values, limits, the tighter bound, and what the estimator adds."""

import numpy as np
import pytest
import torch
from common import make_model, seeded
from scipy.integrate import trapezoid
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from skdeepcluster import NeighborClustering, VAEEmbedding
from skdeepcluster.functional import gaussian, points
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.nn.model import Batch

SMALL = {"n_components": 2, "hidden_layer_sizes": (32,), "random_state": 0}
#: For tests in which the initial partition does not matter: EM is faster than a graph.
QUICK = SMALL | {"init": "own"}
#: Networks of a few epochs, whose codes do not tell all clusters apart.
untrained = pytest.mark.filterwarnings(
    "ignore:(Only 2 of n_clusters=3 clusters|.* of the samples left their initial clusters)"
)


def build(**settings):
    """Return a model of six features in [0, 1] with random parameters."""
    plain = {"init_weight": 0.0, "likelihood": "bernoulli", "hidden_layer_sizes": (8,)}
    X = np.random.default_rng(0).uniform(size=(50, 6))
    model = make_model(VAEEmbedding(3, **QUICK | plain | settings), X)
    model.progress.fill_(1.0)
    return model


@pytest.fixture
def vae():
    return build()


@pytest.mark.parametrize("n_rows", [500, pytest.param(2000, marks=pytest.mark.full)])
def test_a_trained_linear_vae_reaches_probabilistic_pca(n_rows):
    """Kept linear, training finds the maximum likelihood that PCA has in closed form."""
    X = np.random.default_rng(0).normal(size=(n_rows, 2)) @ [[2, 0.5, 1, 0], [0, 1, 1, 1]]
    X = X + 0.3 * np.random.default_rng(1).normal(size=X.shape)
    X = (X - X.mean(0)) / X.std(0)
    linear = VAEEmbedding(
        1, n_components=2, hidden_layer_sizes=(), likelihood="gaussian", max_epochs=75,
        learning_rate=40 / n_rows, random_state=0, init="own", kl_warm_up=0.0,
    ).fit(X)  # fmt: skip
    # PCA has one noise variance, the VAE one per feature: it may do a little better.
    pca = PCA(2).fit(X).score(X)
    assert pca - 0.05 < linear.score_samples(X, n_importance_samples=200).mean() < pca + 0.3


def test_perceptrons_start_as_probabilistic_pca():
    """The posterior is exact, so the bound is the likelihood; the third code is its prior."""
    X = load_iris().data
    x = torch.tensor(X).float()
    options = {"n_components": 3, "hidden_layer_sizes": (8, 5), "likelihood": "gaussian"}
    vae = VAEEmbedding(1, **QUICK | options, learning_rate=1e-30, max_epochs=1)
    model = vae.fit(X).model_
    with torch.no_grad():
        noise_variance = PCA(2).fit(model.standardize(x)).noise_variance_
        model.likelihood.noise.fill_(float(np.log(noise_variance)))
        bound = model.importance_bound(x, 256)
        mean, std = model.posterior(x)
    pca = PCA(2).fit(X)
    torch.testing.assert_close(bound, torch.tensor(pca.score_samples(X)), rtol=0, atol=1e-3)
    assert (mean[:, 2] == 0).all()
    torch.testing.assert_close(std[:, 2], torch.ones(len(x)))


def test_loss_is_the_negative_elbo_written_out(vae):
    x = torch.rand(500, 6)
    mean, std = vae.posterior(x)
    kl = kl_divergence(
        Independent(Normal(mean, std), 1), Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    )
    with seeded(3):
        terms = vae.loss(Batch(x))
    with seeded(3):
        z = mean + std * torch.randn(500, 2)
    torch.testing.assert_close(terms["kl"], kl.mean())
    expected = -vae.likelihood.log_prob(x, vae.decoder(z)).mean()
    torch.testing.assert_close(terms["reconstruction"], expected)
    # On average over z the loss is the bound that score_samples reports.
    assert sum(terms.values()).item() == pytest.approx(
        -vae.score(x, points.normal_quantiles(points.uniform_points(512, 2))).mean().item(),
        rel=0.01,
    )


def test_clusters_are_those_of_the_mixture_of_the_codes(vae):
    x = torch.rand(50, 6)
    log_weights = torch.tensor([0.2, 0.3, 0.5]).log()
    means = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    vae.set_mixture(gaussian.Mixture(log_weights, means, means.abs() + 0.1))
    densities = Independent(Normal(means, means.abs() + 0.1), 1)
    joint = densities.log_prob(vae.posterior(x)[0][:, None]) + log_weights
    torch.testing.assert_close(vae.log_resp(x).exp(), joint.softmax(1))


def test_a_classifier_of_codes_adds_its_cross_entropy():
    batch = Batch(torch.rand(50, 6), torch.eye(3)[torch.arange(50) % 3])
    vae = build(init_weight=2 / 6**0.5)
    vae.classifier = nn.Linear(2, 3)
    with seeded(3):
        start = vae.loss(batch)["initial"]
    with seeded(3):
        mean, std = vae.posterior(batch.x)
        logits = vae.classifier(mean + std * torch.randn(50, 2))
    expected = nn.functional.cross_entropy(logits, torch.arange(50) % 3)
    torch.testing.assert_close(start, 2 * expected)
    start.backward()
    assert any(p.grad.abs().sum() > 0 for p in vae.encoder.parameters())


@pytest.mark.parametrize(
    ("load", "n_rows"), [(load_iris, 150), pytest.param(load_digits, 600, marks=pytest.mark.full)]
)
def test_labels_are_not_below_the_initial_partition(load, n_rows):
    X, y = (part[:n_rows] for part in load(return_X_y=True))
    start = NeighborClustering(n_neighbors=5)
    few = {"hidden_layer_sizes": (64,)}
    vae = VAEEmbedding(len(np.unique(y)), init=start, random_state=0, **few).fit(X)
    accuracy, before = (clustering_accuracy(y, part) for part in (vae.labels_, vae.init_labels_))
    assert accuracy >= before - 0.01
    assert vae.moved_ < 0.02


def test_codes_that_carry_nothing_are_reported():
    X = load_iris().data
    vae = VAEEmbedding(3, **SMALL, kl_warm_up=0.0, learning_rate=1e-2, init_weight=0.0)
    deaf = nn.Sequential(nn.Threshold(torch.inf, 0), nn.Linear(2, 4))
    with pytest.warns(ConvergenceWarning, match="Posterior collapse.*max_epochs"):
        vae.set_params(decoder=lambda n_in, n_out: deaf).fit(X)
    assert (vae.transform(X).var(0) < 0.01).all()


@pytest.fixture
def curved(vae):
    """A VAE far from linear, whose q(z|x) is not the posterior; rows, and their log p(x)."""
    with torch.no_grad():
        for layer in (vae.decoder[0], vae.decoder[-1]):
            layer.weight.mul_(1.5)
        vae.encoder.network[-1].bias[2:] += 4
        x = torch.rand(40, 6, generator=torch.Generator().manual_seed(1)).round()
        line = torch.linspace(-6, 6, 241)
        z = torch.cartesian_prod(line, line)
        log_z = Normal(0.0, 1.0).log_prob(z).sum(1) + 2 * (line[1] - line[0]).log()
        decoded = vae.decoder(z)
        log_x = [vae.likelihood.log_prob(row.expand_as(decoded), decoded) for row in x]
        return vae, x, (torch.stack(log_x) + log_z).double().logsumexp(1)


@torch.no_grad()
def test_bounds_rise_to_the_exact_likelihood(curved):
    vae, x, exact = curved
    elbo = vae.score(x)
    assert (elbo < exact).all()
    assert (exact - elbo).mean() > 1
    bounds = torch.stack([vae.importance_bound(x, n) for n in (1, 2, 8, 32, 128, 4096)])
    torch.testing.assert_close(bounds[0], elbo, rtol=0, atol=0.2)
    torch.testing.assert_close(bounds[0].mean(), elbo.mean(), rtol=0, atol=0.02)
    assert (bounds[:5].diff(dim=0) >= -1e-9).all(), "of the same points in larger sets"
    gaps = bounds - exact
    assert gaps.mean(1).max() < 0
    assert gaps[:3].max() < 0.05
    assert gaps[-1].mean() > 0.05 * gaps[0].mean()


@torch.no_grad()
def test_the_elbo_is_its_expectation(curved):
    vae, x, _ = curved
    mean, std = vae.posterior(x)
    z = mean + std * torch.randn(4000, 40, 2, generator=torch.Generator().manual_seed(0))
    log_x = vae.likelihood.log_prob(x.expand(4000, 40, 6), vae.decoder(z)).double()
    expected = log_x.mean(0) - gaussian.standard_kl(mean, std)
    torch.testing.assert_close(vae.score(x), expected, rtol=0, atol=0.2)
    torch.testing.assert_close(vae.score(x).mean(), expected.mean(), rtol=0, atol=0.02)
    few = vae.score(x, points.normal_quantiles(points.uniform_points(16, 2)))
    assert (few - expected).mean().abs() > 0.1, "16 points shared by the rows do not suffice"


@torch.no_grad()
def test_an_importance_bound_depends_on_the_sample_alone(curved):
    vae, x, _ = curved
    whole = vae.importance_bound(x, 8)
    torch.testing.assert_close(vae.importance_bound(x[[5, 3]], 8), whole[[5, 3]])
    n_points = len({float(value) for value in points.random_shifts(x, 2).flatten()})
    assert n_points == 2 * len(x.unique(dim=0)), "every row has points of its own"


def test_density_integrates_to_one():
    """With one feature the importance-weighted evidence is a density over the line."""
    X = np.random.default_rng(0).normal(3, 2, (150, 1))
    fitted = VAEEmbedding(1, **SMALL | {"n_components": 1}, likelihood="gaussian").fit(X)
    grid = np.linspace(-20, 26, 500)[:, None]
    density = np.exp(fitted.score_samples(grid, n_importance_samples=2000))
    assert trapezoid(density, grid[:, 0]) == pytest.approx(1, abs=0.05)


def test_samples_of_a_cluster_belong_to_it():
    y = np.arange(150) % 3
    X = np.random.default_rng(0).normal(size=(150, 3)) + 8 * np.eye(3)[y]
    fitted = VAEEmbedding(3, **SMALL | {"init": y}).fit(X)
    X_new, y_new = fitted.sample(300)
    assert (fitted.predict(X_new) == y_new).mean() > 0.95
    for k in range(3):
        X_new, y_new = fitted.sample(100, cluster=k)
        assert (y_new == k).all()
        assert (fitted.predict(X_new) == k).mean() > 0.95


@untrained
def test_codes_of_the_wrong_kind_are_explained(digits):
    fitted = VAEEmbedding(3, **QUICK, max_epochs=1).fit(digits)
    with pytest.raises(ValueError, match=r"\(n_samples, 2\).*got \(5, 3\)"):
        fitted.inverse_transform(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="n_samples == 0"):
        fitted.sample(0)
    with pytest.raises(ValueError, match="cluster == 3"):
        fitted.sample(cluster=3)
    with pytest.raises(ValueError, match="n_importance_samples"):
        fitted.score_samples(digits, n_importance_samples=0)


@pytest.mark.full
@untrained
def test_the_kl_term_warms_up(digits):
    ways = {"max_epochs": 20, "batch_size": 125, "learning_rate": 1e-30}
    vae = VAEEmbedding(3, **QUICK, **ways, kl_warm_up=0.5).fit(digits)
    kl = np.array([record["vae_kl"] for record in vae.history_])
    np.testing.assert_allclose(kl[10:], kl[-1], rtol=0.05)
    np.testing.assert_allclose(kl[:9] / kl[-1], (np.arange(9) + 0.625) / 10, rtol=0.03)
    cold = clone(vae).set_params(kl_warm_up=0.0).fit(digits)
    assert cold.history_[0]["vae_kl"] == pytest.approx(kl[-1], rel=0.05)
