import ast
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.text import Text
from scipy.cluster.hierarchy import fcluster
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from sklearn import config_context
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import Bunch

import skdeepcluster.display
from skdeepcluster import (
    ClusterEnsemble,
    GaussianMixtureEM,
    NeighborClustering,
    VAEEmbedding,
    select_n_clusters,
)
from skdeepcluster.display import (
    ClusterConfusionDisplay,
    DendrogramDisplay,
    EmbeddingDisplay,
    HistoryDisplay,
    MixtureDisplay,
    NumberOfClustersDisplay,
    ReliabilityDisplay,
    SamplesDisplay,
    StabilityDisplay,
    TraversalDisplay,
)
from skdeepcluster.display.axes import COLORS
from skdeepcluster.display.dendrogram import ABOVE
from skdeepcluster.metrics import clustering_accuracy, error_auc, expected_calibration_error
from skdeepcluster.neighbors import neighbor_graph, neighbor_layout

X, Y = (part[:120] for part in load_digits(return_X_y=True))
MEANS = KMeans(2, n_init=1, random_state=0).fit(X)
HISTORY = [{"epoch": i, "loss": 1.0 / i, "kl_code": float(i), "dur": 0.1} for i in range(1, 6)]


class Blurry:
    """A generator whose every cluster is one shade, as VaDE's sample(n, cluster=k)."""

    def get_params(self, deep=True):
        return {"n_clusters": 3}

    def sample(self, n_samples=1, cluster=None):
        return np.full((n_samples, 4), float(cluster))


class Unlabelled(Blurry):
    def sample(self, n_samples=1):
        return np.zeros((n_samples, 4))


class Coded(Blurry):
    """A generator of four features: cluster, a code, another code, and the draw."""

    n_clusters = 3
    code_names_ = ["cluster", "continuous0", "continuous1"]

    def traverse(self, code, values=None, *, n_samples=1, cluster=None):
        values = np.arange(3.0) if values is None else np.asarray(values)
        rows = np.zeros((n_samples, len(values), 4))
        rows[..., 0] = 0 if cluster is None else cluster
        rows[..., self.code_names_.index(code)] = values
        rows[..., 3] = np.arange(n_samples)[:, None]
        return rows


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def drawn(display):
    return np.concatenate([np.asarray(part.get_offsets()) for part in display.scatter_])


def sorted_rows(points):
    return np.asarray(points)[np.lexsort(np.asarray(points).T)]


def test_grids_have_the_room_that_their_panels_take():
    grids = {name: np.ones((2, 3, 2)) for name in "abcd"}  # two by two
    width, height = TraversalDisplay(grids).plot().figure_.get_size_inches()
    assert width == pytest.approx(2 * 4.4)
    assert height > 2 * 4.6
    plt.close("all")


def test_two_columns_are_drawn_as_they_are():
    with config_context(transform_output="pandas"):
        assert EmbeddingDisplay(X, Y).plot().points_ is not None
    display = EmbeddingDisplay(X[:, 20:22], Y).plot()
    np.testing.assert_allclose(sorted_rows(drawn(display)), sorted_rows(X[:, 20:22]))


def test_more_columns_are_drawn_by_their_principal_components():
    display = EmbeddingDisplay(X, Y).plot()
    expected = PCA(2, random_state=0).fit_transform(X)
    np.testing.assert_allclose(sorted_rows(drawn(display)), sorted_rows(expected))


def test_one_column_is_spread_in_one_strip_per_cluster():
    points = EmbeddingDisplay(X[:, 20:21], Y).plot().points_
    np.testing.assert_allclose(points[:, 0], X[:, 20])
    np.testing.assert_array_equal(np.rint(-points[:, 1]), Y)


@pytest.mark.parametrize("embedding", [X, csr_array(X)])
def test_tsne_draws_every_row(embedding):
    assert drawn(EmbeddingDisplay(embedding, Y, method="tsne").plot()).shape == (120, 2)


@pytest.mark.parametrize("embedding", [X, csr_array(X)])
def test_neighbors_draws_the_layout_of_the_graph(embedding):
    display = EmbeddingDisplay(embedding, Y, method="neighbors", source="X").plot()
    expected = neighbor_layout(neighbor_graph(embedding), 2, random_state=0)
    np.testing.assert_array_equal(display.points_, expected)
    assert display.ax_.get_title() == "neighbour layout of X: 120 rows, 64 columns"
    assert display.ax_.get_xlabel() == "neighbour layout, axis 1 (no unit)"
    assert not len(display.ax_.get_xticks())


