"""NeighborClustering: laws of weights, order, scale and new rows; distances; errors; callers."""

import re

import numpy as np
import pytest
from estimators import fitted, for_check, hasty
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, pairwise_distances, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import (
    KNeighborsRegressor,
    KNeighborsTransformer,
    NearestNeighbors,
    kneighbors_graph,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import NeighborClustering
from skdeepcluster.neighbors.partition import (
    Reference,
    find_equal,
    project_distances,
    take_samples,
)
from skdeepcluster.neighbors.search import nearest_entries, order_rows, project_rows, unique_rows

STREAM = np.random.default_rng(0)
X, Y = make_blobs(90, n_features=3, centers=3, cluster_std=0.7, random_state=0)
NORMAL = STREAM.normal(size=(60, 3))
NEW = STREAM.normal(size=(25, 3)) * 3
for _array in (X, Y, NORMAL, NEW):
    _array.flags.writeable = False
FROM_X, FROM_NORMAL = cdist(X, X), cdist(NORMAL, NORMAL)
THREE = NeighborClustering(3, n_neighbors=8, random_state=0)
DISTANCES = clone(THREE).set_params(metric="precomputed")


def assert_alike(one, two, rows=NEW):
    """The same answers, to the last digit."""
    np.testing.assert_array_equal(one.predict_proba(rows), two.predict_proba(rows))
    np.testing.assert_array_equal(one.transform(rows), two.transform(rows))


def fit(estimator, *args, **kwargs):
    """Fit a copy; what is found in a hurry obeys the laws as well."""
    with hasty():
        return clone(estimator).fit(*args, **kwargs)


def largest_gap(a, b):
    return abs(a - b).max()


# ---- what is found


def test_clusters_that_are_no_balls():
    moons, y = make_moons(200, noise=0.05, random_state=0)
    assert adjusted_rand_score(y, NeighborClustering(2, random_state=0).fit_predict(moons)) == 1


def test_clusters_of_four_rows_are_linked_among_themselves():
    groups, y = make_blobs(60, n_features=5, centers=15, center_box=(-20, 20), random_state=2)
    small = NeighborClustering(15, random_state=0).fit(groups)
    assert adjusted_rand_score(y, small.labels_) == 1
    wanted = NearestNeighbors(n_neighbors=3).fit(groups).kneighbors()[0].mean(1)
    np.testing.assert_allclose(small.outlier_scores_, wanted)


@pytest.mark.parametrize("seed", [0, 2])
def test_unequal_clusters_of_few_rows_are_found(seed):
    random = np.random.RandomState(seed)
    shares = random.dirichlet(np.full(25, 3.0))
    y = np.r_[np.arange(25), np.arange(25), random.choice(25, 100, p=shares)]
    rows = 8 * random.normal(size=(25, 10))[y] + random.normal(size=(150, 10))
    assert adjusted_rand_score(y, NeighborClustering(25, random_state=0).fit_predict(rows)) > 0.99


def test_attributes_are_answers_and_the_graph_is_of_the_rows():
    one = fitted(THREE, X)
    assert adjusted_rand_score(Y, one.labels_) == 1
    np.testing.assert_array_equal(one.labels_, one.predict(X))
    np.testing.assert_array_equal(one.responsibilities_, one.predict_proba(X))
    np.testing.assert_array_equal(one.probabilities_, one.predict_proba(X).max(1))
    np.testing.assert_array_equal(one.layout_, one.transform(X))
    np.testing.assert_array_equal(one.graph_indices_, np.arange(90))
    assert one.graph_.shape == (90, 90)
    # Every row is linked to its nearest, in the metric whose partition was kept.
    np.testing.assert_allclose(one.graph_.max(axis=1).toarray(), 1, rtol=1e-6)
    assert (one.n_clusters_, one.n_features_in_) == (3, 3)
    assert list(one.get_feature_names_out())[-1] == "neighborclustering4"


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", largest_gap])
def test_metrics_are_heard_and_training_rows_are_known(metric):
    one = fit(clone(THREE).set_params(metric=metric), NORMAL)
    np.testing.assert_array_equal(one.predict(NORMAL), one.labels_)
    np.testing.assert_array_equal(one.transform(NORMAL), one.layout_)
    if metric == "cosine":
        # Directions are all that counts.
        np.testing.assert_allclose(one.predict_proba(NEW), one.predict_proba(9 * NEW), atol=1e-9)


@pytest.mark.full
def test_wrong_rows_are_less_probable_than_others():
    rows, y = make_blobs([300, 300], centers=[[0, 0], [3.5, 0]], random_state=0)
    found = []
    for seed in range(5):  # a layout's probabilities of 20 wrong rows vary: areas of .78 to .96
        one = NeighborClustering(2, random_state=seed).fit(rows)
        wrong = one.labels_ != (y if np.mean(one.labels_ == y) > 0.5 else 1 - y)
        assert 0.01 < wrong.mean() < 0.1
        found.append(roc_auc_score(wrong, -one.probabilities_))
    assert np.mean(found) > 0.8


# ---- laws


def test_weights_are_repetitions_and_zero_is_absence():
    weight = np.arange(60) % 4
    weighted = fit(THREE, NORMAL, sample_weight=weight)
    repeated = fit(THREE, np.repeat(NORMAL, weight, axis=0))
    assert_alike(weighted, repeated)
    np.testing.assert_array_equal(weighted.labels_, repeated.predict(NORMAL))
    assert set(weighted.graph_indices_) == set(np.flatnonzero(weight))
    as_sparse = fit(THREE, sparse.csr_array(NORMAL), sample_weight=weight)
    np.testing.assert_allclose(
        as_sparse.predict_proba(NEW), weighted.predict_proba(NEW), atol=1e-9
    )
    np.testing.assert_allclose(
        weighted.predict_proba(sparse.coo_array(NEW)), weighted.predict_proba(NEW), atol=1e-12
    )


@pytest.mark.parametrize("given", ["rows", "distances"])
def test_the_order_of_rows_is_the_order_of_answers(given):
    order = STREAM.permutation(60)
    if given == "rows":
        one, two = fit(THREE, NORMAL), fit(THREE, NORMAL[order])
    else:
        one, two = fit(DISTANCES, FROM_NORMAL), fit(DISTANCES, FROM_NORMAL[order][:, order])
    np.testing.assert_array_equal(two.layout_, one.layout_[order])
    np.testing.assert_array_equal(two.responsibilities_, one.responsibilities_[order])
    assert (two.graph_ != one.graph_[order][:, order]).nnz == 0


def test_representations_do_not_look_for_stability():
    fit = NeighborClustering(3, random_state=0).fit(X)
    assert "cluster_stability_" not in dir(fit)
    assert fit._repr_html_()
    assert "_stability" not in vars(fit)
    assert fit.cluster_stability_.shape == (3,)
    assert "cluster_stability_" in dir(fit)


def test_several_entries_of_a_place_add_up():
    whole = sparse.csr_array(np.maximum(X, 0))
    halves = whole.data.repeat(2) / 2, whole.indices.repeat(2), 2 * whole.indptr
    halves = sparse.csr_array(halves, shape=X.shape)
    fit = NeighborClustering(3, random_state=0).fit(whole)
    np.testing.assert_array_equal(fit.predict_proba(halves), fit.responsibilities_)
    assert halves.nnz == 2 * whole.nnz


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_are_ordered_by_their_values_in_any_units(container):
    units, order = np.array([1.0, 2.0**20, 2.0**-9]), STREAM.permutation(60)
    expected = order_rows(container(NORMAL))
    np.testing.assert_array_equal(order_rows(container(NORMAL * units)), expected)
    np.testing.assert_array_equal(order[order_rows(container(NORMAL[order]))], expected)


def test_the_order_of_rows_does_not_round_their_weights():
    weight, order = STREAM.random(60), STREAM.permutation(60)
    copies = np.repeat(NORMAL[:20], 3, axis=0)
    *_, one = unique_rows(copies, weight)
    *_, two = unique_rows(copies[order], weight[order])
    np.testing.assert_array_equal(one, two)


def test_powers_of_two_change_no_digit_and_copies_of_all_rows_nothing():
    one = fit(THREE, NORMAL)
    scaled = fit(THREE, NORMAL * 2.0**-9)
    np.testing.assert_array_equal(scaled.predict_proba(NEW * 2.0**-9), one.predict_proba(NEW))
    assert_alike(fit(THREE, np.repeat(NORMAL, 3, axis=0)), one)
    assert_alike(fit(THREE, np.concatenate([NORMAL] * 2)), one)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("exponent", [-900, 700])
def test_extreme_units_change_no_digit(metric, exponent):
    one = clone(THREE).set_params(metric=metric)
    scaled = fit(one, np.ldexp(X, exponent))
    np.testing.assert_array_equal(scaled.responsibilities_, fit(one, X).responsibilities_)
    assert np.isfinite(scaled.predict_proba(np.ldexp(NEW, exponent))).all()


def test_a_cluster_far_away_leaves_the_others_as_they_are():
    far = np.concatenate([X, X[Y == 0] + 500])
    labels = clone(THREE).set_params(n_clusters=4).fit(far).labels_
    assert adjusted_rand_score(np.append(Y, np.full(30, 3)), labels) == 1


def test_jobs_and_the_rows_beside_change_no_digit():
    one = fit(THREE, NORMAL)
    assert_alike(fit(clone(THREE).set_params(n_jobs=2), NORMAL), one)
    np.testing.assert_array_equal(one.transform(NEW[3:7]), one.transform(NEW)[3:7])
    # Many rows at equal distances, of which more than k could be a neighbour.
    corners = STREAM.integers(0, 2, (300, 7)).astype(float)
    one = fit(THREE, np.unique(corners, axis=0)[:100])
    new = corners + 0.5
    np.testing.assert_array_equal(one.transform(new)[5], one.transform(new[5:6])[0])


def test_new_rows_get_the_mean_of_their_neighbours_by_distance():
    one = fitted(THREE, X)
    shepard = KNeighborsRegressor(8, weights="distance").fit(X, one.responsibilities_)
    np.testing.assert_allclose(one.predict_proba(NEW), shepard.predict(NEW), atol=1e-12)
    shepard.fit(X, one.layout_)
    np.testing.assert_allclose(one.transform(NEW), shepard.predict(NEW), rtol=1e-5)


def test_rows_at_distance_zero_get_the_values_of_these():
    one = fit(clone(THREE).set_params(metric="cosine"), NORMAL)
    np.testing.assert_array_equal(one.predict_proba(4 * NORMAL), one.responsibilities_)


def test_training_rows_are_known_where_distances_are_rounded_away():
    far = NORMAL * 1e-4 + 1e6
    one = fit(THREE, far)
    np.testing.assert_array_equal(one.predict_proba(far), one.responsibilities_)
    np.testing.assert_array_equal(one.predict(far.astype(np.float64)[::-1]), one.labels_[::-1])


def test_rows_outside_the_sample_get_what_new_rows_would():
    one = fit(clone(THREE).set_params(max_samples=30), NORMAL)
    assert one.graph_.shape == (30, 30)
    np.testing.assert_array_equal(one.labels_, one.predict(NORMAL))
    np.testing.assert_array_equal(one.layout_, one.transform(NORMAL))
    weight = np.where(np.arange(60) == 7, 1000, 1)
    heavy = fit(clone(THREE).set_params(max_samples=30), NORMAL, sample_weight=weight)
    assert 7 in heavy.graph_indices_
    assert len(heavy.graph_indices_) == 30


def test_rows_with_equal_projections_are_told_apart(monkeypatch):
    for module in ("search", "partition"):
        monkeypatch.setattr(
            f"skdeepcluster.neighbors.{module}.project_rows",
            lambda rows, **_: np.zeros(rows.shape[0]),
        )
    rows = np.repeat(NORMAL[:9], 2, axis=0)
    for container in (np.asarray, sparse.csr_array):
        kept, inverse, weights = unique_rows(container(rows), np.ones(18))
        np.testing.assert_array_equal(rows[kept][inverse], rows)
        np.testing.assert_array_equal(weights, 2)
        one = fit(THREE, container(rows))
        np.testing.assert_array_equal(one.predict_proba(container(rows)), one.responsibilities_)


def test_zeros_are_alike_whether_stored_and_of_either_sign():
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 0.0]])
    assert len(unique_rows(rows, np.ones(3))[0]) == 2
    stored = sparse.csr_array((np.array([1.0, 0.0, 1.0, 2.0]), [1, 0, 1, 0], [0, 1, 3, 4]))
    assert len(unique_rows(stored, np.ones(3))[0]) == 2


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_of_a_reference_are_found_among_others(container):
    kept = STREAM.permutation(60)[:30]
    rows = take_samples(container(NORMAL), kept)
    reference = Reference(rows, project_rows(rows), kept, "euclidean", 5, np.ones(30))
    expected = np.full(60, -1)
    expected[kept] = np.arange(30)
    np.testing.assert_array_equal(find_equal(reference, container(NORMAL)), expected)


