"""The neighbour graph, its layout and the start: laws first, then limits, then errors."""

import itertools

import joblib
import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as linkage_tree
from scipy.spatial.distance import pdist, squareform
from scipy.stats import multivariate_normal
from sklearn.cluster import AgglomerativeClustering
from sklearn.covariance import empirical_covariance, oas
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from skdeepcluster.neighbors import (
    agglomeration,
    candidates,
    count_clusters,
    labelled_start,
    neighbor_graph,
    neighbor_layout,
    neighbor_start,
    selection,
    spread_labels,
    tree,
)
from skdeepcluster.neighbors.layout import CURVE_A, CURVE_B, _step_block
from skdeepcluster.neighbors.partition import _draw_rows
from skdeepcluster.neighbors.selection import (
    count_votes,
    count_walk_steps,
    draw_null,
    score_by_walk,
    soften,
)
from skdeepcluster.neighbors.whitening import (
    prepare_rows,
    scatter_between_neighbors,
    scatter_within_clusters,
    shrink,
    whiten_by_neighbors,
    whitening_matrix,
)

X, Y = make_blobs(240, n_features=6, centers=4, random_state=1)
NORMAL = np.random.default_rng(0).normal(size=(150, 6))


def assert_graph(graph, n_rows):
    """Square, symmetric, weights in (0, 1], no loops."""
    assert sparse.issparse(graph)
    assert graph.format == "csr"
    assert graph.shape == (n_rows, n_rows)
    assert graph.dtype == np.float32
    assert (graph != graph.T).nnz == 0
    assert np.all((graph.data > 0) & (graph.data <= 1))
    assert not graph.diagonal().any()


# ---- the graph


@pytest.mark.parametrize("n_features", [1, 6, 40])
def test_graph_links_each_row_to_its_nearest_rows(n_features):
    rows = np.random.default_rng(0).normal(size=(80, n_features))
    graph = neighbor_graph(rows, 5).toarray()
    assert_graph(neighbor_graph(rows, 5), 80)
    distances = pairwise_distances(rows)
    np.fill_diagonal(distances, np.inf)
    near = distances <= np.sort(distances, axis=1)[:, [4]]
    np.testing.assert_array_equal(graph > 0, near | near.T)
    np.testing.assert_allclose(graph[np.arange(80), distances.argmin(1)], 1)


def test_weights_of_a_row_add_up_to_the_logarithm_of_the_neighbours():
    # One row in the middle of nobody's neighbourhood: its links are its own.
    rows = np.r_[NORMAL, [[9.0] * 6]]
    graph = neighbor_graph(rows, 7)
    np.testing.assert_allclose(graph[-1].sum(), np.log2(8), rtol=1e-5)


def test_graph_is_equivariant_to_the_order_of_rows_and_blind_to_units():
    order = np.random.default_rng(1).permutation(len(NORMAL))
    graph = neighbor_graph(NORMAL)
    for same in (neighbor_graph(NORMAL[order]), neighbor_graph(NORMAL[order] * 1000.0)):
        np.testing.assert_allclose(same.toarray(), graph[order][:, order].toarray(), atol=1e-5)


def test_sparse_equals_dense_and_metrics_are_heard():
    dense = np.where(NORMAL > 0.5, NORMAL, 0) + np.eye(150, 6)
    one, other = neighbor_graph(dense), neighbor_graph(sparse.csr_matrix(dense))
    assert_graph(other, 150)
    # Ties between equal rows may be broken either way.
    np.testing.assert_allclose(one.sum(), other.sum(), rtol=0.02)
    cosine = neighbor_graph(NORMAL, 5, metric="cosine")
    found = NearestNeighbors(n_neighbors=5, metric="cosine").fit(NORMAL).kneighbors_graph()
    assert (found.toarray()[cosine.toarray() == 0]).sum() == 0


def test_distances_given_make_the_graph_of_the_rows():
    distances = pairwise_distances(NORMAL)
    expected = neighbor_graph(NORMAL, 6).toarray()
    listed = NearestNeighbors(n_neighbors=6).fit(NORMAL).kneighbors_graph(mode="distance")
    for given in (distances, listed):
        graph = neighbor_graph(given, 6, metric="precomputed")
        assert_graph(graph, 150)
        np.testing.assert_allclose(graph.toarray(), expected, atol=1e-5)
    assert neighbor_graph([[0.0]], metric="precomputed").shape == (1, 1)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_of_equally_distant_rows_the_first_are_linked(container, metric):
    graph = neighbor_graph(container(np.eye(8)), 2, metric=metric).toarray()
    expected = np.zeros((8, 8))
    expected[:, :2] = expected[:2] = expected[0, 2] = expected[2, 0] = 1
    np.testing.assert_array_equal(graph, expected - np.diag(np.diag(expected)))


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("kind", ["normal", "constant", "wide"])
def test_graph_and_layout_of_few_rows(n_rows, kind):
    rows = {"normal": NORMAL, "constant": np.ones((20, 3)), "wide": np.eye(20)}[kind][:n_rows]
    graph = neighbor_graph(rows, 15)
    assert_graph(graph, n_rows)
    layout = neighbor_layout(graph, 5, n_epochs=20, random_state=0)
    assert layout.shape == (n_rows, 5)
    assert np.isfinite(layout).all()


def test_duplicates_are_neighbours_at_weight_one():
    rows = np.repeat(NORMAL[:10], 30, axis=0)
    graph = neighbor_graph(rows, 5)
    assert_graph(graph, 300)
    assert set(graph.data) == {1.0}
    assert set(graph.indptr[1:] - graph.indptr[:-1] >= 5) == {True}


def test_a_lone_duplicate_does_not_narrow_the_neighbourhood():
    rows = np.r_[NORMAL, NORMAL[:1]]
    assert (neighbor_graph(rows, 10)[0].data > 0.01).sum() >= 5


# ---- the layout


def test_layout_keeps_neighbours():
    graph = neighbor_graph(X)
    layout = neighbor_layout(graph, 2, random_state=0)
    assert layout.dtype == np.float32
    near = NearestNeighbors(n_neighbors=1).fit(layout).kneighbors(return_distance=False)[:, 0]
    assert np.mean(Y[near] == Y) == 1
    linked = graph[np.arange(len(X)), near]
    assert np.mean(np.asarray(linked) > 0) > 0.6


@pytest.mark.parametrize("n_long", [40, 70])
def test_layout_starts_from_the_slow_modes_of_the_graph(n_long):
    # A grid, with the dense solver and with the iteration: its length, then its width.
    number = np.arange(n_long * 10).reshape(n_long, 10)
    ends = (
        np.c_[number[:-1].ravel(), number[1:].ravel()],
        np.c_[number[:, 1:].ravel() - 1, number[:, 1:].ravel()],
    )
    i, j = np.concatenate(ends).T
    grid = sparse.coo_matrix((np.ones(len(i)), (i, j)), (number.size, number.size))
    layout = neighbor_layout(grid + grid.T, 1, n_epochs=0, random_state=0)
    along = layout.reshape(n_long, 10).mean(1)
    assert np.all(np.diff(along) > 0) or np.all(np.diff(along) < 0)
    assert layout.reshape(n_long, 10).std(1).max() < 0.02 * along.std()
    assert abs(layout).max() == pytest.approx(10, abs=1e-3)
    assert layout.mean() == pytest.approx(0, abs=1e-3)


