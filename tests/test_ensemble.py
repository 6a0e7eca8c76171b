"""ClusterEnsemble: independent of numbering, equal to references, at home in scikit-learn."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM, NeighborClustering

BLOBS, Y = make_blobs(150, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)


class Given(ClusterMixin, BaseEstimator):
    """A member whose labels are known."""

    def __init__(self, labels=None):
        self.labels = labels

    def fit(self, X, y=None):
        self.labels_ = np.asarray(self.labels)
        return self


def combine(partitions, **options):
    """Return the ensemble of known partitions."""
    members = [Given(partition) for partition in partitions]
    X = np.zeros((len(partitions[0]), 1))
    return ClusterEnsemble(members, len(members), **options).fit(X)


def noisy_labels(n_samples=300, n_clusters=4, n_members=7, errors=0.15, seed=0):
    """Return classes, and partitions that have some of them wrong, each in its own numbering."""
    stream = np.random.RandomState(seed)
    y = stream.randint(n_clusters, size=n_samples)
    wrong = stream.rand(n_members, n_samples) < errors
    partitions = np.where(wrong, stream.randint(n_clusters, size=wrong.shape), y)
    return y, [stream.permutation(n_clusters)[labels] for labels in partitions]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ClusterEnsemble(), ClusterEnsemble(KMeans(3), n_estimators=2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ---- the consensus


@pytest.mark.parametrize("seed", range(2))
def test_numbering_does_not_matter(seed):
    """Four partitions of eight samples: most decisions are ties."""
    stream = np.random.RandomState(seed)
    partitions = stream.randint(3, size=(4, 8))
    partitions[:, :3] = np.arange(3)
    renumbered = [stream.permutation(3)[labels] for labels in partitions]
    plain = combine(partitions)
    other = combine(renumbered)
    for name in ("labels_", "agreement_", "row_agreement_", "cluster_stability_"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(other, name))


def test_consensus_is_better_than_its_members():
    y, partitions = noisy_labels(n_members=15)
    single = [adjusted_rand_score(y, labels) for labels in partitions]
    assert adjusted_rand_score(y, combine(partitions).labels_) > max(single) + 0.1


@pytest.mark.parametrize("seed", range(2))
def test_soft_votes_end_at_a_fixed_point(seed):
    stream = np.random.RandomState(seed)
    partitions = stream.randint(5, size=(4, 80))
    ensemble = combine(partitions, n_clusters=4)
    members = [np.eye(5)[labels] for labels in partitions]
    consensus = np.mean([P @ A for P, A in zip(members, ensemble.tables_, strict=True)], 0)
    for P, table in zip(members, ensemble.tables_, strict=True):
        overlap = P.T @ consensus
        best = overlap[linear_sum_assignment(overlap, maximize=True)].sum()
        assert (overlap * table).sum() >= best - 1e-9
        np.testing.assert_array_equal(table.sum(1), 1)


def test_a_single_member_is_the_consensus():
    ensemble = ClusterEnsemble(KMeans(3), 1, random_state=0).fit(BLOBS)
    assert adjusted_rand_score(ensemble.labels_, ensemble.estimators_[0].labels_) == 1
    assert ensemble.agreement_ == [1]


@pytest.mark.parametrize("sizes", [[3, 4, 5], [12]])
def test_members_may_have_other_numbers_of_clusters(sizes):
    members = [KMeans(n_clusters) for n_clusters in sizes]
    ensemble = ClusterEnsemble(members, 8, n_clusters=3, random_state=0).fit(BLOBS)
    assert {len(table) for table in ensemble.tables_} == set(sizes)
    assert adjusted_rand_score(Y, ensemble.labels_) == 1
    np.testing.assert_array_equal(ensemble.predict(BLOBS), ensemble.labels_)


def test_agreement_and_stability_equal_a_direct_computation():
    _, partitions = noisy_labels(errors=0.3)
    partitions[1][:20] = -1  # no cluster by one member
    ensemble = combine(partitions, n_clusters=4)
    labels = ensemble.labels_
    members = ensemble.member_labels_.T
    agree = np.array([
        [own >= 0 and table[own].argmax() == label
         for own, label in zip(member, labels, strict=True)]
        for member, table in zip(members, ensemble.tables_, strict=True)
    ])  # fmt: skip
    np.testing.assert_allclose(ensemble.row_agreement_, agree.mean(0))
    np.testing.assert_allclose(ensemble.agreement_, agree.mean(1))
    for k, stability in enumerate(ensemble.cluster_stability_):
        jaccard = [
            [np.sum((labels == k) & (m == j)) / np.sum((labels == k) | (m == j)) for j in range(4)]
            for m in members
        ]
        assert stability == pytest.approx(np.mean(np.max(jaccard, 1)))


# ---- members


@pytest.mark.parametrize(
    "member",
    [KMeans(3), GaussianMixtureEM(3), make_pipeline(StandardScaler(), KMeans(3))],
    ids=str,
)
def test_new_samples_are_assigned_when_members_can(member):
    ensemble = ClusterEnsemble(member, 4, random_state=0).fit(BLOBS[:100])
    np.testing.assert_array_equal(ensemble.predict(BLOBS[:100]), ensemble.labels_)
    assert adjusted_rand_score(Y[100:], ensemble.predict(BLOBS[100:])) > 0.9
    resp = ensemble.predict_proba(BLOBS)
    np.testing.assert_allclose(resp.sum(1), 1)
    np.testing.assert_allclose(ensemble.probabilities_, resp[:100].max(1))
    assert 0 < ensemble.score(BLOBS) <= 1


@pytest.mark.parametrize("member", [AgglomerativeClustering(3), DBSCAN(eps=2)], ids=str)
def test_members_may_have_no_predict(member):
    ensemble = ClusterEnsemble(member, 3).fit(BLOBS)
    assert adjusted_rand_score(Y, ensemble.labels_) > 0.95
    assert not hasattr(ensemble, "predict")


@pytest.mark.full
def test_jobs_change_nothing_and_members_differ():
    X, _ = make_blobs(200, centers=6, cluster_std=3, random_state=1)
    one, two = (
        ClusterEnsemble(KMeans(6), 4, n_jobs=n_jobs, random_state=0).fit(X) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.member_labels_, two.member_labels_)
    assert len(np.unique(one.member_labels_, axis=1).T) > 1


def test_a_list_of_clusterers_takes_turns():
    members = [KMeans(3), GaussianMixture(3), KMeans(5)]
    ensemble = ClusterEnsemble(members, n_estimators=4, random_state=0).fit(BLOBS)
    kinds = [type(member).__name__ for member in ensemble.estimators_]
    assert kinds == ["KMeans", "GaussianMixture", "KMeans", "KMeans"]
    assert [table.shape for table in ensemble.tables_] == [(3, 3), (3, 3), (5, 3), (3, 3)]
    assert len({member.random_state for member in ensemble.estimators_}) == 4
    assert not hasattr(ClusterEnsemble([KMeans(3), DBSCAN()]), "predict")


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix])
def test_members_get_sparse_samples(form):
    X = np.hstack([BLOBS, np.zeros((len(BLOBS), 6))])
    dense = ClusterEnsemble(KMeans(3), 3, random_state=0).fit(X)
    found = ClusterEnsemble(KMeans(3), 3, random_state=0).fit(form(X))
    np.testing.assert_array_equal(found.labels_, dense.labels_)
    np.testing.assert_allclose(found.predict_proba(form(X)), dense.predict_proba(X))
    with pytest.raises(TypeError, match="parse"):
        ClusterEnsemble(AgglomerativeClustering(3), 2).fit(form(X))
    with pytest.raises(TypeError, match=r"stores 100% of its values.*Pass X.toarray"):
        ClusterEnsemble(KMeans(3), 2).fit(form(BLOBS))


def test_a_fit_keeps_attributes_of_the_user_and_drops_names_of_an_earlier_fit():
    ensemble = ClusterEnsemble(KMeans(3), 2, random_state=0)
    ensemble.note_ = "mine"
    ensemble.fit(pytest.importorskip("pandas").DataFrame(BLOBS, columns=["a", "b"]))
    assert ensemble.feature_names_in_.tolist() == ["a", "b"]
    ensemble.fit(BLOBS)
    assert ensemble.note_ == "mine"
    assert not hasattr(ensemble, "feature_names_in_")


# ---- noise


def test_members_without_a_cluster_for_a_sample_abstain():
    labels = np.repeat([0, 1, -1], 10)
    third = np.where(labels < 0, 1, labels)  # one member assigns what is noise to the others
    ensemble = combine([labels, labels, third], n_clusters=2)
    assert (ensemble.labels_[20:] == ensemble.labels_[10]).all()
    np.testing.assert_allclose(np.sort(ensemble.agreement_), [2 / 3, 2 / 3, 1])
    partial = [[0, 0, 0, 1, 1, -1], [0, 0, 0, 1, -1, -1]]
    np.testing.assert_array_equal(combine(partial).labels_, [0, 0, 0, 1, 1, -1])


def test_noise_of_members_with_probabilities_is_noise():
    X, _ = make_blobs(120, centers=[[0, 0], [9, 0]], random_state=0)
    X[0] = 100.0
    member = NeighborClustering(2, contamination=0.01)
    members = [member, make_pipeline(StandardScaler(), member)]
    both = ClusterEnsemble(members, n_estimators=4, random_state=0).fit(X)
    np.testing.assert_array_equal(both.labels_ == -1, np.arange(120) == 0)
    np.testing.assert_array_equal(both.predict(X), both.labels_)
    assert both.probabilities_[0] == 0
    rare = ClusterEnsemble(NeighborClustering(2, contamination=1e-6), 2, random_state=0).fit(X[1:])
    assert rare.labels_.min() == 0
    assert rare.predict([[1e3, 1e3]]) == -1


# ---- warnings and errors


@pytest.mark.parametrize("members", [[], [KMeans(2), StandardScaler()]])
def test_members_are_clusterers(members):
    with pytest.raises(TypeError, match="objects with fit_predict"):
        ClusterEnsemble(members, 2).fit(BLOBS)
