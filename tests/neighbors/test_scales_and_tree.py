"""The number of clusters, the tree of clusters, and the merging of clusters."""

import numpy as np
import pytest
from scipy import sparse
from scipy.cluster.hierarchy import linkage as linkage_tree
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.neighbors import count_clusters, merge_clusters, neighbor_graph, scales
from skdeepcluster.neighbors.tree import NearestGroups, build_ward_tree, cut_tree, grow_tree

SQUARE = [[0, 0], [8, 0], [0, 8], [8, 8]]
X, Y = make_blobs(400, centers=SQUARE, random_state=0)


@pytest.fixture(scope="module")
def auto():
    return NeighborClustering("auto", random_state=0).fit(X)


# ---- the number


@pytest.mark.parametrize("n_clusters", [2, 7, 20])
def test_separate_groups_are_counted(n_clusters):
    random = np.random.default_rng(n_clusters)
    sides = int(np.ceil(np.sqrt(n_clusters)))
    centers = np.array([(i, j) for i in range(sides) for j in range(sides)])[:n_clusters]
    labels = np.arange(60 * n_clusters) % n_clusters
    rows = 8.0 * centers[labels] + random.normal(size=(len(labels), 2))
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert found.n_clusters_ == n_clusters
    assert adjusted_rand_score(labels, found.labels_) > 0.95


def test_long_shapes_are_not_cut_into_pieces():
    rows, labels = make_moons(600, noise=0.05, random_state=0)
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert found.n_clusters_ == 2
    assert adjusted_rand_score(labels, found.labels_) == 1


@pytest.mark.parametrize("n_features", [2, 10])
def test_rows_of_one_normal_distribution_are_one_cluster(n_features):
    rows = np.random.default_rng(0).normal(size=(500, n_features)) * np.arange(1, n_features + 1)
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert found.n_clusters_ == 1
    assert (found.labels_ == 0).all()


@pytest.mark.parametrize("spread", [1.0, 1e-6])
def test_clusters_of_one_feature_are_parted_where_rows_are_rare(spread):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [300, 60, 240])
    rows = spread * (np.array([0.0, 7.0, 14.0])[labels] + random.normal(size=600))[:, None]
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert found.n_clusters_ == 3
    assert adjusted_rand_score(labels, found.labels_) > 0.98
    assert found.n_clusters_curve_.criterion.argmax() == 2
    assert found.n_clusters_curve_.criterion[0] == 0
    leads = np.maximum(found.n_clusters_curve_.criterion, 0)
    np.testing.assert_array_equal(found.n_clusters_curve_.persistence, leads)
    # Sparse rows, and copies as weights, are the same rows.
    weights = random.integers(1, 4, 600)
    whole = NeighborClustering(3, random_state=0).fit(rows, sample_weight=weights)
    for other in (sparse.csr_array(rows), np.repeat(rows, weights, 0)):
        again = NeighborClustering(3, random_state=0).fit(other)
        assert adjusted_rand_score(again.predict(rows), whole.labels_) > 0.98


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_one_cluster_of_one_feature_is_one(draw):
    rows = getattr(np.random.default_rng(0), draw)(size=(300, 1))
    assert count_clusters(rows, random_state=0).best_n_clusters == 1


@pytest.mark.parametrize("shape", [(300, 2), (300, 5), (100, 8)])
@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_rows_without_clusters_are_one(draw, shape):
    rows = getattr(np.random.RandomState(0), draw)(size=shape)
    assert count_clusters(rows, random_state=0).best_n_clusters == 1


def test_few_values_of_one_feature_are_counted():
    values = np.repeat([[0.0], [1.0], [5.0]], 50, axis=0)
    with pytest.warns(ConvergenceWarning, match="one cluster for five distinct rows"):
        assert count_clusters(values, random_state=0).best_n_clusters == 1
    heavy = np.r_[1e9, np.ones(39)]
    one = count_clusters(np.arange(40.0)[:, None], sample_weight=heavy, random_state=0)
    assert one.best_n_clusters == 1
    many = np.repeat(np.r_[0:10, 100:110], 5)[:, None].astype(float)
    assert count_clusters(many, random_state=0).best_n_clusters == 2