def test_a_step_follows_the_gradient_of_the_similarities():
    """Log q of linked rows and log(1 - q) of others, with q(d) = 1 / (1 + a d^(2 b))."""
    a, b, stream = CURVE_A, CURVE_B, np.random.default_rng(0)
    y, linked, here = 3 * stream.normal(size=(2, 12)), stream.permutation(12), slice(3, 9)
    rows, likelihood = torch.tensor(y.T).requires_grad_(), 0
    for which, is_linked in ((linked, True), (np.arange(5, 17) % 12, False)):
        gaps = rows - rows.detach()[torch.from_numpy(which)]
        power = a * gaps.square().sum(1).clamp_min(1e-12) ** b
        likelihood = likelihood - torch.log1p(power if is_linked else 1 / power).sum()
    (gradient,) = torch.autograd.grad(likelihood, rows)
    found = _step_block(y, np.c_[y, y], linked[None], [5], 0.5, here)
    np.testing.assert_allclose((found - y[:, here]).T, 0.5 * gradient[here], rtol=0.02, atol=1e-3)


def test_a_ring_is_laid_out_as_a_ring():
    ring = sparse.diags([1.0, 1.0], [1, -1], shape=(300, 300)).tolil()
    ring[0, 299] = ring[299, 0] = 1
    radius = np.linalg.norm(neighbor_layout(ring, 2, n_epochs=0, random_state=0), axis=1)
    assert radius.std() / radius.mean() < 0.01


def test_layout_of_rows_and_parts_without_links():
    parts = sparse.block_diag([neighbor_graph(NORMAL[:k], 5) for k in (60, 60, 40, 1, 1)], "csr")
    layout = neighbor_layout(parts, 2, n_epochs=50, random_state=0)
    assert np.isfinite(layout).all()
    assert len(np.unique(layout, axis=0)) == 162
    centres = np.array([layout[:60].mean(0), layout[60:120].mean(0), layout[120:160].mean(0)])
    gap = pairwise_distances(centres)[np.triu_indices(3, 1)].min()
    assert gap > 2 * max(layout[:60].std(0).max(), layout[60:120].std(0).max())


def test_threads_and_seeds():
    graph = neighbor_graph(np.random.default_rng(2).normal(size=(9000, 3)), n_jobs=2)
    one = neighbor_layout(graph, 2, n_epochs=1, random_state=3)
    two = neighbor_layout(graph, 2, n_epochs=1, random_state=3, n_jobs=2)
    np.testing.assert_array_equal(one, two)
    assert np.any(one != neighbor_layout(graph, 2, n_epochs=1, random_state=4))


# ---- the start


def assert_start(start, n_rows, n_clusters):
    assert start.responsibilities.shape == (n_rows, n_clusters)
    np.testing.assert_allclose(start.responsibilities.sum(1), 1)
    np.testing.assert_array_equal(start.labels, start.responsibilities.argmax(1))
    assert len(start.layout) == n_rows
    assert len(start.sample_indices) == start.graph.shape[0]
    assert start.criterion <= np.log(n_clusters) + 1e-12


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_with_more_copies_than_neighbours_keep_their_surroundings(container):
    """Fifty copies of each of eight points, near one another by fours."""
    points = np.array([[a, b + c] for a in (0.0, 1.0) for b in (0.0, 30.0) for c in (0.0, 1.5)])
    order = np.random.default_rng(0).permutation(400)
    rows, groups = np.repeat(points, 50, 0)[order], np.repeat(points[:, 1] > 15, 50)[order]
    start = neighbor_start(container(rows), 2, random_state=0)
    assert_start(start, 400, 2)
    assert adjusted_rand_score(groups, start.labels) == 1
    assert len(start.sample_indices) == 8


def test_one_point_many_times_is_divided_all_the_same():
    start = neighbor_start(np.ones((60, 3)), 8, random_state=0)
    assert_start(start, 60, 8)


def test_start_finds_blobs():
    start = neighbor_start(X, 4, n_init=5, random_state=0)
    assert_start(start, 240, 4)
    assert adjusted_rand_score(Y, start.labels) == 1
    assert start.criterion > 0.99 * np.log(4)
    np.testing.assert_array_equal(start.sample_indices, np.arange(240))


def test_start_finds_shapes_that_k_means_cannot():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.c_[np.cos(angle), np.sin(angle)]
    rings = np.r_[ring, 3 * ring]
    labels = neighbor_start(rings, 2, n_neighbors=10, n_init=5, random_state=0).labels
    assert adjusted_rand_score(np.repeat([0, 1], 200), labels) == 1


@pytest.mark.full
@pytest.mark.parametrize("linkage", ["average", "share"])
def test_large_clusters_stay_whole_beside_small_ones(linkage):
    random = np.random.default_rng(0)
    large = random.normal(size=(900, 4)) * [1, 1, 2, 3]
    small = [random.normal(size=(60, 4)) + place for place in ([9, 0, 0, 0], [0, 9, 0, 0])]
    y = np.repeat([0, 1, 2], [900, 60, 60])
    rows = np.concatenate([large, *small])
    start = neighbor_start(rows, 3, n_init=10, linkage=linkage, random_state=0)
    assert adjusted_rand_score(y, start.labels) > 0.95


def tabulate(groups):
    """Table (P, K) of zeros and ones: the parts of each group."""
    parts = np.arange(sum(map(len, groups)))
    return np.stack([np.isin(parts, group) for group in groups], 1).astype(float)


def in_turn(parts, graph, n_clusters, linkage):
    """Table (P, K) of parts joined in turn, before any exchange."""
    edges = parts.T @ (graph @ parts)
    return tabulate(agglomeration.agglomerate(edges, parts.sum(0), n_clusters, linkage))


