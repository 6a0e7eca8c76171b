"""Several answers of one fit, and the expected score of any partition."""

import numpy as np
import pandas as pd
import pytest
from common import in_full
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris, make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import InvalidParameterError

from skdeepcluster import CatGANClustering, GaussianMixtureEM, NeighborClustering, persistence
from skdeepcluster.metrics import expected_score
from skdeepcluster.model_selection import NoSplit, label_free_scorer, select_n_clusters
from skdeepcluster.partition.selection import describe_changes

#: Five groups, two pairs of which overlap.
CENTERS = [[0, 0], [3.2, 0], [0, 12], [3.2, 12], [12, 6]]
GROUPS, Y = make_blobs(300, centers=CENTERS, random_state=0)


@pytest.fixture(scope="module")
def fit():
    return NeighborClustering("auto", random_state=0).fit(GROUPS)


# ---- alternatives


def test_the_rival_comes_first_then_other_levels(fit):
    rival, second, *others = fit.alternatives_
    curve = fit.n_clusters_curve_
    order = curve.n_clusters[np.argsort(-curve.evidence)]
    assert rival.n_clusters == order[order != fit.n_clusters_][0]
    assert len(others) <= 2
    scores = [other.expected_score for other in fit.alternatives_]
    assert scores == sorted(scores, reverse=True)
    for other in fit.alternatives_:
        assert other.labels.shape == other.probabilities.shape == (300,)
        assert f"expected score {other.expected_score:.2f} ({fit.expected_score_:.2f})" in (
            other.reasons
        )
    for other in others:
        for before in (fit, rival, second):
            labels = before.labels_ if before is fit else before.labels
            assert adjusted_rand_score(labels, other.labels) < 0.8


def test_a_partition_whose_other_clusters_are_noise_is_no_alternative():
    random = np.random.default_rng(3)
    groups = random.normal(size=(400, 2)) + 8 * np.repeat(np.eye(2), 200, axis=0)
    X = np.concatenate([groups, random.uniform(-30, 30, (12, 2))])
    found = NeighborClustering("auto", contamination="auto", random_state=0).fit(X)
    known = found.labels_ >= 0
    for other in found.alternatives_:
        assert adjusted_rand_score(found.labels_[known], other.labels[known]) < 1


@pytest.mark.parametrize("k", [2, 5])
def test_alternatives_of_a_given_number_are_distinct(k):
    rows = np.random.default_rng(0).normal(size=(150, 3))
    found = NeighborClustering(k, random_state=0).fit(rows)
    assert 2 <= len(found.alternatives_) <= 4
    labels = [found.labels_, *(other.labels for other in found.alternatives_)]
    for i, one in enumerate(labels):
        assert len(set(one)) == k
        bound = 0.8 if i > 2 else 0.99
        assert all(adjusted_rand_score(one, other) < bound for other in labels[:i])
    texts = [other.changes for other in found.alternatives_]
    assert len(set(texts)) == len(texts)


def test_another_answer_is_used_by_all_predictions(fit, tmp_path):
    persistence.save(fit, tmp_path / "fit.skops")
    own = persistence.load(tmp_path / "fit.skops")
    before = own.labels_.copy()
    other = own.alternatives_[0]
    used = own.use(other)
    np.testing.assert_array_equal(own.labels_, before)
    np.testing.assert_array_equal(used.labels_, other.labels)
    np.testing.assert_array_equal(used.predict(GROUPS), other.labels)
    np.testing.assert_array_equal(used.tree_.cut(other.n_clusters), other.labels)
    np.testing.assert_allclose(used.predict_proba(GROUPS).max(1), other.probabilities)
    assert (used.n_clusters_, used.expected_score_) == (other.n_clusters, other.expected_score)
    assert any(np.array_equal(past.labels, before) for past in used.alternatives_)


def test_alternatives_are_used_one_after_the_other(fit):
    own = fit
    for other in fit.alternatives_:
        used = fit.use(other)
        np.testing.assert_array_equal(used.labels_, other.labels)
        back = next(a for a in used.alternatives_ if np.array_equal(a.labels, fit.labels_))
        assert used.use(back).expected_score_ == fit.expected_score_
    foreign = NeighborClustering(2, random_state=0).fit(GROUPS[:100]).alternatives_[0]
    for wrong in (foreign, 0, fit.labels_):
        with pytest.raises(ValueError, match=r"one of the \d alternatives_"):
            own.use(wrong)


def test_one_cluster_comes_with_a_division():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    found = NeighborClustering("auto", random_state=0).fit(rows)
    assert found.n_clusters_ == 1
    assert found.expected_score_ > found.alternatives_[0].expected_score
    divided = found.use(found.alternatives_[0])
    assert divided.n_clusters_ > 1
    assert divided.alternatives_[0].changes.startswith("joins all")


