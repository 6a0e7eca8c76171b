"""Tables with categories: what `kinds` says to clusterers and networks."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from common import name, some_of
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

from skdeepcluster import (
    DACClustering,
    GaussianMixtureEM,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.display import EmbeddingDisplay
from skdeepcluster.input import Preparation
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.persistence import load, save

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]

TINY = {"n_components": 2, "hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0}
NEIGHBORS = NeighborClustering(3, random_state=0)
VAE = VAEEmbedding(3, **TINY)
CODES = [cls(3, pretraining_epochs=1, **TINY) for cls in (VaDEClustering, DACClustering)]
CODES = [VAE, *CODES]
over_networks = pytest.mark.parametrize("network", some_of(CODES), ids=name)


def draw_table(n_samples=60):
    """Draw a table of two numbers and three categories that three groups differ in."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % 3
    site = np.where(rng.uniform(size=n_samples) < 0.9, y, rng.integers(3, size=n_samples))
    table = {
        "age": 100 * (rng.normal(size=n_samples) + 4 * y),
        "site": np.array(["north", "south", "west"], dtype=object)[site],
        "count": rng.integers(0, 9, n_samples),
        "grade": pd.Categorical(rng.choice(["a", "b"], n_samples)),
        "treated": rng.uniform(size=n_samples) < 0.5,
    }
    return pd.DataFrame(table), y


TABLE, Y = draw_table()
WAYS = [[1, 3, 4], ["site", "grade", "treated"]]


@pytest.fixture(scope="module")
def fitted():
    return clone(NEIGHBORS).fit(TABLE)


# ---- what a column is


@pytest.mark.parametrize("columns", WAYS, ids=["positions", "names"])
def test_categories_are_given_by_name_or_position(columns, fitted):
    kinds = dict.fromkeys(columns, "category")
    found = clone(NEIGHBORS).set_params(kinds=kinds).fit(TABLE)
    np.testing.assert_array_equal(found.predict_proba(TABLE), fitted.predict_proba(TABLE))
    if not isinstance(columns[0], str):
        array = TABLE.to_numpy(dtype=object)
        np.testing.assert_array_equal(found.fit(array).labels_, fitted.labels_)
        assert not hasattr(found, "feature_names_in_")
    assert found.n_features_in_ == 5


def test_fits_keep_what_the_table_says(fitted):
    np.testing.assert_array_equal(fitted.labels_, fitted.predict(TABLE))
    assert fitted.feature_names_in_.tolist() == list(TABLE)
    assert adjusted_rand_score(Y, fitted.labels_) > 0.5
    assert "site_" in str(ClusterReport.from_estimator(fitted, TABLE))
    assert EmbeddingDisplay.from_estimator(fitted, TABLE).points_.shape == (60, 2)
    frame = fitted.set_output(transform="pandas").transform(TABLE)
    assert frame.columns.tolist() == fitted.get_feature_names_out().tolist()
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(TABLE.rename(columns={"site": "place"}))


def test_names_of_categories_do_not_matter():
    table, _ = draw_table(80)
    other = table.assign(treated=np.where(table["treated"], "x", "y"))
    other["grade"] = other["grade"].map({"a": 7, "b": 3}).astype("category")
    points = [pdist(Preparation().fit_transform(own)) for own in (table, other)]
    np.testing.assert_allclose(*points)


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        (["place"], TABLE, "^kinds names no column of X"),
        ([7], TABLE, "^kinds names no column of X: 7. X has 5 columns: 'age'"),
        ([0.5], TABLE, "^kinds names no column of X"),
        ([(0,)], TABLE, r"for the columns \(0,\), but several"),
        ([(0, 7)], TABLE, "^kinds names no column of X: 7"),
        (["site"], TABLE.to_numpy(dtype=object), "^kinds names no column of X: 'site'"),
        ([1], TABLE.assign(site=None), r"no values in the columns \['site'\]"),
        ([1], TABLE.assign(age=np.nan), r"no values in the columns \['age'\]"),
        ([3], TABLE.to_numpy(dtype=object), "Column 1 of X is not numeric"),
        ([1, 3, 4], TABLE.assign(age=np.inf), "infinity"),
    ],
)
def test_wrong_columns_and_categories_are_explained(columns, table, message):
    kinds = dict.fromkeys(columns, "category")
    with pytest.raises(ValueError, match=message):
        clone(NEIGHBORS).set_params(kinds=kinds).fit(table)


def test_other_metrics_and_likelihoods_are_refused():
    with pytest.raises(ValueError, match="need metric='euclidean'"):
        clone(NEIGHBORS).set_params(metric="cosine").fit(TABLE)


def test_categories_texts_and_booleans_of_a_frame_are_found(fitted):
    assert NeighborClustering().kinds == "auto"
    found = NeighborClustering(3, random_state=0).fit(TABLE.astype({"site": "string"}))
    np.testing.assert_array_equal(found.labels_, fitted.labels_)
    numbers = TABLE[["age", "count"]]
    objects = NeighborClustering(3, random_state=0).fit(numbers.astype(object))
    plain = NeighborClustering(3, random_state=0).fit(numbers.to_numpy(dtype=float))
    np.testing.assert_array_equal(objects.labels_, plain.labels_)


