"""Estimators survive every way of storing them, and files that are not sound are refused."""

import copy
import os
import pickle
import subprocess
import sys
import tracemalloc
from functools import cache, partial
from io import BytesIO
from zipfile import ZipFile

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)
from torch import nn

import skdeepcluster as sk
from skdeepcluster.nn.augmentation import RandomAffine
from skdeepcluster.nn.networks import conv_classifier, conv_generator
from skdeepcluster.persistence import load, save

skops = pytest.importorskip("skops.io")

RANDOM = np.random.RandomState(0)
X = np.concatenate([RANDOM.normal(size=(40, 3)) + place for place in (0.0, 6.0, 12.0)])
X = (X - X.min()) / np.ptp(X)
Y = np.where(np.arange(120) % 10 == 0, np.repeat([0, 1, 2], 40), -1)
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "random_state": 0}
FROM_EM = SMALL | {"init": "own", "pretraining_epochs": 2}
ESTIMATORS = {
    "mixture": sk.GaussianMixtureEM(3, random_state=0),
    "tied": sk.GaussianMixtureEM(2, covariance_type="tied", random_state=np.random.RandomState(3)),
    "neighbors": sk.NeighborClustering(3, metric="cosine", random_state=0),
    "vae": sk.VAEEmbedding(3, init="own", **SMALL),
    "vade": sk.VaDEClustering(3, contamination=0.1, **FROM_EM),
    "dac": sk.DACClustering("auto", **SMALL),
    "infogan": sk.InfoGANClustering(3, **FROM_EM),
    "catgan": sk.CatGANClustering(3, class_prior="auto", **FROM_EM),
    "classifier": sk.CatGANClassifier(**SMALL),
    "ensemble": sk.ClusterEnsemble([sk.GaussianMixtureEM(3), KMeans(3)], 2),
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@cache
def fit(name):
    return clone(ESTIMATORS[name]).fit(X, Y)


def through_joblib(estimator, folder):
    joblib.dump(estimator, folder / "fit.joblib")
    return joblib.load(folder / "fit.joblib", mmap_mode="r")


def through_file(estimator, folder):
    save(estimator, folder / "fit.skops")
    return load(folder / "fit.skops")


def assert_same(one, two, rows=X):
    assert type(one) is type(two)
    for name in ("predict", "predict_proba", "score_samples", "transform"):
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name)(rows), getattr(two, name)(rows))
    if hasattr(one, "sample") and isinstance(one.random_state, int):
        np.testing.assert_array_equal(one.sample(4)[0], two.sample(4)[0])
    assert vars(one).keys() == vars(two).keys()
    assert getattr(one, "history_", None) == getattr(two, "history_", None)


def test_every_estimator_is_tried():
    tried = {type(estimator).__name__ for estimator in ESTIMATORS.values()}
    assert tried == set(sk.__all__) - {"compare", "select_n_clusters"}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_copies_predict_the_same(name, tmp_path):
    one = copy.deepcopy(fit(name))
    if hasattr(one, "n_clusters"):
        one.set_params(n_clusters=7)  # predictions are those of the fit
    assert b"torch" not in pickle.dumps(one)
    for two in (
        pickle.loads(pickle.dumps(one)),
        through_joblib(one, tmp_path),
        through_file(one, tmp_path),
    ):
        assert_same(fit(name), two)


def test_parameters_are_stored_as_plain_data(tmp_path):
    augment = RandomAffine((1, 1, 3))
    one = sk.CatGANClustering(3, augment=augment, device="cpu", **FROM_EM).fit(X)
    two = through_file(one, tmp_path)
    assert_same(one, two)
    assert (two.device, two.augment) == ("cpu", augment)


IN_SECONDS = """
import sys
from skdeepcluster.persistence import load
for path in sys.argv[1:]:
    load(path)
assert "torch._dynamo" not in sys.modules
"""


@pytest.mark.full
def test_a_range_of_numbers_comes_back(tmp_path):
    save(sk.GaussianMixtureEM(range(2, 4), random_state=0).fit(X), tmp_path / "fit.skops")
    assert load(tmp_path / "fit.skops").n_clusters == range(2, 4)


def test_reading_does_not_import_the_compiler_of_torch(tmp_path):
    for name in ESTIMATORS:
        save(fit(name), tmp_path / name)
    command = [sys.executable, "-c", IN_SECONDS, *tmp_path.iterdir()]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_goes_on_after_reading(tmp_path):
    mixture = sk.GaussianMixtureEM(3, max_iter=1, tol=0, warm_start=True, random_state=0).fit(X)
    read = through_file(mixture, tmp_path).fit(X)
    np.testing.assert_array_equal(read.means_, mixture.fit(X).means_)


def test_sparse_samples_come_back(tmp_path):
    one = sk.NeighborClustering(3, n_neighbors=5, random_state=0)
    rows = X * (np.quantile(X, 0.75) < X)
    two = through_file(one.fit(sparse.csr_matrix(rows)), tmp_path)
    assert_same(one, two, sparse.csr_array(rows[::2]))
    assert (two.graph_ != one.graph_).nnz == 0


