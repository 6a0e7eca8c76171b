"""The method in the contributor's guide: improved deep embedded clustering (IDEC)."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster.deep.fit import apply

GUIDE = Path(__file__).parents[2] / ".github" / "CONTRIBUTING.md"
CODE = re.search(r"<!-- method -->\n```python\n(.*?)```", GUIDE.read_text(), re.S)[1]
# A module of its own, so that the classes can be pickled.
sys.modules["idec"] = ModuleType("idec")
exec(compile(CODE, str(GUIDE), "exec"), vars(sys.modules["idec"]))
IDECClustering = sys.modules["idec"].IDECClustering

SMALL = {"hidden_layer_sizes": (16,), "n_components": 3, "random_state": 0}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]


def test_a_method_by_the_guide_clusters_and_predicts(blobs):
    X, y = blobs
    fit = IDECClustering(3, init="own", **SMALL).fit(X)
    assert adjusted_rand_score(y, fit.labels_) > 0.9
    np.testing.assert_array_equal(fit.predict(X), fit.labels_)
    assert fit.cluster_centers_.shape == (3, X.shape[1])
    assert fit.history_[-1]["idec_kl"] < fit.history_[0]["idec_kl"]
    assert not hasattr(fit, "sample")  # nothing generates
    # The targets are sharper than the assignments, and so are the trained ones.
    short = IDECClustering(3, init=y, max_epochs=1, **SMALL).fit(X)
    assert fit.predict_proba(X).max(1).mean() > short.predict_proba(X).max(1).mean()


def test_assignments_are_those_of_the_paper(blobs):
    X, _ = blobs
    fit = IDECClustering(3, max_epochs=1, **SMALL).fit(X)
    codes = fit.transform(X).astype(float)
    centers = fit.model_.centers.detach().numpy()
    similarity = 1 / (1 + np.square(codes[:, None] - centers).sum(-1))
    log_q = apply(fit.model_, fit.model_.log_resp, X)
    expected = similarity / similarity.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_q), expected, rtol=1e-4)


def test_a_partition_that_no_parameter_holds_is_warned_of(blobs):
    X, y = blobs
    labels = np.random.default_rng(0).permutation(y)
    told = r"left their initial clusters.*Train longer \(max_epochs\), or use init_labels_"
    with pytest.warns(ConvergenceWarning, match=told):
        IDECClustering(3, init=labels, max_epochs=3, **SMALL).fit(X)


@parametrize_with_checks(
    [IDECClustering(3, init="own", max_epochs=1, pretraining_epochs=1, **SMALL)]
)
def test_a_method_by_the_guide_passes_scikit_learns_checks(estimator, check):
    if check.func.__name__ != "check_clustering":  # asks for more than an epoch
        check(estimator)