def test_parts_are_joined_by_shares_of_their_edges():
    # The small third part shares 4 of its 8 edges with the fourth, the halves 12 of 92 with one
    # another, though these are most in number.
    edges = np.array(
        [
            [80.0, 12.0, 0.0, 0.0],
            [12.0, 80.0, 1.0, 0.0],
            [0.0, 1.0, 3.0, 4.0],
            [0.0, 0.0, 4.0, 200.0],
        ]
    )
    parts = np.eye(4)
    three = in_turn(parts, edges, 3, "share")
    np.testing.assert_array_equal(three[2], three[3])
    two = in_turn(parts, edges, 2, "share")
    np.testing.assert_array_equal(two, [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_joining_begins_with_the_largest_share_of_edges():
    random = np.random.default_rng(0)
    graph = sparse.csr_array(random.random((200, 200)) * (random.random((200, 200)) < 0.2))
    graph = (graph + graph.T).tocsr()
    labels = np.repeat(np.arange(7), [60, 50, 40, 30, 10, 6, 4])
    groups = np.eye(7)[labels] @ in_turn(np.eye(7)[labels], graph, 6, "share")

    def share(a, b):
        between = graph[labels == a][:, labels == b].sum()
        return max(between / graph[labels == k].sum() for k in (a, b))

    pairs = [(a, b) for a in range(7) for b in range(a)]
    best = max(pairs, key=lambda pair: share(*pair))
    together = [p for p in pairs if np.array_equal(*(groups[labels == k][0] for k in p))]
    assert together == [best]


@pytest.mark.parametrize("seed", range(3))
def test_every_joining_is_of_the_largest_share_of_edges(seed):
    edges = some_edges(25, seed)
    groups = [[part] for part in range(25)]
    while len(groups) > 6:
        table = agglomeration._sum_edges(edges, groups)
        shares = table / table.sum(1, keepdims=True)
        np.fill_diagonal(shares, 0)
        i, j = sorted(np.unravel_index(shares.argmax(), shares.shape))
        groups[i] = groups[i] + groups.pop(j)
    found = agglomeration.agglomerate(edges, np.ones(25), 6, "share")
    assert sorted(map(sorted, found)) == sorted(map(sorted, groups))


def test_parts_are_joined_by_the_weight_of_edges_for_each_pair_of_rows():
    # Three parts of 1, 4 and 4 rows. Most weight lies between the two large parts (4 of 16
    # pairs), but the first is nearer to the second (2 of 4 pairs).
    graph = np.zeros((9, 9))
    graph[0, [1, 2]] = 1
    graph[[1, 2, 3, 4], [5, 6, 7, 8]] = 1
    parts = np.eye(3)[np.repeat([0, 1, 2], [1, 4, 4])]
    table = in_turn(parts, graph + graph.T, 2, "average")
    np.testing.assert_array_equal(table[0], table[1])
    assert not np.array_equal(table[1], table[2])
    np.testing.assert_array_equal(table.sum(1), 1)


def test_joining_by_average_is_scipys_average_linkage():
    random = np.random.default_rng(0)
    graph = sparse.csr_array(random.random((60, 60)) * (random.random((60, 60)) < 0.5))
    graph = (graph + graph.T).toarray()
    table = in_turn(np.eye(60), graph, 7, "average")
    distance = graph.max() - graph
    np.fill_diagonal(distance, 0)
    tree = linkage_tree(squareform(distance), "average")
    groups = fcluster(tree, 7, "maxclust")
    assert adjusted_rand_score(groups, table.argmax(1)) == 1


def neighbor_information(graph, resp, weight):
    """Criterion of the swaps, of the labels at both ends of an edge of the graph."""
    labels = np.eye(resp.shape[1])[resp.argmax(1)]
    return agglomeration._evaluate_criterion(labels.T @ (graph @ labels), weight)


def some_edges(n_parts, seed):
    edges = np.random.default_rng(seed).random((n_parts, n_parts)) ** 4
    edges += edges.T + 0.3 * np.eye(n_parts)
    return edges / edges.sum()


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.0])
def test_criteria_of_an_exchange_are_those_of_the_labels(weight):
    edges = some_edges(7, 0)
    graph = sparse.csr_matrix(edges)
    pairs = np.array(list(itertools.combinations(range(7), 2)))
    after = agglomeration._evaluate_merges(edges, pairs, weight)
    for (i, j), found in zip(pairs, after, strict=True):
        labels = np.eye(7)
        labels[j] = labels[i]
        assert found == pytest.approx(neighbor_information(graph, labels, weight), abs=1e-12)
    groups = [[4], [0, 3, 5], [1, 2, 6]]
    splits = [(1, [0], [3, 5]), (1, [3, 0], [5]), (2, [6], [1, 2])]
    divided = agglomeration.DividedGroups(edges, groups, splits)
    for s, (k, *halves) in enumerate(splits):
        parted = [group for i, group in enumerate(groups) if i != k] + halves
        table = agglomeration._sum_edges(edges, parted)
        np.testing.assert_allclose(divided.sum_edges(s), table, atol=1e-15)
        expected = agglomeration._evaluate_criterion(table, weight)
        assert divided.evaluate(weight)[s] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_exchanges_end_where_no_move_of_a_part_to_a_linked_group_is_better(seed):
    n_parts, n_clusters, weight = 9, 4, 1.0
    edges, sizes = some_edges(n_parts, seed), np.ones(n_parts)
    before = agglomeration.agglomerate(edges, sizes, n_clusters, "average")
    groups = agglomeration.split_and_merge(edges, sizes, before, weight)
    assert sorted(sum(groups, [])) == list(range(n_parts))
    assert len(groups) == n_clusters

    def criterion(some):
        return neighbor_information(sparse.csr_matrix(edges), tabulate(some), weight)

    assert criterion(groups) >= criterion(before)

    def share(part, others):
        between = edges[part, others].sum()
        return between / min(edges[part].sum(), edges[others].sum())

    for part, k in itertools.product(range(n_parts), range(n_clusters)):
        rest = [[p for p in group if p != part] for group in groups]
        own = next(other for other, group in zip(rest, groups, strict=True) if part in group)
        if own and own is not rest[k] and share(part, rest[k]) >= 0.5 * share(part, own):
            moved = [[*group, part] if group is rest[k] else group for group in rest]
            assert criterion(moved) <= criterion(groups) + 1e-9


def test_exchanges_take_back_a_wrong_joining():
    # A string of three parts was torn and two clusters of two parts joined instead.
    edges = np.kron(np.eye(4), np.ones((2, 2))) + 4 * np.eye(8) + 0.02
    edges[0, 2] = edges[2, 0] = 0.9
    wrong = [[0, 1], [2, 3], [4, 5, 6, 7]]
    groups = agglomeration.split_and_merge(edges, np.ones(8), wrong, 1.0)
    assert sorted(map(sorted, groups)) == [[0, 1, 2, 3], [4, 5], [6, 7]]


def test_groups_without_links_are_not_joined_in_an_exchange():
    # Halving the large cluster and joining the two small ones would raise the criterion.
    edges = np.diag([0.40, 0.40, 0.06, 0.06])
    edges[0, 1] = edges[1, 0] = 0.02
    right, wrong = [[0, 1], [2], [3]], [[0], [1], [2, 3]]
    criteria = [
        agglomeration._evaluate_criterion(agglomeration._sum_edges(edges, some), 1.0)
        for some in (right, wrong)
    ]
    assert criteria[1] > criteria[0]
    assert agglomeration.split_and_merge(edges, np.ones(4), right, 1.0) == right


