"""select_n_clusters with any clusterer: the criterion, its edges and its errors."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import calinski_harabasz_score, pairwise_distances, silhouette_score
from sklearn.mixture import GaussianMixture

from skdeepcluster import GaussianMixtureEM, NeighborClustering, select_n_clusters
from skdeepcluster.model_selection import label_free_scorer

X, Y = make_blobs(120, centers=[[0, 0], [9, 0], [0, 9], [9, 9]], random_state=0)


@pytest.mark.parametrize(
    ("estimator", "criterion"),
    [
        (None, "bic"),
        (GaussianMixture(random_state=0), "bic"),
        (KMeans(random_state=0), "silhouette"),
        (AgglomerativeClustering(), "silhouette"),
        pytest.param(NeighborClustering(2, random_state=0), "silhouette", marks=pytest.mark.full),
    ],
    ids=str,
)
def test_any_clusterer_finds_four(estimator, criterion):
    seed = {"random_state": 0} if estimator is None else {}
    for asked in ("expected_score", criterion):
        found = select_n_clusters(X, range(2, 7), estimator=estimator, criterion=asked, **seed)
        assert (found.criterion, found.best_n_clusters) == (asked, 4)
        assert len(np.unique(found.best_estimator.fit_predict(X))) == 4
        np.testing.assert_array_equal(found.results["n_clusters"], range(2, 7))
        assert ("bic" in found.results) == (asked == "bic")
        assert {len(values) for values in found.results.values()} == {5}


def test_clusterers_without_a_seed_have_one_curve():
    clusterer = AgglomerativeClustering()
    first, second = (select_n_clusters(X, range(2, 7), estimator=clusterer) for _ in range(2))
    np.testing.assert_array_equal(
        first.results["expected_score"], second.results["expected_score"]
    )


def test_scores_are_those_of_the_clusterer_itself():
    found = select_n_clusters(X, range(1, 11), estimator=NeighborClustering(random_state=0))
    curve = NeighborClustering("auto", max_clusters=10, random_state=0).fit(X).n_clusters_curve_
    assert found.best_n_clusters == curve.criterion.argmax() + 1 == 4
    np.testing.assert_array_equal(found.results["expected_score"], curve.criterion)
    np.testing.assert_array_equal(found.results["stability"], curve.stability)
    with pytest.warns(UserWarning, match="Give larger"):
        assert select_n_clusters(X, [2, 3], random_state=0).best_n_clusters == 3
    with pytest.raises(ValueError, match="n_samples=20 should be >= n_clusters=30"):
        select_n_clusters(X[:20], [30, 40], random_state=0)


def test_separation_is_that_of_scikit_learn():
    for criterion, reference, worst in (
        ("silhouette", silhouette_score, -1),
        ("calinski_harabasz", calinski_harabasz_score, 0),
    ):
        kmeans = KMeans(random_state=0)
        results = select_n_clusters(X, range(1, 6), estimator=kmeans, criterion=criterion).results
        expected = [reference(X, KMeans(k, random_state=0).fit_predict(X)) for k in range(2, 6)]
        np.testing.assert_allclose(results[criterion], [worst, *expected])


def test_separation_by_distances_is_that_of_the_distances():
    distances = pairwise_distances(X, metric="manhattan")
    fit = NeighborClustering(4, metric="precomputed", noise=0.1, random_state=0).fit(distances)
    kept = np.flatnonzero(fit.labels_ >= 0)
    part = distances[np.ix_(kept, kept)]
    expected = silhouette_score(part, fit.labels_[kept], metric="precomputed")
    assert label_free_scorer("silhouette")(fit, distances) == pytest.approx(expected)
    for measure, given in (
        ("calinski_harabasz", distances),
        ("silhouette", distances[:50]),
        ("silhouette", sparse.csr_array(distances)),
    ):
        with pytest.raises(ValueError, match="is not defined for distances"):
            label_free_scorer(measure)(fit, given)


def test_numbers_with_too_few_samples_are_left_out():
    with pytest.warns(UserWarning, match="Numbers above 5 are left out"):
        found = select_n_clusters(X, [3, 4, 5, 90], random_state=0)
    np.testing.assert_array_equal(found.results["n_clusters"], [3, 4, 5])


@pytest.mark.parametrize(
    ("numbers", "criterion", "message"),
    [
        ([2, 3], "bic", "3, is the largest of those tried, 2 to 3.*Give larger"),
        ([6, 4, 5], "silhouette", "4, is the smallest of those tried, 4 to 6.*Give smaller"),
    ],
)
def test_a_choice_at_the_edge_is_a_warning(numbers, criterion, message):
    mixture = GaussianMixtureEM(random_state=0)
    with pytest.warns(UserWarning, match=message):
        select_n_clusters(X, numbers, estimator=mixture, criterion=criterion)


def test_no_warning_where_nothing_lies_beyond():
    one = np.random.RandomState(0).normal(size=(100, 2))
    two = X[(Y == 0) | (Y == 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert select_n_clusters(one, range(1, 4), random_state=0).best_n_clusters == 1
        assert select_n_clusters(X, [3], random_state=0).best_n_clusters == 3
        kmeans = KMeans(random_state=0)
        found = select_n_clusters(two, range(2, 5), estimator=kmeans, criterion="silhouette")
        assert found.best_n_clusters == 2


def test_weights_are_passed_only_if_given():
    weights = (Y != 3).astype(float)  # three clusters have weight
    mixture = GaussianMixtureEM(random_state=0)
    options = {"estimator": mixture, "sample_weight": weights}
    assert select_n_clusters(X, range(1, 6), **options).best_n_clusters == 3
    weighted = select_n_clusters(X, range(1, 6), criterion="bic", **options)
    assert weighted.best_n_clusters == 3
    fit = weighted.best_estimator
    assert weighted.results["bic"][2] == fit.bic(X, weights) != fit.bic(X)
    plain = {"estimator": AgglomerativeClustering(), "criterion": "silhouette"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'sample_weight'"):
        select_n_clusters(X, [3, 4], sample_weight=weights, **plain)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n_clusters": "auto"}, TypeError, "n_clusters='auto' is a single"),
        ({"n_clusters": []}, ValueError, "n_clusters is empty"),
        ({"n_clusters": [2, 0]}, ValueError, "n_clusters == 0, must be >= 1"),
        ({"n_clusters": [2.5]}, TypeError, "n_clusters must be an instance of"),
        ({"criterion": "mdl"}, ValueError, "criterion='mdl' is unknown.*'silhouette'"),
        (
            {"criterion": "bic", "estimator": KMeans()},
            ValueError,
            "'bic' needs a mixture such as GaussianMixtureEM, but got KMeans",
        ),
        ({"estimator": PCA()}, TypeError, "PCA has no parameter n_clusters"),
    ],
)
def test_errors_say_what_to_do(given, error, message):
    with pytest.raises(error, match=message):
        select_n_clusters(X, **given)


@pytest.mark.parametrize("criterion", ["expected_score", "silhouette"])
def test_similarities_are_refused(criterion):
    spectral = SpectralClustering(affinity="precomputed")
    similarities = np.exp(-pairwise_distances(X))
    with pytest.raises(ValueError, match="the similarities of SpectralClustering"):
        select_n_clusters(similarities, [2, 3], criterion=criterion, estimator=spectral)
