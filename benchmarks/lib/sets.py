"""The sets that clusterers are compared on, by name and in groups.

"eleven" are real sets with at most 20,000 samples; "large" are real sets with more samples,
unbalanced classes or sparse samples.
"""

from functools import partial

from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from .datasets import draw_unbalanced, load
from .options import chosen


def digits():
    """Load the digits of scikit-learn, in 0 to 16 as they come."""
    X, y = load_digits(return_X_y=True)
    return Bunch(X=X, y=y, n_clusters=10, image_shape=(8, 8))


def loaders(*names):
    """Return a function for each named set that loads it."""
    return {name: partial(load, name) for name in names}


TEXTS = ("stackoverflow", "searchsnippets")
ELEVEN = {
    "digits": digits,
    **loaders("iris", "wine", "breast_cancer", "statlog", "yeast", "d31", *TEXTS),
    "mnist_10k": partial(load, "mnist", 10_000),
    "fashion_10k": partial(load, "fashion_mnist", 10_000),
}
GROUPS = {
    "eleven": ELEVEN,
    "large": {
        **loaders("mnist", "fashion_mnist", "reuters8"),
        "mnist_unbalanced": lambda: draw_unbalanced(load("mnist"), 20_000, seed=0),
    },
}
SETS = {name: make for group in GROUPS.values() for name, make in group.items()}


def parse_sets(asked):
    """Return names of `SETS`, from a list of names and of `GROUPS`."""
    found = chosen(asked, [*GROUPS, *SETS], "--sets")
    return list(dict.fromkeys(name for one in found for name in GROUPS.get(one, [one])))


def load_set(name):
    """Load or draw a set by its name; a Bunch of X, y, n_clusters and name, and maybe more."""
    return Bunch(**SETS[name]() | {"name": name})


def load_sets(names):
    """Yield the sets that can be loaded; print a line for each one that cannot."""
    for name in names:
        try:
            yield load_set(name)
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
