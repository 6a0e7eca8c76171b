"""A model is a game: players, each with modules of its own and a loss of named terms."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Loss = Callable[..., dict[str, Tensor]]


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
        Takes a batch, gives named scalar terms; the loop minimises their sum.
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
