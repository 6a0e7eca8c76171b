"""Data sets of many features that depend on each other: embeddings, images and series.

N samples, D features, K classes.
"""

import numpy as np
from numpy.random import Generator
from scipy import sparse
from scipy.ndimage import gaussian_filter1d
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import normalize

from .draw_common import (
    Array,
    Int,
    Numbers,
    Samples,
    draw_centers,
    draw_classes,
    draw_many,
    log_uniform,
)

# ---- embeddings


def draw_embeddings(
    rng: Generator, n_classes: Numbers = (4, 15, 30), is_large: bool = False
) -> Samples:
    """Draw unit vectors of topics, at times in groups or parts, that spread along a few axes."""
    n_samples = draw_many(rng) if is_large else None
    y = draw_classes(rng, *n_classes, n_samples=n_samples)
    n_features = rng.integers(20, 101)
    n_axes = rng.integers(2, 8)
    n_topics = y[-1] + 1

    topics = _draw_topics(rng, n_topics, n_features)
    axes = rng.standard_normal((n_topics, n_axes, n_features))
    axes = axes * rng.uniform(0.3, 1, (n_topics, n_axes, 1))
    axes = axes / (n_axes * n_features) ** 0.5
    offset = rng.uniform(0, 1.5) * rng.standard_normal(n_features) / n_features**0.5
    X = topics[y] + offset
    if rng.random() < 0.5:
        X += _draw_parts(rng, y, n_features)

    places = rng.standard_normal((len(y), n_axes))
    X += np.einsum("nq,nqd->nd", places, axes[y]) * rng.uniform(0, 1)
    noise = log_uniform(rng, 0.6, 3)
    X = X + noise * rng.normal(0, n_features**-0.5, (len(y), n_features))
    return normalize(X), y