def test_the_curve_peaks_at_the_number_taken(auto):
    curve = auto.n_clusters_curve_
    assert auto.n_clusters_ == 4
    np.testing.assert_array_equal(curve.n_clusters, np.arange(1, 61))
    for name in ("criterion", "persistence", "stability"):
        assert curve[name].shape == (60,)
    assert curve.criterion.argmax() == curve.persistence.argmax() == 3
    assert curve.stability[3] > 0.99
    assert curve.stability[3] > curve.stability[20]
    assert not hasattr(NeighborClustering(3).fit(X), "n_clusters_curve_")


def test_a_number_at_the_end_is_warned_of():
    with pytest.warns(ConvergenceWarning, match=r"chose 3, the largest.*Raise max_clusters=3"):
        NeighborClustering("auto", max_clusters=3, random_state=0).fit(X)


def test_precomputed_distances_and_few_rows_are_counted():
    graph = neighbor_graph(X, 10)
    graph.data = 1 / graph.data
    found = NeighborClustering("auto", metric="precomputed", random_state=0).fit(graph)
    assert found.n_clusters_ == 4
    with pytest.warns(ConvergenceWarning, match="at most one cluster for five distinct rows"):
        assert NeighborClustering("auto", random_state=0).fit(X[:3]).n_clusters_ == 1


def test_information_over_times_is_that_of_powers_of_the_walk():
    rows, _ = make_blobs(90, centers=3, random_state=0)
    graph = neighbor_graph(rows, 8)
    micro = scales.grow_micro_clusters(rows, np.ones(90), 5, np.random.RandomState(0))
    information, entropy = scales.measure_over_times(micro, graph, 5)
    degree = np.asarray(graph.sum(1)).ravel()
    steps = np.linalg.matrix_power(graph.toarray() / degree[:, None], scales.BASE_STEPS)
    at = int(np.flatnonzero(scales.TIMES == scales.BASE_STEPS)[0])
    for n_clusters in range(1, 6):
        cut = np.eye(n_clusters)[cut_tree(micro.children, micro.sizes, n_clusters)[micro.labels]]
        joint = cut.T @ (degree[:, None] * (steps @ cut)) / degree.sum()
        ends = joint.sum(1)
        independent = np.outer(ends, ends)
        known = joint > 0
        expected = (joint[known] * np.log(joint[known] / independent[known])).sum()
        assert information[at, n_clusters - 1] == pytest.approx(expected, abs=1e-4)
        assert entropy[at, n_clusters - 1] == pytest.approx(-(ends * np.log(ends)).sum(), abs=1e-5)
    assert (np.diff(information, axis=0) < 1e-6).all()  # a longer walk forgets
    assert (np.diff(information, axis=1) > -1e-9).all()  # a finer cut tells more


def test_the_number_of_clusters_is_the_best_at_most_times():
    rows, _ = make_blobs(90, centers=3, random_state=0)
    graph, stream = neighbor_graph(rows, 8), np.random.RandomState(0)
    micro = scales.grow_micro_clusters(rows, np.ones(90), 5, stream)
    curve = scales.choose_scale(micro, graph, None, 5, stream)
    shares, gains = [], []
    for known, entropy in zip(*scales.measure_over_times(micro, graph, 5), strict=True):
        shares.append(known / np.maximum(entropy, 1e-300))
        gains.append(known * shares[-1] ** 2)
    best, persistence = np.argmax(gains, 1), np.zeros(5)
    np.add.at(persistence, best, np.square(shares)[np.arange(len(best)), best])
    np.testing.assert_allclose(curve.persistence, persistence)
    assert curve.best == persistence.argmax() + 1
    is_taken = best == persistence.argmax()
    np.testing.assert_allclose(curve.criterion, np.mean(np.array(gains)[is_taken], 0))
    assert curve.stability[0] == 1


def test_the_rand_index_counts_pairs_of_many_copies():
    """With replacement, so that a row and itself are a pair, as two of many copies would be."""
    table = np.random.default_rng(0).integers(0, 5, size=(3, 4))
    one, other = np.repeat(np.argwhere(table >= 0), table.ravel(), axis=0).T
    pairs = [np.ravel(labels[:, None] == labels) for labels in (one, other)]
    together, chance = np.mean(pairs[0] & pairs[1]), np.prod(np.mean(pairs, 1))
    expected = (together - chance) / (np.mean(pairs) - chance)
    assert scales.adjusted_rand(table) == pytest.approx(expected)
    copies = adjusted_rand_score(np.repeat(one, 100), np.repeat(other, 100))
    assert scales.adjusted_rand(table) == pytest.approx(copies, abs=1e-2)
    assert scales.adjusted_rand(np.diag([3.0, 1.0])) == pytest.approx(1)
    assert scales.adjusted_rand(np.ones((1, 1))) == 1


