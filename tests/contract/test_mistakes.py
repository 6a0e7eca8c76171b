"""Mistakes of beginners: the error says what was found, what is expected and what to do."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from skorch.callbacks import EarlyStopping
from torch import nn

from skdeepcluster import CatGANClassifier, NeighborClustering, VaDEClustering, display
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.nn import RandomShift

Y = np.arange(48) % 3
X = np.random.default_rng(0).normal(size=(48, 4)) + 6 * np.eye(4)[Y]
BRIEF = {"hidden_layer_sizes": (4,), "max_epochs": 1, "pretraining_epochs": 1, "n_components": 2}
GRAPH = NeighborClustering(3, random_state=0).fit(X)


class Tuple(nn.Linear):
    def forward(self, x):
        return super().forward(x), 1


def fit(X=X, sample_weight=None, **settings):
    return VaDEClustering(3, **BRIEF | {"init": Y} | settings).fit(X, sample_weight=sample_weight)


def report(fitted, X=X, **options):
    return ClusterReport.from_estimator(fitted, X, **options)


#: Name -> call, error, and a part of its message.
MISTAKES = {
    "weights that leave one sample": (
        lambda: fit(sample_weight=np.eye(48)[3]),
        ValueError,
        "sample_weight leaves n_samples=1 to train on, but 2 are needed",
    ),
    "an initial partition of words": (
        lambda: fit(init=np.array(["a", "b", "c"])[Y]),
        ValueError,
        "init has 'a' for sample 0.*LabelEncoder",
    ),
    "a device that is not there": (
        lambda: fit(device="mps"),
        ValueError,
        "torch cannot use device='mps' here. Use 'auto'",
    ),
    "a network for a builder": (
        lambda: fit(encoder=nn.Linear(2, 2)),
        ValueError,
        "encoder must be a function.*got the network Linear. Put it into a function",
    ),
    "a network that returns two outputs": (
        lambda: fit(encoder=Tuple),
        ValueError,
        "but got tuple",
    ),
    "a single column": (
        lambda: NeighborClustering(3).fit(pd.Series(X[:, 0])),
        ValueError,
        "Expected a 2-dimensional container",
    ),
    "a function as callback": (
        lambda: fit(callbacks=[print]),
        TypeError,
        "must hold skorch callbacks.*got <built-in function print>.*on_epoch_end",
    ),
    "a metric below zero": (
        lambda: NeighborClustering(3, metric=lambda a, b: -1.0).fit(X),
        ValueError,
        "is no distance: .* values of at least 0",
    ),
    "distances on one side of the diagonal": (
        lambda: NeighborClustering(3, metric="precomputed").fit(np.triu(squareform(pdist(X)))),
        ValueError,
        "on one side of the diagonal only, .* Pass X \\+ X.T",
    ),
    "a single class": (
        lambda: CatGANClassifier().fit(X, np.full(48, 7)),
        ValueError,
        "y has one class, 7, but two are needed",
    ),
    "weights without a label": (
        lambda: CatGANClassifier(max_epochs=1, hidden_layer_sizes=(4,)).fit(
            X, np.where(np.arange(48) < 9, Y, -1), sample_weight=np.arange(48) >= 9
        ),
        ValueError,
        "sample_weight selects no labeled sample. Give some larger weights",
    ),
    "a shift in values of a series": (
        lambda: RandomShift(5),
        ValueError,
        "max_shift must be between 0 and 1, got 5",
    ),
    "a callback that watches validation": (
        lambda: fit(callbacks=[EarlyStopping]),
        ValueError,
        "'valid_loss' was not found.*no validation set.*monitor 'train_loss'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained(name):
    call, error, words = MISTAKES[name]
    with pytest.raises(error, match=words):
        call()


#: Calls that need matplotlib.
DRAWING = [
    lambda: display.EmbeddingDisplay(np.eye(2)).plot(),
    lambda: report(GRAPH).to_html(),
]


@pytest.mark.parametrize("draw", DRAWING)
def test_an_extra_that_is_missing_is_named(draw, monkeypatch):
    for name in ["matplotlib", *sys.modules]:  # other tests may have imported it
        if name.split(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        draw()