def test_a_stored_zero_is_a_distance():
    to_two = sparse.csr_array(([0.0, 1.0], [0, 1], [0, 2]), shape=(1, 3))
    to_one = sparse.csr_array(([1.0], [1], [0, 1]), shape=(1, 3))
    assert project_distances(to_two) != project_distances(to_one)
    assert project_distances(to_two) == project_distances(to_two[:, [0, 1, 2]])


# ---- score


def test_score_is_the_simplified_silhouette_in_the_layout():
    one = fitted(THREE, X)
    centers = np.stack([one.layout_[one.labels_ == k].mean(0) for k in range(3)])
    nearest = np.sort(cdist(one.layout_, centers), 1)
    assert one.score(X) == pytest.approx(np.mean(1 - nearest[:, 0] / nearest[:, 1]), rel=1e-4)
    assert 0.5 < one.score(X) <= 1
    assert type(one.score(X)) is float
    assert fit(clone(THREE).set_params(n_clusters=1), X).score(NEW) == 0


@pytest.mark.full
def test_a_search_by_score_finds_the_number_of_clusters():
    settings = {"cv": 2, "refit": False, "error_score": "raise"}
    search = GridSearchCV(clone(THREE), {"n_clusters": [2, 3, 4]}, **settings)
    assert search.fit(X).best_params_ == {"n_clusters": 3}


