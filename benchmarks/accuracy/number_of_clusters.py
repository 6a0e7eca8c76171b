"""How many clusters: n_clusters="auto" compared with BIC, the silhouette, HDBSCAN and EVoC.

    python benchmarks/accuracy/number_of_clusters.py --sets digits counted --out results.jsonl

Every method is fitted with every seed to all samples and to a random 80 % of them. A JSON line for
each fit is appended as it ends. Fits that the file holds are not run again.
"""

import sys
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib import clusterers
from lib.options import chosen, parse, parser
from lib.records import complete, described, timed
from lib.sets import load_sets, parse_sets
from lib.tables import as_frame, numbers

from skdeepcluster import NeighborClustering

#: Numbers that BIC and the silhouette compare.
NUMBERS = (*range(1, 13), 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 55, 60)
MAX_SAMPLES, MAX_COMPONENTS = 2000, 50
SHARE = 0.8  # of the samples in a subsample


def reduce(X, seed):
    """Return at most MAX_SAMPLES samples and MAX_COMPONENTS principal components."""
    X = X[np.random.default_rng(seed).permutation(len(X))[:MAX_SAMPLES]]
    if X.shape[1] <= MAX_COMPONENTS:
        return X
    return PCA(MAX_COMPONENTS, random_state=0).fit_transform(X)


def ours(X, y, seed):
    """NeighborClustering; also a function that finds the cut with the best ARI."""
    fit = NeighborClustering("auto", random_state=seed).fit(X)

    def find_best():
        known = y >= 0
        cuts = [fit.cut(number) for number in range(1, min(60, fit.n_leaves_) + 1)]
        return int(np.argmax([adjusted_rand_score(y[known], cut[known]) for cut in cuts])) + 1

    return fit.n_clusters_, find_best


def bic(X, y, seed):
    """Gaussian mixtures with full covariances, by the Bayesian information criterion."""
    X = reduce(X, seed)
    reg = 1e-4 * float(X.var(axis=0).mean())
    tried = [number for number in NUMBERS if number < len(X) // 5]
    fits = [GaussianMixture(n, reg_covar=reg, random_state=seed).fit(X).bic(X) for n in tried]
    return tried[int(np.argmin(fits))], None


def silhouette(X, y, seed):
    """k-means, by the silhouette."""
    X = reduce(X, seed)
    tried = [number for number in NUMBERS[1:] if number < len(X) // 5]
    fits = [KMeans(n, n_init=3, random_state=seed).fit_predict(X) for n in tried]
    options = {"sample_size": min(2000, len(X)), "random_state": seed}
    return tried[int(np.argmax([silhouette_score(X, fit, **options) for fit in fits]))], None


def hdbscan(X, y, seed):
    """HDBSCAN; noise is not a cluster."""
    return len(set(clusterers.hdbscan(reduce(X, seed), None, seed)) - {-1}), None


def evoc(X, y, seed):
    """EVoC at its defaults; noise is not a cluster."""
    return len(set(clusterers.evoc(X, None, seed)) - {-1}), None


METHODS = {"ours": ours, "BIC": bic, "silhouette": silhouette, "HDBSCAN": hdbscan, "EVoC": evoc}


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__, seeds="0-4", sets=["eleven", "synthetic", "counted"])
    made.add_argument("--methods", nargs="+", default=[*METHODS][:-1], help="names (%(default)s)")
    return parse(made, arguments, sets=parse_sets, methods=partial(chosen, known=METHODS))


def count(data, subsample, seed, method):
    """Return how many clusters a method finds."""
    X, y = np.asarray(data.X), np.asarray(data.y)
    if subsample:
        kept = np.random.default_rng(seed).permutation(len(X))[: int(SHARE * len(X))]
        X, y = X[np.sort(kept)], y[np.sort(kept)]
    (found, find_best), seconds = timed(METHODS[method], X, y, seed)
    return {"found": int(found), "best": find_best and find_best(), "seconds": seconds}


def tasks(options):
    """Yield all fits."""
    for data in load_sets(options.sets):
        for own in product((False, True), options.seeds, options.methods):
            head = dict(zip(("subsample", "seed", "row"), own, strict=True))
            yield head | described(data), partial(count, data, *own), str(data.X.dtype)


def main(options):
    """Run all fits, then print the table."""
    records = complete(options.out, ("data", "row", "seed", "subsample"), tasks(options))
    print("\n" + numbers(as_frame(records)) if records else "No fits.")


if __name__ == "__main__":
    main(parsed())
