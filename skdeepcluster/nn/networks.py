"""Default networks, and builders to pass as ``encoder``, ``decoder``, ``generator``, ....

An estimator calls a builder as ``builder(n_in, n_out)``; samples are flat, (N, n_in) -> (N,
n_out). The convolutional generator and discriminator follow A. Radford, L. Metz, S. Chintala,
"Unsupervised Representation Learning with Deep Convolutional GANs", ICLR 2016.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..input.parameters import read_image_shape

#: Activations by their scikit-learn names.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
}

Builder = Callable[[int, int], nn.Module]
Layers = list[nn.Module]
Sizes = Sequence[int]
#: (channels, height, width).
Shape = tuple[int, int, int]

# Layers in single precision, independently of torch's default.
_linear = partial(nn.Linear, dtype=torch.float32)
_norm = partial(nn.BatchNorm1d, dtype=torch.float32)
_norm_maps = partial(nn.BatchNorm2d, dtype=torch.float32)
# Convolutions that halve height and width, and that double them.
_scaling: Any = {"kernel_size": 4, "stride": 2, "padding": 1, "dtype": torch.float32}
_halve: Callable[..., nn.Module] = partial(nn.Conv2d, **_scaling)
_double: Callable[..., nn.Module] = partial(nn.ConvTranspose2d, **_scaling)


# ---- perceptrons


def mlp(
    n_in: int,
    n_out: int,
    hidden_layer_sizes: Sizes = (500, 500, 2000),
    activation: str = "relu",
) -> nn.Sequential:
    """Multilayer perceptron: linear layers with an activation between them.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features.
    hidden_layer_sizes : sequence of int, default=(500, 500, 2000)
        Widths of the hidden layers; empty for a linear map.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="relu"
        Activation of the hidden layers.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> [type(layer).__name__ for layer in mlp(4, 2, (8,))]
    ['Linear', 'ReLU', 'Linear']
    """
    layers = _perceptron([n_in, *hidden_layer_sizes], n_out, activation, False)
    return _initialize(layers, gain=1.0 if activation == "tanh" else 2.0)


def normalized_mlp(
    n_in: int,
    n_out: int,
    hidden_layer_sizes: Sizes = (500, 500),
    activation: str = "leaky_relu",
) -> nn.Sequential:
    """Multilayer perceptron with batch normalization.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features.
    hidden_layer_sizes : sequence of int, default=(500, 500)
        Widths of the hidden layers.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the hidden layers, after their normalization.

    Returns
    -------
    Sequential
    """
    widths = [n_in, *hidden_layer_sizes]
    return _initialize(_perceptron(widths, n_out, activation, True))


def _perceptron(
    widths: Sizes, n_out: int, activation: str, is_normalized: bool
) -> Layers:
    """Return linear layers, normalized or not, with activations between them."""
    layers: Layers = []
    for width, next_width in pairwise(widths):
        layers.append(_linear(width, next_width, bias=not is_normalized))
        if is_normalized:
            layers.append(_norm(next_width))
        layers.append(ACTIVATIONS[activation]())
    layers.append(_linear(widths[-1], n_out))
    return layers


# ---- convolutional networks


def conv_encoder(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes = (32, 64),
    n_hidden: int = 256,
) -> nn.Sequential:
    """Convolutional encoder for images stored as flat samples.

    Each stage halves height and width (kernel 4, stride 2); two linear layers follow. Use it as
    ``encoder=partial(conv_encoder, image_shape=(1, 28, 28))``.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features; the estimator gives them.
    image_shape : (channels, height, width)
        Shape of the image; height and width divisible by ``2 ** len(channels)``.
    channels : sequence of int, default=(32, 64)
        Number of feature maps after each stage.
    n_hidden : int, default=256
        Width of the hidden linear layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> import torch
    >>> conv_encoder(784, 20, image_shape=(1, 28, 28))(torch.zeros(3, 784)).shape
    torch.Size([3, 20])
    """
    layers, n_flat = _stages(n_in, image_shape, channels, False)
    layers += [_linear(n_flat, n_hidden), nn.ReLU()]
    layers.append(_linear(n_hidden, n_out))
    return _initialize(layers)


def conv_decoder(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes = (32, 64),
    n_hidden: int = 256,
) -> nn.Sequential:
    """Mirror image of ``conv_encoder``, from a code to a flat image.

    Parameters
    ----------
    n_in, n_out, image_shape, channels, n_hidden
        As in :func:`conv_encoder`.

    Returns
    -------
    Sequential
    """
    return _mirror(n_in, n_out, image_shape, channels, n_hidden, False)


def conv_discriminator(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes = (32, 64),
) -> nn.Sequential:
    """Convolutional discriminator without its last layer.

    Stages halve height and width (kernel 4, stride 2), with leaky rectifiers and batch
    normalization after all stages except the first; one linear layer follows. InfoGAN's for MNIST
    has 64 and 128 channels.

    Parameters
    ----------
    n_in, n_out, image_shape, channels
        As in :func:`conv_encoder`.

    Returns
    -------
    Sequential
    """
    layers, n_flat = _stages(n_in, image_shape, channels, True)
    layers += [_linear(n_flat, n_out), _norm(n_out)]
    return _initialize(layers)


def conv_generator(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes = (32, 64),
    n_hidden: int = 256,
) -> nn.Sequential:
    """Convolutional generator, the mirror image of ``conv_discriminator``.

    Two linear layers, then transposed convolutions that double height and width, with batch
    normalization and rectifiers between them.

    Parameters
    ----------
    n_in, n_out, image_shape, channels, n_hidden
        As in :func:`conv_encoder`; ``channels`` as given to the discriminator.

    Returns
    -------
    Sequential
    """
    return _mirror(n_in, n_out, image_shape, channels, n_hidden, True)


def conv_classifier(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes = (32, 64),
    n_hidden: int = 256,
) -> nn.Sequential:
    """Convolutional classifier with batch normalization and leaky rectifiers.

    Parameters
    ----------
    n_in, n_out, image_shape, channels, n_hidden
        As in :func:`conv_encoder`.

    Returns
    -------
    Sequential
    """
    body = conv_discriminator(n_in, n_hidden, image_shape, channels)
    activation = ACTIVATIONS["leaky_relu"]()
    return nn.Sequential(body, activation, mlp(n_hidden, n_out, ()))


#: Convolutional networks by their kinds.
CONVOLUTIONAL: dict[str, Callable[..., nn.Module]] = {
    "encoder": conv_encoder,
    "decoder": conv_decoder,
    "classifier": conv_classifier,
    "discriminator": conv_discriminator,
    "generator": conv_generator,
}


def _stages(
    n_in: int,
    image_shape: Shape,
    channels: Sizes,
    is_normalized: bool,
) -> tuple[Layers, int]:
    """Return layers that halve an image for each of the channels, and the size of their output."""
    n_pixels = math.prod(_shape_after_stages(n_in, image_shape, channels))
    activation = ACTIVATIONS["leaky_relu" if is_normalized else "relu"]
    layers: Layers = [nn.Unflatten(1, image_shape)]
    for stage, (n_maps, n_next) in enumerate(pairwise([image_shape[0], *channels])):
        layers.append(_halve(n_maps, n_next))
        if is_normalized and stage:
            layers.append(_norm_maps(n_next))
        layers.append(activation())
    layers.append(nn.Flatten())
    return layers, channels[-1] * n_pixels


def _mirror(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes,
    n_hidden: int,
    is_normalized: bool,
) -> nn.Sequential:
    """Return two linear layers, and layers that double an image for each channel, last first."""

    def rectify(norm: nn.Module) -> Layers:
        return [norm, nn.ReLU()] if is_normalized else [nn.ReLU()]

    size = _shape_after_stages(n_out, image_shape, channels)
    maps = [image_shape[0], *channels][::-1]
    shape = (maps[0], *size)
    layers: Layers = [_linear(n_in, n_hidden)]
    layers += rectify(_norm(n_hidden))
    layers.append(_linear(n_hidden, math.prod(shape)))
    layers.append(nn.Unflatten(1, shape))
    for n_maps, n_next in pairwise(maps):
        layers += rectify(_norm_maps(n_maps))
        layers.append(_double(n_maps, n_next))
    layers.append(nn.Flatten())
    return _initialize(layers)


def _shape_after_stages(
    n_features: int, image_shape: Sizes, channels: Sizes
) -> tuple[int, int]:
    """Return height and width after the last stage; raise if they cannot be halved so often."""
    _, height, width = read_image_shape(image_shape, n_features)
    factor = 2 ** len(channels)
    if height % factor or width % factor:
        raise ValueError(
            f"Images of {height} x {width} cannot be halved {len(channels)} times. Give "
            f"fewer channels, or pad to multiples of {factor}."
        )
    return height // factor, width // factor


def _initialize(layers: Layers, gain: float = 2.0) -> nn.Sequential:
    """Return a network with weights from N(0, gain / fan_in), which keep variances of inputs.

    The gain is 2 for rectifiers (He et al., 2015). With torch's smaller weights, deep decoders
    ignore the code.
    """
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan_in = float(layer.weight[0].numel())
        elif isinstance(layer, nn.ConvTranspose2d):
            strides = math.prod(layer.stride)
            fan_in = layer.weight[:, 0].numel() / strides
        else:
            continue
        # On the meta device, torch would import its compiler, which takes seconds.
        if not layer.weight.is_meta:
            nn.init.normal_(layer.weight, std=math.sqrt(gain / fan_in))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    network: Any = nn.Sequential(*layers)
    # Convolutions of images with their channels last are faster.
    return network.to(memory_format=torch.channels_last)


# ---- networks of the users


def make_network(
    role: str,
    builder: Builder | None,
    n_in: int,
    n_out: int,
    default: Builder,
    image_shape: Sizes | None = None,
    kind: str = "",
) -> nn.Module:
    """Return the network of the user's builder, else of the default one, checked.

    For images of a shape, (height, width) or (channels, height, width), the default is a
    convolutional network of a kind, which is the role if it is not given.
    """
    if builder is None and image_shape is not None:
        shape = read_image_shape(image_shape)
        builder = partial(CONVOLUTIONAL[kind or role], image_shape=shape)
    builder = builder or default
    if isinstance(builder, nn.Module):
        raise ValueError(
            f"{role} must be a function (n_in, n_out) that returns a new network, but got the "
            f"network {type(builder).__name__}. Put it into a function."
        )
    network = builder(n_in, n_out)
    if any(weight.is_meta for weight in network.parameters()):
        return network  # only the shapes of weights are needed

    samples = torch.zeros(2, n_in, dtype=torch.float32)
    with torch.no_grad():
        output = network.eval()(samples)
    shape = tuple(getattr(output, "shape", ()))
    dtype = getattr(output, "dtype", None)
    if shape != (2, n_out) or dtype != torch.float32:
        raise ValueError(
            f"The {role} must map float32 samples (2, {n_in}) to a float32 tensor (2, {n_out}), "
            f"but got {type(output).__name__}, {shape}, {dtype}."
        )
    return network


def check_widths(name: str, values: Sequence[Any]) -> list[int]:
    """Return the values as a list of int; raise unless they are positive whole numbers."""
    widths: list[Any] = np.atleast_1d(values).tolist()
    for width in widths:
        if not isinstance(width, int) or width <= 0:
            raise ValueError(f"{name} must be positive whole numbers, got {widths}.")
    return widths


@contextmanager
def keep_running_statistics(network: nn.Module) -> Iterator[None]:
    """Within the block, batch normalization does not update its running statistics."""
    tracking = [
        layer
        for layer in network.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    for layer in tracking:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
