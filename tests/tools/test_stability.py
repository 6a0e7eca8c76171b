"""Stability of clusters in samples of the rows."""

import pickle

import numpy as np
import pytest
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances

from skdeepcluster import NeighborClustering
from skdeepcluster.stability import cluster_stability

X, Y = make_blobs(400, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)


def test_true_clusters_are_stable_and_halves_of_one_are_not():
    found = NeighborClustering(3, random_state=0).fit(X)
    np.testing.assert_allclose(found.cluster_stability_, 1, atol=0.02)
    assert found.cluster_stability_ is found.cluster_stability_
    halves = []
    for seed in (3, 4, 5):
        rows = np.random.default_rng(seed).normal(size=(300, 5))
        halves.append(NeighborClustering(2, random_state=0).fit(rows).cluster_stability_)
    assert np.mean(halves) < 0.7
    split = NeighborClustering(4, random_state=0).fit(X)
    order = np.sort(split.cluster_stability_)
    assert order[-1] > 0.8
    assert order[0] < 0.7


def test_stability_of_distances_is_that_of_the_edges():
    found = NeighborClustering(3, metric="precomputed", random_state=0).fit(pairwise_distances(X))
    np.testing.assert_allclose(found.cluster_stability_, 1, atol=0.02)
    assert hasattr(pickle.loads(pickle.dumps(found)), "_stability")
    found.fit(pairwise_distances(X))
    assert "_stability" not in vars(found)


def test_the_index_is_the_mean_of_the_greatest_jaccard():
    class Fixed(KMeans):
        """Says the same of every sample."""

        def fit_predict(self, X, y=None):
            return (X[:, 0] > 0.5).astype(int)

    rows = np.r_[np.zeros((60, 1)), np.ones((40, 1))]
    labels = np.r_[np.zeros(50, dtype=int), np.ones(50, dtype=int)]
    index = cluster_stability(
        Fixed(2), rows, labels, n_resamples=2000, share=0.9, random_state=np.random.RandomState(0)
    )
    np.testing.assert_allclose(index, [50 / 60, 40 / 50], atol=0.01)


def test_noise_and_the_stream():
    labels = np.where(np.arange(400) % 10 == 0, -1, Y)
    one = cluster_stability(KMeans(3), X, labels, random_state=1)
    np.testing.assert_array_equal(one, cluster_stability(KMeans(3), X, labels, random_state=1))
    # The rows of noise are found in a cluster.
    expected = np.bincount(labels[labels >= 0]) / np.bincount(Y)
    np.testing.assert_allclose(one, expected, atol=0.02)
    assert cluster_stability(HDBSCAN(copy=True).fit(X), X).shape == (3,)
    with pytest.raises(ValueError, match="labels has shape"):
        cluster_stability(KMeans(3), X, labels[:9])
    with pytest.raises(ValueError, match="share == 1"):
        cluster_stability(KMeans(3), X, labels, share=1.0)
