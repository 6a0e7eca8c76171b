"""The nearest samples, against distances of all pairs and scikit-learn."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.metrics.pairwise import cosine_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_info, threadpool_limits

from skdeepcluster import NeighborClustering
from skdeepcluster.neighbors.search import NeighborIndex, check_distances
from skdeepcluster.neighbors.threads import single_threaded

GROUPS = make_blobs(60, random_state=0)[0]


def mixture(n_rows, n_features, n_clusters=50, spread=2.0, seed=0):
    stream = np.random.default_rng(seed)
    centers = spread * stream.standard_normal((n_clusters, n_features))
    noise = stream.standard_normal((n_rows, n_features)) * np.linspace(2, 0.2, n_features)
    return centers[stream.integers(n_clusters, size=n_rows)] + noise


@pytest.mark.parametrize("n_features", [1, 10, 11, 64])
def test_samples_are_searched_exactly(n_features):
    X = mixture(500, n_features)
    distances, indices = NeighborIndex(X).query(7)
    gaps = cdist(X, X)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_array_equal(indices, gaps.argsort(1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(gaps)[:, :7])
    assert distances.dtype == np.float64
    assert indices.dtype == np.int64
    queries = mixture(40, n_features, seed=1)
    distances, indices = NeighborIndex(X).query(500, queries)
    np.testing.assert_array_equal(np.sort(indices), np.tile(np.arange(500), (40, 1)))
    np.testing.assert_allclose(distances, np.sort(cdist(queries, X)))


@pytest.mark.parametrize("n_features", [3, 40])
def test_equal_samples_have_distance_zero(n_features):
    X = np.repeat(mixture(120, n_features), 20, axis=0)
    distances, indices = NeighborIndex(X.astype(np.float32)).query(19)
    assert (distances == 0).all()
    assert (indices // 20 == np.arange(2400)[:, None] // 20).all()
    assert (indices != np.arange(2400)[:, None]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_products_far_from_zero_mislead_no_query(dtype):
    X = mixture(300, 40)
    far = np.random.default_rng(0).standard_normal(40)
    rows = np.r_[X, [np.full(40, 1e5)]] + 1e4 * far
    rows = rows.astype(dtype)
    gaps = cdist(rows, rows)
    np.fill_diagonal(gaps, np.inf)
    found = NeighborIndex(rows).query(10)[0]
    np.testing.assert_allclose(found, np.sort(gaps)[:, :10], rtol=1e-6)


@pytest.mark.parametrize("n_features", [4, 30])
@pytest.mark.parametrize("exponent", [-400, 300])
def test_power_of_two_changes_no_index(n_features, exponent):
    X = mixture(700, n_features)
    distances, indices = NeighborIndex(X).query(6)
    scaled, same = NeighborIndex(np.ldexp(X, exponent)).query(6)
    np.testing.assert_array_equal(same, indices)
    np.testing.assert_array_equal(scaled, np.ldexp(distances, exponent))


@pytest.mark.parametrize("n_features", [4, 30])
def test_ties_go_to_the_lower_index(n_features):
    X = np.repeat(mixture(100, n_features), 3, axis=0)
    indices = NeighborIndex(X).query(2, X)[1]
    np.testing.assert_array_equal(indices, np.repeat(np.arange(0, 300, 3), 3)[:, None] + [0, 1])


@pytest.mark.parametrize("n_features", [5, 30])
def test_cosine(n_features):
    X = mixture(300, n_features)
    X[7] = 0
    expected = cosine_distances(X)
    index = NeighborIndex(X, "cosine")
    distances, indices = index.query(8)
    np.testing.assert_allclose(distances, np.take_along_axis(expected, indices, 1), atol=1e-12)
    np.testing.assert_allclose(index.query(3, X[[7]])[0], [[0, 1, 1]], rtol=1e-12)
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_allclose(distances, np.sort(expected)[:, :8], atol=1e-12)
    filled = np.setdiff1d(np.arange(300), [7])
    found = index.query(1, 3 * normalize(X[filled]))[1]
    np.testing.assert_array_equal(found.ravel(), filled)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_sparse_samples_and_other_metrics_are_scikit_learns(metric):
    X = sparse.random(200, 60, 0.2, format="csr", random_state=0)
    library = NearestNeighbors(metric=metric).fit(X)
    index = NeighborIndex(X, metric)
    for found, expected in (
        (index.query(4), library.kneighbors(n_neighbors=4)),
        (index.query(4, X[:9]), library.kneighbors(X[:9], 4)),
    ):
        np.testing.assert_allclose(found[0], expected[0], atol=1e-7)
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("n_features", [2, 20])
def test_few_samples_have_few_neighbors(n_features):
    X = mixture(3, n_features)
    X.setflags(write=False)
    index = NeighborIndex(X)
    assert index.query(9)[1].shape == (3, 2)
    assert index.query(9, X[:2])[1].shape == (2, 3)
    assert NeighborIndex(X[:1]).query(9)[0].shape == (1, 0)
    assert NeighborIndex(X[:1]).query(1, X)[1].tolist() == [[0], [0], [0]]
    assert (NeighborIndex(np.zeros((50, n_features))).query(3)[0] == 0).all()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_similarities_with_a_diagonal_are_refused(form):
    similarities = form(np.exp(-cdist(GROUPS, GROUPS)))
    with pytest.raises(ValueError, match="but 1 on the diagonal, as similarities have"):
        NeighborClustering(3, metric="precomputed").fit(similarities)


@pytest.mark.filterwarnings("error")
def test_distances_of_any_scale_are_no_similarities():
    distances = cdist(GROUPS, GROUPS)
    hops = NearestNeighbors(n_neighbors=9).fit(GROUPS).kneighbors_graph()
    graph = NearestNeighbors(n_neighbors=9).fit(GROUPS).kneighbors_graph(mode="distance")
    by_row = graph.multiply(1 / graph.max(axis=1).toarray()).tocsr()
    rounded = distances / distances.max() + 1e-3 * np.eye(len(GROUPS))
    zeros = np.zeros_like(distances)
    for given in (rounded, rounded > 0.3, zeros, hops, hops.maximum(hops.T), by_row):
        check_distances(given * 1.0)
        check_distances(sparse.csr_array(given * 1.0))


def test_many_samples_have_nearly_exact_neighbors():
    axes = np.random.default_rng(1).normal(size=(6, 120))
    X = np.random.default_rng(0).normal(size=(6000, 6)) @ axes
    distances, found = NeighborIndex(X).query(5)
    exact = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(X).kneighbors()
    shared = [len(set(a) & set(b)) for a, b in zip(found, exact[1], strict=True)]
    assert np.mean(shared) > 4.9
    np.testing.assert_allclose(distances[:, 0], exact[0][:, 0], rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbors_in_near_cells_are_nearly_all(metric):
    X = mixture(11_000, 12)
    new = X[:300] + 0.1 * mixture(300, 12, seed=1)
    index = NeighborIndex(X, metric)
    library = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(X)
    distances, found = index.query(5, new)
    expected = library.kneighbors(new)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(found, expected[1], strict=True)]
    assert np.mean(shared) > 4.9
    np.testing.assert_allclose(distances.mean(), expected[0].mean(), rtol=0.02)
    alone = np.vstack([index.query(5, row[None])[1] for row in new])
    np.testing.assert_array_equal(alone, found)


def test_cells_that_lose_neighbors_are_not_used():
    X = np.random.default_rng(0).standard_normal((11_000, 40))
    expected = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(X).kneighbors()[1]
    assert np.mean(NeighborIndex(X).query(5)[1] == expected) > 0.998


def test_no_answer_depends_on_the_threads_of_a_search_in_cells():
    X = mixture(11_000, 12)
    one, two = (NeighborIndex(X, n_jobs=n).query(5) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("n_rows", "unit"), [(6000, 1.0), (11_000, 2.0**-300), (11_000, 2.0**200)]
)
def test_clusters_far_apart_lose_no_neighbor(n_rows, unit):
    X = mixture(n_rows, 12, spread=0.0) * 1e-4
    X[3000:] += 1.0
    expected = NearestNeighbors(n_neighbors=5, algorithm="kd_tree").fit(X).kneighbors()[1]
    found = NeighborIndex(unit * X).query(5)[1]
    shared = [len(np.intersect1d(a, b)) for a, b in zip(found, expected, strict=True)]
    assert np.mean(shared) > 4.8


def count_blas():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_limits_that_overlap_restore_the_threads_of_blas():
    # Fits in two threads: the first begins and ends before the second.
    with threadpool_limits(2, "blas"):
        before = count_blas()
        first, second = single_threaded("blas"), single_threaded()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert count_blas() == {1}
        second.__exit__(None, None, None)
        assert count_blas() == before != {1}
