"""A fitted estimator stays consistent when parameters are set or a later fit fails."""

import numpy as np
import pytest
import torch
from estimators import DEEP, ONE_OF_EACH, brief, name
from sklearn.base import clone

from skdeepcluster import (
    CatGANClustering,
    DACClustering,
    GaussianMixtureEM,
    InfoGANClustering,
    VaDEClustering,
)
from skdeepcluster.mixture import em

SMALL = {"n_components": 2, "hidden_layer_sizes": (16,), "max_epochs": 2, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def rows(blobs):
    X = blobs[0]
    return (X - X.min()) / (X.max() - X.min())


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_warm_start_keeps_weights_and_follows_parameters(rows):
    catgan = CatGANClustering(3, **SMALL, warm_start=True).fit(rows)
    before = weights(catgan.model_)
    changed = {"balance_weight": 7.0, "start_weight": 0.0, "class_prior": [0.1, 0.2, 0.7]}
    catgan.set_params(**changed, learning_rate=1e-30).fit(rows)
    torch.testing.assert_close(weights(catgan.model_), before, rtol=0, atol=1e-6)
    assert catgan.model_.balance_weight == 7.0
    assert catgan.model_.regularizer.start_weight == 0.0
    np.testing.assert_allclose(catgan.model_.log_prior.exp(), [0.1, 0.2, 0.7], rtol=1e-6)
    catgan.set_params(class_prior=None).fit(rows)
    assert catgan.model_.log_prior is None


@pytest.mark.parametrize(
    ("estimator", "changed"),
    [
        (CatGANClustering(3, **SMALL), {"activation": "tanh"}),
        (
            InfoGANClustering(3, other_categories=(5,), **SMALL),
            {"n_clusters": 5, "other_categories": (3,)},
        ),
        (VaDEClustering(3, **SMALL), {"hidden_layer_sizes": (8,)}),
    ],
    ids=str,
)
def test_warm_start_refuses_other_networks(rows, estimator, changed):
    fitted = clone(estimator).set_params(warm_start=True).fit(rows)
    found = fitted.predict_proba(rows)
    with pytest.raises(ValueError, match="warm_start=True goes on with the fitted model"):
        fitted.set_params(**changed).fit(rows)
    np.testing.assert_array_equal(fitted.predict_proba(rows), found)


@pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=name)
def test_a_fit_that_fails_keeps_the_last_one(rows, estimator):
    fitted = brief(estimator).fit(rows)
    before, found = set(vars(fitted)), fitted.predict_proba(rows)
    bad = (
        {"likelihood": "bernoulli"} if "likelihood" in fitted.get_params() else {"n_clusters": 99}
    )
    with pytest.raises(ValueError, match="."):
        fitted.set_params(**bad).fit(10 * rows[:, :3] if "likelihood" in bad else rows[:9, :3])
    assert set(vars(fitted)) == before
    assert fitted.n_features_in_ == 4
    np.testing.assert_array_equal(fitted.predict_proba(rows), found)


def test_an_interrupted_mixture_keeps_the_last_fit(rows, monkeypatch):
    mixture, fresh = GaussianMixtureEM(3, random_state=0).fit(rows), GaussianMixtureEM(3)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(em, "step", interrupt)
    for method in (mixture.fit, mixture.partial_fit, fresh.fit, fresh.partial_fit):
        before = dict(vars(method.__self__))
        with pytest.raises(KeyboardInterrupt):
            method(rows[:50])
        assert vars(method.__self__).keys() == before.keys()
        assert all(vars(method.__self__)[key] is before[key] for key in before)


@pytest.mark.parametrize("estimator", DEEP, ids=name)
def test_parameters_set_later_do_not_change_predictions(rows, estimator):
    fitted = brief(estimator).fit(rows)
    asked = [
        lambda: fitted.score(rows),
        lambda: fitted.sample(3),
        lambda: fitted.predict_proba(rows),
    ]
    if hasattr(fitted, "cluster_centers_") or hasattr(fitted, "traverse"):
        asked.append(lambda: fitted.sample(3, cluster=2))
    before = [ask() for ask in asked]
    sizes = {"n_clusters": 1, "n_components": 7, "n_noise": 3}
    fitted.set_params(**{name: n for name, n in sizes.items() if name in fitted.get_params()})
    for old, ask in zip(before, asked, strict=True):
        np.testing.assert_array_equal(ask(), old)


@pytest.mark.parametrize("method", [VaDEClustering, DACClustering])
def test_the_prior_keeps_the_numbers_of_unused_clusters(rows, blobs, method):
    given = np.array([2, 0, 3])[blobs[1]]  # nothing in cluster 1
    fitted = method(4, init=given, **SMALL).set_params(max_epochs=1, learning_rate=1e-30).fit(rows)
    np.testing.assert_array_equal(fitted.start_labels_, given)
    codes = fitted.transform(rows)
    for k in (0, 2, 3):
        # So little training leaves the means of the initial partition.
        np.testing.assert_allclose(fitted.means_[k], codes[given == k].mean(0), atol=1e-3)
