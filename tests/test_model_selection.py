"""select_n_clusters with any clusterer: the criterion, its edges and its errors."""

import warnings

import numpy as np
import pytest
from common import DEEP, name
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture

from skdeepcluster import GaussianMixtureEM, NeighborClustering, select_n_clusters

X, Y = make_blobs(120, centers=[[0, 0], [9, 0], [0, 9], [9, 9]], random_state=0)


@pytest.mark.parametrize(
    "estimator",
    [None, GaussianMixture(random_state=0), KMeans(random_state=0), AgglomerativeClustering()],
    ids=str,
)
def test_any_clusterer_finds_four(estimator):
    selection = select_n_clusters(X, estimator, range(2, 7))
    assert selection.best_n_clusters == 4
    assert len(np.unique(selection.best_estimator.fit_predict(X))) == 4
    np.testing.assert_array_equal(selection.curve["n_clusters"], range(2, 7))
    assert {len(values) for values in selection.curve.values()} == {5}


def test_clusterers_without_a_seed_have_one_curve():
    clusterer = AgglomerativeClustering()
    first, second = (select_n_clusters(X, clusterer, range(2, 7)) for _ in range(2))
    np.testing.assert_array_equal(first.curve.expected_score, second.curve.expected_score)


def test_scores_are_those_of_the_clusterer_itself():
    found = select_n_clusters(X, NeighborClustering(random_state=0), range(1, 21))
    fit = NeighborClustering(range(1, 21), random_state=0).fit(X)
    assert found.best_n_clusters == fit.n_clusters_ == 4
    curve = fit.n_clusters_curve_
    places = curve.n_clusters - 1
    # Numbers that are worthwhile are scored again, by all candidates.
    again = [1, *(other.n_clusters for other in fit.alternatives_)]
    once = ~np.isin(curve.n_clusters, again)
    once &= curve.expected_score < 0.5 * curve.expected_score.max()
    assert once.sum() >= 2
    scores = found.curve.expected_score[places]
    np.testing.assert_array_equal(scores[once], curve.expected_score[once])
    np.testing.assert_array_equal(found.curve.stability[places], curve.stability)
    assert select_n_clusters(X, n_clusters=[2, 4]).best_n_clusters == 4
    with pytest.raises(ValueError, match="n_samples=20 should be >= n_clusters=30"):
        select_n_clusters(X[:20], n_clusters=[30, 40])


def test_numbers_with_too_few_samples_are_left_out():
    found = select_n_clusters(X, n_clusters=[3, 4, 5, 90])
    np.testing.assert_array_equal(found.curve["n_clusters"], [3, 4, 5])


def test_an_iterator_bounds_and_none_choose_the_same():
    once = select_n_clusters(X, n_clusters=iter([2, 3, 4, 5]))
    bounds = select_n_clusters(X, n_clusters=(2, 9))
    auto = select_n_clusters(X)
    assert once.best_n_clusters == bounds.best_n_clusters == auto.best_n_clusters == 4
    assert isinstance(auto.best_estimator, NeighborClustering)


def test_alternatives_are_those_of_the_fit():
    found = select_n_clusters(X, NeighborClustering(random_state=0))
    fit = NeighborClustering("auto", random_state=0).fit(X)
    np.testing.assert_array_equal(found.best_estimator.labels_, fit.labels_)
    means = select_n_clusters(X, KMeans(random_state=0))
    assert fit.alternatives_
    for answer in (found, means):
        for other, expected in zip(answer.alternatives, fit.alternatives_, strict=True):
            np.testing.assert_array_equal(other.labels, expected.labels)
            assert other.expected_score == expected.expected_score
        for key, values in fit.n_clusters_curve_.items():
            np.testing.assert_array_equal(answer.curve[key], values)


def test_no_warning_where_nothing_lies_beyond():
    one = np.random.RandomState(0).normal(size=(150, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert select_n_clusters(one, n_clusters=range(1, 4)).best_n_clusters == 1
        assert select_n_clusters(X, n_clusters=[3]).best_n_clusters == 3


def test_weights_are_passed_only_if_given():
    weights = (Y != 3).astype(float)  # three clusters have weight
    mixture = GaussianMixtureEM(random_state=0)
    options = {"n_clusters": range(1, 6), "sample_weight": weights}
    assert select_n_clusters(X, mixture, **options).best_n_clusters == 3
    with pytest.raises(TypeError, match="unexpected keyword argument 'sample_weight'"):
        select_n_clusters(X, AgglomerativeClustering(), [3, 4], sample_weight=weights)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n_clusters": "all"}, ValueError, "n_clusters must be .*'auto', or .* got 'all'"),
        ({"n_clusters": []}, ValueError, r"n_clusters must be .* got \[\]"),
        ({"n_clusters": [2, 0]}, ValueError, r"n_clusters must be .* got \[2, 0\]"),
        ({"n_clusters": [2.5]}, ValueError, r"n_clusters must be .* got \[2\.5\]"),
        ({"n_clusters": (4, 2)}, ValueError, r"n_clusters must be .* got \(4, 2\)"),
        ({"n_clusters": 4}, ValueError, "bounds such as .* or a list, got 4"),
        ({"estimator": (2, 10)}, TypeError, r"got \(2, 10\). Pass numbers as n_clusters"),
        ({"estimator": KMeans}, TypeError, "got <class .*KMeans"),
        ({"estimator": DBSCAN()}, ValueError, "DBSCAN has neither n_clusters .* Use compare"),
    ],
)
def test_errors_say_what_to_do(given, error, message):
    with pytest.raises(error, match=message):
        select_n_clusters(X, **given)


@pytest.mark.parametrize("estimator", DEEP, ids=name)
def test_scores_of_networks_name_the_scorer_of_searches(estimator):
    assert "label_free_scorer" in type(estimator).score.__doc__