# ---- distances


def test_distances_of_all_rows_equal_the_rows():
    one, two = fit(DISTANCES, FROM_X), fit(THREE, X)
    assert adjusted_rand_score(one.labels_, two.labels_) == 1
    assert one.__sklearn_tags__().input_tags.pairwise
    near = cdist(NEW, X)
    shepard = KNeighborsRegressor(8, weights="distance").fit(X, one.responsibilities_)
    np.testing.assert_allclose(one.predict_proba(near), shepard.predict(NEW), atol=1e-12)
    np.testing.assert_array_equal(one.predict(FROM_X), one.labels_)


def test_distances_obey_the_laws_of_weights():
    weight = np.arange(60) % 3
    rows = np.repeat(NORMAL, weight, axis=0)
    weighted = fit(DISTANCES, FROM_NORMAL, sample_weight=weight)
    repeated = fit(DISTANCES, cdist(rows, rows))
    np.testing.assert_array_equal(
        weighted.predict_proba(cdist(NEW, NORMAL)),
        repeated.predict_proba(cdist(NEW, rows)),
    )


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
@pytest.mark.parametrize("with_itself", [True, False])
def test_a_graph_of_neighbours_is_enough(form, with_itself):
    graph = form(kneighbors_graph(X, 9, mode="distance", include_self=with_itself))
    one = fit(DISTANCES, graph)
    assert adjusted_rand_score(Y, one.labels_) == 1
    np.testing.assert_array_equal(one.predict_proba(graph), one.responsibilities_)
    dense = fit(clone(DISTANCES).set_params(n_neighbors=8), FROM_X)
    np.testing.assert_allclose(one.graph_.toarray(), dense.graph_.toarray(), atol=1e-5)


