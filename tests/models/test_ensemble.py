"""ClusterEnsemble: independent of numbering, equal to references, at home in scikit-learn."""

import os
import signal
import threading
import warnings
from time import perf_counter

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback

from skdeepcluster import (
    ClusterEnsemble,
    GaussianMixtureEM,
    NeighborClustering,
    VaDEClustering,
)
from skdeepcluster._consensus import (
    _cut_average_linkage,
    _match,
    average_memberships,
    find_consensus,
    soft_vote,
    vote,
)
from skdeepcluster.neighbors.candidates import agglomerate

CONSENSUS = pytest.mark.parametrize("consensus", ["soft_vote", "co_association"])


class Known(ClusterMixin, BaseEstimator):
    """Gives a column of X as labels, in a random numbering; the column by ``random_state``."""

    def __init__(self, random_state=None, renumber=True):
        self.random_state = random_state
        self.renumber = renumber

    def fit(self, X, y=None):
        stream = np.random.RandomState(self.random_state)
        labels = np.asarray(X)[:, stream.randint(np.shape(X)[1])].astype(int)
        numbers = stream.permutation(labels.max() + 1)
        self.labels_ = numbers[labels] if self.renumber else labels
        return self


class Columns(ClusterMixin, BaseEstimator):
    """Gives the columns of X as labels, each member the next one."""

    turn = 0

    def fit(self, X, y=None):
        self.labels_ = np.asarray(X)[:, Columns.turn % np.shape(X)[1]]
        Columns.turn += 1
        return self


class Echo(ClusterMixin, BaseEstimator):
    """Says that a row's cluster is the number it holds."""

    def fit(self, X, y=None):
        self.labels_ = self.predict(X)
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0].astype(int)


def noisy_labels(n_rows=300, n_clusters=4, n_columns=7, errors=0.15, seed=0):
    stream = np.random.RandomState(seed)
    y = stream.randint(n_clusters, size=n_rows)
    wrong = stream.rand(n_rows, n_columns) < errors
    return y, np.where(wrong, stream.randint(n_clusters, size=wrong.shape), y[:, None])


