"""Codes of samples: encoders, autoencoders, and Gaussian mixtures of codes.

Letters: N samples, D features, K clusters, L code length, S samples of z. ``x`` is in the units of
the data, ``x_std`` is standardized by the likelihood for the networks.
"""

from abc import ABC, abstractmethod
from functools import partial

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ..functional.gaussian import Mixture, log_joint, standard_kl
from ..functional.points import balanced_points, clear_sample
from ..mixture import em
from ..nn.model import (
    NO_REGULARIZER,
    ClusterModel,
    OptimizerGroup,
    TrainableModel,
    observed,
)
from ..nn.runtime import draw_generator, isolated, multinomial, randn_like

#: Number of samples of z in one call of the decoder.
SAMPLES_AT_ONCE = 16


# ---- encoders


class Encoder(nn.Module, ABC):
    """Codes of standardized samples, by a network."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    @abstractmethod
    def moments(self, x_std):
        """Mean and standard deviation of the code, (N, L) each."""

    def mean(self, x_std):
        """Code of each sample, or the mean of its posterior, (N, L)."""
        return self.moments(x_std)[0]


class PointEncoder(Encoder):
    """A deterministic code, from a network (N, D) -> (N, L)."""

    def forward(self, x_std):
        """Code, (N, L)."""
        return self.network(x_std)

    def moments(self, x_std):
        """Code and zeros, (N, L) each."""
        code = self(x_std)
        return code, torch.zeros_like(code)


class GaussianEncoder(Encoder):
    """q(z | x) = N(mean(x), diag std(x)^2), from a network (N, D) -> (N, 2 L)."""

    #: Added to the network's log-variances: at unit variance, noise would exceed the differences
    #: between the pretrained means.
    LOG_VAR = -4.0

    def moments(self, x_std):
        """Mean and standard deviation of the code, (N, L) each."""
        mean, log_var = self.network(x_std).chunk(2, dim=-1)
        log_var = (log_var + self.LOG_VAR).clamp(-16.0, 16.0)
        return mean, (0.5 * log_var).exp()

    forward = moments


# ---- autoencoders


class Autoencoder(TrainableModel):
    """Autoencoder that pretrains networks; variational if the encoder is Gaussian.

    Minimizes -E log p(x | decoder(z)), and the divergence of q(z | x) from N(0, I), whose weight
    rises to 1 in the first half of training. With ``squares`` it minimizes the mean squared error
    of the decoder's outputs, without noise (J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep
    embedding for clustering analysis", ICML 2016).
    """

    rates = {"likelihood.*": 10.0}
    weight_decay = 1e-4

    def __init__(self, encoder, decoder, likelihood, squares=False):
        super().__init__()
        self.squares = squares
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood

    def encode(self, x):
        """Code of each sample, or the mean of its posterior, (N, L)."""
        return self.encoder.mean(self.likelihood.standardize(x))

    def loss(self, batch):
        """Mean negative log-likelihood, or squared error, of the reconstructed samples."""
        x_std = self.likelihood.standardize(batch.x)
        code, std = self.encoder.moments(x_std)
        if self.squares:
            decoded = observed(self.decoder(code), batch.x)
            return {"reconstruction": mse_loss(decoded, x_std)}
        terms = {}
        if isinstance(self.encoder, GaussianEncoder):
            weight = (2 * self.progress).clamp(max=1.0)
            terms["kl"] = weight * standard_kl(code, std).mean()
            code = code + std * randn_like(std)
        log_x = self.likelihood.log_prob(batch.x, self.decoder(code))
        return {"reconstruction": -log_x.mean()} | terms

    def optimizer_groups(self):
        """One loss of all parameters."""
        return (OptimizerGroup("autoencoder", [self], self.loss),)


class CodeModel(ClusterModel):
    """A model that encodes standardized samples, and decodes codes (N, L) to (N, D).

    Parameters
    ----------
    encoder : Encoder, of standardized samples
    decoder : Module, (N, L) -> (N, D)
    likelihood : Likelihood
    regularizer : Regularizer, default=NO_REGULARIZER
        Terms that keep the assignment near an initial partition.
    """

    rates = {"likelihood.*": 10.0}

    def __init__(self, encoder, decoder, likelihood, regularizer=NO_REGULARIZER):
        super().__init__(likelihood)
        self.encoder = encoder
        self.decoder = decoder
        self.regularizer = regularizer

    @abstractmethod
    def set_mixture(self, mixture):
        """Set the clusters to a mixture of codes."""

    def encode(self, x):
        """Code of each sample, or the mean of its posterior, (N, L)."""
        return self.encoder.mean(self.standardize(x))

    def mean_and_variance(self, x):
        """Mean of the code of each sample, then its variance, (N, 2 L)."""
        mean, std = self.encoder.moments(self.standardize(x))
        return torch.cat([mean, std.square()], 1)

    def decode(self, z):
        """E[x | z] in the units of the data, (N, D)."""
        return self.likelihood.mean(self.decoder(z))

    def posterior(self, x):
        """Return the encoder's output: mean and std of q(z | x) by a GaussianEncoder."""
        return self.encoder(self.standardize(x))

    def log_prob(self, x, z):
        """Log p(x | z) of each sample, (N,)."""
        return self.likelihood.log_prob(x, self.decoder(z))


