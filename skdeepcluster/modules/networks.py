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
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..functional import random

#: Activations by their scikit-learn names.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
}

#: Dtype of the networks, whatever torch's default is.
FLOAT = torch.float32

Builder = Callable[[int, int], nn.Module]
Sizes = Sequence[int]
#: (channels, height, width).
Shape = tuple[int, int, int]


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
    widths = [n_in, *hidden_layer_sizes]
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers += [
            nn.Linear(width_in, width_out, dtype=FLOAT),
            ACTIVATIONS[activation](),
        ]
    gain = 1.0 if activation == "tanh" else 2.0
    return _initialize(
        nn.Sequential(*layers, nn.Linear(widths[-1], n_out, dtype=FLOAT)), gain
    )


def normalized_mlp(
    n_in: int,
    n_out: int,
    hidden_layer_sizes: Sequence[int] = (500, 500),
    activation: str = "leaky_relu",
    noise: float = 0.0,
) -> nn.Sequential:
    """Multilayer perceptron with batch normalization, and noise before linear layers.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features.
    hidden_layer_sizes : sequence of int, default=(500, 500)
        Widths of the hidden layers.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the hidden layers, after their normalization.
    noise : float, default=0.0
        Standard deviation of the noise added in training to the input of every linear layer.

    Returns
    -------
    Sequential
    """
    widths = [n_in, *hidden_layer_sizes]
    noises = [GaussianNoise(noise)] if noise else []
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        linear = nn.Linear(width_in, width_out, bias=False, dtype=FLOAT)
        normalize = nn.BatchNorm1d(width_out, dtype=FLOAT)
        layers += [*noises, linear, normalize, ACTIVATIONS[activation]()]
    return _initialize(
        nn.Sequential(*layers, *noises, nn.Linear(widths[-1], n_out, dtype=FLOAT))
    )


class GaussianNoise(nn.Module):
    """Adds noise of standard deviation ``std`` in training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise."""
        return x + self.std * random.randn_like(x) if self.training else x


@torch.no_grad()
def set_linear(
    network: nn.Sequential, reduce: Tensor, expand: Tensor, bias: Tensor
) -> None:
    """Initialize a perceptron of :func:`mlp` to the map x -> expand @ (reduce @ x) + bias.

    ``reduce`` is (q, n_in). Hidden layers, at least 2 q wide, carry ``reduce @ x`` and its
    negation, because a(t) - a(-t) is about t times a constant for all activations ("looks-linear":
    D. Balduzzi et al., "The shattered gradients problem", ICML 2017).
    """
    *hidden, last = (layer for layer in network if isinstance(layer, nn.Linear))
    q, read = len(reduce), reduce
    for i, layer in enumerate(hidden):
        layer.weight[: 2 * q] = torch.cat([read, -read])
        layer.bias[: 2 * q] = 0
        one = network[2 * i + 1](reduce.new_tensor([1.0, -1.0]))
        unit = torch.eye(q, layer.out_features, dtype=read.dtype, device=read.device)
        unit = unit / (one[0] - one[1])
        read = unit - unit.roll(q, 1)
    last.weight.copy_(expand @ read)
    last.bias.copy_(bias)


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
    stages, n_flat = _stages(n_in, image_shape, channels, "relu", normalized=False)
    hidden = nn.Linear(n_flat, n_hidden, dtype=FLOAT)
    linear = nn.Linear(n_hidden, n_out, dtype=FLOAT)
    return _initialize(nn.Sequential(*stages, hidden, nn.ReLU(), linear))


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
    return _mirror(n_in, n_out, image_shape, channels, n_hidden, normalized=False)


