"""DAC: three losses with their own parameters, guards against collapse, and sampling."""

import numpy as np
import pytest
import torch
from common import check_optimizer_groups, make_model
from sklearn.exceptions import ConvergenceWarning
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from skdeepcluster import DACClustering
from skdeepcluster.nn.model import Batch

SMALL = {"n_components": 2, "hidden_layer_sizes": (32,), "random_state": 0}


@pytest.fixture
def dac():
    plain = {"init_weight": 0.0, "smoothness_weight": 0.0, "init": "own"}
    settings = SMALL | plain | {"hidden_layer_sizes": (8,)}
    X = np.random.default_rng(0).uniform(size=(50, 6))
    return make_model(DACClustering(3, likelihood="bernoulli", **settings), X)


def mixture(model):
    log_weights, means, stds = model.prior.mixture
    parts = Independent(Normal(means, stds), 1)
    return MixtureSameFamily(Categorical(logits=log_weights), parts)


def test_losses_are_those_of_the_paper_written_out(dac):
    x = torch.rand(50, 6)
    code = dac.encode(x)
    terms = dac.loss(Batch(x))
    torch.testing.assert_close(terms["mixture"], -mixture(dac).log_prob(code).mean())
    p = torch.sigmoid(dac.judge(code, dac.prior.mixture))
    torch.testing.assert_close(terms["adversarial"], -p.log().mean())
    torch.testing.assert_close(dac.critic_loss(Batch(x))["codes"], -(1 - p).log().mean())
    expected = x * dac.decode(code).log() + (1 - x) * (1 - dac.decode(code)).log()
    torch.testing.assert_close(terms["reconstruction"], -expected.sum(1).mean())
    torch.testing.assert_close(dac.score(x).float(), expected.sum(1) + mixture(dac).log_prob(code))


def test_a_loss_reaches_its_own_modules(dac):
    check_optimizer_groups(dac, Batch(torch.rand(50, 6)))


@pytest.mark.parametrize("are_clusters", [True, False])
def test_codes_without_separate_clusters_are_told(are_clusters, blobs, recwarn):
    X, y = blobs
    init = y if are_clusters else np.random.default_rng(0).permutation(y)
    DACClustering(3, **SMALL, init=init, max_epochs=1, pretraining_epochs=1).fit(X)
    told = [str(found.message) for found in recwarn if found.category is ConvergenceWarning]
    assert any("make up at most" in text for text in told) != are_clusters


@pytest.mark.full
@pytest.mark.parametrize(
    ("init", "max_epochs"), [("neighbors", 60), ("neighbors", 300), ("own", 60)]
)
def test_long_training_neither_shrinks_nor_inflates_the_codes(init, max_epochs, rows):
    short = DACClustering(3, **SMALL, init=init, max_epochs=1).fit(rows)
    long = DACClustering(3, **SMALL, init=init, max_epochs=max_epochs).fit(rows)
    ratio = long.transform(rows).std(0) / short.transform(rows).std(0)
    assert (ratio > 0.1).all()
    assert (ratio < 10).all()
    np.testing.assert_array_equal(np.unique(long.labels_), [0, 1, 2])
