"""Values of any size: finite rows get finite answers, or an error that names what is too large."""

import numpy as np
import pytest
import torch
from estimators import CLASSIFIERS, DEEP, ONE_OF_EACH, brief, hasty, name
from scipy.sparse import csr_array
from sklearn.mixture import GaussianMixture
from skorch.callbacks import Callback

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM, VAEEmbedding

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
VALUES = [1e20, -1e39, 1e150, 1e300, -1e300, np.finfo(np.float32).min, 1e-300]
ENSEMBLE = ClusterEnsemble(GaussianMixtureEM(3), n_estimators=2, random_state=0)


@pytest.fixture(scope="module")
def rows():
    """Three groups in [0, 1], and their numbers."""
    stream, y = np.random.default_rng(0), np.arange(60) % 3
    return (0.1 * stream.uniform(size=(60, 4)) + 0.3 * y[:, None]), y


def start(estimator):
    """Return a brief copy that starts as fast as can be."""
    known = estimator.get_params(deep=False)
    return brief(estimator, init="mixture" if "n_clusters" in known else None)


GAUSSIAN = [brief(estimator, likelihood="gaussian") for estimator in [*DEEP, *CLASSIFIERS]]


@pytest.mark.parametrize("estimator", [*ONE_OF_EACH, *CLASSIFIERS, *GAUSSIAN, ENSEMBLE], ids=name)
def test_finite_rows_get_finite_answers(estimator, rows):
    X, y = rows
    with hasty():
        fitted = start(estimator).fit(X, y)
    for value in VALUES:
        far = np.concatenate([X[:4], np.full((1, 4), value)])
        far[range(4), range(4)] = value
        resp, labels = fitted.predict_proba(far), fitted.predict(far)
        np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(labels, resp.argmax(1))
        for method in ("score_samples", "transform"):
            if hasattr(fitted, method):
                assert np.isfinite(getattr(fitted, method)(far)).all()


@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_rows_outside_the_unit_interval_are_clipped_to_it(estimator, rows):
    X, y = rows
    fitted = start(estimator).fit(X, y)
    assert fitted.likelihood_ == "bernoulli"
    outside = X + np.linspace(-1, 1, 60)[:, None]
    for method in ("predict_proba", "score_samples", "transform"):
        if hasattr(fitted, method):
            answer = getattr(fitted, method)
            np.testing.assert_allclose(answer(outside), answer(outside.clip(0, 1)), rtol=1e-5)
    if type(fitted).__name__ in ("VAEEmbedding", "VaDEClustering"):
        assert fitted.score_samples(outside).max() <= 0


@pytest.mark.parametrize("estimator", [GaussianMixtureEM(3), *DEEP, *CLASSIFIERS], ids=name)
def test_values_too_large_to_learn_from_are_named(estimator, rows):
    X, y = rows
    for broken in (X * 1e160, csr_array(X * 1e160), np.where(np.eye(60, 4) > 0, -1e160, X)):
        with pytest.raises(ValueError, match=r"magnitude [0-9.]+e\+1(59|60), which is too large"):
            start(estimator).set_params(accept_sparse=True).fit(broken, y)


@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_values_too_small_to_learn_from_are_named(estimator, rows):
    X, y = rows
    for broken in (X * 1e-160, csr_array(X * -1e-315)):
        with pytest.raises(ValueError, match=r"magnitude of X is [0-9.]+e-(161|316|160), which"):
            start(estimator).set_params(accept_sparse=True).fit(broken, y)


@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_every_method_tells_that_training_diverged(estimator, rows):
    fit = start(estimator).set_params(learning_rate=1e300, max_epochs=1)
    for batch_size in (16, 60):  # some methods fail in the second step, others after the last
        with pytest.raises(FloatingPointError, match="Training diverged.*Lower learning_rate"):
            fit.set_params(batch_size=batch_size).fit(*rows)


def test_errors_of_a_sound_model_are_not_called_divergence(rows):
    class Fail(Callback):
        def on_batch_end(self, net, **_):
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        start(DEEP[0]).set_params(callbacks=[Fail()]).fit(*rows)


@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["array", "sparse"])
def test_a_row_without_a_finite_answer_is_named(form, rows):
    X, _ = rows

    class Fragile(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) / (x[:, :1] < 1)

    vae = VAEEmbedding(2, n_components=1, max_epochs=1, init="mixture", accept_sparse=True)
    vae.set_params(encoder=Fragile, random_state=0).fit(form(X))
    far = X[:9].copy()
    far[7, 0] = 3
    vae.model_.likelihood.standardize = lambda x: x.float()
    for method in (vae.predict, vae.predict_proba, vae.transform, vae.score_samples):
        with pytest.raises(ValueError, match="for sample 7, whose largest value is 3 in column 0"):
            method(form(far))


def test_an_ensemble_does_not_hide_what_its_members_do_not_know(rows):
    X, _ = rows
    both = ClusterEnsemble(GaussianMixture(2), n_estimators=2, random_state=0).fit(X)
    far = X[:5].copy()
    far[4] = 1e300
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="no finite prediction.* for sample 4"),
    ):
        both.predict_proba(far)
