"""Displays: what they draw is what they are given, and errors say what to do."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster
from scipy.sparse import csr_array
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import GaussianMixtureEM, NeighborClustering
from skdeepcluster.display import (
    DendrogramDisplay,
    EmbeddingDisplay,
    SamplesDisplay,
)
from skdeepcluster.neighbors import neighbor_embedding, neighbor_graph

X, Y = (part[:120] for part in load_digits(return_X_y=True))
MEANS = KMeans(2, n_init=1, random_state=0).fit(X)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(many):
    return [text.get_text() for text in many]


# ---- embeddings


@pytest.mark.parametrize("embedding", [X, csr_array(X)])
def test_embeddings_are_those_of_the_graph(embedding):
    display = EmbeddingDisplay(embedding, Y).plot()
    expected = neighbor_embedding(neighbor_graph(embedding), 2, random_state=0)
    np.testing.assert_array_equal(display.points_, expected)
    assert display.ax_.get_xlabel() == "neighbor embedding 1"
    assert not len(display.ax_.get_xticks())
    assert display.ax_.get_aspect() == 1


@pytest.mark.parametrize("embedding", [X, csr_array(X)])
def test_principal_components_have_their_variance_and_one_scale(embedding):
    display = EmbeddingDisplay(embedding, method="pca").plot()
    pca = PCA(2, random_state=0).fit(X)
    np.testing.assert_allclose(display.points_, pca.transform(X), atol=1e-9)
    drawn = np.asarray(display.scatter_.get_offsets())
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(display.points_, axis=0))
    share = pca.explained_variance_ratio_[1]
    assert display.ax_.get_ylabel() == f"component 2 ({share:.0%} of the variance)"
    assert display.ax_.get_aspect() == 1
    assert display.legend_ is None
    assert not display.ax_.texts


def test_two_columns_are_drawn_as_they_are():
    names = ["length (cm)", "width (cm)"]
    display = EmbeddingDisplay(X[:, 20:22], Y).plot()
    np.testing.assert_array_equal(display.points_, X[:, 20:22])
    assert display.ax_.get_aspect() == "auto"
    frame = pytest.importorskip("pandas").DataFrame(X[:, :2], columns=names)
    named = EmbeddingDisplay(frame).plot().ax_
    assert [named.get_xlabel(), named.get_ylabel()] == names


def test_one_column_is_projected():
    display = EmbeddingDisplay(X[:, 20:21], Y).plot()
    expected = neighbor_embedding(neighbor_graph(X[:, 20:21]), 2, random_state=0)
    np.testing.assert_array_equal(display.points_, expected)


def test_noise_is_named_in_the_legend_only():
    display = EmbeddingDisplay(X[:, :2], np.where(np.arange(120) < 20, -1, Y)).plot()
    assert texts(display.legend_.get_texts())[0] == "noise"
    assert {"noise", "-1"}.isdisjoint(texts(display.ax_.texts))


def test_names_of_clusters_are_at_their_own_samples():
    points, clusters = make_blobs(90, centers=9, random_state=3)
    display = EmbeddingDisplay(points, clusters).plot()
    assert texts(display.ax_.texts) == list("012345678")
    for k, text in enumerate(display.ax_.texts):
        assert text.get_position() in list(map(tuple, points[clusters == k]))


def test_clusters_keep_their_colors_and_noise_is_gray():
    def look(labels):
        legend = EmbeddingDisplay(X[:, :2], np.resize(labels, 120)).plot().legend_
        names = texts(legend.get_texts())
        return {n: h.get_color() for n, h in zip(names, legend.legend_handles, strict=True)}

    clusters = look(np.arange(10))
    assert len(set(clusters.values())) == 10
    assert look([-1, 0, 2]) == {"noise": "0.6", "0": clusters["0"], "2": clusters["2"]}
    for names in ([10, 20, 30], ["a", "b", "c"], [-7, 0, 1]):
        assert list(look(names).values()) == list(clusters.values())[:3]


def test_embedding_of_an_estimator_is_its_transform():
    kmeans = KMeans(3, random_state=0).fit(X)
    display = EmbeddingDisplay.from_estimator(kmeans, X, method="pca")
    np.testing.assert_allclose(display.embedding, kmeans.transform(X))
    np.testing.assert_array_equal(display.labels, kmeans.labels_)
    assert display.ax_.get_title() == "KMeans"


def test_a_embedding_of_samples_is_drawn_not_that_of_a_embedding():
    fit = NeighborClustering(10, metric="cosine", random_state=0).fit(X)
    expected = neighbor_embedding(neighbor_graph(X, metric="cosine"), 2, random_state=0)
    np.testing.assert_array_equal(EmbeddingDisplay.from_estimator(fit, X).points_, expected)
    components = EmbeddingDisplay.from_estimator(fit, X, method="pca")
    np.testing.assert_array_equal(components.embedding, fit.embedding_)


# ---- what all displays share


def test_a_display_draws_into_the_axes_it_is_given():
    figure, axes = plt.subplots(1, 3)
    displays = [
        EmbeddingDisplay(X[:, :2], Y, name="mine").plot(axes[0]),
        DendrogramDisplay(CHAIN, RISING).plot(axes[1]),
        SamplesDisplay(X, Y, image_shape=(8, 8)).plot(axes[2]),
    ]
    for display, ax in zip(displays, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is figure
    assert axes[0].get_title() == "mine"


CHAIN = [[0, 1], [2, 3]]
RISING = [1.0, 2.0]
FULL = np.zeros((2, 64)), np.ones((2, 3))
ERRORS = [
    (lambda: EmbeddingDisplay(X, Y[:5]).plot(), r"numbers of samples: \[120, 5\]"),
    (lambda: EmbeddingDisplay(X, method="umap").plot(), "'pca', 'neighbors'.*got 'umap'"),
    (lambda: EmbeddingDisplay(X[0]).plot(), "Expected 2D array"),
    (lambda: SamplesDisplay(X, image_shape=(7, 8)).plot(), r"\(7, 8\) does not fit.*64"),
    (lambda: SamplesDisplay(X, image_shape=(2, 4, 8)).plot(), "1 or 3 channels"),
    (lambda: DendrogramDisplay.from_estimator(MEANS), "KMeans has no children_ and distances_"),
    (lambda: DendrogramDisplay([[0, 1], [0, 3]], RISING).plot(), "children and distances"),
    (lambda: DendrogramDisplay(CHAIN, RISING, n_clusters=4).plot(), "n_clusters=4 must be"),
]


@pytest.mark.parametrize(("draw", "message"), ERRORS)
def test_errors_say_what_is_expected(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


# ---- samples and codes


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (2, 3, 1)])
def test_images_lie_in_the_row_of_their_cluster(shape):
    samples = np.repeat(np.arange(4.0)[:, None], 6, axis=1)
    grid = SamplesDisplay(samples, [1, 0, 1, 1], image_shape=shape).plot().image_.get_array()
    assert grid.shape == (5, 11)
    np.testing.assert_array_equal(grid[0:2, 0:3], np.ones((2, 3)))
    np.testing.assert_array_equal(grid[3:5, 4:7], np.full((2, 3), 2.0))
    assert grid.mask[0:2, 4:].all()


@pytest.mark.parametrize("channels_first", [True, False])
def test_color_images(channels_first):
    image = np.random.RandomState(0).uniform(size=(4, 5, 3))
    stored = np.moveaxis(image, -1, 0) if channels_first else image
    display = SamplesDisplay(stored.reshape(1, -1), image_shape=stored.shape).plot()
    np.testing.assert_allclose(display.image_.get_array(), image)


def test_curves_lie_in_the_row_of_their_cluster_with_their_mean():
    names = [f"feature {k}" for k in range(20)]
    display = SamplesDisplay(X[:, :20], Y, feature_names=names).plot(n_columns=5)
    lines = [line.get_ydata() for line in display.ax_.lines]
    assert len(lines) == 60
    for k, row in enumerate(np.reshape(lines, (10, 6, 20))):
        assert k < row.min() < row.max() < k + 1
        own = X[k == Y, :20]
        expected = np.vstack([own[:5], own.mean(axis=0)])
        slope = np.polyfit(expected.ravel(), row.ravel(), 1)
        np.testing.assert_allclose(slope[0], -0.9 / np.ptp(X[:, :20]))
        np.testing.assert_allclose(np.polyval(slope, expected), row)
    assert texts(display.ax_.get_xticklabels()) == names[::2]
    assert texts(display.ax_.get_yticklabels()) == list("0123456789")


def test_samples_of_estimators_are_by_cluster():
    mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    display = SamplesDisplay.from_estimator(mixture, n_per_cluster=2, image_shape=(8, 8))
    np.testing.assert_array_equal(display.labels, [0, 0, 1, 1, 2, 2])
    first = mixture.sample(2, cluster=0)[0]
    np.testing.assert_array_equal(display.samples[:2], first)
    assert display.image_.get_array().shape == (26, 17)
    alone = SamplesDisplay(first, image_shape=(8, 8)).plot()
    assert alone.image_.get_array().shape == (8, 17)
    assert not len(alone.ax_.get_yticks())


# ---- dendrograms


@pytest.mark.parametrize("n_clusters", [1, 5, 30])
def test_a_dendrogram_is_cut_into_the_clusters_of_scikit_learn(n_clusters):
    model = AgglomerativeClustering(n_clusters, compute_distances=True).fit(X[:30])
    display = DendrogramDisplay.from_estimator(model)
    cut = fcluster(display.linkage_, display.cut_, "distance")
    assert adjusted_rand_score(cut, model.labels_) == 1
    colors = display.tree_["color_list"]
    counts = np.bincount(model.labels_)
    assert len(set(colors)) == np.count_nonzero(counts > 1) + (n_clusters > 1)
    label = f"{n_clusters} cluster" + "s" * (n_clusters > 1)
    assert texts(display.ax_.get_legend().get_texts()) == [label]


def test_of_many_leaves_the_last_merges_are_drawn():
    model = AgglomerativeClustering(3, compute_distances=True, linkage="single").fit(X)
    display = DendrogramDisplay.from_estimator(model).plot(max_leaves=7)
    assert len(display.tree_["leaves"]) == 7
    assert sum(map(int, display.tree_["ivl"])) == len(X)
    heights = np.sort([height[1] for height in display.tree_["dcoord"]])
    np.testing.assert_allclose(heights, model.distances_[-6:])
    assert len(display.plot(max_leaves=1).tree_["leaves"]) == 3


def test_leaves_of_a_neighbor_tree_have_their_samples():
    samples, _ = make_blobs(240, centers=6, cluster_std=0.5, random_state=2)
    fit = NeighborClustering(6, random_state=0).fit(samples)
    display = DendrogramDisplay.from_estimator(fit)
    assert sum(map(int, display.tree_["ivl"])) == 240
