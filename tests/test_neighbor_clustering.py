"""NeighborClustering: laws of weights, order, scale and new samples; distances; errors."""

import pickle

import joblib
import numpy as np
import pytest
from common import fitted
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import (
    KNeighborsRegressor,
    KNeighborsTransformer,
    NearestNeighbors,
    kneighbors_graph,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skdeepcluster import NeighborClustering
from skdeepcluster.metrics import expected_score

STREAM = np.random.default_rng(0)
X, Y = make_blobs(90, n_features=3, centers=3, cluster_std=0.7, random_state=0)
NORMAL = STREAM.normal(size=(60, 3))
NEW = STREAM.normal(size=(25, 3)) * 3
for _array in (X, Y, NORMAL, NEW):
    _array.flags.writeable = False
FROM_X = cdist(X, X)
FROM_NORMAL = cdist(NORMAL, NORMAL)
THREE = NeighborClustering(3, n_neighbors=8, random_state=0)
DISTANCES = clone(THREE).set_params(metric="precomputed")
SCALED = clone(DISTANCES).set_params(standardize=True)


def assert_equal_predictions(one, two, rows=NEW):
    """Assert the same predictions, to the last digit."""
    np.testing.assert_array_equal(one.predict_proba(rows), two.predict_proba(rows))
    np.testing.assert_array_equal(one.transform(rows), two.transform(rows))


def fit(estimator, *args, **kwargs):
    return clone(estimator).fit(*args, **kwargs)


def links_of(fit):
    """Return the graph of a fit, (N, N), in the order of the samples."""
    order = np.argsort(fit.graph_indices_)
    return fit.graph_.toarray()[np.ix_(order, order)]


def largest_gap(a, b):
    return abs(a - b).max()


# ---- what is found


def test_sparse_texts_are_compared_by_their_semantics():
    stream = np.random.default_rng(0)
    words = np.repeat([np.arange(0, 80), np.arange(60, 140)], 60, axis=0)
    texts = [" ".join(f"w{word}" for word in stream.choice(row, 12)) for row in words]
    counts = TfidfVectorizer().fit_transform(texts)
    found = fit(THREE, counts)
    semantics = make_pipeline(TruncatedSVD(50, random_state=0), Normalizer())
    same = fit(THREE, semantics.fit_transform(counts))
    np.testing.assert_array_equal(found.labels_, same.labels_)
    np.testing.assert_array_equal(found.predict(counts), found.labels_)
    assert found.augment_ is None
    assert found.preparation_.components_[0].n_components == 50
    two = clone(THREE).set_params(n_clusters=2).fit(counts)
    assert adjusted_rand_score(np.repeat([0, 1], 60), two.labels_) > 0.9

    narrow = counts[:, :100]  # is compared as it is
    plain = fit(THREE, narrow.toarray())
    as_sparse = fit(THREE, narrow)
    np.testing.assert_array_equal(as_sparse.labels_, plain.labels_)
    assert as_sparse.preparation_.components_ is None


def test_outlier_scores_use_as_many_neighbors_as_clusters_have():
    groups, y = make_blobs(60, n_features=5, centers=15, center_box=(-20, 20), random_state=2)
    small = NeighborClustering(15, random_state=0).fit(groups)
    assert adjusted_rand_score(y, small.labels_) == 1
    wanted = NearestNeighbors(n_neighbors=3).fit(groups).kneighbors()[0].mean(1)
    np.testing.assert_allclose(small.outlier_scores_, wanted)


def test_attributes_are_predictions_and_link_the_nearest():
    one = fitted(THREE, X)
    np.testing.assert_array_equal(one.responsibilities_, one.predict_proba(X))
    np.testing.assert_array_equal(one.embedding_, one.transform(X))
    np.testing.assert_array_equal(np.sort(one.graph_indices_), np.arange(90))
    # Every sample is linked to its nearest.
    np.testing.assert_allclose(one.graph_.max(axis=1).toarray(), 1, rtol=1e-6)
    assert list(one.get_feature_names_out())[-1] == "neighborclustering4"


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", largest_gap])
def test_each_metric_recognizes_the_samples_of_the_fit(metric):
    one = fit(clone(THREE).set_params(metric=metric), NORMAL)
    np.testing.assert_array_equal(one.predict(NORMAL), one.labels_)
    np.testing.assert_array_equal(one.transform(NORMAL), one.embedding_)
    if metric == "cosine":
        # Only directions count.
        np.testing.assert_allclose(one.predict_proba(NEW), one.predict_proba(9 * NEW), atol=1e-9)


# ---- laws


def test_weights_are_repetitions_and_zero_is_absence():
    weight = np.arange(60) % 4
    weighted = fit(THREE, NORMAL, sample_weight=weight)
    repeated = fit(THREE, np.repeat(NORMAL, weight, axis=0))
    assert_equal_predictions(weighted, repeated)
    np.testing.assert_array_equal(weighted.labels_, repeated.predict(NORMAL))
    assert set(weighted.graph_indices_) == set(np.flatnonzero(weight))
    rows, new = (np.pad(part, ((0, 0), (0, 20))) for part in (NORMAL, NEW))
    as_sparse = fit(THREE, sparse.csr_array(rows), sample_weight=weight)
    np.testing.assert_allclose(
        as_sparse.predict_proba(new), weighted.predict_proba(NEW), atol=1e-9
    )
    np.testing.assert_allclose(
        as_sparse.predict_proba(sparse.coo_array(new)), as_sparse.predict_proba(new), atol=1e-12
    )


def test_stored_zeros_and_duplicate_entries_change_nothing():
    rows = np.pad(np.maximum(X, 0), ((0, 0), (0, 20)))
    whole = sparse.csr_array(rows)
    one = fit(THREE, rows)
    halves = whole.data.repeat(2) / 2, whole.indices.repeat(2), 2 * whole.indptr
    stored = rows[:, :3].ravel(), np.tile(np.arange(3), 90), 3 * np.arange(91)
    same = (sparse.csr_array(parts, shape=rows.shape) for parts in (halves, stored))
    for X_same in (whole, np.where(rows == 0, -0.0, rows), *same):
        np.testing.assert_array_equal(one.predict_proba(X_same), one.responsibilities_)
        np.testing.assert_array_equal(fit(THREE, X_same).graph_indices_, one.graph_indices_)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("exponent", [-400, 300])
def test_extreme_units_change_no_digit(metric, exponent):
    one = clone(THREE).set_params(metric=metric)
    scaled = fit(one, np.ldexp(X, exponent))
    np.testing.assert_array_equal(scaled.responsibilities_, fit(one, X).responsibilities_)
    assert np.isfinite(scaled.predict_proba(np.ldexp(NEW, exponent))).all()


def test_predictions_do_not_depend_on_other_samples():
    one = fitted(THREE, X)
    np.testing.assert_array_equal(one.transform(NEW[3:7]), one.transform(NEW)[3:7])
    # Many samples at equal distances, so more than k could be neighbors.
    corners = STREAM.integers(0, 2, (300, 7)).astype(float)
    one = fit(THREE, np.unique(corners, axis=0)[:100])
    new = corners + 0.5
    np.testing.assert_array_equal(one.transform(new)[5], one.transform(new[5:6])[0])


def test_new_samples_get_the_mean_of_their_neighbors_by_distance():
    one = fitted(THREE, X)
    shepard = KNeighborsRegressor(8, weights="distance").fit(X, one.responsibilities_)
    np.testing.assert_allclose(one.predict_proba(NEW), shepard.predict(NEW), atol=1e-12)
    shepard.fit(X, one.embedding_)
    np.testing.assert_allclose(one.transform(NEW), shepard.predict(NEW), rtol=1e-5)
    distances, _ = shepard.kneighbors(NEW)
    np.testing.assert_allclose(one.score_samples(NEW), -distances.mean(1))


def test_samples_of_the_fit_are_recognized_despite_rounding():
    far = NORMAL * 1e-4 + 1e6
    one = fit(THREE, far)
    np.testing.assert_array_equal(one.predict_proba(far), one.responsibilities_)
    np.testing.assert_array_equal(one.predict(far.astype(np.float64)[::-1]), one.labels_[::-1])


def test_samples_left_out_are_predicted_like_new_ones():
    one = fit(clone(THREE).set_params(max_samples=30), NORMAL)
    assert one.graph_.shape == (30, 30)
    np.testing.assert_array_equal(one.labels_, one.predict(NORMAL))
    np.testing.assert_array_equal(one.embedding_, one.transform(NORMAL))
    weight = np.where(np.arange(60) == 7, 1000, 1)
    heavy = fit(clone(THREE).set_params(max_samples=30), NORMAL, sample_weight=weight)
    assert 7 in heavy.graph_indices_
    assert len(heavy.graph_indices_) == 30


# ---- distances


def test_distances_between_all_samples_equal_the_samples():
    one = fit(DISTANCES, FROM_X)
    two = fit(THREE, X)
    assert adjusted_rand_score(one.labels_, two.labels_) == 1
    assert one.__sklearn_tags__().input_tags.pairwise
    same = fit(KNeighborsRegressor(8, weights="distance"), X, one.responsibilities_)
    np.testing.assert_allclose(one.predict_proba(cdist(NEW, X)), same.predict(NEW), atol=1e-12)
    np.testing.assert_array_equal(one.predict(FROM_X), one.labels_)


@pytest.mark.parametrize(
    ("form", "with_itself"), [(sparse.csr_array, True), (sparse.coo_array, False)]
)
def test_a_graph_of_neighbors_is_enough(form, with_itself):
    graph = form(kneighbors_graph(X, 9, mode="distance", include_self=with_itself))
    one = fit(DISTANCES, graph)
    assert adjusted_rand_score(Y, one.labels_) == 1
    np.testing.assert_array_equal(one.predict_proba(graph), one.responsibilities_)
    dense = fit(clone(DISTANCES).set_params(n_neighbors=8), FROM_X)
    found, expected = (links_of(own) for own in (one, dense))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_stored_zero_is_a_distance():
    near = sparse.csr_array(([0.0, 1.0], [0, 1], [0, 2]), shape=(1, 90))
    one = fit(DISTANCES, FROM_X)
    np.testing.assert_array_equal(one.predict_proba(near), one.responsibilities_[:1])


# ---- callers


def test_pipelines_may_compute_the_neighbors():
    transformer = KNeighborsTransformer(mode="distance", n_neighbors=8)
    pipeline = make_pipeline(transformer, clone(DISTANCES))
    assert adjusted_rand_score(Y, pipeline.fit_predict(X)) == 1
    np.testing.assert_array_equal(pipeline.predict(X), pipeline[-1].labels_)
    assert pipeline.predict(NEW).shape == (25,)


# ---- errors


def lonely():
    graph = kneighbors_graph(X, 3, mode="distance").tolil()
    graph[4] = 0
    return graph.tocsr()


@pytest.mark.parametrize(
    ("estimator", "rows", "weight", "message"),
    [
        (THREE, np.where(X > 3, 1e200, X), None, "magnitude 1e\\+200, but at most"),
        (THREE, X, -np.ones(90), "Negative values in data passed to .sample_weight"),
        (THREE, X, np.zeros(90), "at least one non-zero"),
        (NeighborClustering(3, max_samples=2), X, None, "max_samples == 2, must be >= 3"),
        (DISTANCES, X, None, r"should be a square matrix.*got \(90, 3\)"),
        (DISTANCES, np.full((90, 90), np.nan), None, "contains NaN"),
        (SCALED, FROM_X, None, "standardize=True needs features.*standardize='auto'"),
        (DISTANCES, -FROM_X, None, "Negative values in data"),
        (DISTANCES, sparse.csr_array(-FROM_X), None, "Negative values in data"),
        (DISTANCES, lonely(), None, "Row 4 of the precomputed graph has no neighbor"),
        (DISTANCES, sparse.csr_array((90, 90)), None, "Row 0 of .* has no neighbor"),
    ],
)
def test_errors_explain_and_keep_the_last_fit(estimator, rows, weight, message):
    one = fit(THREE, X)
    one.set_params(**estimator.get_params())
    before = dict(vars(one))
    with pytest.raises(ValueError, match=message):
        one.fit(rows, sample_weight=weight)
    assert vars(one) == before or all(vars(one)[key] is before[key] for key in before)
    fresh = clone(estimator)
    with pytest.raises(ValueError, match=message):
        fresh.fit(rows, sample_weight=weight)
    assert vars(fresh).keys() == estimator.get_params().keys()


def test_distances_of_new_samples_are_to_all_of_the_fit():
    one = fit(DISTANCES, FROM_X)
    with pytest.raises(ValueError, match="X has 5 features, but .* expecting 90"):
        one.predict(cdist(NEW, X[:5]))
    with pytest.raises(ValueError, match="Negative values in data"):
        one.predict(-cdist(NEW, X))
    with pytest.raises(ValueError, match="Row 0 of the precomputed graph has no neighbor"):
        one.predict(sparse.csr_array((1, 90)))


@pytest.mark.parametrize("n_distinct", [1, 2])
def test_fewer_distinct_samples_than_clusters(n_distinct):
    rows = np.repeat(X[:n_distinct], 5, axis=0)
    with pytest.warns(ConvergenceWarning, match=f"Only {n_distinct} of n_clusters=3 clusters"):
        one = clone(THREE).fit(rows)
    assert len(set(one.labels_)) == n_distinct
    assert one.predict_proba(X).shape == (90, 3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_samples_without_a_distance_are_named():
    one = fit(clone(THREE).set_params(metric="correlation"), NORMAL)
    with pytest.raises(
        ValueError, match=r"no finite prediction by metric='correlation' for sample 1"
    ):
        one.predict(np.array([NORMAL[0], 1e308 * np.ones(NORMAL.shape[1])]))


def test_what_predictions_prepare_is_not_kept_in_copies():
    X, _ = make_blobs(200, random_state=0)
    fit = NeighborClustering(3, random_state=0).fit(X)
    before = joblib.hash(fit)
    predicted = fit.predict(X + 0.1)
    assert joblib.hash(fit) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fit)).predict(X + 0.1), predicted)
    np.testing.assert_array_equal(fit.fit(-X).predict(-X), fit.labels_)


def test_the_expected_score_is_of_the_labels_with_noise():
    X, _ = make_blobs(200, centers=[[0, 0], [7, 0], [0, 7]], random_state=0)
    weights = np.tile([1, 3], 100)
    plain = NeighborClustering(3, random_state=0).fit(X, sample_weight=weights)
    noisy = NeighborClustering(3, contamination=0.2, random_state=0).fit(X, sample_weight=weights)
    share = weights[noisy.labels_ >= 0].sum() / weights.sum()
    assert 0.75 < share < 0.85
    assert noisy.expected_score_ == pytest.approx(share * plain.expected_score_)
    scores = [[other.expected_score for other in fit.alternatives_] for fit in (noisy, plain)]
    np.testing.assert_allclose(scores[0], share * np.array(scores[1]))
    again = expected_score(X, noisy.labels_, sample_weight=weights)
    assert noisy.expected_score_ == pytest.approx(again, abs=0.06)
