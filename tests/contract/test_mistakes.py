"""Mistakes of beginners: the error says what was found, what is expected and what to do."""

import sys
import warnings
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import EarlyStopping
from torch import nn

from skdeepcluster import (
    GaussianMixtureEM,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    display,
    select_n_clusters,
)
from skdeepcluster.export import to_onnx
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.modules.networks import conv_encoder
from skdeepcluster.parallel import data_parallel
from skdeepcluster.stability import cluster_stability

STREAM = np.random.default_rng(0)
Y = np.arange(48) % 3
X = STREAM.normal(size=(48, 4)) + 6 * np.eye(4)[Y]
FRAME = pd.DataFrame(X, columns=list("abcd"))
PIXELS = STREAM.uniform(size=(48, 64))
BRIEF = {"hidden_layer_sizes": (4,), "max_epochs": 1, "pretraining_epochs": 1, "random_state": 0}


class Tuple(nn.Linear):
    def forward(self, x):
        return super().forward(x), 1


class Double(nn.Linear):
    def forward(self, x):
        return super().forward(x).double()


def double(n_in, n_out):
    return nn.Linear(n_in, n_out).double()


def vade(**settings):
    return VaDEClustering(3, **BRIEF | {"init": Y, "n_components": 2} | settings)


@cache
def fit(kind):
    """Return a fit, which is made once."""
    made = {
        "mixture": GaussianMixtureEM(3, random_state=0),
        "neighbors": NeighborClustering(3, random_state=0),
        "gan": InfoGANClustering(3, **BRIEF | {"init": Y}),
        "means": KMeans(3, random_state=0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch is too few for a generator
        return made[kind].fit(FRAME if kind == "mixture" else X)


#: Name -> call with an empty folder, error, and a part of its message.
MISTAKES = {
    # ---- weights, labels, partitions
    "weights that leave one row": (
        lambda _: vade().fit(X, sample_weight=np.eye(48)[3]),
        ValueError,
        "sample_weight leaves n_samples=1 to train on, but 2 are needed",
    ),
    "an initial partition of words": (
        lambda _: vade(init=np.array(["a", "b", "c"])[Y]).fit(X),
        ValueError,
        "init has 'a' for sample 0.*LabelEncoder",
    ),
    # ---- parameters
    "a likelihood with an unknown column": (
        lambda _: vade(likelihood={"gaussian": [0, 1, 2, 9]}).fit(X),
        ValueError,
        r"0 to 3, but \[3, 9\] are missing or not in X",
    ),
    "a width": (
        lambda _: vade(hidden_layer_sizes=np.array(3)).fit(X),
        ValueError,
        "hidden_layer_sizes must be positive whole numbers",
    ),
    "a device that is not there": (
        lambda _: vade(device="mps").fit(X),
        ValueError,
        "torch cannot use device='mps' here. Use 'auto'",
    ),
    "a device by its other name": (
        lambda _: vade(device="gpu").fit(X),
        ValueError,
        "torch cannot use device='gpu' here. Use 'auto'",
    ),
    # ---- networks and callbacks
    "a network for a builder": (
        lambda _: vade(encoder=nn.Linear(2, 2)).fit(X),
        ValueError,
        "encoder must be a function.*got a network itself, Linear. Put it into a function",
    ),
    "a builder of one argument": (
        lambda _: vade(encoder=lambda n_in: None).fit(X),
        ValueError,
        "encoder.*takes 1 positional argument but 2 were",
    ),
    "a network that gives two": (
        lambda _: vade(encoder=Tuple).fit(X),
        ValueError,
        "output is not a tensor, but tuple. Have Tuple.forward return one tensor",
    ),
    "a network that gives float64": (
        lambda _: vade(encoder=Double).fit(X),
        ValueError,
        r"encoder\(n_in=4, n_out=4\) must return.*from float32 .* is torch.float64",
    ),
    "a network of float64": (
        lambda _: vade(encoder=double).fit(X),
        ValueError,
        r"encoder\(n_in=4, n_out=4\) gave no network that takes samples",
    ),
    "images without channels": (
        lambda _: vade(encoder=partial(conv_encoder, image_shape=(8, 8))).fit(PIXELS),
        ValueError,
        r"image_shape=\(8, 8\).*64 features. Give \(channels, height, width\)",
    ),
    "a function as callback": (
        lambda _: vade(callbacks=[print]).fit(X),
        TypeError,
        "must hold skorch callbacks.*got <built-in function print>.*on_epoch_end",
    ),
    "a callback that watches validation": (
        lambda _: vade(callbacks=[EarlyStopping]).fit(X),
        ValueError,
        "'valid_loss' was not found.*All samples are trained on.*monitor 'train_loss'",
    ),
    # ---- selection and ensembles
    "a class for a clusterer": (
        lambda _: select_n_clusters(X, [2, 3], estimator=KMeans),
        TypeError,
        "an instance of scikit-learn estimator instead of a class",
    ),
    "names for clusters": (
        lambda _: cluster_stability(fit("means"), X, np.array(["a", "b", "c"])[Y]),
        ValueError,
        "labels has 'a' for sample 0",
    ),
    # ---- codes
    "codes as a list": (
        lambda _: fit("gan").sample(2, codes=[1, 2]),
        TypeError,
        "codes=.* should be a mapping of names to values, such as {'continuous1': 1}",
    ),
    "a word as a code": (
        lambda _: fit("gan").traverse("continuous0", ["much"]),
        ValueError,
        "Code 'continuous0' must be a number",
    ),
    # ---- export
    "an export of another's estimator": (
        lambda folder: to_onnx(fit("means"), folder / "fit.onnx"),
        TypeError,
        "KMeans has neither a network nor a mixture to export.* skl2onnx",
    ),
    # ---- reports
    "a plot of a class": (
        lambda _: display.EmbeddingDisplay.from_estimator(KMeans, X),
        TypeError,
        "KMeans'> is a class, not an instance",
    ),
    "the width of an image": (
        lambda _: ClusterReport.from_estimator(fit("neighbors"), X, images=8),
        ValueError,
        r"image_shape=8 does not fit samples of 4 features. Give \(height, width\)",
    ),
    "names of some features": (
        lambda _: ClusterReport.from_estimator(fit("neighbors"), X, feature_names=["a", "b"]),
        ValueError,
        r"feature_names must have shape \(4,\), got \(2,\)",
    ),
    "a report of labels": (
        lambda _: ClusterReport.from_estimator(DBSCAN(eps=3).fit(X), X[:9]),
        ValueError,
        "DBSCAN has no predict.*Give the samples of the fit",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained(name, tmp_path):
    call, error, words = MISTAKES[name]
    with pytest.raises(error, match=words) as caught:
        call(tmp_path)
    assert type(caught.value).__module__.partition(".")[0] in ("builtins", "sklearn")
    assert not list(tmp_path.iterdir())


#: Optional package -> call that needs it.
EXTRAS = {
    "matplotlib": lambda folder: display.HistoryDisplay([{"epoch": 1, "loss": 2.0}]).plot(),
    "matplotlib.image": lambda folder: ClusterReport.from_estimator(
        fit("neighbors"), X, images=(2, 2)
    ),
    "accelerate": lambda folder: data_parallel().__enter__(),
}


@pytest.mark.parametrize("package", EXTRAS)
def test_an_extra_that_is_missing_is_named(package, tmp_path, monkeypatch):
    for name in [package, *sys.modules]:  # other tests may have imported it
        if name == package or name.startswith(f"{package}."):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"pip install {package.partition('.')[0]}"):
        EXTRAS[package](tmp_path)
