"""What clusters consist of: typical and doubtful samples, features, and the report."""

import io
import re
from html.parser import HTMLParser

import joblib
import numpy as np
import pandas as pd
import pytest
from common import CLASSIFIERS, ONE_OF_EACH, brief
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM, NeighborClustering
from skdeepcluster.inspection import ClusterReport, compare_features, find_medoids
from skdeepcluster.stability import cluster_stability

CENTERS = [[0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]]
X, Y = make_blobs(90, centers=CENTERS, random_state=0)
NAMES = ["length", "width", "height", "<weight>"]
FIT = GaussianMixtureEM(3, random_state=0).fit(X)
OVERLAP, _ = make_blobs(200, centers=[[0, 0], [3, 0], [0, 3]], random_state=0)
MIXTURE = GaussianMixtureEM(3, random_state=0).fit(OVERLAP)


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


def test_typical_samples_are_the_nearest_to_the_medoid():
    standardized = OVERLAP / OVERLAP.std(0)
    found = report(MIXTURE, OVERLAP, n_rows=7)
    for k, rows in enumerate(found.typical_rows):
        own = np.flatnonzero(MIXTURE.labels_ == k)
        assert set(rows) <= set(own) - {found.medoids[k]}
        assert len(rows) == 7
        gaps = np.linalg.norm(standardized - standardized[found.medoids[k]], axis=1)
        assert gaps[rows].max() <= gaps[np.setdiff1d(own, [*rows, found.medoids[k]])].min()


def test_margins_are_differences_of_probabilities():
    resp = MIXTURE.predict_proba(OVERLAP)
    found = report(MIXTURE, OVERLAP)
    np.testing.assert_array_equal(found.runner_up, resp.argsort(axis=1)[:, -2])
    ranked = np.sort(resp, axis=1)
    np.testing.assert_allclose(found.margin, ranked[:, -1] - ranked[:, -2], atol=1e-12)
    for k, rows in enumerate(found.border_rows):
        own = np.flatnonzero(MIXTURE.labels_ == k)
        np.testing.assert_array_equal(np.sort(found.margin[own])[:5], found.margin[rows])


def test_margins_without_probabilities_are_of_distances():
    fit = KMeans(3, tol=0, random_state=0).fit(OVERLAP)
    nearest, second = np.sort(fit.transform(OVERLAP), axis=1)[:, :2].T
    found = report(fit, OVERLAP)
    np.testing.assert_allclose(found.margin, 1 - nearest / second)
    np.testing.assert_array_equal(found.runner_up, fit.transform(OVERLAP).argsort(axis=1)[:, 1])


@pytest.mark.parametrize("estimator", [KMeans(1), GaussianMixtureEM(1), KMeans(3, random_state=0)])
def test_one_cluster_with_samples_has_no_runner_up(estimator):
    labels = estimator.fit(X).labels_
    found = report(estimator, X[labels == 0], images=(2, 2))
    assert set(found.runner_up) == {-1}
    np.testing.assert_allclose(found.margin, 1)
    assert found.sizes.tolist() == [(labels == 0).sum(), 0, 0][: len(found.clusters)]
    assert "runner-up" not in found.to_text()


def test_one_cluster_is_described_without_others():
    rows = np.random.default_rng(0).normal(size=(300, 3))
    fit = NeighborClustering("auto", random_state=0).fit(rows)
    found = report(fit, rows)
    score = f"Probability that all samples are one cluster: {fit.expected_score_:.2f}."
    assert str(found).splitlines()[:2] == ["NeighborClustering: 300 samples in 1 cluster", score]
    page = found.to_html()
    assert score in page
    assert "All clusters: means" in page
    assert found.examples[0].columns == ["x0", "x1", "x2"]
    assert len(found.examples[0].rows) == 6