@pytest.mark.parametrize("value", ["rent", [1, 2], pd.Interval(0, 1)], ids=str)
def test_columns_that_are_not_numeric_are_named(value):
    table = TABLE[["age", "count"]].assign(home=[value] * 60)
    message = "(?i)column 'home' (of X is not numeric.*OneHotEncoder|has .*astype)"
    with pytest.raises((TypeError, ValueError), match=message):
        GaussianMixtureEM(3).fit(table)


@pytest.mark.parametrize("value", [b"a", {1: 2}, (1,), 4], ids=str)
def test_categories_of_other_types_name_the_column(value):
    table = TABLE.assign(site=[value] * 30 + ["north"] * 30)
    with pytest.raises(ValueError, match=r"(?i)column 'site' has .*astype\(str\)"):
        clone(NEIGHBORS).fit(table)


def test_numbers_among_texts_are_explained():
    values = TABLE["site"].astype(object).copy()
    values[3] = "?"
    values[4] = 31.0
    with pytest.raises(ValueError, match="numbers and texts, such as .*to_numeric"):
        clone(NEIGHBORS).fit(TABLE.assign(site=values))


FLAGS = np.random.default_rng(0).integers(2, size=(200, 2))


@pytest.mark.parametrize("n_flags", [1, 2])
def test_flags_alone_make_no_clusters(n_flags):
    numbers = np.random.default_rng(1).normal(size=(200, 3))
    table = pd.DataFrame(numbers, columns=list("abc"))
    flags = ["newsletter", "member"][:n_flags]
    table[flags] = FLAGS[:, :n_flags]
    found = NeighborClustering("auto", random_state=0).fit(table)
    assert found.n_clusters_ == 1

    table["a"] += 6 * FLAGS @ [1, 2]  # now another feature differs, too
    found = NeighborClustering("auto", random_state=0).fit(table)
    assert found.n_clusters_ > 1


# ---- missing and unseen categories


def test_unseen_levels_in_every_row_are_named():
    fit = NeighborClustering(2, random_state=0).fit(TABLE)
    new = TABLE.astype({"site": object}).assign(site="elsewhere")
    with pytest.warns(ConvergenceWarning, match="'site' has no level.* but 'elsewhere'"):
        fit.predict(new)


@pytest.mark.parametrize("estimator", some_of([NEIGHBORS, *CODES]), ids=name)
def test_missing_and_unseen_categories_are_one(estimator):
    table = TABLE.astype({"grade": object, "site": object})
    table.loc[::5, "site"] = None
    table.loc[::7, "age"] = np.nan
    fit = clone(estimator).fit(table)
    new = TABLE.astype({"site": object})[:6]
    missing = [new.assign(site=value) for value in (None, np.nan, pd.NA, "somewhere else")]
    resp = [fit.predict_proba(own) for own in missing]
    assert np.isfinite(resp).all()
    for other in resp[1:]:
        np.testing.assert_array_equal(other, resp[0])
    assert np.abs(fit.predict_proba(new) - resp[0]).max() > 1e-6


# ---- scales


def weigh(column, others):
    """Return the weight of a column by the adjusted R^2 of a regression on other columns."""
    n = len(others)
    p = np.linalg.matrix_rank(others - others.mean(0))
    found = LinearRegression().fit(others, column).predict(others)
    residual = np.square(column - found).sum() / np.square(column - column.mean(0)).sum()
    share = 1 - residual * (n - 1) / (n - p - 1)
    return min(1, max(0, share / 0.1))


@pytest.mark.parametrize(
    ("gap", "weighted"),
    [(0.0, False), (0.5, True), (2.0, False), pytest.param(2.0, True, marks=pytest.mark.full)],
)
def test_categories_weigh_what_other_columns_explain(gap, weighted):
    rng = np.random.default_rng(0)
    level = np.arange(200) % 2
    X = rng.normal(size=(200, 2)) * [1, 3]
    X[:, 0] += gap * level
    one_hot = np.eye(2)[level]
    weight = weigh(one_hot, X)
    own = [weigh(X[:, [i]], np.column_stack([X[:, 1 - i], one_hot])) for i in (0, 1)]
    assert (gap == 0) == (weight < 0.05)
    assert (gap == 2) == (weight == 1) == (own[0] == 1)
    assert own[1] < 0.3
    strength = max(weight, *own)
    weights = [*(1 - strength * (1 - each) for each in own), weight]
    first, second, last = np.maximum(weights, 1 / 64)

    found = NeighborClustering(2, kinds={2: "category"}, random_state=0)
    kept = np.repeat([1.0, 0.0], [200, 50])
    table = np.column_stack([X, level])
    if weighted:
        rest = np.column_stack([rng.normal(size=(50, 2)), np.ones(50)])
        found.fit(np.vstack([table, rest]), sample_weight=kept)
    else:
        found.fit(table)
    equal = NeighborClustering(2, standardize=False, random_state=0)
    equal.fit(np.hstack([X / X.std(0) * [first, second], 0.625 * last * one_hot]))
    assert found.standardize_ is True
    if gap:  # else there are no clusters
        assert adjusted_rand_score(found.labels_[:200], equal.labels_) == 1
    np.testing.assert_allclose(found.outlier_scores_[:200], equal.outlier_scores_, rtol=1e-5)