def _draw_topics(rng: Generator, n_topics: Int, n_features: Int) -> Array:
    """Draw the centers (K, D) of topics, at times near the centers of groups."""
    shared = rng.uniform(0, 0.7) * (rng.random() < 0.6)
    directions = normalize(rng.standard_normal((2 * n_topics, n_features)))
    above, own = directions.reshape(2, n_topics, n_features)
    groups = rng.integers(0, n_topics // 3 + 1, n_topics)
    topics: Array = shared**0.5 * above[groups] + (1 - shared) ** 0.5 * own
    return topics


def _draw_parts(rng: Generator, y: Array, n_features: Int) -> Array:
    """Draw offsets (N, D) of up to twelve parts of each topic."""
    n_topics = y[-1] + 1
    n_parts = rng.integers(1, 13, n_topics)
    part = 12 * y + rng.integers(0, n_parts[y])
    scale = rng.uniform(0.2, 1)
    offsets = scale * rng.normal(0, n_features**-0.5, (12 * n_topics, n_features))
    return offsets[part]


# ---- texts


def draw_texts(rng: Generator) -> tuple[sparse.csr_matrix, Array]:
    """Draw TF-IDF of texts about parts of a topic, in words of the part, the topic and all."""
    y = draw_classes(rng, 2, 12, 20)
    n_parts = rng.integers(1, 9)
    n_words = int(log_uniform(rng, 200, 3000))
    usual = rng.permutation(1 / np.arange(1, n_words + 1))
    usual = usual / usual.sum()

    mixing = rng.dirichlet([2, 2, 2])
    rare = np.full(n_words, log_uniform(rng, 0.01, 0.1))
    topics = rng.dirichlet(rare, y[-1] + 1)
    parts = rng.dirichlet(rare, (y[-1] + 1, n_parts))
    words = np.stack(np.broadcast_arrays(usual, topics[:, None], parts), 3) @ mixing

    length = log_uniform(rng, 8, 60)
    lengths = np.ceil(length * log_uniform(rng, 0.5, 2, len(y))).astype(int)
    counts = rng.multinomial(lengths, words[y, rng.integers(0, n_parts, len(y))])
    counts = sparse.csr_matrix(counts[:, counts.any(0)])
    return TfidfTransformer().fit_transform(counts), y


# ---- images and series


def draw_manifolds(rng: Generator, as_images: bool, is_large: bool = False) -> Samples:
    """Draw images or spectra; each class is a smooth manifold, at times of two parts."""
    n_samples = draw_many(rng) if is_large else None
    y = draw_classes(rng, 2, 10, 15, n_samples=n_samples)
    n_pixels = rng.integers(30, 101)
    n_dims = rng.integers(1, 4)
    smoothness = rng.uniform(1, 5)

    X = _draw_curves(rng, y, n_pixels, n_dims)
    X = gaussian_filter1d(X, smoothness) * smoothness**0.5
    level = rng.normal(0, 0.5, (len(y), 1))
    slope = rng.normal(0, 0.5, (len(y), 1))
    is_clipped = rng.random() < 0.5
    if not as_images:
        X = X + (level + slope * np.linspace(-1, 1, n_pixels))
    elif is_clipped:
        X = X.clip(0, 4)
    else:
        X = 1 / (1 + np.exp(-3 * X))
    return X + rng.normal(0, log_uniform(rng, 0.03, 0.4), (len(y), n_pixels)), y


def _draw_curves(rng: Generator, y: Array, n_pixels: Int, n_dims: Int) -> Array:
    """Draw rows (N, P) of white noise that depends on the class and a few numbers."""
    n_classes = y[-1] + 1
    places = rng.normal(size=(len(y), n_dims))
    is_second = rng.random((len(y), 1))
    has_two = rng.random((n_classes, 1)) < 0.2
    places = places + 3 * (is_second < 0.5 * has_two[y])

    bend = rng.standard_normal((n_classes, 10, n_pixels)) * log_uniform(rng, 0.1, 0.45)
    separation = n_pixels**0.5 * rng.uniform(0.5, 1.3)
    levels = rng.integers(1, 3)
    X = draw_centers(rng, n_classes, n_pixels, separation, levels)[y]
    for k in range(n_classes):
        weights = rng.normal(0, 0.6, (n_dims, 10))
        phases = rng.uniform(0, 6, 10)
        X[y == k] += np.cos(places[y == k] @ weights + phases) @ bend[k]
    return X


def draw_shifted(rng: Generator) -> Samples:
    """Draw series of classes, each moved along its length by up to 20 %, around the ends."""
    X, y = draw_manifolds(rng, as_images=False)
    most = rng.integers(1, 1 + X.shape[1] // 5)
    steps = rng.integers(-most, most + 1, len(y))
    rows = [np.roll(row, step) for row, step in zip(X, steps, strict=True)]
    return np.array(rows), y


# ---- digits

#: Frequencies of the waves whose sum is a stroke, points of the plane as complex numbers.
FREQUENCIES = [-4j, -2j, -1j, 1j, 2j, 3j]
#: Divisors of their amplitudes.
DAMPING = [2, 1, 1, 1, 1, 1.5]
#: Number of points of a stroke.
N_POINTS = 16


def draw_digits(rng: Generator, is_large: bool = False) -> Samples:
    """Draw images of 8x8 pixels: a stroke per class, deformed, turned, moved, thick or thin."""
    n_samples = draw_many(rng) if is_large else None
    y = draw_classes(rng, 3, 12, 15, n_samples=n_samples)
    variety = log_uniform(rng, 0.35, 1)
    points = _draw_strokes(rng, y, variety)

    widths = rng.uniform(0.2, 0.2 + 0.15 * variety, (len(y), 1, 1))
    pixels = np.linspace(-1.3, 1.3, 8)
    away = np.stack([points.imag, points.real])[..., None] - pixels
    rows, columns = np.exp(-(away**2) / (2 * widths**2))
    images = rows.transpose(0, 2, 1) @ columns
    return images.reshape(len(y), 64).clip(0, 1), y


def _draw_strokes(rng: Generator, y: Array, variety: float) -> Array:
    """Draw the points (N, N_POINTS) of strokes."""
    n_samples = len(y)
    waves = np.exp(np.outer(FREQUENCIES, np.pi * np.linspace(0, 1, N_POINTS)))
    bends = rng.standard_normal((y[-1] + 1, 6, 2)) @ [1, 1j] / DAMPING
    changes = rng.standard_normal((n_samples, 6, 2)) @ [1, 1j]
    points = (bends[y] + 0.15 * variety * changes) @ waves

    turn = np.exp(0.3j * variety * rng.standard_normal((n_samples, 1)))
    sizes = abs(bends @ waves).max(1)
    points *= turn / sizes[y, None]
    points += 0.15 * variety * rng.standard_normal((n_samples, 2)) @ [[1], [1j]]
    return points
