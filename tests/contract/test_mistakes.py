"""What beginners type wrongly: the error says what was found, what is expected, what to do."""

import re
import sys
import warnings
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cluster import DBSCAN, KMeans
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import EarlyStopping
from torch import nn

from skdeepcluster import (
    CatGANClassifier,
    ClusterEnsemble,
    GaussianMixtureEM,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    display,
    select_n_clusters,
)
from skdeepcluster.export import to_onnx
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.model_selection import label_free_scorer
from skdeepcluster.modules.networks import conv_encoder
from skdeepcluster.parallel import data_parallel
from skdeepcluster.persistence import load, save
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
    """Return a fit that is made once."""
    made = {
        "mixture": GaussianMixtureEM(3, random_state=0),
        "neighbors": NeighborClustering(3, random_state=0),
        "gan": InfoGANClustering(3, **BRIEF | {"init": Y}),
        "means": KMeans(3, random_state=0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a generator that has not learnt
        return made[kind].fit(FRAME if kind == "mixture" else X)


def with_value(value, dtype=float):
    rows = X.astype(dtype)
    rows[3, 2] = value
    return rows


def no_model(folder):
    path = folder / "notes.txt"
    path.write_text("no model at all")
    return path


#: Name -> what is called with an empty folder, the error, and words of its message.
MISTAKES = {
    # ---- rows that are no table of numbers
    "lists of different lengths": (
        lambda _: vade().fit([[1.0, 2.0], [3.0]] * 9),
        ValueError,
        "Rows of X have from 1 to 2 values: give every row the same features",
    ),
    "texts": (
        lambda _: NeighborClustering(2).fit(["good", "bad"] * 9),
        ValueError,
        "X holds texts: turn them into rows of numbers.*TfidfVectorizer",
    ),
    "NaN": (
        lambda _: vade().fit(with_value(np.nan)),
        ValueError,
        "Row 3 of X holds nan in column 2: fill missing values in by sklearn.impute",
    ),
    "infinity": (
        lambda _: GaussianMixtureEM(3).fit(with_value(-np.inf)),
        ValueError,
        "Row 3 of X holds -inf in column 2: correct the value",
    ),
    "None": (
        lambda _: fit("neighbors").predict(with_value(None, object)),
        ValueError,
        "Row 3 of X holds None in column 2: fill missing values in",
    ),
    "a word": (
        lambda _: vade().fit(with_value("n/a", object)),
        ValueError,
        "Row 3 of X holds 'n/a' in column 2: encode categories",
    ),
    "images": (
        lambda _: vade().fit(PIXELS.reshape(-1, 1, 8, 8)),
        ValueError,
        r"X has shape \(48, 1, 8, 8\).*X.reshape\(len\(X\), -1\)",
    ),
    "a dict": (
        lambda _: vade().fit({"a": [1, 2, 3]}),
        ValueError,
        r"X is of type dict: pass an array.*\(n_samples, n_features\)",
    ),
    "a tensor with gradients": (
        lambda _: vade().fit(torch.tensor(X, requires_grad=True)),
        ValueError,
        r"X is a tensor of torch: pass X.detach\(\).cpu\(\).numpy\(\)",
    ),
    "a column": (
        lambda _: vade().fit(FRAME["a"]),
        ValueError,
        f"got {re.escape(str(pd.Series))} .*Pass a DataFrame",
    ),
    "columns in another order": (
        lambda _: fit("mixture").predict(FRAME[list("dcba")]),
        ValueError,
        "same order as they were in fit",
    ),
    "NaN where clusters are counted": (
        lambda _: select_n_clusters(with_value(np.nan), [2, 3]),
        ValueError,
        "X contains NaN",
    ),
    # ---- weights, labels, partitions
    "weights that are words": (
        lambda _: vade().fit(X, sample_weight=["a"] * 48),
        ValueError,
        "sample_weight should be a finite number for each of the 48 rows",
    ),
    "weights that leave one row": (
        lambda _: vade().fit(X, sample_weight=np.eye(48)[3]),
        ValueError,
        "sample_weight leaves n_samples=1 to train on, but 2 are needed",
    ),
    "labels of some rows": (
        lambda _: CatGANClassifier().fit(X, Y[:9]),
        ValueError,
        r"inconsistent numbers of samples: \[48, 9\]",
    ),
    "a classifier without labels": (
        lambda _: CatGANClassifier().fit(X, None),
        ValueError,
        "requires y to be passed",
    ),
    "a start of words": (
        lambda _: vade(init=np.array(["a", "b", "c"])[Y]).fit(X),
        ValueError,
        "'init' should hold finite numbers.*LabelEncoder",
    ),
    "a start by another clusterer": (
        lambda _: vade(init=KMeans(3)).fit(X),
        ValueError,
        "'init' parameter of VaDEClustering must be .* an array-like. Got KMeans",
    ),
    # ---- parameters
    "a number of clusters in quotes": (
        lambda _: vade().set_params(n_clusters="5").fit(X),
        ValueError,
        r"'n_clusters' parameter .* int in the range \[1, inf\) or .*'auto'.* Got '5'",
    ),
    "an unknown parameter": (
        lambda _: vade().set_params(clusters=3),
        ValueError,
        r"Invalid parameter 'clusters'(.|\n)*Valid parameters are.*'n_clusters'",
    ),
    "a generator as random_state": (
        lambda _: vade(random_state=np.random.default_rng(0)).fit(X),
        ValueError,
        "'random_state' parameter .* must be an int .* Got Generator",
    ),
    "distances for a network": (
        lambda _: vade(init="neighbors", metric="precomputed").fit(X),
        ValueError,
        "metric asks for precomputed distances. Name a metric of features, or pass labels_",
    ),
    "a likelihood with an unknown column": (
        lambda _: vade(likelihood={"gaussian": [0, 1, 2, 9]}).fit(X),
        ValueError,
        r"0 to 3, but \[3\] are missing and there are no columns \[9\]",
    ),
    "a width": (
        lambda _: vade(hidden_layer_sizes=np.array(3)).fit(X),
        ValueError,
        "hidden_layer_sizes must be positive whole numbers",
    ),
    "a device that is not there": (
        lambda _: vade(device="mps").fit(X),
        ValueError,
        "device='mps', but torch finds none here that computes. Use device='auto'",
    ),
    "a device without memory": (
        lambda _: vade(device=torch.device("meta")).fit(X),
        ValueError,
        "device='meta', but torch finds none here",
    ),
    "a device by its other name": (
        lambda _: vade(device="gpu").fit(X),
        ValueError,
        "device='gpu' is not a device of torch. Use 'auto'",
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
        "output is torch.float64, not torch.float32. Build it with float32",
    ),
    "a network of float64": (
        lambda _: vade(encoder=double).fit(X),
        ValueError,
        r"encoder\(n_in=4, n_out=4\) gave no network that takes rows",
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
    "a named number as callback": (
        lambda _: vade(callbacks=[("name", 3)]).fit(X),
        TypeError,
        "callbacks must hold skorch callbacks",
    ),
    "a callback that watches validation": (
        lambda _: vade(callbacks=[EarlyStopping]).fit(X),
        ValueError,
        "'valid_loss' was not found.*All samples are trained on.*one of .*train_loss",
    ),
    # ---- selection and ensembles
    "one number of clusters": (
        lambda _: select_n_clusters(X, 5),
        TypeError,
        r"n_clusters=5 is a single value.*e.g. range\(1, 11\)",
    ),
    "a class for a clusterer": (
        lambda _: select_n_clusters(X, [2, 3], estimator=KMeans),
        TypeError,
        r"KMeans'> is no clusterer. Give an instance, such as KMeans\(\)",
    ),
    "codes of a mixture": (
        lambda _: label_free_scorer(space="codes")(fit("mixture"), FRAME),
        TypeError,
        r"GaussianMixtureEM has no codes \(transform\). Use .*space='features'",
    ),
    "a number for a member": (
        lambda _: ClusterEnsemble([8]).fit(X),
        TypeError,
        r"should hold clusterers, objects with a fit_predict method. Got \[8\]",
    ),
    "names for clusters": (
        lambda _: cluster_stability(fit("means"), X, np.array(["a", "b", "c"])[Y]),
        ValueError,
        "dtype <U1.*Give the number of a cluster for each row",
    ),
    # ---- answers
    "a fit that is forgotten": (
        lambda _: vade().predict(X),
        NotFittedError,
        "VaDEClustering instance is not fitted yet. Call 'fit'",
    ),
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
    # ---- files
    "a file that is no model": (
        lambda folder: load(no_model(folder)),
        ValueError,
        r"notes.txt cannot be read as a file of save\(\): BadZipFile",
    ),
    "a folder that is not there": (
        lambda folder: save(fit("mixture"), folder / "models" / "fit.skops"),
        FileNotFoundError,
        "No such file or directory: '.*models/fit.skops",
    ),
    "a folder for a file": (
        lambda folder: save(fit("mixture"), folder),
        IsADirectoryError,
        "Is a directory: .*tmp' -> ",
    ),
    "several estimators in a file": (
        lambda folder: save({"mixture": fit("mixture")}, folder / "fit.skops"),
        TypeError,
        r"save\(\) takes a fitted estimator and a path, but the first is of type dict",
    ),
    "an export of another's estimator": (
        lambda folder: to_onnx(fit("means"), folder / "fit.onnx"),
        TypeError,
        "KMeans has neither a network nor a mixture to export.* skl2onnx",
    ),
    # ---- pictures and reports
    "a picture of no fit": (
        lambda _: display.TraversalDisplay.from_estimator(InfoGANClustering()),
        NotFittedError,
        "InfoGANClustering instance is not fitted yet",
    ),
    "a picture of a class": (
        lambda _: display.EmbeddingDisplay.from_estimator(KMeans, X),
        TypeError,
        "KMeans'> is a class, not an instance",
    ),
    "a picture of other features": (
        lambda _: display.EmbeddingDisplay.from_estimator(fit("neighbors"), X[:, :3]),
        ValueError,
        "X has 3 features, but NeighborClustering is expecting 4",
    ),
    "classes of some rows": (
        lambda _: display.ClusterConfusionDisplay.from_estimator(fit("neighbors"), X, Y[:9]),
        ValueError,
        r"inconsistent numbers of samples: \[9, 48\]",
    ),
    "the width of an image": (
        lambda _: ClusterReport.from_estimator(fit("neighbors"), X, images=8),
        ValueError,
        r"image_shape=8 does not fit samples of 4 features: give \(height, width\)",
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
    assert not [path for path in tmp_path.iterdir() if path.name != "notes.txt"]


#: Package -> what needs it.
EXTRAS = {
    "matplotlib": lambda folder: display.HistoryDisplay([{"epoch": 1, "loss": 2.0}]).plot(),
    "matplotlib.image": lambda folder: ClusterReport.from_estimator(
        fit("neighbors"), X, images=(2, 2)
    ),
    "skops.io": lambda folder: save(fit("mixture"), folder / "fit.skops"),
    "accelerate": lambda folder: data_parallel().__enter__(),
}


@pytest.mark.parametrize("package", EXTRAS)
def test_an_extra_that_is_missing_is_named(package, tmp_path, monkeypatch):
    for name in [package, *sys.modules]:  # also what other tests have imported
        if name == package or name.startswith(f"{package}."):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"pip install {package.partition('.')[0]}"):
        EXTRAS[package](tmp_path)
