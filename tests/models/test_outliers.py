"""Outlier scores are distances to clusters, and the share ``noise`` of rows is in none."""

import pickle
import warnings

import numpy as np
import pytest
from estimators import DEEP, brief, name, some_of
from scipy import sparse
from scipy.spatial.distance import mahalanobis
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score, silhouette_score

from skdeepcluster import (
    ClusterEnsemble,
    VaDEClustering,
    VAEEmbedding,
    _outliers,
)
from skdeepcluster._outliers import (
    find_offset,
    fit_cluster_space,
    make_outlier_score,
    mark_noise,
)
from skdeepcluster.display import EmbeddingDisplay, MixtureDisplay
from skdeepcluster.engine.data import map_rows
from skdeepcluster.model_selection import label_free_scorer, select_n_clusters
from skdeepcluster.persistence import load, save
from skdeepcluster.stability import cluster_stability

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
EACH = pytest.mark.parametrize("estimator", some_of(DEEP), ids=name)
STREAM = np.random.default_rng(0)
#: Three groups and, last, nine rows far from all.
PLANTED = np.r_[
    STREAM.normal(size=(171, 3)) + np.repeat([[0, 0, 0], [9, 0, 0], [0, 9, 0]], 57, axis=0),
    STREAM.uniform(-25, 35, (9, 3)),
]
TRUE = np.repeat([0, 1, 2], [57, 57, 66])
FEW = {"n_components": 2, "hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}


def scores_of(fit_rows, clusters, rows):
    """Scores of rows by the clusters of others, without a network."""
    space = fit_cluster_space(lambda x: x, fit_rows, clusters)
    return map_rows(make_outlier_score(lambda x: x, space), rows)


def noisy_vade(**settings):
    plain = {"init": TRUE, "noise": 0.05, "pretraining_epochs": 1}
    return VaDEClustering(3, **FEW | plain | settings)


# ---- the score


def test_rows_far_from_clusters_of_equal_rows_have_finite_scores():
    rows = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 40, axis=0)
    found = scores_of(rows, np.repeat([0, 1, 2], 40), np.array([[9.0, 0.0], [30.0, 40.0]]))
    assert found[0] == 0
    assert 1 < found[1] < np.inf


@pytest.mark.parametrize("limit", [1000, 2], ids=["covariance", "variances"])
def test_the_score_is_the_least_mahalanobis_distance(monkeypatch, limit):
    monkeypatch.setattr(_outliers, "MAX_FEATURES", limit)
    rows = STREAM.normal(size=(400, 3)) @ STREAM.normal(size=(3, 3)) + 50  # more than one block
    clusters = np.arange(400) % 4
    gaps = rows - np.stack([rows[clusters == k].mean(0) for k in range(4)])[clusters]
    covariance = gaps.T @ gaps / 400
    covariance += 1e-3 * np.trace(covariance) / 3 * np.eye(3)
    inverse = np.linalg.inv(covariance if limit > 3 else np.diag(np.diag(covariance)))
    means = [rows[clusters == k].mean(0) for k in range(4)]
    expected = [min(mahalanobis(row, mean, inverse) for mean in means) for row in rows]
    np.testing.assert_allclose(scores_of(rows, clusters, rows), expected, rtol=1e-9)


def test_clusters_without_rows_have_no_mean():
    rows = np.r_[np.full((5, 2), 3.0), np.full((5, 2), 9.0)] + STREAM.normal(size=(10, 2))
    gaps = np.repeat([2, 5], 5)
    scores = scores_of(rows, gaps, np.zeros((1, 2)))
    np.testing.assert_array_equal(scores, scores_of(rows, np.repeat([0, 1], 5), np.zeros((1, 2))))
    assert scores[0] > 1


