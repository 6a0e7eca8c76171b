"""Ensembles compared with the single fits that they consist of.

``python benchmarks/accuracy/ensembles.py --data digits`` fits every method with every seed and
combines the fits of each method, and of all networks ("all"), by ClusterEnsemble.
"""

import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.methods import METHODS, NETWORKS, precision
from lib.options import chosen, parse, parser
from lib.records import described, judged, keep

from skdeepcluster import ClusterEnsemble
from skdeepcluster.metrics import clustering_accuracy

COMPARED = [name for name in METHODS if name != "GaussianMixture"]


class Fitted(ClusterMixin, BaseEstimator):
    """A clusterer with given memberships."""

    def __init__(self, memberships=None):
        self.memberships = memberships

    def fit(self, X, y=None):
        """Set the labels."""
        self.labels_ = self.memberships.argmax(1)
        return self

    def predict_proba(self, X):
        """Return the memberships."""
        return self.memberships


def diversity(members):
    """Return the mean share of samples that two members assign to different clusters."""
    pairs = itertools.combinations([memberships.argmax(1) for memberships in members], 2)
    return float(np.mean([1 - clustering_accuracy(*pair) for pair in pairs]))


def combined(name, data, members):
    """Return the record of a consensus."""
    ensemble = ClusterEnsemble(
        [Fitted(memberships) for memberships in members],
        n_estimators=len(members),
        n_clusters=data.n_clusters,
    )
    judgment = judged(data.y, ensemble.fit_predict(data.X))
    # The name in the records, from when there was a second kind of consensus.
    row = f"{name}, ensemble (soft_vote)"
    return {"row": row, **judgment, "diversity": diversity(members)}


def records(data, methods, seeds):
    """Yield a record for each fit, initial partition and ensemble."""
    deep = []
    for method in methods:
        members = []
        for seed in seeds:
            model = METHODS[method](data, data.n_clusters, seed).fit(data.X)
            labels = model.predict(data.X) if not hasattr(model, "labels_") else model.labels_
            if hasattr(model, "predict_proba"):
                members.append(model.predict_proba(data.X))
            else:
                members.append(np.eye(data.n_clusters)[labels])
            yield {"row": method, "seed": seed, **judged(data.y, labels)}
            if getattr(model, "init_labels_", None) is not None:
                initial = judged(data.y, model.init_labels_)
                yield {"row": f"{method}, start", "seed": seed, **initial}
        yield combined(method, data, members)
        deep += members if method in NETWORKS else []
    if len(set(methods) & set(NETWORKS)) > 1:
        yield combined("all", data, deep)


def main(arguments=None):
    """Run all methods."""
    made = parser(__doc__, seeds="0-4")
    made.add_argument("--data", default="digits", help="a name or a file (%(default)s)")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(COMPARED)} (all)")
    options = parse(made, arguments, methods=lambda m: chosen(m, COMPARED))
    data = load(options.data)
    warnings.simplefilter("ignore")
    for record in records(data, options.methods, options.seeds):
        method = record["row"].split(",")[0]
        keep(described(data) | record, precision(method, data), options.out)


if __name__ == "__main__":
    main()
