r"""What the learned choice of a partition is worth, on sets that it was not trained on.

    python benchmarks/accuracy/choice.py --out choice.jsonl
    python benchmarks/accuracy/choice.py --battery FOLDER --out choice.jsonl \
        --summary benchmarks/results/choice.jsonl

Parts: "sets", the partition of real sets with K given, beside KMeans; "numbers", the number of
clusters found; "one", the number found in samples without clusters; "overlap", how far seeds agree
on overlapping blobs. A JSON line for each fit is appended to the file as it ends. Fits that the
file holds are not run again. Then the summaries are printed. FOLDER is a checkout of the
battery gagolews/clustering-data-v1. Its sets in BATTERY are read and standardized; noise points
are fitted and not scored. Labels judge and do nothing else.
"""

import argparse
import json
import sys
import warnings
from itertools import combinations, product
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse_seeds
from lib.records import judged, keep, read
from lib.sets import GROUPS, load_set

from skdeepcluster import NeighborClustering

#: Sets of the battery on which the criterion may be judged while it is developed.
BATTERY = {
    "fcps": "atom chainlink engytime hepta lsun tetra twodiamonds wingnut",
    "graves": "dense fuzzyx line ring ring_noisy ring_outliers zigzag zigzag_noisy "
    "zigzag_outliers",
    "sipu": "a1 a2 a3 aggregation compound flame pathbased r15 s1 s2 spiral",
    "wut": "circles cross isolation mk1 mk4 stripes trajectories x1 z1 z2",
    "other": "chameleon_t4_8k hdbscan iris5 square",
}
#: Distributions without clusters.
WITHOUT = ("normal", "uniform", "exponential", "lognormal")
#: Numbers of their features.
FEATURES = (1, 2, 3, 5, 10, 20)
PARTS = ("sets", "numbers", "one", "overlap")


def load_all(battery):
    """Yield group, name, X, classes (-1 for noise that is not scored) and their number."""
    for name in GROUPS["eleven"]:
        data = load_set(name)
        yield "eleven", name, data.X, data.y, data.n_clusters
    for folder, names in BATTERY.items() if battery else ():
        for name in names.split():
            path = battery / folder / name
            X = np.loadtxt(f"{path}.data.gz", ndmin=2)
            y = np.loadtxt(f"{path}.labels0.gz", dtype=int) - 1
            yield "battery", name, StandardScaler().fit_transform(X), y, int(y.max()) + 1


def fit(X, n_clusters, seed):
    """Return a fit of NeighborClustering and its seconds."""
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = NeighborClustering(n_clusters, accept_sparse=True, random_state=seed).fit(X)
    return found, perf_counter() - start


def partition(data, seed):
    """Return the record of a partition with K given, and of KMeans."""
    _, _, X, y, k = data
    found, seconds = fit(X, k, seed)
    means = KMeans(k, n_init=10, random_state=seed).fit_predict(X)
    known = y >= 0
    record = judged(y[known], found.labels_[known]) | {"seconds": seconds}
    record |= {f"kmeans_{key}": value for key, value in judged(y[known], means[known]).items()}
    return record | {"expected": found.expected_score_}


def count(data, seed):
    """Return the record of a number of clusters that was found."""
    _, _, X, y, k = data
    found, seconds = fit(X, "auto", seed)
    known = y >= 0
    record = {"classes": k, "found": found.n_clusters_, "seconds": seconds}
    return record | judged(y[known], found.labels_[known]) | {"expected": found.expected_score_}


def draw_one(distribution, n_features, seed):
    """Draw 300 samples without clusters."""
    random = np.random.default_rng([WITHOUT.index(distribution), n_features, seed])
    return getattr(random, distribution)(size=(300, n_features))


def overlap(draw, seeds):
    """Return the record of the agreement of seeds on blobs that overlap."""
    options = {"centers": 4, "cluster_std": 2, "center_box": (-5, 5), "random_state": draw}
    X, y = make_blobs(240, 4, **options)
    labels = [fit(X, 4, seed)[0].labels_ for seed in seeds]
    agreement = [adjusted_rand_score(*pair) for pair in combinations(labels, 2)]
    return judged(y, labels[0]) | {"agreement": float(np.mean(agreement))}


