"""How sure clusters are: calibration of probabilities, and outlier scores.

    python benchmarks/accuracy/how_sure.py outliers --out outliers.jsonl --seeds 0-2

Each part fits its methods to its sets with every seed, appends a JSON line for each fit and prints
a table. Fits that the file holds are not run again.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS, NETWORKS, precision
from lib.options import chosen, parse, parser
from lib.records import calibration_error, complete, described, timed
from lib.sets import SETS, load_sets
from lib.tables import as_frame, pivot

from skdeepcluster import ClusterEnsemble, NeighborClustering
from skdeepcluster.metrics import clustering_accuracy, match_labels

MAX_SAMPLES = 5000  # of networks
#: Number of outliers, as a share of the samples.
SHARE = 0.05
#: Length of the sides of their box, as a multiple of the range of the samples.
WIDER = 1.5


def ensemble(data, n_clusters, seed):
    """Eight NeighborClusterings."""
    return ClusterEnsemble(NeighborClustering(n_clusters), n_estimators=8, random_state=seed)


def calibration(method, data, seed):
    """Return what the probabilities of a clusterer say about its errors."""
    make = ensemble if method == "ClusterEnsemble" else METHODS[method]
    model = make(data, data.n_clusters, seed).fit(data.X)
    probabilities = np.asarray(model.predict_proba(data.X), dtype=np.float64)
    right = match_labels(data.y, probabilities.argmax(1)) == data.y
    has_both = 0 < right.mean() < 1
    return {
        "acc": clustering_accuracy(data.y, probabilities.argmax(1)),
        "ece": calibration_error(right, probabilities.max(1)),
        "auc": float(roc_auc_score(right, probabilities.max(1))) if has_both else None,
        "confidence": float(probabilities.max(1).mean()),
    }


def add_outliers(X, seed):
    """Return the samples with outliers in a random order, and which are outliers."""
    rng = np.random.default_rng(seed)
    low, high = X.min(axis=0), X.max(axis=0)
    margin = (WIDER - 1) / 2 * (high - low)
    n_outliers = max(1, round(SHARE * len(X)))
    added = rng.uniform(low - margin, high + margin, (n_outliers, X.shape[1]))
    order = rng.permutation(len(X) + n_outliers)
    return np.vstack([X, added])[order], order >= len(X)


def outlier_scores(method, X, n_clusters, seed):
    """Return the outlier score of each sample by a method, larger for outliers."""
    if method == "LocalOutlierFactor":
        return -LocalOutlierFactor(n_neighbors=15).fit(X).negative_outlier_factor_
    if method == "IsolationForest":
        return -IsolationForest(random_state=seed).fit(X).score_samples(X)
    return METHODS[method](Bunch(X=X), n_clusters, seed).fit(X).outlier_scores_


def outliers(method, data, seed):
    """Return how well a method finds added outliers."""
    X, is_outlier = add_outliers(np.asarray(data.X, dtype=np.float64), seed)
    scores = outlier_scores(method, X, data.n_clusters, seed)
    return {"auc": float(roc_auc_score(is_outlier, scores))}


FOUR = ["digits", "iris", "wine", "breast_cancer"]
OURS = ["NeighborClustering", *NETWORKS]
JUDGED = ["GaussianMixtureEM", "ClusterEnsemble", *OURS]
DETECTORS = [*OURS, "LocalOutlierFactor", "IsolationForest"]
#: Part -> function, methods, sets and the values that are printed.
PARTS = {
    "calibration": (calibration, JUDGED, [*FOUR, "d31", "searchsnippets"], "acc;ece;auc"),
    "outliers": (outliers, DETECTORS, [*FOUR, "statlog", "yeast", "d31"], "auc"),
}


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__, seeds="0-2")
    made.add_argument("part", choices=PARTS, help="what is measured")
    made.add_argument("--sets", nargs="+", help="names (as in RESULTS.md)")
    made.add_argument("--methods", nargs="+", help="names (all of the part)")
    _, methods, sets, _ = PARTS[made.parse_args(arguments).part]
    readers = {"methods": partial(chosen, known=methods)}
    readers["sets"] = lambda names: chosen(names or sets, SETS, "--sets")
    return parse(made, arguments, **readers)


def run(measure, method, data, seed):
    """Return the record of a fit, with its seconds."""
    record, seconds = timed(measure, method, data, seed)
    return record | {"seconds": seconds}


def tasks(options):
    """Yield all fits of a part."""
    measure = PARTS[options.part][0]
    for data in load_sets(options.sets):
        for method in options.methods:
            if method in NETWORKS and data.X.shape[0] > MAX_SAMPLES:
                print(f"{data.name}, {method}: skipped, more than {MAX_SAMPLES:,} samples")
                continue
            for seed in options.seeds:
                head = {"part": options.part, "row": method, "seed": seed, **described(data)}
                yield head, partial(run, measure, method, data, seed), precision(method, data)


def main(options):
    """Run all fits, then print a table."""
    records = complete(options.out, ("part", "data", "row", "seed"), tasks(options))
    values = PARTS[options.part][-1]
    print("\n" + pivot(as_frame(records), values) if records else "No fits.")


if __name__ == "__main__":
    main(parsed())
