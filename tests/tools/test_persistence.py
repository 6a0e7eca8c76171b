"""What is written comes back the same, and nothing is run or believed that should not be."""

import json
import pickle
import tracemalloc
import warnings
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import pytest
import skorch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import Birch, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from tampering import change
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
from skdeepcluster._files import DTYPES, read_arrays, write_arrays
from skdeepcluster.callbacks import EarlyStopping
from skdeepcluster.persistence import ESTIMATORS, KIND, TRANSFORMERS, load, save

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
    one = NeighborClustering(3, n_neighbors=5, accept_sparse=True).fit(container(X))
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


TABLE = pd.DataFrame({"kind": ["a", "b", np.nan] * 40, "one": X[:, 0], "two": X[:, 1]})
TABLE.loc[3, "one"] = np.nan
PREPARED = ColumnTransformer(
    [
        (
            "kind",
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
            ["kind"],
        ),
        ("order", OrdinalEncoder(encoded_missing_value=-1), ["kind"]),
        ("one", make_pipeline(SimpleImputer(add_indicator=True), PowerTransformer()), ["one"]),
    ],
    remainder="passthrough",
)
PIPELINES = [
    (make_pipeline(StandardScaler(), PCA(2), GaussianMixtureEM(3, random_state=0)), X),
    (make_pipeline(PREPARED, VAEEmbedding(3, init="mixture", **SMALL)), TABLE),
    (
        make_pipeline(
            FeatureUnion(
                [
                    ("sums", make_pipeline(VarianceThreshold(), MinMaxScaler(), TruncatedSVD(2))),
                    ("text", make_pipeline(MaxAbsScaler(), TfidfTransformer(), MaxAbsScaler())),
                    ("ranks", QuantileTransformer(n_quantiles=9)),
                    ("same", "passthrough"),
                ]
            ),
            RobustScaler(with_centering=False),
            Normalizer(),
            FunctionTransformer(),
        ),
        np.abs(X),
    ),
    (
        ClusterEnsemble(
            [KMeans(3), make_pipeline(StandardScaler(), GaussianMixtureEM(3))], 2, random_state=0
        ),
        X,
    ),
]


def answer(estimator, rows):
    return getattr(estimator, "predict", getattr(estimator, "transform", None))(rows)


