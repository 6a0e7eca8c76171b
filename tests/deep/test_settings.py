"""What "auto" takes for widths, rates, batches and epochs, and the attributes that show it."""

from math import ceil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from common import CLASSIFIERS, DEEP, brief, name
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import (
    CatGANClustering,
    InfoGANClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.deep.fit import Settings
from skdeepcluster.deep.start import InitialPartition
from skdeepcluster.nn.likelihood import Bernoulli

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
TINY = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
X = np.random.RandomState(0).uniform(size=(30, 4))
Y = np.arange(30) % 3
SHAPES = [(n, d) for n in (2, 150, 20_000, 10**6) for d in (1, 64, 784)]

# ---- rules


def settings(estimator, n, d=64, n_clusters=8):
    resp = None if estimator.init == "own" else np.empty((0, n_clusters))
    initial = InitialPartition(n_clusters, resp)
    data = SimpleNamespace(X=SimpleNamespace(shape=(n, d)), likelihood=Bernoulli())
    parameters = estimator.get_params()
    recipe = estimator._recipe
    return Settings.choose(parameters, recipe, data, initial, estimator.augment)


@pytest.mark.parametrize("shape", SHAPES)
def test_widths_grow_smoothly_to_the_papers_at_mnist(shape):
    n, d = shape
    widths = settings(VaDEClustering(), n, d).hidden_layer_sizes
    for more in ((ceil(1.05 * n), d), (n, ceil(1.05 * d))):
        share = max(more[0] / n, more[1] / d)
        larger = settings(VaDEClustering(), *more).hidden_layer_sizes
        assert widths[0] <= larger[0] <= ceil(widths[0] * share) + 1
    if n >= 70_000 and d >= 784:
        assert widths == (500, 500, 2000)


@pytest.mark.parametrize("estimator", DEEP, ids=name)
@pytest.mark.parametrize("n", [2, 33, 150, 4000, 10**6])
def test_steps_grow_with_the_root_of_the_samples(n, estimator):
    chosen = settings(estimator, n)
    size = chosen.batch_size
    assert min(n, 32) <= size <= 256
    if n > 64:  # sqrt(n) exceeds the number of clusters
        # A last sample that is alone joins the batch before it.
        per_epoch = ceil(n / size) - (n % size == 1)
        n_steps = estimator._recipe.steps * np.sqrt(n)
        assert n_steps <= chosen.max_epochs * per_epoch < n_steps + per_epoch


def test_steps_of_adversarial_networks_grow_with_the_clusters():
    numbers = (5, 10, 30)
    gan = [settings(CatGANClustering(), 100, 4, k).max_epochs for k in numbers]
    vade = [settings(VaDEClustering(), 100, 4, k).max_epochs for k in numbers]
    assert gan[0] == gan[1] == gan[2] / 3
    assert vade[0] == vade[2]


@pytest.mark.parametrize("estimator", [e for e in DEEP if e._recipe.learns_clusters], ids=name)
def test_what_the_start_does_not_know_is_learned_for_longer(estimator):
    plain = settings(estimator, 10_000)
    augmented = settings(clone(estimator).set_params(augment=torch.flip), 10_000)
    alone = settings(clone(estimator).set_params(init="own"), 10_000)
    assert augmented.max_epochs == alone.max_epochs == 4 * plain.max_epochs
    if estimator._recipe.pretrains:
        assert augmented.pretraining_epochs == plain.pretraining_epochs
        assert alone.pretraining_epochs == 4 * plain.pretraining_epochs


def test_rates_are_in_inverse_proportion_to_the_width():
    rates = [
        settings(VaDEClustering(hidden_layer_sizes=widths), 100).learning_rate
        for widths in ([500], [250, 9], [1], [])
    ]
    np.testing.assert_allclose(rates, [1e-3, 2e-3, 1e-3 * 500 / 128, 1e-3])


@pytest.mark.full
@pytest.mark.parametrize("method", [CatGANClustering, InfoGANClustering])
def test_many_small_clusters_are_learned(method):
    X, y = make_blobs(200, 2, centers=40, center_box=(-40, 40), random_state=0)
    fits = [method(40, init=y, random_state=seed).fit(X) for seed in range(3)]
    assert np.mean([adjusted_rand_score(y, fit.labels_) for fit in fits]) > 0.8


# ---- fitted attributes

#: Attributes after ``brief`` on 30 samples in [0, 1].
CHOSEN = {
    "likelihood_": "bernoulli",
    "standardize_": False,
    "batch_size_": 30,
    "max_epochs_": 2,
    "device_": "cpu",
}
#: Settings by the user.
SET = {"likelihood": "gaussian", "batch_size": 7, "device": "cpu", "max_epochs": 1}


@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_what_was_chosen_or_set_is_shown(estimator):
    fit = brief(estimator, init="own", device="cpu").fit(X, Y)
    for key, expected in CHOSEN.items():
        value = getattr(fit, key)
        assert value == expected
        assert type(value) is type(expected)
    fit.set_params(**SET).fit(X, Y)
    assert {key: getattr(fit, f"{key}_") for key in SET} == SET


def test_pretraining_epochs_are_those_of_this_fit():
    few = {**TINY, "pretraining_epochs": 3}
    for method in (InfoGANClustering, CatGANClustering):
        for init, expected in (("own", 3), (Y, 0)):
            assert method(3, **few, init=init).fit(X).pretraining_epochs_ == expected
    assert VaDEClustering(3, **few, init=Y).fit(X).pretraining_epochs_ == 3
    assert not hasattr(VAEEmbedding(3, **TINY, init=Y).fit(X), "pretraining_epochs_")
