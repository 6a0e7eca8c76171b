"""Drawn sets of many kinds, each decided by its name: ``drawn(name)`` and ``counted(name)``.

Kinds: clusters of unequal sizes, unequal densities or no convex shape, correlated features, heavy
tails, features of noise, many clusters, few features. The name of a set seeds its random
generator, so that a set stays the same when others are added.
"""

import zlib
from functools import partial

import numpy as np
from sklearn.utils import Bunch


def centers(stream, n_clusters, n_features, gap):
    """Draw centers in a cube that are at least `gap` apart; the cube grows until they fit."""
    side, found = gap * n_clusters ** (1 / n_features) / np.sqrt(n_features), []
    while len(found) < n_clusters:
        candidate = stream.uniform(0, side, n_features)
        if all(np.linalg.norm(candidate - other) >= gap for other in found):
            found.append(candidate)
        side *= 1.001
    return np.array(found)


def rotation(stream, n_features):
    """Draw a rotation (or reflection) of the space."""
    return np.linalg.qr(stream.standard_normal((n_features, n_features)))[0]


def blobs(stream, sizes, n_features, *, gap=6.0, stds=1.0, condition=1.0, df=np.inf):
    """Draw clusters about centers that lie `gap` apart.

    `stds` is one standard deviation, or one for each cluster; `condition` the ratio of a rotated
    cluster's longest to its shortest axis; `df` the degrees of freedom of Student's t.
    """
    middles, parts = centers(stream, len(sizes), n_features, gap), []
    for middle, size, std in zip(middles, sizes, np.broadcast_to(stds, len(sizes)), strict=True):
        axes = np.geomspace(1, condition, n_features)
        rows = stream.standard_normal((size, n_features)) * axes / np.sqrt(condition)
        if np.isfinite(df):
            rows *= np.sqrt(df / stream.chisquare(df, (size, 1)))
        parts.append(middle + std * rows @ rotation(stream, n_features))
    return parts


def line(stream, sizes, *, places, stds):
    """Draw clusters on a line, at given places."""
    return [
        stream.normal(place, std, (size, 1))
        for size, place, std in zip(sizes, places, stds, strict=True)
    ]


def curves(stream, sizes, *, shapes, noise):
    """Draw samples along curves, tuples of a function of numbers in [0, 1] and its options."""
    parts = []
    for size, (shape, *options) in zip(sizes, shapes, strict=True):
        points = np.stack(shape(stream.uniform(0, 1, size), *options), axis=1)
        parts.append(points + noise * stream.standard_normal(points.shape))
    return parts


def arc(t, radius, first=0.0, last=2.0, x=0.0, y=0.0):
    """Return points of an arc about (x, y), its angles in units of pi."""
    angle = np.pi * (first + (last - first) * t)
    return x + radius * np.cos(angle), y + radius * np.sin(angle)


def spiral(t, turn, turns=1.5):
    """Return points of an arm of a spiral, spaced evenly, rotated by a part of a circle."""
    radius = 0.15 + 0.85 * np.sqrt(t)
    angle = 2 * np.pi * (turn + turns * radius)
    return radius * np.cos(angle), radius * np.sin(angle)


def segment(t, x, y, x_end, y_end):
    """Return points of a straight line between two points."""
    return x + (x_end - x) * t, y + (y_end - y) * t


def link(t, is_upright):
    """Return points of a ring of a chain of two in space."""
    a, b = np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)
    return (a + 1, 0 * b, b) if is_upright else (a, b, 0 * b)


def squares(stream, sizes, *, width):
    """Draw uniform squares on a grid of unit distance."""
    columns = int(np.ceil(np.sqrt(len(sizes))))
    return [
        np.array(divmod(k, columns)) + stream.uniform(0, width, (size, 2))
        for k, size in enumerate(sizes)
    ]


def with_noise(stream, sizes, kind, n_noise, scale):
    """Add features of normal noise, of `scale` times the mean deviation of the others."""
    parts = kind(stream, sizes)
    std = scale * np.concatenate(parts).std(0).mean()
    return [np.hstack([part, stream.normal(0, std, (len(part), n_noise))]) for part in parts]