@pytest.mark.parametrize("seed", range(3))
def test_wards_tree_of_points_of_weight_one_is_that_of_scipy(seed):
    points = np.random.default_rng(seed).normal(size=(25, 3))
    children, distances = tree.build_ward_tree(points, np.ones(25))
    np.testing.assert_array_equal(np.sort(children, 1), linkage_tree(points, "ward")[:, :2])


def test_a_point_of_weight_three_is_three_points_of_wards_tree():
    points = np.random.default_rng(0).normal(size=(12, 2))
    sizes = np.tile([1, 3, 1, 2], 3)
    children, _ = tree.build_ward_tree(points, sizes)
    once = tree.cut_tree(children, sizes, 4, 0)
    copies = linkage_tree(np.repeat(points, sizes, axis=0), "ward")
    whole = fcluster(copies, 4, "maxclust")
    assert adjusted_rand_score(np.repeat(once, sizes), whole) == 1


def test_a_cut_counts_no_group_below_the_least_size():
    points = np.r_[0.0, 1, 2, 10, 11, 12, 100][:, None]
    sizes = np.full(7, 5.0)
    children, _ = tree.build_ward_tree(points, sizes)
    np.testing.assert_array_equal(
        tree.cut_tree(children, sizes, 2, 0) == tree.cut_tree(children, sizes, 2, 0)[0],
        [1, 1, 1, 1, 1, 1, 0],
    )
    cut = tree.cut_tree(children, sizes, 2, 10)
    assert cut[6] == -1
    assert adjusted_rand_score(cut[:6], [0, 0, 0, 1, 1, 1]) == 1
    assert tree.cut_tree(children, sizes, 5, 10) is None


@pytest.mark.parametrize("n_steps", [4, 10])
def test_the_score_is_that_of_the_powers_of_the_steps(n_steps):
    graph = neighbor_graph(NORMAL[:40], 5)
    labels = np.random.default_rng(0).integers(0, 3, size=(4, 40))
    degree = np.asarray(graph.sum(1)).ravel()
    steps = np.linalg.matrix_power(graph.toarray() / degree[:, None], n_steps)
    expected, informations = [], []
    for one in np.eye(3)[labels]:
        joint = one.T @ (degree[:, None] * (steps @ one)) / degree.sum()
        ends = joint.sum(1)
        information = (joint * np.log(joint / np.outer(ends, ends))).sum()
        expected.append(information**2 / -(ends * np.log(ends)).sum())
        informations.append(information)
    scores = score_by_walk(graph, labels, 3, n_steps)
    np.testing.assert_allclose(scores, [expected, informations], atol=1e-6)


def test_the_likelihood_of_clusters_is_that_of_their_gaussians():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(90, 2)), np.repeat([0, 1], [60, 30])
    density = 0
    for share, own in ((0.66, rows[:60]), (0.33, rows[60:]), (0.01, rows)):
        covariance = np.cov(own.T, bias=True) + candidates.REG_COVAR * np.eye(2)
        density = density + share * multivariate_normal(own.mean(0), covariance).pdf(rows)
    measured = candidates.measure_likelihood(rows, np.ones(90), labels, 2)
    assert measured == pytest.approx(np.log(density).mean(), abs=1e-9)
    # A row of weight two is two rows; a cluster without rows changes nothing.
    weights = rng.integers(1, 3, 90)
    heavy = candidates.measure_likelihood(rows, weights.astype(float), labels, 3)
    copies = (np.repeat(part, weights, axis=0) for part in (rows, np.ones(90), labels))
    assert heavy == pytest.approx(candidates.measure_likelihood(*copies, 2), abs=1e-9)


def test_the_likelihood_decides_where_the_walk_tells_little():
    # Two blobs, halved between them or across.
    layout, y = make_blobs(840, centers=[[0, 0], [9, 0]], random_state=0)
    labels = np.stack([(layout[:, 1] > np.median(layout[:, 1])).astype(int), y])
    unit = candidates.scale_to_unit_variance(layout)
    fits = [candidates.measure_likelihood(unit, np.ones(840), each, 2) for each in labels]
    lead = 0.2 * (fits[1] - fits[0])

    def best(scores, gap, rows=layout):
        given = labels[:, : len(rows)], np.array(scores), np.array([1, 1 - gap])
        return selection._find_best(*given, rows, np.ones(len(rows)), 2)

    assert best([1, 0.96], lead - 1e-6) == 1
    # Where the walk tells more, beyond the margin, or of too few rows for 2 x 6 parameters.
    assert best([1, 0.96], lead + 1e-6) == 0
    assert best([1, 0.94], 0.01) == 0
    assert best([1, 0.96], 0.01, layout[:119]) == 0
    assert best([1, 0.96], 0.01, layout[:120]) == 1


@pytest.mark.parametrize(("n_features", "expected"), [(1, 64), (2, 33.3), (3, 8.2), (10, 4)])
def test_a_walk_is_half_as_long_as_one_across_all_rows(n_features, expected):
    # (1000 / 15)^(2 / d) / 2, within 4 and 64; the border of the cube lowers the estimate of d.
    X = np.random.default_rng(0).random((1000, n_features))
    distances, _ = NearestNeighbors(n_neighbors=15).fit(X).kneighbors()
    n_steps = count_walk_steps(distances, "euclidean")
    assert n_steps % 2 == 0
    assert n_steps == pytest.approx(expected, rel=0.25)
    assert count_walk_steps(1e3 * distances, "euclidean") == n_steps
    # Of unit vectors the cosine distance is half the square of the Euclidean one.
    assert count_walk_steps(distances**2 / 2, "cosine") == n_steps


def test_a_walk_is_the_shortest_where_no_dimension_is_known():
    alone, equal = np.zeros((1, 0)), np.zeros((5, 2))
    for distances in (alone, equal, np.ones((5, 3)), np.full((5, 2), np.inf)):
        assert count_walk_steps(distances, "euclidean") == 4


def test_large_clusters_of_two_features_stay_whole_beside_small_ones():
    centers = [[0, 0], [7, 0], [0, 7], [7, 7]]
    X, y = make_blobs([1200, 400, 150, 50], centers=centers, random_state=0)
    assert adjusted_rand_score(y, neighbor_start(X, 4, random_state=0).labels) > 0.98


def test_score_of_components_and_of_independent_ends():
    pairs = sparse.csr_matrix(np.kron(np.eye(4), [[0, 1], [1, 0]]), dtype=np.float32)
    whole = np.arange(8)[None] // 2
    assert score_by_walk(pairs, whole, 4, 4)[0][0] == pytest.approx(np.log(4), abs=1e-6)
    assert score_by_walk(pairs, 0 * whole, 4, 4)[0][0] == 0
    everyone = sparse.csr_matrix(np.ones((8, 8)), dtype=np.float32)
    assert score_by_walk(everyone, whole, 4, 4)[0][0] == pytest.approx(0, abs=1e-6)
    assert score_by_walk(0 * everyone, whole, 4, 4)[0][0] == 0


