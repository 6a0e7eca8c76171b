"""Data sets drawn from a prior: many kinds of clusters, all known, from easy to overlapping.

A kind is a function of a generator that returns samples and classes; see ``draw``.
"""

import zlib
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from sklearn.preprocessing import normalize, scale
from sklearn.utils import Bunch

from . import drawn_tables
from .drawn_tables import log_uniform


def classes(rng, low, high, top, form=None):
    """Draw sorted classes of at least 5 samples: equal, unequal, steep, a few large, by rank."""
    n = int(log_uniform(rng, 150, 1500) if rng.random() < 0.85 else log_uniform(rng, 100, 2000))
    k = rng.integers(high, top + 1) if rng.random() < 0.15 else log_uniform(rng, low, high + 1)
    k = int(max(low, min(k, n // (6 if top > 30 else 12))))
    rank, least = np.arange(k), max(5, n // 100 + 1)
    shares = [np.ones(k), rng.dirichlet(np.full(k, rng.uniform(1, 8))), 50 ** rng.random(k)]
    shares += [0.04 ** (rank > rng.integers(2)), (rank + 1) ** rng.uniform(-0.5, 1.5)]
    share = shares[rng.choice(3, p=[0.4, 0.3, 0.3]) if form is None else form]
    ends = np.cumsum(least + (n - k * least) * share / share.sum())
    return np.repeat(rank, np.diff((ends + 0.5).astype(int), prepend=0))


def centers(rng, k, d, separation, levels=1):
    """Draw centers by box, normal, grid or groups; ``separation`` is the mean to the nearest."""
    if levels > 1 and k > 3:
        above = rng.integers(0, rng.integers(2, k // 2 + 1), k)
        found = centers(rng, k, d, rng.uniform(1.5, 6), levels - 1)[above] + centers(rng, k, d, 1)
    elif d <= 3 and rng.random() < 0.35:
        side = int(np.ceil(k ** (1 / d)))
        cells = np.unravel_index(rng.choice(side**d, k, replace=False), (side,) * d)
        found = np.stack(cells, 1) + rng.uniform(0, 0.25) * rng.standard_normal((k, d))
    else:
        cloud = rng.choice([rng.uniform, rng.normal])  # the best of several
        tries = [cloud(-1, 1, (k, d)) for _ in range(rng.integers(1, 8))]
        found = max(tries, key=lambda c: np.sort(cdist(c, c).ravel())[: k + 2].max())
    return found * separation / (np.sort(cdist(found, found), 1)[:, 1].mean() if k > 1 else 1)


NOISES = {
    "normal": lambda rng, *shape: rng.standard_normal(shape),
    "laplace": lambda rng, *shape: rng.laplace(0, 0.7, shape),
    "t": lambda rng, n, d: rng.normal(size=(n, d)) / np.sqrt(rng.chisquare(3, (n, 1)) / 3),
    "uniform": lambda rng, *shape: rng.uniform(-1.7, 1.7, shape),
    "exponential": lambda rng, *shape: rng.exponential(1, shape),
    "lognormal": lambda rng, *shape: rng.lognormal(0, rng.uniform(0.3, 1), shape),
    "log_gamma": lambda rng, *shape: np.log(rng.gamma(rng.uniform(1, 6), 1, shape)) * 1.5,
}


def clouds(
    rng, k=(2, 12, 30), dims=(2, 30), forms=("round",), tails=("normal",) * 4 + ("uniform",),
    apart=(1.6, 6.5), contrast=(0, 0.2, 0.6), levels=1, sizes=None,
):  # fmt: skip
    """Draw clouds around centers: round, diagonal, full, shared or flat."""
    y = classes(rng, *k, sizes)
    k, d, form = y[-1] + 1, int(log_uniform(rng, dims[0], dims[1] + 1)), rng.choice(forms)
    variances = log_uniform(rng, 1 / log_uniform(rng, 1, 100), 1, (k, d)) ** (form != "round")
    if form == "flat":  # a line, or a space of up to four dimensions
        inner = rng.integers(1, 5 if d > 6 else 2, (k, 1))
        variances = np.where(np.arange(d) < inner, variances**0.3, log_uniform(rng, 0.001, 0.05))
    spread = np.eye(d) if form == "diagonal" else np.linalg.qr(rng.normal(size=(k, d, d)))[0]
    spread = spread * np.sqrt(variances * d / variances.sum(1, keepdims=True))[:, None]
    spread = spread[[0] * k] if form == "shared" else spread
    scales = np.exp(rng.choice(contrast) * rng.standard_normal((k, 1, 1)))
    spread = spread * scales / np.sqrt((scales**2).mean())
    noise = NOISES[rng.choice(tails)](rng, len(y), d)
    X = np.concatenate([noise[y == c] @ spread[c].T for c in range(k)])
    apart = log_uniform(rng, *apart) * (1 + d / 40 + 0.03 * min(k, 10))
    return X + centers(rng, k, d, apart, levels)[y], y


def warped(rng, warps=(), **options):
    """Draw clouds and bend columns by a monotone function, or all by a random network."""
    X, y = clouds(rng, **options)
    X, d = (X / X.std() * log_uniform(rng, 0.5, 1.8)).clip(-5, 5), X.shape[1]
    if warps:
        columns = rng.random(d) < rng.uniform(0.4, 1.2) + (len(warps) == 1)
        return np.where(columns, warps[rng.integers(len(warps))](X), X), y
    hidden = np.tanh(X @ rng.standard_normal((d, 3 * d)) * log_uniform(rng, 0.7, 2) / d**0.5)
    bend = np.tanh(hidden @ rng.standard_normal((3 * d, d)) * 1.5 / d**0.5)
    return X + log_uniform(rng, 0.3, 2) * bend, y


REGIONS = [  # complex points by two uniform numbers: box, disk, triangle, graded box, Gaussian
    lambda u, v: u + 1j * v,
    lambda u, v: np.sqrt(u) * np.exp(2j * np.pi * v),
    lambda u, v: np.where(u + v < 1, u + 1j * v, 1 - u + 1j * (1 - v)) * 1.5,
    lambda u, v: 1.5 * u**2 + 1j * v,
    lambda u, v: 0.4 * np.sqrt(-2 * np.log(1 - u)) * np.exp(2j * np.pi * v),
]
CURVES = [  # ring, arc, segment, wave, zigzag, S, spiral
    lambda u, v: np.exp(2j * np.pi * u),
    lambda u, v: np.exp(1j * np.pi * u),
    lambda u, v: 3 * u + 0j,
    lambda u, v: 3 * u + 0.5j * np.sin(7 * u),
    lambda u, v: 2 * u + 0.6j * abs((3 * u) % 2 - 1),
    lambda u, v: np.where(u < 0.5, np.exp(3j * np.pi * u), -2j - np.exp(3j * np.pi * (u - 0.5))),
    lambda u, v: (0.3 + u) * np.exp(8j * u),
]


def shape(rng, m, shapes, width=0.0):
    """Draw complex points of one of the shapes, more or less flat, with noise."""
    found = shapes[rng.integers(len(shapes))](rng.random(m), rng.random(m))
    found = found.real + 1j * found.imag * rng.uniform(0.5, 1) ** (width == 0)
    found = found * log_uniform(rng, 0.5, 1.7) + width * (rng.normal(size=(m, 2)) @ [1, 1j])
    return found - found.mean() * (rng.random() < 0.7)


def arrange(rng, parts, gap):
    """Turn and move the parts to random places at least about ``gap`` from those before."""
    placed = parts[:1]
    for part in parts[1:]:
        others = np.concatenate([p[:: len(p) // 90 + 1] for p in placed])
        part, near, reach = part * np.exp(2j * np.pi * rng.random()), 0, 0.3
        while near < gap:
            moved = part + rng.choice(others) + reach * rng.normal(size=2) @ [1, 1j]
            some = moved[:: len(part) // 90 + 1, None].view(float)
            near, reach = cdist(some, others[:, None].view(float)).min(), reach * 1.2
        placed = [*placed, moved]
    return placed


def separate(rng, shapes, gap, k=(2, 7, 12)):
    """Draw filled shapes or curves, of one kind or several, touching or apart, at times in 3-D."""
    y, width = classes(rng, *k), log_uniform(rng, 0.01, 0.09) * (shapes is CURVES)
    shapes = [shapes[rng.integers(len(shapes))]] if rng.random() < 0.4 else shapes
    parts = [shape(rng, m, shapes, width) for m in np.bincount(y)]
    X = np.concatenate(arrange(rng, parts, log_uniform(rng, *gap)))[:, None].view(float)
    height = rng.uniform(0, 1, (len(y), 1)) + rng.integers(0, 2, y[-1] + 1)[y, None]
    return np.hstack([X, height]) if rng.random() < 0.2 else X, y


def stripes(rng, k=(2, 6, 8), coiled=False):
    """Draw parallel lines or bands, straight, bent or zigzag, or coiled to arms of a spiral."""
    y = classes(rng, *k)
    along = rng.uniform(0, log_uniform(rng, 2, 10), len(y)) + rng.uniform(0, 1.5, y[-1] + 1)[y]
    across = y + log_uniform(rng, 0.03, 0.25) * rng.standard_normal(len(y))
    bends = [0 * along, np.sin(along), abs(along % 2 - 1), along**2 / 20]
    points = along + 1j * (across + bends[rng.integers(4)])
    if coiled:
        along = (along / along.max()) ** rng.uniform(0.5, 1)
        turns = rng.uniform(0.4, 1.6) * along + across / (y[-1] + 1)
        points = (0.15 + along) * np.exp(2j * np.pi * turns)
    return points[:, None].view(float), y


def rings(rng, k=(2, 4, 5)):
    """Draw rings or spheres around each other, around a ball, or interlocked."""
    y = classes(rng, *k, 4)
    n, d, width = len(y), 2 + (rng.random() < 0.3), log_uniform(rng, 0.02, 0.15)
    if rng.random() < 0.25:
        X = normalize(rng.standard_normal((n, 2)))
        X = np.stack([X[:, 0] + 1.1 * y, X[:, 1] * (y % 2), X[:, 1] * (1 - y % 2)], 1)
        return X + width * rng.standard_normal((n, 3)), y
    radius = np.cumsum(rng.uniform(0.7, 1.5, y[-1] + 1))[y] + width * rng.standard_normal(n)
    radius = np.where((y == 0) & (rng.random() < 0.5), 0.5 * rng.random(n) ** (1 / d), radius)
    return normalize(rng.standard_normal((n, d))) * radius[:, None], y


def compound(rng):
    """Draw groups of touching, nested or moon-like shapes, of unlike scales, side by side."""
    y, groups = classes(rng, 3, 8, 12), []
    for now in np.array_split(np.bincount(y), rng.integers(y[-1] // 3 + 1, y[-1] + 1)):
        kinds, form = REGIONS if rng.random() < 0.6 else CURVES, rng.integers(3)
        parts = [shape(rng, m, kinds, 0.05 * (kinds is CURVES)) for m in now]
        parts = arrange(rng, parts, rng.uniform(0.1, 0.3))
        if form == 0 and len(now) > 1:  # a ring around the others
            inner = np.concatenate(parts[1:])
            radius = abs(inner - inner.mean()).max() * rng.uniform(1.3, 1.7)
            turned = np.exp(2j * np.pi * rng.random(now[0]))
            parts[0] = inner.mean() + rng.normal(radius, 0.05, now[0]) * turned
        elif form == 1 and len(now) == 2:  # moons
            moons = [rng.normal(1, 0.06, m) * np.exp(1j * np.pi * rng.random(m)) for m in now]
            parts = [moons[0], 1 + 0.4j - moons[1]]
        groups.append(np.concatenate(parts) * log_uniform(rng, 0.5, 1.5))
    return np.concatenate(arrange(rng, groups, 0.2 + rng.random()))[:, None].view(float), y


def spoiled(rng, grid):
    """Round to a coarse grid, or add background noise: to nearest classes or as one of its own."""
    X, y = KINDS[rng.choice(["blobs", "gaussians", "regions", "curves", "rings", "bananas"])](rng)
    if grid:  # at most half of the samples are duplicates
        X = X / X.std(0) / log_uniform(rng, 0.1, 1)
        while len(np.unique(np.round(X), axis=0)) < len(y) / 2:
            X = X * 1.3
        return np.round(X), y
    own = rng.random() < 0.5
    n = max(5, int(len(y) * rng.uniform(0.06 if own else 0.01, 0.11)))
    far = X.min(0) + np.ptp(X, 0) * rng.uniform(-0.2, 1.2, (n, X.shape[1]))
    added = np.full(n, y[-1] + 1) if own else y[cdist(far, X).argmin(1)]
    return np.vstack([X, far]), np.append(y, added)


def wide(rng, factors):
    """Mix clouds of few features into many, or add features of noise to them."""
    X, y = clouds(rng, (2, 10, 15), (2, 6), ("round", "full", "diagonal"), apart=(2.5, 10))
    (n, d), X = X.shape, X / X.std()
    p = int(log_uniform(rng, 8, 60) if factors else d * rng.uniform(1, 4))
    B = rng.standard_normal((d if factors else p, p)) * (rng.random(p) < rng.uniform(0.5, 1))
    if factors:
        return X @ B + log_uniform(rng, 0.2, 2.5) * rng.standard_normal((n, p)), y
    B = B * rng.uniform(0.5, 2) / p**0.5 if rng.random() < 0.3 else np.eye(p) * rng.uniform(0.4, 1)
    return np.hstack([X, NOISES[rng.choice(["normal", "uniform"])](rng, n, p) @ B]), y


def answers(rng):
    """Draw yes or no, counts, one-hot categories and numbers by the class: one kind or all."""
    y, agree, parts = classes(rng, 2, 8, 12), log_uniform(rng, 0.5, 3), []
    n, k = len(y), y[-1] + 1
    forms = rng.integers(0, 4, 20) if rng.random() < 0.3 else [rng.integers(3)] * 20
    for form in forms[: rng.integers(10, 21)]:
        odds = rng.dirichlet(np.full(rng.integers(2, 6), agree), k).cumsum(1)[y]
        option = (rng.random((n, 1)) > odds[:, :-1]).sum(1)
        column = [option > 0, np.eye(odds.shape[1])[option]]
        column += [rng.poisson(rng.gamma(1 / agree, 2, k)[y]), rng.normal(rng.normal(0, 2, k)[y])]
        parts.append(column[form].reshape(n, -1).astype(float))
    return np.hstack(parts), y


MEASURES = [  # columns of a table: as they are, skewed, saturated, censored, rounded, rare
    *(lambda x: x,) * 4,
    np.exp,
    lambda x: x * abs(x),
    np.tanh,
    lambda x: np.maximum(x, 0),
    lambda x: np.round(2 * x),
    lambda x: x > 1.7,
]


def tables(rng, k=(2, 10, 15)):
    """Draw measurements in columns of many kinds, few informative, of classes with parts."""
    y, d, q = classes(rng, *k), int(log_uniform(rng, 4, 40)), rng.integers(2, 7)
    n, k, r = len(y), y[-1] + 1, rng.integers(0, 4)
    part = 3 * y + rng.integers(0, rng.integers(1, 4, k)[y])
    Z = centers(rng, k, q, log_uniform(rng, 1.5, 7))[y] + rng.normal(0, 1, (n, q))
    Z += (rng.normal(0, rng.uniform(0, 1.5), (3 * k, q)))[part]
    Z *= np.exp(rng.choice([0, 0.3, 0.6]) * rng.standard_normal((3 * k, q)))[part]
    X = Z @ (rng.standard_normal((q, d)) * (rng.random((q, d)) < rng.uniform(0.2, 1)))
    X += rng.standard_normal((n, r)) @ rng.normal(0, rng.uniform(0.2, 1.5), (r, d))
    noise = NOISES[rng.choice(["normal", "normal", "t"])](rng, n, d)
    X += noise * log_uniform(rng, 0.1, 1.5, d)
    X = (X - X.mean(0)) / X.std(0) * log_uniform(rng, 0.5, 1.5)
    forms = rng.integers(0, 4 if rng.random() < 0.3 else len(MEASURES), d)
    X = np.stack([MEASURES[form](column) for form, column in zip(forms, X.T, strict=True)], 1)
    return X[:, X.std(0) > 0].astype(float), y


def mixed(rng, k=(2, 6, 9)):
    """Draw a table of numbers, amounts, codes, flags and categories, at times with gaps."""
    return drawn_tables.mixed(rng, classes(rng, *k))


def coded(rng, kinds):
    """Draw a set of another kind, and measure some of its columns as codes, flags or amounts."""
    return drawn_tables.coded(rng, *KINDS[rng.choice(kinds)](rng))


def embeddings(rng, k=(4, 15, 30)):
    """Draw unit vectors of topics, at times in groups or parts, that spread along a few axes."""
    y, d, q = classes(rng, *k), rng.integers(20, 101), rng.integers(2, 8)
    k, shared = y[-1] + 1, rng.uniform(0, 0.7) * (rng.random() < 0.6)
    above, own = normalize(rng.standard_normal((2 * k, d))).reshape(2, k, d)
    topics = shared**0.5 * above[rng.integers(0, k // 3 + 1, k)] + (1 - shared) ** 0.5 * own
    along = rng.standard_normal((k, q, d)) * rng.uniform(0.3, 1, (k, q, 1)) / (q * d) ** 0.5
    X = topics[y] + rng.uniform(0, 1.5) * rng.standard_normal(d) / d**0.5
    if rng.random() < 0.5:
        part = 12 * y + rng.integers(0, rng.integers(1, 13, k)[y])
        X += (rng.uniform(0.2, 1) * rng.normal(0, d**-0.5, (12 * k, d)))[part]
    X += np.einsum("nq,nqd->nd", rng.standard_normal((len(y), q)), along[y]) * rng.uniform(0, 1)
    return normalize(X + log_uniform(rng, 0.6, 3) * rng.normal(0, d**-0.5, (len(y), d))), y


def manifolds(rng, pixels):
    """Draw images or spectra; each class is a smooth manifold, at times of two parts."""
    y, p, q = classes(rng, 2, 10, 15), rng.integers(30, 101), rng.integers(1, 4)
    n, k, smooth = len(y), y[-1] + 1, rng.uniform(1, 5)
    t = rng.normal(size=(n, q)) + 3 * (rng.random((n, 1)) < 0.5 * (rng.random((k, 1)) < 0.2)[y])
    bend = rng.standard_normal((k, 10, p)) * log_uniform(rng, 0.1, 0.45)
    X = centers(rng, k, p, p**0.5 * rng.uniform(0.5, 1.3), rng.integers(1, 3))[y]
    for c in range(k):
        waves = np.cos(t[y == c] @ rng.normal(0, 0.6, (q, 10)) + rng.uniform(0, 6, 10))
        X[y == c] += waves @ bend[c]
    X = gaussian_filter1d(X, smooth) * smooth**0.5
    base = rng.normal(0, 0.5, (n, 1)) + rng.normal(0, 0.5, (n, 1)) * np.linspace(-1, 1, p)
    image = X.clip(0, 4) if rng.random() < 0.5 else 1 / (1 + np.exp(-3 * X))
    return (image if pixels else X + base) + rng.normal(0, log_uniform(rng, 0.03, 0.4), (n, p)), y


def shifted(rng):
    """Draw series of classes, each moved along its length by up to 20 %, around the ends."""
    X, y = manifolds(rng, pixels=False)
    most = rng.integers(1, 1 + X.shape[1] // 5)
    steps = rng.integers(-most, most + 1, len(y))
    return np.array([np.roll(row, n) for row, n in zip(X, steps, strict=True)]), y


def digits(rng):
    """Draw images of 8x8 pixels: a stroke per class, deformed, turned, moved, thick or thin."""
    y, vary = classes(rng, 3, 12, 15), log_uniform(rng, 0.35, 1)
    n, waves = len(y), np.exp(np.outer([-4j, -2j, -1j, 1j, 2j, 3j], np.pi * np.linspace(0, 1, 16)))
    bends = rng.standard_normal((y[-1] + 1, 6, 2)) @ [1, 1j] / [2, 1, 1, 1, 1, 1.5]
    z = (bends[y] + 0.15 * vary * (rng.standard_normal((n, 6, 2)) @ [1, 1j])) @ waves
    z *= np.exp(0.3j * vary * rng.standard_normal((n, 1))) / abs(bends @ waves).max(1)[y, None]
    z += 0.15 * vary * rng.standard_normal((n, 2)) @ [[1], [1j]]
    thick = 2 * rng.uniform(0.2, 0.2 + 0.15 * vary, (n, 1, 1)) ** 2
    away = np.stack([z.imag, z.real])[..., None] - np.linspace(-1.3, 1.3, 8)
    rows, columns = np.exp(-(away**2) / thick)
    return (rows.transpose(0, 2, 1) @ columns).reshape(n, 64).clip(0, 1), y


def one_body(rng):
    """Draw a cube, a random walk or correlated normal samples in one to 500 features."""
    n, d = int(log_uniform(rng, 100, 1500)), int(log_uniform(rng, 1, 500))
    form = rng.integers(3)
    if form == 0:
        X = rng.uniform(size=(n, d)) * log_uniform(rng, 0.2, 1, d)
    elif form == 1:
        d = min(d, 20)
        X = np.cumsum(rng.standard_normal((n, d)), axis=0)
    else:
        q = rng.integers(1, 20)
        X = rng.standard_normal((n, q)) @ rng.standard_normal((q, d))
        X = X + log_uniform(rng, 0.1, 2) * rng.standard_normal((n, d))
    return X, np.zeros(n, dtype=int)


FORMS = ("round", "full", "shared", "diagonal")
WARPS = [np.exp, np.tanh, lambda x: x * abs(x), lambda x: x**3, lambda x: np.logaddexp(0, 4 * x)]
#: Kinds whose columns are partly measured as codes, flags or amounts.
CODED = ["blobs", "gaussians", "rare", "nested", "heavy_tails", "hierarchy", "bananas"]
CODED += ["noise_features", "factors", "skewed", "stretched", "tables"]
KINDS = {
    "blobs": clouds,
    "grids": partial(clouds, k=(8, 25, 30), dims=(2, 3), contrast=(0, 0.2)),
    "gaussians": partial(clouds, dims=(2, 20), forms=FORMS[1:]),
    "handfuls": partial(clouds, k=(8, 25, 40), dims=(2, 12), forms=FORMS[:2]),
    "rare": partial(clouds, k=(2, 8, 8), dims=(2, 20), forms=FORMS, sizes=3),
    "crossing": partial(clouds, k=(2, 3, 4), dims=(2, 6), forms=("flat",), apart=(0.1, 1)),
    "nested": partial(clouds, k=(2, 5, 6), dims=(2, 10), apart=(1, 3), contrast=(1, 1.5)),
    "heavy_tails": partial(clouds, dims=(2, 15), forms=FORMS, tails=("t", "laplace")),
    "hierarchy": partial(clouds, k=(4, 15, 30), forms=FORMS[:2], levels=3),
    "subspaces": partial(clouds, k=(2, 8, 12), dims=(10, 50), forms=("flat",), apart=(0.3, 3)),
    "line": partial(clouds, k=(2, 8, 8), dims=(1, 1), tails=list(NOISES)),
    "bananas": partial(warped, k=(2, 8, 15), dims=(2, 20), forms=FORMS[:2]),
    "outliers": partial(spoiled, grid=False),
    "noise_features": partial(wide, factors=False),
    "factors": partial(wide, factors=True),
    "one_table": partial(clouds, k=(1, 1, 1), dims=(1, 20), forms=FORMS, tails=list(NOISES)),
    "regions": partial(separate, shapes=REGIONS, gap=(0.06, 0.6)),
    "curves": partial(separate, shapes=CURVES, gap=(0.2, 0.7)),
    "stripes": stripes,
    "spirals": partial(stripes, k=(2, 3, 4), coiled=True),
    "rings": rings,
    "compound": compound,
    "one_curve": partial(separate, shapes=CURVES, gap=(1, 2), k=(1, 1, 1)),
    "one_ring": partial(rings, k=(1, 1, 1)),
    "one_region": partial(separate, shapes=REGIONS, gap=(1, 2), k=(1, 1, 1)),
    "one_band": partial(stripes, k=(1, 1, 1)),
    "one_body": one_body,
    "one_skewed": partial(
        warped,
        warps=[np.exp],
        k=(1, 1, 1),
        dims=(1, 20),
        forms=FORMS,
        tails=("normal", "log_gamma"),
    ),
    "skewed": partial(warped, warps=[np.exp], dims=(2, 15), tails=("normal", "log_gamma")),
    "stretched": partial(warped, warps=WARPS, dims=(2, 20), forms=FORMS),
    "answers": answers,
    "tables": tables,
    "mixed": mixed,
    "one_mixed": partial(mixed, k=(1, 1, 1)),
    "coded": partial(coded, kinds=CODED),
    "one_coded": partial(coded, kinds=["one_table", "one_skewed"]),
    "rounded": partial(spoiled, grid=True),
    "images": partial(manifolds, pixels=True),
    "series": partial(manifolds, pixels=False),
    "shifted": shifted,
    "digits": digits,
    "embeddings": embeddings,
    "one_embedding": partial(embeddings, k=(1, 1, 1)),
}
SHAPES = ("regions", "curves", "stripes", "spirals", "rings", "compound")
SHAPES += ("one_curve", "one_ring", "one_region", "one_band")
#: Kinds whose columns have a meaning: the sets are not rotated.
COLUMNS = {"skewed", "one_skewed", "stretched", "answers", "tables", "rounded"}
COLUMNS |= {"images", "series", "shifted", "digits"}
#: Kinds of tables, in units of their own or standardized.
TABLES = {"mixed", "one_mixed", "coded", "one_coded"}


def draw(kind, seed):
    """Draw a data set, shuffled, at times turned, in comparable units or standardized."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    X, y = KINDS[kind](rng)
    if kind in TABLES:
        order = rng.permutation(len(y))
        X = X.iloc[order].reset_index(drop=True) if hasattr(X, "iloc") else X[order]
        return Bunch(X=X, y=y[order], n_clusters=int(y.max()) + 1, kind=kind)
    n, turned = len(y), kind not in COLUMNS and rng.random() < 0.4
    if kind in SHAPES and rng.random() < 0.2:
        X, turned = np.hstack([X, rng.normal(0, 0.03 * X.std(), (n, rng.integers(1, 8)))]), True
    X = X @ np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0] if turned else X
    if "embedding" not in kind:
        plain = kind != "tables" and rng.random() < 0.7
        X = X / X.var(0).mean() ** 0.5 if plain else scale(X)
        X = X + rng.normal(0, 2, X.shape[1]) * rng.integers(2)
    order = rng.permutation(n)
    return Bunch(X=X[order], y=y[order], n_clusters=int(y.max()) + 1, kind=kind)
