"""Seconds of a default fit of every method, from 150 rows to 70,000.

    OMP_NUM_THREADS=2 python benchmarks/speed/default_fits.py --results default_fits.jsonl
    OMP_NUM_THREADS=2 python benchmarks/speed/default_fits.py --sets mnist --repeats 1

Fits every method with K given, one fit after the other, and appends a JSON line for each set and
method with the median of the seconds, all repeats, and their ACC: repeat i has the seed i. A fit
to the irises comes before and does not count. "digits_200" are the first 200 digits, "blobs" are
20,000 rows of 20 features in ten Gaussians.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS, NETWORKS
from lib.options import bare_parser
from lib.records import keep
from lib.sets import SETS, digits, load_set

from skdeepcluster.metrics import clustering_accuracy


def digits_200():
    """Return the first 200 digits."""
    data = digits()
    return Bunch(X=data.X[:200], y=data.y[:200], n_clusters=10, name="digits_200")


def blobs():
    """Draw 20,000 rows of ten Gaussians in 20 dimensions."""
    X, y = make_blobs(20_000, 20, centers=10, random_state=0)
    return Bunch(X=X, y=y, n_clusters=10, name="blobs")


DRAWN = {"digits_200": digits_200, "blobs": blobs}
TIMED = ["NeighborClustering", *NETWORKS]


def measure(method, data, repeats):
    """Fit a method several times; return the record of seconds and ACC."""
    seconds, accuracies = [], []
    for seed in range(repeats):
        start = time.perf_counter()
        labels = METHODS[method](data.n_clusters, seed, data).fit(data.X).labels_
        seconds.append(round(time.perf_counter() - start, 2))
        accuracies.append(round(clustering_accuracy(data.y, labels), 4))
    median = float(np.median(seconds))
    return {"row": method, "seconds": median, "repeats": seconds, "acc": accuracies}


def main(arguments=None):
    """Print and keep a JSON line for each set and method."""
    parser = bare_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=[*DRAWN, *SETS], default=["iris", *DRAWN])
    parser.add_argument("--methods", nargs="+", choices=TIMED, default=TIMED)
    parser.add_argument("--repeats", type=int, default=3, help="fits of each (%(default)s)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    warm = load_set("iris")
    for method in options.methods:
        measure(method, warm, 1)
    for name in options.sets:
        data = DRAWN[name]() if name in DRAWN else load_set(name)
        for method in options.methods:
            record = {"data": name, "n_samples": data.X.shape[0], "n_features": data.X.shape[1]}
            keep(record | measure(method, data, options.repeats), "float32", options.results)


if __name__ == "__main__":
    main()
