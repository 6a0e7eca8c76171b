"""What "auto" took, and what was given, is shown alike by every fitted network."""

import numpy as np
import pytest
from estimators import CLASSIFIERS, DEEP, ONE_OF_EACH, brief, name
from sklearn import __version__
from sklearn.utils.fixes import parse_version

import skdeepcluster
from skdeepcluster import CatGANClassifier, CatGANClustering, InfoGANClustering, VaDEClustering

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
KINDS = {
    "likelihood_": str,
    "standardize_": bool,
    "batch_size_": int,
    "max_epochs_": int,
    "pretraining_epochs_": int,
    "device_": str,
    "precision_": str,
}


@pytest.fixture(scope="module")
def rows():
    return np.random.RandomState(0).uniform(size=(30, 4)), np.arange(30) % 3


@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_what_auto_took_is_plain_shown_and_as_given(estimator, rows):
    asked = estimator.get_params()
    fitted = brief(estimator, init="mixture" if "n_clusters" in asked else None).fit(*rows)
    shown = {key: getattr(fitted, key, None) for key in KINDS if key[:-1] in asked}
    assert {key: type(value) for key, value in shown.items()} == {key: KINDS[key] for key in shown}
    assert shown.keys() >= KINDS.keys() - {"pretraining_epochs_"}
    assert shown["max_epochs_"] == 2
    assert shown["batch_size_"] == 30
    assert shown.get("pretraining_epochs_") == ({
        "VAEEmbedding": None, "CatGANClassifier": 0}.get(type(fitted).__name__, 2))  # fmt: skip
    assert (shown["likelihood_"], shown["precision_"]) == ("bernoulli", "float32")
    fitted.set_params(likelihood="gaussian", batch_size=7, device="cpu", max_epochs=1).fit(*rows)
    given = fitted.likelihood_, fitted.batch_size_, fitted.device_, fitted.max_epochs_
    assert given == ("gaussian", 7, "cpu", 1)
    if parse_version(__version__) >= parse_version("1.9"):
        html = fitted._repr_html_()
        assert all(key in html for key in shown)


def test_pretraining_epochs_are_those_of_this_fit(rows):
    X, y = rows
    few = {**TINY, "pretraining_epochs": 3}
    for method in (InfoGANClustering, CatGANClustering):
        assert method(3, **few, init="mixture").fit(X).pretraining_epochs_ == 3
        assert method(3, **few, init=y).fit(X).pretraining_epochs_ == 0, "a partition is given"
        assert method(3, **few, init=None).fit(X).pretraining_epochs_ == 0, "from scratch"
    classifier = CatGANClassifier(**few)
    assert classifier.fit(X, y).pretraining_epochs_ == 0, "all rows have labels"
    assert classifier.fit(X, np.where(np.arange(30) < 9, y, -1)).pretraining_epochs_ == 3
    vade = VaDEClustering(3, **few, init=y, warm_start=True)
    assert vade.fit(X).pretraining_epochs_ == 3, "the codes are needed"
    assert vade.fit(X).pretraining_epochs_ == 0, "the model goes on"


def test_a_fit_stopped_in_pretraining_pretrains_when_it_goes_on(rows, monkeypatch):
    train, calls = skdeepcluster._base.train, []

    def stop_first(model, *args, **settings):
        calls.append((type(model).__name__, settings["max_epochs"]))
        history, _ = train(model, *args, **settings)
        return history, len(calls) == 1

    monkeypatch.setattr("skdeepcluster._base.train", stop_first)
    for method, given in ((VaDEClustering, {}), (CatGANClustering, {"init": "mixture"})):
        calls.clear()
        few = {**TINY, **given, "pretraining_epochs": 3, "warm_start": True}
        fitted = method(3, **few).fit(rows[0])
        assert fitted.n_iter_ == 0
        assert fitted.fit(rows[0]).pretraining_epochs_ == 3
        assert [call for call in calls if call[0] == "Autoencoder"] == 2 * [("Autoencoder", 3)]


@pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=name)
def test_probabilities_are_those_of_the_labels(estimator, rows):
    fitted = brief(estimator).fit(rows[0])
    resp = fitted.predict_proba(rows[0])
    assert fitted.probabilities_.dtype == np.float64
    np.testing.assert_allclose(fitted.probabilities_, resp.max(1), rtol=1e-5)
    own = resp[np.arange(len(resp)), fitted.labels_]
    np.testing.assert_allclose(fitted.probabilities_, own, rtol=1e-5)


def test_what_moved_is_told(rows):
    method = VaDEClustering(3, **TINY | {"max_epochs": 3, "learning_rate": 0.1}, init=rows[1])
    fitted = method.fit(rows[0])
    assert fitted.moved_ == np.mean(fitted.labels_ != fitted.start_labels_)
    assert CatGANClustering(3, **TINY, init=None).fit(rows[0]).moved_ is None


def test_probabilities_of_batches_and_of_a_consensus(rows):
    stream = skdeepcluster.GaussianMixtureEM(2, random_state=0).partial_fit(rows[0])
    np.testing.assert_allclose(stream.probabilities_, stream.predict_proba(rows[0]).max(1))
    members = [skdeepcluster.GaussianMixtureEM(2, covariance_type="diag")]
    both = skdeepcluster.ClusterEnsemble(members, n_estimators=3, random_state=0).fit(rows[0])
    np.testing.assert_allclose(both.probabilities_, both.predict_proba(rows[0]).max(1))
    assert both.n_clusters_ == 2
