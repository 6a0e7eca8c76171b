"""What kinds of data sets share: sizes of classes, centers and noise.

N samples, D features, K classes.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.spatial.distance import cdist

T = TypeVar("T")
Array = npt.NDArray[Any]
#: A whole number. Powers of numpy's and Python's differ in the last bit.
Int = int | np.integer[Any]
#: Samples (N, D) and their classes (N,).
Samples = tuple[Array, Array]
#: Minimum, usual maximum and maximum number of classes.
Numbers = tuple[int, int, int]

#: Minimum number of samples of a class.
MIN_SIZE = 5
#: Probabilities of the sizes of classes: equal, unequal, steep.
SIZES = {"equal": 0.4, "unequal": 0.3, "steep": 0.3}


def log_uniform(
    rng: Generator, low: Any, high: float, size: int | tuple[int, ...] | None = None
) -> Any:
    """Draw numbers whose logarithms are uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def choose(rng: Generator, options: Sequence[T]) -> T:
    """Draw one of the options."""
    return options[int(rng.integers(len(options)))]


# ---- classes


def draw_many(rng: Generator) -> int:
    """Draw the number of samples of a large data set."""
    return int(log_uniform(rng, 3000, 9000))


def draw_classes(
    rng: Generator,
    low: int,
    high: int,
    top: int,
    sizes: str | None = None,
    n_samples: int | None = None,
) -> Array:
    """Draw the sorted classes (N,) of samples.

    There are ``low`` to ``high`` classes, at times up to ``top``. Their ``sizes`` are one of those
    in :func:`_draw_shares`, by default one of SIZES.
    """
    n_samples = n_samples or _draw_n_samples(rng)
    n_classes = _draw_n_classes(rng, low, high, top, n_samples)

    shares = _draw_shares(rng, n_classes)
    if sizes is None:
        sizes = rng.choice([*SIZES], p=[*SIZES.values()])
    share = shares[sizes]

    least = max(MIN_SIZE, n_samples // 100 + 1)
    rest = n_samples - n_classes * least
    ends = np.cumsum(least + rest * share / share.sum())
    counts = np.diff((ends + 0.5).astype(int), prepend=0)
    return np.repeat(np.arange(n_classes), counts)


def _draw_n_samples(rng: Generator) -> int:
    """Draw the number of samples."""
    if rng.random() < 0.85:
        return int(log_uniform(rng, 150, 1500))
    return int(log_uniform(rng, 100, 2000))


def _draw_n_classes(
    rng: Generator, low: int, high: int, top: int, n_samples: int
) -> int:
    """Draw the number of classes, at most one for a dozen samples."""
    is_many = rng.random() < 0.15
    drawn = rng.integers(high, top + 1) if is_many else log_uniform(rng, low, high + 1)
    most = n_samples // (6 if top > 30 else 12)
    return max(low, min(int(drawn), most))


def _draw_shares(rng: Generator, n_classes: int) -> dict[str, Array]:
    """Draw the shares of samples in classes (K,), not normalized, by their name."""
    rank = np.arange(n_classes)
    return {
        "equal": np.ones(n_classes),
        "unequal": rng.dirichlet(np.full(n_classes, rng.uniform(1, 8))),
        "steep": 50 ** rng.random(n_classes),
        "few large": 0.04 ** (rank > rng.integers(2)),
        "by rank": (rank + 1) ** rng.uniform(-0.5, 1.5),
    }


# ---- centers


def draw_centers(
    rng: Generator, n_classes: Int, n_features: Int, separation: float, levels: Int = 1
) -> Array:
    """Draw the centers (K, D) of classes: a box, normal, a grid, or groups.

    ``separation`` is the mean distance to the nearest other center. With more than one level,
    centers form groups.
    """
    if levels > 1 and n_classes > 3:
        centers = _draw_groups(rng, n_classes, n_features, levels)
    elif n_features <= 3 and rng.random() < 0.35:
        centers = _draw_grid(rng, n_classes, n_features)
    else:
        centers = _draw_cloud(rng, n_classes, n_features)

    if n_classes == 1:
        return centers * separation
    nearest = np.sort(cdist(centers, centers), 1)[:, 1]
    return centers * separation / nearest.mean()


def _draw_groups(rng: Generator, n_classes: Int, n_features: Int, levels: Int) -> Array:
    """Draw centers around the centers of groups."""
    n_groups = rng.integers(2, n_classes // 2 + 1)
    groups = rng.integers(0, n_groups, n_classes)
    separation = rng.uniform(1.5, 6)
    above = draw_centers(rng, n_classes, n_features, separation, levels - 1)
    return above[groups] + draw_centers(rng, n_classes, n_features, 1)


def _draw_grid(rng: Generator, n_classes: Int, n_features: Int) -> Array:
    """Draw cells of a grid, more or less exact."""
    side = int(np.ceil(n_classes ** (1 / n_features)))
    cells = rng.choice(side**n_features, n_classes, replace=False)
    grid = np.stack(np.unravel_index(cells, (side,) * n_features), 1)
    noise = rng.uniform(0, 0.25)
    return grid + noise * rng.standard_normal((n_classes, n_features))


def _draw_cloud(rng: Generator, n_classes: Int, n_features: Int) -> Array:
    """Draw several sets of centers, and return the one whose nearest are farthest apart."""
    clouds: list[Callable[..., Array]] = [rng.uniform, rng.normal]
    cloud = choose(rng, clouds)
    n_tries = rng.integers(1, 8)
    tries = [cloud(-1, 1, (n_classes, n_features)) for _ in range(n_tries)]

    def find_least(centers: Array) -> float:
        # The distances of centers to themselves come first, then each pair twice.
        distances = np.sort(cdist(centers, centers).ravel())
        return float(distances[: n_classes + 2].max())

    return max(tries, key=find_least)


# ---- noise

#: Noise (N, D) of a variance of about one.
NOISES: dict[str, Callable[[Generator, int, int], Array]] = {
    "normal": lambda rng, n, d: rng.standard_normal((n, d)),
    "laplace": lambda rng, n, d: rng.laplace(0, 0.7, (n, d)),
    "t": lambda rng, n, d: rng.normal(size=(n, d)) / _draw_radius(rng, n),
    "uniform": lambda rng, n, d: rng.uniform(-1.7, 1.7, (n, d)),
    "exponential": lambda rng, n, d: rng.exponential(1, (n, d)),
    "lognormal": lambda rng, n, d: rng.lognormal(0, rng.uniform(0.3, 1), (n, d)),
    "log_gamma": lambda rng, n, d: (
        np.log(rng.gamma(rng.uniform(1, 6), 1, (n, d))) * 1.5
    ),
}


def _draw_radius(rng: Generator, n_samples: int) -> Array:
    """Draw the divisors (N, 1) that turn normal samples into t with 3 degrees of freedom."""
    return np.sqrt(rng.chisquare(3, (n_samples, 1)) / 3)


def draw_noise(
    rng: Generator, names: tuple[str, ...], n_samples: int, n_features: int
) -> Array:
    """Draw noise (N, D) of one of these names."""
    return NOISES[rng.choice(names)](rng, n_samples, n_features)