@parametrize_with_checks(
    [
        ClusterEnsemble(),
        ClusterEnsemble(KMeans(3), n_estimators=3, consensus="co_association"),
        ClusterEnsemble(GaussianMixtureEM(2), n_estimators=2, weights="score"),
        ClusterEnsemble(KMeans(3), n_estimators=4, max_samples=0.8),
    ]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@CONSENSUS
@pytest.mark.parametrize("seed", range(5))
def test_numbering_does_not_matter(consensus, seed):
    """Four columns of eight rows: most decisions are ties."""
    X = np.random.RandomState(seed).randint(3, size=(8, 4))
    X[:3] = np.arange(3)[:, None]
    plain, renumbered = (
        ClusterEnsemble(Known(renumber=renumber), 4, consensus, random_state=seed).fit(X)
        for renumber in (False, True)
    )
    assert (plain.member_labels_ != renumbered.member_labels_).any()
    for name in ("labels_", "agreement_", "row_agreement_", "cluster_stability_"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(renumbered, name))


@CONSENSUS
@pytest.mark.parametrize("seed", [15, 100, 134])
def test_numbering_of_uncertain_members_does_not_matter(consensus, seed):
    """Sums in another order differ by rounding, and two clusters of a row are a tie."""
    stream = np.random.RandomState(seed)
    members = [stream.randint(4, size=(60, stream.randint(2, 7))) + 0.5 for _ in range(2)]
    members = [P / P.sum(1, keepdims=True) for P in members]
    renumbered = [P[:, stream.permutation(P.shape[1])] for P in members]
    weights, found = np.full(2, 0.5), []
    for memberships in (members, renumbered):
        tables = find_consensus(memberships, weights, 3, consensus)
        found.append(vote(memberships, tables, weights))
    np.testing.assert_array_equal(*found)


@CONSENSUS
def test_consensus_is_better_than_its_members(consensus):
    y, X = noisy_labels()
    ensemble = ClusterEnsemble(Known(), 15, consensus, random_state=0).fit(X)
    single = [adjusted_rand_score(y, labels) for labels in ensemble.member_labels_.T]
    assert adjusted_rand_score(y, ensemble.labels_) > max(single) + 0.1


def test_linkage_with_weights_equals_scipys_on_repeated_rows():
    stream = np.random.RandomState(0)
    points, sizes = stream.rand(25, 3), stream.randint(1, 5, size=25)
    distance = np.sqrt(((points[:, None] - points) ** 2).sum(-1))
    which = np.repeat(np.arange(25), sizes)
    repeated = linkage(squareform(distance[np.ix_(which, which)], checks=False), "average")
    for k in (1, 2, 5, 12, 25):
        edges = (distance.max() - distance) * np.outer(sizes, sizes)
        ours = np.empty(25, dtype=int)
        for number, points in enumerate(agglomerate(edges, sizes, k)):
            ours[points] = number
        assert len(np.unique(ours)) == k
        assert adjusted_rand_score(fcluster(repeated, k, "maxclust"), ours[which]) == 1


def test_co_association_equals_linkage_over_all_pairs_of_rows():
    _, X = noisy_labels(80, errors=0.3)
    ensemble = ClusterEnsemble(Known(), 9, "co_association", random_state=1).fit(X)
    members = ensemble.member_labels_
    apart = (members[:, None] != members).mean(-1)
    rows = fcluster(linkage(squareform(apart), "average"), 4, "maxclust")
    groups = np.unique(rows)
    # The tables read members' clusters by their shares in this partition.
    shares = sum(
        np.array([[np.mean(rows[m == label] == k) for k in groups] for label in m])
        for m in members.T
    )
    assert adjusted_rand_score(shares.argmax(1), ensemble.labels_) > 0.95


@CONSENSUS
def test_a_single_member_is_the_consensus(consensus):
    X, _ = make_blobs(100, random_state=0)
    ensemble = ClusterEnsemble(KMeans(3), 1, consensus, random_state=0).fit(X)
    assert adjusted_rand_score(ensemble.labels_, ensemble.estimators_[0].labels_) == 1
    assert ensemble.agreement_ == [1]


@CONSENSUS
def test_members_may_have_different_numbers_of_clusters(consensus):
    class Varied(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            self.n_clusters = 3 + self.random_state % 3
            return super().fit(X)

    X, y = make_blobs(200, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    ensemble = ClusterEnsemble(Varied(), 8, consensus, n_clusters=3, random_state=0).fit(X)
    assert len({len(table) for table in ensemble.tables_}) > 1
    assert adjusted_rand_score(y, ensemble.labels_) == 1
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.labels_)


@CONSENSUS
@pytest.mark.parametrize(
    "member",
    [KMeans(3), GaussianMixtureEM(3), make_pipeline(StandardScaler(), KMeans(3))],
    ids=str,
)
def test_new_rows_are_assigned_when_members_can(member, consensus):
    X, y = make_blobs(150, random_state=3, cluster_std=0.5)
    ensemble = ClusterEnsemble(member, 4, consensus, random_state=0).fit(X[:100])
    np.testing.assert_array_equal(ensemble.predict(X[:100]), ensemble.labels_)
    assert adjusted_rand_score(y[100:], ensemble.predict(X[100:])) > 0.9
    resp = ensemble.predict_proba(X[100:])
    np.testing.assert_allclose(resp.sum(1), 1)
    assert 0 < ensemble.score(X) <= 1


@CONSENSUS
def test_members_that_only_label_what_they_were_fitted_to(consensus):
    X, y = make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    for member in (AgglomerativeClustering(3), DBSCAN(eps=2)):
        ensemble = ClusterEnsemble(member, 3, consensus).fit(X)
        assert adjusted_rand_score(y, ensemble.labels_) > 0.95
        assert not hasattr(ensemble, "predict")


def test_weights_by_score_prefer_the_likelier_member():
    X, _ = make_blobs(200, centers=4, random_state=1)
    member = GaussianMixture(4, init_params="random_from_data", max_iter=3, tol=1e9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ensemble = ClusterEnsemble(member, 6, weights="score", random_state=0).fit(X)
    scores = [fitted.score(X) for fitted in ensemble.estimators_]
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(ensemble.weights_))
    assert ensemble.weights_.sum() == pytest.approx(1)


@pytest.mark.full
def test_jobs_change_nothing_and_members_differ():
    X, _ = make_blobs(200, centers=6, cluster_std=3, random_state=1)
    one, two = (
        ClusterEnsemble(KMeans(6), 4, n_jobs=n_jobs, random_state=0).fit(X) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.member_labels_, two.member_labels_)
    assert len(np.unique(one.member_labels_, axis=1).T) > 1


def test_a_list_of_clusterers_takes_turns():
    X, _ = make_blobs(90, centers=3, cluster_std=0.3, random_state=0)
    ensemble = ClusterEnsemble(
        [KMeans(3), GaussianMixture(3), KMeans(5)], n_estimators=4, random_state=0
    ).fit(X)
    kinds = [(type(member).__name__, table.shape) for member, table in members_of(ensemble)]
    assert kinds == [
        ("KMeans", (3, 3)),
        ("GaussianMixture", (3, 3)),
        ("KMeans", (5, 3)),
        ("KMeans", (3, 3)),
    ]
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.labels_)
    assert len({member.random_state for member in ensemble.estimators_}) == 4
    assert not hasattr(ClusterEnsemble([KMeans(3), DBSCAN()]), "predict")


def members_of(ensemble):
    return zip(ensemble.estimators_, ensemble.tables_, strict=True)


@pytest.mark.full
def test_nested_parameters_in_pipelines_and_searches():
    X, y = make_blobs(150, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    ensemble = ClusterEnsemble(VaDEClustering(3, hidden_layer_sizes=(16,)), 2, random_state=0)
    nested = clone(ensemble).set_params(estimator__n_components=2)
    assert nested.estimator.n_components == 2
    assert nested.fit(X).estimators_[0].n_components == 2
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ClusterEnsemble(KMeans(), 3, random_state=0)),
        {"clusterensemble__estimator__n_clusters": [2, 3]},
        scoring="adjusted_rand_score",
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"clusterensemble__estimator__n_clusters": 3}


