"""The preparation of X: scales, categories, gaps, weights."""

import numpy as np
import pandas as pd
import pytest
from common import KEPT_FOR_TRANSFORMERS
from sklearn import config_context
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import NeighborClustering
from skdeepcluster.input import Preparation

#: Deviations of features, in falling order as those of principal components.
DEVIATIONS = np.array([100, 50, 20, 5, 1, 0.1])
ORDERS = {"falling": [0, 1, 2, 3, 4, 5], "rising": [5, 4, 3, 2, 1, 0], "mixed": [3, 0, 5, 1, 4, 2]}


def draw_scales():
    """Draw a table of independent features that are not centered."""
    X = np.random.default_rng(0).normal(size=(200, 6))
    X[:, 4] += 6 * (np.arange(200) % 2)
    return 7 + DEVIATIONS * X


def draw_mixed():
    """Draw a number with gaps, a category with gaps, and a number."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.normal(40, 10, 60), "site": list("abc") * 20})
    table["income"] = rng.normal(5e4, 1e4, 60)
    table.loc[::7, "age"] = np.nan
    table.loc[::11, "site"] = None
    return table


def fit(X, n_clusters=2, **options):
    return NeighborClustering(n_clusters, random_state=0, **options).fit(X)


@parametrize_with_checks([Preparation()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X .*feature names:UserWarning")
@pytest.mark.parametrize(
    "check",
    [
        *KEPT_FOR_TRANSFORMERS,
        "check_set_output_transform_polars",
        "check_global_set_output_transform_polars",
    ],
)
def test_checks_scikit_learn_keeps_for_itself(check):
    if check.endswith("polars"):
        pytest.importorskip("polars")
    getattr(estimator_checks, check)("Preparation", Preparation())


@pytest.mark.parametrize("order", ORDERS)
def test_principal_components_keep_their_scales_in_any_order(order):
    X = draw_scales()
    assert Preparation().fit(X[:, ORDERS[order]]).scaler_.standardizes_
    components = PCA(random_state=0).fit_transform(X)
    assert not Preparation().fit(components[:, ORDERS[order]]).scaler_.standardizes_


def test_nothing_is_prepared_before_a_fit():
    for method in (Preparation().transform, Preparation().inverse_transform):
        with pytest.raises(NotFittedError):
            method(DEVIATIONS[None])


def test_samples_of_the_fit_are_prepared_alike_and_come_back():
    table = draw_mixed()
    preparation = Preparation()
    prepared = preparation.fit_transform(table)
    np.testing.assert_array_equal(preparation.transform(table), prepared)
    assert np.isfinite(prepared).all()
    names = ["age", "income", "site_a", "site_b", "site_c"]
    assert preparation.get_feature_names_out().tolist() == names

    back = preparation.inverse_transform(prepared)
    assert list(back) == list(table)
    known = table.notna()
    np.testing.assert_allclose(back["age"][known["age"]], table["age"][known["age"]])
    assert (back["site"] == table["site"])[known["site"]].all()


@pytest.mark.parametrize("given", ["pandas", "polars"])
@pytest.mark.parametrize("wanted", ["pandas", "polars"])
def test_frames_come_out_as_set_output_says(given, wanted):
    polars = pytest.importorskip("polars")
    table = draw_mixed().set_index(np.arange(100, 160))
    X = table if given == "pandas" else polars.from_pandas(table)
    expected = Preparation().fit_transform(X)
    preparation = Preparation().set_output(transform=wanted)
    kind = {"pandas": pd.DataFrame, "polars": polars.DataFrame}[wanted]
    for found in (preparation.fit_transform(X), preparation.transform(X)):
        assert type(found) is kind
        assert list(found.columns) == preparation.get_feature_names_out().tolist()
        np.testing.assert_array_equal(found.to_numpy(), expected)
        if given == wanted == "pandas":
            assert found.index.equals(table.index)
    assert list(preparation.inverse_transform(found).columns) == list(table)


def test_a_preparation_with_frames_changes_no_prediction():
    table = draw_mixed()
    found = fit(table)
    expected = found.predict_proba(table)
    found.preparation_.set_output(transform="pandas")
    np.testing.assert_array_equal(found.predict_proba(table), expected)
    assert found.preparation_.transform(table).columns.tolist()[:2] == ["age", "income"]


def test_weights_are_copies():
    table = draw_mixed()
    weighted = Preparation().fit(table, sample_weight=np.full(60, 2.0))
    copied = Preparation().fit(pd.concat([table, table]))
    np.testing.assert_allclose(weighted.transform(table), copied.transform(table), rtol=1e-9)


def test_samples_of_weight_zero_change_nothing():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), 10.0 * rng.integers(0, 5, 200)])
    more = np.vstack([X, np.column_stack([rng.normal(size=90), np.arange(90) + 200.0])])
    alone = Preparation().fit(X)
    beside = Preparation().fit(more, sample_weight=np.repeat([1.0, 0.0], [200, 90]))
    assert alone.kinds_ == beside.kinds_ == {0: "number", 1: "ordinal"}
    np.testing.assert_allclose(alone.transform(X), beside.transform(X), rtol=1e-6)


def test_gaps_of_new_samples_need_donors():
    X = draw_scales()
    preparation = Preparation()
    prepared = preparation.fit_transform(X)
    gaps = X[:5].copy()
    gaps[:, 2] = np.nan
    with pytest.raises(ValueError, match="X of fit had none. Give donors"):
        preparation.transform(gaps)
    filled = preparation.transform(gaps, donors=pd.DataFrame(prepared))
    np.testing.assert_array_equal(filled[:, [0, 1]], prepared[:5, [0, 1]])
    assert np.isfinite(filled).all()


def test_frames_as_output_change_no_fit():
    X, _ = make_blobs(90, centers=3, random_state=0)
    expected = fit(X, 3)
    with config_context(transform_output="pandas"):
        found = fit(X, 3)
    np.testing.assert_array_equal(found.responsibilities_, expected.responsibilities_)
