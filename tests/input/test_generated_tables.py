"""Generated tables: the columns, types, levels and ranges of the user's, and its distribution."""

import numpy as np
import pandas as pd
import pytest
from common import name, some_of
from sklearn.base import clone

from skdeepcluster import DACClustering, VaDEClustering, VAEEmbedding
from skdeepcluster.input import Preparation
from skdeepcluster.persistence import load, save

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]

N = 300
Y = np.arange(N) % 2
SMALL = {"init": Y, "n_components": 2, "hidden_layer_sizes": (16,), "random_state": 0}
NETWORKS = [own(2, **SMALL) for own in (VAEEmbedding, VaDEClustering, DACClustering)]


def draw_table():
    """Draw customers of two segments: all kinds of columns, and a plan that 5 % have."""
    rng = np.random.default_rng(0)
    sizes = pd.CategoricalDtype(["S", "M", "L", "XL"], ordered=True)
    table = {
        "id": [f"customer {i}" for i in range(N)],
        "age": rng.normal(np.array([30, 60])[Y], 5).round().astype(int),
        "spend": rng.lognormal(np.array([3, 5])[Y], 0.6).round(2),
        "visits": rng.lognormal(np.array([2, 1])[Y], 0.7).round().astype("int32"),
        "stars": rng.integers(1, 6, N).astype("int8"),
        "size": pd.Categorical.from_codes(rng.integers(3, size=N), dtype=sizes),
        "plan": rng.choice(["basic", "plus", "pro"], N, p=[0.6, 0.35, 0.05]),
        "site": pd.Categorical(np.array(["west", "east"])[Y], ["west", "south", "east"]),
        "member": rng.random(N) < np.array([0.2, 0.7])[Y],
        "newsletter": rng.integers(2, size=N),
        "constant": 7,
    }
    return pd.DataFrame(table)


TABLE = draw_table()
NUMBERS = ["age", "spend", "visits", "stars"]


@pytest.fixture(scope="module", params=some_of(NETWORKS), ids=name)
def network(request):
    return clone(request.param).fit(TABLE)


def test_generated_tables_are_as_the_users(network):
    drawn, _ = network.sample(500)
    assert drawn["id"].isna().all()  # identifiers are left out
    types = [table.drop(columns="id").dtypes for table in (drawn, TABLE)]
    assert list(types[0].astype(str)) == list(types[1].astype(str))
    for column in ("stars", "size", "plan", "site", "member", "newsletter"):
        assert set(drawn[column]) == set(TABLE[column])
    for column in NUMBERS:
        assert drawn[column].between(TABLE[column].min(), TABLE[column].max()).all()
    assert (drawn["spend"] == drawn["spend"].round(2)).all()
    assert (drawn["constant"] == 7).all()
    assert np.isfinite(network.predict_proba(drawn)).all()


def test_generated_tables_have_the_distribution_of_the_users(network):
    drawn, _ = network.sample(2000)
    for column in ("plan", "site", "member", "newsletter"):
        gap = drawn[column].value_counts(True) - TABLE[column].value_counts(True)
        assert gap.abs().max() < 0.1
    assert 0.02 < (drawn["plan"] == "pro").mean() < 0.1
    ratios = drawn[NUMBERS].std() / TABLE[NUMBERS].std()
    assert ratios.between(0.6, 1.6).all()
    decoded = network.inverse_transform(network.transform(TABLE))
    assert (decoded["plan"] == "pro").mean() < 0.02  # seldom the most probable one


def test_the_random_state_alone_decides_what_is_generated(network, tmp_path):
    drawn, _ = network.sample(50)
    pd.testing.assert_frame_equal(network.sample(50)[0], drawn)
    save(network, tmp_path / "fit.skops")
    pd.testing.assert_frame_equal(load(tmp_path / "fit.skops").sample(50)[0], drawn)
    other = clone(network).set_params(random_state=1, max_epochs=1)
    other = other.fit(TABLE).set_params(random_state=0)
    assert not other.sample(50)[0].equals(drawn)


