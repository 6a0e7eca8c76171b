"""Accuracies against all permutations, and names of clusters."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.cluster import contingency_matrix

from skdeepcluster.metrics import (
    clustering_accuracy,
    match_labels,
    purity_score,
)

METRICS = [clustering_accuracy, purity_score, match_labels]


def labels(n_classes, n_clusters, seed, n=40):
    """Random labels in which every class and every cluster occurs."""
    rng = np.random.RandomState(seed)
    true = np.r_[np.arange(n_classes), rng.randint(n_classes, size=n - n_classes)]
    pred = np.r_[np.arange(n_clusters), rng.randint(n_clusters, size=n - n_clusters)]
    return rng.permutation(true), rng.permutation(pred)


def best_of_all_permutations(true, pred):
    """Pad to a square problem and try every renaming."""
    size = max(true.max(), pred.max()) + 1
    return max(np.mean(np.array(p)[pred] == true) for p in permutations(range(size)))


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("n_clusters", [1, 3, 5])
def test_accuracy_is_the_best_over_all_permutations(n_classes, n_clusters):
    true, pred = labels(n_classes, n_clusters, 0)
    assert clustering_accuracy(true, pred) == pytest.approx(best_of_all_permutations(true, pred))


@pytest.mark.parametrize("n_clusters", [2, 4, 7])
def test_matching_renames_one_to_one(n_clusters):
    true, pred = labels(4, n_clusters, 0)
    matched = match_labels(true, pred)
    assert np.mean(matched == true) == pytest.approx(clustering_accuracy(true, pred))
    table = contingency_matrix(pred, matched)
    assert table.shape == (n_clusters, n_clusters)
    assert np.all((table > 0).sum(axis=0) == 1)
    assert np.all((table > 0).sum(axis=1) == 1)


@pytest.mark.parametrize("metric", METRICS[:2])
def test_names_and_order_of_samples_do_not_matter(metric):
    true, pred = labels(4, 5, 2)
    order = np.random.RandomState(0).permutation(len(true))
    names = np.array(["e", "a", "d", "b", "c"])
    assert metric(true[order], pred[order]) == metric(true, pred)
    assert metric(true, names[pred]) == metric(true, pred)
    assert metric(true + 100, -pred) == metric(true, pred)


@pytest.mark.parametrize("metric", METRICS[:2])
def test_limits(metric):
    true = np.repeat([0, 1, 2, 3], [4, 3, 2, 1])
    assert metric(true, true) == 1.0
    assert metric(true, (true + 1) % 4) == 1.0
    assert metric(true, np.zeros(10)) == 0.4
    assert metric([3], ["x"]) == 1.0


def test_clusters_beyond_the_classes_get_fresh_names_in_order():
    true = [5, 5, 5, 9, 9]
    assert match_labels(true, [4, 4, 1, 8, 8]).tolist() == [5, 5, 10, 9, 9]
    assert match_labels(true, [4, 4, 1, 8, 3]).tolist() in ([5, 5, 10, 9, 11], [5, 5, 10, 11, 9])
    names = match_labels(["a", "a", "a", "b"], [4, 4, 1, 8]).tolist()
    assert names == ["a", "a", "cluster 1", "b"]


def test_noise_is_no_cluster_unless_it_is_one_of_two_classes():
    clusters = [0, 0, 1, 1, 2, 2]
    noisy = [0, 0, 1, 1, -1, -1]
    assert match_labels(noisy, clusters).tolist() == clusters
    assert match_labels(clusters, noisy).tolist() == noisy
    assert match_labels(list("001122"), noisy).tolist()[-2:] == ["-1", "-1"]
    assert match_labels([-1, -1, 1, 1], [1, 1, 0, 0]).tolist() == [-1, -1, 1, 1]


@pytest.mark.parametrize(
    ("true", "kinds"),
    [
        (np.array([0, 1, 255], np.uint8), "i"),
        ([True, False, True], "i"),
        ([0.0, 2.0, 1.0], "i"),
        (["a", "b", "bb"], "U"),
        (np.array(["a", "b", "bb"], object), "U"),
        (pd.Categorical(["a", "b", "b"]), "U"),
    ],
)
def test_types_that_come_back(true, kinds):
    """A new number above the largest of uint8 does not wrap around, nor is a new name cut."""
    matched = match_labels(true, [0, 1, 2])
    assert matched.dtype.kind in kinds
    assert len(set(matched)) == 3
    assert clustering_accuracy(true, [0, 1, 2]) == len(set(true)) / 3


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        ([0, 1], [0, 1, 1], r"inconsistent numbers of samples: \[2, 3\]"),
        ([0.0, np.nan], [0, 1], "labels_true contains NaN"),
        ([0, 1], [None, "a"], "labels_pred must hold integers or strings, got object"),
        ([0, 1], [[0.1, 0.9], [0.8, 0.2]], "should be a 1d array"),
        ([0, 1], [0.5, 1.0], r"labels_pred must hold integers.*float64 such as .*0\.5"),
    ],
)
def test_errors_say_what_was_found(metric, true, pred, message):
    with pytest.raises(ValueError, match=message):
        metric(true, pred)