@pytest.mark.parametrize("method", ["pca", "tsne", "neighbors"])
def test_few_rows_are_drawn(method):
    for n_rows in (1, 2, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            display = EmbeddingDisplay(X[:n_rows], Y[:n_rows], method=method)
            if method == "tsne" and n_rows < 3:
                continue
            assert np.isfinite(drawn(display.plot())).all()


def test_axes_have_the_shares_of_variance_or_the_names_of_columns():
    display = EmbeddingDisplay(X).plot()
    share = PCA(2, random_state=0).fit(X).explained_variance_ratio_[1]
    assert display.ax_.get_ylabel() == f"PCA 2 ({share:.0%} of the variance)"
    names = ["length (cm)", "width (cm)"]
    named = EmbeddingDisplay(X[:, :2], feature_names=names).plot()
    assert [named.ax_.get_xlabel(), named.ax_.get_ylabel()] == names
    assert named.ax_.get_title() == "120 rows, 2 columns"
    framed = EmbeddingDisplay(pytest.importorskip("pandas").DataFrame(X[:, :2], columns=names))
    assert framed.plot().ax_.get_xlabel() == names[0]
    plain = EmbeddingDisplay(X[:, :1], source="X").plot()
    assert plain.ax_.get_xlabel() == "column 0 of X"


# Linear RGB as colour-blind people see it, severity 1 (Machado, Oliveira, Fernandes, 2009).
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def to_lab(linear):
    """CIELAB of linear sRGB, (n, 3), white point D65."""
    xyz = linear @ XYZ.T / XYZ.sum(1)
    cube = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return cube @ np.array([[0, 500, 0], [116, -500, 200], [0, 0, -200]]) - [16, 0, 0]


@pytest.mark.parametrize("vision", VISIONS)
def test_all_ten_colours_differ_for_colour_blind_people(vision):
    assert to_lab(np.ones((1, 3))) == pytest.approx(np.array([[100, 0, 0]]), abs=0.01)
    colors = np.array([to_rgb(color) for color in COLORS])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = to_lab(np.clip(linear @ np.transpose(VISIONS[vision]), 0, 1))
    assert pdist(seen).min() > (38 if vision == "normal" else 27)


def test_each_label_has_its_own_look_and_legend_entry():
    labels = np.arange(120) % 23
    display = EmbeddingDisplay(X, labels).plot()
    handles = display.legend_.legend_handles
    assert len({(h.get_marker(), h.get_color()) for h in handles}) == 23
    assert [text.get_text() for text in display.legend_.get_texts()] == list(map(str, range(23)))
    assert len(display.ax_.texts) == 23


def test_clusters_keep_their_colours_and_noise_has_none():
    def look(labels):
        display = EmbeddingDisplay(X, np.resize(labels, 120)).plot()
        handles, texts = display.legend_.legend_handles, display.legend_.get_texts()
        return {t.get_text(): h.get_color() for h, t in zip(handles, texts, strict=True)}

    clusters = {str(k): color for k, color in enumerate(COLORS)}
    assert look(np.arange(10)) == clusters
    assert look([-1, 0, 2]) == {"-1": "0.6", "0": clusters["0"], "2": clusters["2"]}
    for names in ([10, 20, 30], ["a", "b", "c"], [-7, 0, 1]):
        assert list(look(names).values()) == list(COLORS[:3])


def test_markers_and_colours_may_be_chosen():
    display = EmbeddingDisplay(X, Y).plot(marker="x", color="red")
    (points,) = display.scatter_
    assert points.get_linewidths() > 0
    assert {tuple(color[:3]) for color in points.get_edgecolors()} == {(1, 0, 0)}


def test_no_labels_need_no_legend():
    display = EmbeddingDisplay(X).plot()
    assert display.legend_ is None
    assert not display.ax_.texts


def test_embedding_from_estimator_is_transform_and_predict():
    kmeans = KMeans(3, random_state=0).fit(X)
    display = EmbeddingDisplay.from_estimator(kmeans, X)
    np.testing.assert_allclose(display.embedding, kmeans.transform(X))
    np.testing.assert_array_equal(display.labels, kmeans.labels_)
    assert display.ax_.get_title() == "KMeans\nPCA of transform(X): 120 rows, 3 columns"


def test_a_display_draws_into_the_axes_it_is_given():
    figure, axes = plt.subplots(1, 3)
    displays = [
        EmbeddingDisplay(X, Y).plot(axes[0], name="mine"),
        HistoryDisplay(HISTORY).plot(axes[1]),
        SamplesDisplay(X, Y, image_shape=(8, 8)).plot(axes[2]),
    ]
    for display, ax in zip(displays, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is figure
    assert axes[0].get_title() == "mine"


def test_history_draws_each_term_against_the_epoch():
    display = HistoryDisplay(HISTORY).plot()
    assert list(display.axes_) == ["loss", "kl_code"]
    steps, values = display.axes_["kl_code"].lines[0].get_data()
    np.testing.assert_array_equal(steps, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(values, [1, 2, 3, 4, 5])


def test_history_numbers_the_records_when_epochs_start_again():
    history = [{"epoch": 1, "pre": 3.0}, {"epoch": 2, "pre": 2.0}, {"epoch": 1, "kl": 9.0}]
    display = HistoryDisplay(history).plot()
    np.testing.assert_array_equal(display.axes_["kl"].lines[0].get_data(), [[3], [9.0]])
    assert display.axes_["kl"].get_xlabel() == "record"


def test_history_takes_chosen_terms_and_leaves_what_is_no_number():
    history = [{"epoch": 1, "loss": np.float32(2), "note": "warm", "batches": [1], "nan": np.nan}]
    assert list(HistoryDisplay(history).plot().axes_) == ["loss"]
    assert list(HistoryDisplay(HISTORY).plot(terms=["dur"]).axes_) == ["dur"]
    log = [{"fit": "id", "training": 1, "epoch": 0, "score": -2.0}]
    assert list(HistoryDisplay(log).plot().axes_) == ["score"]


def test_history_of_a_mixture_is_its_lower_bound():
    for kind in (GaussianMixtureEM, GaussianMixture):
        mixture = kind(3, covariance_type="diag", reg_covar=1e-2, random_state=0).fit(X)
        if not hasattr(mixture, "lower_bounds_"):  # scikit-learn's before 1.7
            continue
        display = HistoryDisplay.from_estimator(mixture)
        values = display.axes_["lower bound"].lines[0].get_ydata()
        np.testing.assert_array_equal(values, mixture.lower_bounds_)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (2, 3, 1)])
def test_images_lie_in_the_row_of_their_cluster(shape):
    samples = np.repeat(np.arange(4.0)[:, None], 6, axis=1)
    grid = SamplesDisplay(samples, [1, 0, 1, 1], image_shape=shape).plot().image_.get_array()
    assert grid.shape == (5, 11)
    np.testing.assert_array_equal(grid[0:2, 0:3], np.ones((2, 3)))
    np.testing.assert_array_equal(grid[3:5, 4:7], np.full((2, 3), 2.0))
    assert grid.mask[0:2, 4:].all()


@pytest.mark.parametrize("channels_first", [True, False])
def test_colour_images(channels_first):
    image = np.random.RandomState(0).uniform(size=(4, 5, 3))
    stored = np.moveaxis(image, -1, 0) if channels_first else image
    display = SamplesDisplay(stored.reshape(1, -1), image_shape=stored.shape).plot()
    np.testing.assert_allclose(display.image_.get_array(), image)


def test_profiles_have_a_panel_per_cluster_and_their_mean():
    display = SamplesDisplay(X, Y).plot(n_columns=5)
    assert len(display.axes_) == 10
    np.testing.assert_allclose(display.axes_[3].lines[-1].get_ydata(), X[Y == 3].mean(axis=0))
    assert len(display.axes_[3].lines) == 6


def test_a_single_feature_is_drawn_as_points():
    display = SamplesDisplay(csr_array(X[:, 20:21]), Y).plot()
    points, mean = display.axes_[0].lines[0], display.axes_[0].lines[-1]
    assert (points.get_marker(), mean.get_marker()) == ("o", "_")
    assert mean.get_ydata() == X[Y == 0, 20].mean()


def test_samples_of_an_estimator_that_samples_a_cluster_at_will():
    display = SamplesDisplay.from_estimator(Blurry(), n_per_cluster=2)
    np.testing.assert_array_equal(display.labels, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(display.samples[:, 0], display.labels)


def test_samples_of_a_mixture_come_with_their_labels():
    mixture = GaussianMixture(3, covariance_type="diag", reg_covar=1e-2, random_state=0).fit(X)
    display = SamplesDisplay.from_estimator(mixture, n_per_cluster=4, image_shape=(8, 8))
    assert set(display.labels) == {0, 1, 2}
    assert display.image_.get_array().shape == (3 * 9 - 1, 4 * 9 - 1)


def test_samples_without_clusters_are_a_plain_grid():
    density = KernelDensity().fit(X)  # has no number of clusters
    assert SamplesDisplay.from_estimator(density, n_per_cluster=2).labels is None
    display = SamplesDisplay.from_estimator(Unlabelled(), n_per_cluster=2, image_shape=(2, 2))
    assert display.labels is None
    assert display.image_.get_array().shape == (8, 5)


def test_traversals_are_clusters_against_noise_and_codes_against_values():
    display = TraversalDisplay.from_estimator(
        Coded(), values=[-2, 0, 2], n_noise=5, beside=Coded(), image_shape=(2, 2)
    )
    titles = ["cluster", "cluster, the other model", "continuous0", "continuous1"]
    assert list(display.axes_) == titles
    assert list(display.axes_) == titles
    assert all(panel.get_title().startswith(title) for title, panel in display.axes_.items())
    clusters = display.grids["cluster"]
    assert clusters.shape == (3, 5, 4)
    np.testing.assert_array_equal(clusters[:, 2, 0], [0, 1, 2])
    np.testing.assert_array_equal(clusters[1, :, 3], np.arange(5))
    swept = display.grids["continuous1"]
    np.testing.assert_array_equal(swept[2, :, 2], [-2, 0, 2])
    np.testing.assert_array_equal(swept[:, 0, 0], [0, 1, 2])
    drawn = display.axes_["continuous1"].images[0].get_array()
    assert drawn.shape == (3 * 3 - 1, 3 * 3 - 1)
    assert drawn[6 + 1, 6 + 0] == 2  # third cluster, third value: feature 2, a tile of two rows


def test_the_grid_of_clusters_is_drawn_once():
    display = TraversalDisplay.from_estimator(Coded(), codes=["cluster"], n_noise=5)
    assert list(display.grids) == ["cluster"]
    np.testing.assert_array_equal(display.grids["cluster"][:, 2, 0], [0, 1, 2])


def test_traversals_of_rows_that_are_no_images_are_mean_profiles_by_value():
    display = TraversalDisplay.from_estimator(Coded(), codes=["continuous0"], values=[-1, 3])
    lines = display.axes_["continuous0"].lines
    np.testing.assert_array_equal(lines[1].get_ydata(), [1, 3, 0, 0])
    assert len(lines) == 2
    clusters = display.axes_["cluster"].lines
    assert len(clusters) == 3
    assert len({tuple(line.get_ydata()) for line in clusters}) == 3


def test_profiles_have_the_names_of_the_features():
    names = [f"a feature with a long name {k}" for k in range(20)]
    display = SamplesDisplay(X[:, :20], Y % 7, feature_names=names).plot()
    ticks = [[text.get_text() for text in panel.get_xticklabels()] for panel in display.axes_]
    assert ticks[-1] == ["a feature with a lo…"] * 10
    assert not any(ticks[0]), "they stand below the lowest panels"
    rows = SamplesDisplay(X[:3, :20], [0, 1, 1]).plot()
    assert [len(panel.lines) for panel in rows.axes_] == [1, 3], "two rows and their mean"
    assert [panel.get_legend() is None for panel in rows.axes_] == [True, False]
    traversal = TraversalDisplay({"c": np.ones((2, 3, 2))}, feature_names=["a", "b"]).plot()
    assert [text.get_text() for text in traversal.axes_["c"].get_xticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match=r"feature_names must hold 20 names, .*shape \(3,\)"):
        SamplesDisplay(X[:, :20], feature_names=["a", "b", "c"]).plot()


def test_an_automatic_number_of_clusters_is_drawn():
    generator = Coded()
    generator.n_clusters, generator.n_clusters_ = "auto", 3
    display = TraversalDisplay.from_estimator(generator, image_shape=(2, 2))
    assert display.axes_["continuous0"].get_title() == "continuous0, -2 (left) to 2 (right)"
    assert display.axes_["cluster"].get_title() == "cluster, a column for each noise"
    blurry = Blurry()
    blurry.n_clusters_ = 2
    assert set(SamplesDisplay.from_estimator(blurry, n_per_cluster=1).labels) == {0, 1}


@pytest.mark.parametrize("path", sorted(Path(skdeepcluster.display.__file__).parent.glob("*.py")))
def test_matplotlib_is_imported_only_to_draw(path):
    """At the top of the files stand the standard library, numpy, scipy and sklearn."""
    body = ast.parse(path.read_text()).body
    names = [node.module for node in body if isinstance(node, ast.ImportFrom) and not node.level]
    names += [node.names[0].name for node in body if isinstance(node, ast.Import)]
    allowed = {"numpy", "scipy", "sklearn"} | sys.stdlib_module_names
    assert {name.split(".")[0] for name in names} <= allowed


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: EmbeddingDisplay(X, Y[:5]).plot(), r"labels must have shape \(120,\)"),
        (
            lambda: EmbeddingDisplay(X, method="umap").plot(),
            "'pca', 'tsne' or 'neighbors', got 'umap'",
        ),
        (lambda: EmbeddingDisplay(X[0]).plot(), "embedding must have shape"),
        (lambda: HistoryDisplay([]).plot(), "No such terms to draw"),
        (lambda: HistoryDisplay(HISTORY).plot(terms="k"), r"\['k'\].*holds.*'kl_code'"),
        (lambda: HistoryDisplay.from_estimator(MEANS), "KMeans has neither history_"),
        (lambda: SamplesDisplay(X, image_shape=(7, 8)).plot(), r"\(7, 8\) does not fit.*64"),
        (lambda: SamplesDisplay(X, image_shape=(2, 4, 8)).plot(), "1 or 3 channels"),
        (lambda: SamplesDisplay(X[0]).plot(), "samples must be"),
        (lambda: SamplesDisplay.from_estimator(MEANS), "KMeans has no sample method"),
        (lambda: TraversalDisplay.from_estimator(MEANS), "KMeans has no traverse method"),
        (lambda: TraversalDisplay({"c": X}).plot(), r"Grid 'c' must be \(n_rows"),
        (lambda: TraversalDisplay({}).plot(), "no grids"),
        (lambda: TraversalDisplay(X).plot(), "grids must be a dict of arrays"),
        (lambda: SamplesDisplay(X).plot(n_columns=0), "n_columns == 0"),
        (lambda: EmbeddingDisplay([["a", 1.0]]).plot(), "Only numbers can be drawn.*Pipeline"),
        (
            lambda: HistoryDisplay(HISTORY).plot(plt.figure().add_axes([0, 0, 1, 1])),
            "plt.subplots",
        ),
    ],
)
def test_errors_say_what_to_do(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


# ---- confusion of classes and clusters


def test_clusters_stand_under_their_classes_and_the_rest_last():
    table = [[0, 8, 1], [0, 0, 6]]
    display = ClusterConfusionDisplay(table, classes=["a", "b"]).plot()
    np.testing.assert_array_equal(display.order_, [1, 2, 0])
    assert display.accuracy_ == pytest.approx(14 / 15)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["1", "2", "0"]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b"]
    written = [[0] * 3 for _ in range(2)]
    for text in display.ax_.texts:
        column, row = text.get_position()
        written[row][column] = int(text.get_text())
    assert written == [[8, 1, 0], [0, 6, 0]]
    np.testing.assert_allclose(display.im_.get_array().sum(1), 1)


def test_confusion_from_an_estimator_is_that_of_its_predictions():
    kmeans = KMeans(12, random_state=0).fit(X)
    one = ClusterConfusionDisplay.from_estimator(kmeans, X, Y)
    two = ClusterConfusionDisplay.from_predictions(Y, kmeans.labels_, include_values=False)
    assert one.ax_.get_title() == "KMeans"
    assert one.confusion.shape == (10, 12)
    assert one.confusion.sum() == 120
    np.testing.assert_array_equal(one.im_.get_array(), two.im_.get_array())
    assert not two.ax_.texts
    with pytest.raises(ValueError, match="confusion must have shape"):
        ClusterConfusionDisplay([1, 2]).plot()
    with pytest.raises(ValueError, match="finite ones and at least 0"):
        ClusterConfusionDisplay([[1, -2]]).plot()
    with pytest.raises(ValueError, match="clusters must hold 2 names.*got 1"):
        ClusterConfusionDisplay([[1, 2]], clusters=["a"]).plot()
    named = ClusterConfusionDisplay.from_predictions(Y > 4, kmeans.labels_)
    assert [text.get_text() for text in named.ax_.get_yticklabels()] == ["False", "True"]
    for missing in ([0, 1, np.nan], ["a", "b", None]):
        with pytest.raises(ValueError, match="y_true contains missing values"):
            ClusterConfusionDisplay.from_predictions(missing, [0, 1, 1])


# ---- mixtures


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_ellipses_have_the_axes_of_the_covariances(kind):
    points = np.random.RandomState(0).normal(size=(200, 2)) @ [[2.0, 1.0], [0.0, 0.5]]
    mixture = GaussianMixtureEM(2, covariance_type=kind, random_state=0).fit(points)
    display = MixtureDisplay.from_estimator(mixture, points, n_std=(1.5,))
    for k, ellipse in enumerate(display.ellipses_):
        np.testing.assert_allclose(ellipse.center, mixture.means_[k])
        outline = ellipse.get_transform().transform(ellipse.get_path().vertices[::3])
        outline = display.ax_.transData.inverted().transform(outline) - mixture.means_[k]
        expected = {
            "full": lambda k: mixture.covariances_[k],
            "tied": lambda _: mixture.covariances_,
            "diag": lambda k: np.diag(mixture.covariances_[k]),
            "spherical": lambda k: mixture.covariances_[k] * np.eye(2),
        }[kind](k)
        distance = np.einsum("ni,ij,nj->n", outline, np.linalg.inv(expected), outline)
        np.testing.assert_allclose(np.sqrt(distance), 1.5, rtol=1e-3)


def test_mixtures_of_codes_are_seen_from_their_principal_side():
    vae = VAEEmbedding(3, hidden_layer_sizes=(8,), max_epochs=3, random_state=0).fit(X / 16)
    display = MixtureDisplay.from_estimator(vae, X / 16)
    assert len(display.ellipses_) == 6
    pca = PCA(2).fit(vae.transform(X / 16))
    centres = [ellipse.center for ellipse in display.ellipses_[::2]]
    np.testing.assert_allclose(np.abs(centres), np.abs(pca.transform(vae.means_)), atol=1e-4)


def test_ellipses_have_the_colours_of_their_points():
    points, labels = np.random.RandomState(0).normal(size=(40, 2)), np.repeat([1, 2], 20)
    display = MixtureDisplay(points, np.zeros((3, 2)), np.ones((3, 2)), labels=labels)
    display.covariance_type = "diag"
    display.plot(n_std=(1.0,))
    drawn = [ellipse.get_edgecolor() for ellipse in display.ellipses_]
    assert drawn == [to_rgba(color) for color in COLORS[:3]]
    points = display.ax_.collections[0].get_facecolors()
    assert {tuple(color[:3]) for color in points} == {to_rgb(color) for color in COLORS[1:3]}
    assert len(display.plot(n_std=2).ellipses_) == 3


def test_the_legend_of_a_mixture_says_what_the_ellipses_are():
    mixture = GaussianMixtureEM(2, random_state=0).fit(X[:, 20:24])
    display = MixtureDisplay.from_estimator(mixture, X[:, 20:24], n_std=(1, 1.5))
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["0", "1", "component:\n1, 1.5 standard\ndeviations"]
    assert display.ax_.get_title() == "GaussianMixtureEM\nPCA of X: 120 rows, 4 columns"
    assert display.ax_.get_xlabel().startswith("PCA 1 (")
    assert display.plot(legend=False).legend_ is None
    plain = MixtureDisplay(X[:, :2], np.zeros((1, 2)), np.ones(1), covariance_type="spherical")
    plain.feature_names = ["a", "b"]
    assert len(plain.plot(n_std=(1,)).legend_.get_texts()) == 1
    assert plain.ax_.get_ylabel() == "b"


def test_mixtures_that_cannot_be_drawn_are_explained():
    with pytest.raises(TypeError, match="KMeans has no mixture to draw"):
        MixtureDisplay.from_estimator(KMeans(2).fit(X), X)
    with pytest.raises(ValueError, match="must have as many columns"):
        MixtureDisplay(X, np.zeros((2, 3)), np.ones((2, 3))).plot()
    with pytest.raises(ValueError, match=r"diag covariances of 2 .* \(2, 64\), got \(2, 3\)"):
        MixtureDisplay(X, np.zeros((2, 64)), np.ones((2, 3)), covariance_type="diag").plot()
    with pytest.raises(ValueError, match="covariance_type must be one of full, tied"):
        MixtureDisplay(X, np.zeros((2, 64)), np.ones(2), covariance_type="round").plot()


# ---- reliability of probabilities


def test_reliability_is_the_share_right_in_bins_of_equal_count():
    stream = np.random.RandomState(0)
    confidence = stream.uniform(0.3, 1, size=200)
    right = stream.uniform(size=200) < confidence**2
    display = ReliabilityDisplay(confidence, right, n_bins=5).plot()
    bins = np.argsort(confidence).reshape(5, 40)
    np.testing.assert_allclose(display.line_.get_xdata(), confidence[bins].mean(1))
    np.testing.assert_allclose(display.line_.get_ydata(), right[bins].mean(1))
    error = expected_calibration_error(right, confidence, n_bins=5)
    assert display.calibration_error_ == error
    assert display.error_auc_ == error_auc(right, confidence)
    written = display.legend_.get_texts()[1].get_text()
    assert (
        written == f"calibration error {error:.3f}\nAUC of finding errors {display.error_auc_:.3f}"
    )


def test_reliability_matches_clusters_with_classes():
    probabilities = GaussianMixtureEM(10, covariance_type="diag", reg_covar=1, random_state=0)
    probabilities = probabilities.fit(X).predict_proba(X)
    names = np.array(list("abcdefghij"))[Y]
    display = ReliabilityDisplay.from_predictions(names, probabilities)
    as_bytes = np.char.encode(np.char.add(names, "é"), "latin-1")
    as_bytes = ReliabilityDisplay.from_predictions(as_bytes, probabilities)
    np.testing.assert_array_equal(as_bytes.agreement, display.agreement)
    np.testing.assert_array_equal(display.confidence, probabilities.max(1))
    assert np.mean(display.agreement) == clustering_accuracy(Y, probabilities.argmax(1))
    renumbered = ReliabilityDisplay.from_predictions(Y, probabilities[:, ::-1])
    np.testing.assert_array_equal(renumbered.agreement, display.agreement)


def test_reliability_of_an_estimator_and_of_shares():
    ensemble = ClusterEnsemble(KMeans(4), 5, max_samples=0.5, random_state=0).fit(X)
    display = ReliabilityDisplay.from_estimator(ensemble, X, Y)
    np.testing.assert_allclose(display.confidence, ensemble.predict_proba(X).max(1))
    assert display.ax_.get_title() == "ClusterEnsemble"
    shares = ReliabilityDisplay(display.confidence, ensemble.row_agreement_).plot()
    assert shares.error_auc_ is None
    assert "AUC" not in shares.legend_.get_texts()[1].get_text()


# ---- number of clusters


def test_number_of_clusters_of_an_estimator_with_stability_on_an_axis_of_its_own():
    curve = Bunch(
        n_clusters=np.array([4, 2, 3]),
        criterion=np.array([9.0, 5.0, np.nan]),
        persistence=np.zeros(3),
        stability=np.array([0.5, 0.9, 0.7]),
    )
    estimator = SimpleNamespace(n_clusters_=4, n_clusters_curve_=curve)
    display = NumberOfClustersDisplay.from_estimator(estimator, name="mine")
    np.testing.assert_array_equal(display.line_.get_data(), [[2, 3, 4], [5, np.nan, 9]])
    np.testing.assert_array_equal(display.stability_line_.get_data(), [[2, 3, 4], [0.9, 0.7, 0.5]])
    assert display.stability_line_.axes is display.stability_ax_ is not display.ax_
    assert list(display.chosen_line_.get_xdata()) == [4, 4]
    assert display.text_.get_text() == "chosen: 4"
    assert display.ax_.get_title() == "mine"


def test_number_of_clusters_of_a_selection_has_its_criterion():
    found = select_n_clusters(X[:, 20:24], range(1, 8), criterion="bic", random_state=0)
    display = NumberOfClustersDisplay.from_selection(found)
    np.testing.assert_array_equal(display.line_.get_ydata(), found.results["bic"])
    assert display.ax_.get_ylabel() == "BIC"
    assert display.chosen == found.best_n_clusters
    assert display.stability_ax_ is None
    plain = NumberOfClustersDisplay([1, 2], [3.0, 4.0]).plot()
    assert plain.chosen_line_ is None
    assert plain.text_ is None


# ---- dendrogram


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 30])
def test_a_dendrogram_is_cut_into_the_clusters_of_scikit_learn(n_clusters):
    model = AgglomerativeClustering(n_clusters, compute_distances=True).fit(X[:30])
    display = DendrogramDisplay.from_estimator(model)
    assert display.tree_["leaves"] != list(range(30))
    cut = fcluster(display.linkage_, display.cut_, "distance")
    assert adjusted_rand_score(cut, model.labels_) == 1
    colors = display.tree_["color_list"]
    assert colors.count(ABOVE) == n_clusters - 1
    n_merged = np.count_nonzero(np.bincount(model.labels_) > 1)
    assert len(set(colors) - {ABOVE}) == n_merged
    assert display.ax_.texts[0].get_text() == f"{n_clusters} cluster" + "s" * (n_clusters > 1)


