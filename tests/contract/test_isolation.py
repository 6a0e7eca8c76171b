"""Fits and predictions neither depend on global settings of torch and numpy nor change them."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import torch
from common import in_full
from sklearn.base import clone
from torch import nn

import skdeepcluster as sk

TINY = {"hidden_layer_sizes": (12, 8), "max_epochs": 3, "batch_size": 32}
START = TINY | {"pretraining_epochs": 2}
ESTIMATORS = {
    "mixture": sk.GaussianMixtureEM(3, n_init=2),
    "neighbors": sk.NeighborClustering(3),
    "vae": sk.VAEEmbedding(3, **TINY),
    "vade": sk.VaDEClustering(3, **START),
    "dac": sk.DACClustering(3, **START),
    "infogan": sk.InfoGANClustering(3, **TINY),
    "catgan": sk.CatGANClustering(3, **TINY | {"max_epochs": 9}),
    "classifier": sk.CatGANClassifier(**TINY),
    "ensemble": sk.ClusterEnsemble(sk.CatGANClustering(3, **TINY), n_estimators=2),
}


#: What is tried in every run; the others are tried in .ci/full.
SOME = {"mixture", "vade", "catgan"}
each = pytest.mark.parametrize("name", [n if n in SOME else in_full(n)[0] for n in ESTIMATORS])
# Fits as short as these learn little of their initial partition.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* samples left their initial clusters"),
    pytest.mark.usefixtures("no_alternatives"),
]


class Shaky(nn.Module):
    """A network of the user's own that draws random numbers when it is built and trained."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.first = nn.Linear(n_in, 6)
        self.second = nn.Linear(6, n_out)
        self.drop = nn.Dropout(0.3)
        self.rrelu = nn.RReLU()

    def forward(self, x):
        hidden = self.first(x)
        if self.training:
            hidden = hidden + 0.1 * torch.randn_like(hidden)
        return self.second(self.rrelu(self.drop(hidden)))


def fit(estimator, X, y, seed=0):
    """Return everything that could differ between fits, as arrays."""
    fitted = clone(estimator).set_params(random_state=seed).fit(X, y)
    methods = {"predict_proba", "predict", "score_samples", "transform"} & set(dir(fitted))
    found = {name: getattr(fitted, name)(X) for name in methods}
    if hasattr(fitted, "sample"):
        found["sample"] = fitted.sample(5)[0]
    if hasattr(fitted, "history_"):
        found["loss"] = np.array([record["train_loss"] for record in fitted.history_])
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(size=(90, 6)) + 4 * np.eye(6)[y]
    return X, y


@pytest.fixture(scope="module")
def alone(data):
    """Fits in turn, by estimator and seed."""
    found = {}

    def get(name, seed):
        if (name, seed) not in found:
            found[name, seed] = fit(ESTIMATORS[name], *data, seed)
        return found[name, seed]

    return get


@contextmanager
def set_and_reset(set_value, value, usual):
    set_value(value)
    try:
        yield
    finally:
        set_value(usual)


SETTINGS = {
    "float64": lambda: set_and_reset(torch.set_default_dtype, torch.float64, torch.float32),
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "default_device": lambda: set_and_reset(torch.set_default_device, "meta", None),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "errors": lambda: np.errstate(all="raise"),
}


@pytest.mark.parametrize("setting", SETTINGS)
@each
def test_global_settings_do_not_matter(name, setting, data, alone):
    expected = alone(name, 0)
    with SETTINGS[setting]():
        found = fit(ESTIMATORS[name], *data)
    assert_same(found, expected)


@each
def test_fits_in_threads_equal_fits_in_turn(name, data, alone):
    seeds = [0, 1, 0]
    expected = [alone(name, seed) for seed in seeds]
    stream = torch.get_rng_state(), joblib.hash(np.random.get_state())
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(len(seeds)) as pool:
        found = list(pool.map(lambda seed: fit(ESTIMATORS[name], *data, seed), seeds))
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert torch.equal(torch.get_rng_state(), stream[0])
    assert joblib.hash(np.random.get_state()) == stream[1]
    assert torch.get_num_threads() == threads


@pytest.mark.full
def test_the_fit_seeds_what_the_users_networks_draw(data):
    X, y = data
    vade = sk.VaDEClustering(3, encoder=Shaky, decoder=Shaky, **START)
    state = torch.get_rng_state()
    expected = fit(vade, X, y)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert_same(fit(vade, X, y), expected)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda seed: fit(vade, X, y, seed), [0, 0]):
            assert_same(found, expected)
    assert (fit(vade, X, y, seed=1)["loss"] != expected["loss"]).all()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_forked_after_a_fit_predicts_and_fits(data):
    X, y = data
    fitted = [clone(ESTIMATORS[name]).fit(X, y) for name in ("neighbors", "vade")]
    child = os.fork()
    if not child:
        status = 1
        try:
            same = [(clone(one).fit(X, y).predict(X) == one.predict(X)).mean() for one in fitted]
            status = int(not np.isfinite(same).all())
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
