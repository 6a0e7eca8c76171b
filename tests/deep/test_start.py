"""Initial partitions: found by name, by a clusterer of any kind, or given."""

import pickle

import numpy as np
import pytest
from common import DEEP, brief_from_samples, name, some_of
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skdeepcluster import NeighborClustering, VaDEClustering

pytestmark = pytest.mark.usefixtures("no_alternatives")

_, VADE, *_, CATGAN = DEEP
each = pytest.mark.parametrize("method", some_of(DEEP[1:]), ids=name)
each_of_five = pytest.mark.parametrize("method", some_of(DEEP), ids=name)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recalled(ClusterMixin, BaseEstimator):
    """A clusterer that finds the labels it is given."""

    def __init__(self, labels):
        self.labels = labels

    def fit(self, X, y=None):
        self.labels_ = self.labels
        return self


# ---- given partitions


@quiet
@each
def test_a_fit_begins_with_the_partition_given(method, rows):
    labels = KMeans(3, n_init=1, random_state=0).fit_predict(rows)
    fitted = brief_from_samples(method, init=labels).fit(rows)
    np.testing.assert_array_equal(fitted.init_labels_, labels)
    again = clone(fitted).set_params(init=np.eye(3)[labels]).fit(rows)
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


@pytest.mark.full
@each
def test_any_initial_partition_can_be_learned(method, rows):
    halves = (rows[:, 0] > np.median(rows[:, 0])).astype(int)
    settings = {"hidden_layer_sizes": (64, 64), "init_weight": 100.0, "random_state": 0}
    fitted = type(method)(2, init=halves, smoothness_weight=0.0, **settings)
    assert (fitted.fit(rows).labels_ == halves).mean() > 0.85


def test_an_initial_partition_that_is_not_learned_is_warned_of(blobs):
    X, y = blobs
    labels = np.where(np.random.default_rng(0).uniform(size=len(X)) < 0.6, y, (y + 1) % 3)
    told = r"% of the samples left their initial clusters.* use init_labels_\.$"
    with pytest.warns(ConvergenceWarning, match=told):
        clone(CATGAN).set_params(init=labels, max_epochs=20).fit(X)
    pretrained = clone(CATGAN).set_params(init=Recalled(labels), pretraining_epochs=1)
    with pytest.warns(ConvergenceWarning, match=told):
        pretrained.set_params(max_epochs=20).fit(X)


def test_a_partition_that_nothing_holds_may_be_lost(blobs, recwarn):
    X, y = blobs
    labels = np.random.default_rng(0).permutation(y)
    settings = {"hidden_layer_sizes": (16,), "pretraining_epochs": 2, "random_state": 0}
    VaDEClustering(3, init=labels, init_weight=0, max_epochs=20, **settings).fit(X)
    told = [str(warning.message) for warning in recwarn]
    # With init_weight=0 the user asks for it.
    assert not any("left their initial clusters" in text for text in told)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (lambda n: np.zeros(n + 1), "init has the shape"),
        (lambda n: np.full(n, 3), "init has 3 for sample 0.* from 0 to n_clusters - 1 = 2"),
        (lambda n: np.full(n, 0.5), "whole numbers"),
        (lambda n: np.full((n, 3), 1.0), "that sum to 1"),
        (lambda n: np.full(n, np.nan), "init has nan"),
    ],
)
def test_invalid_partitions_are_refused_before_training(rows, init, message, monkeypatch):
    monkeypatch.setattr("skdeepcluster.deep.fit.train", None)
    with pytest.raises(ValueError, match=message):
        brief_from_samples(VADE, init=init(len(rows))).fit(rows)


# ---- clusterers


@quiet
def test_fits_of_all_methods_with_one_seed_begin_alike():
    uniform = np.random.default_rng(0).uniform(size=(80, 5))  # each seed has another partition
    first, *others = (brief_from_samples(e, n_clusters=6).fit(uniform) for e in DEEP)
    for fit in others:
        np.testing.assert_array_equal(fit.init_labels_, first.init_labels_)
    fit = brief_from_samples(CATGAN, n_clusters=6, random_state=1).fit(uniform)
    assert adjusted_rand_score(fit.init_labels_, first.init_labels_) < 1


@quiet
@each_of_five
def test_neighbor_clustering_as_init_equals_its_name(method, rows):
    start = NeighborClustering(7, random_state=5)
    named, given, noisy = (
        brief_from_samples(method, init=init).fit(rows)
        for init in ("neighbors", start, NeighborClustering(contamination=0.5))
    )
    again = pickle.loads(pickle.dumps(given))
    for fit in (given, again, noisy):
        np.testing.assert_array_equal(fit.predict_proba(rows), named.predict_proba(rows))
    assert start.get_params() == NeighborClustering(7, random_state=5).get_params()
    assert not hasattr(start, "labels_")


@quiet
def test_parameters_of_the_clusterer_are_used(rows):
    # Cosines do not see how far samples are along one direction.
    along = np.outer(rows[:, 0] - rows[:, 0].min() + 1, np.ones(rows.shape[1])) + 0.01 * rows
    plain, other = (
        brief_from_samples(CATGAN, init=NeighborClustering(metric=metric)).fit(along).init_labels_
        for metric in ("euclidean", "cosine")
    )
    assert adjusted_rand_score(plain, other) < 1


CLUSTERERS = [GaussianMixture(), AgglomerativeClustering(), HDBSCAN(min_cluster_size=9, copy=True)]


@quiet
@pytest.mark.parametrize("init", CLUSTERERS, ids=str)
@each_of_five
def test_any_clusterer_finds_the_initial_partition(method, init, blobs):
    X, y = blobs
    asked = str(init)
    fit = brief_from_samples(method, init=init).fit(X)
    assert adjusted_rand_score(fit.init_labels_, y) > 0.95
    assert str(init) == asked
    assert not hasattr(init, "labels_")


@quiet
def test_noise_of_a_clusterer_goes_to_the_nearest_mean(blobs):
    X, y = blobs
    far = np.concatenate([X, X[:3] + 4])
    found = HDBSCAN(min_cluster_size=9, copy=True).fit(far)
    assert (found.labels_ < 0).any()
    fit = brief_from_samples(CATGAN, init=clone(found)).fit(far)
    assert (fit.init_labels_ >= 0).all()
    assert adjusted_rand_score(fit.init_labels_[:180], y) == 1


@quiet
def test_auto_asks_the_clusterer_for_the_number(rows):
    for init, n_clusters in ((KMeans(4, n_init=1), 4), (HDBSCAN(copy=True), 3)):
        fit = brief_from_samples(VADE, n_clusters="auto", init=init).fit(rows)
        assert fit.n_clusters_ == n_clusters
        assert not hasattr(fit, "n_clusters_curve_")
    network = brief_from_samples(VADE, n_clusters=(1, 2), init=NeighborClustering())
    assert network.fit(rows).n_clusters_ == 2


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (NeighborClustering(metric="precomputed"), "has metric='precomputed'.*label"),
        (HDBSCAN(min_cluster_size=9, copy=True), "found 3 clusters, but n_clusters=2"),
        (HDBSCAN(min_cluster_size=179, copy=True), "labels all samples as noise"),
    ],
    ids=["distances", "too many", "noise"],
)
def test_initial_partitions_that_cannot_be_are_explained(init, message, rows):
    with pytest.raises(ValueError, match=message):
        brief_from_samples(VADE, n_clusters=2, init=init).fit(rows)