# ---- bounds on the likelihood


def decode_samples(model, x, mean, std, blocks):
    """Yield each block (S, 1 or N, L) of normal points, codes z, and log p(x | z) (S, N).

    z = mean + std * points, with mean and std (N, L) of q(z | x) for samples x (N, D).
    """
    for block in blocks:
        z = mean + std * block.float()
        decoded = model.decoder(z.flatten(0, 1))
        decoded = decoded.unflatten(0, z.shape[:2])
        yield block, z, model.likelihood.log_prob(x, decoded)


def evidence_bound(model, x, divergence, points=None):
    """ELBO of each sample, (N,), float64: E_q[log p(x | z)] - divergence(mean, std) of q(z | x).

    The expectation is the mean over z = mean + std * points, with points (S, L), by default fixed
    :func:`balanced_points`.
    """
    mean, std = model.posterior(x)
    if points is None:
        n_codes = mean.shape[1]
        n_pairs = max(32, 4 * n_codes)
        points = balanced_points(n_pairs, n_codes).to(mean.device)

    blocks = points[:, None].split(SAMPLES_AT_ONCE)
    total = x.new_zeros(len(x), dtype=torch.float64)
    for _, _, log_x in decode_samples(model, x, mean, std, blocks):
        total += log_x.double().sum(0)
    expected = total / len(points)
    return expected - divergence(mean.double(), std.double())


# ---- mixtures of codes


