"""The fair table: every method by single fits and by an ensemble of the same fits.

``python benchmarks/accuracy/single_and_ensemble.py --data mnist --seeds 0-4`` fits every method
with every seed and prints, per method, the rows

- "METHOD": the single fits, and "METHOD, start": the partitions they began with, if they have one;
- "METHOD, ensemble": ``ClusterEnsemble`` of these very fits, by "soft_vote" and by
  "co_association", with the diversity of its members: the mean share of rows that two of them,
  their clusters matched, put apart;

and "all, ensemble" of the fits of all networks together. ``--keep FOLDER`` stores every fit's
memberships there, and goes on where it stopped; with ``--starts METHOD`` InfoGAN and CatGAN
begin with the start of that method's kept fit with the same seed, which is of the same kind as
theirs, instead of training an auto-encoder of their own. No label is used but to count.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.fits import fitted, kept_of, kept_start, path_of_fit
from lib.internals import precision_of
from lib.methods import DENSE_ONLY, METHODS, NETWORKS
from lib.options import add_precision, parse_methods, parse_seeds
from lib.options import parser as common_parser
from lib.records import judged, keep, print_spreads

from skdeepcluster import ClusterEnsemble
from skdeepcluster.metrics import clustering_accuracy

#: Methods that throw the auto-encoder of their start away.
WITHOUT_CODES = {"InfoGANClustering", "CatGANClustering"}


class Kept(ClusterMixin, BaseEstimator):
    """A clusterer that was fitted before; it gives the memberships that were kept."""

    def __init__(self, memberships=None):
        self.memberships = memberships

    def fit(self, X, y=None):
        """Do nothing new."""
        self.labels_ = self.memberships.argmax(1)
        return self

    def predict_proba(self, X):
        """Memberships of the rows that the clusterer was fitted to."""
        return self.memberships


def prepared(method, data, seed, precision, init):
    """Return the estimator to be fitted."""
    estimator = METHODS[method](data.n_clusters, seed, data)
    if init is not None:
        estimator.set_params(init=init)
    if "precision" in estimator.get_params():
        estimator.set_params(precision=precision)
    return estimator


def fits(method, data, seeds, precision, folder, starts):
    """Yield (seed, what is kept of a fit), from the folder where it is there."""
    for seed in seeds:
        path = path_of_fit(folder, data, method, seed) if folder else None
        if path and path.exists():
            yield seed, dict(np.load(path))
            continue
        shared = starts and method in WITHOUT_CODES
        init = kept_start(folder, data, seed, starts) if shared else None
        estimator = prepared(method, data, seed, precision, init)
        kept = kept_of(estimator, data.X, *fitted(estimator, data.X))
        kept["precision"] = precision_of(estimator, data.X)
        if path:
            np.savez_compressed(path, **kept)
        yield seed, kept


def diversity(members):
    """Mean share of rows that two members, their clusters matched, put apart."""
    labels = [memberships.argmax(1) for memberships in members]
    return float(np.mean([1 - clustering_accuracy(*p) for p in itertools.combinations(labels, 2)]))


def ensemble_rows(name, data, members):
    """Yield the records of both consensus functions on kept memberships."""
    for consensus in ("soft_vote", "co_association"):
        ensemble = ClusterEnsemble(
            [Kept(memberships) for memberships in members],
            n_estimators=len(members),
            consensus=consensus,
            n_clusters=data.n_clusters,
            accept_sparse=True,
        )
        yield {
            "row": f"{name}, ensemble ({consensus})",
            **judged(data.y, ensemble.fit_predict(data.X)),
            "agreement": ensemble.agreement_.tolist(),
            "diversity": diversity(members),
        }


def records(data, methods, seeds, **how):
    """Yield a record for every fit, start and ensemble."""
    deep = []
    for method in methods:
        members = []
        for seed, kept in fits(method, data, seeds, **how):
            members.append(kept["memberships"])
            # Fits that were kept by earlier versions have no precision.
            precision = {"precision": str(kept.get("precision", how["precision"]))}
            if "start" in kept:
                found = judged(data.y, kept["start"]) | precision
                yield {"row": f"{method}, start", "seed": seed, **found}
            yield {
                "row": method,
                "seed": seed,
                **judged(data.y, members[-1].argmax(1)),
                **{key: float(kept[key]) for key in ("score", "seconds")},
                "warnings": list(kept["warnings"]),
                **precision,
            }
        if len(members) > 1:
            for record in ensemble_rows(method, data, members):
                yield record | precision
        deep += members if method in NETWORKS else []
    if len(set(methods) & set(NETWORKS)) > 1:
        for record in ensemble_rows("all", data, deep):
            yield record | precision


def main():
    """Run all methods, a JSON line for each record, then the spread of every row."""
    parser = common_parser(__doc__, data="digits")
    parser.add_argument("--n-samples", type=int, help="a random subsample of so many rows")
    parser.add_argument("--methods", nargs="+", help="as in compare.py")
    add_precision(parser)
    parser.add_argument("--keep", type=Path, help="folder of finished fits")
    parser.add_argument("--starts", metavar="METHOD", help="whose kept starts the GANs take")
    options = parser.parse_args()
    data = load(options.data, options.n_samples)
    methods = [name for name in parse_methods(options.methods) if name not in DENSE_ONLY]
    if options.starts and not options.keep:
        parser.error("--starts needs the folder of --keep.")
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    accuracies = {}
    size = {"data": data.name, "n_samples": data.X.shape[0]}
    seeds = parse_seeds(options.seeds)
    how = {"precision": options.precision, "folder": options.keep, "starts": options.starts}
    for record in records(data, methods, seeds, **how):
        keep(record | size, record["precision"], options.results)
        accuracies.setdefault(record["row"], []).append(record["acc"])
    print_spreads(accuracies)


if __name__ == "__main__":
    main()
