"""Clusterings of tables that miss values, as they are and after imputation.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/missing_values.py --out results.jsonl

Values are removed at random (5, 15, 30 %), or from the largest third of every other feature with
probability 1/2 ("largest"). All imputers stand in front of the same estimator. Mixtures take only
complete tables.
"""

import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS
from lib.options import chosen, parse, parser
from lib.records import complete, described, judged, timed
from lib.sets import load_sets, parse_sets
from lib.tables import as_frame, pivot

WAYS = {
    "as it is": None,
    "means": SimpleImputer,
    "nearest samples": KNNImputer,
    "regressions": partial(IterativeImputer, n_nearest_features=10, random_state=0),
}
PATTERNS = {"5 %": 0.05, "15 %": 0.15, "30 %": 0.3, "largest": None}
#: Methods that take no missing values.
COMPLETE = {"GaussianMixtureEM"}
COMPARED = ["NeighborClustering", "GaussianMixtureEM", "VaDEClustering", "CatGANClustering"]


def remove(X, share, seed):
    """Return X without a share of its values; None removes from the largest ones."""
    draws = np.random.RandomState(seed).uniform(size=X.shape)
    if share is not None:
        return np.where(draws < share, np.nan, X)
    is_large = np.quantile(X, 2 / 3, axis=0) < X
    is_large[:, 1::2] = False
    return np.where(is_large & (draws < 0.5), np.nan, X)


def measure(data, method, way, share, seed):
    """Return accuracies and seconds of a fit."""
    X = data.X.astype(np.float64)
    X = X if way == "complete" else remove(X, share, seed)
    estimator = METHODS[method](data, data.n_clusters, seed)
    if WAYS.get(way):
        estimator = make_pipeline(WAYS[way](), estimator)
    labels, seconds = timed(estimator.fit_predict, X)
    return judged(data.y, labels) | {"seconds": seconds}


def tasks(options):
    """Yield all fits."""
    cases = [("none", None, "complete")]
    cases += [(*pattern, way) for pattern in PATTERNS.items() for way in WAYS]
    for data in load_sets(options.sets):
        for seed, method in itertools.product(options.seeds, options.methods):
            for pattern, share, way in cases:
                if way == "as it is" and method in COMPLETE:
                    continue
                head = {"row": method, "way": way, "pattern": pattern, "seed": seed}
                run = partial(measure, data, method, way, share, seed)
                yield head | described(data), run, "float64"


def main(arguments=None):
    """Run all fits, then print a table."""
    made = parser(__doc__, seeds="0-4", sets=["iris", "wine", "digits", "statlog"])
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(COMPARED)} (the first two)")
    readers = {"methods": lambda m: chosen(m, COMPARED) if m else COMPARED[:2], "sets": parse_sets}
    options = parse(made, arguments, **readers)
    found = complete(options.out, ("data", "row", "way", "pattern", "seed"), tasks(options))
    print(pivot(as_frame(found), "ari", columns="way"))


if __name__ == "__main__":
    main()
