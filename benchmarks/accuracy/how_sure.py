"""How sure clusters are: calibration of probabilities, outlier scores, stability of clusters.

    python benchmarks/accuracy/how_sure.py calibration --out calibration.jsonl
    python benchmarks/accuracy/how_sure.py outliers --out outliers.jsonl --seeds 0-2
    python benchmarks/accuracy/how_sure.py stability --out stability.jsonl --sets halves_2

Each part runs every method on every set with every seed, at its defaults and with K given, appends
a JSON line for each fit and prints a table. Fits that the file holds are not run again.

- calibration: ACC, expected calibration error (ECE) and the AUC of finding the rows that are in a
  wrong cluster, all by ``predict_proba(X).max(1)``, clusters matched to classes. AUC is missing if
  no row is wrong. Networks get no set of more than 5,000 rows.
- outliers: rows drawn evenly from the box of the features, every side half as long again, 5 % as
  many as there are rows, are added to them; AUC of finding them by ``outlier_scores_`` of
  NeighborClustering and of the networks (on sets of at most 5,000 rows), and by
  LocalOutlierFactor and IsolationForest of scikit-learn.
- stability: the least and the mean of ``cluster_stability()`` of NeighborClustering over clusters,
  of 600 rows: "planted_K_P" are K Gaussians of P features, 8 standard deviations apart or more,
  "halves_P" is one Gaussian that is divided into two clusters.
"""

import argparse
import math
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.certainty import table
from lib.methods import METHODS, NETWORKS
from lib.options import parse_seeds
from lib.records import keep, read
from lib.sets import load_set, parse_sets
from lib.synthetic import blobs

from skdeepcluster import ClusterEnsemble, NeighborClustering
from skdeepcluster.metrics import (
    clustering_accuracy,
    error_auc,
    expected_calibration_error,
    match_labels,
)

#: Rows that networks are fitted to at most.
MOST_ROWS = 5000
#: Outliers added, as a share of the rows; length of the sides of their box, of that of the rows.
SHARE, WIDER = 0.05, 1.5
N_MEMBERS, N_NEIGHBORS = 8, 15
#: Rows of the sets of stability; least distance of planted centres in standard deviations.
N_ROWS, GAP = 600, 8.0


def ensemble(n_clusters, random_state, data):
    """Eight NeighborClusterings."""
    return ClusterEnsemble(
        NeighborClustering(n_clusters), n_estimators=N_MEMBERS, random_state=random_state
    )


PROBABILISTIC = {
    name: METHODS[name]
    for name in ("NeighborClustering", "GaussianMixtureEM", *NETWORKS)
    if name != "KMeans"
} | {"ClusterEnsemble": ensemble}


def calibration(method, data, seed):
    """Return what the probabilities of a clusterer tell about its errors."""
    start = time.perf_counter()
    model = PROBABILISTIC[method](data.n_clusters, seed, data).fit(data.X)
    probabilities = np.asarray(model.predict_proba(data.X), dtype=np.float64)
    seconds = round(time.perf_counter() - start, 3)
    right = match_labels(data.y, probabilities.argmax(1)) == data.y
    confidence = probabilities.max(1)
    auc = error_auc(right, confidence)
    return {
        "acc": float(right.mean()),
        "ece": expected_calibration_error(right, confidence),
        "auc": None if math.isnan(auc) else auc,
        "confidence": float(confidence.mean()),
        "seconds": seconds,
    }


def add_outliers(X, seed):
    """Return the rows with outliers after them, in a permuted order, and which are outliers."""
    stream = np.random.default_rng(seed)
    low, high = X.min(axis=0), X.max(axis=0)
    margin = (WIDER - 1) / 2 * (high - low)
    n_outliers = max(1, round(SHARE * len(X)))
    added = stream.uniform(low - margin, high + margin, (n_outliers, X.shape[1]))
    order = stream.permutation(len(X) + n_outliers)
    return np.vstack([X, added])[order], order >= len(X)


def detector(method):
    """Make the function that gives the outlier scores of a clusterer of this package."""

    def score(X, n_clusters, seed):
        return METHODS[method](n_clusters, seed, Bunch(X=X)).fit(X).outlier_scores_

    return score


#: Method -> outlier scores of the rows (X, n_clusters, seed), the larger the odder.
DETECTORS = {
    **{name: detector(name) for name in ("NeighborClustering", *NETWORKS)},
    "LocalOutlierFactor": lambda X, n_clusters, seed: (
        -LocalOutlierFactor(n_neighbors=N_NEIGHBORS).fit(X).negative_outlier_factor_
    ),
    "IsolationForest": lambda X, n_clusters, seed: (
        -IsolationForest(random_state=seed).fit(X).score_samples(X)
    ),
}


def outliers(method, data, seed):
    """Return how well a method tells added outliers from rows."""
    X, is_outlier = add_outliers(np.asarray(data.X, dtype=np.float64), seed)
    start = time.perf_counter()
    scores = DETECTORS[method](X, data.n_clusters, seed)
    seconds = round(time.perf_counter() - start, 3)
    return {"auc": float(roc_auc_score(is_outlier, scores)), "seconds": seconds}