def test_rows_of_a_graph_may_have_different_numbers_of_neighbours():
    distances = FROM_NORMAL
    graph = sparse.csr_array(np.where(distances < 1.2, distances, 0))
    alone = np.diff(graph.indptr) == 0
    graph = sparse.csr_array(graph[~alone][:, ~alone])
    one = fit(DISTANCES, graph)
    assert np.isfinite(one.layout_).all()
    near, neighbors = nearest_entries(graph, 8, own=True)
    for i, count in enumerate(np.minimum(np.diff(graph.indptr), 8)):
        expected = np.sort(graph[[i]].data)[:count]
        np.testing.assert_array_equal(near[i][:count], expected)
        assert np.isinf(near[i][count:]).all()
    assert one.predict(graph[:5]).shape == (5,)


class DistancesOfRows(NeighborClustering):
    """For check_clustering, which passes rows also where an estimator takes distances."""

    def fit(self, X, y=None):
        return super().fit(pairwise_distances(X), y)


@pytest.mark.full
@parametrize_with_checks([DISTANCES])
def test_scikit_learn_checks_with_distances(estimator, check):
    if check.func.__name__ == "check_clustering":
        estimator = DistancesOfRows(**estimator.get_params())
    check(for_check(estimator, check))


# ---- callers


def test_it_stands_behind_a_transformer_of_neighbours():
    transformer = KNeighborsTransformer(mode="distance", n_neighbors=8)
    pipeline = make_pipeline(transformer, clone(DISTANCES))
    assert adjusted_rand_score(Y, pipeline.fit_predict(X)) == 1
    np.testing.assert_array_equal(pipeline.predict(X), pipeline[-1].labels_)
    assert pipeline.predict(NEW).shape == (25,)


