"""What clusters consist of: typical samples, features, and the report."""

import re

import joblib
import numpy as np
import pandas as pd
import pytest
from common import ONE_OF_EACH, brief
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM, NeighborClustering
from skdeepcluster.inspection import ClusterReport, compare_features, find_medoids

CENTERS = [[0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]]
X, Y = make_blobs(90, centers=CENTERS, random_state=0)
NAMES = ["length", "width", "height", "<weight>"]
FIT = GaussianMixtureEM(3, random_state=0).fit(X)


def report(estimator=FIT, samples=X, **options):
    return ClusterReport.from_estimator(estimator, samples, random_state=0, **options)


# ---- samples


def test_medoids_have_the_least_mean_distance_in_their_cluster():
    labels = np.where(np.arange(90) % 10 == 0, -1, Y * 2)  # some noise, and empty clusters
    medoids = find_medoids(X, labels)
    assert medoids[[1, 3]].tolist() == [-1, -1]
    for k in (0, 2, 4):
        rows = np.flatnonzero(labels == k)
        assert medoids[k] == rows[pairwise_distances(X[rows]).sum(1).argmin()]
    np.testing.assert_array_equal(find_medoids(sparse.csr_array(X), labels), medoids)


# ---- features


def test_differences_are_correlations_with_membership():
    for k, found in enumerate(compare_features(X, Y, n_features=None)):
        p = (k == Y).mean()
        names = [int(name.removeprefix("x")) for name in found.names]
        expected = np.corrcoef(np.column_stack([k == Y, X[:, names]]).T)[0, 1:]
        np.testing.assert_allclose(found.differences * np.sqrt(p * (1 - p)), expected)
        assert (np.diff(np.abs(found.differences)) <= 0).all()
        np.testing.assert_allclose(found.means, X[k == Y][:, names].mean(0))
        np.testing.assert_allclose(found.other_means, X[k != Y][:, names].mean(0))


def test_sparse_samples_are_set_apart_by_greater_values():
    counts = np.random.default_rng(0).poisson(0.2, (60, 8)).astype(float)
    counts[:30, 3] += 4
    labels = np.repeat([0, 1], 30)
    dense = compare_features(counts, labels, n_features=None)
    found = compare_features(sparse.csr_matrix(counts), labels, n_features=None)
    for one, other in zip(found, dense, strict=True):
        kept = other.differences > 0
        np.testing.assert_array_equal(one.names, other.names[kept])
        np.testing.assert_allclose(one.differences, other.differences[kept])
    assert found[0].names[0] == dense[1].names[0] == "x3"


# ---- the report


@pytest.mark.parametrize("between", [3.5, 9])
def test_title_says_which_numbers_are_about_as_likely(between):
    rng = np.random.default_rng(0)
    centers = np.repeat([0, between, between + 9], 50)[:, None]
    samples = centers + rng.standard_normal((150, 2))
    fit = NeighborClustering("auto", random_state=0).fit(samples)
    curve = fit.n_clusters_curve_
    np.testing.assert_array_equal(curve.is_likely, curve.evidence >= curve.evidence.max() - 0.05)
    numbers = curve.n_clusters[curve.is_likely]
    assert (len(numbers) > 1) == (between < 9)
    sentence = f"({numbers.min()} to {numbers.max()} are about as likely)"
    page = report(fit, samples).to_html()
    assert (sentence in page) == (len(numbers) > 1)


