"""A table as people have it is read alike by every estimator, and samples are tables like it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from common import in_full, name
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
    compare,
)
from skdeepcluster.input import Preparation
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.model_selection import select_n_clusters

pytestmark = pytest.mark.usefixtures("no_alternatives")

N = 150


def draw_customers(seed=0):
    """Draw the table of the guide, with gaps, and the segment of each customer."""
    rng = np.random.default_rng(seed)
    segment = rng.integers(3, size=N)
    age = rng.normal(np.array([30, 50, 65])[segment], 5).round()
    table = {
        "customer": [f"C{i:04d}" for i in range(N)],
        "age": np.where(rng.random(N) < 0.1, np.nan, age),
        "spend": rng.lognormal(np.array([5, 3, 4])[segment], 0.5).round(2),
        "orders": rng.poisson(np.array([9, 2, 4])[segment]),
        "plan": np.array(["basic", "plus", "pro"])[(segment + (rng.random(N) < 0.1)) % 3],
        "newsletter": rng.integers(2, size=N),
        "city": rng.choice(np.array(["Bonn", "Oslo", "Rome", None], dtype=object), N),
        "grade": pd.Categorical(rng.choice(["low", "high"], N), ["low", "high"], ordered=True),
    }
    return pd.DataFrame(table), segment


TABLE, SEGMENT = draw_customers()
KINDS = {
    "customer": "out",
    "age": "number",
    "spend": "skewed",
    "orders": "number",
    "plan": "category",
    "newsletter": "binary",
    "city": "category",
    "grade": "ordinal",
}
SMALL = {"hidden_layer_sizes": (16,), "random_state": 0}
BRIEF = {**SMALL, "init": SEGMENT}
GENERATORS = [
    *(own(3, n_components=2, **BRIEF) for own in (VAEEmbedding, VaDEClustering, DACClustering)),
    InfoGANClustering(3, **BRIEF),
]
OTHERS = [
    CatGANClustering(3, **BRIEF),
    NeighborClustering(3, random_state=0),
    CatGANClassifier(**SMALL, max_epochs=1),
    ClusterEnsemble([KMeans(3), NeighborClustering(3)], 2, random_state=0),
]
#: Two networks that generate stand for the four, in the quick tier.
QUICK = [*GENERATORS[1:4:2], OTHERS[1], *OTHERS[2:]]
SLOW = [*GENERATORS[:3:2], OTHERS[0]]
over_generators = pytest.mark.parametrize("estimator", [*QUICK[:2], *in_full(*SLOW[:2])], ids=name)
FITTED = {}


def fit(estimator):
    """Return a fit to the table, made once."""
    key = name(estimator)
    if key not in FITTED:
        with warnings.catch_warnings(action="ignore"):
            FITTED[key] = clone(estimator).fit(TABLE, SEGMENT)
    return FITTED[key]


@pytest.mark.parametrize("estimator", [*QUICK, *in_full(*SLOW)], ids=name)
def test_every_estimator_reads_the_same_columns(estimator):
    fitted = fit(estimator)
    assert fitted.preparation_.kinds_ == KINDS
    new = draw_customers(1)[0]
    labels = fitted.predict(new)
    assert set(labels) <= {0, 1, 2}
    other_names = new.assign(customer="somebody")
    np.testing.assert_array_equal(fitted.predict(other_names), labels)


@pytest.mark.parametrize("estimator", [*QUICK[:3], *in_full(*SLOW[:3])], ids=name)
def test_clusterers_find_the_segments(estimator):
    assert adjusted_rand_score(SEGMENT, fit(estimator).labels_) > 0.75


@over_generators
def test_samples_are_tables_of_the_user(estimator):
    fitted = fit(estimator)
    drawn, _ = fitted.sample(100)
    assert list(drawn) == list(TABLE)
    assert drawn["customer"].isna().all()
    types = [table.drop(columns="customer").dtypes for table in (drawn, TABLE)]
    pd.testing.assert_series_equal(*types)
    for column in ("plan", "newsletter", "city", "grade"):
        assert set(drawn[column]) <= set(TABLE[column].dropna())
    for column in ("age", "spend", "orders"):
        assert drawn[column].between(TABLE[column].min(), TABLE[column].max()).all()
    pd.testing.assert_frame_equal(fitted.sample(100)[0], drawn)


@over_generators
def test_samples_of_a_cluster_are_of_it(estimator):
    fitted = fit(estimator)
    for k in range(3):
        drawn, clusters = fitted.sample(60, cluster=k)
        np.testing.assert_array_equal(clusters, np.full(60, k))
        assert (fitted.predict(drawn) == k).mean() > 0.6
    with pytest.raises(ValueError, match="cluster"):
        fitted.sample(1, cluster=3)


@pytest.mark.parametrize("estimator", [GENERATORS[0], GENERATORS[-1]], ids=name)
def test_samples_of_one_hot_blocks_have_their_values(estimator):
    scaled = StandardScaler().fit_transform(pd.get_dummies(TABLE[["plan", "city"]], dtype=float))
    X = np.hstack([TABLE[["spend", "orders"]], scaled])
    with warnings.catch_warnings(action="ignore"):
        fitted = clone(estimator).fit(X)
    drawn, _ = fitted.sample(50)
    assert drawn.shape == (50, X.shape[1])
    for column in range(2, X.shape[1]):
        gaps = np.abs(drawn[:, column, None] - np.unique(X[:, column]))
        assert gaps.min(1).max() < 1e-9


# ---- mixtures


def test_mixtures_are_fitted_to_prepared_tables():
    mixture = GaussianMixtureEM(3, covariance_type="diag", reg_covar=0.05, random_state=0)
    pipeline = make_pipeline(Preparation(), mixture).fit(TABLE)
    assert adjusted_rand_score(SEGMENT, pipeline.predict(TABLE)) > 0.75
    with pytest.raises(ValueError, match="Column 'customer' of X is not numeric"):
        mixture.fit(TABLE)


# ---- ensembles, comparisons, numbers of clusters, reports


def test_members_get_what_compare_gives_clusterers():
    members = [KMeans(3, random_state=0), NeighborClustering(3, random_state=0)]
    ensemble = ClusterEnsemble(members, 2, random_state=0).fit(TABLE)
    prepared = Preparation().fit_transform(TABLE)
    first = ensemble.estimators_[0]
    np.testing.assert_array_equal(first.labels_, clone(first).fit(prepared).labels_)
    np.testing.assert_array_equal(ensemble.predict(TABLE), ensemble.labels_)
    found = compare(TABLE, [*members, ensemble, GaussianMixtureEM(3, random_state=0)])
    assert not found.errors
    plain = np.random.default_rng(0).normal(size=(60, 2))
    assert ClusterEnsemble(KMeans(2), 2).fit(plain).preparation_ is None


def test_numbers_of_clusters_are_chosen_for_tables():
    found = select_n_clusters(TABLE, NeighborClustering(random_state=0))
    assert found.best_n_clusters == 3
    assert found.best_estimator.preparation_.kinds_ == KINDS


def test_reports_show_the_shares_of_categories_that_kinds_names():
    table = TABLE.assign(shop=np.array([101, 205, 309])[SEGMENT])
    fitted = NeighborClustering(3, kinds={"shop": "category"}, random_state=0).fit(table)
    names = ClusterReport.from_estimator(fitted, table).feature_names
    assert {"shop_101", "shop_205", "shop_309"} <= set(names)
