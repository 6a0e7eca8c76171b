"""Share of labels that a change of the samples or of the seed moves, by law and clusterer.

    OMP_NUM_THREADS=1 python benchmarks/trust/laws.py --out results.jsonl

Each law changes four Gaussian clusters of 60 samples so that their partition should stay:
separate ones, overlapping ones, and separate ones that miss a tenth of their values. Clusters are
matched before labels are compared; samples that the change adds are not. Many laws are those
of METTLE (X. Xie and others, IEEE Transactions on Reliability, 2020).
"""

import sys
from functools import cache, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib import synthetic
from lib.clusterers import fit, installed
from lib.methods import NETWORKS
from lib.options import chosen, parse, parser
from lib.records import complete
from lib.tables import as_frame, pivot

from skdeepcluster.metrics import clustering_accuracy

K, SIZE, N_FEATURES = 4, 60, 6
N = K * SIZE
#: Distance between neighboring centers, in standard deviations.
GAPS = {"separate": 8.0, "overlapping": 3.0, "incomplete": 8.0}
#: Share of the values that incomplete samples miss.
MISSING = 0.1
COMPARED = [
    *("NeighborClustering", "GaussianMixtureEM", *NETWORKS, "KMeans", "GaussianMixture", "Ward"),
    *("SpectralClustering", "HDBSCAN", "EVoC", "umap-learn + GMM", "ClustPy VaDE"),
]
#: Methods that take samples with missing values.
TAKES_MISSING = {"NeighborClustering", *NETWORKS}
#: Laws that missing values have no meaning for.
COMPLETE = {"rotation"}
#: Maximum number of seeds of methods that take long.
FEW_SEEDS = dict.fromkeys([*NETWORKS, "ClustPy VaDE"], 1)
EVERY = np.arange(N)


def means(X, labels):
    """Return the mean of each cluster."""
    return np.stack([np.nanmean(X[labels == k], axis=0) for k in np.unique(labels)])


def gaps_to_means(X, labels):
    """Return the difference of each sample from the mean of its cluster."""
    return means(X, labels)[np.unique(labels, return_inverse=True)[1]] - X


def shrink_one(X, labels, rng):
    """Move the samples of a cluster halfway to their mean."""
    own = labels == rng.choice(labels)
    return np.where(own[:, None], X + gaps_to_means(X, labels) / 2, X), EVERY