def tasks(options):
    """Yield the keys of all records asked for, and functions that make them."""
    for part in ("sets", "numbers"):
        for data in load_all(options.battery) if part in options.parts else ():
            make = partition if part == "sets" else count
            for seed in options.seeds if part == "sets" else options.seeds[:1]:
                yield (part, data[0], data[1], seed), lambda m=make, d=data, s=seed: m(d, s)
    for name, d, seed in product(WITHOUT, FEATURES, options.seeds):
        if "one" in options.parts:

            def make(name=name, d=d, seed=seed):
                found, _ = fit(draw_one(name, d, seed), "auto", 0)
                return {"found": found.n_clusters_, "expected": found.expected_score_}

            yield ("one", name, str(d), seed), make
    for draw in range(10) if "overlap" in options.parts else ():
        yield ("overlap", "blobs", "overlapping", draw), lambda d=draw: overlap(d, options.seeds)


def key(record):
    """Return what tells records apart."""
    return tuple(record[name] for name in ("part", "group", "data", "seed"))


def mean(records, name):
    """Return the mean over seeds, then over sets."""
    by_set = {}
    for record in records:
        by_set.setdefault(record["data"], []).append(record[name])
    return float(np.mean([np.mean(values) for values in by_set.values()]))


def summarize_sets(records, group):
    """Yield the means of a group of sets, and those of each set."""
    by_set = {}
    for record in records:
        by_set.setdefault(record["data"], []).append(record)
    names = "acc", "ari", "kmeans_acc", "kmeans_ari", "expected"
    if records:
        yield {"row": f"mean of the {group}"} | {name: mean(records, name) for name in names}
    for data, own in by_set.items():
        yield {"row": data} | {name: mean(own, name) for name in names}


def summarize_numbers(records, group):
    """Yield how many numbers of clusters are right."""
    if records:
        classes, found = (np.array([r[name] for r in records]) for name in ("classes", "found"))
        near = float(np.mean(np.abs(found - classes) <= 0.25 * classes))
        exact = float(np.mean(found == classes))
        yield {"row": f"numbers of the {group}", "within 25 %": near, "exact": exact}


def summarize(records):
    """Yield the summaries."""
    of = {part: [r for r in records if r["part"] == part] for part in PARTS}
    for group in ("eleven", "battery"):
        yield from summarize_sets([r for r in of["sets"] if r["group"] == group], group)
        yield from summarize_numbers([r for r in of["numbers"] if r["group"] == group], group)
    if of["sets"]:
        expected, ari = (np.array([r[name] for r in of["sets"]]) for name in ("expected", "ari"))
        rank, error = spearmanr(expected, ari).statistic, np.abs(expected - ari).mean()
        yield {"row": "expected score", "rank correlation": float(rank), "error": float(error)}
    for name in WITHOUT if of["one"] else ():
        own = [r["found"] == 1 for r in of["one"] if r["group"] == name]
        yield {"row": f"one cluster, {name}", "right": float(np.mean(own)), "draws": len(own)}
    if of["overlap"]:
        yield {"row": "agreement of seeds"} | {"agreement": mean(of["overlap"], "agreement")}


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", default="0-4", help="as 0-4 or 3 (%(default)s)")
    parser.add_argument("--battery", type=Path, help="folder of the battery")
    parser.add_argument("--out", type=Path, help="file to append JSON lines to")
    parser.add_argument("--summary", type=Path, help="file to write the summaries to")
    options = parser.parse_args(arguments)
    options.seeds = parse_seeds(options.seeds)
    return options


def main(options):
    """Run what is missing, then print the summaries."""
    found = {key(record): record for record in read(options.out)}
    for own, make in tasks(options):
        if own not in found:
            part, group, data, seed = own
            record = {"row": part, "part": part, "group": group, "data": data, "seed": seed}
            found[own] = keep(record | make(), "float64", options.out)
    lines = [json.dumps(row) + "\n" for row in summarize(list(found.values()))]
    print(*lines, sep="")
    if options.summary:
        options.summary.write_text("".join(lines))


if __name__ == "__main__":
    main(parsed())
