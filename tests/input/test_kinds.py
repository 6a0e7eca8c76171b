"""What the columns of a table are, and how they become numbers."""

import numpy as np
import pandas as pd
import pytest
from common import in_full
from scipy.stats import skew
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering, VAEEmbedding
from skdeepcluster.input import Preparation
from skdeepcluster.inspection import ClusterReport

pytestmark = pytest.mark.usefixtures("no_alternatives")

N = 400


def draw_columns(seed=0, n=N):
    """Draw a table with a column of each kind."""
    rng = np.random.default_rng(seed)
    sizes = ["small", "medium", "large"]
    return pd.DataFrame(
        {
            "height": rng.normal(170, 9, n),
            "spend": rng.lognormal(4, 1, n),
            "rating": rng.integers(1, 6, n),
            "member": rng.integers(0, 2, n),
            "city": rng.choice(["Bonn", "Oslo", "Rome"], n).astype(object),
            "size": pd.Categorical(rng.choice(sizes, n), sizes, ordered=True),
            "constant": np.ones(n),
        }
    )


KINDS = {
    "height": "number",
    "spend": "skewed",
    "rating": "ordinal",
    "member": "binary",
    "city": "category",
    "size": "ordinal",
    "constant": "constant",
}
NUMBERS = ["height", "spend", "rating", "member"]


# ---- what is read


def test_kinds_are_read_and_told(capsys):
    table = draw_columns()
    fit = NeighborClustering(3, verbose=1, random_state=0).fit(table)
    assert fit.preparation_.kinds_ == KINDS
    line = fit.preparation_.describe()
    assert "1 skewed (spend)" in line
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_texts_are_the_same_in_every_type(dtype):
    table = draw_columns()
    kinds = Preparation().fit(table.astype({"city": dtype})).kinds_
    assert kinds == KINDS


@pytest.mark.parametrize("dtype", [object, "str", "string"])
def test_numbers_as_texts_are_numbers(dtype):
    table = draw_columns()
    texts = table.assign(rating=table["rating"].astype(str).astype(dtype))
    found = Preparation().fit(texts)
    assert found.kinds_ == KINDS
    np.testing.assert_array_equal(found.transform(texts), Preparation().fit_transform(table))
    names = ClusterReport.from_estimator(NeighborClustering(2).fit(texts), texts).feature_names
    assert "rating" in names


def test_polars_is_read_as_pandas():
    polars = pytest.importorskip("polars")
    table = draw_columns()
    other = polars.DataFrame({name: table[name].tolist() for name in table})
    other = other.with_columns(other["size"].cast(polars.Enum(["small", "medium", "large"])))
    # The order of an Enum is that in which it is stored.
    assert Preparation().fit(other).kinds_ == KINDS | {"size": "category"}
    found = Preparation({"size": "ordinal"}).fit(other)
    assert found.kinds_ == KINDS
    np.testing.assert_array_equal(found.transform(other), Preparation().fit_transform(table))


def test_arrays_are_read_as_frames():
    table = draw_columns()[NUMBERS]
    found = Preparation().fit(table.to_numpy())
    assert list(found.kinds_.values()) == [KINDS[name] for name in NUMBERS]
    expected = Preparation().fit_transform(table)
    np.testing.assert_allclose(found.transform(table.to_numpy()), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "X",
    [
        load_iris().data,
        load_digits().data[:300],
        (load_digits().data[:300] > 8).astype(float),
        np.random.default_rng(0).lognormal(size=(200, 3)),
    ],
    ids=["centimeters", "pixels", "black and white", "one unit"],
)
def test_comparable_numbers_stay_as_they_are(X):
    found = Preparation()
    np.testing.assert_array_equal(found.fit_transform(X), X)
    assert set(found.kinds_.values()) == {"number"}


def test_numbers_stay_as_they_are():
    X = draw_columns()[NUMBERS].to_numpy()
    fit = NeighborClustering(2, kinds="numbers", random_state=0).fit(X)
    expected = X / X.std(0)
    np.testing.assert_allclose(fit.preparation_.transform(X), expected, rtol=1e-6)


def test_what_a_user_says_comes_first():
    table = draw_columns()
    said = {"rating": "category", "spend": "number", "member": "number", 6: "out"}
    found = Preparation(kinds=said).fit(table)
    changed = {"rating": "category", "spend": "number", "member": "number"}
    assert found.kinds_ == KINDS | changed | {"constant": "out"}
    names = found.get_feature_names_out().tolist()
    assert "rating_5" in names
    assert "constant" not in names
    fit = VAEEmbedding(2, kinds={"spend": "out"}, max_epochs=1, random_state=0).fit(table)
    assert fit.sample(3)[0]["spend"].isna().all()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"rating": "rank"}, "'rank' for column 'rating', but a kind is one of number"),
        ({"weight": "ordinal"}, "kinds names no column of X"),
        ({"city": "ordinal"}, "'city' is ordinal, but its texts have no order"),
        ({"city": "number"}, "'city' of X is not numeric: could not convert"),
        ({"city": "date"}, "'city' of X is not numeric.* dates by pandas.to_datetime"),
        (dict.fromkeys(KINDS, "out"), "All columns of X are left out"),
    ],
)
def test_wrong_kinds_are_explained(kinds, message):
    with pytest.raises(ValueError, match=message):
        NeighborClustering(2, kinds=kinds).fit(draw_columns())


