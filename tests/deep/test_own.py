"""init="own": the clusters of the network's own training, without NeighborClustering."""

from functools import partial

import numpy as np
import pytest
import torch
from common import some_of
from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    DACClustering,
    InfoGANClustering,
    VaDEClustering,
    VAEEmbedding,
    neighbor_clustering,
)
from skdeepcluster.deep import start
from skdeepcluster.nn.networks import mlp

SMALL = {"hidden_layer_sizes": (32, 32), "random_state": 0}
CODES = SMALL | {"n_components": 3}
STILL = {"max_epochs": 1, "learning_rate": 1e-30, "pretraining_epochs": 0}
NETWORKS = [VAEEmbedding, VaDEClustering, DACClustering, InfoGANClustering, CatGANClustering]


@pytest.fixture(scope="module")
def groups():
    X, y = make_blobs(160, 6, centers=4, cluster_std=0.7, random_state=3)
    return X.astype(np.float32), y


@pytest.mark.parametrize("network", some_of(NETWORKS))
def test_separate_groups_are_found_without_a_neighbor_graph(network, groups, monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("NeighborClustering was called")

    monkeypatch.setattr(start, "find_clusters", refuse)
    monkeypatch.setattr(neighbor_clustering, "find_clusters", refuse)
    X, y = groups
    settings = SMALL if "GAN" in network.__name__ else CODES
    fit = network(4, init="own", **settings).fit(X)
    assert adjusted_rand_score(y, fit.labels_) > 0.95
    if network is not VAEEmbedding:
        assert adjusted_rand_score(y, fit.init_labels_) > 0.95


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("network", [InfoGANClustering, CatGANClustering])
def test_without_pretraining_gans_begin_with_no_partition(network, groups):
    settings = SMALL | {"init": "own", "max_epochs": 2}
    fit = network(4, pretraining_epochs=0, **settings).fit(groups[0])
    assert fit.init_labels_ is None
    assert fit.moved_ is None
    assert network(4, **settings).fit(groups[0]).pretraining_epochs_ > 0


@pytest.mark.parametrize("network", [VaDEClustering, DACClustering])
def test_networks_begin_as_principal_components(network):
    X = load_iris().data.astype(np.float32)
    settings = CODES | STILL | {"standardize": True, "likelihood": "gaussian"}
    fit = network(3, **settings).fit(X)
    scaled = (X - X.mean(0)) / X.std(0)
    pca = PCA(3).fit(scaled)
    expected = pca.inverse_transform(pca.transform(scaled))
    decoded = (fit.inverse_transform(fit.transform(X)) - X.mean(0)) / X.std(0)
    # The codes of probabilistic PCA are shrunk by the noise.
    np.testing.assert_allclose(decoded, expected, atol=0.15)


def test_the_first_mixture_maximizes_the_bound_for_its_partition(groups):
    X, y = groups
    model = VaDEClustering(4, init=y, **CODES | STILL).fit(X).model_
    clusters = torch.eye(4)[torch.from_numpy(y)]

    def bound():
        posterior = model.posterior(torch.from_numpy(X))
        return (clusters * model.log_joint(posterior, model.prior.mixture)).sum()

    with torch.no_grad():
        best = bound()
        for parameter in (model.prior.log_vars, model.prior.means):
            for change in (-0.1, 0.1):
                parameter += change
                assert bound() < best
                parameter -= change


def test_networks_that_are_pretrained_begin_with_their_weights(groups):
    X, _ = groups
    torch.manual_seed(0)
    trained = mlp(6, 6, (16,)), mlp(3, 6, (16,))

    def given(network, n_in, n_out):
        assert (network[0].in_features, network[-1].out_features) == (n_in, n_out)
        return network

    encoder, decoder = (partial(given, network) for network in trained)
    fit = VaDEClustering(4, encoder=encoder, decoder=decoder, **CODES | STILL).fit(X)
    x_std = fit.model_.standardize(torch.from_numpy(X))
    with torch.no_grad():
        expected = trained[0](x_std)[:, :3]
    np.testing.assert_allclose(fit.transform(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", [CatGANClustering, CatGANClassifier])
def test_smoothness_needs_no_initial_partition(network, groups):
    X, y = groups
    number = {"n_clusters": 4} if network is CatGANClustering else {}
    settings = SMALL | number | {"init": "own", "max_epochs": 3}
    if network is CatGANClustering:
        settings["pretraining_epochs"] = 0
    known = np.where(np.arange(len(y)) < 40, y, -1)
    rough, smooth = (
        network(**settings, smoothness_weight=weight).fit(X, known) for weight in (0.0, 20.0)
    )
    assert not any("discriminator_smoothness" in epoch for epoch in rough.history_)
    assert all(epoch["discriminator_smoothness"] > 0 for epoch in smooth.history_)
