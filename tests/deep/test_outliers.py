"""Outlier scores are distances to clusters; the share ``contamination`` is in no cluster."""

import warnings

import numpy as np
import pytest
from common import DEEP, brief, name, some_of
from scipy.spatial.distance import mahalanobis
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score

from skdeepcluster import NeighborClustering, VaDEClustering, VAEEmbedding

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
RNG = np.random.default_rng(0)
#: Three groups and, last, nine samples far from all.
PLANTED = np.r_[
    RNG.normal(size=(171, 3)) + np.repeat([[0, 0, 0], [9, 0, 0], [0, 9, 0]], 57, axis=0),
    RNG.uniform(-25, 35, (9, 3)),
]
TRUE = np.repeat([0, 1, 2], [57, 57, 66])
FEW = {"n_components": 2, "hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
OUTSIDE = [[500.0, 500.0, 500.0]]


def noisy_vade(**settings):
    plain = {"init": TRUE, "contamination": 0.05, "pretraining_epochs": 1}
    return VaDEClustering(3, **FEW | plain | settings)


# ---- the score


@pytest.mark.parametrize("n_features", [3, 1000, 1001])
def test_the_score_is_the_least_mahalanobis_distance(n_features):
    """The covariance within clusters plus a thousandth of its mean variance; of many features its
    diagonal."""
    y = np.arange(90) % 3
    X = RNG.normal(size=(90, n_features)) @ RNG.normal(size=(n_features, n_features))
    X += 40 * np.sqrt(n_features) * RNG.normal(size=(3, n_features))[y]
    fit = noisy_vade(init=y, standardize=True, likelihood="gaussian").fit(X)
    seen = (X - X.mean(0)) / X.std(0)
    clusters = fit.predict_proba(X).argmax(1)
    means = {k: seen[clusters == k].mean(0) for k in set(clusters)}
    gaps = seen - np.stack([means[k] for k in clusters])
    covariance = gaps.T @ gaps / 90
    covariance += 1e-3 * np.trace(covariance) / n_features * np.eye(n_features)
    if n_features > 1000:
        covariance = np.diag(np.diag(covariance))
    inverse = np.linalg.inv(covariance)
    expected = [min(mahalanobis(x, mean, inverse) for mean in means.values()) for x in seen]
    np.testing.assert_allclose(fit.outlier_scores_, expected, rtol=1e-3)


@pytest.mark.parametrize("scale", [2.0**-66, 2.0**66])
def test_scores_have_no_unit_and_no_order(scale):
    X = np.c_[PLANTED, np.zeros(180)]  # one feature is constant
    settings = {"standardize": True, "likelihood": "gaussian", "init": "own"}
    expected = noisy_vade(**settings).fit(X).outlier_scores_
    order = RNG.permutation(180)
    found = noisy_vade(**settings).fit(scale * X[order]).outlier_scores_
    np.testing.assert_allclose(found, expected[order], rtol=1e-4)


def test_equal_samples_are_near_and_all_others_far():
    X = np.repeat([[0.25, 0.5], [0.75, 0.5]], 8, axis=0)
    y = np.repeat([0, 1], 8)
    fit = VaDEClustering(2, **FEW, init=y, contamination=0.1, pretraining_epochs=1).fit(X)
    assert (fit.outlier_scores_ == 0).all()
    np.testing.assert_array_equal(fit.predict([[0.5, 0.5], [0.25, 0.5]]) < 0, [True, False])


@pytest.mark.parametrize("estimator", [NeighborClustering(3), noisy_vade()], ids=name)
def test_the_fence_is_that_of_box_plots(estimator):
    estimator = clone(estimator).set_params(contamination="auto", random_state=0)
    labels = estimator.fit(PLANTED).labels_
    scores = estimator.outlier_scores_
    lower, upper = np.quantile(scores, [0.25, 0.75])
    np.testing.assert_array_equal(labels < 0, scores > upper + 3 * (upper - lower))
    assert (labels[-9:] < 0).all()


def test_the_fence_counts_samples_by_their_weights():
    weights = RNG.integers(1, 4, 180)
    clusterer = NeighborClustering(3, contamination="auto", random_state=0)
    weighted = clone(clusterer).fit(PLANTED, sample_weight=weights)
    repeated = clone(clusterer).fit(PLANTED.repeat(weights, axis=0))
    assert weighted.offset_ == pytest.approx(repeated.offset_)


@pytest.mark.parametrize(
    ("noise", "n_marked"),
    [(0.0, 0), (0.005, 0), (0.0056, 1), (0.35, 63), (0.999, 179)],  # 0.35 * 180 < 63 by rounding
)
def test_the_offset_leaves_the_share_asked_for(noise, n_marked):
    fit = noisy_vade(contamination=noise, max_epochs=1).fit(PLANTED)
    marked = fit.labels_ < 0
    assert marked.sum() == n_marked
    np.testing.assert_array_equal(marked, fit.outlier_scores_ > -fit.offset_)
    if n_marked:
        assert fit.outlier_scores_[marked].min() > fit.outlier_scores_[~marked].max()


# ---- networks


@pytest.mark.parametrize("estimator", some_of(DEEP), ids=name)
def test_planted_outliers_are_noise_and_nothing_else_changes(estimator):
    settings = {"likelihood": "gaussian", "max_epochs": 10, "learning_rate": 0.01}
    settings["init"] = "own" if isinstance(estimator, VAEEmbedding) else TRUE
    noisy = brief(estimator, contamination=0.05, **settings).fit(PLANTED)
    plain = clone(noisy).set_params(contamination=0.0).fit(PLANTED)
    assert roc_auc_score(np.arange(180) >= 171, noisy.outlier_scores_) > 0.9
    assert (noisy.labels_ == -1).sum() == 9
    kept = noisy.labels_ >= 0
    np.testing.assert_array_equal(noisy.labels_[kept], plain.labels_[kept])
    for attribute in ("outlier_scores_", "probabilities_"):
        np.testing.assert_array_equal(getattr(noisy, attribute), getattr(plain, attribute))
    np.testing.assert_array_equal(noisy.predict_proba(PLANTED), plain.predict_proba(PLANTED))
    assert getattr(noisy, "moved_", None) == getattr(plain, "moved_", None)
    np.testing.assert_array_equal(noisy.predict(PLANTED[::-7]), noisy.labels_[::-7])
    assert noisy.predict(OUTSIDE)[0] == -1
    assert plain.predict(OUTSIDE)[0] >= 0
    assert (plain.labels_ >= 0).all()
    assert plain.offset_ == -np.inf
    # Noise survives parameters set since.
    np.testing.assert_array_equal(
        noisy.set_params(contamination=0.0).predict(PLANTED), noisy.labels_
    )


def test_clusters_are_counted_before_samples_are_marked():
    """A cluster with nothing but noise has samples."""
    vade = noisy_vade(contamination=0.999)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        vade.fit(PLANTED)
    assert len(np.unique(vade.labels_)) == 2
    clusters = vade.predict_proba(PLANTED).argmax(1)
    assert vade.moved_ == np.mean(clusters != TRUE) < 0.9
    two = noisy_vade(init=TRUE % 2, learning_rate=1e-30)
    with pytest.warns(ConvergenceWarning, match="Only 2 of n_clusters=3 clusters"):
        assert set(two.fit(PLANTED).labels_) == {-1, 0, 1}
