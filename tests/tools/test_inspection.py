"""What clusters consist of: typical and doubtful rows, features, and the report of all."""

import io
import sys
import warnings
from html.parser import HTMLParser

import joblib
import numpy as np
import pandas as pd
import pytest
from estimators import CLASSIFIERS, ONE_OF_EACH, brief, hasty
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    ClusterEnsemble,
    GaussianMixtureEM,
    NeighborClustering,
    VaDEClustering,
    inspection,
)
from skdeepcluster.display import SamplesDisplay
from skdeepcluster.inspection import (
    ClusterReport,
    assignment_importance,
    compare_features,
    find_border_rows,
    find_medoids,
    find_runner_up,
    find_typical_rows,
)
from skdeepcluster.stability import cluster_stability

CENTERS = [[0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]]
X, Y = make_blobs(90, centers=CENTERS, random_state=0)
NAMES = ["length", "width", "height", "<weight>"]
FIT = GaussianMixtureEM(3, random_state=0).fit(X)
OVERLAP, _ = make_blobs(200, centers=[[0, 0], [3, 0], [0, 3]], random_state=0)


def report(estimator=FIT, rows=X, **options):
    return ClusterReport.from_estimator(estimator, rows, random_state=0, **options)


# ---- rows


def test_medoids_have_the_least_mean_distance_in_their_cluster():
    labels = np.where(np.arange(90) % 10 == 0, -1, Y * 2)  # some noise, and numbers without rows
    medoids = find_medoids(X, labels)
    assert medoids[[1, 3]].tolist() == [-1, -1]
    for k in (0, 2, 4):
        rows = np.flatnonzero(labels == k)
        assert medoids[k] == rows[pairwise_distances(X[rows]).sum(1).argmin()]
    np.testing.assert_array_equal(find_medoids(sparse.csr_array(X), labels), medoids)


def test_medoids_of_many_rows_are_found_among_all_by_distances_to_a_sample(monkeypatch):
    monkeypatch.setattr(inspection, "MEDOID_ROWS", 20)
    medoids = find_medoids(X, Y, random_state=0)
    np.testing.assert_array_equal(find_medoids(X, Y, random_state=0), medoids)
    for k in range(3):
        rows = np.flatnonzero(k == Y)
        means = pairwise_distances(X[rows]).mean(1)
        assert means[rows == medoids[k]] < np.quantile(means, 0.2)


def test_typical_rows_are_the_most_probable_and_then_the_nearest_to_the_mean():
    fit = GaussianMixtureEM(3, random_state=0).fit(OVERLAP)
    resp = fit.predict_proba(OVERLAP).round(2)
    for k, rows in enumerate(find_typical_rows(fit, OVERLAP, n_rows=7)):
        own = np.flatnonzero(fit.labels_ == k)
        others = np.setdiff1d(own, rows)
        assert set(rows) <= set(own)
        assert len(rows) == 7
        assert resp[rows, k].min() >= resp[others, k].max()
        distance = np.linalg.norm((OVERLAP - OVERLAP[own].mean(0)) / OVERLAP.std(0), axis=1)
        last, tied = (part[resp[part, k] == resp[rows, k].min()] for part in (rows, others))
        assert len(tied)
        assert distance[last].max() <= distance[tied].min()


def test_margins_are_differences_of_the_two_greatest_probabilities():
    fit = GaussianMixtureEM(3, random_state=0).fit(OVERLAP)
    resp = fit.predict_proba(OVERLAP)
    order = resp.argsort(axis=1)
    runner_up, margin = find_runner_up(fit, OVERLAP)
    np.testing.assert_array_equal(runner_up, order[:, -2])
    ranked = np.sort(resp, axis=1)
    np.testing.assert_allclose(margin, ranked[:, -1] - ranked[:, -2], atol=1e-12)


