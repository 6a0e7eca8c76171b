"""Known clusters of some samples: the initial partition follows them and finds the others."""

import numpy as np
import pandas as pd
import pytest
from common import ONE_OF_EACH, brief_from_samples, keep_some, name, some_of
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import CatGANClustering, NeighborClustering, VaDEClustering, VAEEmbedding

LABELED = [e for e in ONE_OF_EACH if "use_labels" in e.get_params()]
each = pytest.mark.parametrize("estimator", some_of(LABELED), ids=name)
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
#: Two long bands and the border between them, y = 0: cut across, they are wrong clusters.
BANDS = np.random.default_rng(0).uniform([-9, -1], [9, 1], (240, 2))
BANDS[:, 1] += 0.1 * np.sign(BANDS[:, 1])
SIDE = (BANDS[:, 1] > 0).astype(int)
GRAPH = NeighborClustering(3, use_labels=True, random_state=0)


def start_of(fit):
    """Return the initial partition of a network, or the clusters of the graph."""
    return fit.labels_ if isinstance(fit, NeighborClustering) else fit.init_labels_


# ---- laws


@each
def test_without_labels_nothing_changes(estimator, blobs):
    X, y = (part[::3] for part in blobs)
    fit = brief_from_samples(estimator).fit(X)
    for use_labels, labels in ((False, y), (True, np.full(len(X), -1))):
        other = brief_from_samples(estimator, use_labels=use_labels).fit(X, labels)
        np.testing.assert_array_equal(other.predict_proba(X), fit.predict_proba(X))


@each
def test_clusters_have_the_numbers_of_their_labels(estimator, blobs):
    labels = (blobs[1] + 1) % 3
    fit = brief_from_samples(estimator, use_labels=True).fit(blobs[0], keep_some(labels, 2))
    np.testing.assert_array_equal(start_of(fit), labels)


@each
def test_labels_of_all_samples_are_the_partition(estimator, blobs):
    labels = np.random.default_rng(0).integers(3, size=len(blobs[0]))
    fit = brief_from_samples(estimator, use_labels=True).fit(blobs[0], labels)
    np.testing.assert_array_equal(start_of(fit), labels)


@each
def test_names_are_clusters_in_alphabetical_order(estimator, blobs):
    names = np.array(["cat", "dog", "owl"])
    known = keep_some(blobs[1], 2)
    y = np.where(known < 0, None, names[known])
    fit = brief_from_samples(estimator, use_labels=True).fit(blobs[0], y)
    np.testing.assert_array_equal(names[start_of(fit)], names[blobs[1]])
    np.testing.assert_array_equal(fit.classes_, names)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT], ids=str)
def test_what_stands_for_nothing_is_no_class_as_a_text(nothing, blobs):
    names = np.array(["cat", "dog", "owl", nothing], dtype=object)
    y = names[keep_some(blobs[1], 2)]
    fit = NeighborClustering(3, use_labels=True, random_state=0).fit(blobs[0], y.astype(str))
    assert fit.classes_.tolist() == ["cat", "dog", "owl"]


def test_permuted_numbers_permute_the_clusters():
    for known in (keep_some(SIDE, 9), keep_some(SIDE, 9, [1])):
        labels = clone(GRAPH).set_params(n_clusters=4).fit_predict(BANDS, known)
        moved = clone(GRAPH).set_params(n_clusters=4)
        moved = moved.fit_predict(BANDS, np.where(known >= 0, 3 - known, -1))
        # Clusters without labels have the other numbers, in some order.
        for number in np.unique(known[known >= 0]):
            np.testing.assert_array_equal(moved == 3 - number, labels == number)
        assert adjusted_rand_score(labels, moved) == 1


def test_weights_are_repetitions_and_no_weight_is_no_label():
    known = keep_some(SIDE, 9)
    weight = np.random.default_rng(2).integers(1, 4, len(BANDS))
    weighted = clone(GRAPH).fit(BANDS, known, sample_weight=weight).responsibilities_
    index = np.repeat(np.arange(len(BANDS)), weight)
    repeated = clone(GRAPH).fit(BANDS[index], known[index])
    np.testing.assert_allclose(repeated.predict_proba(BANDS), weighted, rtol=1e-9)
    light = np.arange(len(BANDS)) % 2
    found = [
        clone(GRAPH).fit(BANDS, labels, sample_weight=light).labels_
        for labels in (np.where(light, known, -1), np.where(light, known, 2))
    ]
    np.testing.assert_array_equal(*found)