def test_candidates_vote_by_the_names_of_the_labels():
    labels = np.array([0, 0, 0, 1, 1, 2])
    renamed, other = np.array([2, 0, 1])[labels], np.array([1, 1, 2, 2, 2, 0])
    votes = count_votes(np.stack([renamed, other]), np.array([1.0, 3.0]), labels, np.ones(6), 3)
    expected = np.eye(3)[labels]
    # Half of the votes are the label's, and of the others 3 / 4 against it.
    expected[2] = [5 / 8, 3 / 8, 0]
    np.testing.assert_allclose(votes, expected)
    # Whichever has more weight in common is the same cluster.
    split = np.array([[0, 1]])
    for weight, first in (([3.0, 1.0], 1.0), ([1.0, 3.0], 0.5)):
        shares = count_votes(split, np.ones(1), np.zeros(2, dtype=int), np.array(weight), 2)
        np.testing.assert_allclose(shares[:, 0], [first, 1.5 - first])


def test_responsibilities_are_the_votes_at_the_end_of_a_walk():
    random = np.random.default_rng(0)
    edges = np.triu(random.random((40, 40)) * (random.random((40, 40)) < 0.3), 1)
    graph = sparse.csr_matrix(edges + edges.T)
    labels, votes = random.integers(0, 3, 40), random.dirichlet(np.ones(3), 40)
    steps = graph.toarray() / graph.toarray().sum(1, keepdims=True)
    expected = steps @ steps @ votes
    is_first = expected.argmax(1) == labels
    assert 0 < is_first.sum() < 40
    resp = soften(labels, votes, graph)
    np.testing.assert_allclose(resp[is_first], expected[is_first], atol=1e-5)
    np.testing.assert_allclose(resp.sum(1), 1)
    # The label of a row stays its most probable cluster, by as little as it takes.
    np.testing.assert_array_equal(resp.astype(np.float32).argmax(1), labels)
    first, second = -np.sort(-resp[~is_first], 1)[:, :2].T
    np.testing.assert_allclose(first, second, rtol=1e-5)
    alone = sparse.csr_matrix((5, 5))
    np.testing.assert_allclose(soften(np.arange(5), np.eye(5), alone), np.eye(5), atol=1e-15)


def test_rows_on_which_candidates_disagree_are_in_doubt():
    labels, weights = np.repeat([0, 1], 4), np.ones(8)
    graph = sparse.csr_matrix(np.kron(np.eye(2), 1 - np.eye(4)) + np.eye(8, k=4) + np.eye(8, k=-4))
    agreed, disputed = np.stack([labels, 1 - labels]), np.stack([labels, labels])
    disputed[1, 0] = 1
    sure, unsure = (
        soften(labels, count_votes(candidates, np.ones(2), labels, weights, 2), graph)
        for candidates in (agreed, disputed)
    )
    steps = graph.toarray() / 4
    np.testing.assert_allclose(sure, steps @ steps @ np.eye(2)[labels], atol=1e-5)
    assert (unsure[:4, 0] < sure[:4, 0] - 0.01).all()
    assert unsure[:, 0].argmin() > 3
    assert unsure[:4, 0].argmin() == 0


def test_whitened_neighbours_differ_alike_in_all_directions():
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 3)) @ np.diag([0.5, 2, 1]) @ random.normal(size=(3, 3))
    graph = neighbor_graph(rows)
    white = rows @ whitening_matrix(scatter_between_neighbors(rows, graph), len(rows))
    links = graph.tocoo()
    gaps = white[links.row] - white[links.col]
    scatter = (links.data[:, None] * gaps).T @ gaps / (2 * links.data.sum())
    values = np.linalg.eigvalsh(scatter)
    # All one but for the regularisation, which lowers the smallest most.
    assert values.max() < 1
    assert values.min() > 0.5
    raw = np.linalg.eigvalsh(np.cov(rows.T))
    assert raw.max() / raw.min() > 10


def test_scatter_between_neighbours_is_the_sum_over_pairs():
    graph = neighbor_graph(NORMAL[:30], 4)
    weights = graph.toarray()
    gaps = NORMAL[:30, None] - NORMAL[:30]
    expected = np.einsum("ij,ijd,ije->de", weights, gaps, gaps) / (2 * weights.sum())
    scatter = scatter_between_neighbors(NORMAL[:30], graph)
    np.testing.assert_allclose(scatter, expected, rtol=1e-5)


def test_scatter_within_clusters_is_that_of_copies_about_their_means():
    labels, weights = np.arange(30) % 3, np.arange(1, 31)
    rows, groups = np.repeat(NORMAL[:30], weights, axis=0), np.repeat(labels, weights)
    gaps = np.concatenate([rows[groups == k] - rows[groups == k].mean(0) for k in range(3)])
    scatter = scatter_within_clusters(NORMAL[:30], weights, np.eye(3)[labels])
    np.testing.assert_allclose(scatter, np.cov(gaps.T, bias=True))


def test_scatters_of_few_rows_are_shrunk():
    random, variances = np.random.default_rng(0), np.geomspace(0.1, 10, 40)
    truth, shares = np.diag(variances), []
    for n_rows in (5, 20, 200, 20_000):
        rows = random.normal(size=(n_rows, 40)) * np.sqrt(variances)
        scatter = rows.T @ rows / n_rows
        share = shrink(np.linalg.eigvalsh(scatter), n_rows)
        shrunk = (1 - share) * scatter + share * np.trace(scatter) / 40 * np.eye(40)
        assert np.linalg.norm(shrunk - truth) < 1.01 * np.linalg.norm(scatter - truth)
        assert n_rows > 200 or np.linalg.norm(shrunk - truth) < np.linalg.norm(scatter - truth)
        shares.append(share)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.7
    assert shares[-1] < 0.01
    # scikit-learn's leaves out terms that matter to few features.
    rows = random.normal(size=(60, 40)) * np.sqrt(variances)
    values = np.linalg.eigvalsh(empirical_covariance(rows))
    assert shrink(values, 60) == pytest.approx(oas(rows)[1], rel=0.03)
    assert shrink(np.zeros(3), 5) == 0


def test_whitening_does_not_depend_on_rotation_and_scale():
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    graph = neighbor_graph(NORMAL)
    one = whiten_by_neighbors(NORMAL, graph, 15, 1)
    two = whiten_by_neighbors(8 * NORMAL @ rotation, graph, 15, 1)
    np.testing.assert_allclose(pairwise_distances(one), pairwise_distances(two), atol=1e-6)