# ---- the tree


def test_distances_are_those_of_scipy():
    points = np.random.default_rng(0).normal(size=(30, 3))
    _, distances = build_ward_tree(points, np.ones(30))
    np.testing.assert_allclose(distances, linkage_tree(points, "ward")[:, 2])
    model = AgglomerativeClustering(2, compute_distances=True).fit(points)
    np.testing.assert_allclose(distances, model.distances_)


def test_of_equal_pairs_the_first_is_merged():
    random, merges = np.random.default_rng(0), [(3, 7), (0, 3), (1, 2), (4, 8), (0, 5), (1, 4)]
    growth = np.triu(random.integers(0, 4, size=(9, 9)).astype(float), 1)
    growth += growth.T + np.diag(np.full(9, np.inf))
    groups = NearestGroups(growth)
    for i, j in merges:
        others = np.isfinite(growth[i]) & (np.arange(9) != j)
        growth[j] = growth[:, j] = np.inf
        growth[i, others] = growth[others, i] = random.integers(0, 4, others.sum())
        groups.update(i, j)
        alive = np.isfinite(growth).any(1)
        np.testing.assert_array_equal(groups.nearest[alive], growth.argmin(1)[alive])
        assert tuple(groups.find_pair()) == np.unravel_index(growth.argmin(), growth.shape)


def test_clusters_are_merged_after_all_their_parts():
    layout = np.random.default_rng(0).normal(size=(200, 2))
    labels = (layout[:, 0] > 0) + 2 * (layout[:, 1] > 3)
    tree = grow_tree(layout, labels, np.ones(200), np.arange(200) % 9)
    n_found = len(np.unique(labels))
    numbers = np.unique(tree.clusters, return_inverse=True)[1]
    np.testing.assert_array_equal(numbers, tree.cut(n_found))
    assert (np.diff(tree.distances) >= 0).all()
    coarse = None
    for n_clusters in range(len(tree.clusters), 0, -1):
        cut = tree.cut(n_clusters)
        assert len(np.unique(cut)) == n_clusters
        if coarse is not None:  # every cut is nested in those of fewer clusters
            assert len(np.unique(np.column_stack([coarse, cut]), axis=0)) == n_clusters + 1
        coarse = cut


def test_a_cut_into_as_many_clusters_gives_the_labels(auto):
    np.testing.assert_array_equal(auto.cut(4), auto.labels_)
    np.testing.assert_array_equal(auto.cut(7, X), auto.cut(7))
    np.testing.assert_array_equal(auto.cut(1), 0)
    assert auto.children_.shape == (auto.n_leaves_ - 1, 2)
    assert auto.leaves_.max() == auto.n_leaves_ - 1
    with pytest.raises(ValueError, match="n_clusters == 0"):
        auto.cut(0)
    with pytest.raises(ValueError, match=f"<= {auto.n_leaves_}"):
        auto.cut(auto.n_leaves_ + 1)