def test_noise_is_in_no_cluster():
    fit = NeighborClustering(3, contamination=0.1, random_state=0).fit(X)
    noise = np.flatnonzero(fit.labels_ == -1)
    assert len(noise) == 9
    found = report(fit, n_rows=90)
    assert not set(noise) & set(np.concatenate(found.border_rows + found.typical_rows))
    assert found.sizes.sum() == 81
    assert "9 of them in no cluster" in str(found)


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
    counts = np.random.default_rng(0).poisson(1, (60, 8)).astype(float)
    counts[:30, 3] += 4
    labels = np.repeat([0, 1], 30)
    dense = compare_features(counts, labels, n_features=None)
    found = compare_features(sparse.csr_matrix(counts), labels, n_features=None)
    for one, other in zip(found, dense, strict=True):
        kept = other.differences > 0
        np.testing.assert_array_equal(one.names, other.names[kept])
        np.testing.assert_allclose(one.differences, other.differences[kept])
    assert found[0].names[0] == dense[1].names[0] == "x3"


def test_names_are_those_given_or_those_of_the_columns():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=NAMES)
    assert compare_features(frame, Y)[1].names[0] == "length"
    assert compare_features(frame, Y, feature_names=list("abcd"))[2].names[0] == "b"
    fit = KMeans(3, random_state=0).fit(frame)
    assert report(fit, frame).feature_names.tolist() == NAMES


# ---- the report

