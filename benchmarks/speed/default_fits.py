"""Seconds of a default fit of every method, from 150 samples to 70,000.

    OMP_NUM_THREADS=2 python benchmarks/speed/default_fits.py --out default_fits.jsonl

"digits_200" are the first 200 digits, "blobs" 20,000 samples of ten Gaussians with 20 features.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS, NETWORKS, precision
from lib.options import chosen, parse, parser
from lib.records import described, keep, timed
from lib.sets import SETS, digits, load_set

from skdeepcluster.metrics import clustering_accuracy

DRAWN = ("digits_200", "blobs")
TIMED = ("NeighborClustering", *NETWORKS)


def load(name):
    """Load or draw a set."""
    if name == "digits_200":
        data = digits()
        return Bunch(X=data.X[:200], y=data.y[:200], n_clusters=10, name=name)
    if name == "blobs":
        X, y = make_blobs(20_000, 20, centers=10, random_state=0)
        return Bunch(X=X, y=y, n_clusters=10, name=name)
    return load_set(name)


def measure(method, data, repeats):
    """Fit a method several times; return the record of seconds and ACC."""
    seconds, accuracies = [], []
    for seed in range(repeats):
        fitted, own = timed(METHODS[method](data, data.n_clusters, seed).fit, data.X)
        seconds.append(round(own, 2))
        accuracies.append(round(clustering_accuracy(data.y, fitted.labels_), 4))
    median = float(np.median(seconds))
    return {"row": method, "seconds": median, "repeats": seconds, "acc": accuracies}


def main(arguments=None):
    """Fit all methods to all sets."""
    made = parser(__doc__)
    made.add_argument("--sets", nargs="+", default=["iris", *DRAWN], help="names (%(default)s)")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(TIMED)} (all)")
    made.add_argument("--repeats", type=int, default=3, help="fits of each (%(default)s)")
    readers = {"sets": partial(chosen, known=(*DRAWN, *SETS), option="--sets")}
    readers["methods"] = partial(chosen, known=TIMED)
    options = parse(made, arguments, **readers)
    for method in options.methods:
        measure(method, load("iris"), 1)
    for data in map(load, options.sets):
        for method in options.methods:
            record = described(data) | measure(method, data, options.repeats)
            keep(record, precision(method, data), options.out)


if __name__ == "__main__":
    main()
