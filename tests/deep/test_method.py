"""A method of a user, by the contributor's guide: deep embedded clustering (Xie et al., 2016)."""

from typing import Any

import numpy as np
import pytest
import torch
from common import check_players
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_param_validation
from skorch.callbacks import Callback
from torch import nn

from skdeepcluster.deep.base import ClusteringMixin, DeepEstimator, EmbeddingMixin
from skdeepcluster.deep.codes import CodeModel, PointEncoder
from skdeepcluster.deep.fit import apply
from skdeepcluster.input.checks import store_parameters
from skdeepcluster.nn.model import Batch


class DEC(CodeModel):
    """Clusters by Student's t-distribution around centers of the codes (eq. 1)."""

    def __init__(self, encoder, decoder, likelihood, n_clusters, n_components):
        super().__init__(encoder, decoder, likelihood)
        self.centers = nn.Parameter(torch.zeros(n_clusters, n_components))

    def set_mixture(self, mixture):
        """Begin with the means of a mixture."""
        self.centers.data.copy_(mixture.means)

    def log_resp_standardized(self, x_std):
        """Log q(k | x), (N, K)."""
        distances = torch.cdist(self.encoder(x_std), self.centers)
        return (-distances.square().log1p()).log_softmax(-1)

    def loss(self, batch):
        """KL(P || Q) of the target and the assignment (eq. 2)."""
        log_q = self.log_resp(batch.x)
        p = batch.anchor
        return {"target": (p * (p.clamp_min(1e-30).log() - log_q)).sum(-1).mean()}

    def score(self, x):
        """Log of the greatest responsibility, (N,)."""
        return self.log_resp(x).double().amax(-1)


def sharpen(resp):
    """Return the target distribution of responsibilities (N, K) (eq. 3)."""
    weight = resp**2 / resp.sum(0)
    return weight / weight.sum(1, keepdims=True)


class Targets(Callback):
    """Computes the target of all samples before each epoch."""

    def on_epoch_begin(self, net, dataset_train=None, **_):
        model = net.module_
        assert not model.training
        dataset_train.columns["anchor"] = sharpen(apply(model, model.resp, dataset_train.X))


class DECClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    """Deep embedded clustering."""

    _rate = 1e-3
    _steps = 6
    _pretrains = True

    def __init__(
        self,
        n_clusters: Any = 8,
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
        device: Any = "auto",
        verbose=0,
        random_state=None,
    ) -> None:
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
        self.means_ = model.centers.detach().cpu().numpy()

    def score_samples(self, X):
        return self._map("score", X)


SMALL = {"n_components": 2, "hidden_layer_sizes": (16,), "random_state": 0}


def test_deep_embedded_clustering_finds_separate_groups(blobs):
    X, y = blobs
    dec = DECClustering(3, pretraining_epochs=20, learning_rate=1e-2, **SMALL).fit(X)
    assert adjusted_rand_score(y, dec.labels_) > 0.95
    assert dec.transform(X).shape == (len(X), 2)
    assert dec.history_[-1]["dec_target"] < dec.history_[0]["dec_target"]
    assert not hasattr(dec, "sample")
    assert "init_weight" not in dec.get_params()


def test_a_loss_and_its_gradients_are_those_of_the_paper(blobs):
    X, _ = blobs
    settings = SMALL | {"pretraining_epochs": 1, "max_epochs": 1, "init": "own"}
    model = DECClustering(3, **settings).fit(X).model_
    x = torch.tensor(X)
    with torch.no_grad():
        gaps = model.encode(x)[:, None] - model.centers
        q = 1 / (1 + gaps.square().sum(-1))
        q = q / q.sum(1, keepdim=True)
        weight = q.square() / q.sum(0)
        p = weight / weight.sum(1, keepdim=True)
        expected = (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(model.resp(x), q)
    np.testing.assert_allclose(sharpen(q.numpy()), p, rtol=1e-5)
    torch.testing.assert_close(model.loss(Batch(x, p))["target"], expected)
    model.decoder.requires_grad_(False)
    model.likelihood.requires_grad_(False)
    check_players(model, Batch(x, p))


def test_a_partition_that_no_parameter_holds_is_warned_of(blobs):
    X, y = blobs
    labels = np.random.default_rng(0).permutation(y)
    told = r"left their initial clusters.*Train longer \(max_epochs\), or use init_labels_"
    with pytest.warns(ConvergenceWarning, match=told):
        DECClustering(3, init=labels, max_epochs=3, **SMALL).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_constraints_of_parameters_follow_init():
    brief = DECClustering(2, init="own", pretraining_epochs=1, max_epochs=1, **SMALL)
    check_param_validation("DECClustering", brief)
    assert brief._parameter_constraints.keys() == brief.get_params().keys()
    with pytest.raises(ValueError, match="'max_epochs' parameter of DECClustering"):
        clone(brief).set_params(max_epochs=-1).fit([[0.0], [1.0]])