@pytest.mark.parametrize(
    ("estimator", "rows"), PIPELINES, ids=["pca", "table", "union", "members"]
)
def test_pipelines_and_members_come_back(estimator, rows, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = clone(estimator).fit(rows)
    save(one, tmp_path / "fit.safetensors")
    two = load(tmp_path / "fit.safetensors")
    expected, found = answer(one, rows), answer(two, rows)
    if sparse.issparse(expected):
        expected, found = expected.toarray(), found.toarray()
    np.testing.assert_array_equal(expected, found)
    assert repr(one) == repr(two)
    assert set(vars(one)) == set(vars(two))


def test_no_place_on_the_disk_is_stored(tmp_path):
    one = make_pipeline(StandardScaler(), GaussianMixtureEM(3), memory=str(tmp_path / "cache"))
    save(one.fit(X), tmp_path / "fit.safetensors")
    assert load(tmp_path / "fit.safetensors").memory is None
    assert one.memory == str(tmp_path / "cache")


def test_every_transformer_is_tried():
    tried = {type(estimator).__name__ for estimator, _ in PIPELINES}
    for estimator, _ in PIPELINES:
        steps = [estimator, *estimator.get_params().values()]
        steps += getattr(estimator, "estimator", [])
        tried |= {type(step).__name__ for step in steps}
    assert set(TRANSFORMERS) - tried == {"MissingIndicator"}  # of SimpleImputer


def test_another_version_of_scikit_learn_is_told_of(tmp_path):
    save(StandardScaler().fit(X), tmp_path / "fit.safetensors")
    change(tmp_path / "fit.safetensors", lambda c, _: c["state"].update(_sklearn_version="1.0"))
    with pytest.warns(InconsistentVersionWarning, match="StandardScaler from version 1.0"):
        load(tmp_path / "fit.safetensors")


@pytest.mark.parametrize("dtype", [">f8", ">i4", "<f2", "?", "<u8"])
def test_arrays_of_any_order_of_bytes_come_back(dtype, tmp_path):
    mixture = GaussianMixtureEM(2, init_params=np.eye(2)[[0, 1, 0]].astype(dtype))
    save(mixture, tmp_path / "fit.safetensors")
    again = load(tmp_path / "fit.safetensors").init_params
    np.testing.assert_array_equal(again, mixture.init_params)
    assert again.dtype == np.dtype(dtype).newbyteorder("<")


def test_objects_texts_and_types_come_back(tmp_path):
    values = {
        0: np.array([["a", None], [1.5, True]], dtype=object),
        "nan": [float("nan"), -np.inf, (), slice(1, None)],
        KIND: np.array(["ä", "text"]),
        "a.b": np.zeros(2),
        "a": {"b": np.ones(3)},
        None: [np.float32, np.dtype("O"), np.empty((0, 3)), np.array(5)],
    }
    one = FunctionTransformer(kw_args={"values": values})
    save(one, tmp_path / "fit.safetensors")
    two = load(tmp_path / "fit.safetensors").kw_args["values"]
    assert list(two) == list(values)
    assert str(two) == str(values)
    assert two[None][2].shape == (0, 3)


def test_the_files_are_safetensors(tmp_path):
    arrays = {name: np.arange(6).reshape(2, 3).astype(dtype) for name, dtype in DTYPES.items()}
    arrays |= {"none": np.empty((0, 2)), "number": np.array(1.5)}
    write_arrays(tmp_path / "ours", arrays, {"a": "ä"})
    save_file(arrays, tmp_path / "theirs", metadata={"a": "b"})
    with safe_open(tmp_path / "ours", framework="numpy") as file:
        assert file.metadata() == {"a": "ä"}
    assert read_arrays(tmp_path / "ours")[1] == {"a": "ä"}
    assert read_arrays(tmp_path / "theirs")[1] == {"a": "b"}
    for found in (load_file(tmp_path / "ours"), read_arrays(tmp_path / "theirs")[0]):
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array, strict=True)


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
    with pytest.raises(ValueError, match="format version 99.*reads up to 2. Update"):
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
    ensemble = ClusterEnsemble(Birch(n_clusters=3), 2).fit(X)
    with pytest.raises(TypeError, match=r"ClusterEnsemble.estimator is a Birch.*skops or joblib"):
        save(ensemble, tmp_path / "fit.safetensors")
    with pytest.raises(TypeError, match=r"FunctionTransformer.func is a ufunc"):
        save(FunctionTransformer(np.log1p), tmp_path / "fit.safetensors")
    assert not (tmp_path / "fit.safetensors").exists()


