"""Networks of generative adversarial games, with batch normalisation where it is usual.

Builders to hand to an estimator's ``generator`` and ``discriminator``, called as
``builder(n_in, n_out)``; rows go in and come out flat.

Reference: A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", ICLR 2016.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .networks import ACTIVATIONS, _keep_signal, _smallest_map


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


def conv_discriminator(
    n_in: int,
    n_out: int,
    image_shape: tuple[int, int, int],
    channels: Sequence[int] = (64, 128),
) -> nn.Sequential:
    """Convolutional body of a discriminator, for images stored as flat rows.

    As InfoGAN's for MNIST: stages that halve height and width (kernel 4, stride 2), leaky
    rectifiers, batch normalisation after all stages but the first; one linear layer.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features; the estimator gives them.
    image_shape : (channels, height, width)
        How a row is an image; height and width divisible by ``2 ** len(channels)``.
    channels : sequence of int, default=(64, 128)
        Feature maps after each stage.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> import torch
    >>> conv_discriminator(784, 1024, image_shape=(1, 28, 28))(torch.zeros(3, 784)).shape
    torch.Size([3, 1024])
    """
    height, width = _smallest_map(n_in, image_shape, channels)
    maps = [image_shape[0], *channels]
    layers: list[nn.Module] = [nn.Unflatten(1, image_shape)]
    for stage, (maps_in, maps_out) in enumerate(zip(maps[:-1], maps[1:], strict=True)):
        layers.append(nn.Conv2d(maps_in, maps_out, 4, stride=2, padding=1))
        layers += [nn.BatchNorm2d(maps_out)] if stage else []
        layers.append(nn.LeakyReLU(0.1))
    linear = nn.Linear(maps[-1] * height * width, n_out)
    return _keep_signal(nn.Sequential(*layers, nn.Flatten(), linear, nn.BatchNorm1d(n_out)))


def conv_generator(
    n_in: int,
    n_out: int,
    image_shape: tuple[int, int, int],
    channels: Sequence[int] = (64, 128),
    n_hidden: int = 1024,
) -> nn.Sequential:
    """Convolutional generator, the mirror of :func:`conv_discriminator`.

    As InfoGAN's for MNIST: two linear layers, then transposed convolutions that double height
    and width, batch normalisation and rectifiers between them.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features; the estimator gives them.
    image_shape : (channels, height, width)
        How a row is an image; height and width divisible by ``2 ** len(channels)``.
    channels : sequence of int, default=(64, 128)
        Feature maps, the last first.
    n_hidden : int, default=1024
        Width of the hidden linear layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> import torch
    >>> conv_generator(74, 784, image_shape=(1, 28, 28))(torch.zeros(3, 74)).shape
    torch.Size([3, 784])
    """
    height, width = _smallest_map(n_out, image_shape, channels)
    maps = [image_shape[0], *channels][::-1]
    n_first = maps[0] * height * width
    layers: list[nn.Module] = [nn.Linear(n_in, n_hidden), nn.BatchNorm1d(n_hidden), nn.ReLU()]
    layers += [nn.Linear(n_hidden, n_first), nn.Unflatten(1, (maps[0], height, width))]
    for maps_in, maps_out in zip(maps[:-1], maps[1:], strict=True):
        layers += [nn.BatchNorm2d(maps_in), nn.ReLU()]
        layers.append(nn.ConvTranspose2d(maps_in, maps_out, 4, stride=2, padding=1))
    return _keep_signal(nn.Sequential(*layers, nn.Flatten()))


@torch.no_grad()
def renew_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Make batch normalisation normalise by these batches alone when it is not training.

    The discriminator of a game sees real and generated rows in turn, and its running statistics
    are a mixture that fits neither; answers are about real rows.

    Parameters
    ----------
    network : Module
        Left in evaluation mode.
    batches : iterable of Tensor
        What the network takes.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    for batch in batches:
        network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Batches seen inside are normalised by themselves, but leave no trace in the averages.

    What answers are normalised by stays an average over real rows, whatever else a network has
    to judge in training.
    """
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