def gaussians(seed, n_planted, n_features):
    """Draw the rows of `n_planted` Gaussians of equal size."""
    parts = blobs(
        np.random.default_rng(seed), [N_ROWS // n_planted] * n_planted, n_features, gap=GAP
    )
    y = np.repeat(np.arange(n_planted), N_ROWS // n_planted)
    return np.concatenate(parts), y


#: Set -> planted clusters, features and K.
CASES = {f"planted_{k}_{p}": (k, p, k) for p in (2, 10) for k in (3, 5, 8)}
CASES |= {f"halves_{p}": (1, p, 2) for p in (2, 5, 10)}


def stability(method, data, seed):
    """Return how stable the clusters of rows are that the seed draws; ACC if they are planted."""
    n_planted, n_features, n_clusters = CASES[data.name]
    X, y = gaussians(seed, n_planted, n_features)
    start = time.perf_counter()
    fit = NeighborClustering(n_clusters, random_state=seed).fit(X)
    found = fit.cluster_stability()
    return {
        "least": float(found.min()),
        "mean": float(found.mean()),
        "acc": clustering_accuracy(y, fit.labels_) if n_planted > 1 else None,
        "seconds": round(time.perf_counter() - start, 3),
    }


def case(name):
    """Describe a set of stability, whose rows the seed draws."""
    _, n_features, n_clusters = CASES[name]
    X = np.broadcast_to(0.0, (N_ROWS, n_features))
    return Bunch(X=X, n_clusters=n_clusters, name=name)


class Part:
    """What is measured, by which methods and on which sets by default."""

    def __init__(self, measure, methods, sets, load=load_set, parse=parse_sets):
        self.measure, self.methods, self.sets = measure, list(methods), sets
        self.load, self.parse = load, parse


def parse_cases(asked):
    """Names of `CASES`, from names separated by spaces or commas."""
    names = [name for text in asked for name in text.split(",") if name]
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise ValueError(f"--sets: {', '.join(unknown)} not among {', '.join(CASES)}.")
    return names


FOUR = ["digits", "iris", "wine", "breast_cancer"]
DRAWN = ["sizes_2d", "density_8d", "moons", "correlated_5d", "tails_10d"]
PARTS = {
    "calibration": Part(calibration, PROBABILISTIC, [*FOUR, "d31", "searchsnippets"]),
    "outliers": Part(outliers, DETECTORS, [*FOUR, "statlog", "yeast", "d31", *DRAWN]),
    "stability": Part(stability, ["NeighborClustering"], [*CASES], case, parse_cases),
}


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("part", choices=PARTS, help="what is measured")
    add("--sets", nargs="+", help="names, or groups of sets (those of RESULTS.md)")
    add("--methods", nargs="+", help="of the part's (all)")
    add("--seeds", default="0-2", help='"0-4", "0,2,7", or a count "3" (%(default)s)')
    add("--out", type=Path, help="file to append JSON lines to, and to go on from")
    options = parser.parse_args(arguments)
    part = PARTS[options.part]
    options.methods = options.methods or part.methods
    unknown = [name for name in options.methods if name not in part.methods]
    if unknown:
        parser.error(f"--methods: {', '.join(unknown)} not among {', '.join(part.methods)}.")
    try:
        options.sets = part.parse(options.sets or part.sets)
        options.seeds = parse_seeds(options.seeds)
    except ValueError as error:
        parser.error(str(error))
    return options


def key(record):
    """Return what tells fits apart."""
    return tuple(record[name] for name in ("part", "data", "row", "seed"))


def run(name, method, data, seed):
    """Return the record of a fit."""
    record = {"part": name, "row": method, "data": data.name, "n_samples": data.X.shape[0]}
    record |= {"n_features": data.X.shape[1], "n_clusters": data.n_clusters, "seed": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return record | PARTS[name].measure(method, data, seed)


def run_set(data, options, found):
    """Run what is missing on a set; return the records that were asked for."""
    asked = []
    for method in options.methods:
        if method in NETWORKS and data.X.shape[0] > MOST_ROWS:
            print(f"{data.name}, {method}: skipped, more than {MOST_ROWS:,} rows")
            continue
        for seed in options.seeds:
            this = options.part, data.name, method, seed
            if this not in found:
                found[this] = run(options.part, method, data, seed)
                keep(
                    found[this],
                    "float32" if method in NETWORKS else str(data.X.dtype),
                    options.out,
                )
            asked.append(found[this])
    return asked


def main(options):
    """Run all sets, then print the table."""
    found, asked = {key(record): record for record in read(options.out)}, []
    for name in options.sets:
        try:
            data = PARTS[options.part].load(name)
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
            continue
        asked += run_set(data, options, found)
    print(f"\n{table(options.part, asked)}" if asked else "No fits.")


if __name__ == "__main__":
    main(parsed())
