"""Fitted attributes show what "auto" took and what was given, alike for every network."""

import numpy as np
import pytest
from estimators import CLASSIFIERS, DEEP, brief, name

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    ClusterEnsemble,
    GaussianMixtureEM,
    InfoGANClustering,
    VaDEClustering,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
#: Fitted attributes after ``brief`` on 30 samples in [0, 1], and after other settings.
TAKEN = {"likelihood_": "bernoulli", "standardize_": False, "batch_size_": 30, "max_epochs_": 2}
TAKEN |= {"device_": "cpu", "precision_": "float32"}
GIVEN = {"likelihood": "gaussian", "batch_size": 7, "device": "cpu", "max_epochs": 1}
X, Y = np.random.RandomState(0).uniform(size=(30, 4)), np.arange(30) % 3


@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_what_auto_took_is_shown_and_what_was_given(estimator):
    asked = estimator.get_params()
    init = "mixture" if "n_clusters" in asked else None
    fit = brief(estimator, init=init, device="cpu").fit(X, Y)
    for key, value in TAKEN.items():
        found = getattr(fit, key)
        assert found == value
        assert type(found) is type(value)
    fit.set_params(**GIVEN).fit(X, Y)
    assert {key: getattr(fit, f"{key}_") for key in GIVEN} == GIVEN


def test_pretraining_epochs_are_those_of_this_fit():
    few = {**TINY, "pretraining_epochs": 3}
    for method in (InfoGANClustering, CatGANClustering):
        for init, expected in (("mixture", 3), (Y, 0), (None, 0)):
            assert method(3, **few, init=init).fit(X).pretraining_epochs_ == expected
    classifier = CatGANClassifier(**few)
    assert classifier.fit(X, Y).pretraining_epochs_ == 0
    assert classifier.fit(X, np.where(np.arange(30) < 9, Y, -1)).pretraining_epochs_ == 3
    vade = VaDEClustering(3, **few, init=Y, warm_start=True)
    assert vade.fit(X).pretraining_epochs_ == 3
    assert vade.fit(X).pretraining_epochs_ == 0, "the model goes on"


def test_moved_is_the_share_of_samples_that_left_their_cluster():
    settings = TINY | {"max_epochs": 3, "learning_rate": 0.1}
    fit = VaDEClustering(3, **settings, init=Y).fit(X)
    assert fit.moved_ == np.mean(fit.labels_ != fit.start_labels_) > 0
    assert CatGANClustering(3, **TINY, init=None).fit(X).moved_ is None


def test_probabilities_of_batches_and_of_a_consensus():
    batches = GaussianMixtureEM(2, random_state=0).partial_fit(X)
    members = [GaussianMixtureEM(2, covariance_type="diag")]
    both = ClusterEnsemble(members, n_estimators=3, random_state=0).fit(X)
    for fit in (batches, both):
        np.testing.assert_allclose(fit.probabilities_, fit.predict_proba(X).max(1))
    assert both.n_clusters_ == 2
