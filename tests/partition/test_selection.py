"""The choice of a partition: features by other means, the criterion, and probabilities."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.linear_model import Ridge
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, jaccard_score

from skdeepcluster import NeighborClustering
from skdeepcluster.neighbors import neighbor_graph
from skdeepcluster.partition import coordinates, selection
from skdeepcluster.partition.criterion import constants, features, learned
from skdeepcluster.partition.criterion.measurements import Whole, measure_samples
from skdeepcluster.partition.criterion.score import Criterion, spread_votes

X, _ = make_blobs(120, n_features=4, centers=3, cluster_std=2, random_state=0)
NAMES = X[:, :3].argmax(1)
NAMES[::9] = np.arange(120)[::9] % 3
MEMBER = np.eye(3)[NAMES]


def look(points, embedding=None):
    """Return coordinates of points, by default with the points as their embedding."""
    rest = neighbor_graph(points), np.ones(len(points)), np.arange(len(points)), True
    embeddings = [points if embedding is None else embedding]
    return coordinates.Coordinates(points, points, embeddings, *rest)


def measure_points(points, embedding=None):
    """Return what is measured of points, all of which are scored."""
    coords = look(points, embedding)
    whole = Whole(coords.graph, np.arange(len(points)))
    return measure_samples(coords, whole, points.shape[1])


def describe_points(points, labels, embedding=None):
    """Return the features of one partition by name."""
    measured = measure_points(points, embedding)
    ensemble = features.Ensemble(measured, [("kmeans", labels)], labels.max() + 1)
    values = ensemble.compare(labels[None])
    return dict(zip(features.NAMES, values[0].tolist(), strict=True))


@pytest.mark.parametrize("space", ["points", "embedding"])
def test_features_of_centers(space):
    points = {"points": X, "embedding": X[:, :2] ** 2}[space]
    found = describe_points(X, NAMES, X[:, :2] ** 2)
    centers = np.stack([points[MEMBER[:, k] > 0].mean(0) for k in range(3)])
    distances = cdist(points, centers)
    own = distances[MEMBER > 0]
    other = np.where(MEMBER > 0, np.inf, distances).min(1)
    silhouettes = (other - own) / np.maximum(own, other)
    spread = np.sqrt(MEMBER.T @ own**2 / MEMBER.sum(0))
    ratios = (spread[:, None] + spread) / (cdist(centers, centers) + np.diag([np.inf] * 3))
    expected = {
        "calinski": np.log(calinski_harabasz_score(points, NAMES)),
        "silhouette": silhouettes.mean(),
        "least silhouette": min(silhouettes[MEMBER[:, k] > 0].mean() for k in range(3)),
        "davies": np.log(ratios.max(1).mean()),
    }
    found = {name: found[f"{space} {name}"] for name in expected}
    assert found == pytest.approx(expected, abs=2e-5)


def test_linear_accuracy_is_that_without_each_sample():
    points = np.c_[X / np.sqrt(X.var(0).sum()), np.ones(120)]
    right = 0
    ridge = Ridge(alpha=constants.PENALTY * 120 / 100 / 4, fit_intercept=False)
    for i, kept in enumerate(~np.eye(120, dtype=bool)):
        fitted = ridge.fit(points[kept], MEMBER[kept])
        right += fitted.predict(points[[i]]).argmax() == NAMES[i]
    assert 60 < right < 115
    assert describe_points(X, NAMES)["linear"] == pytest.approx(right / 120, abs=1e-5)


def test_table_has_agreement_and_no_names_of_clusters():
    labels = np.random.default_rng(0).integers(0, 3, (5, 120))
    labels[1, :80], labels[2], labels[3] = labels[0, :80], 2 - labels[0], 0
    agreement = features.measure_agreement(labels, labels)
    expected = [[adjusted_rand_score(one, other) for other in labels] for one in labels]
    np.testing.assert_allclose(agreement, expected, atol=1e-9)

    measured = measure_points(X)
    methods = "kmeans", "genie", "ward", "genie", "full"
    ensemble = features.Ensemble(measured, zip(methods, labels, strict=True), 3)
    table = ensemble.compare(labels)
    names = features.NAMES
    assert table.shape == (5, len(set(names)))
    agreements = table[:, [names.index("agreement"), names.index("with genie")]]
    expected = np.c_[agreement.mean(1), agreement[:, [1, 3]].mean(1)]
    np.testing.assert_allclose(agreements, expected, atol=1e-4)
    np.testing.assert_allclose(table[0], table[2], atol=1e-4)  # names of clusters mean nothing

    # Values are compared with the ensemble's, and do not depend on what else is compared.
    cut = table[:, names.index("cut")]
    mean = ensemble.values[:, names.index("cut")]
    spread = 0.01
    standard = (cut - mean.mean()) / (mean.std() + spread)
    np.testing.assert_allclose(table[:, names.index("cut, standardized")], standard, atol=1e-3)
    ranks = [(np.mean(mean < own) + np.mean(mean <= own)) / 2 for own in mean]
    np.testing.assert_allclose(table[:, names.index("cut, rank")], ranks, atol=1e-6)
    np.testing.assert_array_equal(ensemble.compare(labels[:1])[0], table[0])


@pytest.mark.parametrize("purpose", ["score, features", "choice, embedding", "one"])
def test_scores_are_sums_of_regression_trees(purpose):
    trees = learned.load_criterion().trees[purpose]
    rows = np.random.default_rng(0).normal(size=(20, len(learned.INPUTS[purpose])))
    rows = rows.astype(np.float32)
    expected = np.full(20, float(trees.base))
    for i, row in enumerate(rows):
        for node in trees.roots:
            while trees.left[node] > 0:
                goes_left = row[trees.feature[node]] <= trees.threshold[node]
                node += trees.left[node] if goes_left else trees.right[node]
            expected[i] += trees.value[node]
    np.testing.assert_allclose(trees.predict(rows), expected)


def test_a_partition_has_one_score_wherever_it_comes_from():
    own = Criterion(look(X), 4)
    scores = own.score_ensemble(3)
    others = [(2 - labels) * 5 for labels in own.find_ensemble(3).labels]
    np.testing.assert_array_equal(own.score(others), scores)
    one = own.score([np.zeros(120, dtype=int)])
    assert one == own.score_one()
    assert 0 <= one[0] <= 1
    assert np.isnan(own.score([np.arange(120)]))


def test_candidates_are_compared_by_what_sets_them_apart():
    own = Criterion(look(X), 4)
    labels = own.find_ensemble(3).labels
    excess = own.score_excess(labels)
    mixed = [np.random.default_rng(0).permutation(row) for row in labels]
    assert excess.max() > own.score_excess(mixed).max()
    assert abs(excess).max() < 1
    # A candidate that has one cluster in the scored samples is never the best.
    assert own.score_excess([*labels, np.zeros(120, dtype=int)]).argmin() == len(labels)


RANDOM = np.random.default_rng(1)
HALVES = np.arange(400) % 2
SHAPES = {
    "moons": make_moons(250, noise=0.05, random_state=0),
    "rings": make_circles(250, noise=0.03, factor=0.3, random_state=0),
    "long": (RANDOM.normal(size=(400, 2)) * [8, 1] + 7 * HALVES[:, None] * [0, 1], HALVES),
    "unequal": make_blobs([450, 100, 40, 20], centers=8 * np.eye(4), random_state=0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_clusters_of_any_shape_and_size_are_found(name):
    rows, labels = SHAPES[name]
    found = NeighborClustering(labels.max() + 1, random_state=0).fit(rows)
    assert adjusted_rand_score(labels, found.labels_) > 0.95


def test_candidates_vote_by_names_at_the_end_of_a_walk():
    best = np.array([0, 0, 0, 1, 1, 2])
    other = np.array([1, 1, 2, 2, 2, 0])
    matched = np.array([2, 0, 1])[other]
    labels = np.stack([best, np.array([2, 0, 1])[best], other])
    ballots = np.array([1, 1, 2.0])
    votes, stability = selection.count_votes(labels, ballots, 0, np.ones(6), 3)
    np.testing.assert_allclose(votes, (np.eye(3)[best] + np.eye(3)[matched]) / 2)
    # Besides the best, a candidate with 1 / 3 of the votes agrees and one with 2 / 3 does not.
    np.testing.assert_allclose(stability, (1 + 2 * jaccard_score(best, matched, average=None)) / 3)
    graph = np.kron(np.diag([1, 1, 0]), [[1, 2], [2, 0]])  # the last samples have no edges
    steps = graph / np.maximum(graph.sum(1, keepdims=True), 1) + np.diag([0, 0, 0, 0, 1, 1])
    found = spread_votes(votes, sparse.csr_matrix(graph, dtype=np.float32))
    np.testing.assert_allclose(found, steps @ steps @ votes, atol=1e-6)


def test_candidates_that_are_equal_share_a_vote():
    agreement = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    weights = selection.weight_candidates(np.full(3, 0.5), agreement)
    np.testing.assert_allclose(weights, [0.5, 0.5, 1])


@pytest.mark.parametrize("n_clusters", [3, 4, 5])
def test_a_vote_is_worth_its_best_candidate_or_more(n_clusters):
    # Candidates disagree: the vote of all scores less with three clusters, and more with others.
    overlapping, _ = make_blobs(120, n_features=4, centers=4, cluster_std=3.5, random_state=0)
    coords = look(overlapping)
    own = Criterion(coords, 4)
    found = selection.find_candidates(coords, n_clusters, np.random.RandomState(0))
    labels = np.array([candidate for _, candidate in found])
    agreement = features.measure_agreement(labels, labels)
    weights = selection.weight_candidates(own.score_excess(labels), agreement)
    best = labels[(agreement @ weights).argmax()]
    winner = next(selection.vote(coords, own, n_clusters, np.random.RandomState(0)))[2]
    alone, voted = own.score_robustly(np.array([best, winner.labels]))
    keeps_all = len(np.unique(winner.labels)) == n_clusters
    assert winner.expected_score == (max(alone, voted) if keeps_all else alone)


def make_sure(labels, votes, stability, score):
    """Return the responsibilities of a vote with some coefficients of the calibration."""
    partition = selection.Partition(votes, score)
    return learned.calibrate(labels, stability, partition, [1, 0.5, 0.5, 0]).responsibilities


@pytest.mark.parametrize("n_clusters", [2, 3, 4])
def test_probabilities_rise_with_votes_and_stability(n_clusters):
    votes = np.random.default_rng(0).dirichlet(np.ones(n_clusters), 60)
    labels = np.arange(60) % n_clusters
    sure = np.full(n_clusters, 0.9)
    own = np.eye(n_clusters)[labels] > 0
    resp = make_sure(labels, votes, np.linspace(0.2, 0.9, n_clusters), 0.7)
    np.testing.assert_array_equal(resp.argmax(1), labels)
    np.testing.assert_allclose(resp.sum(1), 1)
    stable = make_sure(labels, votes, sure, 0.7)[own]
    assert (stable >= resp[own]).all()
    assert stable.mean() > resp[own].mean()
    assert (np.diff(stable[np.argsort(votes[own])]) > -1e-5).all()


def test_features_of_sizes_borders_and_the_graph():
    found = describe_points(X, NAMES)
    graph = neighbor_graph(X).toarray().astype(float)
    centers = np.stack([X[k == NAMES].mean(0) for k in range(3)])
    distances = cdist(X, centers)
    other = np.where(MEMBER > 0, np.inf, distances).argmin(1)
    step = centers[other] - centers[NAMES]
    # Position along the line from the own center (0) to the nearest other one (1).
    place = ((X - centers[NAMES]) * step).sum(1) / np.square(step).sum(1)
    border = (place > 0.4).mean()
    core = (np.abs(place) < 0.1).mean()
    shares = MEMBER.mean(0)
    volumes = MEMBER.T @ graph.sum(1)
    inside = np.array([graph[np.ix_(k == NAMES, k == NAMES)].sum() for k in range(3)])
    same = NAMES[cdist(X, X).argsort(1)[:, 1:16]] == NAMES[:, None]
    squares = np.square(distances[MEMBER > 0]).mean() / X.var(0).sum()
    expected = {
        "entropy": entropy(shares, base=3),
        "smallest": np.log((shares.min() * 120 + 0.5) / 40),
        "largest": 3 * shares.max(),
        "points misplaced": (distances.argmin(1) != NAMES).mean(),
        "points border": border,
        "points valley": np.log((border + 1e-3) / (core + 1e-3)),
        "points within": np.log(squares),
        "cut": np.log(np.mean(1 - inside / volumes) + 1e-3),
        "modularity": inside.sum() / graph.sum() - np.square(volumes / graph.sum()).sum(),
        "conductance": np.max(1 - inside / volumes),
        "weakest pair": max(
            graph[np.ix_(i == NAMES, j == NAMES)].sum() / min(volumes[i], volumes[j])
            for i, j in ((0, 1), (0, 2), (1, 2))
        ),
        "purity": same.mean(),
        "nearest purity": same[:, :5].mean(),
        "least purity": min(same[k == NAMES].mean() for k in range(3)),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=2e-5)


def low_quantile(values, share):
    """Return the sample at a quantile, or the next below it."""
    return np.quantile(values, share, method="lower")


@pytest.mark.parametrize("space", ["points", "embedding"])
def test_the_saddle_density_is_that_of_the_densest_border(space):
    points = {"points": X, "embedding": X[:, :2] ** 2}[space]
    found = describe_points(X, NAMES, X[:, :2] ** 2)
    distances = cdist(points, points)
    nearest = distances.argsort(1)[:, 1:16]
    density = 1 / np.sort(distances, 1)[:, 1:16].mean(1)
    ratios = {}
    for i in range(120):
        for j in nearest[i]:
            pair = frozenset({NAMES[i], NAMES[j]})
            ratios.setdefault(pair, []).append(min(density[i], density[j]))
    ratios = {pair: links for pair, links in ratios.items() if len(pair) == 2}
    assert len(ratios) == 3

    highest = {}
    for share in (0.9, 0.5):
        peaks = [low_quantile(density[k == NAMES], share) for k in range(3)]
        highest[share] = {
            pair: low_quantile(links, share) / min(peaks[k] for k in pair)
            for pair, links in ratios.items()
        }
    medians = highest[0.5]
    expected = {
        "saddle density": max(highest[0.9].values()),
        "median saddle density": max(medians.values()),
        "mean saddle density": np.mean(
            [max(medians[p] for p in medians if k in p) for k in range(3)]
        ),
    }
    found = {name: found[f"{space} {name}"] for name in expected}
    assert found == pytest.approx(expected, abs=2e-5)


def test_clusters_without_a_common_border_have_no_saddle():
    points = np.concatenate([X, X + 1000])
    found = describe_points(points, np.repeat([0, 1], 120))
    assert found["points saddle density"] == found["points median saddle density"] == 0
    halves = describe_points(points, (points[:, 0] > X[:, 0].mean()).astype(int))
    assert halves["points saddle density"] > 0.5


def test_features_of_a_spanning_tree_of_many_features():
    found = describe_points(X, NAMES)
    distances = cdist(X, X)
    edges = minimum_spanning_tree(distances).tocoo()
    core = np.sort(distances)[:, 5]
    reach = np.maximum(edges.data, np.maximum(core[edges.row], core[edges.col]))
    crosses = NAMES[edges.row] != NAMES[edges.col]
    inner = np.zeros(120)
    outer = np.full(120, np.inf)
    for a, b, length, is_out in zip(edges.row, edges.col, reach, crosses, strict=True):
        for end in (a, b):
            if is_out:
                outer[end] = min(outer[end], length)
    for k in range(3):
        inner[k] = reach[~crosses & (NAMES[edges.row] == k)].max()
    outer = np.array([outer[k == NAMES].min() for k in range(3)])
    density = np.log(outer / inner[:3])
    expected = {
        "crossings": np.log((crosses.sum() + 1) / 3),
        "least density": density.min(),
        "density": MEMBER.mean(0) @ density,
    }
    for name, values in (("tree", edges.data), ("reach", reach)):
        logs = np.log(values)
        expected[f"{name} gap"] = logs[crosses].mean() - logs[~crosses].mean()
        ranks = [(values < own).mean() for own in values[crosses]]
        expected[f"{name} rank"] = np.mean(ranks)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=2e-5)


def test_other_clusters_keep_their_votes_below_the_label():
    votes = np.random.default_rng(0).dirichlet(np.ones(4), 200)
    labels = np.arange(200) % 4
    resp = make_sure(labels, votes, np.full(4, 0.3), 0.4)
    is_own = np.eye(4) > 0
    is_own = is_own[labels]
    top = resp[is_own]
    others = resp[~is_own].reshape(200, 3)
    rest = votes[~is_own].reshape(200, 3) + 1e-3
    rest *= (1 - top[:, None]) / rest.sum(1, keepdims=True)
    kept = rest.max(1) * (1 + learned.LEAD) <= top
    assert 10 < kept.sum() < 190
    np.testing.assert_allclose(others[kept], rest[kept])
    # Else they move toward equal shares until the largest one is just below the label.
    np.testing.assert_allclose(others[~kept].max(1), top[~kept] / (1 + learned.LEAD))
    even = (1 - top[~kept, None]) / 3
    ratios = (others[~kept] - even) / (rest[~kept] - even)
    np.testing.assert_allclose(ratios, ratios[:, :1].repeat(3, 1), rtol=1e-6)


def test_gains_of_few_samples_shrink_covariances():
    found = describe_points(X, NAMES)
    sizes = np.bincount(NAMES)
    own = np.stack([np.cov(X[k == NAMES].T, bias=True) for k in range(3)])
    whole = np.cov(X.T, bias=True)
    shares = sizes / 120
    noise = 1e-3 * np.trace(whole) / 4 * (1 + 4e-6) * np.eye(4)
    pooled = np.average(own, axis=0, weights=sizes) + noise
    shrunk = (sizes[:, None, None] * own + 5 * pooled) / (sizes + 5)[:, None, None]
    base = np.linalg.slogdet(whole + 1e-6 * np.trace(whole) * np.eye(4))[1] / 2 - entropy(shares)
    gains = {
        "full": base - shares @ np.linalg.slogdet(shrunk)[1] / 2,
        "tied": base - np.linalg.slogdet(pooled)[1] / 2,
        "diag": base - shares @ [np.log(np.diag(s)).sum() for s in shrunk] / 2,
    }
    for kind, n_parameters in (("full", 15), ("tied", 5), ("diag", 9)):
        price = np.log(120) / 240 * 2 * n_parameters
        assert found[f"points {kind}"] == pytest.approx(gains[kind], abs=2e-5)
        assert found[f"points {kind} bic"] == pytest.approx(gains[kind] - price, abs=2e-5)


def test_a_cluster_of_one_sample_counts():
    labels = NAMES.copy()
    labels[7] = 3
    found = describe_points(X, labels)
    assert found["conductance"] == pytest.approx(1)
    assert found["least purity"] == 0
