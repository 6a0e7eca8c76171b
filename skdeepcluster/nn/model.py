"""What the training loop trains, and models that assign samples to clusters.

Letters: N samples, D features, K clusters. ``x`` is in the units of the data, ``x_std`` is
standardized by the likelihood for the networks.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from ..functional.gaussian import Mixture
from ..functional.losses import entropy, kl_divergence, marginal
from .likelihood import Likelihood
from .runtime import randn_like

#: Maximum number of features for a full covariance in outlier scores; variances above.
MAX_FULL = 1000
#: Added to the variances within clusters, as a share of their mean, because features may be
#: constant within clusters.
RIDGE = 1e-3
#: Added to the variances within clusters, so that equal samples have a finite distance.
TINY_VARIANCE = 1e-280

#: Length of the adversarial step, relative to the distance to the nearest other sample.
RADIUS = 0.25
#: Batch size that RADIUS refers to.
REFERENCE_SIZE = 256
#: Length of the random step where the divergence's gradient is taken, relative to the radius.
PROBE = 3.0
#: Weight of the mean entropy of p(k|x) relative to the smoothness, in IMSAT.
CERTAINTY = 0.1
#: Weight of the entropy of the mean of p(k|x) relative to the smoothness, in IMSAT.
BALANCE = 0.4

#: From standardized samples (N, D) to log p(k | x), (N, K).
Assignment = Callable[[Tensor], Tensor]
#: From samples (N, D) in the units of the data to other versions of them.
Augmentation = Callable[[Tensor], Tensor]
#: Returns the blocks of some samples (n, D), with their one-hot clusters (n, K).
Blocks = Callable[[], Iterable[tuple[Tensor, Tensor]]]


# ---- what is trained


class Batch(NamedTuple):
    """The samples of one training step, and what the losses of a method need besides."""

    #: Samples in the units of the data, (N, D).
    x: Tensor
    #: Initial responsibilities, (N, K), that the assignment is regularized toward, or None.
    initial: Tensor | None = None
    #: Other values of the samples, (N, ...), by names that data set and losses agree on.
    columns: Mapping[str, Tensor] = {}
    #: More samples, chosen independently of ``x``, or None.
    extra: "Batch | None" = None
    #: Other versions of ``x`` by the user's augmentation, or None.
    augmented: Tensor | None = None

    @property
    def view(self) -> Tensor:
        """Samples that assignments are trained on: other versions of ``x`` if there are any."""
        return self.x if self.augmented is None else self.augmented

    def to(self, device: torch.device | str) -> "Batch":
        """Move the batch to a device."""
        return self._replace(
            x=self.x.to(device),
            initial=None if self.initial is None else self.initial.to(device),
            columns={name: column.to(device) for name, column in self.columns.items()},
            extra=self.extra and self.extra.to(device),
        )


class OptimizerGroup(NamedTuple):
    """A loss and the parameters that minimize it, by a gradient step in every batch."""

    #: Prefix of the loss terms in the history.
    name: str
    #: The modules whose parameters are updated.
    modules: Sequence[nn.Module]
    #: From a :class:`Batch` to named scalar terms, whose sum is minimized.
    loss: Callable[[Batch], dict[str, Tensor]]

    def parameters(self) -> list[nn.Parameter]:
        """Return the trainable parameters of the modules, each once."""
        parameters = nn.ModuleList(self.modules).parameters()
        return [p for p in parameters if p.requires_grad]


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
        self.register_buffer("progress", _one(), persistent=False)

    @abstractmethod
    def optimizer_groups(self) -> tuple[OptimizerGroup, ...]:
        """Return the losses with their parameters, in the order of their steps."""


def _one() -> Tensor:
    """Return the number 1 in float32 on the CPU, independently of torch's defaults."""
    return torch.ones((), dtype=torch.float32, device="cpu")


# ---- smoothness, and an initial partition (T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual
# Adversarial Training", IEEE TPAMI 2018)


