"""What history_ says about the clusters before training and after it, without labels."""

import numpy as np
import pytest
import torch
from common import DEEP, brief, name
from sklearn.datasets import make_blobs

from skdeepcluster import CatGANClassifier, CatGANClustering, VAEEmbedding
from skdeepcluster.deep import fit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
JUDGED = [estimator for estimator in DEEP if not isinstance(estimator, VAEEmbedding)]
X, Y = make_blobs(90, 4, centers=3, random_state=1)
X = X.astype(np.float32)


def turn(rows):
    return rows.flip(1)


@pytest.mark.parametrize("estimator", [*JUDGED, CatGANClassifier()], ids=name)
def test_history_has_the_evidence_before_and_after_training(estimator):
    network = brief(estimator, random_state=0, augment=turn).fit(X, Y)
    first, last = network.history_
    assert 0 <= first["agreement_before"] <= 1
    assert 0 <= last["agreement"] <= 1
    for information in (first["information_before"], last["information"]):
        assert 0 <= information <= np.log(3) + 1e-6
    assert "information" not in first
    assert "information_before" not in last


def test_evidence_is_that_of_the_fitted_network():
    network = CatGANClustering(3, init=Y, augment=turn, random_state=0).fit(X)
    last = network.history_[-1]
    assert last["information"] == pytest.approx(network.score(X), abs=1e-5)
    agreement = np.mean(network.predict(X) == network.predict(X[:, ::-1].copy()))
    assert last["agreement"] == pytest.approx(agreement)


def test_evidence_needs_clusters_and_versions():
    network = CatGANClustering(3, init=Y, max_epochs=1).fit(X)
    assert "agreement" not in network.history_[0]
    embedding = VAEEmbedding(3, init=Y, max_epochs=1).fit(X)
    assert not any("information" in key for key in embedding.history_[0])


def test_evidence_changes_no_training(monkeypatch):
    """A random augmentation is called for it, too."""

    def jitter(rows):
        return rows + 0.01 * torch.randn_like(rows)

    settings = {"init": Y, "max_epochs": 3, "random_state": 0}
    before = torch.random.get_rng_state()
    weighed, again = (CatGANClustering(3, augment=jitter, **settings).fit(X) for _ in range(2))
    assert weighed.history_[-1]["train_loss"] == again.history_[-1]["train_loss"]
    assert torch.equal(before, torch.random.get_rng_state())

    monkeypatch.setattr(fit, "weigh_clusters", lambda *_: {})
    bare = CatGANClustering(3, augment=jitter, **settings).fit(X)
    assert "information" not in bare.history_[-1]
    np.testing.assert_array_equal(bare.predict_proba(X), weighed.predict_proba(X))
