"""Gaussian densities, mixtures and divergences. Each formula has its one home here.

Letters: N rows, D features, K clusters. A covariance is kept as a *scale that broadcasts*:

===========  ===================================  ================================
type         scales                               covariance of component k
===========  ===================================  ================================
full         (K, D, D) lower Cholesky factors     S_k S_k^T
tied         (1, D, D) one such factor            S S^T, the same for every k
diag         (K, D) standard deviations           diag(s_k^2)
spherical    (K, 1) standard deviations           s_k^2 I
===========  ===================================  ================================

Three axes mean matrices, two mean standard deviations; nothing else need be known to use a
mixture. Everything is differentiable, in float32 and in float64. The sums of EM are in
``moments.py``.

Reference: C. M. Bishop, Pattern Recognition and Machine Learning, sections 2.3 and 9.2.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

#: Covariance types whose scales are matrices.
MATRIX = ("full", "tied")


class Mixture(NamedTuple):
    """K weighted Gaussians: log_weights (K,), means (K, D), scales as in the table above."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def to(self, like: Tensor | torch.device | str | torch.dtype) -> "Mixture":
        """Return the mixture with another device or dtype."""
        return Mixture(*(field.to(like) for field in self))

    def covariances(self) -> Tensor:
        """S_k S_k^T, or s_k^2: of the shape of ``scales``."""
        return self.scales @ self.scales.mT if self.scales.ndim == 3 else self.scales.square()

    def precision_factors(self) -> Tensor:
        """U_k = S_k^-T, so that U_k U_k^T is the inverse covariance, or 1 / s_k."""
        if self.scales.ndim == 2:
            return self.scales.reciprocal()
        return _inverse(self.scales).mT

    def centre(self) -> Tensor:
        """sum_k pi_k mu_k, of shape (D,)."""
        return self.log_weights.exp() @ self.means


def scales_from_precisions(precisions: Tensor) -> Tensor:
    """Return the scales whose inverse covariances are given, both in the shapes of scales.

    P = U U^T with U upper triangular (Cholesky with rows and columns reversed), S = U^-T.
    """
    if precisions.ndim == 2:
        return precisions.rsqrt()
    factor = torch.linalg.cholesky(precisions.flip(-2, -1)).flip(-2, -1)
    return _inverse(factor.mT)


def _inverse(lower: Tensor) -> Tensor:
    """Inverses of lower triangular matrices."""
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)


def log_constant(scales: Tensor, n_features: int) -> Tensor:
    """Return log N at the mean: -log det S_k - D/2 log 2 pi, of shape (K,), or (1,) when tied."""
    if scales.ndim == 3:
        log_det = scales.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    else:
        log_det = scales.log().expand(-1, n_features).sum(-1)
    return -log_det - 0.5 * n_features * math.log(2 * math.pi)


def log_density_of(means: Tensor, scales: Tensor, constant: Tensor) -> Callable[..., Tensor]:
    """Return x -> constant_k - |S_k^-1 (x_n - mu_k)|^2 / 2, of shape (K, N).

    All that does not depend on x is done here, once. ``out`` may be lent (full), (K D, N).
    """
    if scales.ndim == 2:
        return _vector_log_density(means, scales, constant)
    whiten = _inverse(scales)
    if len(scales) < len(means):
        whitened = means @ whiten[0].T, torch.ones_like(means[:1, :1])
        spherical = _vector_log_density(*whitened, constant)
        return lambda x, out=None: spherical(x @ whiten[0].T)
    # One product for all components; a column of ones carries the means.
    rows = torch.cat([whiten, -whiten @ means.unsqueeze(-1)], -1).flatten(0, 1) * math.sqrt(0.5)

    def log_density(x: Tensor, out: Tensor | None = None) -> Tensor:
        columns = torch.cat([x.T, torch.ones_like(x[:, :1].T)])
        roots = torch.mm(rows, columns, out=out).unflatten(0, means.shape)
        return constant.unsqueeze(1) - roots.square_().sum(1)

    return log_density


def _vector_log_density(means: Tensor, stds: Tensor, constant: Tensor) -> Callable[..., Tensor]:
    """Do the same for standard deviations."""
    if means.dtype != torch.float64:
        # The expanded square below would lose the digits that single precision has.
        root, means, stds = math.sqrt(0.5), means.unsqueeze(1), stds.unsqueeze(1)
        return lambda x: constant.unsqueeze(1) - ((x - means) / stds * root).square().sum(-1)
    offset, factors = expanded(means, stds, constant)
    return lambda x: torch.addmm(offset, factors, torch.cat([x, x.square()], 1).T)


