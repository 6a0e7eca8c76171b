"""Points of normal distributions: samples of mixtures, and quasi-random points for integration."""

import torch

from .gaussian import log_joint

#: Rounds of rejection sampling in :func:`clear_sample`, and of halving afterwards.
REDRAWS = 20
#: Lowest level of quantiles of the normal distribution, which are finite above 0.
LEAST = torch.finfo(torch.float32).eps


def uniform_points(n_points, n_dimensions, seed=0):
    """Return a scrambled Sobol sequence of [0, 1), (n_points, n_dimensions), float64."""
    engine = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=seed)
    # ``draw`` rounds the first point to the default dtype.
    first = engine.quasi.double() / 2**engine.MAXBIT

    uniform = engine.draw(n_points, dtype=torch.float64)
    uniform[0] = first
    return uniform


def normal_quantiles(uniform, least=LEAST):
    """Return the quantiles of N(0, 1), clipped to the levels ``least`` and 1 - ``least``."""
    return torch.special.ndtri(uniform.clamp(least, 1 - least))


def balanced_points(n_points, n_dimensions):
    """Return fixed points with the moments of N(0, I) up to the third, (2 n_points, n_dimensions).

    Quasi-random points are whitened and mirrored, so means of polynomials of degree three are
    exact. ``n_points`` must be larger than ``n_dimensions``.
    """
    points = normal_quantiles(uniform_points(n_points, n_dimensions))
    scale = torch.linalg.cholesky(points.T @ points / n_points)
    half = torch.linalg.solve_triangular(scale, points.T, upper=False).T
    return torch.cat([half, -half])


def random_shifts(x, n_dimensions):
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


# ---- samples of mixtures


def sample(mixture, counts, generator):
    """Generate ``counts[k]`` samples of each component in turn, (counts.sum(), D)."""
    _, means, scales = mixture
    sizes = counts.tolist()
    shape = sum(sizes), means.shape[1]
    normal = torch.randn(shape, generator=generator, dtype=means.dtype, device="cpu")
    parts = normal.to(means.device).split(sizes)

    scales = scales.expand(len(means), *scales.shape[1:])
    samples = []
    for mean, scale, z in zip(means, scales, parts, strict=True):
        apart = z @ scale.T if scale.ndim == 2 else z * scale
        samples.append(mean + apart)
    return torch.cat(samples)


def clear_sample(mixture, counts, generator):
    """Generate samples as :func:`sample` does that clearly belong to their component k.

    p(k | x) is at least 0.9 times p(k | mean of k). Rejected samples are generated
    again ``REDRAWS`` times, then moved halfway to the mean of their component until they are
    accepted.
    """
    least = 0.9 * log_joint(mixture.means, mixture).softmax(-1).diagonal()
    components = torch.arange(len(counts), device="cpu").repeat_interleave(counts)
    centers = mixture.means[components]

    def reject(x):
        log_resp = log_joint(x, mixture).log_softmax(-1)
        log_p = log_resp.gather(1, components[:, None])[:, 0]
        return log_p.exp() < least[components]

    x = sample(mixture, counts, generator)
    for i in range(2 * REDRAWS):
        rejected = reject(x)
        if not rejected.any():
            break
        if i < REDRAWS:
            again = components[rejected].bincount(minlength=len(counts))
            x[rejected] = sample(mixture, again, generator)
        else:
            x[rejected] = (x[rejected] + centers[rejected]) / 2
    return torch.where(reject(x)[:, None], centers, x)
