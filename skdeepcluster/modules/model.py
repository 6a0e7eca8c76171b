"""Base classes of the models, the denoising autoencoder, and Gaussian mixtures of codes.

Letters: N samples, D features, K clusters, L code length, S samples of z. ``x`` is in the units of
the data, ``x_std`` is standardized by the likelihood for the networks.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ..functional import random
from ..functional.gaussian import Mixture, compact_scales, log_joint
from ..functional.losses import kl_divergence
from ..functional.points import balanced_points
from .likelihood import Likelihood
from .networks import set_linear
from .regularization import NO_REGULARIZER, Regularizer

#: Number of samples of z in one call of the decoder.
SAMPLES_AT_ONCE = 16
#: Number of pairs of points, for each dimension of z, over which a criterion averages.
PAIRS_PER_DIMENSION = 4
#: Minimum number of these pairs.
MIN_PAIRS = 32
#: Maximum number of features whose full covariance outlier scores use; beyond, the variances.
MAX_FULL = 1000
#: Added to these variances, as a share of their mean: features may be constant within clusters.
REG_COVAR = 1e-3
#: Added to these variances, so that distances to clusters of equal samples stay finite.
LEAST_VARIANCE = 1e-280

#: From samples (N, D) in the units of the data to other versions of them.
Augmentation = Callable[[Tensor], Tensor]


# ---- what is trained


class Batch(NamedTuple):
    """The samples of one training step, with what some methods need to know about them."""

    #: Samples in the units of the data, (N, D).
    x: Tensor
    #: Initial responsibilities, (N, K), that the assignment is regularized toward, or None.
    anchor: Tensor | None = None
    #: InfoGAN's codes of these samples, (N, S): continuous codes, then noise variables.
    style: Tensor | None = None
    #: Labeled samples, (M, D), chosen independently of x.
    labeled: Tensor | None = None
    #: Classes of the labeled samples, (M,).
    target: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to each field that is not None."""
        optional = (None if field is None else function(field) for field in self[1:])
        return Batch(function(self.x), *optional)

    def to(self, device: torch.device | str) -> "Batch":
        """Move the batch to a device."""
        return self.map(lambda field: field.to(device, non_blocking=True))


Loss = Callable[[Batch], dict[str, Tensor]]


@dataclass(frozen=True)
class Player:
    """A loss with its own parameters, which every batch updates by a gradient step."""

    #: Prefix of the loss terms in the history.
    name: str
    #: The modules whose parameters are updated.
    modules: Sequence[nn.Module]
    #: From a :class:`Batch` to named scalar terms, whose sum is minimized.
    loss: Loss

    def parameters(self) -> list[nn.Parameter]:
        """Return the trainable parameters of the modules, each once."""
        return [p for p in nn.ModuleList(self.modules).parameters() if p.requires_grad]


class TrainableModel(nn.Module, ABC):
    """A model that the training loop can train."""

    #: Elapsed share of training, from 0 to 1; set by the training loop.
    progress: Tensor

    #: Learning rates relative to the estimator's, by patterns of parameter names.
    rates: dict[str, float] = {}
    #: Decay rates of AdamW's running means of gradients and of their squares.
    betas: tuple[float, float] = (0.9, 0.999)
    #: Weight decay of AdamW.
    weight_decay: float = 0.0

    def __init__(self) -> None:
        super().__init__()
        one = torch.ones((), dtype=torch.float32, device="cpu")
        self.register_buffer("progress", one, persistent=False)

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """Return the losses and their parameters, in the order of their steps."""