CLUSTERERS = [
    *map(brief, ONE_OF_EACH[1:4:2]),
    ClusterEnsemble(KMeans(3), n_estimators=2, random_state=0),
    KMeans(3, random_state=0),
    AgglomerativeClustering(3),
    GaussianMixture(3, random_state=0),
    DBSCAN(eps=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", CLUSTERERS, ids=lambda estimator: type(estimator).__name__)
def test_every_clusterer_is_described(estimator):
    fit = clone(estimator).fit(X)
    found = report(fit, images=(2, 2), feature_names=NAMES)
    labels = fit.labels_ if hasattr(fit, "labels_") else fit.predict(X)
    np.testing.assert_array_equal(found.labels, labels)
    for name in ("sizes", "medoids", "pictures", "features", "border_rows"):
        assert len(found[name]) == len(found.clusters)
    for k, rows in enumerate(found.typical_rows):
        assert (labels[rows] == k).all()
        assert found.sizes[k] == 0 or labels[found.medoids[k]] == k
    assert (found.probabilities is not None) == hasattr(fit, "predict_proba")
    assert str(found) == str(report(fit, feature_names=NAMES))
    assert f"cluster {len(found.clusters) - 1}" in str(found)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_clusters_of_a_classifier_are_its_classes():
    classes = np.array(["ant", "bee", "cat"])
    fit = brief(CLASSIFIERS[0]).fit(X, classes[Y])
    found = report(fit)
    np.testing.assert_array_equal(found.clusters, classes)
    np.testing.assert_array_equal(found.clusters[found.labels], fit.predict(X))
    assert "cluster bee" in str(found)


def test_pictures_show_the_samples():
    imread = pytest.importorskip("matplotlib.image").imread
    found = report(images=(2, 2))
    low = X.min()
    high = X.max()
    for k, medoid in enumerate(found.medoids):
        drawn = imread(io.BytesIO(found.pictures[k]["medoid"]))[..., 0]
        expected = 1 - (X[medoid].reshape(2, 2) - low) / (high - low)
        np.testing.assert_allclose(drawn, expected, atol=0.01)
    # Values up to 255 have one scale in all pictures.
    lights = np.repeat([1.0, 2.0, 200.0, 201.0], 12).reshape(4, 12)
    fit = KMeans(2, init=lights[[0, 3]], n_init=1).fit(lights)
    pictures = report(fit, lights, images=(2, 2, 3)).pictures
    assert set(pictures[0]) == {"medoid", "typical samples", "nearest to a border"}
    brightest = [imread(io.BytesIO(own["medoid"]))[..., :3].max() for own in pictures]
    assert brightest == pytest.approx([1 / 255, 200 / 255], abs=1.5 / 255)


def test_images_may_stand_beside_the_samples():
    tiles = X.reshape(-1, 2, 2)
    assert report(images=tiles).pictures == report(images=(2, 2)).pictures
    colors = np.repeat(tiles[..., None], 3, axis=3)
    assert report(images=colors).pictures == report(images=colors.tolist()).pictures
    with pytest.raises(ValueError, match="reshape"):
        report(images=tiles[1:])


class _Page(HTMLParser):
    """Collects tags, styles, pictures and text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.tags = []
        self.styles = []
        self.sources = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.styles.append(dict(attrs).get("style", ""))
        if tag == "img":
            self.sources.append(dict(attrs)["src"])
            assert dict(attrs)["alt"]
        elif tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_holds_its_pictures(tmp_path):
    names = [f"sample & <b{i}> $x" for i in range(90)]
    found = report(images=(2, 2), feature_names=NAMES, row_names=names)
    assert found.to_html(tmp_path / "report.html") is None
    text = found.to_html()
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text == found._repr_html_()
    page = _Page(text)
    assert not page.open
    assert len(page.sources) == 9  # medoid, typical and border of three
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "<weight>" in page.text
    assert names[found.medoids[0]] in page.text


def test_the_page_has_a_map_and_bars_of_features():
    for found, n_bars in ((report(n_features=2), 6), (report(images=(2, 2), n_features=3), 8)):
        page = _Page(found.to_html())
        assert page.tags.count("circle") == len(X)
        assert page.tags.count("text") == 3
        bars = [re.findall(r"[\d.]+(?=%)", style) for style in page.styles if "width" in style]
        differences = np.concatenate([own.differences for own in found.features])
        differences = differences[np.abs(differences) >= 0.2]
        assert len(bars) == len(differences) == n_bars
        left, width = np.array(bars, dtype=float).T
        np.testing.assert_allclose(width, 50 * np.abs(differences) / np.abs(differences).max())
        np.testing.assert_allclose(left, np.where(differences < 0, 50 - width, 50))


def test_a_dict_names_some_clusters():
    found = report(names={0: "near", 2: "far"})
    assert list(found.clusters) == ["near", 1, "far"]
    with pytest.raises(ValueError, match="different names"):
        report(names={0: "near", 1: "near"})


def test_each_dot_of_the_map_has_a_row_with_its_values():
    table = pd.DataFrame(X, columns=NAMES).assign(place=np.where(X[:, 0] > 0, "<east>", "west"))
    fit = NeighborClustering(3, random_state=0).fit(table)
    page = report(fit, table, row_names=[f"r{i}" for i in range(len(X))]).to_html()
    dots = re.findall(r'<circle data-row="(\d+)"', page)
    lines = dict(re.findall(r'<tr data-row="(\d+)">(.*)</tr>', page))
    assert set(dots) == set(lines) == set(map(str, range(len(X))))
    assert "&lt;east&gt;" in page
    assert "<east>" not in page
    for row, line in lines.items():
        cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", line)
        assert cells[:2] == [f"r{row}", str(fit.labels_[int(row)])]
        assert f"{X[int(row), 0]:.3g}" in cells


def test_stability_is_shown_if_known():
    fit = KMeans(4, n_init=1, random_state=0).fit(OVERLAP)
    found = report(fit, OVERLAP)
    assert found.stability is None
    assert "stability" not in str(found)
    found.stability = np.array([0.5, 0.25, 1, 0.75])
    assert "stability 0.25" in found.to_html()
    ensemble = ClusterEnsemble(KMeans(3), n_estimators=3, random_state=0).fit(X)
    np.testing.assert_array_equal(report(ensemble).stability, ensemble.cluster_stability_)
    assert report(fit, OVERLAP).to_html() == report(fit, OVERLAP).to_html()


def test_sparse_samples_lists_and_pipelines_are_described():
    fit = KMeans(3, random_state=0).fit(sparse.csr_matrix(X))
    found = report(fit, sparse.csr_matrix(X), feature_names=NAMES, images=(2, 2))
    np.testing.assert_array_equal(found.medoids, report(fit).medoids)
    assert str(report(FIT, X.tolist())) == str(report())
    pipeline = make_pipeline(StandardScaler(), KMeans(3, random_state=0)).fit(X)
    assert report(pipeline).to_text().startswith("KMeans")


def test_distances_have_no_features():
    distances = pairwise_distances(X)
    fit = NeighborClustering(3, metric="precomputed", random_state=0).fit(distances)
    assert report(fit, distances).features == []
    assert "set apart by" not in str(report(fit, distances))
    tree = AgglomerativeClustering(3, metric="precomputed", linkage="average").fit(distances)
    assert report(tree, distances).features == []


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (FIT, {"row_names": ["a", "b"]}, "inconsistent numbers of samples"),
        (FIT, {"images": (3, 3)}, r"\(3, 3\) does not fit samples of 4 features"),
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
    cluster_stability(fit, samples[:50], fit.labels_[:50], n_resamples=2)
    ClusterReport.from_estimator(fit, samples)
    assert joblib.hash(np.random.get_state()) == before


def test_a_table_is_reported_in_its_own_units():
    draws = np.random.RandomState(0)
    side = np.repeat(["left", "right"], 60)
    table = pd.DataFrame({"size": 100.0 + 50 * (side == "right") + draws.normal(size=120)})
    table["site"] = np.where(draws.uniform(size=120) < 0.9, side, None)
    table.loc[::7, "size"] = np.nan
    parts = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["site"])
    )
    fitted = make_pipeline(parts, GaussianMixtureEM(2, random_state=0)).fit(table)
    report = ClusterReport.from_estimator(fitted, table)
    right = int(fitted.predict(table)[-1])
    feature = report.features[right]
    found = dict(zip(feature["names"], feature["means"], strict=True))
    own = table[fitted.predict(table) == right]
    assert found["size"] == pytest.approx(own["size"].mean())
    assert found["site = right"] == pytest.approx((own["site"].dropna() == "right").mean())
    title = next(line for line in report.to_text().splitlines() if f"cluster {right} (" in line)
    assert "high size" in title or "site = right" in title
    assert "site = right: 100%, elsewhere 0%" in report.to_text()


def test_clusters_have_the_names_of_their_labels():
    noise = np.random.RandomState(0).normal(size=(60, 2))
    X = np.repeat([[0.0, 0.0], [9.0, 9.0]], 30, axis=0) + noise
    y = np.full(60, None, dtype=object)
    y[[0, -1]] = "near", "far"
    fitted = NeighborClustering(2, use_labels=True, random_state=0).fit(X, y)
    text = ClusterReport.from_estimator(fitted, X).to_text()
    assert "cluster far (high x" in text
    assert "cluster near (low x" in text


def test_the_frame_holds_means_and_the_page_rows_of_the_table():
    draws = np.random.RandomState(0)
    old = np.repeat([False, True], 60)
    table = pd.DataFrame({"age": 30.0 + 40 * old + draws.normal(size=120), "retired": old})
    table.loc[::6, "age"] = np.nan
    fit = NeighborClustering(2, random_state=0).fit(table)
    found = ClusterReport.from_estimator(fit, table, names=["zero", "one"])

    frame = found.to_frame()
    ages = table["age"].groupby(fit.labels_).mean()
    np.testing.assert_allclose(frame["age"], ages)
    np.testing.assert_array_equal(frame["samples"], np.bincount(fit.labels_))
    assert list(frame.index) == ["zero", "one"]
    assert list(frame.columns[2:]) == ["age", "retired = True"]
    named = table.fillna(0).set_axis(["samples", "probability"], axis=1)
    frame = report(NeighborClustering(2, random_state=0).fit(named), named).to_frame()
    assert len(frame.columns) == 4

    for k, example in enumerate(found.examples):
        rows = [found.medoids[k], *found.typical_rows[k]]
        assert [line[0] for line in example.rows] == list(map(str, rows))
        place = example.columns.index("retired") + 1
        assert [line[place] for line in example.rows] == list(map(str, table["retired"][rows]))
    page = found.to_html()
    assert "age (17% missing)" in page
    assert "cluster zero (" in page
    with pytest.raises(ValueError, match="names must be 2 different names"):
        ClusterReport.from_estimator(fit, table, names=["same", "same"])


def make_table():
    """Two groups of numbers, with long texts in a column of its own."""
    rows, side = make_blobs(60, centers=[[0.0, 500], [9, 900]], random_state=0)
    table = pd.DataFrame(rows, columns=["size", "temp = C"])
    return table.assign(note=[letter * 10**5 for letter in np.array(["a", "b"])[side]])


@pytest.mark.parametrize("names", [None, ["temp = C", "size"], ["p", "q"], [0, 1]], ids=str)
def test_the_samples_of_a_table_have_their_values_whatever_the_names(names):
    table = make_table()[["size", "temp = C"]]
    if names == [0, 1]:
        table.columns, names = names, None
    fit = NeighborClustering(2, random_state=0).fit(table)
    found = ClusterReport.from_estimator(fit, table, feature_names=names)
    places = {str(name): i for i, name in enumerate(names or table.columns)}
    for k, example in enumerate(found.examples):
        assert set(example.columns) == set(places)
        medoid = table.iloc[found.medoids[k]]
        for name, cell in zip(example.columns, example.rows[0][1:], strict=True):
            assert float(cell.replace(",", "")) == pytest.approx(
                medoid.iloc[places[name]], rel=0.01
            )
    assert "%, elsewhere" not in found.to_text()


def test_long_texts_are_cut():
    table = make_table()
    fit = NeighborClustering(2, random_state=0).fit(table)
    found = ClusterReport.from_estimator(fit, table, row_names=table["note"])
    assert max(map(len, found.to_text().split())) < 100
    assert len(found.to_html()) < 10**5
    assert found.feature_names[2] == "note = " + "a" * 79 + "…"


def test_names_that_call_themselves_html_are_escaped():
    markup = pytest.importorskip("markupsafe").Markup
    bad = [markup(f"<script>{i}</script>") for i in range(2)]
    table = make_table().assign(note=np.repeat(bad, 30).astype(object))
    # scikit-learn 1.6 refuses names of several types.
    table = table.rename(columns={"size": bad[0]}).rename(columns=markup)
    fit = NeighborClustering(2, random_state=0).fit(table)
    page = ClusterReport.from_estimator(fit, table, row_names=[bad[0]] * 60).to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_other_answers_are_described_on_the_same_page():
    rows, _ = make_blobs(240, centers=6, cluster_std=0.5, random_state=2)
    fit = make_pipeline(StandardScaler(), NeighborClustering("auto", random_state=0)).fit(rows)
    labels = fit[-1].labels_.copy()
    found = ClusterReport.from_estimator(fit, rows)
    alternatives = fit[-1].alternatives_
    assert len(found.others) == len(alternatives) > 0
    for other, alternative in zip(found.others, alternatives, strict=True):
        np.testing.assert_array_equal(other.labels, alternative.labels)
        assert other.expected_score == alternative.expected_score
    assert _Page(found.to_html()).tags.count("details") == 1 + len(alternatives)
    np.testing.assert_array_equal(fit[-1].labels_, labels)


# ---- for readers who know neither the data nor statistics


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
SEGMENTS = NeighborClustering(3, random_state=0).fit(CUSTOMERS)


def test_identifiers_name_the_samples_and_are_no_features():
    found = report(SEGMENTS, CUSTOMERS)
    assert not any("customer" in name for name in found.feature_names)
    assert found.examples[0].rows[0][0] == CUSTOMERS["customer"][found.medoids[0]]


def test_means_of_zeros_and_ones_are_shares():
    table = CUSTOMERS.assign(newsletter=(GROUP == 1).astype(int))
    fit = NeighborClustering(3, random_state=0).fit(table)
    text = report(fit, table).to_text()
    assert "often newsletter" in text
    assert "newsletter: 100%, elsewhere 0%" in text


def test_frames_of_polars_are_reported_as_those_of_pandas():
    polars = pytest.importorskip("polars")
    columns = {name: CUSTOMERS[name].tolist() for name in CUSTOMERS}
    table = polars.DataFrame(columns, strict=False)
    assert report(SEGMENTS, table).to_text() == report(SEGMENTS, CUSTOMERS).to_text()


def test_a_page_without_rows_has_no_value_of_a_single_sample():
    found = report(SEGMENTS, CUSTOMERS)
    title = "Ours & <theirs>"
    page = found.to_html(title=title)
    assert _Page(page).text.count(title) == 2
    assert str(found).splitlines()[0] in page
    assert "C007" in page
    page = found.to_html(rows=False)
    assert not re.search(r"C\d\d\d", page)
    assert "Typical samples" not in page
    assert report(images=(2, 2), row_names=[f"r{i}" for i in range(90)]).pictures
    page = report(images=(2, 2), row_names=[f"r{i}" for i in range(90)]).to_html(rows=False)
    assert not _Page(page).sources
    assert not re.search(r"\br\d", page)


def test_technical_terms_are_hints():
    page = report(SEGMENTS, CUSTOMERS).to_html()
    text = _Page(page).text
    for term in ("medoid", "Medoid", "runner-up", " SD"):
        assert term not in text
    for hint in ("Medoid: ", "Usual runner-up: ", "standard deviations", "Mean probability"):
        assert f'title="{hint}' in page or hint in page
    assert "clearly apart" in text


def test_clusters_are_named_by_their_largest_difference():
    labels = np.repeat([0, 1, 2], [100, 30, 30])
    X = np.random.RandomState(0).normal(0, 0.1, (160, 3))
    X[:, 0] += np.array([5, 6, 0])[labels]  # the largest cluster is second
    X[:, 1] += np.array([0.08, 0, 0])[labels]
    fit = KMeans(3, init=[X[labels == k].mean(0) for k in range(3)], n_init=1).fit(X)
    text = str(report(fit, X, feature_names=["homes", "farms", "noise"]))
    assert "cluster 0 (high homes, high farms)" in text
    text = str(report(SEGMENTS, CUSTOMERS))
    assert "often channel = web" in text or "high orders" in text


def test_means_of_a_feature_have_the_same_decimals():
    table = CUSTOMERS.assign(part=np.array([0.0948, 8.27, 8])[GROUP])
    page = report(NeighborClustering(3, random_state=0).fit(table), table).to_html()
    for name in ("age", "orders", "part"):
        (line,) = re.findall(rf"<tr><th>{name}.*</tr>", page)
        cells = re.findall(r"<td.*?>(.*?)</td>", line)
        assert len(cells) == 3
        assert len({len(cell.partition(".")[2]) for cell in cells}) == 1


def test_names_on_the_map_are_beside_their_own_cluster():
    names = ["the first of them", "2", "third"]
    page = report(names=names).to_html()
    dots = re.findall(r'cx="(.*?)" cy="(.*?)" r=".*?" fill="(.*?)"', page)
    places = np.array([dot[:2] for dot in dots], dtype=float)
    colors = np.array([dot[2] for dot in dots])
    found = re.findall(r'<text x="(.*?)" y="(.*?)" .*?>(.*?)</text>', page)
    assert sorted(name for *_, name in found) == sorted(names)
    keys = dict(re.findall(r'<h3><i style="background: (.*?)"></i> cluster (.*?) \(', page))
    for x, y, name in found:
        color = next(key for key, title in keys.items() if title == name)
        half = np.array([0.021 * len(name), 0.04]) / 2
        gaps = np.abs(places - [float(x), float(y)]) - half
        gaps = np.hypot(*gaps.clip(0).T)
        assert gaps[colors != color].min() > max(gaps[colors == color].min(), 0.01)


def test_two_fits_are_compared():
    before = np.array(["young", "busy", "old"])[GROUP].astype(object)
    before[:6] = [None, None, None, "busy", "old", "old"]
    found = report(SEGMENTS, CUSTOMERS, before=before, names=["a", "b", "c"])
    labels = SEGMENTS.labels_
    moved = np.flatnonzero(found.before != labels)
    assert moved.tolist() == [0, 1, 2, 3, 4]
    young, busy = found.clusters[labels[:2]]
    text = str(found)
    assert f"cluster {busy}: 99 before, 100 now, 98 stayed; came from" in text
    assert f"; left for cluster {young} (1)" in text
    assert "no cluster: 3 before, 0 now, 0 stayed; left for" in text
    assert "What changed" in found.to_html()
    assert not report(SEGMENTS, CUSTOMERS)._list_moves()
    # Another fit numbers clusters in another way; a cluster that is gone has no successor.
    other = KMeans(3, random_state=1).fit(X)
    assert (report(before=other).before == FIT.labels_).all()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        report(before=FIT.labels_[:9])
    with pytest.raises(ValueError, match="got the estimator itself.* Pass the labels"):
        report(before=FIT)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X).sample(frac=1, random_state=0)
    earlier = pandas.Series(FIT.labels_, dtype=float)
    with pytest.raises(ValueError, match="before has another index than X"):
        report(samples=table, before=earlier)
    some = report(samples=table, before=earlier[10:].reindex(table.index)).before
    np.testing.assert_array_equal(some, np.where(table.index < 10, -1, FIT.labels_[table.index]))
    split = np.where(Y == 2, np.arange(90) % 3 + 2, Y)
    found = report(before=split)
    assert found.before.max() == 5
    assert "former cluster 2: " in str(found)
