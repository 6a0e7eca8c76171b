"""Whoever asks for the number of clusters of X gets one answer."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from common import in_full
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.pipeline import make_pipeline

from skdeepcluster import (
    GaussianMixtureEM,
    NeighborClustering,
    VaDEClustering,
    compare,
    select_n_clusters,
)
from skdeepcluster.input import Preparation
from skdeepcluster.metrics import expected_score

SHORT = {"hidden_layer_sizes": (8,), "max_epochs": 1, "pretraining_epochs": 1}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def text_table():
    """Return two groups of 40 samples that differ in a number and in a text."""
    stream = np.random.RandomState(0)
    group = np.arange(80) % 2
    city = np.where(stream.uniform(size=80) < 0.9, group, 1 - group)
    size = 50 * group + stream.normal(size=80)
    return pd.DataFrame(
        {
            "size": size,
            "weight": 1000 * size + 900 * stream.normal(size=80),
            "city": np.array(["Bern", "Rome"])[city],
        }
    )


def with_gaps():
    """Return iris with one value in twenty missing."""
    X = load_iris().data.copy()
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.05] = np.nan
    return X


#: Every estimator searches by itself: of two tables, a share of the samples is enough.
TABLES = {
    "wine": load_wine().data[::2],
    "texts": text_table(),
    "gaps": with_gaps()[::2],
    "breast_cancer": load_breast_cancer().data[::5],
    "iris": load_iris().data,
}
over_tables = pytest.mark.parametrize(
    "name", ["wine", "texts", "gaps", *in_full("breast_cancer", "iris")]
)


@cache
def fit_auto(name):
    """Return a NeighborClustering of a table that has chosen the number."""
    return NeighborClustering("auto", random_state=0).fit(TABLES[name])


@over_tables
def test_all_agree_on_the_number_of_clusters(name):
    X = TABLES[name]
    numbers = {
        "NeighborClustering": fit_auto(name).n_clusters_,
        "network": VaDEClustering("auto", random_state=0, **SHORT).fit(X).n_clusters_,
        "own": VaDEClustering("auto", init="own", random_state=0, **SHORT).fit(X).n_clusters_,
        "select_n_clusters": select_n_clusters(X).best_n_clusters,
    }
    if name != "texts":  # mixtures read numbers without gaps
        filled = Preparation().fit_transform(X) if name == "gaps" else X
        numbers["mixture"] = GaussianMixtureEM("auto", random_state=0).fit(filled).n_clusters_
    assert set(numbers.values()) == {numbers["NeighborClustering"]}, numbers


@over_tables
def test_scores_of_partitions_agree_with_the_fit(name):
    X = TABLES[name]
    fits = [NeighborClustering(k, random_state=0).fit(X) for k in range(1, 5)]
    scores = expected_score(X, [fit.labels_ for fit in fits])
    np.testing.assert_allclose(scores, [fit.expected_score_ for fit in fits], atol=0.02)
    chosen = fit_auto(name).n_clusters_
    # Stability decides among scores that are about equal.
    assert scores[chosen - 1] >= scores.max() - 0.08


def test_comparisons_and_scores_see_the_same_samples():
    X = load_wine().data
    found = compare(X, [KMeans(3, random_state=0)])
    points = Preparation().fit_transform(X)
    labels = KMeans(3, random_state=0).fit_predict(points)
    np.testing.assert_array_equal(found.labels["KMeans"], labels)
    assert found.results["expected_score"][0] == expected_score(X, labels)
    as_is = compare(X, [make_pipeline("passthrough", KMeans(3, random_state=0))])
    assert as_is.results["expected_score"] < found.results["expected_score"]
