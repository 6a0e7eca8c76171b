"""Initial partitions given by the user."""

import inspect
import pickle

import numpy as np
import pytest
from estimators import some_of
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import skdeepcluster
from skdeepcluster import (
    CatGANClustering,
    DACClustering,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)

SMALL = {"n_components": 2, "hidden_layer_sizes": (16,), "max_epochs": 20, "random_state": 0}
METHODS = [CatGANClustering, DACClustering, InfoGANClustering, VaDEClustering]
each = pytest.mark.parametrize("method", some_of(METHODS), ids=lambda method: method.__name__)


@pytest.fixture
def rows(blobs):
    return blobs[0]


@each
def test_a_fit_begins_with_the_partition_given(method, rows):
    labels = KMeans(3, n_init=1, random_state=0).fit_predict(rows)
    fitted = method(3, init=labels, **SMALL).fit(rows)
    np.testing.assert_array_equal(fitted.start_labels_, labels)
    again = clone(fitted).set_params(init=np.eye(3)[labels]).fit(rows)
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


@pytest.mark.full
@each
def test_any_initial_partition_can_be_learned(method, rows):
    halves = (rows[:, 0] > np.median(rows[:, 0])).astype(int)
    settings = {"hidden_layer_sizes": (64, 64), "start_weight": 100.0, "random_state": 0}
    fitted = method(2, init=halves, smoothness_weight=0.0, **settings)
    assert (fitted.fit(rows).labels_ == halves).mean() > 0.85


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # not learnable
def test_fits_of_all_methods_with_one_seed_begin_alike():
    uniform = np.random.default_rng(0).uniform(size=(120, 5))  # each seed has another partition
    settings = SMALL | {"max_epochs": 1}
    starts = [
        method(6, **settings).fit(uniform).start_labels_ for method in [VAEEmbedding, *METHODS]
    ]
    other = CatGANClustering(6, **settings | {"random_state": 1}).fit(uniform).start_labels_
    for start in starts:
        np.testing.assert_array_equal(start, starts[0])
    assert adjusted_rand_score(other, starts[0]) < 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # not learnable
@each
def test_models_without_an_autoencoder_do_not_pretrain(method, rows, monkeypatch):
    def pretrain(*_):
        raise AssertionError("pretraining")

    monkeypatch.setattr(method, "_pretrain", pretrain)
    fit = method(3, init=np.arange(len(rows)) % 3, pretraining_epochs=2, **SMALL).fit
    if method in (CatGANClustering, InfoGANClustering):
        fit(rows)
    else:
        with pytest.raises(AssertionError, match="pretraining"):
            fit(rows)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (lambda n: np.zeros(n + 1), "init has the shape"),
        (lambda n: np.full(n, 3), "init has 3 for sample 0.* from 0 to n_clusters - 1 = 2"),
        (lambda n: np.full(n, -1), "init has -1 for sample 0"),
        (lambda n: np.full(n, 0.5), "whole numbers"),
        (lambda n: np.full((n, 3), 1.0), "each row sum to 1"),
        (lambda n: np.full((n, 2), 0.5), "should have the shape"),
        (lambda n: np.full(n, np.nan), "init has nan"),
    ],
)
def test_invalid_partitions_are_refused_before_training(rows, init, message, monkeypatch):
    monkeypatch.setattr(VaDEClustering, "_pretrain", None)
    with pytest.raises(ValueError, match=message):
        VaDEClustering(3, init=init(len(rows)), **SMALL).fit(rows)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "init contains NaN"), ("a", "could not convert")]
)
def test_labels_that_are_not_numbers_are_refused(rows, value, message):
    with pytest.raises(ValueError, match=message):
        VaDEClustering("auto", init=np.full(len(rows), value), **SMALL).fit(rows)


# ---- the partition of a neighbor graph

FIVE = [*METHODS, VAEEmbedding]
each_of_five = pytest.mark.parametrize("method", some_of(FIVE), ids=lambda method: method.__name__)
FEW = SMALL | {"max_epochs": 1}


def brief(method, **params):
    few = {"pretraining_epochs": 1} if method in METHODS else {}
    return method(3, **(FEW | few | params))


def test_an_initial_partition_that_is_not_learned_is_warned_of(blobs):
    X, y = blobs
    labels = np.where(np.random.default_rng(0).uniform(size=len(X)) < 0.6, y, (y + 1) % 3)
    told = r"rows left the clusters of .* take start_labels_\.$"
    with pytest.warns(ConvergenceWarning, match=told):
        CatGANClustering(3, init=labels, **SMALL).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each_of_five
def test_neighbor_clustering_as_init_equals_its_name(method, rows):
    start = NeighborClustering(7, random_state=5)
    named, given = (brief(method, init=init).fit(rows) for init in ("neighbors", start))
    # Cosines do not see how far samples are along one direction.
    along = np.outer(rows[:, 0] - rows[:, 0].min() + 1, np.ones(rows.shape[1])) + 0.01 * rows
    plain, other = (
        brief(method, init=NeighborClustering(metric=metric)).fit(along)
        for metric in ("euclidean", "cosine")
    )
    noisy = brief(method, init=NeighborClustering(noise=0.5)).fit(rows)
    np.testing.assert_array_equal(given.predict_proba(rows), named.predict_proba(rows))
    assert (other.start_labels_ != plain.start_labels_).any()
    np.testing.assert_array_equal(noisy.predict_proba(rows), named.predict_proba(rows))
    assert start.get_params() == NeighborClustering(7, random_state=5).get_params()
    assert not hasattr(start, "labels_")
    again = pickle.loads(pickle.dumps(given))
    np.testing.assert_array_equal(again.predict_proba(rows), given.predict_proba(rows))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each_of_five
def test_metric_is_passed_to_the_initial_partition(method, rows, monkeypatch):
    heard, find = [], skdeepcluster._initialization.partition_by_neighbors

    def recorded(*args, **options):
        heard.append(options["metric"])
        return find(*args, **options)

    monkeypatch.setattr("skdeepcluster._initialization.partition_by_neighbors", recorded)
    brief(method, metric="cosine").fit(rows)
    assert heard == ["cosine"]
    names = list(inspect.signature(method).parameters)
    assert names.index("metric") == names.index("init") + 1


@each_of_five
@pytest.mark.parametrize("place", ["metric", "init"])
def test_init_from_distances_is_refused(method, place, rows):
    asked = {"metric": "precomputed", "init": NeighborClustering(metric="precomputed")}
    with pytest.raises(ValueError, match=f"{place} asks for precomputed distances.*labels_"):
        brief(method, **{place: asked[place]}).fit(rows)
