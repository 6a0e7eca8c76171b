"""What "auto" takes for widths, rates, batches and epochs, by the shape of X."""

from math import ceil

import numpy as np
import pytest
import torch
from skdeepcluster._budget import Budget, choose_widths
from sklearn.datasets import load_iris, make_blobs
from sklearn.metrics import adjusted_rand_score
from torch import nn

from skdeepcluster import CatGANClustering, InfoGANClustering, VaDEClustering
from skdeepcluster.engine.runtime import MANY_PRODUCTS, threads_by_size

SHAPES = [(n, d) for n in (2, 150, 1797, 20_000, 70_000, 10**6) for d in (1, 64, 784, 20_000)]


def test_widths_are_the_papers_at_the_shape_of_mnist():
    assert choose_widths(70_000, 784) == (500, 500, 2000)
    assert choose_widths(10**7, 10**5) == (500, 500, 2000)
    assert choose_widths(150, 4) == (128, 128, 512)


@pytest.mark.parametrize("shape", SHAPES)
def test_widths_grow_smoothly_with_both_sides(shape):
    n, d = shape
    width = choose_widths(n, d)[0]
    for more in ((ceil(1.05 * n), d), (n, ceil(1.05 * d))):
        share = max(more[0] / n, more[1] / d)
        assert width <= choose_widths(*more)[0] <= ceil(width * share) + 1


@pytest.mark.parametrize("steps", [6, 12])
@pytest.mark.parametrize("n", [2, 33, 150, 3999, 4000, 70_000, 10**6])
def test_steps_grow_with_the_root_of_the_rows(n, steps):
    budget = Budget(1e-3, steps)
    batch_size = min(budget.batch_size(n), n)
    assert 32 <= budget.batch_size(n) <= 256
    # A last row that is alone joins the batch before it.
    per_epoch = ceil(n / batch_size) - (n % batch_size == 1)
    made = budget.epochs(n, batch_size) * per_epoch
    assert steps * np.sqrt(n) <= made < steps * np.sqrt(n) + per_epoch


def test_steps_of_adversarial_networks_grow_with_the_clusters():
    budget = Budget(1e-3, 6, counts_clusters=True)
    assert budget.epochs(100, 32, 10) == budget.epochs(100, 32) == 15  # of 4 steps
    assert budget.epochs(100, 32, 30) == 45
    assert Budget(1e-3, 6).epochs(100, 32, 30) == 15


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # a few are lost
@pytest.mark.parametrize("method", [CatGANClustering, InfoGANClustering])
def test_many_small_clusters_are_learned(method):
    X, y = make_blobs(200, 2, centers=40, center_box=(-40, 40), random_state=0)
    fit = method(40, init=y, random_state=0).fit(X)
    assert adjusted_rand_score(y, fit.labels_) > 0.8


def test_rates_are_in_inverse_proportion_to_the_width():
    budget = Budget(1e-3, 6)
    assert budget.learning_rate([500]) == pytest.approx(1e-3)
    assert budget.learning_rate([250, 10]) == pytest.approx(2e-3)
    assert budget.learning_rate([1]) == budget.learning_rate([128])
    assert budget.learning_rate([]) == 1e-3


@pytest.mark.full
def test_what_auto_took_is_kept_by_a_fit_that_goes_on():
    X = load_iris().data
    vade = VaDEClustering(3, max_epochs=1, pretraining_epochs=1, warm_start=True, random_state=0)
    vade.fit(X)
    assert vade.hidden_layer_sizes_ == (128, 128, 512)
    assert vade.model_.encoder.network[0].out_features == 128
    assert vade.learning_rate_ == pytest.approx(1e-3 * 500 / 128)
    wide = np.repeat(X, 100, axis=0)  # a new fit would take other networks
    vade.fit(wide)
    assert vade.hidden_layer_sizes_ == (128, 128, 512)
    vade.set_params(warm_start=False).fit(wide[:300])
    assert vade.n_iter_ == 1


def test_small_networks_train_on_one_thread(monkeypatch):
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        for width in (8, MANY_PRODUCTS // 100):
            with threads_by_size(nn.Linear(1, width, bias=False), 128):
                seen.append(torch.get_num_threads())
        monkeypatch.setattr("joblib.cpu_count", lambda: 1)  # as in a small container
        with threads_by_size(nn.Linear(1, MANY_PRODUCTS // 100, bias=False), 128):
            seen.append(torch.get_num_threads())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen[0] == seen[2] == 1
    assert seen[1] >= 1


@pytest.mark.filterwarnings("ignore:All rows fell into one cluster")
def test_normalisation_is_by_batches_in_training(monkeypatch):
    modes = []

    class Watch(nn.BatchNorm1d):
        def forward(self, x):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    def discriminator(n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, 8), Watch(8), nn.Linear(8, n_out))

    CatGANClustering(2, discriminator=discriminator, max_epochs=1, random_state=0).fit(
        load_iris().data
    )
    learning = [training for training, grad in modes if grad]
    assert learning
    assert all(learning)
