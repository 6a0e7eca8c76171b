"""A model is a game: players, each with modules of its own and a loss of named terms.

Letters: N rows, D features, K clusters, L code length.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .likelihood import Likelihood


class Batch(NamedTuple):
    """Rows of a step of training, and what some methods give beside them.

    Parameters
    ----------
    x : Tensor of shape (N, D)
        Rows, in the units of the data.
    anchor : Tensor of shape (N, K), default=None
        Responsibilities of the start, to which the assignment is held; None if it is free.
    style : Tensor of shape (N, C), default=None
        Continuous codes that InfoGAN's Q is to read in these rows.
    labelled : Tensor of shape (M, D), default=None
        Rows with labels, drawn beside x.
    target : Tensor of shape (M,), default=None
        Their classes.
    """

    x: Tensor
    anchor: Tensor | None = None
    style: Tensor | None = None
    labelled: Tensor | None = None
    target: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to each field that is there."""
        optional = (None if field is None else function(field) for field in self[1:])
        return Batch(function(self.x), *optional)

    def to(self, device: torch.device | str) -> "Batch":
        """Move the batch to a device."""
        optional = (f if f is None else f.to(device, non_blocking=True) for f in self[1:])
        return Batch(self.x.to(device, non_blocking=True), *optional)


Loss = Callable[[Batch], dict[str, Tensor]]


@dataclass(frozen=True)
class Player:
    """Who moves: in each step of training, ``modules`` go down the gradient of ``loss``.

    Parameters
    ----------
    name : str
        Prefix of the loss terms in the history.
    modules : sequence of Module
        What the player owns; nothing else is moved by it.
    loss : callable
        Takes a :class:`Batch`, gives named scalar terms; the loop minimises their sum.
    steps : int, default=1
        Moves in a batch.
    """

    name: str
    modules: Sequence[nn.Module]
    loss: Loss
    steps: int = 1

    def parameters(self) -> list[nn.Parameter]:
        """All parameters of the player's modules, each once."""
        found = {id(p): p for module in self.modules for p in module.parameters()}
        return [p for p in found.values() if p.requires_grad]


class Game(nn.Module, ABC):
    """A model that can be trained: it says who plays.

    ``progress``, a tensor that runs from 0 to 1, is how far training has come; the loop keeps it.
    """

    progress: Tensor

    #: Learning rates relative to the estimator's, by patterns of parameter names.
    rates: dict[str, float] = {}
    #: Decay of the optimiser's means of gradients and of their squares (AdamW's betas).
    betas: tuple[float, float] = (0.9, 0.999)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("progress", torch.ones(()), persistent=False)

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """Return the players in the order of their moves."""


class ClusterGame(Game):
    """A game that divides rows into clusters: all that an estimator asks of its model.

    Parameters
    ----------
    likelihood : Likelihood
        Relates rows in the units of the data to standardised rows, which networks see.
    """

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    @abstractmethod
    def log_resp_standardized(self, seen: Tensor) -> Tensor:
        """Log p(k | x) of standardised rows, (N, K)."""

    def standardize(self, x: Tensor) -> Tensor:
        """Rows in the units of the data -> what networks see, (N, D)."""
        return self.likelihood.standardize(x)

    def log_resp(self, x: Tensor) -> Tensor:
        """Log p(k | x) of rows in the units of the data, (N, K)."""
        return self.log_resp_standardized(self.standardize(x))

    def resp(self, x: Tensor) -> Tensor:
        """Responsibilities p(k | x), (N, K), float32."""
        return self.log_resp(x).exp().float()

    def assign(self, x: Tensor) -> Tensor:
        """Most probable cluster of each row, (N,)."""
        return self.log_resp(x).argmax(-1)

    @abstractmethod
    def criterion(self, x: Tensor) -> Tensor:
        """Label-free criterion of each row, (N,), float64; higher is better."""

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Return what the estimator shows of the trained model, by attribute."""
        return {}

    def restore_buffers(self, tensors: dict[str, Tensor]) -> None:
        """Create the parts that only a trained model has, to be filled from a state dict."""
