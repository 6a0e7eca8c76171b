"""Fixed points for integration (quasi-random, balanced) and numbers that hash samples."""

import torch
from torch import Tensor


def uniform_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return a scrambled Sobol sequence of [0, 1), (n_points, n_dimensions), float64."""
    engine = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=0)
    first = engine.quasi.double() / 2**engine.MAXBIT
    uniform = engine.draw(n_points, dtype=torch.float64)
    # ``draw`` rounds the first point to the default dtype.
    uniform[0] = first
    return uniform


def normal_quantiles(
    uniform: Tensor, least: float = torch.finfo(torch.float32).eps
) -> Tensor:
    """Return the quantiles of N(0, 1), clipped to the levels ``least`` and 1 - ``least``."""
    return torch.special.ndtri(uniform.clamp(least, 1 - least))


def normal_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return fixed quasi-random points of N(0, I), (n_points, n_dimensions), float64."""
    return normal_quantiles(uniform_points(n_points, n_dimensions))


def balanced_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return fixed points with the moments of N(0, I) up to the third, (2 n_points, n_dimensions).

    Quasi-random points are whitened and mirrored, so means of polynomials of degree three are
    exact. ``n_points`` must be larger than ``n_dimensions``.
    """
    points = normal_points(n_points, n_dimensions)
    scale = torch.linalg.cholesky(points.T @ points / n_points)
    half = torch.linalg.solve_triangular(scale, points.T, upper=False).T
    return torch.cat([half, -half])


def hash_rows(x: Tensor, n_numbers: int) -> Tensor:
    """Return pseudo-random numbers in [0, 1), (N, n_numbers), that depend on each sample alone.

    They are the fractional parts of large random projections of the samples (N, D).
    """
    stream = torch.Generator().manual_seed(0)
    directions = torch.empty(x.shape[1], n_numbers, dtype=torch.float64, device="cpu")
    directions = directions.normal_(generator=stream).to(x.device)
    return (1e4 * (x.double() @ directions)).remainder(1.0)