def test_identifiers_are_left_out():
    table = draw_columns()
    names = [f"customer {i}" for i in range(N)]
    fit = NeighborClustering(2, random_state=0).fit(table.assign(name=names))
    assert fit.preparation_.kinds_["name"] == "out"
    equal = NeighborClustering(2, random_state=0).fit(table)
    np.testing.assert_array_equal(fit.labels_, equal.labels_)
    named = table.assign(name=names)
    filled = VAEEmbedding(2, init="own", max_epochs=1).fit(named).impute(named)
    assert filled["name"].tolist() == names


def test_a_thousand_levels_are_no_error():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=4000), "city": rng.integers(0, 1000, 4000)})
    found = Preparation({"city": "category"}).fit(table)
    assert found.n_encoded_ == 1 + 255
    assert np.isfinite(found.transform(table)).all()


# ---- how kinds become numbers


def test_tables_are_restored():
    table = draw_columns()
    found = Preparation().fit(table)
    restored = found.inverse_transform(found.transform(table))
    assert list(restored) == list(table)
    for name in ("rating", "member", "city", "size"):
        assert (restored[name] == table[name].astype(restored[name].dtype)).all()
    np.testing.assert_allclose(restored["height"], table["height"], rtol=1e-6)
    np.testing.assert_allclose(restored["spend"], table["spend"], rtol=1e-6)


def test_restored_values_keep_steps_and_ranges():
    table = draw_columns()
    found = Preparation().fit(table)
    X = found.transform(table)
    restored = found.inverse_transform(3 * (X - X.mean(0)) + X.mean(0))
    for name in ("height", "spend", "rating"):
        assert table[name].min() <= restored[name].min() <= restored[name].max()
        assert restored[name].max() <= table[name].max()
    assert set(restored["rating"]) <= {1, 2, 3, 4, 5}


def test_ordinal_numbers_fill_the_gaps_between_their_levels():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=2000), 100.0 * rng.integers(0, 5, 2000)])
    found = Preparation().fit(X)
    code = found.scaler_.inverse_transform(found.transform(X))[:, 1]
    assert np.abs(code - X[:, 1]).max() <= 50
    assert len(np.unique(code)) > 1800
    counts = np.histogram(code, np.arange(-50, 451, 10))[0]
    assert counts.min() > 10
    assert abs(np.corrcoef(code - X[:, 1], X[:, 0])[0, 1]) < 0.1
    equal = found.transform(X[[7] * 3])
    assert np.ptp(equal, axis=0).max() == 0


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_ordinal_numbers_with_one_value_mostly_stay(share):
    rng = np.random.default_rng(0)
    code = np.where(rng.uniform(size=500) < share, 0, rng.integers(1, 4, 500))
    found = Preparation().fit(np.column_stack([100 * rng.normal(size=500), code]))
    assert list(found.kinds_.values()) == ["number", "ordinal" if share < 0.5 else "number"]


def test_skewed_numbers_become_symmetric():
    rng = np.random.default_rng(0)
    right = rng.lognormal(0, 1, 2000)
    X = np.column_stack([right, 1000 - 90 * right, rng.normal(0, 4000, 2000)])
    found = Preparation().fit(X)
    assert list(found.kinds_.values()) == ["skewed", "skewed", "number"]
    first, second, _ = found.transform(X).T
    assert abs(skew(first)) < 0.3 < 3 < skew(right)
    assert abs(skew(second)) < 0.3
    order = np.argsort(right)
    assert (np.diff(first[order]) >= 0).all()
    assert (np.diff(second[order]) <= 0).all()
    restored = found.inverse_transform(found.transform(X))
    np.testing.assert_allclose(restored, X, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("unit", [2.0**-300, 2.0**-600, 1e-300, 2.0**300])
def test_skewed_numbers_have_no_unit(unit):
    units = [1, unit, 1, 1]
    found = Preparation().fit(draw_columns()[NUMBERS].to_numpy() * units)
    assert list(found.kinds_.values()) == [KINDS[name] for name in NUMBERS]


def test_a_few_far_samples_are_not_skewed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 2)) * [1, 100]
    X[:500, 0] += 12
    assert set(Preparation().fit(X).kinds_.values()) == {"number"}


