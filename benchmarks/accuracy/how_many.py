"""How many clusters: the number that is found and three answers, beside indices of k-means.

    SKDEEPCLUSTER_TABLES=FOLDER python benchmarks/accuracy/how_many.py --battery FOLDER \
        --out benchmarks/results/how_many.jsonl

Sets have 2 to 40 classes and at most 2,500 samples: real ones, the battery, public tables, drawn
blobs and drawn tables of customers. All methods but ours get the prepared numbers, without gaps.
X-means is by D. Pelleg and A. Moore (ICML 2000). Labels judge and do nothing else.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from choice import draw_blobs, load_all
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.mixed import TABLES, draw_table, load_table
from lib.options import chosen, parse, parser
from lib.records import complete, timed

from skdeepcluster import NeighborClustering
from skdeepcluster.input import Preparation

MAX_SAMPLES = 2_500
MAX_CLASSES = 40
#: Numbers of clusters that indices compare.
NUMBERS = [*range(2, 13), 15, 18, 22, 27, 33, 40, 48, 58]
#: Seeds of the drawn sets.
BLOBS = range(1000, 1040)
CUSTOMERS = range(200, 220)


def ours(X, prepared, seed):
    """Return the labels of the answers of NeighborClustering, the chosen one first."""
    fit = NeighborClustering("auto", random_state=seed).fit(X)
    return [fit.labels_, *(other.labels for other in fit.alternatives_)]


def by_index(index, X, prepared, seed):
    """Return the labels of k-means with the highest indices."""
    labels = {
        k: KMeans(k, n_init=10, random_state=seed).fit_predict(prepared)
        for k in NUMBERS
        if k < len(prepared) / 5
    }
    return sorted(labels.values(), key=lambda found: -index(prepared, found))


def by_bic(X, prepared, seed):
    """Return the labels of Gaussian mixtures with the lowest BIC."""
    settings = {"reg_covar": 1e-4 * float(prepared.var(0).mean()) + 1e-9, "random_state": seed}
    numbers = [k for k in [1, *NUMBERS] if k < len(prepared) / 5]
    mixtures = [GaussianMixture(k, **settings).fit(prepared) for k in numbers]
    mixtures.sort(key=lambda mixture: mixture.bic(prepared))
    return [mixture.predict(prepared) for mixture in mixtures[:5]]


def spherical_bic(X, labels):
    """Return the BIC of k-means clusters with one variance, higher is better."""
    n, d = X.shape
    sizes = np.bincount(labels)
    means = np.stack([X[labels == k].mean(0) for k in range(len(sizes))])
    variance = np.square(X - means[labels]).sum() / max(d * (n - len(sizes)), 1) + 1e-300
    likelihood = (sizes * np.log(sizes / n)).sum() - n * d / 2 * np.log(2 * np.pi * variance)
    likelihood -= d * (n - len(sizes)) / 2
    return likelihood - len(sizes) * (d + 1) / 2 * np.log(n)


def x_means(X, prepared, seed):
    """Return the labels of k-means whose clusters are halved while the BIC rises."""
    centers = [prepared.mean(0)]
    while len(centers) < NUMBERS[-1]:
        means = KMeans(len(centers), init=np.array(centers), n_init=1).fit(prepared)
        divided = []
        for k, center in enumerate(means.cluster_centers_):
            own = prepared[means.labels_ == k]
            if len(own) < 4:
                divided.append(center)
                continue
            halves = KMeans(2, n_init=3, random_state=seed).fit(own)
            gain = spherical_bic(own, halves.labels_) - spherical_bic(own, np.zeros(len(own), int))
            divided += [*halves.cluster_centers_] if gain > 0 else [center]
        if len(divided) == len(centers):
            break
        centers = divided
    return [KMeans(len(centers), init=np.array(centers), n_init=1).fit_predict(prepared)]


def hdbscan(X, prepared, seed):
    """Return the labels of HDBSCAN."""
    return [HDBSCAN(copy=True).fit_predict(prepared)]


METHODS = {
    "NeighborClustering": ours,
    "KMeans by silhouette": partial(by_index, silhouette_score),
    "KMeans by Calinski-Harabasz": partial(by_index, calinski_harabasz_score),
    "GaussianMixture by BIC": by_bic,
    "X-means": x_means,
    "HDBSCAN": hdbscan,
}


def load_groups(battery):
    """Yield a group, a name, and a function that loads the set."""
    for group, data in load_all(battery):
        yield group, data.name, partial(Bunch, **data)
    for name in TABLES:
        yield "tables", name, partial(load_table, name)
    for seed in BLOBS:
        yield "blobs", str(seed), partial(draw_blobs, seed)
    for seed in CUSTOMERS:
        yield "customers", str(seed), partial(draw_table, "customers", seed)


def read_set(load):
    """Return a set of at most `MAX_SAMPLES` samples with known classes, and prepared numbers."""
    data = load()
    rows = np.flatnonzero(np.asarray(data.y) >= 0)
    if len(rows) > MAX_SAMPLES:
        rows = np.sort(np.random.RandomState(0).permutation(rows)[:MAX_SAMPLES])
    X = data.X
    X = X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]
    prepared = Preparation().fit_transform(X)
    if hasattr(prepared, "toarray"):
        prepared = prepared.toarray()
    gaps = np.isnan(prepared)
    prepared = np.where(gaps, np.nanmean(prepared, axis=0), prepared) if gaps.any() else prepared
    return X, prepared, np.asarray(data.y)[rows]


def measure(method, load, seed=0):
    """Return the numbers of clusters that a method answers, and their ARI."""
    X, prepared, y = read_set(load)
    answers, seconds = timed(METHODS[method], X, prepared, seed)
    answers = answers[:5]
    found = [len(set(labels.tolist()) - {-1}) for labels in answers]
    scores = [float(adjusted_rand_score(y, labels)) for labels in answers]
    return {"classes": len(set(y.tolist())), "found": found, "ari": scores, "seconds": seconds}


def tasks(options):
    """Yield what tells records apart, and functions that make them."""
    for group, name, load in load_groups(options.battery):
        try:
            y = load().y
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: {error}")
            continue
        if not 2 <= len(set(np.asarray(y).tolist()) - {-1}) <= MAX_CLASSES:
            continue
        for method in options.methods:
            head = {"row": method, "group": group, "data": name}
            yield head, partial(measure, method, load), "float64"


def main(arguments=None):
    """Measure the sets that the file lacks."""
    made = parser(__doc__)
    made.add_argument("--battery", type=Path, help="folder of the battery")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)} (all)")
    options = parse(made, arguments, methods=partial(chosen, known=METHODS))
    complete(options.out, ("row", "group", "data"), tasks(options))


if __name__ == "__main__":
    main()