class CodeMixture(nn.Module):
    """A mixture found by EM on the codes of a network; buffers keep its precision."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def __init__(self):
        super().__init__()
        for name in Mixture._fields:
            self.register_buffer(name, None)

    def set_mixture(self, mixture):
        """Keep a mixture."""
        for name, value in mixture._asdict().items():
            setattr(self, name, value)

    @property
    def mixture(self):
        """The mixture, on the device of the module."""
        return Mixture(self.log_weights, self.means, self.scales)

    def log_resp(self, z):
        """Log p(k | z), (N, K)."""
        z = z.to(self.means.dtype)
        return log_joint(z, self.mixture).log_softmax(-1)


class MixturePrior(nn.Module):
    """Mixture of diagonal Gaussians over codes, learned by gradient: Cat(pi), N(mu_c, diag s_c^2).

    All components begin as N(0, I); :meth:`set_mixture` copies a mixture found by EM. Variances
    stay above ``floor`` times their mean in that mixture, because codes would otherwise collapse
    onto means.
    """

    #: Minimum log-variance, ().
    least: Tensor

    #: Bounds of the log-variances.
    LOG_VAR = (-12.0, 12.0)

    def __init__(self, n_clusters, n_components, floor=0.0):
        super().__init__()
        zeros = partial(torch.zeros, dtype=torch.float32)
        shape = (n_clusters, n_components)
        self.floor = floor
        least = torch.tensor(self.LOG_VAR[0], dtype=torch.float32)
        self.register_buffer("least", least)
        self.logits = nn.Parameter(zeros(n_clusters))
        self.means = nn.Parameter(zeros(shape))
        self.log_vars = nn.Parameter(zeros(shape))

    @torch.no_grad()
    def set_mixture(self, mixture):
        """Copy weights, means and standard deviations from a diagonal mixture."""
        self.logits.copy_(mixture.log_weights)
        self.means.copy_(mixture.means)
        self.log_vars.copy_(2 * mixture.scales.log())
        least = torch.log(self.floor * mixture.covariances().mean())
        self.least.copy_(least.clamp_min(self.LOG_VAR[0]))

    @property
    def mixture(self):
        """Log-weights, means and standard deviations, as functions of the parameters."""
        log_vars = torch.maximum(self.log_vars, self.least)
        stds = (0.5 * log_vars.clamp_max(self.LOG_VAR[1])).exp()
        return Mixture(self.logits.log_softmax(-1), self.means, stds)

    @torch.no_grad()
    def separation(self):
        """Maximum share of the variance between components, over the dimensions of the codes."""
        mixture = self.mixture
        weights = mixture.log_weights.exp()[:, None]
        within = (weights * mixture.covariances()).sum(0)
        _, variance = _center_and_variance(mixture)
        return float((1 - within / variance).max())

    @staticmethod
    def draw(mixture, n_samples):
        """Sample codes from a mixture, (n_samples, L)."""
        log_weights, means, stds = mixture
        cluster = multinomial(log_weights.exp(), n_samples)
        center = means[cluster]
        return center + stds[cluster] * randn_like(center)

    @staticmethod
    def whiten(mixture, z):
        """Standardize codes by the mean and the variances of a whole mixture, (N, L)."""
        center, variance = _center_and_variance(mixture)
        return (z - center) / variance.sqrt()


def _center_and_variance(mixture):
    """Mean and variances of a whole mixture, (L,) each."""
    center = mixture.center()
    weights = mixture.log_weights.exp()[:, None]
    squares = (mixture.means - center).square()
    around = mixture.covariances() + squares
    return center, (weights * around).sum(0)


def draw_codes(prior, n_samples, cluster, random_state, sample=clear_sample):
    """Return codes (N, L), float32, of a cluster of a mixture or of all (None), and clusters."""
    with isolated(), torch.no_grad():
        mixture = prior.mixture.to("cpu")
        weights = mixture.log_weights.exp().double().numpy()
        counts = em.draw_counts(weights, n_samples, cluster, random_state)
        generator = draw_generator(random_state)
        number = torch.as_tensor(counts, device="cpu")
        Z = sample(mixture, number, generator)
    order = random_state.permutation(n_samples)
    clusters = np.arange(len(counts)).repeat(counts)
    return Z.float().numpy()[order], clusters[order]


# ---- mixtures found in codes


def fit_mixture(codes, n_clusters, random_state, covariance_type):
    """Return the likeliest of ten mixtures of codes (N, L), by EM from k-means."""
    double = np.ascontiguousarray(codes, dtype=np.float64)
    rows = em.as_rows(double, n_clusters, covariance_type)
    m_step = em.MStep(covariance_type, compute_reg_covar(codes))
    starts = em.initial_mixtures(rows, n_clusters, m_step, random_state, n_init=10)
    return em.run_em(rows, starts, m_step, max_iter=200, tol=1e-3).mixture


def partition_codes(codes, n_clusters, random_state):
    """Return the clusters of codes (N, L), one-hot, (N, K).

    They are those of a mixture with one or with several full covariances: the ones under whose
    diagonal mixture, which models learn, the codes are likelier.
    """
    points = torch.from_numpy(codes).double()
    candidates = []
    scores = []
    for kind in ("tied", "full"):
        mixture = fit_mixture(codes, n_clusters, random_state, kind)
        resp = np.eye(n_clusters)[em.posterior(codes, mixture).argmax(1)]
        diagonal = mixture_of_partition(codes, resp)
        candidates.append(resp)
        scores.append(float(log_joint(points, diagonal).logsumexp(1).mean()))
    return candidates[int(np.argmax(scores))]


def mixture_of_partition(codes, resp, covariance_type="diag", variances=0.0):
    """Return the mixture of codes (N, L) by the M-step from responsibilities (N, K), float64.

    ``variances`` (N, L) of random codes are added to diagonal covariances, as in the M-step that
    maximizes the bound of VaDE.
    """
    mixture = em.m_step(codes, resp, covariance_type, compute_reg_covar(codes))
    if covariance_type != "diag":
        return mixture
    shares = resp / np.maximum(resp.sum(0), np.finfo(float).tiny)
    within = torch.from_numpy(shares.T @ np.broadcast_to(variances, codes.shape))
    return mixture._replace(scales=(mixture.scales.square() + within).sqrt())


def compute_reg_covar(codes):
    """Return what is added to variances of codes: a thousandth of their mean variance."""
    tiny = float(np.finfo(np.float32).tiny)
    return 1e-3 * float(np.var(codes, axis=0).mean()) + tiny


# ---- calibration


def find_temperature(log_resp, calibrated):
    """Return the temperature, at least 1, of log-responsibilities (N, K) of a model.

    It minimizes the mean cross-entropy of softmax(log_resp / T) to ``calibrated``
    responsibilities (N, K): temperature scaling (C. Guo et al., "On calibration of modern neural
    networks", ICML 2017) with the responsibilities of a partition in place of labels.
    """

    def cross_entropy(log_temperature):
        log_p = log_softmax(log_resp / np.exp(log_temperature), axis=1)
        return -(calibrated * log_p).sum(1).mean()

    bounds = (0, np.log(100))
    best = minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
    return float(np.exp(best.x)) if best.fun < cross_entropy(0.0) else 1.0


# ---- perceptrons that begin small, or as linear maps


def start_small(model):
    """Initialize perceptrons to torch's weights, from which codes have clearer clusters."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


@torch.no_grad()
def end_squares(head):
    """Make logits of outputs that are probabilities, by the tangent of the logit at 1/2."""
    head.weight.mul_(4)
    head.bias.sub_(0.5).mul_(4)


@torch.no_grad()
def set_linear(network, reduce, expand, bias):
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
def start_as_pca(model, mean, axes, variances, noise_variance):
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
    decoder = model.decoder
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
