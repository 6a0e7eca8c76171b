"""Fits on a GPU: the same predictions elsewhere, and its random stream left alone."""

import pickle

import numpy as np
import pytest
import torch
from common import ONE_OF_EACH, brief, name

from skdeepcluster.display import EmbeddingDisplay
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.persistence import load, save

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
WITH_DEVICE = [e for e in ONE_OF_EACH if "device" in e.get_params()]


@pytest.mark.parametrize("estimator", WITH_DEVICE, ids=name)
def test_a_fit_on_a_gpu_predicts_alike_on_a_cpu(estimator, blobs, tmp_path, monkeypatch):
    X, _ = blobs  # values outside [0, 1] are scaled by tensors
    torch.cuda.manual_seed(0)
    before = torch.cuda.get_rng_state()
    fit = brief(estimator, device="cuda", contamination=0.1).fit(X)
    assert torch.equal(before, torch.cuda.get_rng_state())
    save(fit, tmp_path / "fit")
    EmbeddingDisplay.from_estimator(fit, X)
    assert ClusterReport.from_estimator(fit, X).sizes.sum() <= len(X)
    for method in ("transform", "score_samples"):
        assert np.isfinite(getattr(fit, method, len)(X)).all()
    expected = fit.predict_proba(X)
    state = pickle.dumps(fit)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for here in (load(tmp_path / "fit"), pickle.loads(state)):
        here.set_params(device="auto")
        if hasattr(here, "model_"):
            assert next(here.model_.parameters()).device.type == "cpu"
        np.testing.assert_allclose(here.predict_proba(X), expected, atol=1e-3)
