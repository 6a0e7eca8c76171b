"""Networks of generative adversarial games, with batch normalisation where it is usual.

Builders to hand to an estimator's ``generator`` and ``discriminator``, called as
``builder(n_in, n_out)``; rows go in and come out flat.

Reference: A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", ICLR 2016.
"""

from collections.abc import Sequence

from torch import nn

from .networks import ACTIVATIONS, mlp


def normalized_mlp(
    n_in: int,
    n_out: int,
    hidden_layer_sizes: Sequence[int] = (500, 500),
    activation: str = "relu",
) -> nn.Sequential:
    """Multi-layer perceptron with batch normalisation before each activation.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of features.
    hidden_layer_sizes : sequence of int, default=(500, 500)
        Widths of the hidden layers; empty for a linear map.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="relu"
        Applied after each hidden layer.

    Returns
    -------
    Sequential
    """
    layers: list[nn.Module] = []
    for layer in mlp(n_in, n_out, hidden_layer_sizes, activation):
        layers.append(layer)
        if isinstance(layer, nn.Linear):
            layers.append(nn.BatchNorm1d(layer.out_features))
    return nn.Sequential(*layers[:-1])
