"""Values of any size: finite samples get finite predictions, or an error names the value."""

from itertools import product

import numpy as np
import pytest
import torch
from common import CLASSIFIERS, DEEP, ONE_OF_EACH, brief, in_full, name, some_of
from scipy.sparse import csr_array
from skorch.callbacks import Callback

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM, VAEEmbedding

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
NETWORKS = [brief(e, init="own") for e in [*DEEP, *CLASSIFIERS]]
over_networks = pytest.mark.parametrize("estimator", some_of(NETWORKS), ids=name)


@pytest.fixture(scope="module")
def unit():
    """Three groups in [0, 1], and their numbers."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return 0.1 * rng.uniform(size=(60, 4)) + 0.3 * y[:, None], y


@pytest.mark.parametrize("likelihood", ["auto", "gaussian"])
@pytest.mark.parametrize(
    "estimator",
    [*ONE_OF_EACH[:2], *NETWORKS, ClusterEnsemble(GaussianMixtureEM(3), 2, random_state=0)],
    ids=name,
)
def test_finite_samples_get_finite_predictions(estimator, likelihood, unit):
    known = {"likelihood": likelihood} if "likelihood" in estimator.get_params() else {}
    fit = brief(estimator, **known).fit(*unit)
    for value in [1e20, -1e39, 1e150, 1e300, -1e300, np.finfo(np.float32).min, 1e-300]:
        far = np.concatenate([unit[0][:4], np.full((1, 4), value)])
        far[range(4), range(4)] = value
        resp = fit.predict_proba(far)
        labels = fit.predict(far)
        np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(labels, resp.argmax(1))
        for method in ("score_samples", "transform"):
            assert np.isfinite(getattr(fit, method, len)(far)).all()


@pytest.mark.parametrize(
    ("estimator", "scale"),
    [(GaussianMixtureEM(3), 1e160), *product(NETWORKS, [1e160, -1e-160, 1e-315])],
    ids=lambda case: str(case)[:9],
)
def test_values_too_large_or_small_to_learn_from_are_named(estimator, scale, unit):
    few = unit[0] * (unit[0] > np.quantile(unit[0], 0.75))
    for broken in (unit[0] * scale, csr_array(few * scale)):
        with pytest.raises(ValueError, match=r"magnitude .*[0-9.]+e[+-](1[56]\d|31\d)"):
            brief(estimator).fit(broken, unit[1])


@over_networks
@pytest.mark.parametrize("scale", [1e99, 1e-100, *in_full(1e39)])
def test_values_beyond_single_precision_are_learned_as_others(estimator, scale, unit):
    X, y = unit
    known = {"likelihood": "gaussian"}
    expected, found = (
        brief(estimator, random_state=0, **known).fit(rows, y) for rows in (X, X * scale)
    )
    np.testing.assert_array_equal(found.predict(X * scale), expected.predict(X))
    if hasattr(found, "sample"):
        rows, others = (np.array(fit.sample(5)[0]) for fit in (expected, found))
        np.testing.assert_allclose(others, scale * rows, rtol=1e-3, atol=1e-3 * scale)


@over_networks
@pytest.mark.parametrize("batch_size", [16, 60], ids=["second step", "after the last"])
def test_divergence_is_explained_and_leaves_nothing_fitted(estimator, batch_size, unit):
    fit = brief(estimator, learning_rate=1e300, max_epochs=1, batch_size=batch_size)
    with pytest.raises(FloatingPointError, match="diverged.*learning_rate"):
        fit.fit(*unit)
    assert not hasattr(fit, "model_")


def test_errors_of_a_sound_model_are_not_called_divergence(unit):
    class Fail(Callback):
        def on_batch_end(self, net, **_):
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        brief(NETWORKS[0], callbacks=[Fail()]).fit(*unit)


@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["array", "sparse"])
def test_a_sample_without_a_finite_prediction_is_named(form, unit):
    class Fragile(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) / (x[:, :1] < 1)

    vae = VAEEmbedding(2, n_components=1, max_epochs=1, init="own")
    few = unit[0] * (unit[0] > np.quantile(unit[0], 0.75))
    vae.set_params(encoder=Fragile, random_state=0).fit(form(few))
    far = few[:9].copy()
    far[7, 0] = 3
    vae.model_.likelihood.standardize = lambda x: x.float()
    for method in (vae.predict, vae.predict_proba, vae.transform, vae.score_samples):
        with pytest.raises(ValueError, match="no finite prediction for sample 7"):
            method(form(far))
