"""Known clusters of some rows: the start follows them, and clusters without any are found."""

import numpy as np
import pandas as pd
import pytest
from estimators import ONE_OF_EACH, brief, hasty
from scipy import sparse
from skdeepcluster._initialization import find_partition
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import CatGANClustering, NeighborClustering, VaDEClustering, VAEEmbedding
from skdeepcluster._adversarial import AdversarialEstimator
from skdeepcluster.neighbors import partition as neighbors_partition
from skdeepcluster.neighbors.graph import neighbor_graph
from skdeepcluster.neighbors.labels import absorb_walk, name_clusters

LABELLED = [e for e in ONE_OF_EACH if "use_labels" in e.get_params()]
#: Those with codes and a game of their own start alike; all are tried in .ci/full.
SOME = {"NeighborClustering", "VaDEClustering", "CatGANClustering"}
each = pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(e, marks=() if type(e).__name__ in SOME else pytest.mark.full)
        for e in LABELLED
    ],
    ids=lambda e: type(e).__name__,
)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
#: Two long bands and the border between them, y = 0: cut across, they are wrong clusters.
BANDS = np.random.default_rng(0).uniform([-9, -1], [9, 1], (240, 2))
BANDS[:, 1] += 0.1 * np.sign(BANDS[:, 1])
SIDE = (BANDS[:, 1] > 0).astype(int)
GRAPH = NeighborClustering(3, use_labels=True, random_state=0)


@pytest.fixture(autouse=True)
def one_metric(monkeypatch):
    """There is one layout, since a second one takes most of the time of a small fit."""
    monkeypatch.setattr(neighbors_partition, "MAX_SECOND", 0)


def some(y, n, classes=(0, 1, 2)):
    """The labels of the first n rows of each of these classes, -1 for all others."""
    known = np.full(len(y), -1)
    for c in classes:
        rows = np.flatnonzero(y == c)[:n]
        known[rows] = c
    return known


def short(estimator, **settings):
    """A copy that trains as briefly as can be, from the rows rather than from codes."""
    if isinstance(estimator, AdversarialEstimator):
        settings["pretraining_epochs"] = 0
    return brief(estimator, **{"init": "neighbors", "max_epochs": 1, **settings})


def start_of(fit):
    """Clusters at the start of a network, or of the graph."""
    return fit.labels_ if isinstance(fit, NeighborClustering) else fit.start_labels_


# ---- laws


@quiet
@each
def test_without_labels_nothing_changes(estimator, blobs):
    X, y = blobs
    with hasty():
        fit = short(estimator).fit(X)
        for use_labels, labels in ((False, y), (True, None), (True, np.full(len(X), -1))):
            other = short(estimator, use_labels=use_labels).fit(X, labels)
            np.testing.assert_array_equal(other.predict_proba(X), fit.predict_proba(X))


@quiet
@each
def test_clusters_have_the_numbers_of_their_labels(estimator, blobs):
    labels = (blobs[1] + 1) % 3
    fit = short(estimator, use_labels=True).fit(blobs[0], some(labels, 2))
    np.testing.assert_array_equal(start_of(fit), labels)


@quiet
@each
def test_labels_of_all_rows_are_the_start(estimator, blobs):
    labels = np.random.default_rng(0).integers(3, size=len(blobs[0]))
    fit = short(estimator, use_labels=True).fit(blobs[0], labels)
    np.testing.assert_array_equal(start_of(fit), labels)


def test_permuted_numbers_permute_the_clusters():
    for known in (some(SIDE, 9), some(SIDE, 1), some(SIDE, 9, [1])):
        labels = clone(GRAPH).set_params(n_clusters=4).fit_predict(BANDS, known)
        moved = clone(GRAPH).set_params(n_clusters=4)
        moved = moved.fit_predict(BANDS, np.where(known >= 0, 3 - known, -1))
        # The clusters that nobody has named have the other numbers, in some order.
        for number in np.unique(known[known >= 0]):
            np.testing.assert_array_equal(moved == 3 - number, labels == number)
        assert adjusted_rand_score(labels, moved) == 1


def test_the_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(len(BANDS))
    known, fit = some(SIDE, 9), clone(GRAPH)
    found = fit.fit(BANDS, known).responsibilities_
    np.testing.assert_array_equal(
        fit.fit(BANDS[order], known[order]).responsibilities_, found[order]
    )


