"""A method by the contributor's guide: deep embedded clustering (J. Xie, R. Girshick, A. Farhadi,
"Unsupervised deep embedding for clustering analysis", ICML 2016), in the lines of the guide.
"""

from typing import Any

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
from skdeepcluster.deep.fit import apply
from skdeepcluster.functional import kl_divergence
from skdeepcluster.input.parameters import store_parameters
from skdeepcluster.nn.model import Player


class DEC(CodeModel):
    """Codes around centers, with Student's t as their similarity."""

    def __init__(self, encoder, decoder, likelihood, n_clusters, n_codes):
        super().__init__(encoder, decoder, likelihood)
        self.centers = nn.Parameter(torch.zeros(n_clusters, n_codes))

    def set_mixture(self, mixture):
        """Begin with the means of the clusters."""
        self.centers.data.copy_(mixture.means)

    def log_resp_standardized(self, x_std):
        """Log q, eq. 1, (N, K)."""
        gaps = self.encoder(x_std)[:, None] - self.centers
        return (-gaps.square().sum(-1).log1p()).log_softmax(-1)

    def score(self, x):
        """Return minus log of 1 + the squared distance to the nearest center, (N,)."""
        gaps = self.encode(x)[:, None] - self.centers
        return -gaps.square().sum(-1).amin(-1).double().log1p()

    def loss(self, batch):
        """KL(P || Q), eq. 2, with the target of the epoch."""
        log_q = self.log_resp_standardized(self.standardize(batch.x))
        return {"kl": kl_divergence(batch.columns["log_target"], log_q).mean()}

    def players(self):
        """Encoder and centers; the decoder is trained before."""
        module = nn.ModuleList([self.encoder])
        module.register_parameter("centers", self.centers)
        return (Player("dec", [module], self.loss),)


class Targets(Callback):
    """Sets the targets P of all samples, eq. 3, before each epoch."""

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Square the assignments of the model, and divide by the sizes of the clusters."""
        model = net.module_
        log_q = torch.from_numpy(apply(model, model.log_resp, dataset_train.X))
        log_p = (2 * log_q - log_q.logsumexp(0)).log_softmax(1)
        dataset_train.columns["log_target"] = log_p.numpy()


class DECClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    """Deep embedded clustering."""

    _rate = 1e-3
    _steps = 6
    _pretrains = True

    def __init__(
        self,
        n_clusters=8,
        *,
        n_components=10,
        hidden_layer_sizes: Any = "auto",
        activation="relu",
        likelihood: Any = "auto",
        standardize: Any = "auto",
        kinds: Any = "auto",
        init: Any = "neighbors",
        contamination=0.0,
        use_labels=False,
        pretraining_epochs: Any = "auto",
        max_epochs: Any = "auto",
        learning_rate: Any = "auto",
        image_shape=None,
        encoder=None,
        decoder=None,
        batch_size: Any = "auto",
        n_init=1,
        augment=None,
        callbacks=None,
        checkpoint=None,
        device="auto",
        verbose=0,
        random_state=None,
    ):
        store_parameters(locals())

    def _build(self, n_features, n_clusters, widths, likelihood):
        n_codes = self.n_components
        encoder, decoder = self._make_coders(n_features, n_codes, widths)
        return DEC(PointEncoder(encoder), decoder, likelihood, n_clusters, n_codes)

    def _train(self, model, fit):
        initial = fit.begin_with_mixture(model)
        return fit.train(model, initial, [Targets()])

    def _describe(self, model, fit):
        self._n_features_out = self.n_components
        self.cluster_centers_ = self._decode(model.centers.detach().numpy())

    def score_samples(self, X):
        """Return minus log of 1 + the squared distance to the nearest center."""
        return self._map("score", X)


SMALL = {"hidden_layer_sizes": (16,), "n_components": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_method_by_the_guide_clusters_and_predicts(blobs):
    X, y = blobs
    fit = DECClustering(3, init="own", **SMALL).fit(X)
    assert adjusted_rand_score(y, fit.labels_) > 0.9
    np.testing.assert_array_equal(fit.predict(X), fit.labels_)
    assert fit.cluster_centers_.shape == (3, X.shape[1])
    assert fit.history_[-1]["dec_kl"] < fit.history_[0]["dec_kl"]
    assert not hasattr(fit, "sample")  # nothing generates
    # The targets are sharper than the assignments, and so are the trained ones.
    short = DECClustering(3, init=y, max_epochs=1, **SMALL).fit(X)
    assert fit.predict_proba(X).max(1).mean() > short.predict_proba(X).max(1).mean()


def test_assignments_are_those_of_the_paper(blobs):
    X, _ = blobs
    fit = DECClustering(3, max_epochs=1, **SMALL).fit(X)
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
        DECClustering(3, init=labels, max_epochs=3, **SMALL).fit(X)


@parametrize_with_checks([DECClustering(3, max_epochs=1, pretraining_epochs=1, **SMALL)])
def test_a_method_by_the_guide_passes_scikit_learns_checks(estimator, check):
    if check.func.__name__ != "check_clustering":  # asks for more than an epoch
        check(estimator)
