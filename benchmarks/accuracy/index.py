r"""The expected score as an index of partitions, beside the silhouette and others.

    python benchmarks/accuracy/index.py --out results/index.jsonl --battery FOLDER

Ten partitions of scikit-learn are made of each set with K given, and five methods are run with
K open: which partition does each index choose, and how does it rank them? FOLDER is a checkout of
the battery gagolews/clustering-data-v1, as in ``choice.py``. DBCV needs the package hdbscan. At
most 1,500 samples of a set are used. Labels judge and do nothing else.
"""

import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from choice import load_all
from scipy import sparse
from scipy.stats import spearmanr
from sklearn import metrics
from sklearn.cluster import AgglomerativeClustering, Birch, KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse, parser
from lib.records import complete, timed

from skdeepcluster.metrics import expected_score

MAX_SAMPLES = 1500
#: Number of principal components of mixtures, if there are more features.
MAX_COMPONENTS = 20
#: Numbers of clusters that are tried with K open, besides the right one.
NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)


def mixture(X, k, kind, seed=0):
    """Return the labels of a Gaussian mixture."""
    if X.shape[1] > MAX_COMPONENTS:
        X = PCA(MAX_COMPONENTS, random_state=0).fit_transform(X)
    reg = 1e-3 * float(X.var(0).mean())
    return GaussianMixture(k, covariance_type=kind, reg_covar=reg, random_state=seed).fit_predict(
        X
    )


def linked(X, k, linkage):
    """Return the labels of hierarchical clustering."""
    return AgglomerativeClustering(k, linkage=linkage).fit_predict(X)


def spectral(X, k):
    """Return the labels of spectral clustering of a neighbor graph."""
    own = SpectralClustering(k, affinity="nearest_neighbors", random_state=0)
    return own.fit_predict(X)


def kmeans(X, k, seed=0):
    """Return the labels of k-means."""
    return KMeans(k, n_init=10, random_state=seed).fit_predict(X)


MANY = {
    "KMeans": kmeans,
    "KMeans again": partial(kmeans, seed=1),
    "mixture full": partial(mixture, kind="full"),
    "mixture diag": partial(mixture, kind="diag"),
    **{name: partial(linked, linkage=name) for name in ("ward", "average", "single", "complete")},
    "spectral": spectral,
    "birch": lambda X, k: Birch(n_clusters=k, threshold=0.1 * X.std()).fit_predict(X),
}
FEW = ("KMeans", "mixture full", "ward", "average", "spectral")


def silhouette(X, partitions):
    """Return the silhouettes."""
    return [metrics.silhouette_score(X, own) for own in partitions]


def calinski_harabasz(X, partitions):
    """Return the indices of Calinski and Harabasz."""
    return [metrics.calinski_harabasz_score(X, own) for own in partitions]


def davies_bouldin(X, partitions):
    """Return the indices of Davies and Bouldin, negative: higher is better."""
    return [-metrics.davies_bouldin_score(X, own) for own in partitions]


def dbcv(X, partitions):
    """Return the density-based validity of hdbscan."""
    from hdbscan.validity import validity_index

    X = np.asarray(X, dtype=float)
    found = []
    for own in partitions:
        try:
            found.append(validity_index(X, np.asarray(own, dtype=np.intp)))
        except (ValueError, AssertionError):  # of clusters of one or two samples
            found.append(-1.0)
    return found


INDICES = {
    "expected score": expected_score,
    "silhouette": silhouette,
    "Calinski-Harabasz": calinski_harabasz,
    "Davies-Bouldin": davies_bouldin,
}
if find_spec("hdbscan"):
    INDICES["DBCV"] = dbcv


def make_partitions(X, k, part):
    """Return the partitions that are compared, of two clusters or more."""
    tried = [(name, k) for name in MANY]
    if part == "open":
        tried = [(name, number) for name in FEW for number in {*NUMBERS, k}]
    found = [timed(MANY[name], X, number)[0] for name, number in tried]
    return [own for own in found if len(set(own)) > 1]


def measure(data, part):
    """Return what each index chooses, as one record."""
    order = np.random.RandomState(0).permutation(len(data.y))[:MAX_SAMPLES]
    X = data.X[np.sort(order)]
    X = X.toarray() if sparse.issparse(X) else X
    y = data.y[np.sort(order)]
    known = y >= 0
    partitions = make_partitions(X, data.n_clusters, part)
    scores = np.array([metrics.adjusted_rand_score(y[known], own[known]) for own in partitions])
    record = {
        "best": float(scores.max()),
        "KMeans": float(scores[0]),
        "mean": float(scores.mean()),
    }
    if part == "open":
        own = kmeans(X, data.n_clusters)
        record["KMeans"] = float(metrics.adjusted_rand_score(y[known], own[known]))
    for name, index in INDICES.items():
        values, seconds = timed(index, X, partitions)
        if index is expected_score:
            record["expected"] = float(np.max(values))
        values = np.nan_to_num(np.asarray(values, dtype=float), nan=-1e9)
        record[name] = float(scores[values.argmax()])
        record[f"{name}, rank"] = float(np.nan_to_num(spearmanr(values, scores).statistic))
        record[f"{name}, seconds"] = seconds
    return record


def main(arguments=None):
    """Judge all sets."""
    made = parser(__doc__)
    made.add_argument("--battery", type=Path, help="folder of the battery")
    options = parse(made, arguments)
    tasks = [
        ({"row": part, "group": group, "data": data.name}, partial(measure, data, part), "float64")
        for group, data in load_all(options.battery)
        for part in ("given", "open")
    ]
    complete(options.out, ("row", "group", "data"), tasks)


if __name__ == "__main__":
    main()