def test_wide_sparse_and_precomputed_rows_are_not_whitened():
    np.testing.assert_allclose(
        prepare_rows(NORMAL, "euclidean"), NORMAL / abs(NORMAL).max(), rtol=1e-12
    )
    lengths = np.linalg.norm(prepare_rows(NORMAL, "cosine"), axis=1)
    np.testing.assert_allclose(lengths, lengths[0])
    for rows, metric in (
        (np.tile(NORMAL, 20), "euclidean"),
        (NORMAL[:, :1], "cosine"),
        (NORMAL, "manhattan"),
        (sparse.csr_matrix(np.tile(NORMAL, 20)), "euclidean"),
        (None, "precomputed"),
    ):
        search = selection.Search(2, 15, metric, 5, None, np.random.RandomState(0))
        assert search._replace(n_clusters=30).prepare_rows(rows) is None


@pytest.mark.parametrize(
    ("rows", "metric"),
    [
        (X[:120], "euclidean"),
        (X[:120], "cosine"),
        (X[:120, :1], "euclidean"),
        (np.tile(X[:120], 20), "cosine"),
        (sparse.csr_matrix(X[:120]), "euclidean"),
        (np.repeat(X[:120], 2, axis=0), "euclidean"),
    ],
    ids=["plain", "cosine", "one feature", "many features", "sparse", "copies"],
)
def test_of_few_rows_for_a_cluster_wards_method_is_asked(rows, metric):
    dense = rows.toarray() if sparse.issparse(rows) else rows
    ward = AgglomerativeClustering(30)
    expected = ward.fit_predict(normalize(dense) if metric == "cosine" else dense)
    found = neighbor_start(rows, 30, metric=metric, n_components=2, random_state=0).labels
    assert adjusted_rand_score(expected, found) == 1


@pytest.mark.parametrize("most", [1000, 5000], ids=["by neighbours", "by all pairs"])
def test_hundreds_of_small_clusters_are_found(most, monkeypatch):
    monkeypatch.setattr(candidates, "MAX_PAIRED", most)
    random = np.random.RandomState(0)
    y = np.r_[np.arange(500), random.choice(500, 1000)]
    rows = 12 * random.normal(size=(500, 8))[y] + random.normal(size=(1500, 8))
    found = neighbor_start(rows, 500, n_components=2, random_state=0).labels
    assert adjusted_rand_score(y, found) > 0.99


def test_rows_without_clusters_have_the_covariance_of_the_rows():
    mixing = np.random.default_rng(0).normal(size=(3, 3))
    rows = np.random.default_rng(1).normal(size=(5000, 3)) @ mixing
    rows = np.column_stack([rows, rows[:, 0] - rows[:, 1], np.full(5000, 7.0)])
    null = draw_null(rows, np.ones(5000), np.random.RandomState(0))
    assert len(null) == selection.MAX_NULL_ROWS
    np.testing.assert_allclose(np.cov(null.T), np.cov(rows.T), atol=0.1 * np.cov(rows.T).max())


def test_rows_drawn_in_principal_coordinates_have_the_distances_of_others():
    rows = sparse.random(40, 300, 0.1, format="csr", random_state=0)
    weights = np.random.default_rng(1).uniform(0.5, 2, 40)
    turned, plain = (
        draw_null(rows, weights, np.random.RandomState(0), rotates) for rotates in (True, False)
    )
    assert turned.shape == (40, 40)
    np.testing.assert_allclose(pdist(turned), pdist(plain), rtol=1e-6)


@pytest.mark.parametrize(("lead", "n_drawn"), [(0.5, 2), (-0.5, 2), (0.1, 5)])
def test_draws_without_clusters_end_once_they_decide(lead, n_drawn, monkeypatch):
    leads = iter([0.09, 0.11, 0.1, 0.1, 0.1])
    monkeypatch.setattr(selection, "_measure_null_lead", lambda *_: next(leads))
    search = selection.Search(2, 15, "euclidean", 5, None, np.random.RandomState(0))
    expected = selection._expect_lead(np.eye(50), np.ones(50), search, lead)
    assert expected == pytest.approx(0.1)
    assert len(list(leads)) == 5 - n_drawn


@pytest.mark.parametrize(("lead", "expected"), [(0.3, True), (0.1, False)])
def test_held_out_rows_lead_by_more_than_rows_without_clusters(lead, expected, monkeypatch):
    leads = iter([0.2, lead] * selection.MAX_HELD_OUT_DRAWS)
    monkeypatch.setattr(selection, "_measure_held_out_lead", lambda *_: next(leads))
    search = selection.Search(2, 15, "euclidean", 5, None, np.random.RandomState(0))
    assert selection._leads_held_out(np.eye(50), np.ones(50), search) == expected


def test_whitening_that_fits_chance_does_not_lead_in_held_out_rows():
    """Whether the spread of the clusters, or only the noise, differs between forty features."""
    random, labels = np.random.default_rng(2), np.arange(160) % 4
    scale, centers = np.geomspace(0.3, 3, 40), random.normal(size=(4, 40))
    noise = random.normal(size=(160, 40)) * scale
    for spread, is_right in ((scale, True), (0.5 * scale**2, False)):
        rows = (centers * spread)[labels] + noise
        stream = np.random.RandomState(0)
        search = selection.Search(4, 15, "euclidean", 5, None, stream, n_clusters=4)
        assert selection._measure_null_lead(rows, search) > 0.1
        assert selection._leads_held_out(rows, np.ones(160), search) == is_right
        found = neighbor_start(rows, 4, random_state=0).labels
        assert adjusted_rand_score(labels, found) > 0.9


