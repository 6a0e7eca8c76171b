"""Stability of clusters in random subsets of the samples."""

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import ClusterEnsemble, NeighborClustering
from skdeepcluster.stability import cluster_stability

X, Y = make_blobs(400, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)


@pytest.mark.full
def test_true_clusters_are_stable_and_parts_of_one_are_not():
    true = NeighborClustering(3, random_state=0).fit(X)
    np.testing.assert_allclose(cluster_stability(true, X), 1, atol=0.02)
    split = NeighborClustering(4, random_state=0).fit(X)
    stability = cluster_stability(split, X)
    assert stability.max() > 0.8
    assert stability.min() < 0.7


def test_subsets_of_a_graph_may_lack_neighbors():
    graph = KNeighborsTransformer(n_neighbors=1).fit_transform(X[:60])
    fit = NeighborClustering(3, metric="precomputed", n_neighbors=1, random_state=0).fit(graph)
    stability = cluster_stability(fit, graph, n_resamples=5, random_state=0)
    assert ((stability > 0) & (stability <= 1)).all()


def test_similarities_are_those_of_the_subset():
    some = X[:90]
    spectral = SpectralClustering(3, affinity="precomputed", random_state=0)
    similarities = rbf_kernel(some, gamma=1.0)
    fit = spectral.fit(similarities)
    members = ClusterEnsemble([spectral], 2, random_state=0).fit(similarities)
    assert adjusted_rand_score(fit.labels_, members.labels_) == 1
    stability = cluster_stability(fit, similarities, random_state=0)
    assert stability.shape == (3,)
    assert stability.min() > 0.9


@pytest.mark.parametrize("n_samples", [2, 3, 5])
def test_small_subsets_have_a_sample_for_each_cluster(n_samples):
    some = X[:n_samples]
    fit = NeighborClustering(n_samples - 1, metric="manhattan", random_state=0).fit(some)
    assert cluster_stability(fit, some).shape == (n_samples - 1,)
    each = cluster_stability(KMeans(n_samples), some, np.arange(n_samples))
    np.testing.assert_array_equal(each, np.ones(n_samples))


def test_the_index_is_the_mean_of_the_greatest_jaccard():
    class Fixed(KMeans):
        def fit_predict(self, X, y=None):
            return (X[:, 0] > 0.5).astype(int)

    rows = np.r_[np.zeros((60, 1)), np.ones((40, 1))]
    labels = np.r_[np.zeros(50, dtype=int), np.ones(50, dtype=int)]
    index = cluster_stability(
        Fixed(2), rows, labels, n_resamples=600, share=0.9, random_state=np.random.RandomState(0)
    )
    np.testing.assert_allclose(index, [50 / 60, 40 / 50], atol=0.02)


def test_noise_and_the_stream(capsys):
    labels = np.where(np.arange(400) % 10 == 0, -1, Y)
    one = cluster_stability(KMeans(3), X, labels, verbose=1, random_state=1)
    assert "10/10" in capsys.readouterr().err
    for same in (X, sparse.coo_array(X)):
        again = cluster_stability(KMeans(3), same, labels, random_state=1)
        np.testing.assert_allclose(again, one)
    # The samples of noise are found in a cluster.
    expected = np.bincount(labels[labels >= 0]) / np.bincount(Y)
    np.testing.assert_allclose(one, expected, atol=0.02)
    assert cluster_stability(HDBSCAN(copy=True).fit(X), X).shape == (3,)
    with pytest.raises(ValueError, match="labels has the shape"):
        cluster_stability(KMeans(3), X, labels[:9])


def test_the_steps_of_a_pipeline_are_seeded_too():
    # With too many clusters and n_init=1, another seed finds other clusters.
    steps = make_pipeline(StandardScaler(), KMeans(7, n_init=1))
    labels = KMeans(7, random_state=0, n_init=1).fit_predict(X)
    state = joblib.hash(np.random.get_state())
    one, two = (cluster_stability(steps, X, labels, random_state=0) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert joblib.hash(np.random.get_state()) == state
    own = cluster_stability(steps.set_params(kmeans__random_state=0).fit(X), X, random_state=0)
    given = cluster_stability(steps, X, steps[-1].labels_, random_state=0)
    np.testing.assert_array_equal(own, given)


def test_what_cannot_be_meant_is_refused_by_name():
    with pytest.raises(ValueError, match="share == 1, must be < 1"):
        cluster_stability(KMeans(3), X, Y, share=1)
    with pytest.raises(ValueError, match="labels has -2"):
        cluster_stability(KMeans(3), X, Y - 2)
    with pytest.raises(ValueError, match="has no labels_. Pass labels"):
        cluster_stability(KMeans(3), X)
