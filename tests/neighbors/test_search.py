import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import cosine_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from skdeepcluster.neighbors import search
from skdeepcluster.neighbors.search import NeighborIndex


def mixture(n_rows, n_features, n_clusters=50, spread=2.0, seed=0):
    stream = np.random.default_rng(seed)
    centers = spread * stream.standard_normal((n_clusters, n_features))
    noise = stream.standard_normal((n_rows, n_features)) * np.linspace(2, 0.2, n_features)
    return centers[stream.integers(n_clusters, size=n_rows)] + noise


def brute_force(X, k, queries=None):
    center = X.mean(0)
    library = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(X - center)
    return library.kneighbors(None if queries is None else queries - center)


def recall(found, expected):
    pairs = zip(found, expected, strict=True)
    return np.mean([len(np.intersect1d(a, b)) for a, b in pairs]) / expected.shape[1]


@pytest.fixture
def projected(monkeypatch):
    """Few rows are compared on principal components."""
    monkeypatch.setattr(search, "PROJECTED_ROWS", 500)


@pytest.mark.parametrize("n_features", [1, 15, 16, 64])
def test_few_rows_are_searched_exactly(n_features):
    X = mixture(500, n_features)
    distances, indices = NeighborIndex(X).query_self(7)
    gaps = cdist(X, X)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_array_equal(indices, gaps.argsort(1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(gaps)[:, :7])
    assert distances.dtype == np.float64
    assert indices.dtype == np.int64
    queries = mixture(40, n_features, seed=1)
    distances, indices = NeighborIndex(X).query(queries, 500)
    np.testing.assert_array_equal(np.sort(indices), np.tile(np.arange(500), (40, 1)))
    np.testing.assert_allclose(distances, np.sort(cdist(queries, X)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_recall_on_principal_components(projected, dtype):
    X = mixture(1500, 150).astype(dtype)
    index = NeighborIndex(X)
    assert index.products.axes.shape[1] < 150
    distances, indices = index.query_self(10)
    assert recall(indices, brute_force(X, 10)[1]) > 0.98
    gaps = X[:, None].astype(np.float64) - X[indices]
    np.testing.assert_allclose(distances, np.linalg.norm(gaps, axis=2), rtol=1e-6)
    assert (np.diff(distances) >= 0).all()
    assert (indices != np.arange(1500)[:, None]).all()
    new = mixture(200, 150).astype(dtype)
    assert recall(index.query(new, 10)[1], brute_force(X, 10, new)[1]) > 0.97


def test_recall_among_many_rows():
    X = mixture(12_000, 60).astype(np.float32)
    sample = np.arange(0, 12_000, 40)
    index = NeighborIndex(X, n_jobs=2)
    assert index.products.n_near < 6000
    found, expected = index.query_self(15)[1], brute_force(X, 16, X[sample])[1]
    assert recall(found[sample], expected[:, 1:]) > 0.985
    assert recall(index.query(X[sample], 16)[1], expected) > 0.985
    np.testing.assert_array_equal(NeighborIndex(X, n_jobs=1).query_self(15)[1], found)


def test_components_that_lose_neighbors_are_not_used(projected):
    X = np.random.default_rng(0).standard_normal((1000, 40))
    index = NeighborIndex(X)
    assert index.products.axes is None
    np.testing.assert_array_equal(index.query_self(15)[1], brute_force(X, 15)[1])


@pytest.mark.parametrize("n_features", [3, 40])
def test_equal_rows_have_distance_zero(n_features):
    X = np.repeat(mixture(120, n_features), 20, axis=0)
    distances, indices = NeighborIndex(X.astype(np.float32)).query_self(19)
    assert (distances == 0).all()
    assert (indices // 20 == np.arange(2400)[:, None] // 20).all()
    assert (indices != np.arange(2400)[:, None]).all()


def test_rounding_of_products_misleads_no_query(projected):
    stream = np.random.default_rng(0)
    clusters = np.repeat(1e6 * stream.standard_normal((20, 40)), 40, axis=0)
    for X in (clusters + stream.standard_normal((800, 40)), mixture(800, 40) + 1e6):
        assert recall(NeighborIndex(X).query_self(10)[1], brute_force(X, 10)[1]) > 0.99
    X = mixture(800, 40)
    X[0] = 1e10
    found = NeighborIndex(X).query_self(10)[1][1:]
    assert recall(found, brute_force(X[1:], 10)[1] + 1) > 0.99


@pytest.mark.parametrize("n_features", [4, 30, 80])
@pytest.mark.parametrize("exponent", [-900, -300, 7, 300, 900])
def test_power_of_two_changes_no_index(projected, n_features, exponent):
    X = mixture(700, n_features)
    distances, indices = NeighborIndex(X).query_self(6)
    scaled, same = NeighborIndex(np.ldexp(X, exponent)).query_self(6)
    np.testing.assert_array_equal(same, indices)
    np.testing.assert_array_equal(scaled, np.ldexp(distances, exponent))


@pytest.mark.parametrize("n_features", [4, 30])
def test_ties_go_to_the_lower_index(n_features):
    X = np.repeat(mixture(100, n_features), 3, axis=0)
    indices = NeighborIndex(X).query(X, 2)[1]
    np.testing.assert_array_equal(indices, np.repeat(np.arange(0, 300, 3), 3)[:, None] + [0, 1])


@pytest.mark.parametrize("n_features", [5, 30])
def test_cosine(n_features):
    X = mixture(300, n_features)
    X[7] = X[11] = 0
    expected = cosine_distances(X)
    index = NeighborIndex(X, "cosine")
    distances, indices = index.query_self(8)
    np.testing.assert_allclose(distances, np.take_along_axis(expected, indices, 1), atol=1e-12)
    np.testing.assert_allclose(index.query(X[[7]], 3)[0], 1, rtol=1e-12)
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_allclose(distances, np.sort(expected)[:, :8], atol=1e-12)
    filled = np.setdiff1d(np.arange(300), [7, 11])
    found = index.query(3 * normalize(X[filled]), 1)[1]
    np.testing.assert_array_equal(found.ravel(), filled)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_sparse_rows_and_other_metrics_are_scikit_learns(metric):
    X = sparse.random(200, 60, 0.2, format="csr", random_state=0)
    library = NearestNeighbors(metric=metric).fit(X)
    index = NeighborIndex(X, metric)
    for found, expected in (
        (index.query_self(4), library.kneighbors(n_neighbors=4)),
        (index.query(X[:9], 4), library.kneighbors(X[:9], 4)),
    ):
        np.testing.assert_allclose(found[0], expected[0], atol=1e-7)
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("n_features", [2, 20])
def test_few_rows_have_few_neighbors(n_features):
    X = mixture(3, n_features)
    X.setflags(write=False)
    index = NeighborIndex(X)
    assert index.query_self(9)[1].shape == (3, 2)
    assert index.query(X[:2], 9)[1].shape == (2, 3)
    assert NeighborIndex(X[:1]).query_self(9)[0].shape == (1, 0)
    assert NeighborIndex(X[:1]).query(X, 1)[1].tolist() == [[0], [0], [0]]
    assert (NeighborIndex(np.zeros((50, n_features))).query_self(3)[0] == 0).all()