def test_a_few_samples_far_away_are_no_cluster():
    X, _ = make_blobs([60, 60, 60], centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    X = np.vstack([X, [[40, 40], [41, 40]]])
    found = NeighborClustering("auto", random_state=0).fit(X)
    for labels in [found.labels_, *(other.labels for other in found.alternatives_)]:
        assert np.bincount(labels).min() >= 5
    for lowest in (4, 8):
        assert NeighborClustering((lowest, 9), random_state=0).fit(X).n_clusters_ >= lowest


def test_changes_are_told_in_words():
    labels = np.repeat([0, 1, 2, -1], 10)
    assert describe_changes(labels, labels[::-1] + 5) == ""
    joined = np.repeat([0, 0, 1, 1], 10)
    assert describe_changes(labels, joined) == "cluster 1 gives 10 of 10 to cluster 0"
    finer = np.r_[np.repeat([0, 1], [6, 4]), np.repeat([2, 3], 10), np.zeros(10, int)]
    assert describe_changes(labels, finer) == "cluster 0 gives 4 of 10 to a new cluster"
    mixed = np.repeat([0, 1, 2, 3], 10)
    mixed[[0, 1, 10, 11, 12, 20]] = [2, 2, 0, 0, 0, 1]
    mixed[3] = 1
    assert describe_changes(labels, mixed) == (
        "cluster 1 gives 3 of 10 to cluster 0; cluster 0 gives 2 of 10 to cluster 2; "
        "cluster 0 gives 1 of 10 to cluster 1; 1 more move"
    )


@pytest.mark.parametrize("bounds", [(2, 4), (7, 7), *in_full((4, 30))])
def test_number_between_bounds(bounds):
    found = NeighborClustering(bounds, random_state=0).fit(GROUPS)
    assert bounds[0] <= found.n_clusters_ <= bounds[1]
    assert set(found.n_clusters_curve_.n_clusters) <= set(range(bounds[0], bounds[1] + 1))


@pytest.mark.parametrize("bounds", [(5, 2), (0, 3), (2,), (2, 3.5)])
def test_wrong_bounds_are_refused(bounds):
    with pytest.raises(ValueError, match="lowest and the highest number"):
        NeighborClustering(bounds).fit(GROUPS)
    with pytest.raises(InvalidParameterError):
        NeighborClustering([2, 5]).fit(GROUPS)


@pytest.mark.parametrize("estimator", [GaussianMixtureEM, CatGANClustering])
def test_networks_and_mixtures_take_bounds(estimator):
    options = {} if estimator is GaussianMixtureEM else {"max_epochs": 1}
    X, _ = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    found = estimator((2, 6), random_state=0, **options).fit(X)
    assert found.n_clusters_ == 3
    assert {2, 3, 4, 6} <= set(found.n_clusters_curve_.n_clusters.tolist()) <= set(range(2, 7))
    with pytest.raises(ValueError, match="lowest and the highest number"):
        estimator((6, 2)).fit(GROUPS)


# ---- the expected score of any partition


def test_all_ways_to_a_partition_give_one_score(fit):
    assert expected_score(GROUPS, fit.labels_) == fit.expected_score_
    scores = expected_score(GROUPS, [other.labels for other in fit.alternatives_])
    found = [other.expected_score for other in fit.alternatives_]
    np.testing.assert_allclose(scores, found, atol=0.01)
    counted = select_n_clusters(GROUPS, NeighborClustering(random_state=0)).curve
    np.testing.assert_array_equal(counted["expected_score"], fit.n_clusters_curve_.expected_score)
    given = NeighborClustering(fit.n_clusters_, random_state=0).fit(GROUPS)
    assert given.expected_score_ == pytest.approx(fit.expected_score_, abs=0.01)
    for other in fit.alternatives_:
        place = counted["n_clusters"].tolist().index(other.n_clusters)
        assert counted["expected_score"][place] == pytest.approx(other.expected_score, abs=0.01)


def test_right_partitions_have_higher_scores_than_wrong_ones():
    X, y = make_moons(400, noise=0.06, random_state=0)
    halves = KMeans(2, random_state=0).fit_predict(X)
    scrambled = np.random.default_rng(0).permutation(y)
    right, wrong, worst = expected_score(X, [y, halves, scrambled])
    assert right > wrong + 0.2
    assert wrong > worst
    assert worst < 0.1


def test_names_of_labels_and_missing_values():
    X, y = load_iris(return_X_y=True)
    named = np.array(["setosa", "versicolor", "virginica"])[y]
    assert expected_score(X, named) == expected_score(X, y)
    table = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(y > 0, "a", "b"))
    table.iloc[::7, 1] = np.nan
    assert 0 < expected_score(table, y) < 1
    distances = euclidean_distances(X)
    assert 0 < expected_score(distances, y, metric="precomputed") < 1


