"""The neighbor graph, whitening by it and its embedding."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.optimize import brentq
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from skdeepcluster.neighbors import graph as module
from skdeepcluster.neighbors import neighbor_embedding, neighbor_graph

NORMAL = np.random.default_rng(0).normal(size=(150, 6))


def assert_graph(graph, n_samples):
    """Square, symmetric, weights in (0, 1], no loops."""
    assert (graph.format, graph.shape, graph.dtype) == ("csr", (n_samples, n_samples), np.float32)
    assert (graph != graph.T).nnz == 0
    assert graph.has_canonical_format
    assert np.all((graph.data > 0) & (graph.data <= 1))
    assert not graph.diagonal().any()


@pytest.mark.parametrize("n_features", [1, 6, 40])
def test_each_sample_is_linked_to_its_nearest(n_features):
    rows = np.random.default_rng(0).normal(size=(80, n_features))
    graph = neighbor_graph(rows, 5)
    distances = pairwise_distances(rows)
    assert_graph(graph, 80)
    rank = distances.argsort(1).argsort(1)
    near = (rank > 0) & (rank <= 5)
    np.testing.assert_array_equal(graph.toarray() > 0, near | near.T)
    np.testing.assert_allclose(graph.toarray()[rank == 1], 1)


def test_weights_depend_neither_on_order_nor_on_unit():
    graph = neighbor_graph(NORMAL, 7)
    order = np.random.default_rng(1).permutation(150)
    same = neighbor_graph(1000 * NORMAL[order], 7).toarray()
    np.testing.assert_allclose(same, graph[order][:, order].toarray(), atol=1e-5)


def test_graphs_of_sparse_samples_and_distances():
    expected = neighbor_graph(NORMAL, 6).toarray()
    listed = NearestNeighbors(n_neighbors=6).fit(NORMAL).kneighbors_graph(mode="distance")
    np.testing.assert_allclose(neighbor_graph(sparse.csr_array(NORMAL), 6).toarray(), expected)
    for given in (pairwise_distances(NORMAL), listed):
        graph = neighbor_graph(given, 6, metric="precomputed").toarray()
        np.testing.assert_allclose(graph, expected, atol=1e-5)


def test_whitening_uses_the_scatter_over_pairs_of_two_graphs():
    rows = expected = NORMAL[:60]
    gaps = rows[:, None] - rows
    for _ in range(2):
        weights = neighbor_graph(expected, 4).toarray().astype(float)
        scatter = np.einsum("ij,ijd,ije->de", weights, gaps, gaps) / (2 * weights.sum())
        expected = rows @ module.whitening_matrix(scatter, 60)
    found = module.whiten_by_graph(rows, neighbor_graph(rows, 4), 4)
    np.testing.assert_allclose(pairwise_distances(found), pairwise_distances(expected), rtol=1e-4)


def test_step_follows_the_gradient_of_the_similarities():
    """Log q of linked samples and log(1 - q) of others, with q(d) = 1 / (1 + a d^(2 b))."""
    a = module.CURVE_A
    b = module.CURVE_B
    stream = np.random.default_rng(0)
    y = 3 * stream.normal(size=(2, 12))
    linked = stream.permutation(12)
    here = slice(3, 9)
    rows = torch.tensor(y.T).requires_grad_()
    likelihood = 0
    for which, is_linked in ((linked, True), (np.arange(5, 17) % 12, False)):
        gaps = rows - rows.detach()[torch.from_numpy(which)]
        power = a * gaps.square().sum(1).clamp_min(1e-12) ** b
        likelihood = likelihood - torch.log1p(power if is_linked else 1 / power).sum()
    (gradient,) = torch.autograd.grad(likelihood, rows)
    found = module._step_block(y, np.c_[y, y], linked[None], [5], 0.5, here)
    np.testing.assert_allclose((found - y[:, here]).T, 0.5 * gradient[here], rtol=0.02, atol=1e-3)


def test_embedding_places_separate_pieces_apart():
    pieces = sparse.block_diag([*[neighbor_graph(NORMAL[:60], 5)] * 3, np.zeros((2, 2))], "csr")
    embedding = neighbor_embedding(pieces, 2, n_epochs=50, random_state=0)
    assert len(np.unique(embedding, axis=0)) == 182
    parts = embedding[:180].reshape(3, 60, 2)
    gaps = pairwise_distances(parts.mean(1))[np.triu_indices(3, 1)]
    assert gaps.min() > 2 * parts.std(1).max()


def test_threads_change_nothing_and_seeds_do():
    graph = neighbor_graph(np.random.default_rng(2).normal(size=(9000, 3)))
    one = neighbor_embedding(graph, n_epochs=1, random_state=3)
    two = neighbor_embedding(graph, n_epochs=1, random_state=3, n_jobs=2)
    np.testing.assert_array_equal(one, two)
    assert np.any(one != neighbor_embedding(graph, n_epochs=1, random_state=4))


@pytest.mark.parametrize("n_samples", [3, 40])
def test_whitening_shrinks_the_scatter_as_published(n_samples):
    scatter = np.cov((NORMAL[:9] * [1, 2, 3, 4, 5, 6]).T)
    share = 1 / 6
    trace = np.trace(scatter)
    squares = np.trace(scatter @ scatter)
    wanted = (1 - 2 * share) * squares + trace**2
    rho = min(wanted / ((n_samples + 1 - 2 * share) * (squares - trace**2 * share)), 1)
    assert (rho == 1) == (n_samples == 3)
    expected = (1 - rho) * scatter + (rho + 0.1) * trace / 6 * np.eye(6)
    found = module.whitening_matrix(scatter, n_samples)
    np.testing.assert_allclose(np.linalg.inv(found @ found.T), expected, rtol=1e-9, atol=1e-12)
    tiny = module.whitening_matrix(scatter * 2.0**-90, n_samples)
    np.testing.assert_allclose(abs(tiny), abs(found) * 2.0**45)


def test_weights_are_those_of_umap():
    distances = pairwise_distances(NORMAL[:40])
    v = np.zeros((40, 40))
    for i, row in enumerate(distances):
        near = row.argsort()[1:7]
        beyond = row[near] - row[near[0]]
        sigma = brentq(lambda s, beyond=beyond: np.exp(-beyond / s).sum() - np.log2(7), 1e-3, 1e3)
        v[i, near] = np.exp(-beyond / sigma)
    expected = v + v.T - v * v.T
    np.testing.assert_allclose(neighbor_graph(NORMAL[:40], 6).toarray(), expected, atol=1e-5)


def test_embedding_leaves_out_the_constant_vector():
    embedding = neighbor_embedding(np.ones((20, 20)) - np.eye(20), 2, n_epochs=0, random_state=0)
    assert abs(embedding).max() == pytest.approx(10, abs=1e-3)
    assert (embedding.std(0) > 0.1).all()


@pytest.mark.parametrize("n_samples", [50, 700])
def test_embedding_starts_from_eigenvectors_of_the_laplacian(n_samples):
    # By the dense solver, and by the iteration; the modes of a strip are slow.
    rows = np.random.default_rng(0).uniform(size=(n_samples, 2)) * [7, 1]
    graph = neighbor_graph(rows, 10).toarray().astype(float)
    degree = graph.sum(1)
    _, vectors = np.linalg.eigh(graph / np.sqrt(np.outer(degree, degree)))
    expected = vectors[:, -2:-4:-1] / np.sqrt(degree)[:, None]
    embedding = neighbor_embedding(graph, 2, n_epochs=0, random_state=0)
    assert abs(embedding).max() == pytest.approx(10, abs=1e-3)
    for found, vector in zip(embedding.T, expected.T, strict=True):
        assert abs(np.corrcoef(found, vector)[0, 1]) > 1 - 1e-6