def test_margins_without_probabilities_are_those_of_the_distances():
    fit = KMeans(3, tol=0, random_state=0).fit(OVERLAP)
    nearest, second = np.sort(fit.transform(OVERLAP), axis=1)[:, :2].T
    runner_up, margin = find_runner_up(fit, OVERLAP)
    np.testing.assert_allclose(margin, 1 - nearest / second)
    np.testing.assert_array_equal(runner_up, fit.transform(OVERLAP).argsort(axis=1)[:, 1])


@pytest.mark.parametrize("estimator", [KMeans(1), GaussianMixtureEM(1)])
def test_one_cluster_has_no_runner_up(estimator):
    runner_up, margin = find_runner_up(estimator.fit(X), X)
    assert set(runner_up) == {-1}
    np.testing.assert_allclose(margin, 1)
    assert "runner-up" not in report(estimator, images=(2, 2)).to_text()


def test_clusters_without_rows_are_no_runner_up():
    fit = KMeans(3, random_state=0).fit(X)
    one = X[fit.labels_ == 0]
    runner_up, margin = find_runner_up(fit, one)
    assert set(runner_up) == {-1}
    np.testing.assert_array_equal(margin, 1)
    assert report(fit, one, images=(2, 2)).sizes.tolist() == [len(one), 0, 0]
    assert "runner-up" not in report(fit, one).to_text()


def test_a_row_between_clusters_is_the_nearest_to_a_border():
    rows = np.vstack([X, [[4.5, 0, 0, 0]]])
    for estimator in (KMeans(3, random_state=0), GaussianMixtureEM(3, random_state=0)):
        assert find_border_rows(estimator.fit(rows), rows, n_rows=1).tolist() == [90]


def test_noise_is_in_no_cluster():
    fit = NeighborClustering(3, noise=0.1, random_state=0).fit(X)
    noise = np.flatnonzero(fit.labels_ == -1)
    assert len(noise) == 9
    assert not set(noise) & set(find_border_rows(fit, X, n_rows=90))
    assert not set(noise) & set(np.concatenate(find_typical_rows(fit, X, n_rows=90)))
    found = report(fit)
    assert found.sizes.sum() == 81
    assert "9 of them noise" in str(found)


# ---- features


def test_standardised_differences_are_correlations_with_the_membership():
    for k, found in enumerate(compare_features(X, Y, n_features=None)):
        p = (k == Y).mean()
        names = [int(name.removeprefix("x")) for name in found.names]
        expected = np.corrcoef(np.column_stack([k == Y, X[:, names]]).T)[0, 1:]
        np.testing.assert_allclose(found.differences * np.sqrt(p * (1 - p)), expected)
        assert (np.diff(np.abs(found.differences)) <= 0).all()
        np.testing.assert_allclose(found.means, X[k == Y][:, names].mean(0))
        np.testing.assert_allclose(found.other_means, X[k != Y][:, names].mean(0))


def test_differences_depend_neither_on_units_nor_on_the_order_of_rows():
    one, order = compare_features(X, Y)[0], np.random.default_rng(0).permutation(90)
    for other in (
        compare_features(X * [1e-6, 1e3, 1, 7] + 5, Y),
        compare_features(X[order], Y[order]),
    ):
        np.testing.assert_allclose(other[0].differences, one.differences, rtol=1e-6)
        np.testing.assert_array_equal(other[0].names, one.names)


def test_sparse_rows_are_told_apart_by_what_they_have_more_of():
    counts = np.random.default_rng(0).poisson(1, (60, 8)).astype(float)
    counts[:30, 3] += 4
    labels = np.repeat([0, 1], 30)
    dense = compare_features(counts, labels, n_features=None)
    for k, found in enumerate(
        compare_features(sparse.csr_matrix(counts), labels, n_features=None)
    ):
        kept = dense[k].differences > 0
        np.testing.assert_array_equal(found.names, dense[k].names[kept])
        np.testing.assert_allclose(found.differences, dense[k].differences[kept])
    assert dense[0].names[0] == dense[1].names[0] == "x3"
    assert found.names[0] != "x3"