def test_categories_at_random_make_no_clusters():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    plan = np.where(rng.uniform(size=300) < 0.8, y, rng.integers(3, size=300))
    table = {
        "age": rng.normal(25 + 20 * y, 6),
        "spend": np.exp(rng.normal(np.array([3, 5, 4])[y], 0.6)),
        "visits": rng.poisson(np.array([12, 3, 6])[y]),
        "plan": np.array(["basic", "plus", "pro"])[plan],
        "city": rng.choice(list("ABCDEFGH"), 300),
        "newsletter": rng.uniform(size=300) < 0.5,
    }
    found = NeighborClustering("auto", random_state=0).fit(pd.DataFrame(table))
    assert found.n_clusters_ in (2, 3, 4)
    assert adjusted_rand_score(y, found.labels_) > 0.5


# ---- networks


@over_networks
def test_networks_begin_with_the_same_partition(network, fitted):
    network = clone(network).fit(TABLE)
    np.testing.assert_array_equal(network.init_labels_, fitted.labels_)
    assert network.likelihood_ == "columns"


@over_networks
def test_networks_decode_to_the_table(network, tmp_path):
    network = clone(network).fit(TABLE)
    for drawn in (network.sample(4)[0], network.inverse_transform(network.transform(TABLE[:4]))):
        assert list(drawn) == list(TABLE)
        assert drawn["site"].isin(TABLE["site"]).all()
        assert drawn["treated"].dtype == bool
        assert np.isfinite(drawn["age"]).all()
        assert np.isfinite(network.predict_proba(drawn)).all()
    save(network, tmp_path / "fit.skops")
    again = load(tmp_path / "fit.skops")
    np.testing.assert_array_equal(again.predict_proba(TABLE), network.predict_proba(TABLE))
    pd.testing.assert_frame_equal(again.sample(4)[0], network.sample(4)[0])


def test_imputed_tables_keep_what_is_observed():
    whole = pd.DataFrame({"age": 100.0 * Y, "site": np.array(["x", "y", "z"], dtype=object)[Y]})
    table = whole.copy()
    table.loc[::5, "site"] = None
    table.loc[1::5, "age"] = np.nan
    vae = clone(VAE).set_params(max_epochs=60, learning_rate=0.01, hidden_layer_sizes=(16,))
    found = vae.fit(table).impute(table)
    known = table.notna().to_numpy()
    assert (found.to_numpy() == whole.to_numpy())[known].all()
    assert (found["site"] == whole["site"]).mean() > 0.9
    assert vae.sample(3)[0]["site"].isin(["x", "y", "z"]).all()


def test_imputed_frames_of_polars_keep_what_is_observed():
    polars = pytest.importorskip("polars")
    age = [None if i % 5 == 0 else 100.0 * own + i / 7 for i, own in enumerate(Y)]
    names = [f"customer {i}" for i in range(len(Y))]
    table = polars.DataFrame({"age": age, "site": np.array(["x", "y", "z"])[Y], "name": names})
    found = clone(VAE).fit(table).impute(table)
    assert found["age"].null_count() == 0
    assert found.drop("age").equals(table.drop("age"))
    known = table["age"].is_not_null()
    assert found.filter(known).equals(table.filter(known))


def test_arrays_decode_to_arrays():
    numbers = np.column_stack([TABLE["age"], np.arange(60) % 3, np.zeros(60)])
    vae = clone(VAE).set_params(kinds={1: "category", 2: "category"}).fit(numbers)
    drawn, _ = vae.sample(5)
    assert drawn.dtype == np.float64
    assert set(drawn[:, 1]) <= {0, 1, 2}
    assert set(drawn[:, 2]) == {0}
    texts = numbers.astype(object).astype(str)[:, [1, 1, 2]]
    drawn, _ = vae.fit(texts).sample(5)
    assert drawn.dtype == object


# ---- other packages


@pytest.mark.skipif(importlib.util.find_spec("skrub") is None, reason="skrub is not installed")
def test_skrub_vectorizes_tables():
    from skrub import TableVectorizer

    table = TABLE.astype({"site": str, "grade": str})
    table.loc[::9, "age"] = np.nan
    steps = make_pipeline(TableVectorizer(), NeighborClustering(3, random_state=0)).fit(table)
    assert adjusted_rand_score(Y, steps.predict(table)) > 0.5


@pytest.mark.parametrize("sample_weight", [None, np.ones(60)])
def test_a_table_of_categories_alone_is_clustered(sample_weight):
    y = np.arange(60) % 3
    table = pd.DataFrame({f"answer {j}": np.take(list("abc"), y) for j in range(4)})
    table.iloc[0, 0] = "b"
    found = NeighborClustering(3, random_state=0).fit(table, sample_weight=sample_weight)
    assert adjusted_rand_score(y, found.labels_) == 1
