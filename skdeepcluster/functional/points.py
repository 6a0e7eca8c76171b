"""Fixed points to integrate over: quasi-random, balanced, and numbers that hash rows.

Letters: N rows, D features.
"""

import torch
from torch import Tensor


def uniform_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return fixed quasi-random points of [0, 1), (n_points, n_dimensions), float64.

    They are a scrambled Sobol sequence.
    """
    engine = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=0)
    first = engine.quasi.double() / 2**engine.MAXBIT
    uniform = engine.draw(n_points, dtype=torch.float64)
    # ``draw`` rounds the first point to the default dtype.
    uniform[0] = first
    return uniform


def normal_quantiles(uniform: Tensor, least: float = torch.finfo(torch.float32).eps) -> Tensor:
    """Return the quantiles of N(0, 1), those below ``least`` or above 1 - ``least`` cut off."""
    return torch.special.ndtri(uniform.clamp(least, 1 - least))


def normal_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return fixed quasi-random points of N(0, I), (n_points, n_dimensions), float64."""
    return normal_quantiles(uniform_points(n_points, n_dimensions))


def balanced_points(n_points: int, n_dimensions: int) -> Tensor:
    """Return fixed points of N(0, I) with its moments up to the third, (2 n_points, n_dimensions).

    The means of polynomials of degree three over them are exact: quasi-random points are whitened,
    so that their mean square is I, and each comes with its negative. There must be more of them
    than dimensions.
    """
    points = normal_points(n_points, n_dimensions)
    scale = torch.linalg.cholesky(points.T @ points / n_points)
    half = torch.linalg.solve_triangular(scale, points.T, upper=False).T
    return torch.cat([half, -half])


def hash_rows(x: Tensor, n_numbers: int) -> Tensor:
    """Return numbers in [0, 1) that depend on a row (N, D) alone, as if drawn, (N, n_numbers).

    They are the fractional parts of large random projections: the same on every machine but for
    the rounding of float64.
    """
    stream = torch.Generator().manual_seed(0)
    directions = torch.empty(x.shape[1], n_numbers, dtype=torch.float64, device="cpu")
    directions = directions.normal_(generator=stream).to(x.device)
    return (1e4 * (x.double() @ directions)).remainder(1.0)