@quiet
def test_the_order_of_equal_rows_with_different_labels_does_not_matter(blobs):
    X, truth = (np.repeat(part[::3], 2, axis=0) for part in blobs)
    order = np.arange(len(X)) ^ 1  # the two of each pair change places
    y = np.where(np.arange(len(X)) % 8 == 1, (truth + 1) % 3, truth)
    vade = short(VaDEClustering(3, n_components=2, random_state=0), use_labels=True)
    fits = [clone(vade).fit(X, known) for known in (y, y[order])]
    np.testing.assert_array_equal(fits[0].predict_proba(X), fits[1].predict_proba(X))


def test_a_weight_is_an_occurrence_and_labels_without_weight_do_not_count():
    known, weight = some(SIDE, 9), np.random.default_rng(2).integers(1, 4, len(BANDS))
    weighted = clone(GRAPH).fit(BANDS, known, sample_weight=weight).responsibilities_
    index = np.repeat(np.arange(len(BANDS)), weight)
    repeated = clone(GRAPH).fit(BANDS[index], known[index])
    np.testing.assert_allclose(repeated.predict_proba(BANDS), weighted, rtol=1e-9)
    scaled = clone(GRAPH).fit(BANDS, known, sample_weight=weight / 7).responsibilities_
    np.testing.assert_allclose(scaled, weighted, rtol=1e-6)
    wrong, light = np.where(known >= 0, known, 2), np.where(known >= 0, 1, 0)
    light[known < 0] = np.arange((known < 0).sum()) % 2
    wrong[light > 0] = known[light > 0]
    found = [clone(GRAPH).fit(BANDS, k, sample_weight=light).labels_ for k in (wrong, known)]
    np.testing.assert_array_equal(*found)


def test_labels_improve_a_start_that_is_wrong():
    found = []
    for n in (0, 20, 60):
        known = np.full(len(BANDS), -1)
        rows = np.random.default_rng(0).permutation(len(BANDS))[:n]
        known[rows] = SIDE[rows]
        labels = clone(GRAPH).set_params(n_clusters=2).fit_predict(BANDS, known)
        found.append(adjusted_rand_score(SIDE[known < 0], labels[known < 0]))
    assert found[0] < 0.1 < 0.3 < found[1] < 0.6 < found[2]


def test_clusters_that_nobody_named_are_found(blobs):
    X, y = blobs
    fit = clone(GRAPH).fit(X, some(y, 60, [1]))
    np.testing.assert_array_equal(fit.labels_ == 1, y == 1)
    assert adjusted_rand_score(y, fit.labels_) == 1


@quiet
@each
def test_the_number_is_at_least_that_of_the_labels(estimator, blobs):
    X, y = blobs
    with hasty():
        fit = short(estimator, n_clusters="auto", use_labels=True).fit(X, some(y, 2))
        assert fit.n_clusters_ == 3
        known = np.full(len(X), -1)
        known[:5] = np.arange(5)
        assert fit.fit(X, known).n_clusters_ == 5
    np.testing.assert_array_equal(start_of(fit)[:5], np.arange(5))


# ---- starts


def test_an_absorbed_walk_solves_its_equations():
    graph = neighbor_graph(BANDS, 5).astype(np.float64)
    labels, votes = np.eye(2)[SIDE] * (np.arange(240) % 60 == 0)[:, None], np.eye(2)[SIDE[::-1]]
    stops = np.linspace(0.01, 1, 240)
    found = absorb_walk(graph, labels, votes, stops)
    steps = graph.multiply(1 / graph.sum(1)).tocsr()
    one_more = (steps @ found + stops[:, None] * votes) / (1 + stops[:, None])
    known = labels.any(1)
    np.testing.assert_array_equal(found[known], labels[known])
    np.testing.assert_allclose(found[~known], one_more[~known], atol=1e-7)


def test_one_label_more_decides_a_name_and_else_distance():
    found, rows = np.eye(2)[[0, 0, 0, 1, 1]], np.array([[0.0], [1.0], [2.0], [8.0], [9.0]])
    labels = np.zeros((5, 2))
    labels[[0, 1], 1] = 1
    labels[[2], 0] = 1  # of both classes all labels are in the first cluster
    np.testing.assert_array_equal(name_clusters(found, labels, rows), [1, 0])
    labels[3, 1] = 1
    np.testing.assert_array_equal(name_clusters(found, labels, rows), [0, 1])
    np.testing.assert_array_equal(name_clusters(found, labels[:, ::-1], rows), [1, 0])


