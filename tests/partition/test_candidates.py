"""Candidate partitions, each family against an independent implementation."""

import numpy as np
import pytest
from common import constrain
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.utils import Bunch

from skdeepcluster.neighbors import neighbor_graph
from skdeepcluster.partition import candidates, coordinates
from skdeepcluster.partition.table import read_table

X, Y = make_blobs(240, n_features=3, centers=4, cluster_std=1.5, random_state=1)
NORMAL = np.random.default_rng(0).normal(size=(90, 3))


def look(points, weights=1, **others):
    """Return the coordinates of points, which are their own embedding."""
    order = np.random.RandomState(0).permutation(len(points))
    rest = [points], neighbor_graph(points), weights * np.ones(len(points)), order, True
    return coordinates.Coordinates(points, points, *rest, **others)


def make_reference(rows, weights, start, kind):
    """Return options -> scikit-learn's mixture of copies of rows, begun with a partition."""
    copies = np.repeat(rows, weights, axis=0)
    names = np.repeat(start, weights)
    reg = 1e-3 * rows.var(0).mean()
    own = [copies[names == k] for k in range(start.max() + 1)]
    shares = np.bincount(names)
    covariances = np.stack([np.cov(part.T, bias=True) + reg * np.eye(3) for part in own])
    covariances = constrain(covariances, shares / shares.sum(), kind)
    precisions = 1 / covariances if kind == "diag" else np.linalg.inv(covariances)
    options = {"means_init": [part.mean(0) for part in own], "covariance_type": kind}
    options |= {"precisions_init": precisions[0] if kind == "tied" else precisions}
    options |= {"weights_init": shares / len(copies), "reg_covar": reg}
    return lambda **more: GaussianMixture(len(own), **options, **more).fit(copies)


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize(("rows", "start"), [(X - X.mean(0), Y), (NORMAL, Y[:90] % 2)])
def test_mixture_is_that_of_scikit_learn(kind, rows, start, monkeypatch):
    monkeypatch.setattr(candidates, "EM_TOLERANCE", -np.inf)
    weights = np.arange(len(rows)) % 3 + 1
    reference = make_reference(rows, weights, start, kind)
    known = reference(tol=0, max_iter=candidates.EM_ITERATIONS - 1)
    given = rows, look(rows, weights), start, start.max() + 1, kind
    found = candidates.fit_gaussians(*given)
    np.testing.assert_array_equal(found.argmax(1), known.predict(rows))
    with np.errstate(divide="ignore"):
        densities = np.log(known.predict_proba(rows)) + known.score_samples(rows)[:, None]
    gaps = (found - densities)[densities > densities.max(1, keepdims=True) - 20]
    np.testing.assert_allclose(gaps, 1.5 * np.log(2 * np.pi), atol=1e-4)


def test_likelihoods_count_copies():
    weights = np.arange(90) % 3 + 1
    likelihoods = []
    for rows, own in ((NORMAL, weights), (NORMAL.repeat(weights, axis=0), np.ones(180))):
        monomials = candidates.make_monomials(rows)
        column = own[:, None].astype(float)

        def estimate(resp, weighted=monomials * column):
            return candidates.list_coefficients(
                *candidates.estimate_gaussians(resp, weighted, 3, "full")
            )

        resp = np.eye(2)[(rows[:, 0] > 0).astype(int)]
        likelihoods.append(candidates.fit_by_em(monomials, resp, column, estimate)[0])
    assert likelihoods[0] == pytest.approx(likelihoods[1])


def link_by_definition(points):
    """Yield the partitions of Genie by a search among all edges in each step."""
    edges = minimum_spanning_tree(squareform(pdist(points))).tocoo()
    edges = sorted(zip(edges.data, edges.row, edges.col, strict=True))
    labels = np.arange(len(points))
    n_points = len(points)
    for n_clusters in range(n_points, 1, -1):
        sizes = np.bincount(labels, minlength=n_points)
        own = sizes[sizes > 0].tolist()
        gap = sum(abs(a - b) for a in own for b in own) / 2
        is_fair = 10 * gap <= 3 * n_points * (n_clusters - 1)  # a Gini index of at most 0.3
        ends = [(labels[i], labels[j]) for _, i, j in edges if labels[i] != labels[j]]
        ends = [(a, b) for a, b in ends if is_fair or min(own) in (sizes[a], sizes[b])]
        labels = np.where(labels == ends[0][0], ends[0][1], labels)
        yield labels


@pytest.mark.parametrize(("n_points", "n_sets"), [(70, 3), (20, 5)])
def test_genie_merges_as_by_its_definition(n_points, n_sets):
    for seed in range(n_sets):
        points = np.random.default_rng(seed).normal(size=(n_points, 2)) ** 3
        merges = coordinates.link_fairly(coordinates.spanning_tree(points), n_points)
        for step, expected in enumerate(link_by_definition(points), 1):
            assert (
                adjusted_rand_score(expected, coordinates.cut_tree(merges, n_points - step)) == 1
            )