def expanded(means: Tensor, stds: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Return (K, 1) and (K, 2 D) by which the log-density is affine in x and its square."""
    precisions = stds.pow(-2).expand_as(means)
    linear = precisions * means
    offset = constant.unsqueeze(1) - 0.5 * (linear * means).sum(1, keepdim=True)
    return offset, torch.cat([linear, -0.5 * precisions], 1)


def density(mixture: Mixture) -> Callable[[Tensor], Tensor]:
    """Return x -> log_prob(x, mixture), with all that depends on the mixture alone done once."""
    _, means, scales = mixture
    # The shift changes no result but keeps the digits of data far from the origin.
    shift = means.detach().mean(0)
    constant = log_constant(scales, means.shape[1])
    log_density = log_density_of(means - shift, scales, constant)
    return lambda x: log_density(x - shift).T


def log_prob(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-density log N(x_n | mu_k, S_k S_k^T), of shape (N, K).

    Parameters
    ----------
    x : Tensor of shape (N, D)
    mixture : Mixture
        Its weights are not used.

    Returns
    -------
    Tensor of shape (N, K)

    Examples
    --------
    >>> import torch
    >>> standard = Mixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(1, 1))
    >>> apart, near = torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)
    >>> (log_prob(apart, standard) - log_prob(near, standard)).round()
    tensor([[-2.]])
    """
    return density(mixture)(x)


def log_joint(x: Tensor, mixture: Mixture) -> Tensor:
    """Log-joint log pi_k + log N(x_n | mu_k, S_k S_k^T), of shape (N, K).

    Its logsumexp over k is the log-likelihood of a row, its softmax over k the responsibilities.

    Parameters
    ----------
    x : Tensor of shape (N, D)
    mixture : Mixture

    Returns
    -------
    Tensor of shape (N, K)
    """
    return log_prob(x, mixture) + mixture.log_weights


def sample(mixture: Mixture, counts: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw ``counts[k]`` rows from component k, component after component.

    Parameters
    ----------
    mixture : Mixture
    counts : Tensor of shape (K,), integers
    generator : torch.Generator, optional
        The stream to draw from; it decides nothing else.

    Returns
    -------
    Tensor of shape (counts.sum(), D)
    """
    _, means, scales = mixture
    sizes = [int(count) for count in counts]
    noise = torch.randn(sum(sizes), means.shape[1], generator=generator, dtype=means.dtype)
    parts = zip(
        means,
        scales.expand(len(means), *scales.shape[1:]),
        noise.to(means.device).split(sizes),
        strict=True,
    )
    matrix = scales.ndim == 3
    return torch.cat([m + (z @ scale.T if matrix else z * scale) for m, scale, z in parts])


#: Times that codes short of a wanted confidence are drawn anew before they are moved.
DRAWS = 20
#: Halvings of the way to the mean, for those that are moved.
HALVINGS = 20


def confident_sample(
    mixture: Mixture, counts: Tensor, confidence: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw from each component rows that belong to it: p(k | x) >= confidence.

    Rows that fall short are drawn anew, and the few left after ``DRAWS`` times are moved straight
    towards the mean of their component, as little as it takes.

    Parameters
    ----------
    mixture : Mixture
    counts : Tensor of shape (K,), integers
    confidence : float
        0 draws as :func:`sample` does.
    generator : torch.Generator, optional

    Returns
    -------
    Tensor of shape (counts.sum(), D)
        Component after component.

    Raises
    ------
    ValueError
        If the mean of a component falls short itself.
    """
    own = torch.repeat_interleave(torch.arange(len(counts)), counts)

    def falls_short(x: Tensor, own: Tensor) -> Tensor:
        log_p = log_joint(x, mixture).log_softmax(-1)
        return log_p.gather(1, own[:, None]).squeeze(1).exp() < confidence

    centres = mixture.means[own]
    hidden = own[falls_short(centres, own)]
    if len(hidden):
        raise ValueError(
            f"Cluster {int(hidden[0])} overlaps others so much that not even its mean reaches a "
            f"confidence of {confidence}. Ask for less."
        )
    x = sample(mixture, counts, generator)
    for _ in range(DRAWS):
        short = falls_short(x, own).nonzero().squeeze(1)
        if len(short) == 0:
            return x
        x[short] = sample(mixture, own[short].bincount(minlength=len(counts)), generator)
    # Shares of the way from the mean: near suffices always, far only for rows not to be moved.
    far = torch.ones(len(x), 1, dtype=x.dtype)
    near = far - falls_short(x, own)[:, None].to(x.dtype)
    for _ in range(HALVINGS):
        half = (near + far) / 2
        short = falls_short(centres + half * (x - centres), own)[:, None]
        near, far = torch.where(short, near, half), torch.where(short, half, far)
    return centres + near * (x - centres)


def kl_diag(mean: Tensor, std: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(mu_k, diag s_k^2)), in nats, of shape (N, K).

    sum_d [ (std_nd^2 + (mean_nd - mu_kd)^2) / s_kd^2 - 1 ] / 2 - log(std_nd / s_kd)

    Parameters
    ----------
    mean, std : Tensor of shape (N, D)
    means : Tensor of shape (K, D)
    stds : Tensor of shape (K, D) or (K, 1)

    Returns
    -------
    Tensor of shape (N, K)

    Examples
    --------
    >>> import torch
    >>> zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    >>> kl_diag(zero + 2, one, zero, one)
    tensor([[6.]])
    """
    ratio = std.unsqueeze(1) / stds
    apart = (mean.unsqueeze(1) - means) / stds
    return (0.5 * (ratio.square() + apart.square() - 1) - ratio.log()).sum(-1)


def standard_kl(mean: Tensor, std: Tensor) -> Tensor:
    """KL(N(mean_n, diag std_n^2) || N(0, I)), in nats, of shape (N,).

    Parameters
    ----------
    mean, std : Tensor of shape (N, D)

    Returns
    -------
    Tensor of shape (N,)
    """
    return kl_diag(mean, std, torch.zeros_like(mean[:1]), torch.ones_like(std[:1])).squeeze(1)