class ClusterModel(TrainableModel):
    """A model that assigns samples to clusters."""

    #: Log-responsibilities of a trained model are divided by this number to calibrate them.
    temperature: Tensor
    #: Whitening of standardized samples within clusters, (D, D) or (D,), and the whitened cluster
    #: means (K, D), float64; None before the end of a fit.
    whitening: Tensor | None
    whitened_means: Tensor | None

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.register_buffer(
            "temperature", torch.ones((), dtype=torch.float32, device="cpu")
        )
        self.register_buffer("whitening", None)
        self.register_buffer("whitened_means", None)

    @abstractmethod
    def log_resp_standardized(self, x_std: Tensor) -> Tensor:
        """Log p(k | x) of standardized samples, (N, K)."""

    @abstractmethod
    def criterion(self, x: Tensor) -> Tensor:
        """Label-free criterion of each sample, (N,), float64; higher is better."""

    def standardize(self, x: Tensor) -> Tensor:
        """Return the inputs of the networks, (N, D)."""
        return self.likelihood.standardize(x)

    def log_resp(self, x: Tensor) -> Tensor:
        """Log p(k | x) by the objective, (N, K)."""
        return self.log_resp_standardized(self.standardize(x))

    def calibrated_log_resp(self, x: Tensor) -> Tensor:
        """Logarithm of p(k | x)^(1 / temperature), normalized, (N, K)."""
        return (self.log_resp(x) / self.temperature).log_softmax(-1)

    def resp(self, x: Tensor) -> Tensor:
        """Calibrated responsibilities, (N, K), float32."""
        return self.calibrated_log_resp(x).exp().float()

    def assign_surely(self, x: Tensor) -> Tensor:
        """Most probable cluster of each sample and its calibrated probability, (N, 2), float64."""
        log_resp = self.log_resp(x)
        log_p = (log_resp / self.temperature).log_softmax(-1).amax(-1)
        return torch.stack([log_resp.argmax(-1).double(), log_p.double().exp()], -1)

    @torch.inference_mode()
    def fit_outliers(
        self, blocks: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    ) -> None:
        """Set the whitening of outlier scores, and the whitened means of the clusters.

        ``blocks`` returns the samples (n, D) of each block with their one-hot clusters (n, K). The
        whitening is U with U U^T the inverse of the pooled covariance within clusters, (D, D), or
        the inverse standard deviations (D,).
        """

        def add_up(summarize: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
            parts = (
                (self.standardize(x).double(), member.double())
                for x, member in blocks()
            )
            return cast(Tensor, sum(summarize(*part) for part in parts))

        def square(gaps: Tensor) -> Tensor:
            return gaps.T @ gaps if gaps.shape[1] <= MAX_FULL else gaps.square().sum(0)

        sizes = add_up(lambda x_std, member: member.sum(0))
        means = add_up(lambda x_std, member: member.T @ x_std) / sizes[:, None]
        covariance = (
            add_up(lambda x_std, member: square(x_std - member @ means)) / sizes.sum()
        )
        variances = covariance.diagonal() if covariance.ndim == 2 else covariance
        variances += REG_COVAR * variances.mean() + LEAST_VARIANCE
        is_full = covariance.ndim == 2
        scales = torch.linalg.cholesky(covariance) if is_full else variances.sqrt()
        self.whitening = Mixture(sizes.log(), means, scales[None]).precision_factors()[
            0
        ]
        self.whitened_means = whiten(means, self.whitening)

    def outlier_scores(self, x: Tensor) -> Tensor:
        """Mahalanobis distance to the nearest cluster mean, (N,), float64."""
        assert self.whitening is not None
        assert self.whitened_means is not None
        white = whiten(self.standardize(x).double(), self.whitening)
        # Expanding the square would lose digits of clusters that are tight and far apart.
        return torch.stack(
            [(white - mean).norm(dim=1) for mean in self.whitened_means]
        ).amin(0)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Return the estimator's fitted attributes that the trained model determines."""
        return {}

    def restore_buffers(self, tensors: dict[str, Tensor]) -> None:
        """Create the buffers that only a trained model has, before its state dict is loaded."""
        self.whitening = tensors.get("whitening")
        self.whitened_means = tensors.get("whitened_means")


def observed(generated: Tensor, x: Tensor) -> Tensor:
    """Set generated samples (N, D), standardized, to 0 where the data x miss values."""
    return torch.where(x.isnan(), 0.0, generated)


def whiten(x_std: Tensor, whitening: Tensor) -> Tensor:
    """Apply a whitening (D, D), or inverse standard deviations (D,), to samples (N, D)."""
    return x_std @ whitening if whitening.ndim == 2 else x_std * whitening


class AdversarialModel(ClusterModel):
    """A GAN that clusters; its criterion is the information of samples about their clusters."""

    #: The first as in DCGAN (Radford et al., 2016).
    betas = 0.5, 0.99
    #: Logarithm of the mean of p(k | x) over the training data, (K,); uniform before a fit.
    log_marginal: Tensor

    def __init__(self, likelihood: Likelihood, n_clusters: int) -> None:
        super().__init__(likelihood)
        uniform = torch.full((n_clusters,), -math.log(n_clusters), dtype=torch.float32)
        self.register_buffer("log_marginal", uniform)

    def criterion(self, x: Tensor) -> Tensor:
        """KL(p(k | x) || p(k)), (N,), whose mean is the mutual information."""
        return kl_divergence(self.log_resp(x).double(), self.log_marginal.double())


# ---- codes


class GaussianEncoder(nn.Module):
    """q(z | x) = N(mean(x), diag std(x)^2), from a network (N, D) -> (N, 2 L)."""

    #: Added to the network's log-variances: at unit variance, noise would exceed the differences
    #: between the pretrained means.
    LOG_VAR = -4.0

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_std: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the code, (N, L) each."""
        mean, log_var = self.network(x_std).float().chunk(2, dim=-1)
        return mean, (0.5 * (log_var + self.LOG_VAR).clamp(-16.0, 16.0)).exp()

    def mean(self, x_std: Tensor) -> Tensor:
        """Mean of the code, (N, L)."""
        return self(x_std)[0]


class PointEncoder(nn.Module):
    """A deterministic code, from a network (N, D) -> (N, L)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_std: Tensor) -> Tensor:
        """Code, (N, L)."""
        return self.network(x_std).float()

    def mean(self, x_std: Tensor) -> Tensor:
        """Code, (N, L)."""
        return self(x_std)