CLUSTERERS = [
    *map(brief, ONE_OF_EACH[1:4:2]),
    ClusterEnsemble(KMeans(3), n_estimators=2, random_state=0),
    AgglomerativeClustering(3),
    DBSCAN(eps=2),
    make_pipeline(StandardScaler(), KMeans(3, random_state=0)),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", CLUSTERERS, ids=lambda estimator: type(estimator).__name__)
def test_every_clusterer_is_described(estimator):
    fit = clone(estimator).fit(X)
    found = report(fit, feature_names=NAMES, n_rows=7)
    labels = fit[-1].labels_ if hasattr(fit, "steps") else fit.labels_
    np.testing.assert_array_equal(found.labels, labels)
    for k, rows in enumerate(found.typical_rows):
        own = np.flatnonzero(labels == k)
        assert found.sizes[k] == len(own)
        assert set(rows) <= set(own)
        if len(own):
            assert rows[0] == found.medoids[k]
            gaps = np.linalg.norm(found.embedding - found.embedding[rows[0]], axis=1)
            np.testing.assert_allclose(np.sort(gaps[own])[:7], gaps[rows])
    assert (found.probabilities is not None) == hasattr(fit, "predict_proba")
    assert f"cluster {len(found.clusters) - 1}" in str(found)


def test_a_cluster_without_samples_is_described():
    fit = KMeans(3, random_state=0).fit(X)
    found = report(fit, X[fit.labels_ == 1])
    assert found.sizes.tolist() == [0, 30]
    assert found.medoids[0] == -1
    assert not len(found.features[1].names)
    assert "<img" in found.to_html()


def test_noise_is_in_no_cluster():
    fit = NeighborClustering(3, contamination=0.1, random_state=0).fit(X)
    found = report(fit, n_rows=90)
    noise = np.flatnonzero(fit.labels_ == -1)
    assert not set(noise) & set(np.concatenate(found.typical_rows))
    assert found.sizes.sum() == 81
    assert "9 samples in none" in str(found)
    assert "<img" in found.to_html()


def test_the_page_has_the_text_escaped(tmp_path):
    names = [f"sample & <b{i}> `$x`" for i in range(90)]
    found = report(feature_names=NAMES, row_names=names)
    found.clusters = ["<i>", "middle", "far"]
    page = found.to_html()
    assert found.to_html(tmp_path / "report.html") is None
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page == found._repr_html_()
    assert f"sample &amp; &lt;b{found.medoids[0]}&gt; `$x`" in page
    assert "&lt;weight&gt;" in page
    assert not re.search("<b|<i>|<weight>|https?:", page.replace("<body>", ""))
    assert page.count("<tr>") == page.count("</tr>") == 4


def test_sparse_samples_and_distances_are_described():
    rows = sparse.csr_matrix(np.eye(3)[Y])
    fit = KMeans(3, random_state=0).fit(rows)
    assert [len(own.names) for own in report(fit, rows).features] == [1, 1, 1]
    distances = pairwise_distances(X)
    fit = NeighborClustering(3, metric="precomputed", random_state=0).fit(distances)
    found = report(fit, distances)
    assert found.features == []
    assert "set apart by" not in str(found)
    assert list(found.to_frame()) == ["samples", "probability"]
    assert "<img" in found.to_html()


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (FIT, {"row_names": ["a", "b"]}, "inconsistent numbers of samples"),
        (FIT, {"feature_names": ["a", "b"]}, "input_features should have length equal"),
        (PCA(2).fit(X), {}, "PCA has no predict"),
        (DBSCAN(eps=1e-6).fit(X), {}, "finds no cluster"),
    ],
)
def test_what_does_not_fit_is_refused(estimator, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        report(estimator, **options)


def test_errors_about_estimators_and_labels():
    with pytest.raises(NotFittedError):
        report(KMeans(3))
    with pytest.raises(ValueError, match="cluster label for each sample"):
        compare_features(X, Y[:5])
    with pytest.raises(ValueError, match="labels has '0' for sample 0"):
        find_medoids(X, Y.astype(str))


def test_numpys_random_stream_is_left_alone_without_a_seed():
    samples = make_blobs(4_500, centers=2, random_state=0)[0]
    fit = KMeans(2, n_init=1, random_state=0).fit(samples)
    before = joblib.hash(np.random.get_state())
    find_medoids(samples, fit.labels_)
    ClusterReport.from_estimator(fit, samples)
    assert joblib.hash(np.random.get_state()) == before


def make_customers():
    """Three groups of customers: numbers, a category, a flag, identifiers, some gaps."""
    draws = np.random.RandomState(0)
    group = np.arange(300) % 3
    table = pd.DataFrame(
        {
            "age": np.array([30.0, 50, 70])[group] + draws.normal(0, 3, 300),
            "orders": draws.poisson(np.array([2, 30, 4])[group]),
            "channel": np.array(["app", "web", "shop"])[group],
            "newsletter": group == 2,
            "customer": [f"C{i:03d}" for i in range(300)],
        }
    )
    table.loc[::11, "age"] = np.nan
    return table, group


CUSTOMERS, GROUP = make_customers()


def test_a_table_is_described_in_its_own_units():
    table = CUSTOMERS.assign(joined=pd.to_datetime("2021-03-01") + pd.to_timedelta(GROUP, "D"))
    fit = NeighborClustering(3, random_state=0).fit(table)
    found = report(fit, table)
    frame = found.to_frame()
    groups = table.groupby(fit.labels_)
    np.testing.assert_array_equal(frame["samples"], groups.size())
    np.testing.assert_allclose(frame[["age", "orders"]], groups[["age", "orders"]].mean())
    np.testing.assert_allclose(
        frame["channel_app"], groups["channel"].agg(lambda c: (c == "app").mean())
    )
    np.testing.assert_allclose(frame["joined"], GROUP[found.medoids])
    assert not any("customer" in name for name in frame)
    for k, own in enumerate(compare_features(table, fit.labels_)):
        np.testing.assert_array_equal(own.names, found.features[k].names)
        np.testing.assert_allclose(own.means, frame.loc[k, own.names].astype(float))


def test_frames_of_polars_are_described_as_those_of_pandas():
    polars = pytest.importorskip("polars")
    columns = {name: CUSTOMERS[name].tolist() for name in CUSTOMERS}
    table = polars.DataFrame(columns, strict=False)
    fit = NeighborClustering(3, random_state=0).fit(CUSTOMERS)
    assert str(report(fit, table)) == str(report(fit, CUSTOMERS))
    with config_context(transform_output="pandas"):
        assert str(report(fit, CUSTOMERS)) == str(report(fit, table))
        assert report(KMeans(3, random_state=0).fit(X)).medoids.min() >= 0
