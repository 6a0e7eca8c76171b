"""The sets that clusterers are compared on, by name and in groups.

"eleven" are real sets of at most 20,000 rows; "large" are real sets with more rows, unbalanced
classes or sparse rows; "parts" are 60 to 240 rows of those of the eleven that are no texts;
"synthetic" are the drawn sets of ``lib/synthetic.py``, "counted" sixty others of 1 to 40 clusters.
Rows are used as they are in the set: digits in 0 to 16, images in [0, 1], tables standardised but
for iris.
"""

from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from . import synthetic
from .datasets import draw_unbalanced, load


def digits():
    """Load the digits of scikit-learn, in 0 to 16 as they come."""
    X, y = load_digits(return_X_y=True)
    return Bunch(X=X, y=y, n_clusters=10, name="digits", image_shape=(8, 8))


def mnist_unbalanced():
    """Draw 20,000 images of MNIST, with classes of 2 % to 25 %, the same for all seeds."""
    return draw_unbalanced(load("mnist"), 20_000, seed=0)


ELEVEN = {
    "digits": digits,
    "iris": partial(load, "iris"),
    "wine": partial(load, "wine"),
    "breast_cancer": partial(load, "breast_cancer"),
    "statlog": partial(load, "statlog"),
    "yeast": partial(load, "yeast"),
    "d31": partial(load, "d31"),
    "stackoverflow": partial(load, "stackoverflow"),
    "searchsnippets": partial(load, "searchsnippets"),
    "mnist_10k": partial(load, "mnist", 10_000),
    "fashion_10k": partial(load, "fashion_mnist", 10_000),
}
#: Rows of the parts of sets.
PART_SIZES = 60, 120, 240


def part(name, n_rows):
    """Draw rows of one of the eleven sets, the same for all seeds, and their classes."""
    data = ELEVEN[name]()
    chosen = np.random.default_rng(n_rows).permutation(len(data.y))[:n_rows]
    classes, y = np.unique(data.y[chosen], return_inverse=True)
    return Bunch(X=data.X[chosen], y=y, n_clusters=len(classes))


PARTS = {
    f"{name}_{n_rows}": partial(part, name, n_rows)
    for name in ELEVEN
    if name not in ("stackoverflow", "searchsnippets")
    for n_rows in (PART_SIZES[:2] if name in ("iris", "wine") else PART_SIZES)
}
LARGE = {
    "mnist": partial(load, "mnist"),
    "fashion_mnist": partial(load, "fashion_mnist"),
    "mnist_unbalanced": mnist_unbalanced,
    "reuters8": partial(load, "reuters8"),
}
SYNTHETIC = {name: partial(synthetic.drawn, name) for name in synthetic.NAMES}
COUNTED = {name: partial(synthetic.counted, name) for name in synthetic.COUNTED}
GROUPS = {
    "eleven": ELEVEN,
    "synthetic": SYNTHETIC,
    "large": LARGE,
    "parts": PARTS,
    "counted": COUNTED,
}
SETS = {name: make for group in GROUPS.values() for name, make in group.items()}


def parse_sets(asked):
    """Names of `SETS`, from names and `GROUPS` separated by spaces or commas."""
    parts = [part for text in asked for part in text.split(",") if part]
    unknown = [part for part in parts if part not in GROUPS and part not in SETS]
    if unknown:
        raise ValueError(
            f"--sets: {', '.join(unknown)} not among the groups {', '.join(GROUPS)} and the sets "
            f"{', '.join(SETS)}."
        )
    return list(dict.fromkeys(name for part in parts for name in GROUPS.get(part, [part])))


def load_set(name):
    """Load or draw a set by its name; a Bunch of X, y, n_clusters and name, and maybe more."""
    return Bunch(**SETS[name]() | {"name": name})
