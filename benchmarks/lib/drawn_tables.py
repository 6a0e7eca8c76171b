"""Tables drawn as people have them: numbers, amounts, codes, flags and categories side by side.

N samples, K classes.
"""

import numpy as np
import pandas as pd

#: Letters that name levels of categories.
LEVELS = np.array([*"abcdefghijklmnopqrstuvwxyz"], dtype=object)
#: Minimum number of distinct samples of a table.
FEWEST = 60


def log_uniform(rng, low, high, size=None):
    """Draw numbers whose logarithms are uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def cut_at_random(rng, x, n_levels):
    """Return the level (N,) of numbers x (N,) between random quantiles."""
    ends = rng.dirichlet(np.full(n_levels, rng.uniform(1, 6))).cumsum()[:-1]
    return np.searchsorted(np.quantile(x, ends), x)


def as_number(rng, x):
    """Return numbers in a unit, at times rounded to whole ones."""
    unit = log_uniform(rng, 0.1, 1000)
    if rng.random() < 0.3:
        return np.round(x * rng.uniform(4, 30) + 50)
    return x * unit


def as_amount(rng, x):
    """Return skewed numbers, at times whole or with zeros."""
    amount = np.exp(rng.uniform(0.4, 1.3) * x + rng.uniform(0, 6))
    form = rng.integers(4)
    if form == 0:
        return np.round(amount)
    if form == 1:
        return np.where(x < np.quantile(x, rng.uniform(0.05, 0.4)), 0, amount)
    return amount


def as_code(rng, x):
    """Return few values with an order: levels, ratings or counts."""
    if rng.random() < 0.3:
        mean = np.exp(rng.uniform(0.3, 0.8) * x + rng.uniform(-0.5, 1.2))
        return rng.poisson(mean).astype(float)
    level = cut_at_random(rng, x, rng.integers(3, 10))
    return level + rng.integers(0, 2) * 1.0


def as_flag(rng, x):
    """Return zeros and ones."""
    return (x > np.quantile(x, rng.uniform(0.1, 0.9))).astype(float)


def coded(rng, X, y):
    """Turn some columns of numbers X (N, D) into codes, flags and amounts; add useless ones."""
    X = (X - X.mean(0)) / X.std(0).clip(1e-12)
    share = rng.uniform(0.1, 1)
    forms = as_code, as_code, as_flag, as_amount, lambda rng, x: np.round(x * rng.uniform(1, 4))
    columns = []
    for x in X.T:
        form = forms[rng.integers(len(forms))]
        columns.append(form(rng, x) if rng.random() < share else x)
    for _ in range(rng.integers(0, 4)):
        form = (as_number, as_amount, as_code, as_flag)[rng.integers(4)]
        columns.append(form(rng, rng.standard_normal(len(y))))
    if len(np.unique(columns, axis=1).T) < FEWEST:
        columns.append(rng.standard_normal(len(y)))

    X = np.stack(columns, 1).astype(float)
    X = X[:, X.std(0) > 0]
    return (X - X.mean(0)) / X.std(0), y


def choose_levels(rng, x, effect, n_levels):
    """Return a level (N,) for each sample, by its number x (N,) and the effect of its class."""
    spread = rng.standard_normal(n_levels) * log_uniform(rng, 0.5, 2.5)
    scores = x[:, None] * spread + effect + rng.gumbel(size=(len(x), n_levels))
    scores = scores + rng.normal(0, rng.uniform(0, 1), n_levels)
    return scores.argmax(1)


def add_fact(rng, table):
    """Add a column that another category of the table tells: its code or a group of its levels."""
    names = [name for name in table if table[name].dtype.kind not in "iufb"]
    if not names:
        return
    name = names[rng.integers(len(names))]
    levels = sorted(set(table[name]))
    groups = len(levels) if rng.random() < 0.5 else max(2, len(levels) // 2)
    code = {level: LEVELS[i % groups] for i, level in enumerate(levels)}
    table[f"{name} group"] = table[name].map(code).astype(object)


def mixed(rng, y):
    """Draw a table of the classes y (N,): columns that depend on them, on factors, or on nothing.

    Numbers of a column are a sum of the effect of the class, of factors that columns share, and
    of noise. They are then measured as numbers, amounts, codes, flags or categories.
    """
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
        loading = rng.normal(0, shared, factors.shape[1])
        x = effect + factors @ loading + rng.standard_normal(n_samples)
        form = rng.choice(5, p=shares)
        if form < 4:
            measure = (as_number, as_amount, as_code, as_flag)[form]
            table[f"column {i}"] = measure(rng, x)
            continue
        n_levels = int(log_uniform(rng, 2, 13))
        own = rng.normal(0, 2 / agreement, (n_classes, n_levels))[y] * is_useful
        level = choose_levels(rng, factors @ loading, own, n_levels)
        table[f"column {i}"] = LEVELS[level]

    for _ in range(rng.integers(0, 3) * (rng.random() < 0.3)):
        add_fact(rng, table)
    if len(table.drop_duplicates()) < FEWEST:
        table["number"] = as_number(rng, rng.standard_normal(n_samples))
    if rng.random() < 0.35:
        table = table.mask(rng.random(table.shape) < rng.uniform(0.01, 0.12))
    return table, y