def test_constant_features_set_nothing_apart():
    rows = np.column_stack([X, np.full(90, 0.1), np.full(90, 1e9)])
    for found in compare_features(rows, Y, n_features=None):
        assert not {"x4", "x5"} & set(found.names)
    assert len(compare_features(X, np.zeros(90, dtype=int))[0].names) == 0


def test_names_are_those_given_or_those_of_the_columns():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=NAMES)
    assert compare_features(frame, Y)[1].names[0] == "length"
    assert compare_features(frame, Y, feature_names=list("abcd"))[2].names[0] == "b"
    fit = KMeans(3, random_state=0).fit(frame)
    assert report(fit, frame, importance=True).feature_names.tolist() == NAMES


def test_importance_is_the_share_of_rows_that_change_cluster():
    rows = np.column_stack([np.repeat([0.0, 9.0], 50), np.linspace(0, 1, 100)])
    fit = KMeans(2, random_state=0).fit(rows)
    importance = assignment_importance(fit, rows, n_repeats=50, random_state=0)
    assert importance[1] == 0
    # A permutation gives a row the value of the other half with probability 50 / 100.
    assert importance[0] == pytest.approx(0.5, abs=0.03)
    again = assignment_importance(fit, rows, n_repeats=50, random_state=0)
    np.testing.assert_array_equal(importance, again)


# ---- the report