def conv_discriminator(
    n_in: int, n_out: int, image_shape: Shape, channels: Sizes = (64, 128)
) -> nn.Sequential:
    """Convolutional discriminator without its last layer, as InfoGAN's for MNIST.

    Stages halve height and width (kernel 4, stride 2), with leaky rectifiers and batch
    normalization after all stages except the first; one linear layer follows.

    Parameters
    ----------
    n_in, n_out, image_shape, channels
        As in :func:`conv_encoder`.

    Returns
    -------
    Sequential
    """
    stages, n_flat = _stages(n_in, image_shape, channels, "leaky_relu", True)
    linear = nn.Linear(n_flat, n_out, dtype=FLOAT)
    return _initialize(
        nn.Sequential(*stages, linear, nn.BatchNorm1d(n_out, dtype=FLOAT))
    )


def conv_generator(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes = (64, 128),
    n_hidden: int = 1024,
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
    return _mirror(n_in, n_out, image_shape, channels, n_hidden, normalized=True)


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
    return nn.Sequential(body, ACTIVATIONS["leaky_relu"](), mlp(n_hidden, n_out, ()))


#: Convolutional networks by their kinds.
CONVOLUTIONAL: dict[str, Callable[..., nn.Module]] = {
    "encoder": conv_encoder,
    "decoder": conv_decoder,
    "classifier": conv_classifier,
    "discriminator": partial(conv_discriminator, channels=(32, 64)),
    "generator": partial(conv_generator, channels=(32, 64), n_hidden=256),
}


def _stages(
    n_in: int, image_shape: Shape, channels: Sizes, activation: str, normalized: bool
) -> tuple[list[nn.Module], int]:
    """Return layers that halve an image for each of the channels, and the size of their output."""
    height, width = _shape_after_stages(n_in, image_shape, channels)
    maps = [image_shape[0], *channels]
    layers: list[nn.Module] = [nn.Unflatten(1, image_shape)]
    for stage, (maps_in, maps_out) in enumerate(pairwise(maps)):
        layers.append(nn.Conv2d(maps_in, maps_out, 4, stride=2, padding=1, dtype=FLOAT))
        if normalized and stage:
            layers.append(nn.BatchNorm2d(maps_out, dtype=FLOAT))
        layers.append(ACTIVATIONS[activation]())
    return [*layers, nn.Flatten()], maps[-1] * height * width


def _mirror(
    n_in: int,
    n_out: int,
    image_shape: Shape,
    channels: Sizes,
    n_hidden: int,
    normalized: bool,
) -> nn.Sequential:
    """Return two linear layers, and layers that double an image for each channel, last first."""
    height, width = _shape_after_stages(n_out, image_shape, channels)
    maps = [image_shape[0], *channels][::-1]
    layers: list[nn.Module] = [nn.Linear(n_in, n_hidden, dtype=FLOAT)]
    layers += (
        [nn.BatchNorm1d(n_hidden, dtype=FLOAT), nn.ReLU()]
        if normalized
        else [nn.ReLU()]
    )
    layers += [nn.Linear(n_hidden, maps[0] * height * width, dtype=FLOAT)]
    layers += [nn.Unflatten(1, (maps[0], height, width))]
    for maps_in, maps_out in pairwise(maps):
        layers += (
            [nn.BatchNorm2d(maps_in, dtype=FLOAT), nn.ReLU()]
            if normalized
            else [nn.ReLU()]
        )
        layers += [
            nn.ConvTranspose2d(maps_in, maps_out, 4, stride=2, padding=1, dtype=FLOAT)
        ]
    return _initialize(nn.Sequential(*layers, nn.Flatten()))


def _shape_after_stages(
    n_features: int, image_shape: Sizes, channels: Sizes
) -> tuple[int, int]:
    """Return height and width after the last stage; raise if they cannot be halved so often."""
    size = math.prod(image_shape)
    if len(image_shape) != 3 or size != n_features:
        raise ValueError(
            f"image_shape={tuple(image_shape)} has {size} values, but the samples have "
            f"{n_features} features. Give (channels, height, width) of the images in X."
        )
    _, height, width = image_shape
    factor = 2 ** len(channels)
    if height % factor or width % factor:
        raise ValueError(
            f"Images of {height} x {width} cannot be halved {len(channels)} times. Use fewer "
            f"channels than {tuple(channels)}, or pad the images to a multiple of {factor}."
        )
    return height // factor, width // factor


def _initialize(network: nn.Sequential, gain: float = 2.0) -> nn.Sequential:
    """Draw weights from N(0, gain / fan_in), so that layers keep the variance of their inputs.

    The gain is 2 for rectifiers (He et al., 2015). With torch's smaller weights, deep decoders
    ignore the code.
    """
    for layer in network:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan_in = float(layer.weight[0].numel())
        elif isinstance(layer, nn.ConvTranspose2d):
            fan_in = layer.weight[:, 0].numel() / math.prod(layer.stride)
        else:
            continue
        if (
            not layer.weight.is_meta
        ):  # where torch would import its compiler, for seconds
            nn.init.normal_(layer.weight, std=math.sqrt(gain / fan_in))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


# ---- networks of the users


def choose_builder(
    builder: Builder | None, kind: str, image_shape: Sizes | None
) -> Builder | None:
    """Return the user's builder, or a convolutional one of a kind for images that have a shape.

    ``image_shape`` is (height, width) or (channels, height, width).
    """
    if builder is not None or image_shape is None:
        return builder
    shape = check_widths("image_shape", image_shape)
    return partial(
        CONVOLUTIONAL[kind], image_shape=tuple([1] * (3 - len(shape)) + shape)
    )


def make_network(
    role: str,
    builder: Builder | None,
    n_in: int,
    n_out: int,
    widths: Sizes,
    activation: str,
    image_shape: Sizes | None = None,
) -> nn.Module:
    """Return the network of the user's builder, by default a perceptron of these widths.

    A "decoder" has them in reverse, a "discriminator" has the first two. With ``image_shape``,
    the default is convolutional.
    """
    builder = choose_builder(builder, role, image_shape)
    if builder is not None:
        return build_network(role, builder, n_in, n_out)
    widths = {"decoder": widths[::-1], "discriminator": widths[:2]}.get(role, widths)
    return mlp(n_in, n_out, widths, activation)


def build_network(role: str, builder: Builder, n_in: int, n_out: int) -> nn.Module:
    """Call a builder; raise unless its network maps (N, n_in) to (N, n_out), float32."""
    if isinstance(builder, nn.Module):
        raise ValueError(
            f"{role} must be a function (n_in, n_out) that returns a new network, but got the "
            f"network {type(builder).__name__}. Put it into a function."
        )
    asked = f"{role}(n_in={n_in}, n_out={n_out})"
    try:
        network = builder(n_in, n_out)
        if any(parameter.is_meta for parameter in network.parameters()):
            return network  # only shapes of weights are asked for
        with torch.no_grad():
            found = network.eval()(torch.zeros(2, n_in, dtype=torch.float32))
    except Exception as error:
        raise ValueError(
            f"{asked} gave no network that takes samples: {error}"
        ) from error
    shape, dtype = tuple(getattr(found, "shape", ())), getattr(found, "dtype", None)
    if shape != (2, n_out) or dtype != torch.float32:
        raise ValueError(
            f"{asked} must return a network from float32 samples of shape (2, {n_in}) to a float32"
            f" tensor of shape (2, {n_out}), but got {type(found).__name__}, {shape}, {dtype}."
        )
    return network


def check_widths(name: str, values: Sequence[Any]) -> list[int]:
    """Return the values as a list of int; raise unless they are positive whole numbers."""
    widths: list[Any] = list(values) if getattr(values, "ndim", 1) else [values]
    if not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
        raise ValueError(f"{name} must be positive whole numbers, got {widths}.")
    return [int(width) for width in widths]


@contextmanager
def keep_running_statistics(network: nn.Module) -> Iterator[None]:
    """Within the block, batch normalization does not update its running statistics."""
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    tracking = [layer for layer in norms if layer.track_running_stats]
    for layer in tracking:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