@pytest.mark.parametrize("limit", [1000, 0], ids=["covariance", "variances"])
@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1.0, 1e30])
def test_scores_are_finite_and_of_no_unit(monkeypatch, limit, scale):
    monkeypatch.setattr(_outliers, "MAX_FEATURES", limit)
    rows = np.c_[STREAM.normal(size=(60, 2)), np.zeros(60)]  # one feature is constant
    clusters = np.arange(60) % 2
    scaled = scale * rows
    found, expected = scores_of(scaled, clusters, scaled), scores_of(rows, clusters, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    one = scores_of(scaled[:, :1], np.zeros(60, int), scaled[:, :1])  # one cluster, one feature
    gaps = np.abs(rows[:, 0] - rows[:, 0].mean())
    np.testing.assert_allclose(one, gaps / rows[:, 0].std() / np.sqrt(1.001), rtol=1e-6)


def test_tight_clusters_far_apart_lose_no_digits():
    clusters = np.repeat([0, 1], 8)
    rows = (clusters - 0.5 + np.tile([-1e-9, 1e-9], 8))[:, None]
    np.testing.assert_allclose(scores_of(rows, clusters, rows), 1 / np.sqrt(1.001), rtol=1e-5)


def test_equal_rows_are_near_and_all_others_far():
    rows, clusters = np.repeat([[0.25, 0.5], [0.75, 0.5]], 8, axis=0), np.repeat([0, 1], 8)
    scores = scores_of(rows, clusters, np.r_[rows, [[0.5, 0.5]]])
    assert (scores[:-1] == 0).all()
    assert scores[-1] > 1e30


@pytest.mark.parametrize(
    ("noise", "marked"),
    [(0.0, 0), (0.009, 0), (0.01, 1), (0.25, 25), (0.29, 29), (0.58, 58), (0.999, 99)],
)
def test_the_offset_leaves_the_share_asked_for(noise, marked):
    scores = STREAM.permutation(100).astype(float)
    labels = mark_noise(np.zeros(100, int), scores, find_offset(scores, noise, np.ones(100)))
    np.testing.assert_array_equal(labels < 0, scores >= 100 - marked)


# ---- networks


@EACH
def test_planted_outliers_are_noise_and_nothing_else_changes(estimator):
    settings = {"likelihood": "gaussian", "max_epochs": 10, "learning_rate": 0.01}
    settings["init"] = "mixture" if isinstance(estimator, VAEEmbedding) else TRUE
    noisy = brief(estimator, noise=0.05, **settings).fit(PLANTED)
    plain = clone(noisy).set_params(noise=0.0).fit(PLANTED)
    assert roc_auc_score(np.arange(180) >= 171, noisy.outlier_scores_) > 0.95
    assert (noisy.labels_ == -1).sum() == 9
    np.testing.assert_array_equal(noisy.labels_ == -1, noisy.outlier_scores_ > -noisy.offset_)
    kept = noisy.labels_ >= 0
    np.testing.assert_array_equal(noisy.labels_[kept], plain.labels_[kept])
    for attribute in ("outlier_scores_", "probabilities_"):
        np.testing.assert_array_equal(getattr(noisy, attribute), getattr(plain, attribute))
    resp = noisy.predict_proba(PLANTED)
    np.testing.assert_array_equal(resp, plain.predict_proba(PLANTED))
    np.testing.assert_allclose(noisy.probabilities_, resp.max(1), rtol=1e-5)
    assert getattr(noisy, "moved_", None) == getattr(plain, "moved_", None)
    np.testing.assert_array_equal(noisy.predict(PLANTED), noisy.labels_)
    np.testing.assert_array_equal(noisy.predict(PLANTED[::-7]), noisy.labels_[::-7])
    assert noisy.predict([[500.0, 500.0, 500.0]])[0] == -1
    assert (plain.labels_ >= 0).all()
    assert plain.offset_ == -np.inf
    assert plain.predict([[500.0, 500.0, 500.0]])[0] >= 0
    assert plain._cluster_space is None, "nothing is kept that no answer needs"


def test_scores_are_of_standardised_rows_and_their_clusters():
    vade = noisy_vade(standardize=True).fit(PLANTED)
    seen = (PLANTED - PLANTED.mean(0)) / PLANTED.std(0)
    clusters = vade.predict_proba(PLANTED).argmax(1)
    expected = scores_of(seen, clusters, seen)
    np.testing.assert_allclose(vade.outlier_scores_, expected, rtol=1e-4)
    rows = PLANTED * [1e3, 1, 1e-3] + [7, -1e3, 0]  # in other units
    np.testing.assert_array_equal(vade.fit(rows).predict_proba(rows).argmax(1), clusters)
    np.testing.assert_allclose(vade.outlier_scores_, expected, rtol=1e-4)


def test_sparse_rows_and_memory_maps_are_dense_rows(tmp_path):
    rows = PLANTED * (STREAM.random(PLANTED.shape) < 0.7)
    np.save(tmp_path / "X.npy", rows)
    dense = noisy_vade().fit(rows)
    assert (dense.labels_ == -1).any()
    takes = noisy_vade(accept_sparse=True)
    for X in (sparse.csr_matrix(rows), np.load(tmp_path / "X.npy", mmap_mode="r")):
        found = takes.fit(X)
        np.testing.assert_allclose(found.outlier_scores_, dense.outlier_scores_, rtol=1e-4)
        np.testing.assert_array_equal(found.labels_, dense.labels_)
        np.testing.assert_array_equal(found.predict(X), found.labels_)


def test_only_blocks_of_rows_are_made_dense(monkeypatch):
    most = []

    def watch(self, *arguments, **settings):
        most.append(self.shape[0])
        return to_array(self, *arguments, **settings)

    to_array = sparse.csr_matrix.toarray
    monkeypatch.setattr(sparse.csr_matrix, "toarray", watch)
    rows = sparse.csr_matrix(STREAM.random((600, 3)))
    space = fit_cluster_space(lambda x: x, rows, np.arange(600) % 2)
    map_rows(make_outlier_score(lambda x: x, space), rows)
    assert sorted(set(most)) == [88, 256]


def test_noise_survives_files_and_parameters_set_since(tmp_path):
    vade = noisy_vade().fit(PLANTED)
    rows = np.r_[PLANTED, [[100.0, 0.0, 0.0]]]
    save(vade, tmp_path / "fit.skops")
    labels = vade.predict(rows)
    for again in (pickle.loads(pickle.dumps(vade)), load(tmp_path / "fit.skops")):
        np.testing.assert_array_equal(again.predict(rows), labels)
        np.testing.assert_array_equal(again.outlier_scores_, vade.outlier_scores_)
        assert again.offset_ == vade.offset_
    np.testing.assert_array_equal(vade.set_params(noise=0.0).predict(rows), labels)
    assert not hasattr(clone(vade), "offset_")


def test_a_fit_that_goes_on_measures_anew():
    vade, rows = noisy_vade(init="mixture", warm_start=True).fit(PLANTED), 2 * PLANTED[80:]
    vade.set_params(noise=0.1).fit(rows)
    assert vade.outlier_scores_.shape == (100,)
    assert (vade.labels_ == -1).sum() == 10
    np.testing.assert_array_equal(vade.predict(rows), vade.labels_)
    assert (vade.set_params(noise=0.0).fit(PLANTED).predict(PLANTED) >= 0).all()


def test_clusters_are_counted_before_rows_are_marked():
    """A cluster all of whose rows are noise is one that has rows."""
    vade = noisy_vade(noise=0.999)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        vade.fit(PLANTED)
    assert len(np.unique(vade.labels_)) == 2
    clusters = vade.predict_proba(PLANTED).argmax(1)
    assert vade.moved_ == np.mean(clusters != TRUE) < 0.9
    np.testing.assert_array_equal(vade.start_labels_, TRUE)
    two = noisy_vade(init=TRUE % 2, learning_rate=1e-30)
    with pytest.warns(ConvergenceWarning, match="Only 2 of 3 clusters have rows"):
        assert set(two.fit(PLANTED).labels_) == {-1, 0, 1}


@pytest.mark.parametrize("noise", [-0.1, 1.0])
def test_the_share_is_below_one(noise):
    with pytest.raises(ValueError, match=r"'noise' parameter of VaDEClustering must be a float"):
        noisy_vade(noise=noise).fit(PLANTED)


# ---- what reads labels


def test_ensembles_and_stability_count_no_cluster_of_noise():
    vade = noisy_vade().fit(PLANTED)
    for consensus in ("soft_vote", "co_association"):
        members = ClusterEnsemble(noisy_vade(), n_estimators=3, consensus=consensus)
        both = members.set_params(random_state=0).fit(PLANTED)
        assert both.n_clusters_ == 3
        assert (both.member_labels_ == -1).sum(0).tolist() == [9] * 3
        assert both.cluster_stability_.shape == (3,)
        nowhere = (both.member_labels_ == -1).all(1)
        np.testing.assert_array_equal(both.labels_ == -1, nowhere)
        np.testing.assert_array_equal(both.predict(PLANTED), both.labels_)
    drawn = noisy_vade(init="mixture").set_params(mixture_n_init=1)
    found = cluster_stability(drawn, PLANTED, vade.labels_, n_resamples=2, random_state=0)
    assert found.shape == (3,)
    assert (found > 0).all()


def test_separation_is_of_rows_in_clusters():
    vae = VAEEmbedding(3, init="mixture", noise=0.05, **FEW).fit(PLANTED)
    kept = vae.labels_ >= 0
    expected = silhouette_score(PLANTED[kept], vae.labels_[kept])
    assert label_free_scorer("silhouette")(vae, PLANTED) == pytest.approx(expected)
    chosen = select_n_clusters(PLANTED, [3], estimator=clone(vae), criterion="silhouette")
    assert chosen.results["silhouette"][0] == pytest.approx(expected)
    assert chosen.best_estimator.n_clusters_ == 3


def test_displays_colour_noise_apart():
    plt = pytest.importorskip("matplotlib.pyplot")
    vae = VAEEmbedding(3, init="mixture", noise=0.02, **FEW).fit(PLANTED)
    shown = EmbeddingDisplay.from_estimator(vae, PLANTED)
    assert [text.get_text() for text in shown.legend_.get_texts()] == ["-1", "0", "1", "2"]
    ellipses = MixtureDisplay.from_estimator(vae, PLANTED).ellipses_
    plain = clone(vae).set_params(noise=0.0).fit(PLANTED)
    without = MixtureDisplay.from_estimator(plain, PLANTED).ellipses_
    colors = [[e.get_edgecolor() for e in many[:: len(many) // 3]] for many in (ellipses, without)]
    assert colors[0] == colors[1]
    faces = np.concatenate([part.get_facecolors() for part in shown.scatter_])
    assert (faces[:, :3] == 0.6).all(1).sum() == (vae.labels_ < 0).sum()
    plt.close("all")