def test_elongated_clusters_are_told_from_a_cut_across():
    """Of two sticks a cut across scores highly, but hardly more than in rows without clusters."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 4)) * [1, 8, 1, 1]
    labels = np.arange(400) % 2
    rows[:, 0] += 6 * labels
    mixed = rows @ random.normal(size=(4, 4))
    for seed in range(3):
        found = neighbor_start(mixed, 2, random_state=seed).labels
        assert adjusted_rand_score(labels, found) > 0.95


def test_few_unconnected_rows_do_not_take_a_cluster_from_two_classes(monkeypatch):
    random = np.random.default_rng(0)
    centers = np.array([[0, 0], [3.1, 0], [20, 0], [0, 20], [20, 20]])
    rows = np.repeat(centers, 200, axis=0) + random.normal(size=(1000, 2))
    rows = np.concatenate([rows, [10, 10] + 0.1 * random.normal(size=(16, 2))])
    classes = np.repeat(np.arange(5), 200)
    whole = np.r_[classes, np.zeros(16, dtype=int)]
    joined = np.r_[np.maximum(classes - 1, 0), np.full(16, 4)]
    graph = neighbor_graph(rows)
    scores, _ = score_by_walk(graph, np.stack([whole, joined]), 5, 4)
    assert scores[0] < scores[1]
    monkeypatch.setattr(selection, "find_candidates", lambda *given, **settings: [joined, whole])
    search = selection.Search(1, 15, "manhattan", 2, 1, np.random.RandomState(0))
    found = selection.choose_partition(search, rows, graph, np.ones(1016), 5)
    np.testing.assert_array_equal(found.resp.argmax(1), whole)


def test_features_of_noise_on_a_large_scale_are_seen_through():
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 100)
    rows = 4 * np.eye(3)[y] + random.normal(size=(300, 3))
    rows = np.c_[rows, 3 * random.normal(size=(300, 8))]
    assert adjusted_rand_score(y, neighbor_start(rows, 3, random_state=0).labels) > 0.9


@pytest.mark.parametrize("linkage", ["average", "share"])
def test_of_groups_that_no_edge_leaves_the_smallest_is_joined(linkage):
    labels = np.eye(4)[np.repeat(np.arange(4), [9, 3, 2, 8])]
    table = agglomeration.merge_components(
        labels, sparse.csr_matrix(labels @ labels.T), 3, linkage, 1.0
    )
    assert len(np.unique(table[[0, 1, 3]], axis=0)) == 3
    np.testing.assert_array_equal(table.sum(1), 1)
    resp = np.eye(4)[[0, 1, 1, 3]]
    apart = agglomeration.merge_components(resp, sparse.csr_matrix((4, 4)), 2, linkage, 1.0)
    assert apart.shape == (4, 2)
    np.testing.assert_array_equal(apart[[0, 1, 3]].sum(1), 1)


def test_criterion_of_independent_and_of_equal_ends():
    # c and c' share all, or nothing, or the third part of one label: I = H(c) - H(c' | c).
    pairs = sparse.csr_matrix(np.kron(np.eye(4), [[0, 1], [1, 0]]))
    whole = np.eye(4)[np.arange(8) // 2]
    assert neighbor_information(pairs, whole, 2.0) == pytest.approx(np.log(4))
    everyone = sparse.csr_matrix(np.ones((8, 8)))
    for weight in (0.0, 2.0):
        value = neighbor_information(everyone, whole, weight)
        assert value == pytest.approx(-weight * np.log(4))
    assert neighbor_information(sparse.csr_matrix((8, 8)), whole, 2.0) == 0


def test_boundary_weight_decides_between_halving_a_large_and_joining_two_small():
    random = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], [600, 40, 40])
    rows = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 6.0]])[classes] + random.normal(size=(680, 2))
    halved = np.where(classes == 0, (rows[:, 0] > 0).astype(int), 2)
    for weight, larger in ((0.0, halved), (8.0, classes)):
        values = [
            neighbor_information(neighbor_graph(rows), np.eye(3)[labels], weight)
            for labels in (halved, classes)
        ]
        assert np.argmax(values) == (larger is classes)


def test_start_is_reproducible_and_leaves_the_global_streams_alone():
    numpy_before, torch_before = joblib.hash(np.random.get_state()), torch.get_rng_state()
    one = neighbor_start(X, 4, n_init=2, random_state=5)
    two = neighbor_start(X.copy(), 4, n_init=2, random_state=5)
    neighbor_start(X, 4, n_init=1)
    np.testing.assert_array_equal(one.layout, two.layout)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.responsibilities, two.responsibilities)
    assert joblib.hash(np.random.get_state()) == numpy_before
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.full
def test_threads_share_out_the_mixtures_and_change_no_digit():
    one = neighbor_start(NORMAL, 3, n_init=7, random_state=0)
    try:
        torch.set_num_threads(2)
        two = neighbor_start(NORMAL, 3, n_init=7, random_state=0, n_jobs=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(one.responsibilities, two.responsibilities)
    assert one.criterion == two.criterion


def test_rows_outside_the_sample_follow_their_neighbours():
    start = neighbor_start(X, 4, n_init=5, max_samples=100, random_state=0)
    assert_start(start, 240, 4)
    assert start.graph.shape == (100, 100)
    assert np.all(np.diff(start.sample_indices) > 0)
    assert adjusted_rand_score(Y, start.labels) == 1


def test_a_sample_is_drawn_by_weights_and_keeps_their_sum():
    random = np.random.default_rng(0)
    weights, certain = random.exponential(size=200) ** 3, np.arange(200) % 50 == 0
    drawn, found = _draw_rows(weights, 40, np.random.RandomState(0), certain)
    assert len(drawn) == 40
    assert (np.diff(drawn) > 0).all()
    least, others = found[~certain[drawn]].min(), weights[~certain]
    assert np.minimum(others / least, 1).sum() == pytest.approx(36)
    np.testing.assert_allclose(
        found, np.where(certain, weights, np.maximum(weights, least))[drawn]
    )
    assert np.isin(np.flatnonzero(certain | (weights > least)), drawn).all()
    assert found[~certain[drawn]].sum() == pytest.approx(others.sum())


def test_start_from_sparse_rows():
    words = sparse.csr_matrix(np.where(X > 2, X, 0))
    start = neighbor_start(words, 3, n_init=2, max_samples=150, random_state=0)
    assert_start(start, 240, 3)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 12])
def test_every_cluster_has_a_row_when_rows_are_few(n_rows):
    for n_clusters in {1, 2, n_rows // 2, n_rows} - {0}:
        if n_clusters <= n_rows:
            start = neighbor_start(NORMAL[:n_rows], n_clusters, n_init=1, random_state=0)
            assert_start(start, n_rows, n_clusters)
            assert len(np.unique(start.labels)) == n_clusters


@pytest.mark.parametrize("n_neighbors", [1, 500])
def test_start_with_extreme_neighbourhoods(n_neighbors):
    assert_start(neighbor_start(X, 4, n_neighbors=n_neighbors, n_init=2, random_state=0), 240, 4)


def test_start_by_any_metric_with_weights_and_from_distances():
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    few = {"n_init": 2, "random_state": 0}
    start = neighbor_start(
        directions * np.linspace(1, 99, 240)[:, None], 4, metric="cosine", **few
    )
    assert adjusted_rand_score(Y, start.labels) == 1
    start = neighbor_start(pairwise_distances(X), 4, metric="precomputed", **few)
    assert adjusted_rand_score(Y, start.labels) == 1
    weight = np.where(np.arange(240) < 200, 1, 0)
    start = neighbor_start(X, 4, sample_weight=weight, **few)
    assert_start(start, 240, 4)
    np.testing.assert_array_equal(start.sample_indices, np.arange(200))
    assert adjusted_rand_score(Y, start.labels) == 1


def test_start_on_constant_rows():
    assert_start(neighbor_start(np.ones((30, 4)), 3, n_init=2, random_state=0), 30, 3)


# ---- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neighbor_graph(X, 0), "n_neighbors == 0"),
        (lambda: neighbor_graph(np.full((4, 2), np.nan)), "NaN"),
        (lambda: neighbor_graph(X, metric="precomputed"), r"square matrix.*got \(240, 6\)"),
        (lambda: neighbor_graph(-np.eye(3), metric="precomputed"), "Negative values in data"),
        (lambda: neighbor_layout(np.ones((3, 2))), "square"),
        (lambda: neighbor_layout(sparse.eye(3), n_components=0), "n_components == 0"),
        (lambda: neighbor_layout(sparse.eye(3), n_epochs=-1), "n_epochs == -1"),
        (lambda: neighbor_start(X, 0), "n_clusters == 0"),
        (lambda: neighbor_start(X, 4, n_init=0), "n_init == 0"),
        (lambda: neighbor_start(X, 4, boundary_weight=-1.0), "boundary_weight == -1.0"),
        (lambda: neighbor_start(X, 4, linkage="ward"), "linkage must be 'auto', 'average'"),
        (lambda: neighbor_start(X[:3], 4), "n_samples=3"),
        (lambda: neighbor_start(X, 4, max_samples=3), "max_samples=3"),
        (lambda: count_clusters(X, metric="precomputed"), r"square matrix.*got \(240, 6\)"),
        (lambda: count_clusters(-np.eye(9), metric="precomputed"), "Negative values in data"),
    ],
)
def test_errors_say_what_was_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- labels along the graph


def test_spread_labels_solve_the_equation_of_the_paper():
    targets = np.where(np.arange(240) % 30 == 0, Y, -1)
    graph = neighbor_graph(X).toarray().astype(float)
    sums = graph.sum(1)
    links = graph / np.sqrt(sums[:, None] * sums)
    labels = np.eye(4)[Y] * (targets >= 0)[:, None]
    spread = np.linalg.solve(np.eye(240) - 0.9 * links, labels / labels.sum(0).clip(1))
    expected = spread / spread.sum(1, keepdims=True)
    found = spread_labels(X, targets, 4, alpha=0.9)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (found.argmax(1) == Y).mean() > 0.9


def test_labels_reach_the_far_end_of_a_line():
    """There the solution is 1e-11 of what it is at the labels."""
    line = np.arange(300.0)[:, None]
    targets = np.full(300, -1)
    targets[[0, 10, 11]] = 0, 0, 1
    graph = neighbor_graph(line, 2).toarray().astype(float)
    sums = graph.sum(1)
    links = 0.99 * graph / np.sqrt(sums[:, None] * sums)
    term = np.zeros((300, 2))
    term[[0, 10], 0], term[11, 1] = 0.5, 1
    spread = np.zeros((300, 2))
    for _ in range(6000):
        spread = links @ spread + term
    assert spread[-1].max() < 1e-9 * spread.max()
    expected = spread / spread.sum(1, keepdims=True)
    np.testing.assert_allclose(spread_labels(line, targets, 2, n_neighbors=2), expected, atol=1e-6)


@pytest.mark.parametrize("start", [spread_labels, labelled_start])
@pytest.mark.parametrize(
    ("targets", "n_classes", "message"),
    [
        (np.zeros(239), 4, r"shape \(239,\), but X has 240 rows"),
        (np.zeros((240, 1)), 4, r"shape \(240, 1\), but X has 240 rows"),
        (np.r_[4, np.zeros(239)], 4, "targets has 4.0 for row 0.*from 0 to n_classes - 1 = 3"),
        (np.r_[np.zeros(239, int), -2], 4, "targets has -2 for row 239"),
        (np.r_[0, 0.5, np.zeros(238)], 4, "targets has 0.5 for row 1"),
        (np.r_[0, np.nan, np.zeros(238)], 4, "targets has nan for row 1"),
        (np.zeros(240), 0, "n_classes == 0"),
    ],
)
def test_wrong_targets_are_explained(start, targets, n_classes, message):
    with pytest.raises(ValueError, match=message):
        start(X, targets, n_classes)


def test_rows_that_no_label_reaches_know_nothing():
    rows = np.r_[np.zeros(20), np.full(20, 100.0)][:, None] + 0.01 * NORMAL[:40, :1]
    targets = np.full(40, -1)
    targets[0] = 1
    found = spread_labels(rows, targets, 2, n_neighbors=3)
    np.testing.assert_allclose(found[20:], 0.5)
    assert found[0, 1] == 1


@pytest.mark.full
def test_responsibilities_sum_to_one_though_no_row_prefers_some_parts():
    for seed in range(5):
        start = neighbor_start(X[:60], 25, random_state=seed, n_init=2)
        np.testing.assert_allclose(start.responsibilities.sum(1), 1)


def test_labelled_rows_name_their_groups_where_the_graph_is_torn():
    stream = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], 100)
    X = stream.normal(size=(300, 4)) + 4.0 * np.eye(4)[y]
    some = np.full(300, -1)
    some[[0, 1, 100, 101, 200, 201]] = y[[0, 1, 100, 101, 200, 201]]
    found = labelled_start(X, some, 3, random_state=0)
    np.testing.assert_allclose(found.sum(1), 1)
    for answers in (found, spread_labels(X, some, 3)):
        assert (answers.argmax(1) != y).mean() <= 0.01
    again = labelled_start(X, some, 3, random_state=0)
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_distinct", [12, 30, 60])
def test_copies_of_few_texts_get_the_classes_of_their_like(form, n_distinct):
    """The neighbours of a copy are copies: a graph of all rows is in pieces."""
    stream, words = np.random.RandomState(0), np.arange(40) % 3
    kind = np.arange(n_distinct) % 3
    texts = stream.uniform(size=(n_distinct, 40)) < 0.08 + 0.5 * (words == kind[:, None])
    which = stream.permutation(np.repeat(np.arange(n_distinct), 20))
    rows, y = texts.astype(float)[which], kind[which]
    some = np.full(len(y), -1)
    for k in range(3):
        some[np.flatnonzero(y == k)[:4]] = k
    found = labelled_start(form(rows), some, 3, random_state=0)
    assert (found.argmax(1) == y).mean() > 0.95
    first = np.unique(which, return_index=True)[1]
    np.testing.assert_array_equal(found, found[first][which])


def test_pieces_without_a_label_follow_the_nearest_that_have_one():
    stream, y = np.random.RandomState(0), np.arange(18) // 6
    centers = 300 * np.array([[0, 0], [1, 0], [0, 1]])[y] + 30 * stream.normal(size=(18, 2))
    rows, y = np.repeat(centers, 25, 0) + stream.normal(size=(450, 2)), np.repeat(y, 25)
    some = np.full(450, -1)
    some[[0, 1, 150, 151, 300, 301]] = y[[0, 1, 150, 151, 300, 301]]
    np.testing.assert_array_equal(labelled_start(rows, some, 3, random_state=0).argmax(1), y)


def test_labels_start_with_few_rows_and_one_class():
    X = np.arange(4.0)[:, None]
    two = labelled_start(X, np.array([0, -1, -1, 1]), 2, random_state=0)
    assert two.argmax(1)[[0, 3]].tolist() == [0, 1]
    np.testing.assert_allclose(labelled_start(X, np.array([0, -1, -1, -1]), 1), 1)
    np.testing.assert_allclose(labelled_start(np.ones((5, 2)), [0, 1, 1, 1, -1], 2)[:, 1], 0.5)
    np.testing.assert_allclose(labelled_start(X, np.full(4, -1), 2), 0.5)
