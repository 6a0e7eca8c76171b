"""compare: fits as by hand, ranked by the expected score, as a text, a table and a page."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.datasets import make_moons
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skdeepcluster.comparison
from skdeepcluster import NeighborClustering, compare
from skdeepcluster.input import Preparation
from skdeepcluster.metrics import ExpectedScore, clustering_accuracy, expected_score
from skdeepcluster.model_selection import NoSplit, label_free_scorer

X, Y = make_moons(120, noise=0.05, random_state=0)
MOONS = NeighborClustering(2, random_state=0)
HALVES = KMeans(2, n_init=1, random_state=0)
NOISY = DBSCAN(eps=0.12)


class Broken(KMeans):
    """A clusterer whose fit fails."""

    def fit_predict(self, X, y=None):
        raise RuntimeError("out of <luck>")


class Unreadable(KMeans):
    """A clusterer that marks some samples by -2, as HDBSCAN marks infinite ones."""

    def fit_predict(self, X, y=None):
        labels = super().fit_predict(X)
        labels[:9] = -2
        return labels


@pytest.fixture(scope="module")
def found():
    """Halves, noisy clusters and moons, compared."""
    return compare(X, [HALVES, NOISY, MOONS], Y)


@pytest.fixture(scope="module")
def table():
    """Two groups with a category and a gap."""
    rng = np.random.default_rng(0)
    group = np.arange(80) % 2
    columns = {
        "age": rng.normal(size=80) + 9 * group,
        "spend": rng.normal(size=80) * 4 + 90 * group,
        "place": np.where(group, "x", "y"),
    }
    frame = pd.DataFrame(columns)
    frame.iloc[3, 0] = np.nan
    return frame


def test_labels_and_scores_are_those_by_hand_best_first(found):
    hand = {"KMeans": HALVES, "DBSCAN": NOISY, "NeighborClustering": MOONS}
    assert sorted(found.names) == sorted(hand)
    for name, clusterer in hand.items():
        np.testing.assert_array_equal(found.labels[name], clusterer.fit_predict(X))
        np.testing.assert_array_equal(found.estimators[name].labels_, found.labels[name])
        assert found.estimators[name] is not clusterer
    results = found.results
    scores = expected_score(X, [found.labels[name] for name in found.names])
    np.testing.assert_array_equal(results["expected_score"], scores)
    assert (np.diff(scores) <= 0).all()
    assert found.names[0] == "NeighborClustering"
    for i, name in enumerate(found.names):
        own = found.labels[name]
        assert results["ACC"][i] == clustering_accuracy(Y, own)
        assert results["ARI"][i] == adjusted_rand_score(Y, own)
        assert results["clusters"][i] == own.max() + 1
        assert results["noise"][i] == np.mean(own == -1)
        best = found.labels["NeighborClustering"]
        assert results["agreement"][i] == adjusted_rand_score(best, own)
    assert (results["seconds"] > 0).all()


def test_the_text_is_a_table(found):
    lines = str(found).splitlines()
    assert lines[0].split()[:2] == ["clusterer", "expected_score"]
    assert [line.split()[0] for line in lines[1:]] == found.names
    assert len(set(map(len, lines))) == 1
    frame = found.to_frame()
    assert frame.index.tolist() == found.names
    assert frame.loc["KMeans", "clusters"] == 2


def test_unknown_scores_come_last(monkeypatch):
    scores = np.array([np.nan, 0.2, 0.9])

    class Given(ExpectedScore):
        def __call__(self, labels):
            return scores[: len(labels)]

    monkeypatch.setattr(skdeepcluster.comparison, "ExpectedScore", Given)
    found = compare(X, [NOISY, HALVES, MOONS])
    assert found.names == ["NeighborClustering", "KMeans", "DBSCAN"]
    assert re.search(r"DBSCAN +nan ", str(found))


def test_any_clusterer_is_named_and_compared():
    grid = {"n_clusters": [2, 3]}
    search = GridSearchCV(HALVES, grid, scoring=label_free_scorer(), cv=NoSplit())
    pipeline = make_pipeline(StandardScaler(), HALVES)
    tried = [HALVES, KMeans(3), GaussianMixture(2), search, pipeline]
    found = compare(X.tolist(), tried)
    names = {"KMeans", "KMeans 2", "GaussianMixture", "GridSearchCV", "Pipeline"}
    assert set(found.labels) == names
    wide = sparse.csr_matrix(np.hstack([X, np.zeros((len(X), 8))]))
    named = compare(wide, {"two": HALVES}, metric="cosine")
    assert named.names == ["two"]
    assert not {"ACC", "ARI"} & set(named.results)
    assert "<img" in named.to_html()


def test_distances_are_compared_as_distances():
    options = {"metric": "precomputed"}
    distances = pairwise_distances(X)
    tried = [AgglomerativeClustering(2, linkage="single", **options), DBSCAN(eps=0.2, **options)]
    found = compare(distances, tried)
    scores = expected_score(distances, list(found.labels.values()), **options)
    np.testing.assert_array_equal(found.results["expected_score"], scores)
    assert "<img" in found.to_html()


def test_a_table_goes_unchanged_to_those_that_read_it(table):
    encoder = make_pipeline(OneHotEncoder(), HALVES)
    found = compare(table, [HALVES, MOONS, encoder])
    prepared = Preparation().fit_transform(table)
    np.testing.assert_array_equal(found.labels["KMeans"], HALVES.fit_predict(prepared))
    np.testing.assert_array_equal(found.labels["NeighborClustering"], MOONS.fit_predict(table))
    np.testing.assert_array_equal(found.labels["Pipeline"], encoder.fit_predict(table))


def test_a_failing_clusterer_does_not_stop_the_others():
    with pytest.warns(FitFailedWarning, match="Broken failed: RuntimeError: out of <luck>"):
        found = compare(X, [Broken(), HALVES])
    assert found.names == ["KMeans"]
    assert found.errors == {"Broken": "RuntimeError: out of <luck>"}
    with (
        pytest.warns(FitFailedWarning),
        pytest.raises(ValueError, match="No clusterer could be fitted.*luck"),
    ):
        compare(X, [Broken()])


class Spoiler(KMeans):
    """A clusterer that writes to its samples."""

    def fit_predict(self, X, y=None):
        labels = super().fit_predict(X)
        X[:] = 0
        return labels


def test_no_clusterer_spoils_the_samples_of_others():
    rows = X.copy()
    found = compare(rows, {"first": Spoiler(2, random_state=0), "ours": MOONS})
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(found.labels["ours"], MOONS.fit_predict(X))
    distances = pairwise_distances(X)
    compare(distances, [HDBSCAN(metric="precomputed", copy=False)])
    np.testing.assert_array_equal(distances, pairwise_distances(X))


def test_labels_below_minus_one_are_noise():
    found = compare(X, {"some": Unreadable(2, random_state=0)})
    np.testing.assert_array_equal(np.flatnonzero(found.labels["some"] == -1), np.arange(9))
    assert found.results["noise"][0] == pytest.approx(9 / 120)


def test_the_page_has_the_table_escaped(tmp_path):
    tried = {"<b>ours": MOONS, "halves & `x`": HALVES, "noisy": NOISY}
    found = compare(X, tried, np.where(Y, "up", "down"))
    page = found.to_html()
    assert found.to_html(tmp_path / "page.html") is None
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page == found._repr_html_()
    assert "<td>&lt;b&gt;ours</td>" in page
    assert "<td>halves &amp; `x`</td>" in page
    assert page.count("<tr>") == 4


def test_noise_alone_is_compared():
    found = compare(X, [DBSCAN(eps=1e-9), MOONS])
    assert found.results["clusters"].tolist() == [2, 0]
    assert found.results["noise"].tolist() == [0, 1]
    assert "<img" in found.to_html()
    assert "<img" in compare(X, [DBSCAN(eps=1e-9)]).to_html()


@pytest.mark.parametrize(
    ("clusterers", "options", "message"),
    [
        ([], {}, "clusterers must be a list or a dict of at least one .* got {}"),
        (HALVES, {}, "clusterers must be a list"),
        ([KMeans], {}, "provide an instance"),
        (["KMeans"], {}, "does not seem to be a scikit-learn estimator"),
        ([SpectralClustering(affinity="precomputed")], {}, "takes similarities, but features"),
        ([HALVES], {"y": [0, 1]}, "inconsistent numbers of samples"),
        ([HALVES], {"y": X[:, 0]}, "y must hold integers or strings"),
        ([HALVES], {"metrics": "cosine"}, "unexpected keyword argument 'metrics'"),
        ([HALVES], {"metric": "cosin"}, "cosin"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_fits(clusterers, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare(X, clusterers, **options)
