"""Labels of some samples: spread along the graph, and classes from a few labels."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs

from skdeepcluster.neighbors import labels as module
from skdeepcluster.neighbors import neighbor_graph, partition_by_labels

X, Y = make_blobs(240, n_features=6, centers=4, random_state=1)


def keep_some(labels, n_kept):
    """Return labels with the first ``n_kept`` of each class, -1 for the others."""
    ranks = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    return np.where(ranks < n_kept, labels, -1)


@pytest.mark.parametrize("name", ["blobs", "line"])
def test_spreading_solves_the_equation_of_the_paper(name):
    # At the far end of the line, the solution is 1e-11 of what it is at the labels.
    graph, labels = neighbor_graph(X), np.eye(4)[Y] * (keep_some(Y, 2) >= 0)[:, None]
    if name == "line":
        graph, labels = neighbor_graph(np.arange(300.0)[:, None], 2), np.zeros((300, 2))
        labels[[0, 10], 0], labels[11, 1] = 1, 1
    sums = graph.toarray().astype(float).sum(1)
    links = graph.toarray() / np.sqrt(sums[:, None] * sums)
    spread = np.linalg.solve(np.eye(len(sums)) - 0.99 * links, labels / labels.sum(0))
    found = module.spread_along(graph, labels)
    np.testing.assert_allclose(found, spread / spread.sum(1, keepdims=True), atol=1e-7)


def test_clusters_follow_labels():
    wrong = np.where(np.arange(240) % 10 == 0, (Y + 1) % 4, Y)
    resp = 0.9 * np.eye(4)[[2, 0, 3, 1]][wrong] + 0.025  # with other names
    labels = module.count_labels(keep_some(Y, 3), 4, np.arange(240))
    graph, weights = neighbor_graph(X), np.arange(1.0, 241)
    found = module.follow_labels(resp, labels, graph, weights, X)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(found[labels.any(1)], labels[labels.any(1)])
    assert (found.argmax(1) == Y).mean() > 0.95
    np.testing.assert_allclose(module.follow_labels(resp, labels, graph, 5 * weights, X), found)
    assert module.follow_labels(resp, 0 * labels, graph, weights, X) is resp


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_distinct", [12, 30, 60])
def test_copies_get_the_classes_of_their_like(form, n_distinct):
    stream, words, kind = np.random.RandomState(0), np.arange(40) % 3, np.arange(n_distinct) % 3
    texts = stream.uniform(size=(n_distinct, 40)) < 0.08 + 0.5 * (words == kind[:, None])
    which = stream.permutation(np.repeat(np.arange(n_distinct), 20))
    rows, labels = form(texts.astype(float)[which]), kind[which]
    found = partition_by_labels(rows, keep_some(labels, 4), 3, random_state=0)
    assert (found.argmax(1) == labels).mean() > 0.95
    first = np.unique(which, return_index=True)[1]
    np.testing.assert_array_equal(found, found[first][which])


def test_classes_of_few_samples():
    rows, targets = np.arange(4.0)[:, None], np.array([0, -1, -1, 1])
    assert partition_by_labels(rows, targets, 2).argmax(1)[[0, 3]].tolist() == [0, 1]
    np.testing.assert_allclose(partition_by_labels(rows, np.minimum(targets, 0), 1), 1)
    np.testing.assert_allclose(partition_by_labels(rows, np.full(4, -1), 2), 0.5)
    np.testing.assert_allclose(partition_by_labels(np.ones((4, 2)), targets, 2), 0.5)
