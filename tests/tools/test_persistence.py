"""What is written comes back the same, and nothing is run or believed that should not be."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from torch import nn

import skdeepcluster
from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    ClusterEnsemble,
    DACClustering,
    GaussianMixtureEM,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.persistence import ESTIMATORS, load, save

STREAM = np.random.RandomState(0)
X = np.concatenate([STREAM.normal(size=(40, 3)) + place for place in (0.0, 6.0, 12.0)])
Y = np.where(np.arange(120) % 10 == 0, np.repeat(["a", "b", "c"], 40), "?")
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "random_state": 0}
TWO_PHASES = SMALL | {"init": "mixture", "pretraining_epochs": 2}
FITTED = [
    NeighborClustering(3, metric="cosine", random_state=0),
    GaussianMixtureEM(3, random_state=0),
    GaussianMixtureEM(2, covariance_type="tied", random_state=np.random.RandomState(3)),
    VAEEmbedding(3, init="mixture", **SMALL),
    VaDEClustering(3, **TWO_PHASES),
    DACClustering(3, **TWO_PHASES),
    InfoGANClustering(3, other_categories=(2,), **TWO_PHASES),
    CatGANClustering(3, class_prior="estimated", **TWO_PHASES),
    CatGANClassifier(**SMALL),
    ClusterEnsemble([GaussianMixtureEM(3), VaDEClustering(3, **TWO_PHASES)], n_estimators=2),
]
each_estimator = pytest.mark.parametrize("estimator", FITTED, ids=lambda e: type(e).__name__)


def fitted(estimator, rows=X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = np.where(Y == "?", -1, np.searchsorted(["a", "b", "c"], Y))
        return clone(estimator).fit(rows, labels)


def assert_same(one, two, rows=X):
    assert type(one) is type(two)
    for name in ("predict", "predict_proba", "score_samples", "transform"):
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name)(rows), getattr(two, name)(rows))
    assert set(vars(one)) == set(vars(two))
    assert getattr(one, "history_", None) == getattr(two, "history_", None)


@each_estimator
@pytest.mark.parametrize("rows", [X, (X - X.min()) / np.ptp(X)], ids=["gaussian", "bernoulli"])
def test_safetensors_bring_everything_back(estimator, rows, tmp_path):
    one = fitted(estimator, rows)
    save(one, tmp_path / "fit.safetensors")
    assert_same(one, load(tmp_path / "fit.safetensors"), rows)


@each_estimator
def test_pickles_are_of_arrays_and_survive_new_parameters(estimator):
    one = fitted(estimator)
    if hasattr(one, "n_clusters"):
        one.set_params(n_clusters=7)  # what was fitted stays what it was
    text = pickle.dumps(one)
    assert b"torch" not in text
    assert_same(one, pickle.loads(text))


@each_estimator
def test_skops_trusts_nothing_but_our_classes(estimator):
    skops = pytest.importorskip("skops.io")
    one = fitted(estimator)
    text = skops.dumps(one)
    unknown = skops.get_untrusted_types(data=text)
    assert all(name.startswith("skdeepcluster.") for name in unknown), unknown
    assert_same(one, skops.loads(text, trusted=unknown))


def test_every_estimator_is_tried():
    assert {type(estimator).__name__ for estimator in FITTED} == set(ESTIMATORS)
    assert set(ESTIMATORS) <= set(skdeepcluster.__all__)


@pytest.mark.filterwarnings("ignore:All rows fell into one cluster")  # hardly trained
def test_training_goes_on_after_reading_as_without(tmp_path):
    vade = VaDEClustering(3, warm_start=True, **TWO_PHASES).fit(X)
    save(vade, tmp_path / "fit.safetensors")
    read = load(tmp_path / "fit.safetensors")
    np.testing.assert_array_equal(vade.fit(X).predict_proba(X), read.fit(X).predict_proba(X))


def test_functions_are_given_again(tmp_path):
    def encoder(n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, 5), nn.Tanh(), nn.Linear(5, n_out))

    one = VAEEmbedding(3, encoder=encoder, **SMALL).fit(X)
    save(one, tmp_path / "fit.safetensors")
    assert_same(one, load(tmp_path / "fit.safetensors", encoder=encoder))
    with pytest.raises(ValueError, match=r"Pass it: load\(path, encoder="):
        load(tmp_path / "fit.safetensors")


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
def test_sparse_rows_come_back(container, tmp_path):
    one = NeighborClustering(3, n_neighbors=5, random_state=0).fit(container(X))
    save(one, tmp_path / "fit.safetensors")
    two = load(tmp_path / "fit.safetensors")
    assert_same(one, two, container(X + 1))
    assert type(two._rows) is type(one._rows)
    assert (two.graph_ != one.graph_).nnz == 0


def test_metrics_that_are_functions_are_given_again(tmp_path):
    def gap(a, b):
        return abs(a - b).max()

    one = NeighborClustering(3, metric=gap, random_state=0).fit(X[::4])
    save(one, tmp_path / "fit.safetensors")
    with pytest.raises(ValueError, match=r"metric=.*gap, a function.* load\(path, metric="):
        load(tmp_path / "fit.safetensors")
    assert_same(one, load(tmp_path / "fit.safetensors", metric=gap), X + 1)


def test_the_header_can_be_read_by_people(tmp_path):
    save(fitted(FITTED[1]), tmp_path / "fit.safetensors")
    with safe_open(tmp_path / "fit.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    content = json.loads(metadata["estimator"])
    assert metadata["format"] == "skdeepcluster"
    assert content["class"] == "GaussianMixtureEM"
    assert content["state"]["n_clusters"] == 3


# ---- what is refused


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "fit.safetensors"
    save(fitted(FITTED[4]), path)
    with safe_open(path, framework="numpy") as file:
        return path, load_file(path), file.metadata()


def test_newer_versions_are_refused(written):
    path, arrays, metadata = written
    save_file(arrays, path, metadata=metadata | {"format_version": "99"})
    with pytest.raises(ValueError, match="format version 99.*reads up to 1. Update"):
        load(path)


def test_changed_bytes_are_found(written):
    path, arrays, metadata = written
    content = path.read_bytes()
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    with pytest.raises(ValueError, match="checksum differs"):
        load(path)
    changed = metadata["estimator"].replace('"n_clusters": 3', '"n_clusters": 2')
    assert changed != metadata["estimator"]
    save_file(arrays, path, metadata=metadata | {"estimator": changed})
    with pytest.raises(ValueError, match="checksum differs"):
        load(path)


def test_other_files_are_refused(written, tmp_path):
    path, arrays, _ = written
    save_file(arrays, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds no estimator of skdeepcluster"):
        load(tmp_path / "other.safetensors")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")


def test_what_cannot_be_written_is_named(tmp_path):
    ensemble = ClusterEnsemble(KMeans(3), 2).fit(X)
    with pytest.raises(TypeError, match=r"ClusterEnsemble.estimator is a KMeans.*skops or joblib"):
        save(ensemble, tmp_path / "fit.safetensors")
    with pytest.raises(TypeError, match="is a StandardScaler"):
        save(StandardScaler(), tmp_path / "fit.safetensors")
    assert not (tmp_path / "fit.safetensors").exists()


FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("name", np.load(FIXTURES / "answers.npz").files)
def test_files_of_format_1_and_pickles_of_that_time_still_answer(name):
    """Written by the version before modules were renamed, fitted to the irises."""
    X, expected = load_iris().data[::10], np.load(FIXTURES / "answers.npz")[name]
    for old in (
        load(FIXTURES / f"{name}.safetensors"),
        pickle.loads((FIXTURES / f"{name}.pickle").read_bytes()),
    ):
        assert type(old) is getattr(skdeepcluster, name)
        np.testing.assert_allclose(old.predict_proba(X), expected, rtol=1e-5, atol=1e-6)
        assert np.shape(old.predict(X)) == (15,)
