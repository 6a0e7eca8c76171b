import pickle

import numpy as np
import pytest
import torch
from estimators import ONE_OF_EACH, brief, name
from sklearn.base import clone

from skdeepcluster.display import EmbeddingDisplay
from skdeepcluster.export import to_onnx
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.persistence import load, save

WITH_DEVICE = [e for e in ONE_OF_EACH if "device" in e.get_params()]
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA GPU: the GPU path is not tested"
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", WITH_DEVICE, ids=name)
def test_a_fit_on_a_gpu_answers_alike_on_a_cpu(digits, estimator, monkeypatch):
    fitted = clone(estimator).set_params(device="cuda").fit(digits)
    if hasattr(fitted, "model_"):
        assert next(fitted.model_.parameters()).device.type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    elsewhere = pickle.loads(pickle.dumps(fitted)).set_params(device="auto")
    if hasattr(elsewhere, "model_"):
        assert next(elsewhere.model_.parameters()).device.type == "cpu"
    np.testing.assert_allclose(
        elsewhere.predict_proba(digits), fitted.predict_proba(digits), atol=1e-3
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", WITH_DEVICE, ids=name)
def test_fits_on_a_gpu_leave_its_random_stream_alone(digits, estimator):
    torch.cuda.manual_seed(0)
    before = torch.cuda.get_rng_state()
    clone(estimator).set_params(device="cuda").fit(digits)
    assert torch.equal(before, torch.cuda.get_rng_state())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", WITH_DEVICE, ids=name)
def test_scales_of_features_are_where_rows_are(blobs, estimator, tmp_path):
    """Rows beyond [0, 1] are scaled by tensors: in the start, the training, and all answers."""
    X, _ = blobs
    fit = brief(estimator, device="cuda", noise=0.1, warm_start=True).fit(X).fit(X)
    to_onnx(fit, tmp_path / "fit.onnx")
    save(fit, tmp_path / "fit.skops")
    here = load(tmp_path / "fit.skops").set_params(device="cpu")
    np.testing.assert_allclose(here.predict_proba(X), fit.predict_proba(X), atol=1e-3)
    EmbeddingDisplay.from_estimator(fit, X)
    assert ClusterReport.from_estimator(fit, X).sizes.sum() <= len(X)
    for method in ("transform", "score_samples"):
        assert np.isfinite(getattr(fit, method, len)(X)).all()
    if hasattr(fit, "code_report"):
        fit.code_report(10)
