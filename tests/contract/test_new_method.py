"""A method by the contributor's guide: improved deep embedded clustering (X. Guo, L. Gao, X. Liu,
J. Yin, "Improved Deep Embedded Clustering with Local Structure Preservation", IJCAI 2017).
"""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback
from torch import nn

from skdeepcluster.deep.base import ClusteringMixin, DeepEstimator, EmbeddingMixin
from skdeepcluster.deep.codes import CodeModel, PointEncoder
from skdeepcluster.deep.fit import Recipe, apply
from skdeepcluster.functional import kl_divergence
from skdeepcluster.input.parameters import store_parameters
from skdeepcluster.nn.model import Player


class IDEC(CodeModel):
    """Codes around centers, with Student's t as their similarity, that are decoded."""

    def __init__(self, encoder, decoder, likelihood, n_clusters, n_codes, kl_weight):
        super().__init__(encoder, decoder, likelihood)
        self.centers = nn.Parameter(torch.zeros(n_clusters, n_codes))
        self.kl_weight = kl_weight

    def set_mixture(self, mixture):
        self.centers.data.copy_(mixture.means)

    def squares(self, code):
        return (code[:, None] - self.centers).square().sum(-1)

    def log_resp_standardized(self, x_std):  # log q, eq. 3
        return (-self.squares(self.encoder(x_std)).log1p()).log_softmax(-1)

    def score(self, x):
        return -self.squares(self.encode(x)).amin(-1).double().log1p()

    def loss(self, batch):  # eq. 1: reconstruction, and KL(P || Q) with the target of the epoch
        log_q = self.log_resp_standardized(self.standardize(batch.x))
        kl = kl_divergence(batch.columns["log_target"], log_q).mean()
        log_x = self.log_prob(batch.x, self.encode(batch.x))
        return {"reconstruction": -log_x.mean(), "kl": self.kl_weight * kl}

    def players(self):
        return (Player("idec", [self], self.loss),)


class Targets(Callback):
    def on_epoch_begin(self, net, dataset_train=None, **kwargs):  # eq. 4
        log_q = torch.from_numpy(apply(net.module_, net.module_.log_resp, dataset_train.X))
        log_p = (2 * log_q - log_q.logsumexp(0)).log_softmax(1)
        dataset_train.columns["log_target"] = log_p.numpy()


class IDECClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    """Improved deep embedded clustering."""

    _recipe = Recipe(rate=1e-3, steps=6, pretrains=True)

    # fmt: off
    def __init__(
        self, n_clusters=8, *, n_components=10, hidden_layer_sizes="auto", activation="relu",
        likelihood="auto", standardize="auto", kinds="auto", kl_weight=0.1, init="neighbors",
        contamination=0.0, use_labels=False, pretraining_epochs="auto", max_epochs="auto",
        learning_rate="auto", image_shape=None, encoder=None, decoder=None, batch_size="auto",
        n_init=1, augment=None, callbacks=None, device="auto", verbose=0, random_state=None,
    ):
        store_parameters(locals())
    # fmt: on

    def _build(self, n_features, n_clusters, widths, likelihood):
        n_codes = self.n_components
        encoder, decoder = self._make_coders(n_features, n_codes, widths)
        networks = PointEncoder(encoder), decoder
        return IDEC(*networks, likelihood, n_clusters, n_codes, self.kl_weight)

    def _train(self, model, training):
        return training.train_from_mixture(model, callbacks=[Targets()])

    def _describe(self, model, training):
        self._n_features_out = self.n_components
        self.cluster_centers_ = self._decode(model.centers.detach().cpu().numpy())

    def score_samples(self, X):
        return self._map("score", X)


SMALL = {"hidden_layer_sizes": (16,), "n_components": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


@parametrize_with_checks([IDECClustering(3, max_epochs=1, pretraining_epochs=1, **SMALL)])
def test_a_method_by_the_guide_passes_scikit_learns_checks(estimator, check):
    if check.func.__name__ != "check_clustering":  # asks for more than an epoch
        check(estimator)
