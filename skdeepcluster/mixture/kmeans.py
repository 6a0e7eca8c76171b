"""k-means on weighted rows, which initialises EM.

Letters: N rows, D features, K clusters; rows ``x`` (N, D), their weights ``weight`` (N,). Every
random choice picks a row by inverting the cumulative weight, so a result depends on the rows,
their weights and their order alone.

Reference: D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, 2007.
"""

import math

import torch
from torch import Tensor

from ..functional.gaussian import average


def draw(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw n rows with probability proportional to ``weight``, with replacement."""
    cumulative = weight.cumsum(0)
    u = torch.rand(n, generator=generator, dtype=torch.float64, device="cpu").to(weight)
    index = torch.searchsorted(cumulative, u * cumulative[-1], right=True)
    return index.clamp_max(len(weight) - 1)


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """|x_n - c_k|^2, of shape (K, N)."""
    shift = average(centres)
    return _squared_distances(x - shift, (x - shift).square().sum(1), centres - shift)


def _squared_distances(x: Tensor, norms: Tensor, centres: Tensor) -> Tensor:
    """Return :func:`squared_distances` for centred rows with known norms |x_n|^2."""
    inner = torch.addmm(centres.square().sum(1, keepdim=True), centres, x.T, alpha=-2)
    return inner.add_(norms).clamp_min_(0)


def plusplus(x: Tensor, weight: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    """Return the indices (K,) of rows far apart: k-means++ seeding, greedy variant.

    Each next row is the best of 2 + log K candidates, drawn in proportion to their weight times
    their squared distance from the rows already chosen.
    """
    x = x - average(x)
    norms = x.square().sum(1)
    chosen = draw(weight, 1, generator)
    nearest = _squared_distances(x, norms, x[chosen]).squeeze(0)
    for _ in range(1, n_clusters):
        candidates = draw(weight * nearest, 2 + int(math.log(n_clusters)), generator)
        distances = _squared_distances(x, norms, x[candidates]).minimum(nearest)
        best = (distances @ weight).argmin()
        nearest = distances[best]
        chosen = torch.cat([chosen, candidates[best : best + 1]])
    return chosen


def lloyd(
    x: Tensor, weight: Tensor, centres: Tensor, max_iter: int = 300, tol: float = 1e-4
) -> tuple[Tensor, float]:
    """Iterate Lloyd's algorithm from centres (K, D), K <= N; return the last centres and inertia.

    The inertia is sum_n w_n min_k |x_n - c_k|^2 at the last assignment. A centre that loses all
    its rows moves to the row farthest from its own centre. The iteration stops when the centres
    move, squared and summed, by at most ``tol`` times the mean variance of the features.
    """
    shift = average(x)
    x, centres = x - shift, centres - shift
    norms = x.square().sum(1)
    tol = tol * float(norms.mean()) / x.shape[1]
    inertia, total = math.inf, float(weight.sum()) * (1 + 1e-9)
    for _ in range(max_iter):
        distances = _squared_distances(x, norms, centres)
        nearest = distances.amin(0)
        inertia = float(weight @ nearest)
        members = torch.where(distances == nearest, weight, 0.0)
        if float(members.sum()) > total:
            # The weight of a row equally near to several centres is divided among them.
            members *= weight / members.sum(0)
        size = members.sum(1)
        moved = (members @ x) / size.unsqueeze(1)
        empty = (size == 0).nonzero().squeeze(1)
        moved[empty] = x[nearest.topk(len(empty)).indices]
        change, centres = float((moved - centres).square().sum()), moved
        if change <= tol:
            break
    return centres + shift, inertia


def kmeans(
    x: Tensor, weight: Tensor, n_clusters: int, generator: torch.Generator, n_restarts: int = 1
) -> Tensor:
    """Return the centres (K, D) of the run with the least inertia, of ``n_restarts`` runs.

    If there are at most K rows, the rows are the centres, repeated as needed.
    """
    if len(x) <= n_clusters:
        return x[torch.arange(n_clusters, device=x.device) % len(x)]
    best, least = x[:n_clusters], math.inf
    for _ in range(n_restarts):
        centres, inertia = lloyd(x, weight, x[plusplus(x, weight, n_clusters, generator)])
        # Rounding must not choose between two runs that found the same clusters.
        if inertia < least * (1 - 1e-9):
            best, least = centres, inertia
    return best
