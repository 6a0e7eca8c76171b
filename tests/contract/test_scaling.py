"""Scaling is the user's: what is standardised, and tables whose columns differ in kind."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from estimators import CLASSIFIERS, DEEP, brief, name
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_blobs,
)
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, minmax_scale

from skdeepcluster import CatGANClustering, VaDEClustering, VAEEmbedding
from skdeepcluster._likelihood_choice import choose_likelihood, measure_features
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.modules.likelihood import ColumnLikelihood

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
KINDS = {"gaussian": [0, 1], "bernoulli": [2], "categorical": [[3, 4], [5, 6, 7]]}
WINE, CANCER = load_wine().data, load_breast_cancer().data
each_network = pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)


def draw_table(n_rows=30, weight=1.0):
    """Draw two numbers, a share, and two categories."""
    stream = np.random.default_rng(0)
    y = np.arange(n_rows) % 3
    numbers = 20 * stream.normal(size=(n_rows, 2)) + 100 * y[:, None]
    categories = [weight * np.eye(n)[stream.integers(n, size=n_rows)] for n in (2, 3)]
    return np.hstack([numbers, stream.uniform(size=(n_rows, 1)), *categories]), y


def one_hot(n_rows, shares):
    return np.eye(len(shares))[np.random.default_rng(0).choice(len(shares), n_rows, p=shares)]


# ---- what "auto" takes for probabilities


@each_network
def test_small_units_change_no_cluster(estimator):
    X, y = load_iris(return_X_y=True)
    estimator = estimator.set_params(**TINY)
    fits = [clone(estimator).fit(unit * X, np.where(y > 0, y, -1)) for unit in (1, 2**-13, 2**-60)]
    assert {fitted.likelihood_ for fitted in fits} == {"gaussian"}
    for fitted, unit in zip(fits[1:], (2**-13, 2**-60), strict=True):
        np.testing.assert_allclose(
            fitted.predict_proba(unit * X), fits[0].predict_proba(X), atol=1e-5
        )


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (minmax_scale(CANCER), "bernoulli"),  # its largest value is 1 + eps
        (minmax_scale(CANCER).astype(np.float32), "bernoulli"),
        (-minmax_scale(-CANCER, (-1, 0)), "bernoulli"),
        (0.3 * minmax_scale(CANCER), "bernoulli"),
        (0.01 * minmax_scale(CANCER), "gaussian"),
        (minmax_scale(CANCER) * (1 + 1e-14), "gaussian"),
        (minmax_scale(CANCER) - 1e-14, "gaussian"),
        (np.eye(30)[np.arange(300) % 30], "bernoulli"),
        (np.eye(30, dtype=int)[np.arange(300) % 30], "bernoulli"),
        (np.full((9, 2), 0.5), "bernoulli"),
    ],
)
def test_probabilities_are_told_by_their_range_and_variance(X, expected):
    for rows in (X, csr_array(X)):
        assert choose_likelihood("auto", "auto", rows).name == expected
    if expected == "bernoulli":
        choose_likelihood("bernoulli", "auto", X)
        choose_likelihood({"bernoulli": list(range(X.shape[1]))}, "auto", X)


# ---- standardize


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (load_iris().data, False),
        (load_digits().data, False),
        (StandardScaler().fit_transform(WINE) * np.linspace(0.2, 2, 13), False),
        (PCA().fit_transform(load_digits().data), False),
        (PCA().fit_transform(StandardScaler().fit_transform(CANCER)), False),
        (
            np.hstack([StandardScaler().fit_transform(WINE), one_hot(178, [0.01, 0.19, 0.8])]),
            False,
        ),
        (np.hstack([load_iris().data, np.full((150, 1), 1e6)]), False),
        (WINE, True),
        (CANCER, True),
        (load_iris().data[:, :2] * [1, 1000], True),
    ],
    ids=[
        *("iris", "images", "weighted", "components", "many components", "rare category"),
        *("constant column", "wine", "breast cancer", "two columns"),
    ],
)
def test_auto_standardizes_features_whose_units_differ(X, expected):
    assert choose_likelihood("gaussian", "auto", X).standardizes == expected


def test_features_that_keep_their_weights_are_divided_by_one_number():
    X = WINE[:, :5]
    seen = choose_likelihood("gaussian", False, X).standardize(torch.from_numpy(X)).numpy()
    ratio = (X - X.mean(0)) / seen
    np.testing.assert_allclose(ratio, np.sqrt(X.var(0).mean()), rtol=1e-4)
    each = choose_likelihood("gaussian", True, X).standardize(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(each, StandardScaler().fit_transform(X), atol=1e-5)


@pytest.mark.parametrize("standardize", [True, False])
def test_the_bound_is_in_the_units_of_x(standardize):
    X = load_iris().data[::3] - 5
    vade = VaDEClustering(3, init="mixture", standardize=standardize, **TINY)
    here, there = clone(vade).fit(X), clone(vade).fit(1024 * X)
    expected = here.score_samples(X) - 4 * np.log(1024)
    np.testing.assert_allclose(there.score_samples(1024 * X), expected, atol=1e-3)


def test_features_are_measured_alike_however_rows_are_stored(tmp_path):
    X = np.random.default_rng(0).poisson(0.3, (9000, 3)).astype("float64")
    X[:, 2] = 4
    np.save(tmp_path / "X.npy", X)
    expected = X.mean(0), [*X[:, :2].std(0), 1], X.min(0), X.max(0)
    for rows in (X, csr_array(X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        for found, value in zip(measure_features(rows), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5)


def test_constant_rows_have_scale_one():
    for standardize in (True, False, "auto"):
        likelihood = choose_likelihood("gaussian", standardize, np.full((9, 3), 7.0))
        assert (likelihood.scale == 1).all()


def test_what_was_taken_is_shown_and_kept_by_a_warm_start():
    X = load_iris().data[::3]
    vae = VAEEmbedding(3, init="mixture", warm_start=True, **TINY).fit(X)
    assert (vae.likelihood_, vae.standardize_) == ("gaussian", False)
    assert vae.fit(X * [1, 1000, 1, 1]).standardize_ is False, "the model's scales stay"
    with pytest.raises(
        ValueError, match="fitted with standardize=False, but now standardize=True"
    ):
        vae.set_params(standardize=True).fit(X)
    assert clone(vae).fit(X).standardize_ is True
    assert clone(vae).fit(X / 10).standardize_ is False, "nothing is Gaussian"


# ---- columns


@each_network
def test_a_mixed_table_is_fitted_sampled_and_kept(estimator, tmp_path):
    X, y = draw_table(weight=0.5)
    settings = {"init": "mixture"} if "n_clusters" in estimator.get_params() else {"init": None}
    fitted = brief(estimator, likelihood=KINDS, **settings).fit(X, y)
    assert (fitted.likelihood_, fitted.standardize_) == ("columns", False)
    drawn = fitted.sample(6)
    np.testing.assert_allclose(drawn[:, 3:5].sum(1), 0.5, rtol=1e-5)
    np.testing.assert_allclose(drawn[:, 5:8].sum(1), 0.5, rtol=1e-5)
    assert (drawn[:, 2:] >= 0).all()
    assert (drawn[:, 2:] <= 1).all()
    copies = [pickle.loads(pickle.dumps(fitted))]
    if pytest.importorskip("skops"):
        from skdeepcluster.persistence import load, save

        save(fitted, tmp_path / "fit.skops")
        copies.append(load(tmp_path / "fit.skops"))
    for copy in copies:
        np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(copy.sample(6), drawn)
        assert copy.model_.likelihood.layout == KINDS


def test_indices_names_and_a_ready_likelihood_are_the_same():
    pandas = pytest.importorskip("pandas")
    X, _ = draw_table()
    frame = pandas.DataFrame(X, columns=list("abcdefgh"))
    given = ColumnLikelihood(**KINDS)
    before = {name: value.clone() for name, value in given.state_dict().items()}
    named = {"gaussian": ["a", "b"], "bernoulli": "c", "categorical": [["d", "e"], list("fgh")]}
    named["bernoulli"] = frame.columns[2:3]
    vade = VaDEClustering(3, init="mixture", pretraining_epochs=1, **TINY)
    for standardize in (True, False):
        one, two, three = (
            clone(vade).set_params(likelihood=likelihood, standardize=standardize).fit(rows)
            for likelihood, rows in ((KINDS, X), (named, frame), (given, X))
        )
        assert one.standardize_ == two.standardize_ == three.standardize_ == standardize
        np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(frame))
        np.testing.assert_array_equal(one.predict_proba(X), three.predict_proba(X))
        text = pickle.dumps(three)
        assert b"torch" not in text
        assert pickle.loads(text).likelihood == KINDS
    assert given.state_dict().keys() == before.keys()
    for key, value in given.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_sparse_rows_have_columns_too():
    X, _ = draw_table()
    vade = VaDEClustering(3, init="mixture", likelihood=KINDS, pretraining_epochs=1, **TINY)
    sparse = clone(vade).set_params(accept_sparse=True).fit(csr_array(X))
    expected = vade.fit(X).predict_proba(X)
    np.testing.assert_allclose(sparse.predict_proba(csr_array(X)), expected, atol=1e-5)


def test_a_warm_start_keeps_its_columns():
    X, _ = draw_table()
    vae = VAEEmbedding(3, init="mixture", likelihood=KINDS, warm_start=True, **TINY).fit(X)
    assert vae.fit(X).n_iter_ == 2
    other = {**KINDS, "gaussian": [0, 1, 2], "bernoulli": []}
    with pytest.raises(ValueError, match=r"is columns \(gaussian \[0, 1\].*ask for columns \(gau"):
        vae.set_params(likelihood=other).fit(X)


@pytest.mark.full
def test_columns_are_exported(tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    from skdeepcluster.export import to_onnx

    X, _ = draw_table()
    X = X.astype("float32")
    vade = VaDEClustering(3, init="mixture", likelihood=KINDS, pretraining_epochs=1, **TINY)
    to_onnx(vade.fit(X), tmp_path / "fit.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    found = session.run(["probabilities"], {"X": X})[0]
    np.testing.assert_allclose(found, vade.predict_proba(X), atol=2e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gaussian": [0]}, r"every column of X, 0 to 7, but \[1\] are missing"),
        ({"gaussian": [0, 1, 8]}, r"but there are no columns \[8\]"),
        ({"bernoulli": [2, 1]}, r"\[1\] are given twice"),
        ({"gaussian": [0], "bernoulli": [2, 1]}, "column 1 is 'bernoulli'.* runs from -?[0-9]"),
        (
            {"bernoulli": [], "categorical": [[3, 4], [5, 6, 7, 2]]},
            r"\[5, 6, 7, 2\] is cat.* Row 0",
        ),
        ({"poisson": [0]}, "key 'poisson'; the keys are"),
        ({"gaussian": 0}, "must be a list of columns, got 0"),
        ({"categorical": [3, 4]}, "must be a list of a list of columns for each category, got 3"),
        ({"gaussian": ["a", 1]}, "names the column 'a', but X has no names"),
    ],
    ids=str,
)
def test_wrong_columns_of_a_table_are_explained(changes, message):
    X, _ = draw_table()
    with pytest.raises(ValueError, match=message):
        VAEEmbedding(3, likelihood=KINDS | changes, **TINY).fit(X)


def test_an_unknown_name_is_explained():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(load_iris().data, columns=list("abcd"))
    with pytest.raises(ValueError, match="'e', but the columns are a, b, c, d"):
        VAEEmbedding(3, likelihood={"gaussian": list("abce")}, **TINY).fit(frame)


def test_binarize_needs_all_columns_in_the_unit_interval():
    X, _ = draw_table()
    with pytest.raises(ValueError, match=r"the likelihood is columns \(gaussian \[0, 1\]"):
        VAEEmbedding(3, likelihood=KINDS, binarize=True, **TINY).fit(X)


def test_weights_that_differ_within_a_category_are_found_in_any_block(monkeypatch):
    monkeypatch.setattr("skdeepcluster._likelihood_choice.CHUNK", 10)
    X = np.eye(2)[np.zeros(30, dtype=int)]
    measure_features(X, [[0, 1]])
    X[25, 0] = 0.5
    with pytest.raises(ValueError, match=r"Row 25 has \[0.5, 0.0\]"):
        measure_features(X, [[0, 1]])


# ---- the penguins


@pytest.mark.parametrize("method", [VAEEmbedding, VaDEClustering, CatGANClustering])
def test_penguins_are_found_by_measurements_sex_and_island(method):
    """KMeans has an accuracy of .78 to .85 on the unweighted table."""
    pandas = pytest.importorskip("pandas")
    beside = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("SKDEEPCLUSTER_DATA", beside)) / "penguins.csv"
    if not path.is_file():
        pytest.skip(f"There is no {path}: penguins.csv of the R package palmerpenguins")
    table = pandas.read_csv(path)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    prepare = ColumnTransformer(
        [
            ("numbers", numbers, [column for column in table if column.endswith(("_mm", "_g"))]),
            ("categories", OneHotEncoder(sparse_output=False), ["island", "sex"]),
        ],
        transformer_weights={"categories": 0.1},
    )
    columns = {"gaussian": [0, 1, 2, 3], "categorical": [[4, 5, 6], [7, 8, 9]]}
    model = method(3, likelihood=columns, hidden_layer_sizes=(64,), random_state=0)
    labels = make_pipeline(prepare, model).fit_predict(table)
    assert clustering_accuracy(table["species"], labels) > 0.93


@pytest.mark.parametrize("standardize", [True, False])
def test_a_large_constant_is_shifted_to_zero(standardize):
    X, y = make_blobs(200, centers=[[0, 0, 0], [9, 0, 0], [0, 9, 0]], random_state=0)
    wide = np.column_stack([X, np.full(200, 1.7e18 + 12345)])
    vae = VAEEmbedding(
        3, max_epochs=2, random_state=0, likelihood="gaussian", standardize=standardize
    )
    fit = vae.fit(wide)
    assert float(abs(fit.model_.standardize(torch.from_numpy(wide))[:, 3]).max()) == 0
    assert adjusted_rand_score(y, fit.start_labels_) == 1