@CONSENSUS
def test_rows_in_no_cluster_count_for_none(consensus):
    labels = np.repeat([0, 1, -1], 10)
    X = np.stack([labels] * 3, 1)
    X[20:, 2] = 1  # one member knows what to do with them
    ensemble = ClusterEnsemble(Columns(), 3, consensus, n_clusters=2).fit(X)
    assert (ensemble.member_labels_[20:] == -1).sum() == 20
    assert (ensemble.labels_[20:] == ensemble.labels_[10]).all()
    np.testing.assert_allclose(np.sort(ensemble.agreement_), [2 / 3, 2 / 3, 1])


def test_a_cluster_that_no_training_row_had_counts_for_none():
    X = np.repeat([[0], [1]], 5, 0)
    ensemble = ClusterEnsemble(Echo(), 2).fit(X)
    np.testing.assert_allclose(ensemble.predict_proba([[7]]), [[0.5, 0.5]])
    assert ensemble.predict([[1]]) != ensemble.predict([[0]])


@CONSENSUS
def test_rows_in_no_cluster_by_any_member_have_none(consensus):
    X = np.stack([np.repeat([0, 1, -1], [6, 5, 4])] * 3, 1)
    ensemble = ClusterEnsemble(Columns(), 3, consensus).fit(X)
    np.testing.assert_array_equal(ensemble.labels_, X[:, 0])
    np.testing.assert_array_equal(ensemble.row_agreement_, 1)
    np.testing.assert_array_equal(ensemble.cluster_stability_, [1, 1])


