"""Labels of some samples: spread along the graph, and classes from a few labels."""

import numpy as np
import pytest
from common import keep_some
from scipy import sparse
from sklearn.datasets import make_blobs

from skdeepcluster.input.preparation import Prepared
from skdeepcluster.neighbors import neighbor_graph
from skdeepcluster.partition import known as module

X, Y = make_blobs(240, n_features=6, centers=4, random_state=1)


@pytest.mark.parametrize("name", ["blobs", "line"])
def test_spreading_solves_the_equation_of_the_paper(name):
    # At the far end of the line, the solution is 1e-11 of what it is at the labels.
    graph = neighbor_graph(X)
    labels = np.eye(4)[Y] * (keep_some(Y, 2) >= 0)[:, None]
    if name == "line":
        graph = neighbor_graph(np.arange(300.0)[:, None], 2)
        labels = np.zeros((300, 2))
        labels[[0, 10], 0] = 1
        labels[11, 1] = 1
    sums = graph.toarray().astype(float).sum(1)
    links = graph.toarray() / np.sqrt(sums[:, None] * sums)
    spread = np.linalg.solve(np.eye(len(sums)) - 0.99 * links, labels / labels.sum(0))
    found = module.spread_along(graph, labels)
    np.testing.assert_allclose(found, spread / spread.sum(1, keepdims=True), atol=1e-7)


def test_clusters_follow_labels():
    wrong = np.where(np.arange(240) % 10 == 0, (Y + 1) % 4, Y)
    resp = 0.9 * np.eye(4)[[2, 0, 3, 1]][wrong] + 0.025  # with other names
    labels = module.count_labels(keep_some(Y, 3), 4, np.arange(240), np.ones(240))
    graph = neighbor_graph(X)
    weights = np.arange(1.0, 241)
    found = module.follow_labels(resp, labels, graph, weights, X)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(found[labels.any(1)], labels[labels.any(1)])
    assert (found.argmax(1) == Y).mean() > 0.95
    for counts, scale in ((labels, 5 * weights), (3 * labels, weights)):
        np.testing.assert_allclose(module.follow_labels(resp, counts, graph, scale, X), found)
    assert module.follow_labels(resp, 0 * labels, graph, weights, X) is resp
    # Labels have half of the votes; here they have the only ones for a cluster.
    found = module.follow_labels(np.full((240, 4), 0.25), labels, graph, weights, X)
    assert found.max(1).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_distinct", [12, 30, 60])
def test_copies_get_the_classes_of_their_like(form, n_distinct):
    stream = np.random.RandomState(0)
    words = np.arange(40) % 3
    kind = np.arange(n_distinct) % 3
    texts = stream.uniform(size=(n_distinct, 40)) < 0.08 + 0.5 * (words == kind[:, None])
    which = stream.permutation(np.repeat(np.arange(n_distinct), 20))
    rows = form(texts.astype(float)[which])
    labels = kind[which]
    found = module.partition_by_labels(Prepared(rows), keep_some(labels, 4), 3, random_state=0)
    assert (found.argmax(1) == labels).mean() > 0.95
    first = np.unique(which, return_index=True)[1]
    np.testing.assert_array_equal(found, found[first][which])


def test_classes_of_few_samples():
    few = Prepared(np.arange(4.0)[:, None])
    equal = Prepared(np.ones((4, 2)))
    targets = np.array([0, -1, -1, 1])
    assert module.partition_by_labels(few, targets, 2).argmax(1)[[0, 3]].tolist() == [0, 1]
    np.testing.assert_allclose(module.partition_by_labels(few, np.minimum(targets, 0), 1), 1)
    np.testing.assert_allclose(module.partition_by_labels(few, np.full(4, -1), 2), 0.5)
    np.testing.assert_allclose(module.partition_by_labels(equal, targets, 2), 0.5)


def test_pieces_without_labels_follow_the_nearest_sample():
    rows = np.repeat([0.0, 10.0, 10.9], 30)[:, None] + np.linspace(0, 0.1, 90)[:, None] ** 2
    targets = np.full(90, -1)
    targets[[0, 40]] = 0, 1
    found = module.partition_by_labels(Prepared(rows), targets, 2, random_state=0)
    np.testing.assert_array_equal(found.argmax(1), np.repeat([0, 1, 1], 30))


def test_walks_end_at_labels_or_with_votes():
    stream = np.random.default_rng(0)
    graph = np.triu(stream.random((30, 30)) * (stream.random((30, 30)) < 0.2), 1)
    graph += graph.T
    graph[:, 29] = graph[29] = 0  # no edges: the votes stay
    labels = np.zeros((30, 2))
    votes = stream.dirichlet(np.ones(2), 30)
    labels[[0, 1, 2]] = [[3, 0], [1, 1], [0, 2]]
    stops = stream.random(30)
    found = module.absorb_walk(sparse.csr_matrix(graph), labels, votes, stops)
    ends = np.where(labels.any(1)[:, None], labels / np.maximum(labels.sum(1), 1)[:, None], votes)
    expected = ends.copy()
    steps = graph[:29] / graph[:29].sum(1, keepdims=True)
    for _ in range(2000):
        walked = (steps @ expected + stops[:29, None] * votes[:29]) / (1 + stops[:29, None])
        expected[3:29] = walked[3:]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_clusters_are_named_by_labels_then_by_distances():
    found = np.eye(4)[np.repeat([0, 1, 2, 3], 3)]
    rows = np.repeat([0.0, 10, 20, 31], 3)[:, None] + 1e6
    labels = np.zeros((12, 4))
    labels[[0, 1, 3], [2, 2, 2]] = 1  # most of class 2 are in the first cluster
    labels[[2, 4, 5], [0, 0, 0]] = 1
    names = module.name_clusters(found, labels, rows)
    assert names.tolist() == [2, 0, 1, 3]
    tie = np.zeros((12, 4))
    tie[[0, 6], 3] = tie[[7, 9], 1] = 1  # class 1 has one label in each of two clusters
    for last, expected in ((40, [3, 0, 1, 2]), (22, [3, 0, 2, 1])):
        rows[11] = 1e6 + last  # moves the center of the last cluster
        assert module.name_clusters(found, tie, rows).tolist() == expected
