"""Data sets whose classes are shapes in the plane: regions, curves, stripes and rings.

Points of the plane are complex numbers until they are returned. N samples, K classes.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from scipy.spatial.distance import cdist
from sklearn.preprocessing import normalize

from .draw_common import Array, Numbers, Samples, choose, draw_classes, log_uniform

#: A function of two arrays of uniform numbers that returns points.
Shape = Callable[[Array, Array], Array]
#: Box, disk, triangle, graded box, Gaussian.
REGIONS: tuple[Shape, ...] = (
    lambda u, v: u + 1j * v,
    lambda u, v: np.sqrt(u) * np.exp(2j * np.pi * v),
    lambda u, v: np.where(u + v < 1, u + 1j * v, 1 - u + 1j * (1 - v)) * 1.5,
    lambda u, v: 1.5 * u**2 + 1j * v,
    lambda u, v: 0.4 * np.sqrt(-2 * np.log(1 - u)) * np.exp(2j * np.pi * v),
)


def _make_s(u: Array, _: Array) -> Array:
    """Return points of two arcs that form an S."""
    upper = np.exp(3j * np.pi * u)
    lower = -2j - np.exp(3j * np.pi * (u - 0.5))
    return np.where(u < 0.5, upper, lower)


#: Ring, arc, segment, wave, zigzag, S, spiral.
CURVES: tuple[Shape, ...] = (
    lambda u, v: np.exp(2j * np.pi * u),
    lambda u, v: np.exp(1j * np.pi * u),
    lambda u, v: 3 * u + 0j,
    lambda u, v: 3 * u + 0.5j * np.sin(7 * u),
    lambda u, v: 2 * u + 0.6j * abs((3 * u) % 2 - 1),
    _make_s,
    lambda u, v: (0.3 + u) * np.exp(8j * u),
)
#: Maximum number of points of a shape, about, that are compared with those of others.
N_COMPARED = 90


def _unfold(points: Array) -> Array:
    """Return points (N,) as coordinates (N, 2)."""
    return points[:, None].view(float)


def _thin_out(points: Array) -> Array:
    """Return at most about N_COMPARED points."""
    return points[:: len(points) // N_COMPARED + 1]


# ---- regions and curves


def draw_regions(
    rng: Generator,
    shapes: Sequence[Shape],
    gap: tuple[float, float],
    n_classes: Numbers = (2, 7, 12),
) -> Samples:
    """Draw REGIONS or CURVES, of one kind or several, touching or apart, at times in 3-D.

    ``gap`` is the range of the distance between them.
    """
    y = draw_classes(rng, *n_classes)
    width = log_uniform(rng, 0.01, 0.09) * (shapes is CURVES)
    if rng.random() < 0.4:
        shapes = [choose(rng, shapes)]

    parts = [_draw_shape(rng, size, shapes, width) for size in np.bincount(y)]
    parts = _place_apart(rng, parts, log_uniform(rng, *gap))
    X = _unfold(np.concatenate(parts))

    height = rng.uniform(0, 1, (len(y), 1))
    height = height + rng.integers(0, 2, y[-1] + 1)[y, None]
    if rng.random() < 0.2:
        X = np.hstack([X, height])
    return X, y


def _draw_shape(
    rng: Generator, n_points: int, shapes: Sequence[Shape], width: float
) -> Array:
    """Draw points (N,) of one of the shapes, with noise; those without are more or less flat."""
    shape = choose(rng, shapes)
    points = shape(rng.random(n_points), rng.random(n_points))
    height = rng.uniform(0.5, 1) ** (width == 0)
    points = points.real + 1j * points.imag * height
    scale = log_uniform(rng, 0.5, 1.7)
    points = points * scale + width * (rng.normal(size=(n_points, 2)) @ [1, 1j])
    return points - points.mean() * (rng.random() < 0.7)


def _place_apart(rng: Generator, parts: list[Array], gap: float) -> list[Array]:
    """Turn and move the parts to places that are at least about ``gap`` from those before."""
    placed = parts[:1]
    for part in parts[1:]:
        others = np.concatenate([_thin_out(other) for other in placed])
        placed.append(_place(rng, part, others, gap))
    return placed


def _place(rng: Generator, part: Array, others: Array, gap: float) -> Array:
    """Turn a part, and move it farther and farther until it is this far from the others."""
    part = part * np.exp(2j * np.pi * rng.random())
    nearest = 0.0
    reach = 0.3
    while nearest < gap:
        center = rng.choice(others)
        moved = part + center + reach * rng.normal(size=2) @ [1, 1j]
        nearest = cdist(_unfold(_thin_out(moved)), _unfold(others)).min()
        reach = reach * 1.2
    return moved


def draw_compound(rng: Generator) -> Samples:
    """Draw groups of touching, nested or moon-like shapes, of unlike scales, side by side."""
    y = draw_classes(rng, 3, 8, 12)
    n_groups = rng.integers(y[-1] // 3 + 1, y[-1] + 1)
    groups = []
    for sizes in np.array_split(np.bincount(y), n_groups):
        parts = _draw_group(rng, sizes)
        groups.append(np.concatenate(parts) * log_uniform(rng, 0.5, 1.5))
    return _unfold(np.concatenate(_place_apart(rng, groups, 0.2 + rng.random()))), y


def _draw_group(rng: Generator, sizes: Array) -> list[Array]:
    """Draw classes of these sizes, side by side, at times one around the others, or as moons."""
    shapes = REGIONS if rng.random() < 0.6 else CURVES
    form = rng.integers(3)
    width = 0.05 * (shapes is CURVES)
    parts = [_draw_shape(rng, size, shapes, width) for size in sizes]
    parts = _place_apart(rng, parts, rng.uniform(0.1, 0.3))

    if form == 0 and len(sizes) > 1:
        return [_draw_ring_around(rng, sizes[0], np.concatenate(parts[1:])), *parts[1:]]
    if form == 1 and len(sizes) == 2:
        upper, lower = (_draw_arc(rng, size) for size in sizes)
        return [upper, 1 + 0.4j - lower]
    return parts


def _draw_ring_around(rng: Generator, n_points: int, inner: Array) -> Array:
    """Draw a ring around other points."""
    center = inner.mean()
    radius = abs(inner - center).max() * rng.uniform(1.3, 1.7)
    turned = np.exp(2j * np.pi * rng.random(n_points))
    return center + rng.normal(radius, 0.05, n_points) * turned


def _draw_arc(rng: Generator, n_points: int) -> Array:
    """Draw a half of a ring."""
    radius = rng.normal(1, 0.06, n_points)
    return radius * np.exp(1j * np.pi * rng.random(n_points))


# ---- stripes and rings


def draw_stripes(
    rng: Generator, n_classes: Numbers = (2, 6, 8), is_coiled: bool = False
) -> Samples:
    """Draw parallel lines or bands, straight, bent or zigzag, or coiled to arms of a spiral."""
    y = draw_classes(rng, *n_classes)
    length = log_uniform(rng, 2, 10)
    along = rng.uniform(0, length, len(y)) + rng.uniform(0, 1.5, y[-1] + 1)[y]
    width = log_uniform(rng, 0.03, 0.25)
    across = y + width * rng.standard_normal(len(y))
    bends = [0 * along, np.sin(along), abs(along % 2 - 1), along**2 / 20]
    bend = choose(rng, bends)
    if not is_coiled:
        return _unfold(along + 1j * (across + bend)), y

    along = (along / along.max()) ** rng.uniform(0.5, 1)
    turns = rng.uniform(0.4, 1.6) * along + across / (y[-1] + 1)
    return _unfold((0.15 + along) * np.exp(2j * np.pi * turns)), y


def draw_rings(rng: Generator, n_classes: Numbers = (2, 4, 5)) -> Samples:
    """Draw rings or spheres around each other, around a ball, or interlocked."""
    y = draw_classes(rng, *n_classes, "by rank")
    n_features = 2 + (rng.random() < 0.3)
    width = log_uniform(rng, 0.02, 0.15)
    if rng.random() < 0.25:
        return _draw_chain(rng, y, width), y

    radii = np.cumsum(rng.uniform(0.7, 1.5, y[-1] + 1))
    radius = radii[y] + width * rng.standard_normal(len(y))
    has_ball = rng.random() < 0.5
    ball = 0.5 * rng.random(len(y)) ** (1 / n_features)
    radius = np.where((y == 0) & has_ball, ball, radius)
    directions = normalize(rng.standard_normal((len(y), n_features)))
    return directions * radius[:, None], y


def _draw_chain(rng: Generator, y: Array, width: float) -> Array:
    """Draw interlocked rings (N, 3)."""
    ring = normalize(rng.standard_normal((len(y), 2)))
    is_upright = y % 2
    columns = [
        ring[:, 0] + 1.1 * y,
        ring[:, 1] * is_upright,
        ring[:, 1] * (1 - is_upright),
    ]
    return np.stack(columns, 1) + width * rng.standard_normal((len(y), 3))
