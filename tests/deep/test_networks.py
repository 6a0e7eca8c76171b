"""Networks: what goes in and out, and errors of shape."""

import inspect
import math
import pickle
import re

import numpy as np
import pytest
import torch
from common import CLASSIFIERS, DEEP, brief, name
from torch import nn

from skdeepcluster import CatGANClustering, DACClustering
from skdeepcluster.deep.codes import set_linear
from skdeepcluster.neighbors import neighbor_embedding, neighbor_graph
from skdeepcluster.nn.augmentation import RandomAffine
from skdeepcluster.nn.networks import (
    ACTIVATIONS,
    conv_decoder,
    conv_discriminator,
    conv_encoder,
    conv_generator,
    mlp,
    normalized_mlp,
)

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("activation", ["relu", "gelu", "leaky_relu"])
@pytest.mark.parametrize("widths", [(), (4,), (6, 9, 5)])
def test_a_perceptron_starts_as_a_linear_map(activation, widths):
    with torch.random.fork_rng():
        torch.manual_seed(0)  # units of other weights may be dead
        network = mlp(3, 5, widths, activation)
        x = torch.randn(20, 3)
        reduce = torch.randn(2, 3)
        expand = torch.randn(5, 2)
        bias = torch.randn(5)
    for layer in network[:-1:2]:
        nn.init.ones_(layer.bias)
    set_linear(network, reduce, expand, bias)
    torch.testing.assert_close(network(x), x @ reduce.T @ expand.T + bias)
    network(x).square().sum().backward()
    # Units that carry nothing at first have a gradient in the last layer.
    assert network[-1].weight.grad.abs().sum(0).all()


def test_convolution_sees_the_image_not_a_shuffled_row():
    """The first layer's answer to one bright pixel stays near that pixel."""
    encoder = conv_encoder(64, 4, (1, 8, 8))
    x = torch.zeros(2, 64)
    x[1, 0] = 1.0
    maps = encoder[1](encoder[0](x))
    moved = (maps[1] - maps[0]).abs().sum(0) > 0
    assert moved[0, 0]
    assert moved.sum() == 1


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 8, 12)])
@pytest.mark.parametrize(
    ("reader", "writer"), [(conv_encoder, conv_decoder), (conv_discriminator, conv_generator)]
)
def test_convolutional_pairs_mirror_shapes_and_train(reader, writer, image_shape):
    n = math.prod(image_shape)
    read = reader(n, 6, image_shape)
    write = writer(6, n, image_shape)
    x = torch.rand(4, n)
    rebuilt = write(read(x))
    assert rebuilt.shape == x.shape
    rebuilt.square().mean(1).prod().backward()
    for network in (read, write):
        assert all(p.grad is not None for p in network.parameters())
    for n_pixels, shape, message in [
        (784, (1, 14, 14), "196"),
        (49, (1, 7, 7), "halved"),
        (48, (1, 8, 6), "halved"),
        (48, (1, 6, 8), "halved"),
    ]:
        with pytest.raises(ValueError, match=message):
            reader(n_pixels, 4, shape)
        with pytest.raises(ValueError, match=message):
            writer(4, n_pixels, shape)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_perceptrons_train_and_normalized_ones_whiten(activation):
    plain = mlp(3, 2, (8, 8), activation)
    network = normalized_mlp(3, 2, (8, 8), activation)
    x = 5 + 7 * torch.randn(200, 3)
    seen = network[:2](x)
    torch.testing.assert_close(seen.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.var(0), torch.ones(8), atol=0.02, rtol=0)
    torch.testing.assert_close(network(x), network(1000 * x), rtol=1e-3, atol=1e-3)
    for trained in (plain, network):
        trained(torch.randn(5, 3)).square().sum().backward()
        assert all(p.grad.abs().sum() > 0 for p in trained.parameters())


def _convolutions(network):
    return sum(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in network.modules())


@ignore_convergence
@pytest.mark.parametrize("estimator", [*DEEP, *CLASSIFIERS], ids=name)
def test_an_image_shape_makes_networks_convolutional(estimator, digits):
    X = digits[:60]
    y = np.arange(60) % 3
    fit = brief(estimator, image_shape=(8, 8), max_epochs=1)
    predicted = fit.fit(X, y).predict(X)
    parts = dict(fit.model_.named_children())
    images = {"encoder", "decoder", "body", "generator", "discriminator"} & set(parts)
    if "Cat" in type(fit).__name__:
        images.remove("generator")  # its samples do not look like images
    elif "encoder" in images:
        images.discard("discriminator")  # of codes
    assert all(_convolutions(parts[name]) for name in images)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fit)).predict(X), predicted)


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [((7, 8), "64 features, but .* have 56"), ((2.0, 32), "image_shape must be")],
)
def test_an_image_shape_must_fit_the_features(image_shape, message, digits):
    with pytest.raises(ValueError, match=message):
        CatGANClustering(2, image_shape=image_shape).fit(digits[:20])


@ignore_convergence
def test_a_given_builder_of_images_is_used(digits):
    fit = CatGANClustering(2, image_shape=(8, 8), discriminator=mlp, max_epochs=1)
    assert not _convolutions(fit.fit(digits[:60]).model_.discriminator)


DOCUMENTED = [mlp, normalized_mlp, conv_encoder, RandomAffine, neighbor_graph, neighbor_embedding]


@pytest.mark.parametrize("function", DOCUMENTED)
def test_defaults_are_the_documented_ones(function):
    documented = re.findall(r"^    (\w[\w, ]*) : .*default=(.+)$", function.__doc__, re.MULTILINE)
    documented = {name: value for names, value in documented for name in names.split(", ")}
    defaults = inspect.signature(function).parameters.values()
    actual = {p.name: repr(p.default) for p in defaults if p.default is not p.empty}
    assert {n: v.replace('"', "'") for n, v in documented.items()} == actual


@pytest.mark.parametrize(
    "builder",
    [conv_encoder, conv_decoder, conv_discriminator, conv_generator, normalized_mlp, mlp],
)
def test_layers_keep_the_variance_of_their_inputs(builder):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = {} if "mlp" in builder.__name__ else {"image_shape": (2, 16, 16)}
        for layer in builder(512, 512, **images):
            if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                continue
            is_linear = isinstance(layer, nn.Linear)
            size = (layer.in_features,) if is_linear else (layer.in_channels, 16, 16)
            y = layer(torch.randn(60, *size))
            inner = y[..., 2:-2, 2:-2] if y.ndim == 4 else y  # far from the border
            assert inner.var().item() == pytest.approx(2, rel=0.2)
            assert layer.bias is None or not layer.bias.any()


@ignore_convergence
def test_networks_have_the_widths_of_their_roles(blobs):
    dac = DACClustering(3, n_components=5, hidden_layer_sizes=(8, 7, 6), max_epochs=1)
    model = dac.set_params(pretraining_epochs=1).fit(blobs[0]).model_
    found = []
    for network in (model.encoder.network, model.decoder, model.critic):
        found.append([layer.out_features for layer in network if isinstance(layer, nn.Linear)])
    assert found == [[8, 7, 6, 5], [6, 7, 8, 4], [8, 7, 1]]


@ignore_convergence
@pytest.mark.parametrize("estimator", DEEP, ids=name)
def test_responsibilities_of_the_objective_sum_to_one(estimator, blobs):
    model = brief(estimator).fit(blobs[0]).model_
    with torch.no_grad():
        log_resp = model.log_resp(torch.tensor(blobs[0]))
    torch.testing.assert_close(log_resp.logsumexp(1), torch.zeros_like(log_resp[:, 0]))