@CONSENSUS
def test_all_rows_may_be_in_no_cluster(consensus):
    X = np.full((5, 2), -1)
    with pytest.warns(ConvergenceWarning, match="Only 0 of n_clusters=1"):
        ensemble = ClusterEnsemble(Columns(), 2, consensus).fit(X)
    np.testing.assert_array_equal(ensemble.labels_, -1)


def test_rows_in_a_cluster_of_any_member_are_linked():
    member_labels = np.array([[0, 0], [0, 0], [0, 0], [1, 1], [1, -1], [-1, -1]])
    found = _cut_average_linkage(member_labels, np.full(2, 0.5), 2)
    np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, -1])


@pytest.mark.parametrize("seed", range(3))
def test_matching_by_soft_votes_ends_at_a_fixed_point(seed):
    stream, weights = np.random.RandomState(seed), np.full(4, 0.25)
    members = [np.eye(5)[stream.randint(5, size=80)] for _ in weights]
    tables = soft_vote(members, weights, 4)
    consensus = average_memberships(members, tables, weights)
    again = [_match(P.T @ consensus) for P in members]
    np.testing.assert_array_equal(again, tables)
    np.testing.assert_array_equal(np.sum(tables, 2), 1)


@CONSENSUS
def test_members_with_more_clusters_than_the_consensus(consensus):
    X, y = make_blobs(300, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    for n_clusters in (4, 6, 9, 12):
        member = KMeans(n_clusters)
        ensemble = ClusterEnsemble(member, 8, consensus, n_clusters=3, random_state=0).fit(X)
        assert adjusted_rand_score(y, ensemble.labels_) == 1


def test_rows_that_members_disagree_about_join_no_two_clusters():
    """Two of five members split another class in two and join classes 0 and 1."""
    stream = np.random.RandomState(0)
    y = stream.randint(6, size=900)
    X = np.repeat(y[:, None], 5, 1)
    doubtful = stream.rand(900) < 0.15
    X[doubtful] = stream.randint(6, size=(doubtful.sum(), 5))
    for column, split in ((0, 2), (1, 3)):
        half = (X[:, column] == split) & (stream.rand(900) < 0.5)
        X[X[:, column] == 1, column] = 0
        X[half, column] = 1
    ensemble = ClusterEnsemble(Columns(), 5, "co_association").fit(X)
    majority = [np.bincount(ensemble.labels_[~doubtful & (y == k)]).argmax() for k in range(6)]
    assert len(set(majority)) == 6
    assert ensemble.cluster_stability_[majority[:2]].max() < 0.85
    assert ensemble.cluster_stability_[majority[4:]].min() > ensemble.cluster_stability_[
        majority[:2]].max()  # fmt: skip


@CONSENSUS
def test_clusters_without_rows_are_reported(consensus):
    X = np.repeat([[0, 0], [1, 1]], 6, 0)
    with pytest.warns(ConvergenceWarning, match="Only 2 of n_clusters=4.*found at most 2"):
        ensemble = ClusterEnsemble(Columns(), 2, consensus, n_clusters=4).fit(X)
    assert ensemble.cluster_stability_.shape == (4,)
    assert (ensemble.cluster_stability_ == 0).sum() == 2


def test_a_failed_fit_leaves_the_fit_before():
    X, _ = make_blobs(60, random_state=0)
    fresh = ClusterEnsemble(KMeans(3), 2, n_clusters=61)
    with pytest.raises(ValueError, match="n_samples"):
        fresh.fit(X)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    ensemble = ClusterEnsemble(KMeans(3), 2, random_state=0).fit(X)
    before = dict(vars(ensemble))
    with pytest.raises(ValueError, match="n_samples"):
        ensemble.fit(np.ones((2, 5)))
    assert vars(ensemble) == before
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.labels_)