class Autoencoder(TrainableModel):
    """Denoising autoencoder (Vincent et al., ICML 2008), by the means of a GaussianEncoder.

    Minimizes -E log p(x | decoder(encoder(mask * x_std))), mask ~ Bernoulli(1 - masking).
    """

    rates = {"likelihood.*": 10.0}
    weight_decay = 1e-4

    def __init__(
        self,
        encoder: GaussianEncoder | PointEncoder,
        decoder: nn.Module,
        likelihood: Likelihood,
        masking: float = 0.25,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.masking = likelihood, masking

    def encode(self, x: Tensor) -> Tensor:
        """Code of each sample, or the mean of its posterior, (N, L)."""
        return self.encoder.mean(self.likelihood.standardize(x))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean negative log-likelihood of the reconstructed samples."""
        code = self.encoder.mean(
            mask(self.likelihood.standardize(batch.x), self.masking)
        )
        return {
            "reconstruction": -self.likelihood.log_prob(
                batch.x, self.decoder(code)
            ).mean()
        }

    def players(self) -> tuple[Player, ...]:
        """One loss for all parameters."""
        return (Player("autoencoder", [self], self.loss),)


def mask(x_std: Tensor, masking: float) -> Tensor:
    """Set each feature of each sample to zero with probability ``masking``, (N, D)."""
    return x_std * (random.rand_like(x_std) >= masking) if masking else x_std


class CodeModel(ClusterModel):
    """A model that encodes standardized samples, and decodes codes (N, L) to (N, D)."""

    rates = {"likelihood.*": 10.0}

    def __init__(
        self,
        encoder: GaussianEncoder | PointEncoder,
        decoder: nn.Module,
        likelihood: Likelihood,
    ) -> None:
        super().__init__(likelihood)
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: Tensor) -> Tensor:
        """Code of each sample, or the mean of its posterior, (N, L)."""
        return self.encoder.mean(self.standardize(x))

    def decode(self, z: Tensor) -> Tensor:
        """E[x | z] in the units of the data, (N, D)."""
        return self.likelihood.mean(self.decoder(z))

    def posterior(self, x: Tensor) -> Any:
        """Return the encoder's output: mean and std of q(z | x) by a GaussianEncoder."""
        return self.encoder(self.standardize(x))

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """Log p(x | z) of each sample, (N,)."""
        return self.likelihood.log_prob(x, self.decoder(z))


@torch.no_grad()
def start_as_pca(
    model: CodeModel, mean: Tensor, axes: Tensor, variances: Tensor, noise: float
) -> None:
    """Initialize perceptrons to probabilistic PCA, the optimum of linear networks.

    ``mean`` (D,), ``axes`` (q, D) and ``variances`` (q,) describe the first q <= L principal
    components of the standardized samples; ``noise`` > 0 is the variance along all other axes.
    Hidden layers must be at least 2 q wide.

    With W = axes^T (variances - noise)^(1/2), the decoder gives W z + mean, and the encoder the
    exact posterior N(W^T (x_std - mean) / variances, noise / variances); the remaining codes begin
    as their prior (M. Tipping, C. Bishop, "Probabilistic PCA", JRSS B 1999).
    """
    encoder, decoder = cast(nn.Sequential, model.encoder.network), model.decoder
    q, n_codes = len(axes), cast(nn.Linear, encoder[-1]).out_features // 2
    stretch = (variances - noise).clamp_min(0).sqrt()
    variances = stretch.square() + noise
    reduce = (stretch / variances)[:, None] * axes
    bias = mean.new_zeros(2 * n_codes)
    bias[:q] = -reduce @ mean
    bias[n_codes : n_codes + q] = (noise / variances).log()
    bias[n_codes:] -= GaussianEncoder.LOG_VAR
    eye = torch.eye(2 * n_codes, q, dtype=mean.dtype, device=mean.device)
    set_linear(encoder, reduce, eye, bias)
    output, slope = (value.float() for value in model.likelihood.link(mean))
    expand = slope[:, None] * axes.T * stretch
    set_linear(cast(nn.Sequential, decoder), eye[:n_codes].T, expand, output)


def decode_samples(
    model: CodeModel, x: Tensor, mean: Tensor, std: Tensor, noise: Iterable[Tensor]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield blocks of noise (S, 1 or N, L), z = mean + std * noise, and log p(x | z) (S, N).

    q(z | x) of samples x, (N, D), has mean and std, (N, L).
    """
    for some in noise:
        z = mean + std * some.float()
        decoded = model.decoder(z.flatten(0, 1)).view(*z.shape[:2], -1)
        yield some, z, model.likelihood.log_prob(x, decoded)


def evidence_bound(
    model: CodeModel,
    x: Tensor,
    divergence: Callable[..., Tensor],
    noise: Tensor | None = None,
) -> Tensor:
    """ELBO of each sample, (N,), float64: E_q[log p(x | z)] - divergence(mean, std) of q(z | x).

    The expectation is the mean over z = mean + std * noise, with noise (S, L), by default fixed
    :func:`balanced_points`.
    """
    mean, std = model.posterior(x)
    if noise is None:
        n_pairs = max(MIN_PAIRS, PAIRS_PER_DIMENSION * mean.shape[1])
        noise = balanced_points(n_pairs, mean.shape[1]).to(mean.device)
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for _, _, log_x in decode_samples(
        model, x, mean, std, noise[:, None].split(SAMPLES_AT_ONCE)
    ):
        total += log_x.double().sum(0)
    return total / len(noise) - divergence(mean.double(), std.double())


# ---- mixtures of codes


class CodeMixture(nn.Module):
    """A mixture found by EM on the codes of a network; buffers keep its precision."""

    log_weights: Tensor
    means: Tensor
    scales: Tensor

    def __init__(self, mixture: Mixture, covariance_type: str) -> None:
        super().__init__()
        self.covariance_type = covariance_type
        for name, value in mixture._asdict().items():
            self.register_buffer(name, torch.as_tensor(value, device="cpu"))

    @property
    def mixture(self) -> Mixture:
        """The mixture, on the device of the module."""
        return Mixture(self.log_weights, self.means, self.scales)

    def log_resp(self, z: Tensor) -> Tensor:
        """Log p(k | z), (N, K)."""
        return log_joint(z.to(self.means.dtype), self.mixture).log_softmax(-1)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Weights, means and covariances of the mixture."""
        return _mixture_attributes(self.mixture, self.covariance_type)


class MixturePrior(nn.Module):
    """Mixture of diagonal Gaussians over codes, learned by gradient: Cat(pi), N(mu_c, diag s_c^2).

    All components begin as N(0, I); :meth:`set` copies a mixture found by EM. Variances stay above
    ``floor`` times their mean in that mixture, because codes would otherwise collapse onto means.
    """

    least: Tensor

    #: Bounds of the log-variances.
    LOG_VAR = (-12.0, 12.0)

    def __init__(self, n_clusters: int, n_components: int, floor: float = 0.0) -> None:
        super().__init__()
        self.floor = floor
        self.register_buffer(
            "least", torch.tensor(self.LOG_VAR[0], dtype=torch.float32)
        )
        self.logits = nn.Parameter(torch.zeros(n_clusters, dtype=torch.float32))
        self.means = nn.Parameter(
            torch.zeros(n_clusters, n_components, dtype=torch.float32)
        )
        self.log_vars = nn.Parameter(
            torch.zeros(n_clusters, n_components, dtype=torch.float32)
        )

    @torch.no_grad()
    def set(self, mixture: Mixture) -> None:
        """Copy weights, means and standard deviations from a diagonal mixture."""
        self.logits.copy_(mixture.log_weights)
        self.means.copy_(mixture.means)
        self.log_vars.copy_(2 * mixture.scales.log())
        least = torch.log(self.floor * mixture.covariances().mean())
        self.least.copy_(least.clamp_min(self.LOG_VAR[0]))

    @property
    def mixture(self) -> Mixture:
        """Log-weights, means and standard deviations, as functions of the parameters."""
        log_vars = torch.maximum(self.log_vars, self.least).clamp_max(self.LOG_VAR[1])
        stds = (0.5 * log_vars).exp()
        return Mixture(self.logits.log_softmax(-1), self.means, stds)

    @torch.no_grad()
    def separation(self) -> float:
        """Maximum share of the variance between components, over the dimensions of the codes."""
        mixture = self.mixture
        within = (mixture.log_weights.exp()[:, None] * mixture.covariances()).sum(0)
        _, variance = _moments(mixture)
        return float((1 - within / variance).max())

    @staticmethod
    def draw(mixture: Mixture, n_samples: int) -> Tensor:
        """Sample codes from a mixture, (n_samples, L)."""
        log_weights, means, stds = mixture
        cluster = random.multinomial(log_weights.exp(), n_samples)
        return means[cluster] + stds[cluster] * random.randn_like(means[cluster])

    @staticmethod
    def whiten(mixture: Mixture, z: Tensor) -> Tensor:
        """Standardize codes by the mean and the variances of a whole mixture, (N, L)."""
        center, variance = _moments(mixture)
        return (z - center) / variance.sqrt()


def _moments(mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Mean and variances of a whole mixture, (L,) each."""
    center = mixture.center()
    around = mixture.covariances() + (mixture.means - center).square()
    return center, (mixture.log_weights.exp()[:, None] * around).sum(0)


def _mixture_attributes(mixture: Mixture, covariance_type: str) -> dict[str, Tensor]:
    """Weights, means and covariances in scikit-learn's shapes, by attribute."""
    return {
        "weights_": mixture.log_weights.exp(),
        "means_": mixture.means.clone(),
        "covariances_": compact_scales(mixture.covariances(), covariance_type),
    }


class PriorModel(CodeModel):
    """A model whose codes follow a mixture of Gaussians, learned with the networks.

    Parameters
    ----------
    encoder : GaussianEncoder or PointEncoder, of standardized samples
    decoder : Module, (N, L) -> (N, D)
    likelihood : Likelihood
    prior : MixturePrior
    regularizer : Regularizer, default=NO_REGULARIZER
        Terms that keep the assignment near an anchor.
    masking : float, default=0.0
        Share of the features set to zero where samples are reconstructed, if there is an anchor.
        The regularizer uses all features, because a few of them may separate clusters.
    """

    rates = CodeModel.rates | {"prior.*": 10.0}

    def __init__(
        self,
        encoder: GaussianEncoder | PointEncoder,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: MixturePrior,
        regularizer: Regularizer = NO_REGULARIZER,
        masking: float = 0.0,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.prior, self.regularizer, self.masking = prior, regularizer, masking

    def set_mixture(self, mixture: Mixture) -> None:
        """Set the prior to a mixture of codes."""
        self.prior.set(mixture)

    @abstractmethod
    def log_joint(self, posterior: Any, mixture: Mixture) -> Tensor:
        """Logits of p(k | x), (N, K), from the output of the encoder."""

    def log_resp_standardized(
        self, x_std: Tensor, mixture: Mixture | None = None
    ) -> Tensor:
        """Log p(k | x), (N, K), by the prior's mixture, which may be passed if it is known."""
        mixture = self.prior.mixture if mixture is None else mixture
        return self.log_joint(self.encoder(x_std), mixture).log_softmax(-1)

    def observe(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return standardized samples (N, D), and the encoder's input for a single pass.

        With an anchor, the input is the corrupted samples followed by the samples, (2 N, D).
        """
        x_std = self.standardize(batch.x)
        if batch.anchor is None or not self.masking:
            return x_std, x_std
        return x_std, torch.cat([mask(x_std, self.masking), x_std])

    def regularize(
        self, x_std: Tensor, anchor: Tensor | None, log_joint: Tensor, mixture: Mixture
    ) -> dict[str, Tensor]:
        """Terms of the regularizer; ``log_joint`` ends with the samples ``x_std``."""
        log_resp = partial(self.log_resp_standardized, mixture=mixture)
        log_p = log_joint[-len(x_std) :].log_softmax(-1)
        return self.regularizer.terms(log_resp, x_std, anchor, log_p)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Weights, means and variances of the prior, and its decoded means."""
        attributes = _mixture_attributes(self.prior.mixture, "diag")
        return attributes | {"cluster_centers_": self.decode(self.prior.means)}
