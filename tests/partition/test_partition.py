"""The partition of all samples: laws of columns, order, weights and copies; metrics; errors."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from skdeepcluster import NeighborClustering
from skdeepcluster.input.distinct import merge_equal
from skdeepcluster.neighbors import neighbor_embedding, neighbor_graph
from skdeepcluster.neighbors.graph import GraphSettings
from skdeepcluster.neighbors.samples import _draw_by_priority, connect
from skdeepcluster.partition.coordinates import make_coordinates

X, Y = make_blobs(240, n_features=6, centers=4, random_state=1)
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=(120, 12)) + 2 * np.eye(12)[RANDOM.integers(0, 4, 120)]
WIDE = RANDOM.normal(size=(120, 60)) + 2 * np.eye(60)[RANDOM.integers(0, 4, 120)]
ROWS = np.arange(120)
ORDER = RANDOM.permutation(120)
WEIGHTS = RANDOM.integers(1, 4, 120)


def find(rows, n_clusters=4, sample_weight=None, **settings):
    """Return the labels of all samples, with their responsibilities checked."""
    settings |= {"random_state": 0}
    fit = NeighborClustering(n_clusters, **settings).fit(rows, sample_weight=sample_weight)
    assert fit.responsibilities_.shape == (rows.shape[0], n_clusters)
    has_evidence = n_clusters < rows.shape[0] and rows.shape[0] >= 10
    assert 0 <= fit.expected_score_ <= 1 or not has_evidence
    np.testing.assert_allclose(fit.responsibilities_.sum(1), 1)
    return fit.labels_


def locate(rows, n_clusters, **settings):
    """Return the distinct samples and their coordinates."""
    settings = GraphSettings(**settings)
    random = np.random.RandomState(0)
    samples = connect(rows, n_clusters, settings, random)
    return samples, make_coordinates(samples, settings, random)


@pytest.mark.parametrize(("rows", "metric"), [(NORMAL, "cosine"), (WIDE, "euclidean")])
def test_no_digit_depends_on_copies_and_threads(rows, metric):
    model = NeighborClustering(4, metric=metric, random_state=0)
    copies = np.repeat(ROWS, WEIGHTS)
    one = model.fit(rows).responsibilities_
    np.testing.assert_array_equal(model.fit(rows[ORDER]).responsibilities_, one[ORDER])
    weighted = model.fit(rows, sample_weight=WEIGHTS).responsibilities_
    np.testing.assert_array_equal(model.fit(rows[copies]).responsibilities_, weighted[copies])
    few = np.hstack([rows[:, :20], np.zeros((120, 60))])
    found = model.fit(few).labels_
    np.testing.assert_array_equal(model.fit(sparse.csr_array(few)).labels_, found)
    np.testing.assert_array_equal(model.set_params(n_jobs=2).fit(rows).responsibilities_, one)


def test_other_metrics_distances_weights_and_neighbors():
    half = np.where(np.arange(240) < 200, 1, 0)
    for rows, options in (
        (X * np.linspace(1, 99, 240)[:, None], {"metric": "cosine"}),
        (X, {"metric": "manhattan"}),
        (pairwise_distances(X), {"metric": "precomputed"}),
        (sparse.csr_array(np.hstack([X, np.zeros((240, 18))])), {"sample_weight": half}),
        (X, {"n_neighbors": 500}),
    ):
        assert adjusted_rand_score(Y, find(rows, **options)) == 1
    find(X, n_neighbors=1)


@pytest.mark.filterwarnings("ignore:Only")
@pytest.mark.parametrize("n_samples", [1, 3, 7])
def test_each_cluster_has_a_sample_when_there_are_few(n_samples):
    for n_clusters in range(1, n_samples + 1):
        assert len(set(find(NORMAL[:n_samples], n_clusters))) == n_clusters
        find(np.ones((n_samples, 3)), n_clusters)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neighbor_graph(X, 0), "n_neighbors == 0"),
        (lambda: neighbor_graph(X, metric="precomputed"), r"square matrix.*got \(240, 6\)"),
        (lambda: neighbor_embedding(np.eye(9), 0), "n_components == 0"),
        (lambda: neighbor_embedding(np.eye(9), n_epochs=-1), "n_epochs == -1"),
        (lambda: find(-np.eye(9), metric="precomputed"), "Negative values in data"),
    ],
)
def test_errors_say_what_was_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_coordinates_are_scaled_and_whitened_along_clusters():
    # Long clusters beside each other.
    stream = np.random.default_rng(0)
    labels = np.arange(300) % 3
    rows = stream.normal(size=(300, 2)) * [1, 6] + 14.0 * labels[:, None] * [1, 0]
    samples, coords = locate(rows, 3)
    for points in (coords.wide, coords.narrow, *coords.embeddings):
        np.testing.assert_allclose(points.mean(0), 0, atol=1e-9)
        assert points.var(0).mean() == pytest.approx(1)
    own = labels[samples.reference.kept]
    spread = np.mean([coords.white[own == k].std(0) for k in range(3)], axis=0)
    assert spread.max() < 3 * spread.min(), "six times as long before"


def test_coordinates_need_features_and_two_of_them_to_whiten():
    for rows, metric, n_embeddings, is_whitened in (
        (X[:40], "euclidean", 2, True),
        (X[:40, :1], "euclidean", 2, False),
        (NORMAL[:40].repeat(9, axis=1), "euclidean", 2, False),
        (pairwise_distances(NORMAL), "precomputed", 1, False),
    ):
        _, coords = locate(rows, 4, metric=metric)
        assert coords.has_features == (metric == "euclidean")
        assert (len(coords.embeddings), coords.white is not None) == (n_embeddings, is_whitened)
        assert coords.narrow.shape[1] == min(10, coords.wide.shape[1])


def test_drawn_samples_have_unbiased_weights():
    weights = WEIGHTS / WEIGHTS.min()
    totals = []
    settings = GraphSettings(max_samples=30)
    for seed in range(60):
        random = np.random.RandomState(seed)
        needed = [*range(5), 7, 110] if seed % 2 else [0, 1, 2, 3, 4, 4]
        samples = connect(NORMAL, 3, settings, random, WEIGHTS, needed)
        kept = samples.reference.kept
        inverse = samples.inverse
        assert len(set(kept)) == len(kept) == 30
        expected = set(needed)
        assert expected <= set(kept)
        assert {w for i, w in zip(kept, samples.weights, strict=True) if i in expected} <= {
            *weights[list(expected)]
        }
        assert (samples.weights >= weights[kept]).all()
        np.testing.assert_array_equal(inverse[kept], np.arange(30))
        assert (inverse >= 0).sum() == 30
        totals.append(samples.weights.sum())
    error = np.std(totals) / np.sqrt(60)
    assert np.mean(totals) == pytest.approx(weights.sum(), abs=4 * error)
    # More than half cannot all be kept: they are drawn like the others.
    half = connect(NORMAL, 3, settings, random, None, range(16))
    assert not set(range(16)) <= set(half.reference.kept)


def test_weights_of_many_draws_are_unbiased():
    distinct = merge_equal(np.arange(120), WEIGHTS.astype(float))
    streams = map(np.random.RandomState, range(2000))
    totals = [_draw_by_priority(distinct, 30, stream, ()).weights.sum() for stream in streams]
    error = np.std(totals) / np.sqrt(2000)
    assert np.mean(totals) == pytest.approx(WEIGHTS.sum(), abs=4 * error)


@pytest.mark.parametrize(("n_clusters", "n_neighbors"), [(2, 15), (10, 4), (40, 1), ("auto", 15)])
def test_small_clusters_have_few_neighbors(n_clusters, n_neighbors):
    graph = NeighborClustering(n_clusters, random_state=0).fit(NORMAL[:50]).graph_
    assert graph.nnz == neighbor_graph(NORMAL[:50], n_neighbors).nnz


def test_distinct_samples_of_positive_weight_are_linked():
    rows = np.r_[NORMAL[:50], NORMAL[:20], 9 + NORMAL[:5]]
    weight = np.r_[np.arange(1.0, 71), np.zeros(5)]
    fit = NeighborClustering(3, random_state=0).fit(rows, sample_weight=weight)
    np.testing.assert_array_equal(np.sort(fit.graph_indices_), np.arange(50))
    np.testing.assert_array_equal(fit.responsibilities_[:20], fit.responsibilities_[50:70])
    stored = neighbor_graph(NORMAL, 8)
    stored.data = 1 / stored.data
    weight = np.where(ROWS % 5 == 0, 0, 2.0)
    fit = NeighborClustering(3, metric="precomputed", random_state=0)
    fit.fit(stored, sample_weight=weight)
    np.testing.assert_array_equal(np.sort(fit.graph_indices_), np.flatnonzero(weight))
