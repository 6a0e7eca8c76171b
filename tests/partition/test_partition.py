"""The partition of all samples: laws of columns, order, weights and copies; metrics; errors."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from skdeepcluster import NeighborClustering
from skdeepcluster.neighbors import neighbor_graph, neighbor_layout
from skdeepcluster.neighbors.samples import GraphSettings, Lookup, connect, find_limit, interpolate
from skdeepcluster.partition import count_clusters
from skdeepcluster.partition.search import find_partition
from skdeepcluster.partition.views import make_views

X, Y = make_blobs(240, n_features=6, centers=4, random_state=1)
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=(120, 12)) + 2 * np.eye(12)[RANDOM.integers(0, 4, 120)]
WIDE = RANDOM.normal(size=(120, 60)) + 2 * np.eye(60)[RANDOM.integers(0, 4, 120)]
ROWS, ORDER, WEIGHTS = np.arange(120), RANDOM.permutation(120), RANDOM.integers(1, 4, 120)


def find(rows, n_clusters=4, sample_weight=None, **settings):
    """Return the labels of all samples, with their responsibilities checked."""
    settings, options = GraphSettings(**settings), {"sample_weight": sample_weight}
    partition = find_partition(rows, n_clusters, settings, random_state=0, **options)
    resp, _ = interpolate(Lookup(partition.samples.reference), rows, [partition.answers[0].resp])
    assert resp.shape == (rows.shape[0], n_clusters)
    assert 0 <= partition.answers[0].expected_score <= 1
    np.testing.assert_allclose(resp.sum(1), 1)
    return resp.argmax(1)


def view(rows, n_clusters, weights=None, **settings):
    """Return the distinct samples and their views."""
    settings, random = GraphSettings(**settings), np.random.RandomState(0)
    samples = connect(rows, n_clusters, settings, random, weights)
    return samples, make_views(samples, settings, random)


@pytest.mark.parametrize(("rows", "metric"), [(NORMAL, "cosine"), (WIDE, "euclidean")])
def test_no_digit_depends_on_columns_order_and_copies(rows, metric):
    model, copies = NeighborClustering(4, metric=metric, random_state=0), np.repeat(ROWS, WEIGHTS)
    model.set_params(accept_sparse=True)
    constant = np.c_[np.full(120, 7.0 if metric == "euclidean" else 0.0), rows]
    one = model.fit(rows).responsibilities_
    for same, expected in ((constant, one), (rows[:, ::-1], one), (rows[ORDER], one[ORDER])):
        np.testing.assert_array_equal(model.fit(same).responsibilities_, expected)
    weighted = model.fit(rows, sample_weight=WEIGHTS).responsibilities_
    np.testing.assert_array_equal(model.fit(rows[copies]).responsibilities_, weighted[copies])
    np.testing.assert_array_equal(model.fit(sparse.csr_array(rows)).labels_, one.argmax(1))
    np.testing.assert_array_equal(model.set_params(n_jobs=2).fit(rows).responsibilities_, one)


def test_other_metrics_distances_weights_and_neighbors():
    half = np.where(np.arange(240) < 200, 1, 0)
    for rows, options in (
        (X * np.linspace(1, 99, 240)[:, None], {"metric": "cosine"}),
        (X, {"metric": "manhattan"}),
        (pairwise_distances(X), {"metric": "precomputed"}),
        (sparse.csr_array(X), {"sample_weight": half}),
        (X, {"n_neighbors": 500}),
    ):
        assert adjusted_rand_score(Y, find(rows, **options)) == 1
    find(X, n_neighbors=1)


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
        (lambda: neighbor_layout(np.eye(9), 0), "n_components == 0"),
        (lambda: neighbor_layout(np.eye(9), n_epochs=-1), "n_epochs == -1"),
        (lambda: count_clusters(-np.eye(9), metric="precomputed"), "Negative values in data"),
    ],
)
def test_errors_say_what_was_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_views_are_scaled_and_whitened_along_clusters():
    # Long clusters beside each other.
    stream, labels = np.random.default_rng(0), np.arange(300) % 3
    rows = stream.normal(size=(300, 2)) * [1, 6] + 14.0 * labels[:, None] * [1, 0]
    samples, views = view(rows, 3)
    for points in (views.wide, views.narrow, *views.layouts):
        np.testing.assert_allclose(points.mean(0), 0, atol=1e-9)
        assert points.var(0).mean() == pytest.approx(1)
    assert len(views.layouts) == 2
    own = labels[samples.reference.kept]
    spread = np.mean([views.white[own == k].std(0) for k in range(3)], axis=0)
    assert spread.max() < 3 * spread.min(), "six times as long before"


def test_few_features_are_their_own_narrow_view():
    _, views = view(NORMAL[:40, :10], 2)
    np.testing.assert_allclose(views.narrow, views.wide)
    assert view(NORMAL[:40], 2)[1].narrow.shape == (40, 10)


def test_views_need_features_and_two_of_them_to_whiten():
    for rows, metric, n_layouts, is_whitened in (
        (X[:40], "euclidean", 2, True),
        (X[:40, :1], "euclidean", 2, False),
        (NORMAL[:40].repeat(9, axis=1), "euclidean", 2, False),
        (pairwise_distances(NORMAL), "precomputed", 1, False),
    ):
        _, views = view(rows, 4, metric=metric)
        assert views.has_features == (metric == "euclidean")
        assert (len(views.layouts), views.white is not None) == (n_layouts, is_whitened)


def test_values_far_from_the_fitted_ones_are_clipped():
    rows = np.array([[-3.0, 2.0], [1.0, 0.0]])
    assert find_limit(rows, "euclidean") == 3e6
    assert find_limit(-rows, "euclidean") == 3e6
    largest = find_limit(rows, "manhattan")
    assert largest >= 1e100
    assert find_limit(0 * rows, "euclidean") == largest
    assert find_limit(1e300 * rows, "euclidean") == largest


def test_samples_of_equal_length_have_a_unit_view():
    equal = 7 * NORMAL[:40] / np.linalg.norm(NORMAL[:40], axis=1, keepdims=True)
    for rows, has_unit in (
        (equal, True),
        (NORMAL[:40], False),
        (1.01 ** (ROWS[:40, None] == 3) * equal, False),
    ):
        unit = view(rows, 2)[1].unit
        assert (unit is not None) == has_unit
        if has_unit:
            np.testing.assert_allclose(np.square(unit).mean(1), 1, rtol=1e-5)


def test_drawn_samples_have_unbiased_weights():
    weights, totals, settings = WEIGHTS / WEIGHTS.max(), [], GraphSettings(max_samples=30)
    for seed in range(60):
        random = np.random.RandomState(seed)
        needed = [*range(5), 7, 110] if seed % 2 else [0, 1, 2, 3, 4, 4]
        samples = connect(NORMAL, 3, settings, random, WEIGHTS, needed)
        kept, inverse = samples.reference.kept, samples.inverse
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


@pytest.mark.parametrize(("n_clusters", "n_neighbors"), [(2, 15), (10, 4), (40, 1), ("auto", 15)])
def test_small_clusters_have_few_neighbors(n_clusters, n_neighbors):
    given = GraphSettings(), np.random.RandomState(0)
    reference = connect(NORMAL[:50], n_clusters, *given).reference
    assert reference.n_neighbors == n_neighbors


def test_distinct_samples_of_positive_weight_are_linked():
    rows = np.r_[NORMAL[:50], NORMAL[:20], 9 + NORMAL[:5]]
    weight = np.r_[np.arange(1.0, 71), np.zeros(5)]
    samples = connect(rows, "auto", GraphSettings(), np.random.RandomState(0), weight)
    assert samples.graph.shape == (50, 50)
    np.testing.assert_array_equal(samples.inverse[:20], samples.inverse[50:70])
    assert (samples.inverse[70:] == -1).all()
    total = np.bincount(samples.inverse[:70], weight[:70])
    np.testing.assert_allclose(samples.weights, total / total.max())
    np.testing.assert_array_equal(samples.reference.rows[samples.inverse[:70]], rows[:70])
    distances = np.sort(pairwise_distances(samples.reference.rows), 1)[:, 1:16]
    np.testing.assert_allclose(samples.reference.spacing, distances.mean(1))


def test_sparse_distances_leave_out_samples_without_weight():
    stored, weight = neighbor_graph(NORMAL, 8), np.where(ROWS % 5 == 0, 0, 2.0)
    stored.data = 1 / stored.data
    random, settings = np.random.RandomState(0), GraphSettings(metric="precomputed")
    samples = connect(stored.astype(np.float64), 3, settings, random, weight)
    assert (samples.inverse[weight == 0] == -1).all()
    assert (samples.weights == 1).all()
    np.testing.assert_array_equal(np.sort(samples.reference.kept), np.flatnonzero(weight))
    np.testing.assert_array_equal(
        samples.reference.kept[samples.inverse[weight > 0]], ROWS[weight > 0]
    )