def test_a_fit_with_callbacks_is_saved_without_them(tmp_path):
    callbacks = [skorch.callbacks.GradientNormClipping(1.0)]
    fitted = VAEEmbedding(2, max_epochs=1, callbacks=callbacks, random_state=0).fit(X)
    with pytest.raises(TypeError, match="VAEEmbedding.callbacks.0 is a GradientNormClipping"):
        save(fitted, tmp_path / "fit.safetensors")
    save(fitted.set_params(callbacks=None), tmp_path / "fit.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "fit.safetensors").predict(X), fitted.labels_)


# ---- what whoever signs a file again may have changed


def state(content):
    return content["state"]


def set_state(**values):
    return lambda content, arrays: state(content).update(values)


def set_param(**values):
    """Change parameters, and those of the fit."""

    def edit(content, arrays):
        state(content).update(values)
        state(content)["_fit_params"].update(values)

    return edit


def set_array(name, value):
    """Change an array by name, of the shape that it has if it is a number."""

    def edit(content, arrays):
        arrays[name] = np.full_like(arrays[name], value) if np.ndim(value) == 0 else value

    return edit


def edit_node(name, **values):
    return lambda content, arrays: state(content)[name].update(values)


def nest(content, arrays):
    return "[" * 100_000


def lose_array(content, arrays):
    del arrays["VaDEClustering.model_.prior.means"]


def lose_weight(content, arrays):
    del arrays[state(content)["model_"].pop("prior.means")["name"]]


def add_array(content, arrays):
    arrays["more"] = np.zeros(3)


def share_array(content, arrays):
    state(content)["means_"] = state(content)["weights_"]


def cut_weights(content, arrays):
    node = state(content)["model_"]["likelihood.noise"]
    arrays[node["name"]], node["shape"] = np.ones(2), [2]


def replace_state(name, value):
    """Replace an attribute, and leave none of its arrays behind."""

    def edit(content, arrays):
        state(content)[name] = value
        for key in [key for key in arrays if f".{name}." in key]:
            del arrays[key]

    return edit


def nest_estimators(content, arrays):
    arrays.clear()
    inner = {KIND: "estimator", "class": "Pipeline", "state": {"steps": []}}
    for _ in range(9):
        step = {KIND: "tuple", "items": ["a", inner]}
        inner = inner | {"state": {"steps": [step]}}
    content.update(inner)


def items(dtype, *values, **more):
    return {KIND: "items", "items": list(values), "dtype": dtype} | more


def stream(position=3, key=1, name="MT19937"):
    def edit(content, arrays):
        arrays["key"] = np.full(624, key, dtype=np.uint32)
        node = {KIND: "array", "name": "key", "shape": [624]}
        found = {KIND: "tuple", "items": [name, node, position, 0, 0.0]}
        state(content)["random_state"] = {KIND: "stream", "state": found}

    return edit


FUNCTION = {KIND: "function", "name": "f"}
VADE, NEIGHBORS, MIXTURE, PIPELINE, ENSEMBLE = 4, 0, 1, -1, 9
TAMPERED = [
    # Sizes that no array has.
    (VADE, set_param(n_clusters=10**9), r"prior.logits has shape \(3,\), .* \(1000000000,\)"),
    (VADE, set_param(n_clusters=10**30), ""),
    (VADE, set_param(n_components=10**8), "has shape .* but the parameters ask for"),
    (VADE, set_param(hidden_layer_sizes=[10**9, 10**9]), "the parameters ask for"),
    (VADE, set_param(hidden_layer_sizes=[1] * 10**4), "10000 hidden layers"),
    (VADE, set_param(hidden_layer_sizes={"a": 8}), "hidden_layer_sizes"),
    (VADE, set_state(n_features_in_=10**9), "the parameters ask for"),
    (VADE, set_state(n_features_in_=-1), "n_features_in_ is -1"),
    (VADE, set_state(feature_names_in_=items("|S2000000000", "a")), "dtype '|S2000000000'"),
    (VADE, set_state(feature_names_in_=items("<U999999999", "a")), "dtype '<U999999999'"),
    (VADE, set_state(feature_names_in_=items("|O", {"a": 1})), "neither text nor numbers"),
    (VADE, set_state(feature_names_in_=items("|O", "a", shape=[10**9])), "cannot reshape"),
    (NEIGHBORS, edit_node("_fit_params", n_neighbors=10**9), None),
    # Names.
    (VADE, set_state(predict="x"), "has no attribute 'predict'"),
    (VADE, set_state(predict_="x", __class__="y"), "has no attribute '__class__'"),
    (VADE, edit_node("_fit_params", fit="x"), "no attribute 'fit'"),
    (VADE, lambda c, _: c.update({"class": "KMedoids"}), "'KMedoids' is no estimator"),
    (VADE, lambda c, _: c.update({"class": "DeepEstimator"}), "'DeepEstimator' is no estimator"),
    (VADE, lambda c, _: c.update({KIND: "pickle"}), "holds a 'pickle'"),
    (VADE, lambda c, _: c.update({KIND: ["array"]}), r"holds a \['array'\]"),
    (VADE, lambda c, _: c.update({KIND: 0}), "holds a 0"),
    (VADE, lambda c, _: c.pop("state"), "without its state"),
    (VADE, lambda c, _: "[1]", "holds no estimator"),
    (VADE, lambda c, _: "{", ""),
    (VADE, nest, "nested too deeply"),
    (VADE, lambda c, _: "{" + '"a":{' * 900 + "}" * 901, ""),
    # What must be there, once.
    (VADE, lambda c, _: state(c).pop("_fit_params"), "_fit_params"),
    (VADE, lambda c, _: state(c).pop("n_features_in_"), "n_features_in_"),
    (NEIGHBORS, lambda c, _: state(c).pop("offset_"), "offset_"),
    (VADE, lose_array, "array 'VaDEClustering.model_.prior.means' is missing"),
    (VADE, lose_weight, "prior.means has shape None"),
    (VADE, add_array, "no attribute has its array 'more'"),
    (VADE, share_array, "array 'VaDEClustering.weights_' is missing, or two"),
    (MIXTURE, lambda c, _: state(c).pop("n_features_in_"), "n_features_in_"),
    (PIPELINE, lambda c, _: state(c).pop("steps"), "'steps'"),
    (PIPELINE, nest_estimators, "nested more than 8 times"),
    # Values.
    (VADE, set_param(n_clusters=-1), "'n_clusters' parameter of VaDEClustering must be"),
    (VADE, set_param(activation="os.system"), "'activation' parameter of VaDEClustering must"),
    (VADE, set_state(learning_rate=float("nan")), "'learning_rate' parameter"),
    (VADE, set_state(init=FUNCTION), "'init' of VaDEClustering is a function"),
    (VADE, set_state(means_=FUNCTION), "'means_' of VaDEClustering is a function"),
    (VADE, set_array("VaDEClustering.model_.prior.means", np.nan), "prior.means has values"),
    (VADE, set_array("VaDEClustering.model_.decoder.0.bias", np.inf), "decoder.0.bias has values"),
    (VADE, set_array("VaDEClustering.model_.likelihood.scale", 0.0), "scale has values"),
    (
        VADE,
        set_array("VaDEClustering.model_.likelihood.noise", np.ones(2)),
        "reshape array of size 2",
    ),
    (VADE, cut_weights, "likelihood.noise has shape"),
    (VADE, set_array("VaDEClustering.model_.temperature", -1.0), "temperature has values"),
    (VADE, set_array("VaDEClustering.means_", np.nan), "means_ holds NaN"),
    (MIXTURE, set_array("GaussianMixtureEM.mixture_.1", np.nan), "No mixture"),
    (MIXTURE, set_array("GaussianMixtureEM.mixture_.2", -1.0), "No mixture"),
    (MIXTURE, set_array("GaussianMixtureEM.mixture_.1", np.ones((3, 2))), "reshape"),
    (MIXTURE, lambda c, _: state(c)["mixture_"].update(items=[]), ""),
    (MIXTURE, set_state(batch_size={"a": 1}), "'batch_size' parameter"),
    (MIXTURE, set_state(n_clusters_="x"), ""),
    *(
        (NEIGHBORS, set_array("NeighborClustering.responsibilities_", wrong), "bilities_ holds")
        for wrong in (np.nan, np.inf)
    ),
    (NEIGHBORS, set_array("NeighborClustering._kept", 10**6), "IndexError"),
    (NEIGHBORS, set_array("NeighborClustering._kept", np.ones(120, bool)), "at bool"),
    (NEIGHBORS, set_array("NeighborClustering.graph_.1.1", 10**6), "indices|index"),
    (NEIGHBORS, lambda c, _: state(c)["graph_"]["items"].__setitem__(0, "load_npz"), "load_npz"),
    (NEIGHBORS, set_state(n_jobs=10**9), "n_jobs is 1000000000"),
    (ENSEMBLE, replace_state("tables_", []), "argument 2 is shorter"),
    (ENSEMBLE, replace_state("tables_", "xy"), "matmul"),
    (ENSEMBLE, replace_state("estimators_", [1, 2]), "no estimators"),
    (ENSEMBLE, replace_state("estimators_", []), "IndexError"),
    (MIXTURE, stream(position=10**6), "RandomState whose state"),
    (MIXTURE, stream(key=0), "RandomState whose state"),
    (MIXTURE, stream(name="PCG64"), "RandomState whose state"),
    (MIXTURE, set_state(random_state={KIND: "stream", "state": [1]}), "stream without its state"),
    (VADE, set_param(checkpoint="a.safetensors"), "checkpoint"),
    (PIPELINE, set_state(memory="/tmp"), "memory names a place on the disk"),
    (PIPELINE, replace_state("steps", [["a", 1]]), "no estimators"),
    (PIPELINE, replace_state("steps", "x"), "'steps' parameter"),
]
PREPARED_PIPELINE = make_pipeline(StandardScaler(), PCA(2), GaussianMixtureEM(2, random_state=0))


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Bytes of written files by the place of the estimator in FITTED; -1 is a Pipeline."""
    folder, written = tmp_path_factory.mktemp("originals"), {}
    for place in (VADE, NEIGHBORS, MIXTURE, ENSEMBLE, PIPELINE):
        one = PREPARED_PIPELINE.fit(X) if place == PIPELINE else fitted(FITTED[place])
        save(one, folder / "fit.safetensors")
        written[place] = (folder / "fit.safetensors").read_bytes()
        load(folder / "fit.safetensors")  # what is imported for it is not timed
    return written


@pytest.mark.parametrize(("place", "edit", "reason"), TAMPERED)
def test_what_no_estimator_has_is_refused(place, edit, reason, originals, tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_bytes(originals[place])
    change(path, edit)
    tracemalloc.start()
    start = process_time()
    try:
        if reason is None:
            assert np.isfinite(load(path).predict_proba(X + 1)).all()
            return
        with pytest.raises(ValueError, match=f"fit.safetensors cannot be read.*{reason}"):
            load(path)
    finally:
        peak, seconds = tracemalloc.get_traced_memory()[1], process_time() - start
        tracemalloc.stop()
    assert peak < 1e8
    assert seconds < 2


@pytest.mark.parametrize("size", [0, 2, 9, 2**62])
def test_headers_that_are_not_there_are_refused(size, tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_bytes(size.to_bytes(8, "little") + b"{")
    with pytest.raises(ValueError, match="fit.safetensors .*not a whole safetensors file"):
        load(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"[" * 100_000,
        b"[" + b"{}," * 2**19 + b"0]",
        b'"' + b"a" * 2**23 + b'"',
        b"\xff",
        b"1" * 5000,
        b'{"__metadata__": {"a": 1}}',
        b'{"a": {"dtype": "F32", "shape": [1]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}',
        b'{"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "S99999999999", "shape": [1], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [999999999999], "data_offsets": [0, 3999999999996]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [0, 1e99], "data_offsets": [0, 0]}}',
    ],
    ids=range(15),
)
def test_headers_that_are_wrong_are_refused(header, tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    tracemalloc.start()
    with pytest.raises(ValueError, match="fit.safetensors .*not a whole safetensors file"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e8


@pytest.mark.parametrize("name", ["format_version", "estimator", "sha256"])
def test_metadata_that_is_missing_is_named(written, name):
    path, arrays, metadata = written
    del metadata[name]
    save_file(arrays, path, metadata=metadata)
    with pytest.raises(ValueError, match=f"fit.safetensors .*header has no {name}"):
        load(path)
    save_file(arrays, path, metadata=metadata | {name: "x"})
    with pytest.raises(ValueError, match="fit.safetensors cannot be read"):
        load(path)


def test_a_bit_that_flips_is_found(originals, tmp_path):
    content = originals[MIXTURE]
    for place in range(0, len(content), 97):
        flipped = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        (tmp_path / "fit.safetensors").write_bytes(flipped)
        with pytest.raises(ValueError, match=r"fit.safetensors cannot be read"):
            load(tmp_path / "fit.safetensors")


def test_functions_that_are_not_asked_for_are_refused(originals, tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_bytes(originals[VADE])
    with pytest.raises(TypeError, match="got encoder, but .* asks for no functions"):
        load(path, encoder=nn.Linear)
    change(path, set_param(encoder=FUNCTION, decoder=FUNCTION))
    with pytest.raises(TypeError, match="got encode, but .* asks for decoder, encoder"):
        load(path, encode=nn.Linear)
    with pytest.raises(TypeError, match="got encoder"):
        load(path, encoder="nn.Linear")


def test_classes_of_others_are_not_ours_by_their_name(tmp_path):
    other = type("VAEEmbedding", (VAEEmbedding,), {"__module__": "skdeepcluster.vae"})
    with pytest.raises(TypeError, match="VAEEmbedding is a VAEEmbedding, which .* cannot hold"):
        save(other(3), tmp_path / "fit.safetensors")


def test_a_disk_that_is_full_is_an_oserror(tmp_path):
    resource = pytest.importorskip("resource")
    path, (soft, hard) = tmp_path / "fit.safetensors", resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_text("old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            save(GaussianMixtureEM(2, init_params=np.zeros(2**20)), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_text("old")
    with pytest.raises(TypeError, match="GaussianMixtureEM.init_params is an array of complex"):
        save(GaussianMixtureEM(2, init_params=np.eye(2, dtype=complex)), path)
    noted = GaussianMixtureEM(2)
    noted.note = "mine"
    with pytest.raises(ValueError, match="GaussianMixtureEM has no attribute 'note' by itself"):
        save(noted, path)
    with pytest.raises(ValueError, match="its header has .* are the most"):
        save(GaussianMixtureEM(2, init_params=np.array(["a" * 2**23], dtype=object)), path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]
    with pytest.raises(FileNotFoundError):
        save(GaussianMixtureEM(2), tmp_path / "none" / "fit.safetensors")


def test_requests_and_callbacks_are_left_out(tmp_path):
    with config_context(enable_metadata_routing=True):
        mixture = GaussianMixtureEM(2, random_state=0).set_fit_request(sample_weight=True)
    mixture.fit(X)
    save(mixture, tmp_path / "mixture.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "mixture.safetensors").predict_proba(X), mixture.predict_proba(X)
    )
    vae = VAEEmbedding(3, init="mixture", **SMALL)
    if hasattr(vae, "set_callbacks"):  # scikit-learn 1.9 and later
        save(vae.set_callbacks(EarlyStopping()).fit(X), tmp_path / "vae.safetensors")
        np.testing.assert_array_equal(load(tmp_path / "vae.safetensors").labels_, vae.labels_)


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
        assert repr(old) == repr(clone(old))
        np.testing.assert_allclose(old.predict_proba(X), expected, rtol=1e-5, atol=1e-6)
        assert np.shape(old.predict(X)) == (15,)


def test_files_of_format_2_still_answer():
    """An ensemble of a mixture and a Pipeline, fitted to the irises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        old = load(FIXTURES / "format2.safetensors")
    assert type(old.estimators_[0][-1]) is NeighborClustering
    np.testing.assert_array_equal(old.predict(load_iris().data[::10]), old.labels_)


def test_a_stream_of_few_rows_goes_on(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 3))
    stream = GaussianMixtureEM(3, random_state=0).partial_fit(X[:5])
    save(stream, tmp_path / "stream.safetensors")
    loaded = load(tmp_path / "stream.safetensors").partial_fit(X[5:])
    np.testing.assert_array_equal(loaded.means_, stream.partial_fit(X[5:]).means_)