def test_samples_of_a_cluster_belong_to_it(network):
    for k in range(2):
        drawn, _ = network.sample(200, cluster=k)
        assert (network.predict(drawn) == k).mean() > 0.75
    with pytest.raises(ValueError, match="cluster == 2"):
        network.sample(1, cluster=2)


def test_arrays_give_arrays_and_frames_of_numbers_frames():
    numbers = TABLE[[*NUMBERS, "newsletter"]]
    network = clone(NETWORKS[1]).set_params(max_epochs=1, pretraining_epochs=1)
    drawn, _ = network.fit(numbers).sample(50)
    pd.testing.assert_series_equal(drawn.dtypes, numbers.dtypes)
    same, _ = network.fit(numbers.to_numpy(dtype=float)).sample(50)
    np.testing.assert_array_equal(same, drawn.to_numpy(dtype=float))


def test_plain_numbers_are_means():
    X = np.random.default_rng(0).normal(size=(N, 2)) + 5 * Y[:, None]
    X = np.hstack([X, X])
    drawn, _ = clone(NETWORKS[1]).set_params(hidden_layer_sizes=()).fit(X).sample(50)
    assert np.linalg.matrix_rank(drawn - drawn.mean(0), tol=1e-3) == 2  # of two codes


def test_rare_levels_of_many_are_generated():
    rng = np.random.default_rng(0)
    levels = np.array([f"city {i}" for i in range(600)], dtype=object)
    table = pd.DataFrame({"age": rng.normal(size=3000), "city": rng.choice(levels, 3000)})
    network = VaDEClustering(2, **SMALL | {"init": np.arange(3000) % 2, "max_epochs": 1})
    drawn, _ = network.fit(table).sample(2000)
    assert drawn["city"].isin(levels).all()
    assert drawn["city"].nunique() > 300
    assert network.inverse_transform(network.transform(table[:5]))["city"].isin(levels).all()


def test_polars_frames_are_generated_with_their_types():
    polars = pytest.importorskip("polars")
    table = polars.from_pandas(TABLE.drop(columns=["size", "site"]))
    size = polars.Series(TABLE["size"].tolist(), dtype=polars.Enum(["S", "M", "L", "XL"]))
    table = table.with_columns(size=size)
    network = clone(NETWORKS[1]).set_params(max_epochs=1, pretraining_epochs=1)
    types = [own.drop("id").schema for own in (network.fit(table).sample(5)[0], table)]
    assert types[0] == types[1]


@pytest.mark.parametrize("decimals", [0, 2, 6])
def test_decoded_numbers_have_the_decimals_of_the_table(decimals):
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.lognormal(3, 1, N), 1000 * rng.normal(size=N)]).round(decimals)
    preparation = Preparation(standardize=True)
    prepared = preparation.fit_transform(table)
    np.testing.assert_array_equal(preparation.inverse_transform(prepared), table)
    moved = preparation.inverse_transform(prepared + 1e-3 * rng.normal(size=prepared.shape))
    np.testing.assert_array_equal(moved, moved.round(decimals))
    assert (moved != table).any()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_left_out_columns_miss_all_values(library):
    module = pytest.importorskip(library)
    names = [f"N{i:03d}" for i in range(90)]
    ages = np.random.default_rng(0).normal(30, 5, 90)
    table = module.DataFrame({"name": names, "age": ages, "plan": ["a", "b", "c"] * 30})
    drawn, _ = VAEEmbedding(3, max_epochs=1, random_state=0).fit(table).sample(4)
    assert list(drawn.columns) == list(table.columns)
    assert drawn["name"].isna().all() if library == "pandas" else drawn["name"].is_null().all()


def test_samples_without_weight_teach_no_category():
    table = pd.DataFrame({"age": np.arange(60.0) ** 1.5, "plan": ["a", "b", "c"] * 20})
    both = pd.concat([table, table[:2].assign(plan="never")], ignore_index=True)
    weight = np.r_[np.ones(60), 0, 0]
    fit = VAEEmbedding(2, max_epochs=1, random_state=0).fit(both, sample_weight=weight)
    assert "plan_never" not in fit.preparation_.get_feature_names_out()
    assert set(fit.sample(200)[0]["plan"]) == {"a", "b", "c"}
