"""Data sets whose classes are clouds around centers, as they are, bent or among others.

N samples, D features, K classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from .draw_common import (
    Array,
    Numbers,
    Samples,
    choose,
    draw_centers,
    draw_classes,
    draw_noise,
    log_uniform,
)

#: Forms of the covariances of classes; "flat" is a line or a space of few dimensions.
FORMS = ("round", "full", "shared", "diagonal")
Warp = Callable[[Array], Array]
#: Monotone functions that bend columns.
WARPS: tuple[Warp, ...] = (
    np.exp,
    np.tanh,
    lambda x: x * abs(x),
    lambda x: x**3,
    lambda x: np.logaddexp(0, 4 * x),
)


def draw_clouds(
    rng: Generator,
    n_classes: Numbers = (2, 12, 30),
    dims: tuple[int, int] = (2, 30),
    forms: tuple[str, ...] = ("round",),
    tails: tuple[str, ...] = ("normal",) * 4 + ("uniform",),
    apart: tuple[float, float] = (1.6, 6.5),
    contrast: tuple[float, ...] = (0, 0.2, 0.6),
    levels: int = 1,
    sizes: str | None = None,
) -> Samples:
    """Draw clouds around centers.

    ``forms`` are those of the covariances, and ``tails`` kinds of noise. ``apart`` is the range
    of the mean distance to the nearest center, for few features and classes. ``contrast`` has
    standard deviations of the logarithms of the scales of classes. The centers form groups with
    more than one of ``levels``. ``sizes`` are those of :func:`~.draw_common.draw_classes`.
    """
    y = draw_classes(rng, *n_classes, sizes)
    n_found = y[-1] + 1
    n_features = int(log_uniform(rng, dims[0], dims[1] + 1))
    form = rng.choice(forms)

    spread = _draw_spread(rng, n_found, n_features, form)
    scales = np.exp(rng.choice(contrast) * rng.standard_normal((n_found, 1, 1)))
    spread = spread * scales / np.sqrt((scales**2).mean())
    noise = draw_noise(rng, tails, len(y), n_features)
    X = np.concatenate([noise[y == c] @ spread[c].T for c in range(n_found)])

    more = 1 + n_features / 40 + 0.03 * min(n_found, 10)
    separation = log_uniform(rng, *apart) * more
    return X + draw_centers(rng, n_found, n_features, separation, levels)[y], y


def _draw_spread(rng: Generator, n_classes: int, n_features: int, form: str) -> Array:
    """Draw square roots (K, D, D) of covariances with a mean variance of one."""
    variances = _draw_variances(rng, n_classes, n_features, form)
    if form == "diagonal":
        axes = np.eye(n_features)
    else:
        axes = np.linalg.qr(rng.normal(size=(n_classes, n_features, n_features)))[0]

    shares = variances * n_features / variances.sum(1, keepdims=True)
    spread: Array = axes * np.sqrt(shares)[:, None]
    if form == "shared":
        return spread[np.zeros(n_classes, dtype=int)]
    return spread


def _draw_variances(
    rng: Generator, n_classes: int, n_features: int, form: str
) -> Array:
    """Draw the variances (K, D) of classes along their axes, not normalized."""
    lowest = 1 / log_uniform(rng, 1, 100)
    variances: Array = log_uniform(rng, lowest, 1, (n_classes, n_features))
    if form == "round":
        return np.ones((n_classes, n_features))
    if form == "flat":
        most = 5 if n_features > 6 else 2
        n_inner = rng.integers(1, most, (n_classes, 1))
        is_inner = np.arange(n_features) < n_inner
        return np.where(is_inner, variances**0.3, log_uniform(rng, 0.001, 0.05))
    return variances


def draw_bananas(rng: Generator, **options: Any) -> Samples:
    """Draw clouds and bend them by a random network."""
    X, y = _draw_scaled_clouds(rng, **options)
    d = X.shape[1]
    weights = rng.standard_normal((d, 3 * d))
    hidden = np.tanh(X @ weights * log_uniform(rng, 0.7, 2) / d**0.5)
    bend = np.tanh(hidden @ rng.standard_normal((3 * d, d)) * 1.5 / d**0.5)
    return X + log_uniform(rng, 0.3, 2) * bend, y


def draw_warped(
    rng: Generator,
    warps: Sequence[Warp] = WARPS,
    bent: tuple[float, float] = (0.4, 1.2),
    **options: Any,
) -> Samples:
    """Draw clouds, and bend columns by one of the functions.

    ``bent`` is the range of the share of these columns; 1 and more is all of them.
    """
    X, y = _draw_scaled_clouds(rng, **options)
    is_bent = rng.random(X.shape[1]) < rng.uniform(*bent)
    warp = choose(rng, warps)
    return np.where(is_bent, warp(X), X), y


def _draw_scaled_clouds(rng: Generator, **options: Any) -> Samples:
    """Draw clouds with a standard deviation of about one, without outliers."""
    X, y = draw_clouds(rng, **options)
    scale = log_uniform(rng, 0.5, 1.8)
    return (X / X.std() * scale).clip(-5, 5), y


# ---- columns that are mixed or added


def draw_factors(rng: Generator) -> Samples:
    """Draw clouds of few features, and mix these into many columns."""
    X, y = _draw_few_features(rng)
    n_columns = int(log_uniform(rng, 8, 60))
    mixing = _draw_mixing(rng, X.shape[1], n_columns)
    noise = log_uniform(rng, 0.2, 2.5)
    return X @ mixing + noise * rng.standard_normal((len(X), n_columns)), y


def draw_noise_features(rng: Generator) -> Samples:
    """Draw clouds of few features, and add columns of noise, at times dependent ones."""
    X, y = _draw_few_features(rng)
    n_columns = int(X.shape[1] * rng.uniform(1, 4))
    mixing = _draw_mixing(rng, n_columns, n_columns)
    if rng.random() < 0.3:
        mixing = mixing * rng.uniform(0.5, 2) / n_columns**0.5
    else:
        mixing = np.eye(n_columns) * rng.uniform(0.4, 1)

    noise = draw_noise(rng, ("normal", "uniform"), len(X), n_columns)
    return np.hstack([X, noise @ mixing]), y


def _draw_few_features(rng: Generator) -> Samples:
    """Draw clouds of at most six features, with a standard deviation of one."""
    forms = ("round", "full", "diagonal")
    X, y = draw_clouds(rng, (2, 10, 15), (2, 6), forms, apart=(2.5, 10))
    return X / X.std(), y


def _draw_mixing(rng: Generator, n_features: int, n_columns: int) -> Array:
    """Draw the weights (D, E) of features in columns, some of which have none."""
    weights = rng.standard_normal((n_features, n_columns))
    return weights * (rng.random(n_columns) < rng.uniform(0.5, 1))


# ---- a single cluster


def draw_body(rng: Generator) -> Samples:
    """Draw a cube, a random walk or correlated normal samples in one to 500 features."""
    n_samples = int(log_uniform(rng, 100, 1500))
    n_features = int(log_uniform(rng, 1, 500))
    bodies = (_draw_cube, _draw_walk, _draw_correlated)
    body = choose(rng, bodies)
    return body(rng, n_samples, n_features), np.zeros(n_samples, dtype=int)


def _draw_cube(rng: Generator, n_samples: int, n_features: int) -> Array:
    """Draw uniform samples of a box."""
    X = rng.uniform(size=(n_samples, n_features))
    sides: Array = log_uniform(rng, 0.2, 1, n_features)
    return X * sides


def _draw_walk(rng: Generator, n_samples: int, n_features: int) -> Array:
    """Draw the steps of a random walk in at most 20 features."""
    steps = rng.standard_normal((n_samples, min(n_features, 20)))
    return np.cumsum(steps, axis=0)


def _draw_correlated(rng: Generator, n_samples: int, n_features: int) -> Array:
    """Draw normal samples that depend on few factors."""
    n_factors = rng.integers(1, 20)
    factors = rng.standard_normal((n_samples, n_factors))
    X = factors @ rng.standard_normal((n_factors, n_features))
    noise = log_uniform(rng, 0.1, 2)
    return X + noise * rng.standard_normal((n_samples, n_features))
