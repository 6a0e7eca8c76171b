"""What a search over settings of networks finds by ``score``, and by the expected score.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/searches.py --out results.jsonl

Each setting is fitted to all samples and scored on them, as the guide recommends: the expected
score of the few samples of a fold says little. The table has the rank correlation of both scores
with the adjusted Rand index over the settings, and the index of the setting with the highest
score. "GridSearchCV" is a search by the expected score over KMeans, mixtures and VaDE, and the
number of clusters.
"""

import json
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS, NETWORKS
from lib.options import chosen, parse, parser
from lib.records import complete, described
from lib.sets import load_sets, parse_sets
from lib.tables import as_frame

from skdeepcluster import VaDEClustering
from skdeepcluster.metrics import expected_score
from skdeepcluster.model_selection import NoSplit, label_free_scorer

#: Settings that are tried one at a time; methods without such a parameter skip them.
GRID = {
    "init_weight": (0.0, 0.5, 1.0, 10.0, 100.0),
    "n_components": (2, 5, 10, 20),
    "learning_rate": (1e-4, 1e-3, 1e-2),
}
#: Numbers of clusters that a search over methods tries.
NUMBERS = [2, 3, 5, 7, 10, 14]


def search(data, seed):
    """Return what a search over methods and numbers of clusters finds."""
    clusterers = [KMeans(n_init=10, random_state=seed), VaDEClustering(random_state=seed)]
    mixture = GaussianMixture(covariance_type="diag", reg_covar=1e-2, random_state=seed)
    grid = [
        {"clusterer": clusterers, "clusterer__n_clusters": NUMBERS},
        {"clusterer": [mixture], "clusterer__n_components": NUMBERS},
    ]
    pipeline = Pipeline([("clusterer", clusterers[0])])
    found = GridSearchCV(pipeline, grid, scoring=label_free_scorer(), cv=NoSplit())
    with warnings.catch_warnings(action="ignore"):
        labels = found.fit(data.X).predict(data.X)
    best = found.best_estimator_["clusterer"]
    chosen = {"method": type(best).__name__, "found": int(labels.max()) + 1}
    return chosen | {
        "expected": found.best_score_,
        "ari": float(adjusted_rand_score(data.y, labels)),
    }


def measure(data, method, name, value, seed):
    """Return the scores of a fit with a setting, and its ARI."""
    estimator = METHODS[method](data, data.n_clusters, seed).set_params(**{name: value})
    with warnings.catch_warnings(action="ignore"):
        labels = estimator.fit_predict(data.X)
        scores = {"expected": expected_score(data.X, labels)}
        if hasattr(estimator, "score"):
            scores["score"] = estimator.score(data.X)
    return scores | {"ari": float(adjusted_rand_score(data.y, labels))}


def tasks(options):
    """Yield all fits."""
    for data in load_sets(options.sets):
        for seed in options.seeds:
            head = {"row": "GridSearchCV", "setting": "methods", "seed": seed} | described(data)
            yield head, partial(search, data, seed), "float32"
        for method in options.methods:
            known = METHODS[method](data, data.n_clusters, 0).get_params()
            tried = [(name, value) for name in GRID if name in known for value in GRID[name]]
            for name, value in tried:
                for seed in options.seeds:
                    head = {"row": method, "setting": f"{name}={value}", "seed": seed}
                    own = partial(measure, data, method, name, value, seed)
                    yield head | described(data), own, "float32"


def summarize(frame):
    """Yield what each score is worth: by method and set, then by method."""
    for row, own in frame[frame.row != "GridSearchCV"].groupby("row", sort=False):
        parts = [part for _, part in own.groupby(["data", "seed"])]
        found = {"row": row}
        for name in ("score", "expected"):
            ranks = [spearmanr(part[name], part.ari).statistic for part in parts]
            picks = [part.ari.iloc[int(part[name].argmax())] for part in parts]
            found |= {f"{name} rank": np.nanmean(ranks), f"{name} ari": np.mean(picks)}
        found["best ari"] = np.mean([part.ari.max() for part in parts])
        yield found


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__, seeds="0-1", sets=["iris", "wine", "digits"])
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(NETWORKS)} (all)")
    return parse(made, arguments, sets=parse_sets, methods=partial(chosen, known=NETWORKS))


def main(options):
    """Run all fits, then print what each score is worth."""
    found = complete(options.out, ("data", "row", "setting", "seed"), tasks(options))
    with warnings.catch_warnings(action="ignore"):  # of indices that are all alike
        for line in summarize(as_frame(found)):
            print(json.dumps(line))


if __name__ == "__main__":
    main(parsed())