@CONSENSUS
def test_agreement_of_rows_and_stability_of_clusters_equal_a_direct_computation(consensus):
    _, X = noisy_labels(errors=0.3)
    X[:20, 1] = -1  # no cluster by one member
    ensemble = ClusterEnsemble(Columns(), 7, consensus, n_clusters=4).fit(X)
    labels, members = ensemble.labels_, ensemble.member_labels_
    agree = np.array([
        [own >= 0 and table[own].argmax() == label
         for own, table in zip(row, ensemble.tables_, strict=True)]
        for row, label in zip(members, labels, strict=True)
    ])  # fmt: skip
    np.testing.assert_allclose(ensemble.row_agreement_, agree.mean(1))
    np.testing.assert_allclose(ensemble.agreement_, agree.mean(0))
    assert 0 <= ensemble.row_agreement_.min() < ensemble.row_agreement_.max() <= 1

    def jaccard(one, two):
        return len(one & two) / len(one | two)

    rows = [set(np.flatnonzero(labels == k)) for k in range(4)]
    for k, stability in enumerate(ensemble.cluster_stability_):
        greatest = [
            max(jaccard(rows[k], set(np.flatnonzero(own == j))) for j in range(4))
            for own in members.T
        ]
        assert stability == pytest.approx(np.mean(greatest))


def test_mistakes_are_explained():
    X, _ = make_blobs(30, random_state=0)
    with pytest.raises(TypeError, match="needs members with a score"):
        ClusterEnsemble(AgglomerativeClustering(2), 2, weights="score").fit(X)
    both = [KMeans(2), AgglomerativeClustering(2)]
    with pytest.raises(TypeError, match="score method, which AgglomerativeClustering is without"):
        ClusterEnsemble(both, 2, weights="score").fit(X)
    with pytest.raises(ValueError, match="n_samples=30 should be >= n_clusters=31"):
        ClusterEnsemble(KMeans(2), 2, n_clusters=31).fit(X)
    with pytest.raises(TypeError, match="AgglomerativeClustering has no predict"):
        ClusterEnsemble([KMeans(2), AgglomerativeClustering(2)], 2, max_samples=0.5).fit(X)
    start = NeighborClustering(2, metric="precomputed")
    with pytest.raises(ValueError, match=r"precomputed distances need those of all rows"):
        ClusterEnsemble(start, 2, max_samples=0.5).fit(pairwise_distances(X))
    for nothing in ([], [KMeans(2), StandardScaler()]):
        with pytest.raises(TypeError, match="should hold clusterers"):
            ClusterEnsemble(nothing, 2).fit(X)


def test_noise_of_members_with_probabilities_is_noise():
    rows, _ = make_blobs(120, centers=[[0, 0], [9, 0]], random_state=0)
    rows[0] = 100.0
    member = NeighborClustering(2, noise=0.01)
    members = [member, make_pipeline(StandardScaler(), member)]
    both = ClusterEnsemble(members, n_estimators=4, random_state=0).fit(rows)
    np.testing.assert_array_equal(both.labels_ == -1, np.arange(120) == 0)
    np.testing.assert_array_equal(both.predict(rows), both.labels_)
    assert both.probabilities_[0] == 0
    rare = ClusterEnsemble(NeighborClustering(2, noise=1e-6), 2, random_state=0).fit(rows[1:])
    assert rare.labels_.min() == 0
    assert rare.predict([[1e3, 1e3]]) == -1


class Unsure(KMeans):
    """Has no probabilities for a row, and no score."""

    def predict_proba(self, X):
        return np.where(np.arange(len(X))[:, None] == 4, np.nan, 1 / 3) * np.ones(3)

    def score(self, X, y=None):
        return np.nan


