"""The number of clusters, the tree of clusters, noise and outlier scores."""

import pickle

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from skdeepcluster import NeighborClustering, select_n_clusters
from skdeepcluster.neighbors import neighbor_graph
from skdeepcluster.partition.number import Curve, Point, _is_past
from skdeepcluster.partition.selection import Partition
from skdeepcluster.partition.tree import build_tree, group_leaves

X, _ = make_blobs(200, centers=[[0, 0], [8, 0], [0, 8], [8, 8]], random_state=0)


@pytest.fixture(scope="module")
def auto():
    return NeighborClustering("auto", random_state=0).fit(X)


@pytest.mark.parametrize("n_clusters", [2, 8])
def test_separate_groups_are_counted(n_clusters):
    labels = np.arange(40 * n_clusters) % n_clusters
    centers = 8.0 * np.c_[labels // 5, labels % 5]
    rows = centers + np.random.default_rng(n_clusters).normal(size=centers.shape)
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert adjusted_rand_score(labels, found.labels_) > 0.95
    assert found.n_clusters_ == n_clusters


@pytest.mark.parametrize(
    ("draw", "shape"), [("normal", (100, 8)), ("uniform", (300, 1)), ("uniform", (300, 5))]
)
def test_one_normal_or_uniform_cluster_is_one(draw, shape):
    rows = getattr(np.random.RandomState(0), draw)(size=shape)
    model = NeighborClustering((1, 20), random_state=0)
    assert model.fit(rows).n_clusters_ == 1


def test_the_number_taken_is_near_the_peak_of_the_curve(auto):
    curve = auto.n_clusters_curve_
    tried = [1, 2, 3, 4, 5, 6, 7, 9, 13, 19]
    assert curve.n_clusters.tolist() == tried
    assert 0 <= curve.expected_score[0] < 0.1, "the probability of a single cluster"
    assert curve.expected_score[3] > curve.expected_score.max() - 0.05
    assert auto.n_clusters_ == 4
    assert curve.stability[3] > 0.9 > curve.stability[-1]


def test_number_is_chosen_among_those_given():
    model = NeighborClustering(random_state=0)
    found = select_n_clusters(X, model, [2, 4, 9])
    assert found.best_n_clusters == 4
    assert found.curve["n_clusters"].tolist() == [2, 4, 9]
    again = select_n_clusters(X, model, np.array([9, 4, 2])).curve
    np.testing.assert_array_equal(again["expected_score"], found.curve["expected_score"])
    in_range = NeighborClustering(range(3, 7), random_state=0).fit(X)
    assert in_range.n_clusters_ == 4
    assert in_range.n_clusters_curve_["n_clusters"].tolist() == [3, 4, 5, 6]
    with pytest.warns(ConvergenceWarning, match="chose 1, the largest.*only 3 distinct samples"):
        assert NeighborClustering("auto").fit(np.repeat(X[:3], 50, axis=0)).n_clusters_ == 1


def test_clusters_of_distances_are_counted():
    graph = neighbor_graph(X, 10)
    graph.data = 1 / graph.data
    for distances in (graph, pairwise_distances(X)):
        model = NeighborClustering("auto", metric="precomputed", random_state=0)
        assert model.fit(distances).n_clusters_ == 4


def test_tree_of_parts_is_wards_tree():
    points = np.random.default_rng(0).normal(size=(30, 3))
    weights = np.arange(30) % 3 + 1
    labels = np.zeros(30, dtype=int)
    parts = np.arange(30)
    _, _, children, distances = build_tree(points, points, labels, np.ones(30), parts)
    expected = linkage(points, "ward")
    np.testing.assert_array_equal(np.sort(children, 1), expected[:, :2])
    np.testing.assert_allclose(distances, expected[:, 2])
    _, _, children, _ = build_tree(points, points, labels, weights, parts)
    weighted = group_leaves(children, labels, 5)
    copies = fcluster(linkage(np.repeat(points, weights, axis=0), "ward"), 5, "maxclust")
    assert adjusted_rand_score(np.repeat(weighted, weights), copies) == 1


def test_clusters_are_merged_after_all_their_parts():
    embedding = np.random.default_rng(0).normal(size=(200, 2))
    labels = (embedding[:, 0] > 0) + 2 * (embedding[:, 1] > 1)
    parts = np.arange(200) % 9
    _, clusters, children, distances = build_tree(
        embedding, embedding, labels, np.ones(200), parts
    )
    assert (np.diff(distances) >= 0).all()
    np.testing.assert_array_equal(group_leaves(children, clusters, 4), clusters)
    finer = np.arange(len(clusters))
    for n_clusters in range(len(clusters), 0, -1):
        cut = group_leaves(children, clusters, n_clusters)
        assert set(cut) == set(range(n_clusters))
        assert len(set(zip(finer, cut, strict=True))) == len(set(finer))  # cuts are nested
        finer = cut


def test_cuts_of_a_fit(auto):
    tree = auto.tree_
    np.testing.assert_array_equal(tree.cut(auto.n_clusters_), auto.labels_)
    assert set(tree.cut(7)) == set(range(7))
    n_leaves = len(tree.children) + 1
    for number, message in ((0, "== 0"), (n_leaves + 1, f"<= {n_leaves}")):
        with pytest.raises(ValueError, match=message):
            tree.cut(number)
    near = X + (X > 4) * [-4, 40]  # a coarse cut joins near clusters
    cut = NeighborClustering(4, random_state=0).fit(near).tree_.cut(2)
    assert adjusted_rand_score(X[:, 1] > 4, cut) == 1
    with pytest.warns(ConvergenceWarning, match="Only 1 of"):
        equal = NeighborClustering(2, random_state=0).fit(np.ones((9, 2)))
    assert not equal.tree_.cut(1).any()


def test_the_tree_is_grown_on_demand():
    rows, _ = make_blobs(240, centers=6, cluster_std=0.5, random_state=2)
    fit = NeighborClustering("auto", random_state=0).fit(rows)
    copy = pickle.loads(pickle.dumps(fit))
    assert fit._tree is None
    tree = fit.tree_
    assert fit._tree is tree
    for other in (copy, pickle.loads(pickle.dumps(fit))):
        np.testing.assert_array_equal(other.tree_.children, tree.children)
        np.testing.assert_array_equal(other.tree_.leaves, tree.leaves)
        np.testing.assert_array_equal(other.tree_.cut(2), tree.cut(2))
    used = fit.use(fit.alternatives_[0])
    np.testing.assert_array_equal(used.tree_.cut(used.n_clusters_), used.labels_)
    assert not np.array_equal(used.tree_.children, tree.children)
    assert fit.tree_ is tree


def test_groups_without_common_neighbors_are_cut_apart():
    near = np.array([[0, 0], [12, 0], [0, 12]])
    centers = np.concatenate([far + near for far in 8 * near])
    labels = np.arange(270) // 30
    rows = centers[labels] + np.random.default_rng(0).normal(size=(270, 2))
    cut = NeighborClustering(9, random_state=0).fit(rows).tree_.cut(3)
    assert adjusted_rand_score(labels // 3, cut) == 1


def test_share_asked_for_is_noise():
    rows = np.r_[X, np.random.default_rng(0).uniform(-20, 28, size=(20, 2))]
    plain = NeighborClustering(4, random_state=0).fit(rows)
    noisy = NeighborClustering(4, contamination=0.05, random_state=0).fit(rows)
    distances = np.sort(np.linalg.norm(rows[:, None] - rows, axis=2), axis=1)[:, 1:16].mean(1)
    np.testing.assert_allclose(noisy.outlier_scores_, distances, rtol=1e-6)
    np.testing.assert_allclose(noisy.score_samples(rows), -distances, rtol=1e-6)
    worst = np.argsort(-distances)[:11]
    expected = plain.labels_.copy()
    expected[worst] = -1
    np.testing.assert_array_equal(noisy.labels_, expected)
    np.testing.assert_array_equal(noisy.predict(rows), expected)
    assert (noisy.tree_.cut(2)[worst] == -1).all()
    assert noisy.predict([[100.0, 100.0]])[0] == -1


def test_numbers_around_the_best_are_tried_afterwards():
    rows, _ = make_blobs(20 * [10], 9, center_box=(-50, 50), random_state=0)
    found = NeighborClustering((9, 40), random_state=0).fit(rows)
    curve = found.n_clusters_curve_
    assert found.n_clusters_ == 20
    assert curve.n_clusters[[0, -1]].tolist() == [9, 40]
    assert {19, 20, 21} < set(curve.n_clusters)
    assert len(curve.n_clusters) <= 32 / 2
    assert NeighborClustering("auto").fit(np.ones((9, 2))).n_clusters_ == 1


def make_curve(numbers, evidence, stability):
    """Return a curve whose scores are its evidence."""
    evidence = np.array(evidence)
    return Curve(numbers, evidence, evidence, np.array(stability), np.zeros(len(numbers)))


def test_the_best_number_of_a_curve():
    curve = make_curve(np.arange(1, 8), [0.1, 0.7, 0.6, 0.9, 0.9, 0.3, 0.8], np.zeros(7))
    assert curve.best == 4


@pytest.mark.parametrize(
    ("score", "stability", "best"),
    [(0.96, 1.0, 3), (0.94, 1.0, 4), (0.96, 0.75, 4), (0.96, 0.82, 4)],
)
def test_agreement_decides_between_scores_about_equal(score, stability, best):
    curve = make_curve(np.arange(1, 5), [0.9, 0.5, score, 1.0], [1, 0.5, stability, 0.8])
    assert curve.best == best


def test_agreement_does_not_decide_against_a_single_cluster():
    assert make_curve(np.arange(1, 3), [0.9, 0.85], np.ones(2)).best == 1


def test_the_number_with_the_most_evidence_is_taken():
    moons, _ = make_moons(300, noise=0.05, random_state=0)
    found = NeighborClustering((2, 9), random_state=0).fit(moons)
    curve = found.n_clusters_curve_
    again = [found.n_clusters_, *(other.n_clusters for other in found.alternatives_)]
    evidence = curve.evidence[np.searchsorted(curve.n_clusters, again)]
    assert evidence.tolist() == sorted(evidence, reverse=True)
    # Both moons are whole: more clusters have borders without a valley.
    assert found.n_clusters_ == 2
    assert curve.saddle_density[0] < 0.6 < curve.saddle_density[1:].min()
    assert (curve.evidence <= curve.expected_score).all()
    assert curve.evidence[0] == curve.expected_score[0]


def test_a_full_search_counts_half_of_the_evidence():
    curve = make_curve(np.arange(1, 4), [0.2, 0.6, 0.5], np.ones(3))
    found = curve.update([Partition(np.eye(3), 0.9), Partition(np.eye(3)[:, :2], 0.4)])
    np.testing.assert_allclose(found.evidence, [0.2, 0.5, 0.7])
    np.testing.assert_allclose(found.expected_score, [0.2, 0.4, 0.9])


@pytest.mark.parametrize(
    ("last", "is_past"), [((0.1, 0.1), True), ((0.1, 0.8), False), ((0.8, 0.1), False)]
)
def test_two_low_scores_end_the_search(last, is_past):
    scores = dict(zip([1, 2, 9, 13, 19], [0.3, 0.9, 0.1, *last], strict=True))
    points = {k: Point(score) for k, score in scores.items()}
    assert _is_past(points) == is_past


@pytest.mark.parametrize(
    ("draw", "share"),
    [
        (make_moons, 0.15),
        (make_circles, 0.3),
        pytest.param(make_moons, 0.3, marks=pytest.mark.full),
    ],
)
def test_noise_in_the_background_adds_no_cluster(draw, share):
    rng = np.random.RandomState(0)
    options = {"factor": 0.5} if draw is make_circles else {}
    rows, labels = draw(400, noise=0.05, random_state=0, **options)
    noise = rng.uniform(rows.min(0) - 0.3, rows.max(0) + 0.3, (int(share * 400), 2))
    found = NeighborClustering("auto", random_state=0).fit(np.vstack([rows, noise]))
    assert found.n_clusters_ == 2
    assert adjusted_rand_score(labels, found.labels_[:400]) > 0.9


@pytest.mark.parametrize("apart", [4.0, 6.0])
def test_overlapping_groups_are_several(apart):
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(300, 2)) + apart * np.repeat([[0, 0], [1, 0]], 150, axis=0)
    assert NeighborClustering("auto", random_state=0).fit(rows).n_clusters_ == 2


def test_separate_clusters_of_unequal_spread_are_not_divided():
    spreads = [0.5, 1, 1.5, 0.7, 0.3, 2, 0.8]
    rows, labels = make_blobs([30] * 7, 12, cluster_std=spreads, random_state=0)
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert found.n_clusters_ == 7
    assert adjusted_rand_score(labels, found.labels_) == 1


def test_a_second_fit_has_a_tree_of_its_own(blobs):
    fit = NeighborClustering(3, random_state=0).fit(blobs[0])
    fit.tree_.cut(2)
    other = NeighborClustering(3, random_state=0).fit(blobs[0][:90])
    np.testing.assert_array_equal(fit.fit(blobs[0][:90]).tree_.children, other.tree_.children)
