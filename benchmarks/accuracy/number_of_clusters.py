"""How many clusters: n_clusters="auto" beside BIC, the silhouette, HDBSCAN and EVoC.

    python benchmarks/accuracy/number_of_clusters.py --out results.jsonl
    python benchmarks/accuracy/number_of_clusters.py --sets digits counted --methods ours

Every method is fitted with every seed to all rows, and again to a random 80 % of them; a JSON line
for each fit says how many clusters were found. Fits that the file holds are not run again. A
number is right if it is within 25 % of the number of classes, or of the number at which the cuts
of NeighborClustering have their best ARI; if there is one class, only one cluster is right. The
mixtures of BIC and the k-means of the silhouette have 1 (or 2) to 60 clusters, in steps of about a
tenth, and get at most 2,000 rows and 50 principal components. HDBSCAN and EVoC have their
defaults, but ``min_cluster_size=15``.
"""

import argparse
import importlib
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.clusterers import EVOC_FEATURES
from lib.counts import table
from lib.options import parse_seeds
from lib.records import keep, read
from lib.sets import GROUPS, load_set, parse_sets

from skdeepcluster import NeighborClustering

#: Numbers that BIC and the silhouette compare.
NUMBERS = (*range(1, 13), 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 55, 60)
MOST_ROWS, MOST_COMPONENTS = 2000, 50
#: Share of the rows in a subsample.
SHARE = 0.8


def reduce(X, seed):
    """Return at most MOST_ROWS rows and MOST_COMPONENTS principal components."""
    X = X[np.random.default_rng(seed).permutation(len(X))[:MOST_ROWS]]
    return PCA(MOST_COMPONENTS, random_state=0).fit_transform(X) if X.shape[1] > 50 else X


def ours(X, y, seed):
    """NeighborClustering; also how to find the number at which its cuts have the best ARI."""
    fit = NeighborClustering("auto", accept_sparse=True, random_state=seed).fit(X)

    def find_best():
        numbers, known = range(1, min(60, fit.n_leaves_) + 1), y >= 0
        scores = [adjusted_rand_score(y[known], fit.cut(number)[known]) for number in numbers]
        return int(np.argmax(scores)) + 1

    return fit.n_clusters_, find_best


def bic(X, y, seed):
    """Gaussian mixtures of full covariance, by Bayes' information criterion."""
    X = reduce(X, seed)
    reg = 1e-4 * float(X.var(axis=0).mean())
    numbers = [number for number in NUMBERS if number < len(X) // 5]
    fits = [GaussianMixture(n, reg_covar=reg, random_state=seed).fit(X).bic(X) for n in numbers]
    return numbers[int(np.argmin(fits))], None


def silhouette(X, y, seed):
    """k-means, by the silhouette."""
    X = reduce(X, seed)
    numbers = [number for number in NUMBERS[1:] if number < len(X) // 5]
    options = {"sample_size": min(2000, len(X)), "random_state": seed}
    scores = [
        silhouette_score(X, KMeans(n, n_init=3, random_state=seed).fit_predict(X), **options)
        for n in numbers
    ]
    return numbers[int(np.argmax(scores))], None


def hdbscan(X, y, seed):
    """HDBSCAN; rows of noise are no cluster."""
    labels = HDBSCAN(min_cluster_size=15, copy=True).fit_predict(reduce(X, seed))
    return len(set(labels) - {-1}), None


def evoc(X, y, seed):
    """EVoC at its defaults."""
    fewer = {"node_embedding_dim": X.shape[1]} if X.shape[1] < EVOC_FEATURES else {}
    made = importlib.import_module("evoc").EVoC(random_state=seed, **fewer)
    return len(set(made.fit_predict(X)) - {-1}), None


METHODS = {"ours": ours, "BIC": bic, "silhouette": silhouette, "HDBSCAN": hdbscan, "EVoC": evoc}


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    groups = ", ".join(GROUPS)
    default = ["eleven", "synthetic", "counted"]
    add("--sets", nargs="+", default=default, help=f"names, or {groups} (%(default)s)")
    add("--methods", nargs="+", choices=METHODS, default=["ours", "BIC", "silhouette", "HDBSCAN"])
    add("--seeds", default="0-4", help='"0-4", "0,2,7", or a count "3" (%(default)s)')
    add("--out", type=Path, help="file to append JSON lines to, and to go on from")
    options = parser.parse_args(arguments)
    try:
        options.sets, options.seeds = parse_sets(options.sets), parse_seeds(options.seeds)
    except ValueError as error:
        parser.error(str(error))
    return options


def count(method, data, seed, subsample):
    """Return the record of a fit."""
    X, y = np.asarray(data.X), np.asarray(data.y)
    if subsample:
        kept = np.random.default_rng(seed).permutation(len(X))[: int(SHARE * len(X))]
        X, y = X[np.sort(kept)], y[np.sort(kept)]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, find_best = METHODS[method](X, y, seed)
    seconds = round(time.perf_counter() - start, 3)
    return {
        "row": method,
        "data": data.name,
        "n_samples": len(X),
        "n_clusters": data.n_clusters,
        "seed": seed,
        "subsample": subsample,
        "found": int(found),
        "best": find_best() if find_best else None,
        "seconds": seconds,
    }


def key(record):
    """Return what tells fits apart."""
    return tuple(record[name] for name in ("data", "row", "seed", "subsample"))


def main(options):
    """Run what is missing, then print the table."""
    found, asked = {key(record): record for record in read(options.out)}, []
    for name in options.sets:
        try:
            data = load_set(name)
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
            continue
        for subsample in (False, True):
            for seed in options.seeds:
                for method in options.methods:
                    this = name, method, seed, subsample
                    if this not in found:
                        found[this] = count(method, data, seed, subsample)
                        keep(found[this], str(data.X.dtype), options.out)
                    asked.append(found[this])
    print(f"\n{table(asked)}" if asked else "No fits.")


if __name__ == "__main__":
    main(parsed())