def test_answers_of_members_that_are_not_finite_are_refused(monkeypatch):
    X, _ = make_blobs(30, random_state=0)
    with pytest.raises(ValueError, match="answer of the member Unsure to row 4"):
        ClusterEnsemble(Unsure(3), 2).fit(X)
    monkeypatch.setattr(Unsure, "predict_proba", property())
    with pytest.raises(ValueError, match="finite scores, but those of the members are .nan nan"):
        ClusterEnsemble(Unsure(3), 2, weights="score").fit(X)


# ---- Ctrl-C

#: Trains until it is stopped.
ENDLESS = GaussianMixtureEM(3, tol=0.0, max_iter=10**9)


@pytest.fixture(autouse=True)
def heard():
    """Let SIGINT raise KeyboardInterrupt, which jobs that a shell runs behind itself ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def press():
    """Presses Ctrl-C after some seconds; ``press.at`` is when."""

    def send():
        press.at = perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    def press(seconds):
        timer.append(threading.Timer(seconds, send))
        timer[0].start()

    timer = []
    yield press
    timer[0].join()


class CtrlC(Callback):
    """Presses Ctrl-C in a step of the third member."""

    trainings = 0

    def on_train_begin(self, net, **_):
        CtrlC.trainings += 1

    def on_batch_end(self, net, **_):
        if CtrlC.trainings == 3:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore:Only . of 3 clusters have rows")
def test_ctrl_c_leaves_the_consensus_of_the_members_that_were_complete(blobs):
    member = VaDEClustering(3, hidden_layer_sizes=(4,), pretraining_epochs=1, init=blobs[1])
    member.set_params(max_epochs=2, callbacks=[CtrlC()])
    with pytest.warns(ConvergenceWarning, match="2 of 5 members that were complete"):
        ensemble = ClusterEnsemble(member, 5, random_state=0).fit(blobs[0])
    assert [fitted.n_iter_ for fitted in ensemble.estimators_] == [2, 2]
    assert ensemble.member_labels_.shape == (180, 2)
    assert ensemble.agreement_.shape == ensemble.weights_.shape == (2,)
    np.testing.assert_array_equal(ensemble.predict(blobs[0]), ensemble.labels_)


@pytest.mark.parametrize("nested", [False, True])
def test_ctrl_c_stops_a_mixture_that_is_a_member(press, nested):
    X, _ = make_blobs(300, centers=3, cluster_std=3, random_state=0)
    endless = ClusterEnsemble([KMeans(3), ENDLESS], 2) if nested else ENDLESS
    press(0.2)
    with pytest.warns(ConvergenceWarning, match="1 of 2 members that were complete"):
        ensemble = ClusterEnsemble([KMeans(3), endless], 2).fit(X)
    assert perf_counter() - press.at < 1
    assert [type(fitted).__name__ for fitted in ensemble.estimators_] == ["KMeans"]


def test_ctrl_c_in_the_first_member_is_raised_and_keeps_the_fit_before(press):
    X, _ = make_blobs(300, centers=3, cluster_std=3, random_state=0)
    ensemble = ClusterEnsemble(KMeans(3), 2).fit(X)
    ensemble.set_params(estimator=ENDLESS)
    before = dict(vars(ensemble))
    press(0.2)
    with pytest.raises(KeyboardInterrupt):
        ensemble.fit(X)
    assert perf_counter() - press.at < 1
    assert vars(ensemble) == before


@pytest.mark.full
def test_ctrl_c_stops_members_in_other_processes(press):
    X, _ = make_blobs(300, centers=3, cluster_std=3, random_state=0)
    ClusterEnsemble(KMeans(3), 2, n_jobs=2).fit(X)  # starts the workers
    ensemble = ClusterEnsemble([KMeans(3), KMeans(2), ENDLESS, ENDLESS], 5, n_jobs=2)
    press(3.0)
    with pytest.warns(ConvergenceWarning, match="2 of 5 members that were complete"):
        ensemble.fit(X)
    assert perf_counter() - press.at < 1
    assert [len(table) for table in ensemble.tables_] == [3, 2]
