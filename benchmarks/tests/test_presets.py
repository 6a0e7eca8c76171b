"""The papers' settings are parameters of the estimators and make the papers' networks."""

import numpy as np
import pytest
from lib.presets import PAPERS

import skdeepcluster

#: One epoch is too few to separate clusters.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROWS = np.random.default_rng(0).uniform(size=(24, 784)).astype(np.float32)


@pytest.mark.parametrize("name", PAPERS)
def test_a_fit_by_a_papers_settings_keeps_them(name):
    small = {"max_epochs": 1, "random_state": 0}
    if name in ("VaDEClustering", "DACClustering"):
        small["pretraining_epochs"] = 1
    estimator = getattr(skdeepcluster, name)(2, **PAPERS[name] | small)
    fitted = estimator.fit(ROWS)
    for parameter, value in (PAPERS[name] | small).items():
        assert fitted.get_params()[parameter] is value
    assert fitted.predict_proba(ROWS).shape == (24, 2)
    if name == "InfoGANClustering":
        first, body = fitted.model_.generator[0], fitted.model_.body
        assert (first.in_features, first.out_features) == (62 + 2 + 2, 1024)
        shapes = [tuple(m.weight.shape[:2]) for m in body.modules() if hasattr(m, "stride")]
        assert shapes == [(64, 1), (128, 64)]