@dataclass(frozen=True)
class Regularizer:
    """Loss terms "initial", "smoothness" and "information".

    A weight of 0 leaves out a term and its cost.
    """

    #: Weight of the cross-entropy to the initial partition.
    init_weight: float = 0.0
    #: Weight of the divergence from p(k|x) to p(k|x + step), see :func:`adversarial_step`.
    smoothness_weight: float = 0.0
    #: Share of the most probable clusters in its target at the end of training; it grows linearly
    #: from 0 (hard bootstrapping: S. Reed et al., ICLR 2015 workshop). With augmentation it is 1.
    own_share: float = 0.0
    #: Weight of the mutual information between samples and clusters, as that of the smoothness in
    #: IMSAT: see ``CERTAINTY`` and ``BALANCE``.
    information_weight: float = 0.0
    #: Elapsed share of training at which "initial" has faded to 0.
    end: float = math.inf

    def terms(
        self,
        log_resp: Assignment,
        x_std: Tensor,
        initial: Tensor | None,
        log_p: Tensor | None = None,
        progress: Tensor | float = 1.0,
        log_original: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted terms, scalars; "initial" needs initial responsibilities (N, K).

        ``log_resp`` maps standardized samples ``x_std`` (N, D) to log p(k|x), (N, K); ``log_p`` is
        ``log_resp(x_std)`` if it is known; ``progress`` is the elapsed share of training. If
        ``x_std`` are other versions of samples, ``log_original`` (N, K) is log p(k|x) of the
        samples themselves, whose most probable clusters then replace the initial ones (X. Guo et
        al., "Deep embedded clustering with data augmentation", ACML 2018).
        """
        has_initial = initial is not None and self.init_weight > 0
        if not has_initial and not self.smoothness_weight:
            return {}
        if log_p is None:
            log_p = log_resp(x_std)

        terms: dict[str, Tensor] = {}
        if initial is not None and has_initial:
            progress = torch.as_tensor(progress, device=x_std.device)
            target = self._find_target(initial, progress, log_p, log_original)
            terms["initial"] = -self.init_weight * (target * log_p).sum(-1).mean()
            if self.end < math.inf:
                terms["initial"] *= (1 - progress / self.end).clamp_min(0)
        if self.information_weight:
            uncertainty = CERTAINTY * entropy(log_p).mean()
            balance = BALANCE * entropy(marginal(log_p))
            terms["information"] = self.information_weight * (uncertainty - balance)
        if self.smoothness_weight:
            change = roughness(log_resp, x_std, log_p.detach())
            terms["smoothness"] = self.smoothness_weight * change
        return terms

    def _find_target(
        self,
        initial: Tensor,
        progress: Tensor,
        log_p: Tensor,
        log_original: Tensor | None,
    ) -> Tensor:
        """Return the initial partition (N, K), which gives way to the most probable clusters."""
        share = self.own_share
        if log_original is not None:
            share = 1.0
            log_p = log_original
        if not share:
            return initial
        clusters = one_hot(log_p.argmax(1), log_p.shape[1]).to(initial)
        return torch.lerp(initial, clusters, share * progress)


def roughness(log_resp: Assignment, x_std: Tensor, log_p: Tensor) -> Tensor:
    """Mean divergence from p(k|x) to p(k|x + step), see :func:`adversarial_step`, a scalar.

    ``log_p`` is ``log_resp`` of the standardized samples, without gradient.
    """
    # On a two-dimensional manifold, neighbors are sqrt(256 / n) times as far apart.
    density = min(1.0, math.sqrt(len(x_std) / REFERENCE_SIZE))
    radius = RADIUS * density * nearest_distance(x_std)
    step = adversarial_step(log_resp, x_std, log_p, radius)
    return kl_divergence(log_p, log_resp(x_std + step)).mean()


#: The published objectives add nothing.
NO_REGULARIZER = Regularizer()


def regularize(
    model: Any, batch: Batch, x_std: Tensor, log_p: Tensor | None
) -> dict[str, Tensor]:
    """Terms of a model's regularizer, none without an initial partition and information.

    ``x_std`` are the standardized samples, ``log_p`` their log p(k|x). If the batch has other
    versions of the samples, the terms are theirs.
    """
    regularizer = model.regularizer
    if batch.initial is None and not regularizer.information_weight:
        return {}
    log_original = None
    if batch.augmented is not None:
        x_std = model.standardize(batch.augmented)
        log_original = log_p
        log_p = None
    return regularizer.terms(
        model.log_resp_standardized,
        x_std,
        batch.initial,
        log_p,
        model.progress,
        log_original,
    )


def nearest_distance(x: Tensor) -> Tensor:
    """Distance of each sample (N, D) to the nearest other one, (N, 1); 0 for a single sample.

    Examples
    --------
    >>> import torch
    >>> nearest_distance(torch.tensor([[0.0], [1.0], [5.0]])).squeeze()
    tensor([1., 1., 4.])
    """
    if len(x) == 1:
        return torch.zeros_like(x[:, :1])
    distances = torch.cdist(x, x).fill_diagonal_(torch.inf)
    return distances.amin(1, keepdim=True)


def adversarial_step(
    log_resp: Assignment,
    x: Tensor,
    log_p: Tensor,
    radius: Tensor,
) -> Tensor:
    """Return the step (N, D) of length ``radius`` (N, 1) that changes an assignment most.

    The step is radius * g / |g|, without gradient, with g the gradient of KL(p || p(x + d)) at a
    small random d: one power iteration (eq. 10 and 11). ``log_p`` (N, K) is ``log_resp(x)``.
    """
    probe = normalize(randn_like(x))
    probe = (PROBE * radius * probe).requires_grad_()
    divergence = kl_divergence(log_p, log_resp(x + probe)).sum()
    (gradient,) = torch.autograd.grad(divergence, probe)
    # Without this scaling, squares of tiny gradients would underflow.
    largest = gradient.abs().amax(1, keepdim=True)
    gradient = gradient / torch.where(largest > 0, largest, 1)
    return radius * normalize(gradient)


# ---- assignment to clusters


class ClusterModel(TrainableModel):
    """A model that assigns samples to clusters."""

    #: Log-responsibilities of a trained model are divided by this number to calibrate them.
    temperature: Tensor
    #: Whitening of standardized samples within clusters: a matrix (D, D) or inverse standard
    #: deviations (D,), float64. A fit sets it at its end.
    whitening: Tensor
    #: Whitened means of the clusters, (K, D), float64. A fit sets them at its end.
    whitened_means: Tensor

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.register_buffer("temperature", _one())
        self.register_buffer("whitening", None)
        self.register_buffer("whitened_means", None)

    @abstractmethod
    def log_resp_standardized(self, x_std: Tensor) -> Tensor:
        """Log p(k | x) of standardized samples, (N, K)."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """Label-free score of each sample, (N,), float64; higher is better."""

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

    forward = resp

    def assign_surely(self, x: Tensor) -> Tensor:
        """Return the cluster of each sample and its calibrated probability, (N, 2), float64."""
        log_resp = self.log_resp(x)
        calibrated = (log_resp / self.temperature).log_softmax(-1)

        cluster = log_resp.argmax(-1).double()
        probability = calibrated.amax(-1).double().exp()
        return torch.stack([cluster, probability], -1)

    # ---- outlier scores

    @torch.inference_mode()
    def fit_outliers(self, blocks: Blocks) -> None:
        """Set the whitening of outlier scores, and the whitened means of the clusters.

        The whitening is U with U U^T the inverse of the pooled covariance within clusters, (D, D),
        or the inverse standard deviations (D,).
        """
        sizes = totals = scatter = torch.zeros((), device="cpu")
        for x, member in blocks():
            x_std = self.standardize(x).double()
            sizes = sizes + member.double().sum(0)
            totals = totals + member.double().T @ x_std
        means = totals / sizes[:, None]
        is_full = means.shape[1] <= MAX_FULL
        for x, member in blocks():
            x_std = self.standardize(x).double()
            gaps = x_std - member.double() @ means
            scatter = scatter + (gaps.T @ gaps if is_full else gaps.square().sum(0))

        covariance = scatter / sizes.sum()
        variances = covariance.diagonal() if is_full else covariance
        variances += RIDGE * variances.mean() + TINY_VARIANCE
        scales = torch.linalg.cholesky(covariance) if is_full else variances.sqrt()
        mixture = Mixture(sizes.log(), means, scales[None])
        self.whitening = mixture.precision_factors()[0]
        self.whitened_means = _apply_whitening(means, self.whitening)

    def outlier_scores(self, x: Tensor) -> Tensor:
        """Mahalanobis distance to the nearest cluster mean, (N,), float64."""
        x_std = self.standardize(x).double()
        white = _apply_whitening(x_std, self.whitening)
        # Expanding the square would lose digits of clusters that are tight and far apart.
        gaps = [white - mean for mean in self.whitened_means]
        distances = [gap.norm(dim=1) for gap in gaps]
        return torch.stack(distances).amin(0)

    # ---- the fitted model

    def restore_buffers(self, tensors: dict[str, Tensor]) -> None:
        """Set the buffers that only a trained model has, before its state dict is loaded."""
        for path, module in self.named_modules():
            for name, buffer in module._buffers.items():
                if buffer is None:
                    key = f"{path}.{name}" if path else name
                    module.register_buffer(name, tensors.get(key))


def _apply_whitening(x_std: Tensor, whitening: Tensor) -> Tensor:
    """Apply a whitening (D, D), or inverse standard deviations (D,), to samples (N, D)."""
    if whitening.ndim == 1:
        return x_std * whitening
    return x_std @ whitening


class AdversarialModel(ClusterModel):
    """A GAN that clusters; its score is the information of samples about their clusters."""

    #: The first as in DCGAN (Radford et al., 2016).
    betas = (0.5, 0.99)
    #: Logarithm of the mean of p(k | x) over the training data, (K,); uniform before a fit.
    log_marginal: Tensor

    def __init__(self, likelihood: Likelihood, n_clusters: int) -> None:
        super().__init__(likelihood)
        uniform = _one().new_full((n_clusters,), -math.log(n_clusters))
        self.register_buffer("log_marginal", uniform)

    def score(self, x: Tensor) -> Tensor:
        """KL(p(k | x) || p(k)), (N,), whose mean is the mutual information."""
        log_p = self.log_resp(x).double()
        return kl_divergence(log_p, self.log_marginal.double())


def observed(generated: Tensor, x: Tensor) -> Tensor:
    """Set generated samples (N, D), standardized, to 0 where the data x miss values."""
    return torch.where(x.isnan(), 0.0, generated)