def test_leaves_of_a_dendrogram_are_labelled_by_their_rows():
    model = SimpleNamespace(
        children_=np.array([[0, 1], [2, 3]]),
        distances_=np.array([1.0, 2.0]),
        leaves_=np.array([0, 0, 0, 1, 2, 2, -1]),
    )
    display = DendrogramDisplay.from_estimator(model)
    counts = dict(zip(display.tree_["leaves"], display.tree_["ivl"], strict=True))
    assert counts == {0: "3", 1: "1", 2: "2"}
    assert display.cut_ is None
    assert DendrogramDisplay.from_estimator(model, n_clusters=2).cut_ == 1.5


def test_of_many_leaves_the_last_merges_are_drawn():
    model = AgglomerativeClustering(3, compute_distances=True, linkage="single").fit(X)
    display = DendrogramDisplay.from_estimator(model).plot(max_leaves=7)
    assert len(display.tree_["leaves"]) == 7
    assert sum(map(int, display.tree_["ivl"])) == len(X)
    np.testing.assert_allclose(
        np.sort([height[1] for height in display.tree_["dcoord"]]), model.distances_[-6:]
    )
    assert len(display.plot(max_leaves=1).tree_["leaves"]) == 3
    display.n_clusters = np.int64(3)
    assert display.plot().ax_.texts[0].get_text() == "3 clusters"


