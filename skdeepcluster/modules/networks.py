"""Default networks, and builders to hand to an estimator's ``encoder`` and ``decoder``.

An estimator calls a builder as ``builder(n_in, n_out)`` with numbers of features; rows go in and
come out flat, (N, n_in) -> (N, n_out).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

#: Activations by their scikit-learn names.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
}

Builder = Callable[[int, int], nn.Module]


def mlp(
    n_in: int,
    n_out: int,
    hidden_layer_sizes: Sequence[int] = (500, 500, 2000),
    activation: str = "relu",
) -> nn.Sequential:
    """Multi-layer perceptron: linear layers with an activation between them.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features.
    hidden_layer_sizes : sequence of int, default=(500, 500, 2000)
        Widths of the hidden layers; empty for a linear map.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="relu"
        Applied after each hidden layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> mlp(4, 2, (8,))
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    widths = [n_in, *hidden_layer_sizes]
    layers: list[nn.Module] = []
    for width_in, width_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(width_in, width_out), ACTIVATIONS[activation]()]
    gain = 1.0 if activation == "tanh" else 2.0
    return _keep_signal(nn.Sequential(*layers, nn.Linear(widths[-1], n_out)), gain)


def conv_encoder(
    n_in: int,
    n_out: int,
    image_shape: tuple[int, int, int],
    channels: Sequence[int] = (32, 64),
    n_hidden: int = 256,
) -> nn.Sequential:
    """Convolutional encoder for images stored as flat rows.

    Each stage halves height and width (kernel 4, stride 2); two linear layers follow. Use it as
    ``encoder=partial(conv_encoder, image_shape=(1, 28, 28))``.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features; the estimator gives them.
    image_shape : (channels, height, width)
        How a row is an image; height and width divisible by ``2 ** len(channels)``.
    channels : sequence of int, default=(32, 64)
        Feature maps after each stage.
    n_hidden : int, default=256
        Width of the hidden linear layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> import torch
    >>> network = conv_encoder(784, 20, image_shape=(1, 28, 28))
    >>> network(torch.zeros(3, 784)).shape
    torch.Size([3, 20])
    """
    height, width = _smallest_map(n_in, image_shape, channels)
    maps = [image_shape[0], *channels]
    layers: list[nn.Module] = [nn.Unflatten(1, image_shape)]
    for maps_in, maps_out in zip(maps[:-1], maps[1:], strict=True):
        layers += [nn.Conv2d(maps_in, maps_out, 4, stride=2, padding=1), nn.ReLU()]
    network = nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(maps[-1] * height * width, n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_out),
    )
    return _keep_signal(network)


def conv_decoder(
    n_in: int,
    n_out: int,
    image_shape: tuple[int, int, int],
    channels: Sequence[int] = (32, 64),
    n_hidden: int = 256,
) -> nn.Sequential:
    """Mirror image of :func:`conv_encoder`, from a code to a flat image.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features; the estimator gives them.
    image_shape : (channels, height, width)
        How a row is an image; height and width divisible by ``2 ** len(channels)``.
    channels : sequence of int, default=(32, 64)
        As given to the encoder.
    n_hidden : int, default=256
        Width of the hidden linear layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> import torch
    >>> network = conv_decoder(10, 784, image_shape=(1, 28, 28))
    >>> network(torch.zeros(3, 10)).shape
    torch.Size([3, 784])
    """
    height, width = _smallest_map(n_out, image_shape, channels)
    maps = [image_shape[0], *channels][::-1]
    layers: list[nn.Module] = []
    for maps_in, maps_out in zip(maps[:-1], maps[1:], strict=True):
        layers += [nn.ReLU(), nn.ConvTranspose2d(maps_in, maps_out, 4, stride=2, padding=1)]
    network = nn.Sequential(
        nn.Linear(n_in, n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, maps[0] * height * width),
        nn.Unflatten(1, (maps[0], height, width)),
        *layers,
        nn.Flatten(),
    )
    return _keep_signal(network)


def _keep_signal(network: nn.Sequential, gain: float = 2.0) -> nn.Sequential:
    """Scale weights so that layers keep the variance of what goes through (He et al., 2015).

    ``gain`` undoes what the activation takes: 2 for rectifiers. With torch's defaults a code
    shrinks so much on its way through deep networks that training learns to do without it.
    """
    for layer in network:
        if isinstance(layer, nn.Linear):
            fan_in = float(layer.in_features)
        elif isinstance(layer, nn.Conv2d):
            fan_in = float(layer.weight[0].numel())
        elif isinstance(layer, nn.ConvTranspose2d):
            fan_in = layer.weight[:, 0].numel() / math.prod(layer.stride)
        else:
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(gain / fan_in))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


def _smallest_map(
    n_features: int, image_shape: tuple[int, int, int], channels: Sequence[int]
) -> tuple[int, int]:
    """Height and width after the last halving, or a clear error."""
    _, height, width = image_shape
    factor = 2 ** len(channels)
    if math.prod(image_shape) != n_features:
        raise ValueError(
            f"image_shape={tuple(image_shape)} has {math.prod(image_shape)} values, but a row has "
            f"{n_features} features. Give (channels, height, width) of the images in X."
        )
    if height % factor or width % factor:
        raise ValueError(
            f"Images of {height} x {width} cannot be halved {len(channels)} times. Use fewer "
            f"channels than {tuple(channels)}, or pad the images to a multiple of {factor}."
        )
    return height // factor, width // factor


class GaussianNoise(nn.Module):
    """Adds normal noise in training, and nothing in answers.

    Parameters
    ----------
    std : float
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Add noise of mean zero."""
        return x + self.std * torch.randn_like(x) if self.training else x

    def extra_repr(self) -> str:
        """Show the size of the noise."""
        return f"std={self.std}"


def normalised_mlp(
    n_in: int,
    n_out: int,
    hidden_layer_sizes: Sequence[int] = (500, 500),
    activation: str = "leaky_relu",
    noise: float = 0.0,
) -> nn.Sequential:
    """Multi-layer perceptron with batch normalisation, and noise in front of linear layers.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features.
    hidden_layer_sizes : sequence of int, default=(500, 500)
        Widths of the hidden layers.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Applied after each hidden layer's normalisation.
    noise : float, default=0.0
        Standard deviation of the noise that training adds to the input of every linear layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> [type(layer).__name__ for layer in normalised_mlp(4, 2, (8,), noise=0.1)]
    ['GaussianNoise', 'Linear', 'BatchNorm1d', 'LeakyReLU', 'GaussianNoise', 'Linear']
    """
    widths = [n_in, *hidden_layer_sizes]
    noises = [GaussianNoise(noise)] if noise else []
    layers: list[nn.Module] = []
    for width_in, width_out in zip(widths[:-1], widths[1:], strict=True):
        linear = nn.Linear(width_in, width_out, bias=False)
        layers += [*noises, linear, nn.BatchNorm1d(width_out), ACTIVATIONS[activation]()]
    return _keep_signal(nn.Sequential(*layers, *noises, nn.Linear(widths[-1], n_out)))


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Batches seen inside are normalised by themselves, but leave no trace in the averages.

    What answers are normalised by stays an average over real rows, whatever else a network has
    to judge in training.
    """
    tracking = [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats
    ]
    for layer in tracking:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
