"""Tables as people have them: numbers, skewed, ordinal, binary columns, categories.

N samples, D columns, K classes, L levels of a category.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    scale,
)

from .draw_common import Array, Numbers, Samples, choose, draw_classes, log_uniform

#: Letters that name levels of categories.
LEVELS = np.array([*"abcdefghijklmnopqrstuvwxyz"], dtype=object)
#: Minimum number of distinct samples of a table.
MIN_DISTINCT = 60
#: Turns numbers (N,) into a column.
Measure = Callable[[Generator, Array], Array]


# ---- columns


def measure_number(rng: Generator, x: Array) -> Array:
    """Return numbers in a unit, at times rounded to whole ones."""
    unit = log_uniform(rng, 0.1, 1000)
    if rng.random() < 0.3:
        return np.round(x * rng.uniform(4, 30) + 50)
    return x * unit


def measure_amount(rng: Generator, x: Array) -> Array:
    """Return skewed numbers, at times whole or with zeros."""
    power = rng.uniform(0.4, 1.3) * x + rng.uniform(0, 6)
    # Outliers of heavy tails would be infinite.
    amount = np.exp(power.clip(max=100))
    form = rng.integers(4)
    if form == 0:
        return np.round(amount)
    if form == 1:
        return np.where(x < np.quantile(x, rng.uniform(0.05, 0.4)), 0, amount)
    return amount


def measure_code(rng: Generator, x: Array) -> Array:
    """Return few values with an order: levels, ratings or counts."""
    if rng.random() < 0.3:
        mean = np.exp(rng.uniform(0.3, 0.8) * x + rng.uniform(-0.5, 1.2))
        return rng.poisson(mean).astype(float)
    level = _cut_at_random(rng, x, int(rng.integers(3, 10)))
    return level + rng.integers(0, 2) * 1.0


def measure_flag(rng: Generator, x: Array) -> Array:
    """Return zeros and ones."""
    return (x > np.quantile(x, rng.uniform(0.1, 0.9))).astype(float)


def measure_count(rng: Generator, x: Array) -> Array:
    """Return rounded numbers."""
    return np.round(x * rng.uniform(1, 4))


def _cut_at_random(rng: Generator, x: Array, n_levels: int) -> Array:
    """Return the level (N,) of numbers x (N,) between random quantiles."""
    shares = rng.dirichlet(np.full(n_levels, rng.uniform(1, 6)))
    ends = shares.cumsum()[:-1]
    return np.searchsorted(np.quantile(x, ends), x)


MEASURES: tuple[Measure, ...] = (
    measure_number,
    measure_amount,
    measure_code,
    measure_flag,
)


# ---- numbers that are measured as something else


def code_columns(rng: Generator, X: Array, y: Array) -> Samples:
    """Turn some columns of numbers X (N, D) into ordinal, binary and skewed ones; add others."""
    X = (X - X.mean(0)) / X.std(0).clip(1e-12)
    columns = _code_some(rng, X)
    for _ in range(rng.integers(0, 4)):
        measure = choose(rng, MEASURES)
        columns.append(measure(rng, rng.standard_normal(len(y))))
    if len(np.unique(columns, axis=1).T) < MIN_DISTINCT:
        columns.append(rng.standard_normal(len(y)))

    X = np.stack(columns, 1).astype(float)
    X = X[:, X.std(0) > 0]
    return (X - X.mean(0)) / X.std(0), y


def _code_some(rng: Generator, X: Array) -> list[Array]:
    """Return the columns of X (N, D), some of them ordinal, binary or skewed."""
    forms: tuple[Measure, ...] = (
        measure_code,
        measure_code,
        measure_flag,
        measure_amount,
        measure_count,
    )
    share = rng.uniform(0.1, 1)
    columns = []
    for x in X.T:
        measure = choose(rng, forms)
        columns.append(measure(rng, x) if rng.random() < share else x)
    return columns


# ---- tables with categories


def draw_mixed(rng: Generator, y: Array) -> tuple[pd.DataFrame, Array]:
    """Draw a table of the classes y (N,): columns that depend on them, on factors, or on nothing.

    Numbers of a column are a sum of the effect of the class, of factors that columns share, and
    of noise. They are then measured as columns of all kinds.
    """
    table = _draw_columns(rng, y)
    for _ in range(rng.integers(0, 3) * (rng.random() < 0.3)):
        _add_fact(rng, table)
    if len(table.drop_duplicates()) < MIN_DISTINCT:
        table["number"] = measure_number(rng, rng.standard_normal(len(y)))
    if rng.random() < 0.35:
        table = table.mask(rng.random(table.shape) < rng.uniform(0.01, 0.12))
    return table, y


def draw_questions(rng: Generator, n_classes: Numbers = (2, 4, 6)) -> tuple[Any, Array]:
    """Draw few questions with few answers each; within a class, they are independent.

    A fifth is as pipelines encode it.
    """
    y = draw_classes(rng, *n_classes)
    n_questions = int(log_uniform(rng, 4, 12))
    # Without classes, no answer has nearly all samples.
    concentration = log_uniform(rng, 0.1, 0.8) + (y[-1] == 0)
    table = pd.DataFrame(index=range(len(y)))
    for i in range(n_questions):
        n_levels = int(rng.integers(2, 6))
        shares = rng.dirichlet(np.full(n_levels, concentration), y[-1] + 1)
        ends = shares.cumsum(1)[y, :-1]
        table[f"question {i}"] = LEVELS[(rng.random((len(y), 1)) > ends).sum(1)]

    table = table.loc[:, table.nunique() > 1]
    return (disguise(rng, table) if rng.random() < 0.2 else table), y


def disguise(rng: Generator, table: pd.DataFrame) -> Array:
    """Return a table as a pipeline encodes it: imputed, with one-hot columns or codes, scaled."""
    numbers = [name for name in table if table[name].dtype.kind in "iufb"]
    categories = [name for name in table if name not in numbers]
    is_ordinal = rng.random() < 0.3
    drop = choose(rng, (None, "first"))
    encoder = (
        OrdinalEncoder()
        if is_ordinal
        else OneHotEncoder(drop=drop, sparse_output=False)
    )
    scaler = choose(rng, (StandardScaler(), StandardScaler(), MinMaxScaler()))
    median = SimpleImputer(strategy="median")
    frequent = SimpleImputer(strategy="most_frequent")
    encoded = ColumnTransformer(
        [
            ("numbers", make_pipeline(median, scaler), numbers),
            ("categories", make_pipeline(frequent, encoder), categories),
        ]
    ).fit_transform(table)
    return scale(encoded) if is_ordinal or rng.random() < 0.3 else encoded


def _draw_columns(rng: Generator, y: Array) -> pd.DataFrame:
    """Draw 3 to 20 columns."""
    n_samples = len(y)
    n_classes = y.max() + 1
    n_columns = int(log_uniform(rng, 3, 20))
    apart = log_uniform(rng, 0.6, 4)
    useful = rng.uniform(0.3, 1)
    factors = rng.standard_normal((n_samples, rng.integers(1, 4)))
    shared = rng.uniform(0, 0.9) * (rng.random() < 0.6)
    shares = rng.dirichlet([2, 1, 1, 1, 2.5])
    agreement = log_uniform(rng, 0.3, 2.5)

    table = pd.DataFrame(index=range(n_samples))
    for i in range(n_columns):
        is_useful = rng.random() < useful
        effect = rng.normal(0, apart * is_useful, n_classes)[y]
        common = factors @ rng.normal(0, shared, factors.shape[1])
        x = effect + common + rng.standard_normal(n_samples)

        form = rng.choice(len(MEASURES) + 1, p=shares)
        if form < len(MEASURES):
            table[f"column {i}"] = MEASURES[form](rng, x)
        else:
            scale = 2 / agreement
            table[f"column {i}"] = _draw_category(rng, y, common, scale, is_useful)
    return table


def _draw_category(
    rng: Generator, y: Array, common: Array, scale: float, is_useful: bool
) -> Array:
    """Draw the levels (N,) of a category by ``common`` numbers (N,) and, if useful, the class."""
    n_levels = int(log_uniform(rng, 2, 13))
    effect = rng.normal(0, scale, (y.max() + 1, n_levels))[y] * is_useful
    spread = rng.standard_normal(n_levels) * log_uniform(rng, 0.5, 2.5)
    scores = common[:, None] * spread + effect
    scores = scores + rng.gumbel(size=(len(y), n_levels))
    scores = scores + rng.normal(0, rng.uniform(0, 1), n_levels)
    return LEVELS[scores.argmax(1)]


def _add_fact(rng: Generator, table: pd.DataFrame) -> None:
    """Add a column that another category of the table tells: its code or a group of its levels."""
    names = [name for name in table if table[name].dtype.kind not in "iufb"]
    if not names:
        return
    name = names[rng.integers(len(names))]
    levels = sorted(set(table[name]))
    n_groups = len(levels)
    if rng.random() >= 0.5:
        n_groups = max(2, len(levels) // 2)
    code = {level: LEVELS[i % n_groups] for i, level in enumerate(levels)}
    table[f"{name} group"] = table[name].map(code).astype(object)