# ---- stability


def test_bars_are_the_stability_of_the_clusters():
    ensemble = ClusterEnsemble(KMeans(4), 5, max_samples=0.5, random_state=0).fit(X)
    display = StabilityDisplay.from_estimator(ensemble)
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_allclose(heights, ensemble.cluster_stability_)
    colors = [bar.get_facecolor() for bar in display.bars_]
    assert colors == [to_rgba(color) for color in COLORS[:4]]
    ticks = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert ticks == [f"{k}\n{size}" for k, size in enumerate(np.bincount(ensemble.labels_))]
    levels = sorted(line.get_ydata()[0] for line in display.ax_.lines)
    assert levels == [0.6, 0.85]
    assert [text.get_text() for text in display.ax_.texts] == [
        "0.6\nno trust below",
        "0.85\nhighly stable above",
    ]


def test_stability_of_many_clusters_is_drawn_without_sizes():
    display = StabilityDisplay(np.linspace(0, 1, 50), sizes=np.arange(50)).plot()
    assert len(display.bars_) == 50
    assert len(display.ax_.get_xticklabels()) < 20


CHAIN, RISING = [[0, 1], [2, 3]], [1.0, 2.0]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: ReliabilityDisplay([0.5], [1, 0]).plot(), "right has 2 entries"),
        (lambda: ReliabilityDisplay([1.5], [1]).plot(), "confidence must hold numbers"),
        (lambda: ReliabilityDisplay.from_predictions(Y, Y), "probabilities must have shape"),
        (lambda: ReliabilityDisplay.from_estimator(MEANS, X, Y), "KMeans has no predict_proba"),
        (lambda: NumberOfClustersDisplay([], []).plot(), "n_clusters must have shape"),
        (lambda: NumberOfClustersDisplay([2, 3], [1]).plot(), r"criterion must have shape \(2,\)"),
        (
            lambda: NumberOfClustersDisplay([2], [1], stability=[1, 1]).plot(),
            r"stability must have shape \(1,\)",
        ),
        (
            lambda: NumberOfClustersDisplay.from_estimator(MEANS),
            "KMeans has no n_clusters_curve_",
        ),
        (lambda: DendrogramDisplay([], []).plot(), "children must have shape"),
        (lambda: DendrogramDisplay(CHAIN, [1.0]).plot(), r"distances must have shape \(2,\)"),
        (lambda: DendrogramDisplay(CHAIN, [1.0, np.inf]).plot(), "distances must be finite"),
        (lambda: DendrogramDisplay([[0, 3], [1, 2]], RISING).plot(), "children is no tree"),
        (lambda: DendrogramDisplay([[0, 1], [0, 3]], RISING).plot(), "children is no tree"),
        (lambda: DendrogramDisplay(CHAIN, RISING, [1]).plot(), r"counts must have shape \(3,\)"),
        (lambda: DendrogramDisplay(CHAIN, RISING, n_clusters=4).plot(), "n_clusters=4 must be"),
        (
            lambda: DendrogramDisplay(CHAIN, RISING).plot(orientation="left"),
            "orientation='left' is not drawn",
        ),
        (
            lambda: DendrogramDisplay.from_estimator(AgglomerativeClustering().fit(X)),
            "has no distances_; fit",
        ),
        (lambda: StabilityDisplay([]).plot(), "stability must have shape"),
        (lambda: StabilityDisplay([0.5, 1], sizes=[3]).plot(), r"sizes must have shape \(2,\)"),
        (lambda: StabilityDisplay.from_estimator(MEANS), "KMeans has no cluster_stability_"),
    ],
)
def test_errors_of_the_newer_displays_say_what_to_do(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_a_tree_with_fewer_leaves_than_clusters_is_drawn_whole():
    with pytest.warns(ConvergenceWarning, match="Only 2 of n_clusters=3"):
        fit = NeighborClustering(3, random_state=0).fit(np.repeat([[0.0, 0.0], [5, 5]], 50, 0))
    display = DendrogramDisplay.from_estimator(fit)
    assert display.n_clusters == fit.n_leaves_ == 2
    plt.close("all")


def test_the_last_step_of_a_pipeline_is_drawn(digits):
    digits = digits[:100, 18:34]
    steps = make_pipeline(MinMaxScaler(), NeighborClustering("auto", random_state=0)).fit(digits)
    for display in (DendrogramDisplay, NumberOfClustersDisplay):
        assert "NeighborClustering" in display.from_estimator(steps).ax_.get_title()
    mixture = make_pipeline(MinMaxScaler(), GaussianMixtureEM(2, random_state=0)).fit(digits)
    HistoryDisplay.from_estimator(mixture)
    members = ClusterEnsemble(KMeans(3), n_estimators=2, random_state=0)
    drawn = StabilityDisplay.from_estimator(make_pipeline(MinMaxScaler(), members).fit(digits))
    np.testing.assert_array_equal(drawn.stability, members.cluster_stability_)
    plt.close("all")


def test_labels_stand_in_for_predictions_of_the_rows_of_the_fit(digits):
    fit = AgglomerativeClustering(3).fit(digits)
    assert ClusterConfusionDisplay.from_estimator(fit, digits, fit.labels_).accuracy_ == 1
    with pytest.raises(ValueError, match="has no predict, and its labels_"):
        ClusterConfusionDisplay.from_estimator(fit, digits[:9], fit.labels_[:9])
    plt.close("all")


def test_classes_keep_their_names():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    fit = LogisticRegression(max_iter=1000).fit(X, names)
    drawn = ClusterConfusionDisplay.from_estimator(fit, X, names)
    assert [label.get_text() for label in drawn.ax_.get_xticklabels()] == sorted(set(names))
    drawn = EmbeddingDisplay.from_estimator(fit, X, method="pca")
    shown = {text.get_text() for text in drawn.figure_.findobj(Text)}
    assert set(names) <= shown
    plt.close("all")