def test_columns_that_tell_each_other_are_one_fact():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    table = pd.DataFrame({"x": rng.normal(4 * y, 1), "z": rng.normal(size=600)})
    table["city"] = rng.choice([*"abcdefgh"], 600)
    table["code"] = table["city"].map(dict(zip("abcdefgh", "stuvwxyz", strict=True)))
    table["region"] = np.where(table["city"] < "e", "north", "south")
    table["plan"] = np.array([*"pqr"])[np.where(rng.uniform(size=600) < 0.8, y, 0)]
    twice = table.assign(again=table["plan"].str.upper())
    found = Preparation().fit(table)
    weights = dict(zip(found.get_feature_names_out(), found.factors_, strict=True))
    assert max(weights[name] for name in ("city_a", "code_s", "region_north")) <= 1 / 32
    again = Preparation().fit(twice)
    weights_twice = dict(zip(again.get_feature_names_out(), again.factors_, strict=True))
    both = weights_twice["plan_p"] + weights_twice["again_P"]
    assert both == pytest.approx(weights["plan_p"], rel=1e-3)
    fit = NeighborClustering(3, random_state=0).fit(table)
    assert adjusted_rand_score(y, fit.labels_) > 0.6


# ---- laws


def test_the_best_explained_column_of_a_fact_counts():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    table = pd.DataFrame({"x": rng.normal(4 * y, 1), "plan": np.array([*"pqr"])[y]})
    wrong = rng.uniform(size=600) < 0.02
    table["noisy"] = np.where(wrong, rng.choice([*"pqr"], 600), table["plan"])
    for columns in (["x", "plan", "noisy"], ["x", "noisy", "plan"]):
        found = Preparation().fit(table[columns])
        weights = dict(zip(found.get_feature_names_out(), found.factors_, strict=True))
        assert weights["noisy_p"] < 1e-3 < 0.1 < weights["plan_p"]


def test_rows_copies_and_units_do_not_matter():
    table = draw_columns()
    X = Preparation().fit_transform(table)
    rows = np.random.default_rng(1).permutation(N)
    found = Preparation().fit(table.iloc[rows])
    np.testing.assert_allclose(found.transform(table), X, rtol=1e-6, atol=1e-6)
    twice = pd.concat([table, table])
    np.testing.assert_allclose(Preparation().fit(twice).transform(table), X, atol=1e-6)
    weighted = Preparation().fit(twice, sample_weight=np.repeat([2.0, 0.0], N))
    np.testing.assert_allclose(weighted.transform(table), X, atol=1e-6)

    units = table.assign(
        height=table["height"] / 2.54, spend=5 * table["spend"] - 7, rating=3 * table["rating"] - 1
    )
    found = Preparation().fit_transform(units)
    np.testing.assert_allclose(found - found.mean(0), X - X.mean(0), atol=1e-6)


def test_new_levels_are_missing_and_new_numbers_stay_between():
    table = draw_columns()
    found = Preparation().fit(table)
    new = table.head(2).assign(city="Lima", rating=2.5, size=None)
    moved = found.transform(new.assign(city="Oslo", size="small"))
    expected = found.inverse_transform(moved)["rating"]
    assert set(expected) <= {2, 3}
    fit = NeighborClustering(2, random_state=0).fit(table)
    with pytest.warns(ConvergenceWarning, match="'city' has no level.* but 'Lima'"):
        np.testing.assert_allclose(fit.predict_proba(new).sum(1), 1)


# ---- clusters of tables


def draw_customers(seed, n=250):
    """Draw customers of three segments, with two columns of zeros and ones."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    plan = np.where(rng.uniform(size=n) < 0.8, y, rng.integers(0, 3, n))
    table = {
        "age": rng.normal(np.array([30, 45, 60])[y], 6).round(),
        "spend": rng.lognormal(np.array([5, 3, 4])[y], 0.6).round(2),
        "orders": rng.poisson(np.array([12, 3, 6])[y]),
        "plan": np.array(["basic", "plus", "pro"])[plan],
        "city": rng.choice([*"ABCDEFGH"], n),
        "newsletter": (rng.uniform(size=n) < np.array([0.8, 0.3, 0.5])[y]).astype(int),
        "mail": rng.integers(0, 2, n),
    }
    return pd.DataFrame(table).mask(rng.uniform(size=(n, 7)) < 0.05), y


def test_customers_are_found_as_they_come():
    scores = []
    for seed in range(5):
        table, y = draw_customers(seed)
        fit = NeighborClustering(3, random_state=0).fit(table)
        scores.append(adjusted_rand_score(y, fit.labels_))
    assert np.median(scores) > 0.8
    vae = VAEEmbedding(3, max_epochs=1, random_state=0).fit(table)
    np.testing.assert_array_equal(vae.init_labels_, fit.labels_)
    fit = NeighborClustering("auto", random_state=0).fit(table)
    assert fit.n_clusters_ in (2, 3, 4)
    assert adjusted_rand_score(y, fit.labels_) > 0.6


@pytest.mark.parametrize("seed", [0, *in_full(1)])
def test_columns_of_few_values_without_structure_are_one_cluster(seed):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, n, 250) for n in (2, 2, 3, 5, 8)]
    X = np.column_stack([*codes, 100 * rng.normal(size=250), rng.lognormal(size=250)])
    assert NeighborClustering("auto", random_state=0).fit(X).n_clusters_ == 1
    assert NeighborClustering(3, random_state=0).fit(X).expected_score_ < 0.4
