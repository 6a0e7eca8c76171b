"""A model is a game: players, each with its own modules and a loss of named terms.

Letters: N rows, D features, K clusters, L code length.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..functional.losses import kl_divergence
from .likelihood import Likelihood


class Batch(NamedTuple):
    """Rows of one training step, and what some methods need about them."""

    #: Rows in the units of the data, (N, D).
    x: Tensor
    #: Initial responsibilities, (N, K), to which the assignment is held; None if it is free.
    anchor: Tensor | None = None
    #: Values of InfoGAN's codes in these rows, (N, S): continuous codes, then noise variables.
    style: Tensor | None = None
    #: Rows with labels, (M, D), drawn independently of x.
    labeled: Tensor | None = None
    #: Classes of the labeled rows, (M,).
    target: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to each field that is not None."""
        optional = (None if field is None else function(field) for field in self[1:])
        return Batch(function(self.x), *optional)

    def to(self, device: torch.device | str) -> "Batch":
        """Move the batch to a device."""
        return self.map(lambda field: field.to(device, non_blocking=True))


Loss = Callable[[Batch], dict[str, Tensor]]
#: From rows (N, D) in the units of the data to other versions of them.
Augmentation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Player:
    """Parameters and the loss that they minimize: each batch makes gradient steps on them."""

    #: Prefix of the loss terms in the history.
    name: str
    #: The modules whose parameters the player updates, and no others.
    modules: Sequence[nn.Module]
    #: From a :class:`Batch` to named scalar terms; the loop minimizes their sum.
    loss: Loss
    #: Gradient steps for each batch.
    steps: int = 1

    def parameters(self) -> list[nn.Parameter]:
        """All parameters of the player's modules, each once."""
        return [p for p in nn.ModuleList(self.modules).parameters() if p.requires_grad]


class Game(nn.Module, ABC):
    """A model that can be trained: it lists its players."""

    #: Elapsed share of training, from 0 to 1; the training loop sets it.
    progress: Tensor

    #: Learning rates relative to the estimator's, by patterns of parameter names.
    rates: dict[str, float] = {}
    #: Decay of the optimizer's means of gradients and of their squares (AdamW's betas).
    betas: tuple[float, float] = (0.9, 0.999)
    #: Weight decay of AdamW.
    weight_decay: float = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "progress", torch.ones((), dtype=torch.float32, device="cpu"), persistent=False
        )

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """Return the players in the order of their moves."""


class ClusterGame(Game):
    """A game that divides rows into clusters: the interface between estimators and models.

    The likelihood standardizes rows, which come in the units of the data, for the networks.
    """

    #: Divides the log-responsibilities of a trained model, so that they are calibrated.
    temperature: Tensor
    #: Whitening of standardized samples within clusters, (D, D) or (D,), and the whitened means of
    #: the clusters (K, D), float64; None before the end of a fit.
    whitening: Tensor | None
    whitened_means: Tensor | None

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.register_buffer("temperature", torch.ones((), dtype=torch.float32, device="cpu"))
        self.register_buffer("whitening", None)
        self.register_buffer("whitened_means", None)

    @abstractmethod
    def log_resp_standardized(self, seen: Tensor) -> Tensor:
        """Log p(k | x) of standardized rows, (N, K)."""

    def standardize(self, x: Tensor) -> Tensor:
        """From rows in the units of the data to inputs of the networks, (N, D)."""
        return self.likelihood.standardize(x)

    def log_resp(self, x: Tensor) -> Tensor:
        """Log p(k | x) of rows in the units of the data, (N, K)."""
        return self.log_resp_standardized(self.standardize(x))

    def own_resp(self, x: Tensor) -> Tensor:
        """Responsibilities p(k | x) by the objective, without temperature, (N, K), float32."""
        return self.log_resp(x).exp().float()

    def calibrated_log_resp(self, x: Tensor) -> Tensor:
        """Logarithm of p(k | x)^(1 / temperature), normalized, (N, K)."""
        return self._calibrate(self.log_resp(x))

    def resp(self, x: Tensor) -> Tensor:
        """Calibrated responsibilities, (N, K), float32."""
        return self.calibrated_log_resp(x).exp().float()

    def assign_surely(self, x: Tensor) -> Tensor:
        """Most probable cluster of each row and its calibrated probability, (N, 2), float64."""
        log_resp = self.log_resp(x)
        label, log_p = log_resp.argmax(-1), self._calibrate(log_resp).amax(-1)
        return torch.stack([label.double(), log_p.double().exp()], -1)

    def outlier_scores(self, x: Tensor) -> Tensor:
        """Mahalanobis distance to the nearest cluster mean, (N,), float64.

        By the pooled covariance within clusters (K. Lee et al., "A simple unified framework for
        detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018).
        """
        assert self.whitening is not None
        assert self.whitened_means is not None
        white = whiten(self.standardize(x).double(), self.whitening)
        # By differences: an expanded square loses the digits of clusters far apart and tight.
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cdist(white, self.whitened_means, compute_mode=exact).amin(1)

    def _calibrate(self, log_resp: Tensor) -> Tensor:
        """Divide log-responsibilities (N, K) by the temperature, and normalize them."""
        return (log_resp / self.temperature).log_softmax(-1)

    @abstractmethod
    def criterion(self, x: Tensor) -> Tensor:
        """Label-free criterion of each row, (N,), float64; higher is better."""

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Return the estimator's fitted attributes that the trained model determines."""
        return {}

    def restore_buffers(self, tensors: dict[str, Tensor]) -> None:
        """Create the buffers that only a trained model has, before its state dict is loaded."""
        self.whitening = tensors.get("whitening")
        self.whitened_means = tensors.get("whitened_means")


def whiten(seen: Tensor, whitening: Tensor) -> Tensor:
    """Apply a whitening (D, D), or inverse standard deviations (D,), to samples (N, D)."""
    return seen @ whitening if whitening.ndim == 2 else seen * whitening


class AdversarialGame(ClusterGame):
    """A game that reads clusters from rows; its criterion is the mutual information of the two.

    Parameters
    ----------
    likelihood : Likelihood
    n_clusters : int
        K.
    """

    #: The first as in DCGAN (Radford et al., 2016).
    betas = 0.5, 0.99
    #: Logarithm of the mean of p(k | x), (K,): uniform, or CatGAN's running mean; after a fit,
    #: over the rows trained on.
    log_marginal: Tensor

    def __init__(self, likelihood: Likelihood, n_clusters: int) -> None:
        super().__init__(likelihood)
        self.register_buffer(
            "log_marginal", torch.zeros(n_clusters, dtype=torch.float32).log_softmax(0)
        )

    def criterion(self, x: Tensor) -> Tensor:
        """KL(p(k | x) || p(k)) of each row, (N,): its mean is the mutual information."""
        return kl_divergence(self.log_resp(x).double(), self.log_marginal.double())