TABLE = pd.DataFrame({"kind": ["a", "b", np.nan] * 40, "one": X[:, 0], "two": X[:, 1]})
TABLE.loc[3, "one"] = np.nan
PREPARE = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["kind"]),
    (make_pipeline(SimpleImputer(add_indicator=True), PowerTransformer()), ["one"]),
    remainder="passthrough",
)
STEPS = make_pipeline(StandardScaler(), sk.GaussianMixtureEM(3))
PIPELINES = {
    "table": (make_pipeline(PREPARE, sk.VAEEmbedding(3, init="own", **SMALL)), TABLE),
    "members": (sk.ClusterEnsemble([KMeans(3), STEPS], 2), X),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_and_members_come_back(name, tmp_path):
    one, rows = PIPELINES[name]
    two = through_file(one.fit(rows), tmp_path)
    np.testing.assert_array_equal(two.predict(rows), one.predict(rows))
    assert repr(one) == repr(two)


# ---- what is refused


def build_encoder(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 5), nn.Tanh(), nn.Linear(5, n_out))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_only_the_file_of_a_graph_holds_the_samples(name, tmp_path):
    save(fit(name), tmp_path / "fit.skops")
    with ZipFile(tmp_path / "fit.skops") as file:
        arrays = [np.load(BytesIO(file.read(n))) for n in file.namelist() if n.endswith(".npy")]
    holds = any(array.shape == X.shape and array.dtype.kind == "f" for array in arrays)
    assert holds == (name == "neighbors")


def test_functions_need_trust(tmp_path):
    one = sk.VAEEmbedding(3, encoder=build_encoder, **SMALL).fit(X)
    save(one, tmp_path / "fit.skops")
    name = f"{__name__}.build_encoder"
    with pytest.raises(TypeError, match=f"fit.skops: Untrusted types .*'{name}'.*trusted="):
        load(tmp_path / "fit.skops")
    assert_same(one, load(tmp_path / "fit.skops", trusted=[name]))


def test_networks_of_the_package_are_trusted(tmp_path):
    images = RANDOM.uniform(size=(48, 64)).astype(np.float32)
    networks = {
        "generator": partial(conv_generator, image_shape=(1, 8, 8)),
        "discriminator": partial(conv_classifier, image_shape=(1, 8, 8)),
    }
    one = sk.CatGANClustering(
        3, init="own", pretraining_epochs=0, max_epochs=1, random_state=0, **networks
    ).fit(images)
    assert_same(one, through_file(one, tmp_path), images)


def test_no_code_of_a_file_runs(tmp_path):
    path = tmp_path / "fit.skops"
    save(FunctionTransformer(os.mkdir, kw_args={"path": str(tmp_path / "made")}), path)
    with pytest.raises(TypeError, match="mkdir"):
        load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["fit.skops"]


def write_version(path, version=sk.__version__):
    with ZipFile(path, "a") as file:
        file.writestr("skdeepcluster_version", version)


def write_schema(path):
    write_version(path)
    with ZipFile(path, "a") as file:
        file.writestr("schema.json", "{}")


def write_dict(path):
    skops.dump({"a": 1}, path)
    write_version(path)


NO_FILE = {
    "text": (lambda path: path.write_text("no model"), "BadZipFile"),
    "no schema": (write_schema, "protocol"),
    "no estimator": (write_dict, "contains a dict, not an estimator"),
}


@pytest.mark.parametrize("kind", NO_FILE)
def test_other_files_are_refused(kind, tmp_path):
    write, reason = NO_FILE[kind]
    write(tmp_path / "fit.skops")
    with pytest.raises(ValueError, match=f"fit.skops .*{reason}"):
        load(tmp_path / "fit.skops")


@pytest.mark.parametrize("version", [None, "0.0.1", "99.0.0"])
def test_files_of_other_versions_are_refused(version, tmp_path):
    path = tmp_path / "fit.skops"
    skops.dump(fit("mixture"), path)  # as 0.2.0 wrote it
    if version:
        write_version(path, version)
    with pytest.raises(ValueError, match=f"by version {version or '0.2.0'}.* Fit again with this"):
        load(path)


def set_fitted(**params):
    return lambda fitted: fitted._fit_params.update(params)


def point_outside(fitted):
    fitted.graph_.indices[0] = 10**6


UNSOUND = [
    (
        "vade",
        set_fitted(n_clusters=10**9),
        r"(.*\n)+.*prior.logits.*\[3\].*\[1000000000\]",
    ),
    (
        "vade",
        lambda fitted: vars(fitted.preparation_).update(n_encoded_=10**9),
        r"(.*\n)+.*encoder.network.*1000000000",
    ),
    ("vade", set_fitted(activation="os.system"), "os.system"),
    ("neighbors", point_outside, "ind"),
]


@pytest.mark.parametrize(("name", "edit", "reason"), UNSOUND)
def test_states_that_no_fit_has_are_refused(name, edit, reason, tmp_path):
    path = tmp_path / "fit.skops"
    broken = copy.deepcopy(fit(name))
    edit(broken)
    skops.dump(broken, path)
    write_version(path)
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"fit.skops cannot be read .*{reason}"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 1e8
    tracemalloc.stop()


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "fit.skops"
    save(fit("neighbors"), path)
    with ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda part: part.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + largest.file_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"fit.skops cannot be read .*CRC"):
        load(path)


# ---- writing


def test_functions_without_a_name_are_refused(tmp_path):
    def build_here(n_in, n_out):
        return build_encoder(n_in, n_out)

    for build in (build_here, lambda n_in, n_out: build_encoder(n_in, n_out)):
        vae = sk.VAEEmbedding(3, encoder=build, **SMALL).fit(X)
        with pytest.raises(TypeError, match="Define functions by a name at the top"):
            save(vae, tmp_path / "fit.skops")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_is_refused(tmp_path):
    (tmp_path / "fit.skops").write_text("old")
    with pytest.raises(TypeError, match="a path, but got a dict"):
        save({"a": fit("mixture")}, tmp_path / "fit.skops")
    grouped = sk.NeighborClustering(3, kinds={(0, 1): "category"})
    with pytest.raises(TypeError, match="kinds by columns"):
        save(grouped, tmp_path / "fit.skops")
    odd = copy.deepcopy(fit("mixture"))
    odd.note = (i for i in range(3))
    with pytest.raises(TypeError, match="generator"):
        save(odd, tmp_path / "fit.skops")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]