def turned(stream, sizes, kind, n_features, noise):
    """Put a set into a space of more features, with a little noise in all, and rotate it."""
    parts, turn = kind(stream, sizes), rotation(stream, n_features)
    wide = [np.pad(part, ((0, 0), (0, n_features - part.shape[1]))) for part in parts]
    return [(part + noise * stream.standard_normal(part.shape)) @ turn for part in wide]


def around(n_features, **options):
    """Return a function that draws clusters about centers, see `blobs`."""
    return partial(blobs, n_features=n_features, **options)


MOONS = partial(curves, shapes=[(arc, 1, 0, 1), (arc, 1, 1, 2, 1, 0.4)], noise=0.07)
SIX_MOONS = [(arc, 1, k % 2, 1 + k % 2, 3.6 * (k // 2) + k % 2, 0.4 * (k % 2)) for k in range(6)]
RINGS = [(arc, radius) for radius in (0.6, 1.8, 3, 4.2)]
FACE = [(arc, 3), (arc, 1.8, 1.15, 1.85), *((arc, 0.25, 0, 2, x, 0.8) for x in (-1, 1))]
STICKS = [(segment, 0.3 * k, y, 6 + 0.3 * k, y) for k, y in enumerate((0, 1, 2, 3))]
CROSS = [(segment, *own) for own in ((-4, 0, -1, 0), (1, 0, 4, 0), (0, 1, 0, 4), (0, -4, 0, -1))]
SPIRALS = [(spiral, k / 3) for k in range(3)]

#: name -> the number of samples of each cluster, and what draws them (stream, sizes)
SETS = {
    # unequal sizes
    "sizes_2d": ([1200, 400, 150, 50], around(2)),
    "sizes_5d_rare": ([1900, 100], around(5, gap=5)),
    "sizes_10d": ([1600, 800, 400, 200, 100, 60, 40], around(10)),
    # unequal densities
    "density_2d": ([500] * 3, around(2, gap=8, stds=[0.3, 1, 2])),
    "density_3d_sizes": ([1500, 700, 80, 80], around(3, stds=[1.2, 0.8, 0.2, 0.2])),
    "density_8d": ([300] * 6, around(8, gap=8, stds=np.geomspace(0.3, 1.8, 6))),
    # no convex shape
    "moons": ([600] * 2, MOONS),
    "moons_six": ([250] * 6, partial(curves, shapes=SIX_MOONS, noise=0.07)),
    "moons_10d": ([500] * 2, partial(turned, kind=MOONS, n_features=10, noise=0.07)),
    "circles": ([700, 350], partial(curves, shapes=[(arc, 1), (arc, 0.45)], noise=0.06)),
    "rings": ([200, 500, 800, 1100], partial(curves, shapes=RINGS, noise=0.12)),
    "spirals": ([500] * 3, partial(curves, shapes=SPIRALS, noise=0.015)),
    "face": ([1200, 350, 150, 150], partial(curves, shapes=FACE, noise=0.08)),
    "chain_3d": ([600] * 2, partial(curves, shapes=[(link, False), (link, True)], noise=0.08)),
    "squares": ([150] * 9, partial(squares, width=0.8)),
    # correlated features
    "correlated_2d": ([400] * 3, around(2, gap=7, condition=6)),
    "correlated_5d": ([300] * 6, around(5, gap=7, condition=8)),
    "correlated_15d": ([250] * 10, around(15, gap=8, condition=10)),
    "correlated_sticks": ([300] * 4, partial(curves, shapes=STICKS, noise=0.13)),
    "correlated_cross": ([200, 400, 600, 300], partial(curves, shapes=CROSS, noise=0.2)),
    # heavy tails
    "tails_2d": ([400] * 3, around(2, gap=9, df=2)),
    "tails_5d_sizes": ([800, 400, 200, 100, 100], around(5, gap=9, df=2)),
    "tails_10d": ([250] * 8, around(10, gap=8, df=3)),
    # features of noise
    "noise_2_of_10": ([300] * 4, partial(with_noise, kind=around(2), n_noise=8, scale=0.4)),
    "noise_5_of_20": ([250] * 6, partial(with_noise, kind=around(5), n_noise=15, scale=0.5)),
    "noise_3_of_12_sizes": (
        [800, 400, 200, 100, 50],
        partial(with_noise, kind=around(3), n_noise=9, scale=0.4),
    ),
    # many clusters
    "many_20_2d": ([100] * 20, around(2)),
    "many_30_5d": ([80] * 30, around(5)),
    "many_40_3d_sizes": ([*range(30, 150, 3)], around(3)),
    "many_50_2d": ([60] * 50, around(2, gap=5.5)),
    "many_50_10d": ([60] * 50, around(10, gap=6)),
    # few features, two clusters
    "two_1d": ([600, 400], partial(line, places=[0, 5], stds=[1.2, 0.6])),
    "five_1d": (
        [300] * 5,
        partial(line, places=[0, 4, 7, 12, 15], stds=[0.7, 0.5, 0.5, 0.9, 0.4]),
    ),
    "two_2d_near": ([500] * 2, around(2, gap=4)),
    "two_20d": ([500] * 2, around(20, gap=5)),
}


def drawn(name):
    """Draw a set by its name: a Bunch of X, float64 in permuted order, y, n_clusters and name."""
    sizes, kind = SETS[name]
    stream = np.random.default_rng(zlib.crc32(name.encode()))
    parts = kind(stream, sizes)
    order = stream.permutation(sum(sizes))
    X, y = np.concatenate(parts)[order], np.repeat(np.arange(len(sizes)), sizes)[order]
    return Bunch(X=X, y=y, n_clusters=len(sizes), name=name)


#: Numbers of clusters of the sets on which they are counted, and of their features.
COUNTS, FEATURES = (1, 1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40), (2, 3, 5, 10, 20)
#: Sets on which clusters are counted.
COUNTED = [f"counted_{number}" for number in range(60)]


def counted(name):
    """Draw 300 to 3,000 rows of 1 to 40 normal or heavy-tailed clusters of unequal sizes."""
    stream = np.random.default_rng(zlib.crc32(name.encode()))
    n_clusters, n_features = int(stream.choice(COUNTS)), int(stream.choice(FEATURES))
    n_rows = max(int(stream.integers(300, 3000)), 30 * n_clusters)
    gap = stream.uniform(2.5, 6)
    places = separate(stream, n_clusters, n_features, gap)
    shares = stream.dirichlet(np.full(n_clusters, stream.choice([3, 30])))
    shares = np.maximum(shares, 0.2 / n_clusters)
    y = stream.choice(n_clusters, n_rows, p=shares / shares.sum())
    X, kind = stream.normal(size=(n_rows, n_features)), stream.choice(["round", "long", "heavy"])
    if kind == "long":
        for cluster in range(n_clusters):
            one, _, other = np.linalg.svd(stream.normal(size=(n_features, n_features)))
            X[y == cluster] @= (one * stream.uniform(0.4, 1.1, n_features)) @ other
    elif kind == "heavy":
        X /= 1.2 * np.sqrt(stream.chisquare(5, size=(n_rows, 1)) / 5)
    return Bunch(X=X + places[y], y=y, n_clusters=n_clusters, name=name)


def separate(stream, n_places, n_features, gap):
    """Draw places at least `gap` apart, or nearly so if there is no room."""
    places = np.empty((0, n_features))
    side = 0.9 * gap * max(2, n_places ** (1 / min(n_features, 3)))
    while len(places) < n_places:
        place = stream.uniform(0, side, n_features)
        if n_features > 3:
            place = 0.9 * gap * stream.normal(size=n_features) / np.sqrt(min(n_features, 8))
        if (np.linalg.norm(places - place, axis=1) >= gap).all():
            places = np.vstack([places, place])
        side, gap = 1.01 * side, 0.999 * gap
    return places
