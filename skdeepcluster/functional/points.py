"""Fixed quasi-random points for integration, and shifts of them for each sample."""

import torch
from torch import Tensor


def uniform_points(
    n_points: int,
    n_dimensions: int,
    seed: int = 0,
) -> Tensor:
    """Return a scrambled Sobol sequence of [0, 1), (n_points, n_dimensions), float64."""
    engine = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=seed)
    # ``draw`` rounds the first point to the default dtype.
    first = engine.quasi.double() / 2**engine.MAXBIT

    uniform = engine.draw(n_points, dtype=torch.float64)
    uniform[0] = first
    return uniform


def normal_quantiles(
    uniform: Tensor,
    least: float = torch.finfo(torch.float32).eps,
) -> Tensor:
    """Return the quantiles of N(0, 1), clipped to the levels ``least`` and 1 - ``least``."""
    levels = uniform.clamp(least, 1 - least)
    return torch.special.ndtri(levels)


def normal_points(
    n_points: int,
    n_dimensions: int,
) -> Tensor:
    """Return fixed quasi-random points of N(0, I), (n_points, n_dimensions), float64."""
    uniform = uniform_points(n_points, n_dimensions)
    return normal_quantiles(uniform)


def balanced_points(
    n_points: int,
    n_dimensions: int,
) -> Tensor:
    """Return fixed points with the moments of N(0, I) up to the third, (2 n_points, n_dimensions).

    Quasi-random points are whitened and mirrored, so means of polynomials of degree three are
    exact. ``n_points`` must be larger than ``n_dimensions``.
    """
    points = normal_points(n_points, n_dimensions)
    scale = torch.linalg.cholesky(points.T @ points / n_points)
    whitened = torch.linalg.solve_triangular(scale, points.T, upper=False)
    half = whitened.T
    return torch.cat([half, -half])


def random_shifts(x: Tensor, n_dimensions: int) -> Tensor:
    """Return pseudo-random shifts in [0, 1), (N, n_dimensions), that hash samples x (N, D).

    They are fractional parts of large random projections, so each depends on its sample alone.
    """
    generator = torch.Generator().manual_seed(0)
    shape = x.shape[1], n_dimensions
    directions = torch.randn(
        shape, generator=generator, dtype=torch.float64, device="cpu"
    )

    projections = x.double() @ directions.to(x.device)
    return (1e4 * projections).remainder(1.0)