@pytest.mark.parametrize("kind", ["connected", "separate", "copies"])
def test_spanning_tree_has_the_length_of_that_of_scipy(kind):
    noise = np.random.default_rng(0).normal(size=(240, 2))
    far = np.arange(240)[:, None] // 80 * 50
    points = {"connected": noise, "separate": far + noise, "copies": noise[np.arange(240) % 120]}
    i, j, lengths = coordinates.spanning_tree(points := points[kind])
    distances = sparse.csr_array(squareform(pdist(points) + 1e-12))  # zeros are no edges
    assert lengths.sum() == pytest.approx(minimum_spanning_tree(distances).sum())
    assert (np.diff(lengths) >= 0).all()
    np.testing.assert_allclose(lengths, np.linalg.norm(points[i] - points[j], axis=1), atol=1e-9)
    links = sparse.csr_array((np.ones(239), (i, j)), (240, 240))
    assert connected_components(links, directed=False)[0] == 1


def test_cuts_and_agglomeration_are_those_of_scipy():
    edges = np.random.default_rng(0).random((60, 60))
    edges = np.where(edges < 0.5, edges, 0) + np.where(edges < 0.5, edges, 0).T
    tree = hierarchy.linkage((1 - edges)[np.triu_indices(60, 1)], "average")
    for n_groups in (1, 2, 7, 30, 60):
        groups = candidates.agglomerate(edges, np.ones(60), n_groups)
        cut = coordinates.cut_tree(tree, n_groups)
        found = np.concatenate([np.full(len(group), k) for k, group in enumerate(groups)])
        assert adjusted_rand_score(cut[np.concatenate(groups)], found) == 1
        assert adjusted_rand_score(cut, hierarchy.cut_tree(tree, n_groups)[:, 0]) == 1
    # The large groups share 4 of 16 pairs of samples, the first two 2 of 4 pairs.
    edges = np.array([[0.0, 2, 0], [2, 0, 4], [0, 4, 0]])
    assert candidates.agglomerate(edges, [1, 4, 4], 2) == [[0, 1], [2]]
    # Without edges, the smallest groups are merged.
    assert candidates.agglomerate(np.zeros((4, 4)), [9, 3, 2, 8], 3) == [[0], [1, 2], [3]]


def list_candidates(*given):
    return list(candidates.find_candidates(*given, np.random.RandomState(0)))


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_each_method_finds_the_given_number(n_clusters):
    one_hot = np.eye(3)[np.arange(len(X)) % 3]
    rows = np.hstack([X, one_hot])
    reference = Bunch(rows=rows)
    samples = Bunch(reference=reference, columns=np.arange(6), weights=np.ones(len(X)))
    views = {"white": X, "table": read_table(samples, [[3, 4, 5]])}
    found = list_candidates(look(X, **views), n_clusters)
    tried = candidates.IN_SAMPLES + candidates.IN_EMBEDDING
    expected = {name for name, *_ in tried}
    assert {method for method, _ in found} == expected - candidates.BRIEF
    assert all(set(labels) == set(range(n_clusters)) for _, labels in found)


@pytest.mark.parametrize("rows", [X, np.c_[X, np.zeros((240, 20))]], ids=["tree", "brute"])
def test_labels_are_extended_to_all_samples(rows):
    coords = look(rows, white=X, sizes=coordinates.StepSizes(fitted=100, merged=60))
    for method, labels in list_candidates(coords, 4):
        assert adjusted_rand_score(Y, labels) > 0.9, method
    for method, n_known in (("ward", 60), ("genie", 100)):
        labels = coords.trees[0].cut(method, 9)
        known = coords.draw(n_known)
        nearest = known[cKDTree(rows[known]).query(rows)[1]]
        np.testing.assert_array_equal(labels, labels[nearest])
        alone = look(rows[known]).trees[0].cut(method, 9)
        assert adjusted_rand_score(alone, labels[known]) == 1


def test_groups_are_divided_and_joined_until_cliques_are_found():
    cliques = np.kron(np.eye(4), np.ones((3, 3))) + 0.1
    groups = [[0, 1, 2, 3, 4, 5], [6, 7, 8], [9], [10, 11]]
    found = candidates.raise_modularity(cliques, np.ones(12), groups)
    assert sorted(map(sorted, found)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_the_modularity_never_falls():
    stream = np.random.RandomState(0)
    edges = stream.uniform(size=(30, 30)) ** 8
    edges += edges.T
    groups = candidates.agglomerate(edges, np.ones(30), 5)
    found = candidates.raise_modularity(edges, np.ones(30), groups)
    assert len(found) == 5
    members = [np.eye(5)[candidates.label_points(each)] for each in (groups, found)]
    before, after = (candidates.compute_modularity(m.T @ edges @ m) for m in members)
    assert after > before + 0.01


def test_modularity_is_that_of_its_definition():
    # Two cliques of three, which one of 7 edges joins: 6 / 7 - 1 / 2.
    joint = np.array([[6.0, 1], [1, 6]])
    assert candidates.compute_modularity(joint) == pytest.approx(6 / 7 - 1 / 2)
