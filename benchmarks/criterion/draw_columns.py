"""Data sets whose columns are answers or measurements of many kinds.

N samples, D features, K classes.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from .draw_common import (
    Array,
    Int,
    Numbers,
    Samples,
    draw_centers,
    draw_classes,
    draw_noise,
    log_uniform,
)

# ---- answers


def draw_answers(rng: Generator) -> Samples:
    """Draw yes or no, counts, categories and numbers that depend on the class: one kind or all."""
    y = draw_classes(rng, 2, 8, 12)
    agreement = log_uniform(rng, 0.5, 3)
    is_varied = rng.random() < 0.3
    forms = rng.integers(0, 4, 20) if is_varied else np.full(20, rng.integers(3))
    n_answers = rng.integers(10, 21)
    answers = [_draw_answer(rng, y, form, agreement) for form in forms[:n_answers]]
    return np.hstack(answers), y


def _draw_answer(rng: Generator, y: Array, form: int, agreement: float) -> Array:
    """Draw a column or several: a flag, a one-hot category, a count or a number."""
    n_classes = y[-1] + 1
    n_options = int(rng.integers(2, 6))
    shares = rng.dirichlet(np.full(n_options, agreement), n_classes)
    ends = shares.cumsum(1)[y]
    option = (rng.random((len(y), 1)) > ends[:, :-1]).sum(1)
    count = rng.poisson(rng.gamma(1 / agreement, 2, n_classes)[y])
    number = rng.normal(rng.normal(0, 2, n_classes)[y])
    columns = (option > 0, np.eye(n_options)[option], count, number)
    return columns[form].reshape(len(y), -1).astype(float)


# ---- scales


def draw_scales(rng: Generator, n_classes: Numbers = (2, 6, 9)) -> Samples:
    """Draw answers on scales of a few whole numbers that depend on few factors."""
    y = draw_classes(rng, *n_classes)
    n_factors = int(rng.integers(1, 5))
    n_columns = int(log_uniform(rng, 2, 20))

    centers = draw_centers(rng, int(y[-1]) + 1, n_factors, log_uniform(rng, 1.2, 6))
    factors = centers[y] + rng.standard_normal((len(y), n_factors))
    loadings = rng.standard_normal((n_factors, n_columns))
    X = factors @ loadings
    X += log_uniform(rng, 0.2, 1) * rng.standard_normal(X.shape)
    X = (X - X.mean(0)) / X.std(0)

    n_levels = rng.integers(3, 11)
    middle = rng.uniform(-0.7, 0.7, n_columns)
    return np.round((X + middle) * n_levels / 4).clip(-n_levels // 2, n_levels // 2), y


# ---- measurements

#: Columns of a table: as they are, skewed, saturated, censored, rounded, rare.
MEASURES: tuple[Callable[[Array], Array], ...] = (
    *(lambda x: x,) * 4,
    np.exp,
    lambda x: x * abs(x),
    np.tanh,
    lambda x: np.maximum(x, 0),
    lambda x: np.round(2 * x),
    lambda x: x > 1.7,
)


def draw_measurements(rng: Generator, n_classes: Numbers = (2, 10, 15)) -> Samples:
    """Draw measurements in columns of many kinds, few informative, of classes with parts."""
    y = draw_classes(rng, *n_classes)
    n_columns = int(log_uniform(rng, 4, 40))
    n_factors = rng.integers(2, 7)
    n_shared = rng.integers(0, 4)

    factors = _draw_factors(rng, y, n_factors)
    size = (n_factors, n_columns)
    loadings = rng.standard_normal(size) * (rng.random(size) < rng.uniform(0.2, 1))
    X = factors @ loadings

    shared = rng.standard_normal((len(y), n_shared))
    X += shared @ rng.normal(0, rng.uniform(0.2, 1.5), (n_shared, n_columns))
    noise = draw_noise(rng, ("normal", "normal", "t"), len(y), n_columns)
    X += noise * log_uniform(rng, 0.1, 1.5, n_columns)
    X = (X - X.mean(0)) / X.std(0) * log_uniform(rng, 0.5, 1.5)
    return _measure(rng, X), y


def _draw_factors(rng: Generator, y: Array, n_factors: Int) -> Array:
    """Draw factors (N, Q) of classes that have up to three parts."""
    n_classes = y[-1] + 1
    n_parts = rng.integers(1, 4, n_classes)
    part = 3 * y + rng.integers(0, n_parts[y])
    size = (3 * n_classes, n_factors)

    separation = log_uniform(rng, 1.5, 7)
    factors = draw_centers(rng, n_classes, n_factors, separation)[y]
    factors = factors + rng.normal(0, 1, (len(y), n_factors))
    factors += rng.normal(0, rng.uniform(0, 1.5), size)[part]
    factors *= np.exp(rng.choice([0, 0.3, 0.6]) * rng.standard_normal(size))[part]
    return factors


def _measure(rng: Generator, X: Array) -> Array:
    """Return the columns of X (N, D), each as one of MEASURES, without constant ones."""
    n_forms = 4 if rng.random() < 0.3 else len(MEASURES)
    forms = rng.integers(0, n_forms, len(X.T))
    columns = [MEASURES[form](X[:, i]) for i, form in enumerate(forms)]
    X = np.stack(columns, 1)
    return X[:, X.std(0) > 0].astype(float)