def test_noise_and_extreme_partitions():
    X, y = make_blobs(300, centers=4, random_state=1)
    noisy = np.where(np.arange(300) % 10 == 0, -1, y)
    full, partial, nothing, one = expected_score(
        X, [y, noisy, np.full(300, -1), np.zeros(300, int)]
    )
    assert partial == pytest.approx(0.9 * full, rel=0.05)
    assert expected_score(X, noisy.astype(str)) == expected_score(X, noisy * 1.0) == partial
    assert nothing == 0
    assert one < 0.5
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        expected_score(X, y[:9])
    with pytest.raises(ValueError, match="NaN"):
        expected_score(X, np.where(y, y, np.nan))


def test_a_few_wrong_labels_cost_what_they_are_worth():
    X, y = make_moons(300, noise=0.05, random_state=0)
    right = expected_score(X, y)
    for n_wrong in (1, 2, 5, 20):
        labels = y.copy()
        labels[np.random.RandomState(0).permutation(300)[:n_wrong]] ^= 1
        ari = adjusted_rand_score(y, labels)
        assert expected_score(X, labels) == pytest.approx(right * ari, abs=0.05)


def test_equal_samples_are_all_read():
    X, y = make_moons(200, noise=0.05, random_state=0)
    copies = np.repeat(X, 2, axis=0)
    random = np.random.RandomState(0)
    labels = random.randint(0, 2, 400)
    order = random.permutation(400)
    assert expected_score(copies, labels) < 0.05
    assert expected_score(copies[order], labels[order]) == expected_score(copies, labels)
    assert expected_score(copies, np.repeat(y, 2)) == expected_score(X, y)
    halved = np.repeat(y, 2)
    halved[::20] ^= 1
    agreement = adjusted_rand_score(np.repeat(y, 2), halved)
    assert expected_score(copies, halved) <= agreement * expected_score(X, y) + 0.01
    # One of three copies is elsewhere, and the others decide.
    third = np.repeat(y, 3)
    third[::30] ^= 1
    agreement = adjusted_rand_score(np.repeat(y, 3), third)
    score = expected_score(np.repeat(X, 3, axis=0), third)
    assert score == pytest.approx(agreement * expected_score(X, y))


def test_no_evidence_is_said():
    X = np.random.default_rng(0).normal(size=(60, 2))
    assert np.isnan(expected_score(X, np.arange(60)))
    assert np.isnan(NeighborClustering(60, random_state=0).fit(X).expected_score_)
    assert np.isnan(expected_score(X[:9], np.zeros(9)))
    with pytest.warns(ConvergenceWarning, match="only 9 distinct samples"):
        few = NeighborClustering("auto", random_state=0).fit(X[:9])
    assert np.isnan(few.expected_score_)
    assert few.n_clusters_ == 1


def test_scores_know_functions_by_what_they_are():
    X, y = make_moons(100, noise=0.05, random_state=0)

    def near(a, b):
        return np.abs(a - b).sum()

    first = expected_score(X, y, metric=near)

    def near(a, b):
        return abs(np.hypot(*a) - np.hypot(*b))

    assert expected_score(X, y, metric=near) != first
    assert expected_score(X, y, metric=lambda a, b: np.abs(a - b).sum()) == first


def test_scores_seek_an_augmentation(monkeypatch):
    monkeypatch.setattr("skdeepcluster.neighbors.augmented.N_FITS", 1)
    wave = np.sin(np.linspace(0, 6, 24))
    random = np.random.default_rng(0)
    rows = np.repeat([wave, -wave], 12, axis=0) + 0.1 * random.normal(size=(24, 24))
    y = np.repeat([0, 1], 12)
    assert 0 < expected_score(rows, y, augment="auto") <= 1


def test_search_compares_methods_and_settings():
    X, y = make_moons(300, noise=0.05, random_state=0)
    grid = [
        {"cluster": [KMeans(random_state=0)], "cluster__n_clusters": [2, 4]},
        {"cluster": [GaussianMixture(random_state=0)], "cluster__n_components": [2, 4]},
        {"cluster": [AgglomerativeClustering(2, linkage="single"), DBSCAN(0.3), DBSCAN(1e-3)]},
    ]
    model = Pipeline([("cluster", KMeans())])
    search = GridSearchCV(model, grid, scoring=label_free_scorer(), cv=NoSplit()).fit(X)
    assert adjusted_rand_score(y, search.best_estimator_["cluster"].labels_) == 1