def add_between_pairs(X, labels, rng):
    """Add the midpoints of pairs of samples of a cluster."""
    one = rng.integers(N, size=N // 4)
    other = [rng.choice(np.flatnonzero(labels == k)) for k in labels[one]]
    return np.r_[X, (X[one] + X[other]) / 2], EVERY


def drop(X, kept):
    """Return some samples and their positions; all if none would be left."""
    kept = kept if kept.any() else ~kept
    return X[kept], np.flatnonzero(kept)


def permute(X, order):
    """Return samples in another order, and where each one came to stand."""
    return X[order], np.argsort(order)


#: Functions of samples, their labels and a random generator, which return the changed samples and
#: where in them each sample stands or, if samples are removed, the positions of those that stay.
LAWS = {
    "another seed": lambda X, labels, rng: (X, EVERY),
    "order of samples": lambda X, labels, rng: permute(X, rng.permutation(N)),
    "order of features": lambda X, labels, rng: (X[:, rng.permutation(N_FEATURES)], EVERY),
    "shift": lambda X, labels, rng: (X + rng.normal(scale=100, size=N_FEATURES), EVERY),
    "times a power of two": lambda X, labels, rng: (X * 2.0 ** rng.choice([-9, -3, 4, 10]), EVERY),
    "times a number": lambda X, labels, rng: (X * np.exp(rng.uniform(-5, 5)), EVERY),
    "mirrored features": lambda X, labels, rng: (X * rng.permutation([-1, 1] * 3), EVERY),
    "rotation": lambda X, labels, rng: (X @ synthetic.rotation(rng, N_FEATURES), EVERY),
    "float32": lambda X, labels, rng: (X.astype(np.float32), EVERY),
    "a constant feature": lambda X, labels, rng: (np.c_[X, np.full(N, rng.normal())], EVERY),
    "a feature twice": lambda X, labels, rng: (np.c_[X, X[:, rng.integers(N_FEATURES)]], EVERY),
    "a feature that tells": lambda X, labels, rng: (np.c_[X, rng.normal(8.0 * labels)], EVERY),
    "every sample twice": lambda X, labels, rng: (np.r_[X, X], EVERY),
    "one sample twice": lambda X, labels, rng: (np.r_[X, X[rng.integers(N, size=1)]], EVERY),
    "samples at the means": lambda X, labels, rng: (np.r_[X, means(X, labels)], EVERY),
    "samples within clusters": add_between_pairs,
    "an outlier": lambda X, labels, rng: (np.r_[X, X[:1] + rng.normal(scale=40, size=6)], EVERY),
    "10 % of samples removed": lambda X, labels, rng: drop(X, rng.permutation(N) >= N // 10),
    "a cluster removed": lambda X, labels, rng: drop(X, labels != rng.choice(labels)),
    "one cluster shrunk": shrink_one,
    "all clusters shrunk": lambda X, labels, rng: (X + gaps_to_means(X, labels) / 2, EVERY),
    "clusters moved apart": lambda X, labels, rng: (2 * X + gaps_to_means(X, labels), EVERY),
}


@cache
def draw(kind, seed):
    """Return samples, whose clusters take turns."""
    stream = np.random.RandomState(seed)
    parts = synthetic.blobs(stream, [SIZE] * K, N_FEATURES, gap=GAPS[kind])
    X = np.stack(parts, axis=1).reshape(N, N_FEATURES)
    if kind == "incomplete":
        X[stream.uniform(size=X.shape) < MISSING] = np.nan
    return X


def find_labels(method, X, n_clusters, seed):
    """Fit a method and return its labels; noise is a cluster of its own."""
    found = fit(method, X, n_clusters, seed)
    return np.asarray(getattr(found, "labels_", found)) + 1


@cache
def labels_before(method, kind, seed):
    """Return the labels of the unchanged samples."""
    return find_labels(method, draw(kind, seed), K, seed)


def moved(method, law, kind, seed):
    """Return the share of the samples whose labels a law moves."""
    before = labels_before(method, kind, seed)
    changed, where = LAWS[law](draw(kind, seed), before, np.random.default_rng(seed))
    n_clusters = K - (law == "a cluster removed")
    after = find_labels(method, changed, n_clusters, seed + 1000 * (law == "another seed"))
    pair = (before[where], after) if len(changed) < N else (before, after[where])
    return 1 - clustering_accuracy(*pair)


def measure(method, law, seed):
    """Return the shares for each kind of clusters, and how many were found."""
    kinds = list(GAPS)
    if method not in TAKES_MISSING or law in COMPLETE:
        kinds.remove("incomplete")
    shares = {kind: moved(method, law, kind, seed) for kind in kinds}
    return shares | {"found": [len(set(labels_before(method, kind, seed))) for kind in kinds]}


def tasks(options):
    """Yield all pairs of fits."""
    for method in installed(options.methods):
        for seed in options.seeds[: FEW_SEEDS.get(method)]:
            for law in options.laws:
                head = {"row": method, "law": law, "seed": seed, "n_samples": N}
                precision = "float32" if method in NETWORKS else "float64"
                yield head, partial(measure, method, law, seed), precision


def main(arguments=None):
    """Run all fits, then print a table: shares for separate / overlapping / incomplete ones."""
    made = parser(__doc__, seeds="0-4")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(COMPARED)} (all)")
    made.add_argument("--laws", nargs="+", help="names of laws (all)")
    readers = {
        "methods": lambda names: chosen(names, COMPARED),
        "laws": lambda names: chosen(names, LAWS, "--laws"),
    }
    options = parse(made, arguments, **readers)
    found = complete(options.out, ("row", "law", "seed"), tasks(options))
    frame = as_frame(found)
    kinds = ";".join(kind for kind in GAPS if kind in frame)
    print(pivot(frame, kinds, index="law", mean="no"))


if __name__ == "__main__":
    main()
