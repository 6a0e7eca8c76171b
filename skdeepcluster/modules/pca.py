"""Perceptrons that begin as linear maps, and autoencoders that begin as probabilistic PCA."""

from typing import Any

import torch
from torch import Tensor

from .codes import Autoencoder, CodeModel, GaussianEncoder


@torch.no_grad()
def set_linear(
    network: Any,
    reduce: Tensor,
    expand: Tensor,
    bias: Tensor,
) -> None:
    """Initialize a perceptron to the map x -> expand @ (reduce @ x) + bias.

    ``reduce`` is (q, n_in). Hidden layers, at least 2 q wide, carry ``reduce @ x`` and its
    negation, because a(t) - a(-t) is about t times a constant for all activations ("looks-linear":
    D. Balduzzi et al., "The shattered gradients problem", ICML 2017).
    """
    q = len(reduce)
    read = reduce
    for layer, activation in zip(network[:-1:2], network[1::2], strict=True):
        layer.weight[: 2 * q] = torch.cat([read, -read])
        layer.bias[: 2 * q] = 0

        up, down = activation(reduce.new_tensor([1.0, -1.0]))
        unit = reduce.new_zeros(q, layer.out_features)
        unit = unit.fill_diagonal_(1) / (up - down)
        read = unit - unit.roll(q, 1)
    network[-1].weight.copy_(expand @ read)
    network[-1].bias.copy_(bias)


@torch.no_grad()
def start_as_pca(
    model: Autoencoder | CodeModel,
    mean: Tensor,
    axes: Tensor,
    variances: Tensor,
    noise_variance: float,
) -> None:
    """Initialize perceptrons to probabilistic PCA, the optimum of linear networks.

    ``mean`` (D,), ``axes`` (q, D) and ``variances`` (q,) describe the first q <= L principal
    components of the standardized samples; ``noise_variance`` > 0 is the variance along all other
    axes. Hidden layers must be at least 2 q wide.

    With W = axes^T (variances - s)^(1/2), s the noise variance, the decoder gives W z + mean. The
    encoder gives the exact posterior N(W^T (x_std - mean) / variances, s / variances), or its mean
    if it is a PointEncoder. The remaining codes begin as their prior (M. Tipping, C. Bishop,
    JRSS B 1999).
    """
    encoder = model.encoder.network
    decoder: Any = model.decoder
    n_outputs = encoder[-1].out_features
    n_codes = decoder[0].in_features
    q = len(axes)
    stretch = (variances - noise_variance).clamp_min(0).sqrt()
    variances = stretch.square() + noise_variance
    eye = mean.new_zeros(n_outputs, q).fill_diagonal_(1)

    reduce = (stretch / variances)[:, None] * axes
    bias = mean.new_zeros(n_outputs)
    bias[:q] = -reduce @ mean
    if isinstance(model.encoder, GaussianEncoder):
        bias[n_codes : n_codes + q] = (noise_variance / variances).log()
        bias[n_codes:] -= GaussianEncoder.LOG_VAR
    set_linear(encoder, reduce, eye, bias)

    output, slope = model.likelihood.link(mean)
    expand = slope.float()[:, None] * axes.T * stretch
    reduce = eye[:n_codes].T
    set_linear(decoder, reduce, expand, output.float())