def test_a_sample_of_the_rows_has_those_with_labels():
    known = some(SIDE, 20)
    fit = clone(GRAPH).set_params(max_samples=100).fit(BANDS, known)
    assert np.isin(np.flatnonzero(known >= 0), fit.graph_indices_).all()
    assert len(fit.graph_indices_) == 100
    np.testing.assert_array_equal(fit.labels_[known >= 0], known[known >= 0])
    few = clone(GRAPH).set_params(max_samples=30).fit(BANDS, known)
    assert len(few.graph_indices_) == 30


@quiet
def test_a_partition_given_yields_to_labels(blobs):
    X, y = blobs
    known = some((y + 1) % 3, 5)
    expected = np.where(known >= 0, known, y)
    for estimator in (VaDEClustering, CatGANClustering):
        settings = {"max_epochs": 1, "pretraining_epochs": 1, "random_state": 0}
        fit = estimator(3, init=y, use_labels=True, **settings).fit(X, known)
        np.testing.assert_array_equal(fit.start_labels_, expected)


@quiet
@pytest.mark.parametrize(
    "init", ["mixture", GRAPH.set_params(n_neighbors=9)], ids=["mixture", "graph"]
)
def test_other_starts_follow_labels(init, blobs):
    X, y = blobs
    labels = (y + 1) % 3
    fit = CatGANClustering(3, init=init, use_labels=True, max_epochs=1, random_state=0)
    np.testing.assert_array_equal(fit.fit(X, some(labels, 3)).start_labels_, labels)


@pytest.mark.parametrize("n_labels", [0, 9])
def test_a_partition_keeps_the_stream(n_labels):
    states = []
    for labels in (None, some(SIDE, n_labels) if n_labels else None):
        stream = np.random.RandomState(0)
        find_partition("neighbors", BANDS, 2, stream, 1, labels=labels)
        states.append(stream.get_state()[1])
    np.testing.assert_array_equal(*states)


@quiet
@pytest.mark.parametrize("estimator", [VaDEClustering(3), CatGANClustering(3)])
def test_training_that_goes_on_holds_the_labels(estimator, blobs):
    X, y = blobs
    fit = short(estimator, init=y, use_labels=True, warm_start=True).fit(X)
    known = some((y + 1) % 3, 5)
    labels = fit.labels_
    fit.fit(X, known)
    np.testing.assert_array_equal(fit.start_labels_, np.where(known >= 0, known, labels))
    assert len(fit.history_) == 2


# ---- in scikit-learn


def test_it_lives_in_pipelines_and_searches_and_takes_sparse_rows(blobs):
    X, y = blobs
    known = some(y, 2)
    np.testing.assert_array_equal(make_pipeline(StandardScaler(), GRAPH).fit_predict(X, known), y)
    search = GridSearchCV(GRAPH, {"n_neighbors": [5, 15]}, cv=2, error_score="raise")
    assert search.fit(X, some(y, 30)).best_score_ > 0.5
    found = clone(GRAPH).set_params(accept_sparse=True).fit_predict(sparse.csr_array(X), known)
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(GRAPH.fit_predict(X, pd.Series(known.astype(float))), y)


WRONG = {
    "fractions": (lambda y: y + 0.5, r"y has 0\.5 for sample \d+.*whole numbers from 0 to .* = 2"),
    "nan": (lambda y: np.where(y > 1, np.nan, y), "y has nan for sample"),
    "words": (lambda y: np.array(["a", "b", "c"])[y], "y has '.' for sample 0.*LabelEncoder"),
    "digits": (lambda y: y.astype(str), "y has '.' for sample 0.*LabelEncoder"),
    "objects": (lambda y: np.where(y > 1, None, y.astype(object)), "y has None for sample"),
    "too large": (lambda y: y + 1, "y has 3 for sample.*raise n_clusters"),
    "below -1": (lambda y: y - 2, "y has -2 for sample.*-1 for no cluster"),
    "too few": (lambda y: y[:9], r"y has the shape \(9,\), but X has 180 samples"),
    "two columns": (lambda y: np.c_[y, y], r"y has the shape \(180, 2\)"),
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
        VAEEmbedding(3, init="mixture", use_labels=True),
        VaDEClustering(3, init="mixture", use_labels=True),
        CatGANClustering(3, init=None, use_labels=True),
    ],
)
def test_labels_need_a_start(estimator, blobs):
    with pytest.raises(ValueError, match="needs a start.*but init=.*Take init='neighbors'"):
        estimator.fit(*blobs)