def test_topic_models_may_call_it_as_hdbscan():
    """BERTopic fits, reads labels_ and probabilities_, and predicts."""
    model = clone(THREE)
    model.fit(X.astype(np.float32), y=None)
    assert model.labels_.dtype.kind == "i"
    assert model.probabilities_.shape == model.labels_.shape == (90,)
    assert np.all((model.probabilities_ > 1 / 3 - 1e-12) & (model.probabilities_ <= 1))
    topics = model.predict(X[:1].astype(np.float32))
    assert topics[0] == model.labels_[0]


def test_single_cell_tools_keep_the_distances_it_reads():
    """scanpy stores what fit_transform of a KNeighborsTransformer gives, without the diagonal."""
    graph = KNeighborsTransformer(mode="distance", n_neighbors=8).fit_transform(X)
    graph.setdiag(0)
    graph.eliminate_zeros()
    assert adjusted_rand_score(Y, clone(DISTANCES).fit(graph).labels_) == 1


def test_stages_are_told(capsys):
    fit(clone(THREE).set_params(verbose=1), X)
    lines = capsys.readouterr().out.splitlines()
    stages = ["Graph", "Layout", "Partition", "Assignment"]
    assert [line.split(":")[0] for line in lines] == stages
    assert all(re.fullmatch(r"\w+: \d+\.\d s", line) for line in lines)


# ---- errors


def lonely():
    graph = kneighbors_graph(X, 3, mode="distance").tolil()
    graph[4] = 0
    return graph.tocsr()


@pytest.mark.parametrize(
    ("estimator", "rows", "weight", "message"),
    [
        (THREE, X[:2], None, "n_samples=2 should be >= n_clusters=3"),
        (THREE, np.where(X > 3, np.nan, X), None, "NaN"),
        (THREE, np.where(X > 3, np.inf, X), None, "infinity"),
        (THREE, X, -np.ones(90), "Negative values in data passed to .sample_weight"),
        (THREE, X, np.zeros(90), "at least one non-zero"),
        (THREE, X, np.ones(3), "sample_weight.shape"),
        (NeighborClustering(3, max_samples=2), X, None, "max_samples=2 should be >= n_clusters=3"),
        (NeighborClustering(3, metric="nearness"), X, None, "'metric' parameter"),
        (DISTANCES, X, None, r"should be a square matrix.*got \(90, 3\)"),
        (DISTANCES, -FROM_X, None, "Negative values in data"),
        (DISTANCES, sparse.csr_array(-FROM_X), None, "Negative values in data"),
        (DISTANCES, lonely(), None, "Row 4 of the precomputed graph has no neighbor"),
    ],
)
def test_errors_say_what_was_found_and_keep_the_last_fit(estimator, rows, weight, message):
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