def test_labels_improve_a_wrong_partition():
    found = []
    for n in (0, 20, 60):
        known = np.full(len(BANDS), -1)
        rows = np.random.default_rng(0).permutation(len(BANDS))[:n]
        known[rows] = SIDE[rows]
        labels = clone(GRAPH).set_params(n_clusters=2).fit_predict(BANDS, known)
        found.append(adjusted_rand_score(SIDE[known < 0], labels[known < 0]))
    assert found[0] < 0.1 < 0.2 < found[1] < 0.6 < found[2]


def test_clusters_without_labels_are_found(blobs):
    X, y = blobs
    fit = clone(GRAPH).fit(X, keep_some(y, 60, [1]))
    np.testing.assert_array_equal(fit.labels_ == 1, y == 1)
    assert adjusted_rand_score(y, fit.labels_) == 1


@each
def test_the_number_is_at_least_that_of_the_labels(estimator, blobs):
    X, y = (part[::2] for part in blobs)
    fit = brief_from_samples(estimator, n_clusters="auto", use_labels=True).fit(X, keep_some(y, 2))
    assert fit.n_clusters_ == 3
    known = np.full(len(X), -1)
    known[:5] = np.arange(5)
    assert fit.fit(X, known).n_clusters_ == 5
    np.testing.assert_array_equal(start_of(fit)[:5], np.arange(5))


# ---- initial partitions


def test_a_subsample_contains_the_labeled_samples():
    known = keep_some(SIDE, 20)
    fit = clone(GRAPH).set_params(max_samples=100).fit(BANDS, known)
    assert np.isin(np.flatnonzero(known >= 0), fit.graph_indices_).all()
    assert len(fit.graph_indices_) == 100
    np.testing.assert_array_equal(fit.labels_[known >= 0], known[known >= 0])


@pytest.mark.parametrize("method", [VaDEClustering, CatGANClustering])
def test_a_partition_given_yields_to_labels(method, blobs):
    X, y = blobs
    known = keep_some((y + 1) % 3, 5)
    fit = brief_from_samples(method(3, random_state=0), init=y, use_labels=True)
    np.testing.assert_array_equal(fit.fit(X, known).init_labels_, np.where(known >= 0, known, y))


OTHERS = [KMeans(3), clone(GRAPH).set_params(n_neighbors=9)]


@pytest.mark.parametrize("init", OTHERS, ids=["kmeans", "graph"])
def test_other_initial_partitions_follow_labels(init, blobs):
    X, y = blobs
    labels = (y + 1) % 3
    fit = CatGANClustering(3, init=init, use_labels=True, max_epochs=1, random_state=0)
    np.testing.assert_array_equal(fit.fit(X, keep_some(labels, 9)).init_labels_, labels)


WRONG = {
    "fractions": (lambda y: y + 0.5, r"0\.5"),
    "too large": (lambda y: y + 1, "3 .*n_clusters"),
    "below -1": (lambda y: y - 2, "-2 .*-1"),
    "too few": (lambda y: y[:9], r"\(9,\).* 180"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_are_no_clusters_is_explained(case, blobs):
    make, message = WRONG[case]
    for estimator in (GRAPH, VaDEClustering(3, use_labels=True)):
        with pytest.raises(ValueError, match=message):
            clone(estimator).fit(blobs[0], make(blobs[1]))


@pytest.mark.parametrize(
    "estimator",
    [
        VAEEmbedding(3, init="own", use_labels=True),
        VaDEClustering(3, init="own", use_labels=True),
        CatGANClustering(3, init="own", pretraining_epochs=0, use_labels=True),
    ],
)
def test_labels_need_an_initial_partition(estimator, blobs):
    with pytest.raises(ValueError, match="init=.*'neighbors'"):
        estimator.fit(*blobs)
