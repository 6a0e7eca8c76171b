"""The user's hand on the partition: sizes of clusters, and pairs of samples."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris, make_blobs
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.partition.constraints import Constraints

X, Y = load_iris(return_X_y=True)


def fit(
    X=X, n_clusters=3, y=None, sample_weight=None, must_link=None, cannot_link=None, **options
):
    clusterer = NeighborClustering(n_clusters, random_state=0, **options)
    return clusterer.fit(X, y, sample_weight, must_link=must_link, cannot_link=cannot_link)


def draw_pairs(y, n_pairs, seed=0):
    """Return as many pairs of samples in one class as in two, half of ``n_pairs`` each."""
    pairs = np.random.RandomState(seed).randint(len(y), size=(100 * n_pairs, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    is_same = y[pairs[:, 0]] == y[pairs[:, 1]]
    half = n_pairs // 2
    return {"must_link": pairs[is_same][:half], "cannot_link": pairs[~is_same][:half]}


@pytest.mark.parametrize("seed", range(8))
def test_sizes_are_within_their_bounds(seed):
    stream = np.random.RandomState(seed)
    n_clusters = stream.randint(2, 7)
    n_samples = stream.randint(60, 200)
    rows = stream.standard_normal((n_samples, 3)) * (1 + stream.exponential(size=(n_samples, 1)))
    rows[: n_samples // 3] = rows[stream.randint(40, 60, n_samples // 3)]  # equal samples
    weights = stream.randint(1, 4, n_samples) if seed % 2 else np.ones(n_samples)
    mean = weights.sum() / n_clusters
    least, most = (int(0.8 * mean), int(1.2 * mean)) if seed % 4 < 2 else (0.8 / n_clusters, None)
    bounds = {"min_cluster_size": least, "max_cluster_size": most}
    found = fit(rows, n_clusters, sample_weight=weights, **bounds)
    sizes = np.bincount(found.labels_, weights, n_clusters)
    assert sizes.min() >= (least if least > 1 else least * weights.sum()) - 1e-9
    assert sizes.max() <= (most or np.inf)
    np.testing.assert_array_equal(found.predict(rows), found.labels_)


def test_exact_sizes_cost_little():
    found = fit(min_cluster_size=50, max_cluster_size=50)
    np.testing.assert_array_equal(np.bincount(found.labels_), [50, 50, 50])
    assert adjusted_rand_score(Y, found.labels_) > 0.85


def test_kept_bounds_and_pairs_change_nothing():
    free = fit()
    loose = fit(min_cluster_size=1, max_cluster_size=0.9, must_link=[], cannot_link=None)
    for name in ("responsibilities_", "layout_", "labels_"):
        np.testing.assert_array_equal(getattr(loose, name), getattr(free, name))


@pytest.mark.parametrize(("least", "most"), [(None, None), (None, 60), (60, None)])
def test_auto_chooses_a_number_that_keeps_the_bounds(least, most):
    found = fit(n_clusters="auto", min_cluster_size=least, max_cluster_size=most)
    sizes = np.bincount(found.labels_)
    assert (least or 1) <= sizes.min() <= sizes.max() <= (most or 150)
    if most is None:
        assert found.n_clusters_ == (2 if least is None else 1)


def test_auto_finds_as_many_clusters_as_pairs_need():
    corners = [0, 25, 75, 120]
    pairs = [(a, b) for a in corners for b in corners if a < b]
    found = fit(n_clusters="auto", cannot_link=pairs)
    assert len(set(found.labels_[corners])) == 4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bounds", [{}, {"min_cluster_size": 0.25, "max_cluster_size": 60}])
def test_pairs_hold_even_where_they_are_odd(seed, bounds):
    classes = np.random.RandomState(seed).randint(3, size=150)
    pairs = draw_pairs(classes, 60, seed)
    labels = fit(**pairs, **bounds).labels_
    (a, b) = pairs["must_link"].T
    (c, d) = pairs["cannot_link"].T
    assert (labels[a] == labels[b]).all()
    assert (labels[c] != labels[d]).all()
    assert not bounds or 37.5 <= np.bincount(labels).min() <= np.bincount(labels).max() <= 60


@pytest.mark.parametrize(
    "options", [{"X": cdist(X, X), "metric": "precomputed"}, {"max_samples": 100}]
)
def test_pairs_of_distances_and_of_a_drawn_graph_hold(options):
    pairs = draw_pairs(Y, 20)
    labels = fit(**options, **pairs).labels_
    must, cannot = pairs.values()
    assert np.ptp(labels[must], axis=1).max() == 0 < np.ptp(labels[cannot], axis=1).min()


@pytest.mark.full
def test_more_pairs_find_more():
    rows, classes = make_blobs(
        300, 5, centers=5, cluster_std=3, center_box=(-5, 5), random_state=3
    )
    scores = []
    for n_pairs in (0, 50, 300):
        found = [fit(rows, 5, **draw_pairs(classes, n_pairs, seed)) for seed in range(2)]
        scores.append(np.mean([adjusted_rand_score(classes, own.labels_) for own in found]))
    assert scores[0] < scores[1] < scores[2] - 0.05


def test_pairs_and_labels_hold_together():
    known = np.where(np.arange(150) % 15 == 0, Y, -1)
    pairs = draw_pairs(Y, 40)
    labels = fit(y=known, use_labels=True, min_cluster_size=50, **pairs).labels_
    np.testing.assert_array_equal(labels[known >= 0], known[known >= 0])
    np.testing.assert_array_equal(np.bincount(labels), [50, 50, 50])


EVERY = [(a, b) for a in range(0, 150, 40) for b in range(0, a, 40)]
ODD = np.repeat([0.0, 1.0, 2.0, 3.0], [1, 1, 1, 9])[:, None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"must_link": [(0, 7), (7, 9)], "cannot_link": [(0, 9)]}, "join 0 - 7 - 9"),
        ({"X": np.vstack([X, X]), "cannot_link": [(3, 153)]}, "join 3 - 153"),
        ({"cannot_link": EVERY}, "separates the samples 0, 40, 80, 120 .* n_clusters=3"),
        ({"must_link": [(0, 150)]}, "must_link names sample 150, but X has the samples 0 to 149"),
        ({"cannot_link": [(0, -1)]}, "cannot_link names sample -1"),
        ({"must_link": [0, 1]}, r"must_link has shape \(2,\)"),
        ({"must_link": [(0.0, 1.0)]}, "dtype float64"),
        ({"must_link": [(0, 60)], "y": Y, "use_labels": True}, "or y separates .* join"),
        ({"cannot_link": [(0, 1)], "y": Y, "use_labels": True}, "join 0 - 1"),
        ({"min_cluster_size": 51}, "min_cluster_size gives .* 1.02 times .* Decrease"),
        (
            {"min_cluster_size": 60, "n_clusters": "auto", "y": Y, "use_labels": True},
            "min_cluster_size gives n_clusters=3 .* 1.2 times",
        ),
        ({"max_cluster_size": 0.3}, "max_cluster_size gives .* 0.9 times .* Raise"),
        ({"X": ODD, "min_cluster_size": 4}, "Found no partition .* up to 0.75 of all"),
        ({"max_samples": 99, "max_cluster_size": 60}, "max_samples=150"),
        ({"must_link": [(0, 1)], "sample_weight": np.arange(150)}, "sample 0 has no weight"),
    ],
)
def test_contradictions_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


def move_costs(resp, layout):
    """Return what each sample costs in each cluster, by Gaussians of one variance."""
    labels = resp.argmax(1)
    means = [np.average(layout, axis=0, weights=labels == k) for k in range(resp.shape[1])]
    squares = np.square(layout[:, None] - means).sum(2)
    variance = np.mean(squares[np.arange(len(labels)), labels]) / layout.shape[1]
    costs = squares / (2 * variance) - np.log(resp)
    return np.maximum(costs - costs[np.arange(len(labels)), labels][:, None], 0)


def limit(weights, least=0.0, most=1.0, groups=None, split=()):
    groups = np.arange(len(weights)) if groups is None else groups
    joined = np.empty((0, 2), dtype=int)
    split = np.reshape(split, (-1, 2)).astype(int)
    return Constraints(groups, weights, least, most, joined, split, [])


@pytest.mark.parametrize("seed", range(2))
def test_labels_that_keep_the_constraints_cost_least(seed):
    stream = np.random.default_rng(seed)
    resp = stream.dirichlet(np.ones(3), 9)
    layout = stream.normal(size=(9, 2))
    resp[:6, 0] += 1.5 * (seed % 2)  # one cluster is too large
    resp /= resp.sum(1, keepdims=True)
    resp[[6, 7, 8]] = np.eye(3) * 0.9 + 0.1 / 3
    weights = stream.dirichlet(np.full(9, 9))
    groups = np.array([0, 1, 2, 3, 4, 5, 5, 6, 7])
    limits = limit(weights, 0.2, 0.45, groups, [(0, 1), (1, 2), (4, 8)])
    found = limits.impose(resp, layout)
    costs = move_costs(resp, layout)
    labels = found.argmax(1)
    moved = found.argmax(1) != resp.argmax(1)
    assert limits.keep(labels, 3)
    np.testing.assert_array_equal(found[~moved], resp[~moved])
    np.testing.assert_allclose(found.sum(1), 1)
    every = np.stack(np.meshgrid(*[range(3)] * 8), -1).reshape(-1, 8)[:, groups]
    total = (weights * costs[np.arange(9), every]).sum(1)
    least = min(total[i] for i in np.argsort(total) if limits.keep(every[i], 3))
    paid = (weights * costs[np.arange(9), labels]).sum()
    assert least - 1e-9 <= paid <= least * (1 + 2e-3) + 1e-4
