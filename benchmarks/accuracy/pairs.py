"""Accuracy by the number of pairs of samples that are known to belong together, or not.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/pairs.py --out results.jsonl

Pairs of samples are drawn at random: must-link if their classes are equal, else cannot-link.
"others" is the adjusted Rand index of the samples that no pair names. COPKMeans and PCKMeans are
those of active-semi-supervised-clustering, which is skipped if it is not installed.
"""

import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import chosen, parse, parser
from lib.records import complete, described, judged, timed
from lib.sets import load_sets, parse_sets
from lib.tables import as_frame, pivot

from skdeepcluster import NeighborClustering

try:
    from active_semi_clustering.semi_supervised import pairwise_constraints as rivals
except ImportError:
    rivals = None

METHODS = ("NeighborClustering", "COPKMeans", "PCKMeans")
NUMBERS = (0, 50, 200, 500)


def draw_pairs(y, n_pairs, seed):
    """Return must-link and cannot-link pairs, (n, 2) each."""
    stream = np.random.RandomState(seed)
    pairs = [stream.choice(len(y), 2, replace=False) for _ in range(n_pairs)]
    pairs = np.array(pairs, dtype=int).reshape(-1, 2)
    together = y[pairs[:, 0]] == y[pairs[:, 1]]
    return pairs[together], pairs[~together]


def cluster(method, data, must, cannot, seed):
    """Return the labels by a method."""
    if method == "NeighborClustering":
        fit = NeighborClustering(data.n_clusters, random_state=seed)
        return fit.fit(data.X, must_link=must, cannot_link=cannot).labels_
    np.random.seed(seed)  # noqa: NPY002 - the rivals draw from the global stream
    links = {"ml": list(map(tuple, must)), "cl": list(map(tuple, cannot))}
    fit = getattr(rivals, method)(n_clusters=data.n_clusters)
    fit.fit(data.X.astype(np.float64), **links)
    return np.asarray(fit.labels_)


def measure(data, method, n_pairs, seed):
    """Return accuracies and seconds of a fit."""
    must, cannot = draw_pairs(data.y, n_pairs, seed)
    labels, seconds = timed(cluster, method, data, must, cannot, seed)
    others = np.setdiff1d(np.arange(len(data.y)), np.concatenate([must, cannot]).ravel())
    held = adjusted_rand_score(data.y[others], labels[others])
    return judged(data.y, labels) | {"others": held, "seconds": seconds}


def tasks(options):
    """Yield all fits."""
    methods = [method for method in options.methods if rivals or method == METHODS[0]]
    if len(methods) < len(options.methods):
        print("active-semi-supervised-clustering is not installed: its methods are skipped.")
    for data in load_sets(options.sets):
        for seed, method, n_pairs in itertools.product(options.seeds, methods, NUMBERS):
            head = {"row": method, "pairs": n_pairs, "seed": seed} | described(data)
            yield head, partial(measure, data, method, n_pairs, seed), "float64"


def main(arguments=None):
    """Run all fits, then print a table."""
    made = parser(__doc__, seeds="0-4", sets=["iris", "wine"])
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)} (all)")
    readers = {"methods": partial(chosen, known=METHODS), "sets": parse_sets}
    options = parse(made, arguments, **readers)
    found = complete(options.out, ("data", "row", "pairs", "seed"), tasks(options))
    for name, frame in as_frame(found).groupby("data", sort=False):
        print(f"{name}, ARI / ARI of others:")
        print(pivot(frame, "ari;others", index="row", columns="pairs", mean="no"))


if __name__ == "__main__":
    main()
