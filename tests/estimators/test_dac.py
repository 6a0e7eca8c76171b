"""DAC: three players with losses of their own, guards against collapse, and sampling."""

import numpy as np
import pytest
import torch
from common import check_players
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from skdeepcluster import DACClustering
from skdeepcluster.estimators.dac import DAC, FLOOR
from skdeepcluster.modules.codes import MixturePrior, PointEncoder
from skdeepcluster.modules.likelihood import Bernoulli
from skdeepcluster.modules.model import Batch
from skdeepcluster.modules.networks import mlp

SMALL = {"n_components": 2, "hidden_layer_sizes": (32,), "random_state": 0}


@pytest.fixture
def dac():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = MixturePrior(3, 2)
        for parameter in prior.parameters():
            nn.init.normal_(parameter)
        networks = PointEncoder(mlp(6, 2, (8,))), mlp(2, 6, (8,)), mlp(2, 1, (8,))
        return DAC(*networks, Bernoulli(), prior)


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


def test_a_players_loss_reaches_its_own_modules(dac):
    check_players(dac, Batch(torch.rand(50, 6)))


@pytest.mark.parametrize(("separation", "is_told"), [(0.04, True), (0.4, False)])
def test_codes_that_shrink_are_told(separation, is_told, rows, monkeypatch, recwarn):
    # Thousands of steps lead there, as of the published training on MNIST, where it is .04.
    monkeypatch.setattr(MixturePrior, "separation", lambda _: separation)
    DACClustering(3, **SMALL, max_epochs=1, pretraining_epochs=1).fit(rows)
    told = [str(found.message) for found in recwarn if found.category is ConvergenceWarning]
    assert any("make up at most 4.0% of" in text for text in told) == is_told


@pytest.mark.full
@pytest.mark.parametrize(
    ("init", "max_epochs"), [("neighbors", 60), ("neighbors", 300), ("mixture", 60)]
)
def test_long_training_neither_shrinks_nor_inflates_the_codes(init, max_epochs, rows):
    short = DACClustering(3, **SMALL, init=init, max_epochs=1).fit(rows)
    long = DACClustering(3, **SMALL, init=init, max_epochs=max_epochs).fit(rows)
    ratio = long.transform(rows).std(0) / short.transform(rows).std(0)
    assert (ratio > 0.1).all()
    assert (ratio < 10).all()
    assert long.covariances_.min() >= FLOOR * 0.01 * long.covariances_.mean()
    np.testing.assert_array_equal(np.unique(long.labels_), [0, 1, 2])
