"""What keeps the clusters of a network near a start, and smooth in x. Ours, not the papers'."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..functional.rows import all_rows, own_rows
from ..functional.smoothness import adversarial_divergence, nearest_distance

#: Length of the step that should change no cluster, in distances to the nearest of so many rows.
RADIUS, AMONG = 0.25, 256


def masked(seen: Tensor, masking: float) -> Tensor:
    """Rows with a share of their features, drawn anew, set to zero, (N, D)."""
    return seen * (torch.rand_like(seen) >= masking) if masking else seen


@dataclass(frozen=True)
class Keep:
    """Loss terms of a model that begins from responsibilities R, "start" and "smoothness".

    Parameters
    ----------
    start_weight : float, default=0.0
        Of the cross-entropy -sum_c R_c log p(c|x).
    smoothness_weight : float, default=0.0
        Of how much p(c|x) changes where a step of ``RADIUS`` times the distance to the nearest
        row of the batch changes it most. A weight of 0 leaves a term out, and its cost.
    masking : float, default=0.0
        Share of the features hidden from the encoder where rows are rebuilt; the terms themselves
        see rows as they are: a few masked columns of a table may be all that tells clusters apart.
    """

    start_weight: float = 0.0
    smoothness_weight: float = 0.0
    masking: float = 0.0

    def shown(self, seen: Tensor, start: Tensor | None) -> Tensor:
        """Return what the encoder sees in training: masked rows if there is a start to keep."""
        return seen if start is None else masked(seen, self.masking)

    def terms(
        self,
        log_probs: Callable[[Tensor], Tensor],
        seen: Tensor,
        start: Tensor | None,
        log_p: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Weighted terms, none without a start.

        Parameters
        ----------
        log_probs : callable, (N, D) -> (N, K)
            Log p(c|x) of standardised rows.
        seen : Tensor of shape (N, D)
            Standardised rows.
        start : Tensor of shape (N, K) or None
            R.
        log_p : Tensor of shape (N, K), default=None
            ``log_probs(seen)``, where it is known.

        Returns
        -------
        dict of scalar Tensors
        """
        terms: dict[str, Tensor] = {}
        if start is None:
            return terms
        log_p = log_probs(seen) if log_p is None else log_p
        if self.start_weight:
            terms["start"] = -self.start_weight * (start * log_p).sum(-1).mean()
        if self.smoothness_weight:
            # Among fewer rows the nearest is farther, on a surface by the root of their number.
            batch = all_rows(seen)
            radius = RADIUS * min(1.0, math.sqrt(len(batch) / AMONG)) * nearest_distance(batch)
            radius = own_rows(radius)
            jump = adversarial_divergence(log_probs, seen, log_p.detach(), radius)
            terms["smoothness"] = self.smoothness_weight * jump.mean()
        return terms


#: What a published objective adds for a start.
NOTHING = Keep()