CLUSTERERS = [
    *map(brief, ONE_OF_EACH),
    ClusterEnsemble(KMeans(3), n_estimators=2, random_state=0),
    KMeans(3, random_state=0),
    AgglomerativeClustering(3),
    GaussianMixture(3, random_state=0),
    DBSCAN(eps=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", CLUSTERERS, ids=lambda estimator: type(estimator).__name__)
def test_every_clusterer_is_described(estimator):
    with hasty():
        fit = clone(estimator).fit(X)
    found = report(fit, images=(2, 2), feature_names=NAMES)
    labels = fit.labels_ if hasattr(fit, "labels_") else fit.predict(X)
    np.testing.assert_array_equal(found.labels, labels)
    n_clusters = len(found.clusters)
    assert all(len(found[name]) == n_clusters for name in ("sizes", "medoids", "pictures"))
    assert all(len(found[name]) == n_clusters for name in ("features", "border_rows"))
    for k, rows in enumerate(found.typical_rows):
        assert (labels[rows] == k).all()
        assert found.sizes[k] == 0 or labels[found.medoids[k]] == k
    assert (found.drawn is not None) == (
        hasattr(fit, "sample") or hasattr(fit, "cluster_centers_")
    )
    assert found.drawn is None or all(rows.shape[1] == 4 for rows in found.drawn)
    assert (found.probabilities is not None) == hasattr(fit, "predict_proba")
    assert str(found) == str(report(fit, feature_names=NAMES))
    assert f"cluster {n_clusters - 1}" in str(found)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_clusters_of_a_classifier_are_its_classes():
    classes = np.array(["ant", "bee", "cat"])
    with hasty():
        fit = brief(CLASSIFIERS[0]).fit(X, classes[Y])
    found = report(fit)
    np.testing.assert_array_equal(found.clusters, classes)
    np.testing.assert_array_equal(found.clusters[found.labels], fit.predict(X))
    assert "cluster bee" in str(found)
    with pytest.raises(ValueError, match="CatGANClassifier is a classifier"):
        report(fit, stability=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_that_a_classifier_draws_need_no_names():
    frame = pd.DataFrame(X, columns=NAMES)
    with hasty():
        fit = brief(CLASSIFIERS[0]).fit(frame, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ClusterReport.from_estimator(fit, frame).drawn) == 3


def test_networks_draw_rows_of_every_cluster_where_the_number_is_found():
    with hasty():
        auto = brief(VaDEClustering("auto", hidden_layer_sizes=(8,), random_state=0)).fit(X)
        named = brief(CatGANClassifier(hidden_layer_sizes=(8,), random_state=0)).fit(X, Y)
    assert [len(rows) for rows in report(auto, n_rows=4).drawn] == [4] * auto.n_clusters_
    assert SamplesDisplay.from_estimator(auto).samples.shape == (10 * auto.n_clusters_, 4)
    assert SamplesDisplay.from_estimator(named).samples.shape == (30, 4)
    blind = CatGANClustering(3, hidden_layer_sizes=(8,), random_state=0)  # clusters are not drawn
    with hasty():
        blind = brief(blind).fit(X)
    for k, rows in enumerate(report(blind, n_rows=2).drawn):
        assert len(rows) <= 2
        assert not len(rows) or (blind.predict(rows) == k).all()


def test_pictures_show_the_rows():
    image = pytest.importorskip("matplotlib.image")
    found = report(images=(2, 2))
    low, high = X.min(), X.max()
    for k, medoid in enumerate(found.medoids):
        drawn = image.imread(io.BytesIO(found.pictures[k]["medoid"]))
        expected = 1 - (X[medoid].reshape(2, 2) - low) / (high - low)
        zoom = len(drawn) // 2
        np.testing.assert_allclose(drawn[::zoom, ::zoom, 0], expected, atol=0.01)
    wide = np.tile(X, 3)
    colored = report(KMeans(3, random_state=0).fit(wide), wide, images=(3, 2, 2))
    assert set(colored.pictures[0]) == {
        *("medoid", "typical rows", "nearest to a border", "drawn rows")
    }
    # Values up to 255 are so in all pictures, the dark ones included.
    lights = np.repeat([1.0, 2.0, 200.0, 201.0], 12).reshape(4, 12)
    fit = KMeans(2, init=lights[[0, 3]], n_init=1).fit(lights)
    pictures = report(fit, lights, images=(2, 2, 3)).pictures
    drawn = [image.imread(io.BytesIO(own["medoid"]))[..., :3].max() for own in pictures]
    assert drawn[0] == pytest.approx(1 / 255, abs=0.5 / 255)
    assert drawn[1] > 0.7


class _Page(HTMLParser):
    """Counts tags, and checks that they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.sources.append(dict(attrs)["src"])
            assert dict(attrs)["alt"]
        elif tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_holds_its_pictures(tmp_path):
    names = [f"row & <b{i}>" for i in range(90)]
    found = report(images=(2, 2), feature_names=NAMES, row_names=names, importance=True)
    text = found.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text
    page = _Page(text)
    assert not page.open
    assert len(page.sources) == 15  # medoid, typical, border, drawn and difference of three
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "<weight>" in page.text
    assert names[found.medoids[0]] in page.text
    assert found._repr_html_() in text


def test_stability_is_told_if_asked_for_or_known():
    fit = KMeans(3, random_state=0).fit(X)
    assert report(fit).stability is None
    np.testing.assert_allclose(report(fit, stability=True).stability, 1)
    ensemble = ClusterEnsemble(KMeans(3), n_estimators=3, random_state=0).fit(X)
    np.testing.assert_array_equal(report(ensemble).stability, ensemble.cluster_stability_)
    start = NeighborClustering(3, random_state=0).fit(X)
    assert report(start).stability is None
    assert "_stability" not in vars(start)  # ten fits, made when it is first read


def test_equal_states_give_equal_reports():
    fit = KMeans(4, random_state=0).fit(OVERLAP)
    one, other = (report(fit, OVERLAP, stability=True, importance=True) for _ in range(2))
    assert str(one) == str(other)
    assert one.to_html() == other.to_html()


def test_sixty_clusters_of_which_some_are_empty():
    rows = np.random.default_rng(0).normal(size=(300, 4))
    fit = KMeans(60, n_init=1, random_state=0).fit(rows)
    found = report(fit, rows[~np.isin(fit.labels_, [7, 59])], stability=True)
    assert len(found.clusters) == len(found.stability) == 60
    np.testing.assert_array_equal(np.flatnonzero(found.sizes == 0), [7, 59])
    np.testing.assert_array_equal(np.flatnonzero(found.medoids == -1), [7, 59])
    assert str(found).endswith("cluster 59: 0 rows (0.0%)")
    assert len(found.features[59].names) == 0


def test_sparse_rows_and_rows_given_as_a_list():
    fit = KMeans(3, random_state=0).fit(sparse.csr_matrix(X))
    found = report(fit, sparse.csr_matrix(X), feature_names=NAMES, images=(2, 2))
    np.testing.assert_array_equal(found.medoids, report(fit).medoids)
    assert str(report(FIT, X.tolist())) == str(report())


def test_distances_have_no_features():
    distances = pairwise_distances(X)
    fit = NeighborClustering(3, metric="precomputed", random_state=0).fit(distances)
    found = report(fit, distances)
    assert found.features == []
    assert "set apart by" not in str(found)
    with pytest.raises(ValueError, match="fitted to distances"):
        report(fit, distances, importance=True)
    tree = AgglomerativeClustering(3, metric="precomputed", linkage="average").fit(distances)
    assert report(tree, distances).features == []


# ---- errors


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (FIT, {"row_names": ["a", "b"]}, "inconsistent numbers of samples"),
        (FIT, {"images": (3, 3)}, r"\(3, 3\) does not fit rows of 4 features"),
        (FIT, {"n_rows": 0}, "n_rows == 0, must be >= 1"),
        (FIT, {"n_features": 0}, "n_features == 0, must be >= 1"),
        (PCA(2).fit(X), {}, "PCA has neither predict nor labels_"),
        (NearestNeighbors().fit(X), {}, "has neither predict nor labels_"),
        (DBSCAN(eps=1e-6).fit(X), {}, "noise only"),
        (AgglomerativeClustering(3).fit(X), {"importance": True}, "needs predict"),
    ],
)
def test_what_does_not_fit_is_refused(estimator, options, message):
    with pytest.raises(ValueError, match=message):
        report(estimator, **options)


def test_a_pipeline_has_the_name_of_its_last_step():
    pipeline = make_pipeline(StandardScaler(), KMeans(3, random_state=0)).fit(X)
    assert report(pipeline).to_text().startswith("KMeans")


def test_errors_of_the_functions():
    with pytest.raises(NotFittedError):
        report(KMeans(3))
    with pytest.raises(NotFittedError):
        assignment_importance(KMeans(3), X)
    with pytest.raises(ValueError, match="needs dense rows"):
        assignment_importance(FIT, sparse.csr_array(X))
    with pytest.raises(ValueError, match="number of a cluster for each row"):
        compare_features(X, Y[:5])
    with pytest.raises(ValueError, match="number of a cluster for each row"):
        find_medoids(X, Y.astype(str))
    with pytest.raises(ValueError, match="of a Pipeline"):
        compare_features([["north"], ["south"]], [0, 1])


def test_matplotlib_is_needed_for_pictures_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    report().to_html()


def test_stability_is_that_of_the_function():
    fit = KMeans(4, n_init=1, random_state=0).fit(OVERLAP)
    found = report(fit, OVERLAP, stability=True).stability
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    np.testing.assert_array_equal(found, cluster_stability(fit, OVERLAP, random_state=seed))


def test_numpys_stream_is_left_alone_without_a_seed():
    rows = make_blobs(4_500, centers=2, random_state=0)[0]
    fit = KMeans(2, n_init=1, random_state=0).fit(rows)
    before = joblib.hash(np.random.get_state())
    find_medoids(rows, fit.labels_)
    assignment_importance(fit, rows[:50], n_repeats=1)
    cluster_stability(fit, rows[:50], fit.labels_[:50], n_resamples=2)
    ClusterReport.from_estimator(fit, rows[:50])
    assert joblib.hash(np.random.get_state()) == before