def test_a_coarse_cut_joins_what_is_near():
    centers = np.array([[0, 0], [6, 0], [40, 0], [46, 0]])
    labels = np.arange(400) % 4
    rows = centers[labels] + np.random.default_rng(0).normal(size=(400, 2))
    found = NeighborClustering(4, random_state=0).fit(rows)
    assert adjusted_rand_score(labels // 2, found.cut(2)) == 1


def test_clusters_without_rows_have_no_leaf():
    with pytest.warns(ConvergenceWarning, match="Only 1 of"):
        equal = NeighborClustering(2, random_state=0).fit(np.ones((9, 2)))
    np.testing.assert_array_equal(equal.cut(2), equal.labels_)
    np.testing.assert_array_equal(equal.cut(1, [[2.0, 2.0]]), [0])
    tree = grow_tree(np.eye(3), np.zeros(3, dtype=int), np.ones(3), np.arange(3))
    np.testing.assert_array_equal(tree.find_leaves(np.eye(3), np.array([0, 1, 0])), [0, 1, 2])


# ---- noise


def test_the_share_asked_for_is_noise():
    random = np.random.default_rng(0)
    rows = np.r_[X, random.uniform(-20, 28, size=(20, 2))]
    plain = NeighborClustering(4, random_state=0).fit(rows)
    noisy = NeighborClustering(4, noise=0.05, random_state=0).fit(rows)
    assert (noisy.labels_ == -1).sum() == 21
    assert (plain.labels_ >= 0).all()
    kept = noisy.labels_ >= 0
    np.testing.assert_array_equal(noisy.labels_[kept], plain.labels_[kept])
    np.testing.assert_array_equal(noisy.predict(rows), noisy.labels_)
    np.testing.assert_allclose(noisy.predict_proba(rows).sum(1), 1)
    assert (noisy.cut(2)[~kept] == -1).all()
    worst = np.argsort(-noisy.outlier_scores_)[:21]
    np.testing.assert_array_equal(np.sort(worst), np.flatnonzero(~kept))
    assert noisy.predict([[100.0, 100.0]])[0] == -1


def test_noise_is_a_share_of_the_weights():
    rows, weights = np.r_[X[:100], [[500.0, 0.0], [0.0, 900.0]]], np.r_[np.arange(100) % 4, 0, 0]
    noisy = NeighborClustering(4, noise=0.1, random_state=0)
    weighted = noisy.fit(rows, sample_weight=weights).labels_
    assert (weighted[100:] == -1).all()
    share = weights[weighted == -1].sum() / weights.sum()
    assert 0.08 < share <= 0.1
    repeated = noisy.fit(np.repeat(rows, weights, axis=0)).labels_
    np.testing.assert_array_equal(np.repeat(weighted, weights), repeated)


def test_outlier_scores_are_mean_distances_to_neighbours():
    found = NeighborClustering(2, n_neighbors=3, random_state=0).fit(X[:50])
    distances = np.sort(np.linalg.norm(X[:50, None] - X[:50], axis=2), axis=1)
    np.testing.assert_allclose(found.outlier_scores_, distances[:, 1:4].mean(1), rtol=1e-6)
    np.testing.assert_allclose(found.score_samples(X[:50]), -found.outlier_scores_)
    far = np.sort(np.linalg.norm(X[:50] - [30, 30], axis=1))[:3].mean()
    assert found.score_samples([[30.0, 30.0]])[0] == pytest.approx(-far, rel=1e-6)


# ---- merging


@pytest.mark.parametrize("linkage", ["average", "share"])
def test_parts_of_groups_are_merged(linkage):
    parts = 3 * Y + np.random.default_rng(0).integers(0, 3, len(Y))
    merged = merge_clusters(parts, X, 4, linkage=linkage)
    assert adjusted_rand_score(merged, Y) == 1
    again = merge_clusters(parts, neighbor_graph(X), 4, metric="graph", linkage=linkage)
    np.testing.assert_array_equal(merged, again)
    names = np.array(list("abcdefghijkl"))[parts]
    np.testing.assert_array_equal(merge_clusters(names, X, 4, linkage=linkage), merged)


def test_noise_stays_noise_and_probabilities_are_summed():
    parts = 3 * Y + np.arange(len(Y)) % 3
    noisy = np.where(np.arange(len(Y)) % 10 == 0, -1, parts)
    merged = merge_clusters(noisy, X, 4)
    np.testing.assert_array_equal(merged == -1, noisy == -1)
    assert adjusted_rand_score(merged[noisy >= 0], Y[noisy >= 0]) == 1
    resp = 0.7 * np.eye(12)[parts] + 0.3 / 12
    summed = merge_clusters(resp, X, 4)
    assert summed.shape == (len(Y), 4)
    np.testing.assert_allclose(summed.sum(1), 1)
    np.testing.assert_array_equal(summed.argmax(1), merge_clusters(parts, X, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Y, X, 5), "n_clusters == 5, must be <= 4"),
        ((Y[:9], X, 2), "X is of 400 rows, clusters of 9"),
        ((np.ones((400, 2)), X, 1), "no probabilities"),
        ((np.full(400, -1), X, 1), "All rows of clusters are noise"),
    ],
)
def test_wrong_clusters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        merge_clusters(*arguments)


def test_a_wrong_graph_and_a_wrong_linkage_are_refused():
    with pytest.raises(ValueError, match="The graph is of 3 rows"):
        merge_clusters(Y, sparse.eye(3).tocsr(), 2, metric="graph")
    for weights, message in (([-1.0, -1.0], "least weight is -1"), ([1.0, 0.0], "up to 1")):
        graph = sparse.csr_matrix((weights, ([0, 1], [1, 0])))
        with pytest.raises(ValueError, match=message):
            merge_clusters([0, 1], graph, 1, metric="graph")
    with pytest.raises(ValueError, match="linkage must be"):
        merge_clusters(Y, X, 2, linkage="ward")
