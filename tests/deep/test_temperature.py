"""Temperatures of probabilities: known values, and what they leave as it is."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits

from skdeepcluster import VaDEClustering
from skdeepcluster.deep.codes import find_temperature

LOGITS = np.random.default_rng(0).normal(scale=4, size=(500, 3))


@pytest.mark.parametrize("temperature", [1.0, 2.5, 30.0])
def test_the_temperature_is_recovered(temperature):
    calibrated = softmax(LOGITS / temperature, axis=1)
    found = find_temperature(log_softmax(LOGITS, axis=1), calibrated)
    assert found == pytest.approx(temperature, rel=1e-3)


def test_a_model_that_is_too_unsure_keeps_its_probabilities():
    calibrated = softmax(2 * LOGITS, axis=1)
    assert find_temperature(log_softmax(LOGITS, axis=1), calibrated) == 1


def test_a_temperature_keeps_labels():
    X = load_digits().data[:300]
    settings = {"max_epochs": 3, "pretraining_epochs": 3, "hidden_layer_sizes": (64,)}
    vade = VaDEClustering(10, random_state=0, **settings).fit(X)
    assert 1 < vade.temperature_ < 100
    log_resp = vade._map("log_resp", X)
    np.testing.assert_array_equal(vade.predict(X), log_resp.argmax(1))
    expected = softmax(log_resp / vade.temperature_, axis=1)
    np.testing.assert_allclose(vade.predict_proba(X), expected, atol=1e-5)
    np.testing.assert_allclose(vade.probabilities_, expected.max(1), atol=1e-5)
    free = VaDEClustering(10, init="own", random_state=0, **settings).fit(X)
    assert free.temperature_ == 1