def test_distances_of_new_rows_are_to_all_rows_of_the_fit():
    one = fit(DISTANCES, FROM_X)
    with pytest.raises(ValueError, match="X has 5 features, but .* expecting 90"):
        one.predict(cdist(NEW, X[:5]))
    with pytest.raises(ValueError, match="Negative values in data"):
        one.predict(-cdist(NEW, X))
    with pytest.raises(ValueError, match="Row 0 of the precomputed graph has no neighbor"):
        one.predict(sparse.csr_array((1, 90)))


@pytest.mark.parametrize("n_distinct", [1, 2])
def test_fewer_distinct_rows_than_clusters_give_fewer_labels(n_distinct):
    rows = np.repeat(X[:n_distinct], 5, axis=0)
    with pytest.warns(ConvergenceWarning, match=f"Only {n_distinct} of n_clusters=3 clusters"):
        one = clone(THREE).fit(rows)
    assert len(set(one.labels_)) == n_distinct
    assert one.predict_proba(X).shape == (90, 3)
    assert -1 <= one.score(X) <= 1
    found = np.unique(one.labels_)
    np.testing.assert_array_equal(one.cluster_stability_ > 0, np.isin(range(3), found))


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_rows_so_far_away_that_distances_overflow_get_finite_answers(metric):
    one = fit(clone(THREE).set_params(metric=metric), NORMAL)
    far = np.full((1, NORMAL.shape[1]), 1e308)
    assert one.predict_proba(far).sum() == pytest.approx(1)
    assert np.isfinite(one.score_samples(far))
    assert one.score_samples(far) < one.score_samples(1e6 * NORMAL).min()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_without_a_distance_are_named():
    one = fit(clone(THREE).set_params(metric="correlation"), NORMAL)
    with pytest.raises(
        ValueError, match=r"no finite prediction by metric='correlation' for sample 1"
    ):
        one.predict(np.array([NORMAL[0], 1e308 * np.ones(NORMAL.shape[1])]))


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e170, 1e307])
def test_the_unit_of_weights_does_not_matter(scale):
    one, other = fit(THREE, NORMAL), fit(THREE, NORMAL, sample_weight=np.full(60, scale))
    assert_alike(one, other)
    np.testing.assert_array_equal(one.cut(2), other.cut(2))


def test_neighbours_are_at_most_all_other_rows():
    one = fit(clone(THREE).set_params(n_neighbors=500), NORMAL)
    assert one.graph_.nnz <= 60 * 59
    assert np.isfinite(one.transform(NEW)).all()


def test_a_cut_is_the_users_own():
    X, y = make_blobs(120, centers=3, cluster_std=0.5, random_state=0)
    fit = NeighborClustering(3, random_state=0).fit(X)
    cut = fit.cut(3)
    cut[:] = 0
    assert adjusted_rand_score(y, fit.labels_) == 1


def test_few_distinct_rows_leave_the_number_of_clusters_open():
    values = np.repeat(100 * np.eye(9), 60, axis=0)
    with pytest.warns(ConvergenceWarning, match="chose 1, the largest number considered"):
        assert NeighborClustering("auto", random_state=0).fit(values).n_clusters_ == 1


def test_one_value_far_from_all_others_leaves_finite_answers():
    X, _ = make_blobs(200, centers=3, random_state=0)
    with hasty():
        fit = NeighborClustering(3, random_state=0).fit(np.vstack([X, [[1e200, 1e200]]]))
    assert np.isfinite(fit.responsibilities_).all()


def test_a_metric_may_be_rounded_below_zero():
    X = normalize(make_blobs(60, random_state=0)[0])
    assert min(1 - a @ a for a in X) < 0
    found = NeighborClustering(3, metric=lambda a, b: 1 - a @ b, random_state=0).fit(X)
    assert np.isfinite(found.responsibilities_).all()


@pytest.mark.parametrize("distance", [np.nan, -1.0])
def test_a_metric_that_gives_no_distance_is_named(distance):
    X = make_blobs(60, random_state=0)[0]
    with pytest.raises(ValueError, match=f"gives {distance} for two rows. Expected are distances"):
        NeighborClustering(3, metric=lambda a, b: distance).fit(X)
