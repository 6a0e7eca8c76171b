"""How many clusters: the number that is found and three answers, beside indices of k-means.

    SKDEEPCLUSTER_TABLES=FOLDER python benchmarks/accuracy/how_many.py --battery FOLDER \
        --series FOLDER --out benchmarks/results/how_many.jsonl

Groups of sets: "eleven" real ones, the "battery", public "tables", drawn "blobs" and "customers",
images with "views", "texts" as TF-IDF, "series" of the UCR archive, shapes in "noise", and
"single" clusters; if named, the "rest" of the battery, which is kept for judging. Sets have at
most 40 classes and at most 2,500 samples.

All methods but ours get the prepared numbers, without gaps and views; of texts, 50 components of
unit length, because they cannot take sparse samples. Noise of the battery is left out; that of the
group "noise" is fitted and not scored. The ARI of a single cluster is 1 if one is found, else 0.
X-means is by D. Pelleg and A. Moore (ICML 2000), PLSCAN by D. Bot, L. McInnes and J. Aerts (2025).
Louvain and Leiden find communities in the graph of 15 nearest neighbors of the prepared numbers.
Labels judge and do nothing else.
"""

import json
import sys
import time
from functools import cache, partial
from importlib.util import find_spec
from itertools import chain, product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import normalize
from sklearn.utils import Bunch

# The folders that hold lib and benchmarks.
sys.path[:0] = map(str, Path(__file__).resolve().parents[1:3])
from accuracy.choice import BATTERY, WITHOUT, draw_blobs, draw_one, load_path, load_rest
from accuracy.series import list_sets, read_series
from accuracy.views import read_images
from lib import clusterers
from lib.mixed import TABLES, draw_table, load_table
from lib.options import chosen, parse, parser
from lib.records import complete, timed
from lib.sets import ELEVEN, load_set
from lib.tables import RIGHT, as_frame

from benchmarks.criterion.draw import KINDS, draw
from skdeepcluster import NeighborClustering
from skdeepcluster.input import Preparation

GROUPS = ["eleven", "battery", "tables", "blobs", "customers"]
GROUPS += ["views", "texts", "series", "noise", "single"]
#: Options that name the folders of groups.
FOLDERS = {"battery": "battery", "rest": "battery", "series": "series"}
MAX_SAMPLES = 2_500
MAX_CLASSES = 40
#: Numbers of clusters that indices compare.
NUMBERS = [*range(2, 13), 15, 18, 22, 27, 33, 40, 48, 58]
#: Seeds of the drawn sets.
BLOBS = range(1000, 1040)
CUSTOMERS = range(200, 220)
DRAWN_TEXTS = range(600_000, 600_010)
DRAWN_ONES = range(600_000, 600_004)
IMAGES = ("digits", "mnist_10k", "fashion_mnist_10k")
#: Shapes of 600 samples, and the noise points that are added, as shares of them.
UNEQUAL = {"centers": [[0, 0], [8, 0], [0, 8]], "cluster_std": [0.5, 1, 2]}
SHAPES = {
    "moons": partial(make_moons, 600, noise=0.05),
    "blobs": partial(make_blobs, 600, centers=[[0, 0], [6, 0], [0, 6], [6, 7]]),
    "circles": partial(make_circles, 600, noise=0.04, factor=0.5),
    "unequal blobs": partial(make_blobs, 600, **UNEQUAL),
}
NOISE = (0.1, 0.15, 0.2, 0.3)
#: Numbers of features of samples without clusters.
FEATURES = (1, 2, 5, 20)


def ours(data, seed):
    """Return the labels of the answers of NeighborClustering, the chosen one first."""
    fit = NeighborClustering("auto", augment=data.augment, random_state=seed).fit(data.X)
    return [fit.labels_, *(other.labels for other in fit.alternatives_)]


def by_index(index, data, seed):
    """Return the labels of k-means with the highest indices."""
    labels = {
        k: KMeans(k, n_init=10, random_state=seed).fit_predict(data.prepared)
        for k in NUMBERS
        if k < len(data.prepared) / 5
    }
    return sorted(labels.values(), key=lambda found: -index(data.prepared, found))


def by_bic(data, seed):
    """Return the labels of Gaussian mixtures with the lowest BIC."""
    prepared = data.prepared
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


def x_means(data, seed):
    """Return the labels of k-means whose clusters are halved while the BIC rises."""
    prepared = data.prepared
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


def hdbscan(data, seed):
    """Return the labels of HDBSCAN."""
    return [HDBSCAN(copy=True).fit_predict(data.prepared)]


def by_library(name, data, seed):
    """Return the labels of a method of another library, which finds the number itself."""
    return [clusterers.METHODS[name].fit(data.prepared, None, seed)]


METHODS = {
    "NeighborClustering": ours,
    "KMeans by silhouette": partial(by_index, silhouette_score),
    "KMeans by Calinski-Harabasz": partial(by_index, calinski_harabasz_score),
    "GaussianMixture by BIC": by_bic,
    "X-means": x_means,
    "HDBSCAN": hdbscan,
    "PLSCAN": partial(by_library, "PLSCAN"),
    "Louvain": partial(by_library, "Louvain"),
    "Leiden": partial(by_library, "Leiden"),
}
#: Modules of other libraries.
NEEDS = {"PLSCAN": "fast_hdbscan", "Louvain": "sknetwork", "Leiden": "sknetwork"}


def installed(methods):
    """Return the methods that can be imported; print a line for each one that cannot."""
    missing = [m for m in methods if m in NEEDS and find_spec(NEEDS[m]) is None]
    for method in missing:
        print(f'{method}: skipped, not installed: pip install -e ".[rivals]"')
    return [method for method in methods if method not in missing]


@cache
def warm_up(method):
    """Fit drawn samples, so that imports and compilation are not timed."""
    METHODS[method](Bunch(prepared=np.random.RandomState(0).normal(size=(300, 40))), 0)


def load_views(name):
    """Return images, and what makes views of them."""
    data, _, augment = read_images(name)
    return Bunch(**data, augment=augment)


def load_series(name, path):
    """Return a set of the UCR archive; how its series are compared is found."""
    return Bunch(**read_series(name, path), augment="auto")


def draw_kind(kind, seed):
    """Draw a set as the criterion is trained on."""
    return Bunch(**draw(kind, seed)._asdict())


def draw_single(distribution, n_features):
    """Draw samples without clusters."""
    X = draw_one(distribution, n_features, seed=0)
    return Bunch(X=X, y=np.zeros(len(X), dtype=int))


def draw_noisy(shape, share, seed):
    """Draw shapes, and uniform noise in a box that exceeds them by 15 % on each side."""
    X, y = SHAPES[shape](random_state=seed)
    n_noise = round(share * len(X))
    places = np.random.RandomState(seed).uniform(-0.15, 1.15, (n_noise, 2))
    noise = X.min(0) + np.ptp(X, axis=0) * places
    y = np.append(y, np.full(n_noise, -1))
    return Bunch(X=np.vstack([X, noise]), y=y, noise_is_fitted=True)


def load_groups(options):
    """Yield a group, a name, and a function that loads the set."""
    for name in ELEVEN:
        yield "eleven", name, partial(load_set, name)
    for folder, names in BATTERY.items() if options.battery else ():
        for name in names.split():
            yield "battery", name, partial(load_path, options.battery / folder / name)
    for _, data in load_rest(options.battery) if "rest" in options.groups else ():
        yield "rest", data.name, partial(Bunch, **data)
    for name in TABLES:
        yield "tables", name, partial(load_table, name)
    for name in IMAGES:
        yield "views", name, partial(load_views, name)
    yield "texts", "reuters8", partial(load_set, "reuters8")
    for name, path in list_sets(options.series).items() if options.series else ():
        yield "series", name, partial(load_series, name, path)


def draw_groups():
    """Yield a group, a name, and a function that draws the set."""
    for seed in BLOBS:
        yield "blobs", str(seed), partial(draw_blobs, seed)
    for seed in CUSTOMERS:
        yield "customers", str(seed), partial(draw_table, "customers", seed)
    for seed in DRAWN_TEXTS:
        yield "texts", str(seed), partial(draw_kind, "texts", seed)
    for shape, share, seed in product(SHAPES, NOISE, (0, 1)):
        yield "noise", f"{shape}, {share:.0%}, {seed}", partial(draw_noisy, shape, share, seed)
    for kind, seed in product([kind for kind in KINDS if kind.startswith("one_")], DRAWN_ONES):
        yield "single", f"{kind}, {seed}", partial(draw_kind, kind, seed)
    for name, n_features in product(WITHOUT, FEATURES):
        yield "single", f"{name}, {n_features}", partial(draw_single, name, n_features)


def prepare(X):
    """Return the numbers that other methods get: dense and without gaps."""
    if issparse(X):
        return normalize(TruncatedSVD(50, random_state=0).fit_transform(X))
    prepared = Preparation().fit_transform(X)
    if hasattr(prepared, "toarray"):
        prepared = prepared.toarray()
    gaps = np.isnan(prepared)
    return np.where(gaps, np.nanmean(prepared, axis=0), prepared) if gaps.any() else prepared


def read_set(load):
    """Return at most `MAX_SAMPLES` samples, prepared numbers, classes, and the augmentation."""
    data = load()
    y = np.asarray(data.y)
    rows = np.flatnonzero((y >= 0) | data.get("noise_is_fitted", False))
    if len(rows) > MAX_SAMPLES:
        rows = np.sort(np.random.RandomState(0).permutation(rows)[:MAX_SAMPLES])
    X = data.X
    X = X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]
    return Bunch(X=X, prepared=prepare(X), y=y[rows], augment=data.get("augment"))


def count(labels):
    """Return the number of clusters or classes, without noise."""
    return len(set(np.asarray(labels).tolist()) - {-1})


def score(y, labels):
    """Return the ARI of samples with a class; of a single class, whether one cluster is found."""
    if count(y) == 1:
        return float(count(labels) == 1)
    known = y >= 0
    return float(adjusted_rand_score(y[known], labels[known]))


def measure(method, load, seed=0):
    """Return the numbers of clusters that a method answers, and their ARI."""
    data = read_set(load)
    if method in NEEDS:
        warm_up(method)
    started = time.process_time()
    answers, seconds = timed(METHODS[method], data, seed)
    cpu_seconds = round(time.process_time() - started, 3)
    found = [count(labels) for labels in answers[:5]]
    scores = [score(data.y, labels) for labels in answers[:5]]
    record = {"classes": count(data.y), "found": found, "ari": scores}
    return record | {"seconds": seconds, "cpu_seconds": cpu_seconds}


def tasks(options):
    """Yield what tells records apart, and functions that make them."""
    for group, name, load in chain(load_groups(options), draw_groups()):
        if group not in options.groups:
            continue
        try:
            y = load().y
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: {error}")
            continue
        if count(y) > MAX_CLASSES:
            continue
        for method in options.methods:
            head = {"row": method, "group": group, "data": name}
            yield head, partial(measure, method, load), "float64"


def summarize(records):
    """Yield what the answers of each method are worth in each group: means over its sets."""
    frame = as_frame(records)
    for (method, group), own in frame.groupby(["row", "group"], sort=False) if records else ():
        first = own.found.str[0]
        gaps = (first - own.classes).abs()
        among = [k in found for k, found in zip(own.classes, own.found, strict=True)]
        row = {"row": method, "group": group, "sets": len(own), "ari": own.ari.str[0].mean()}
        row |= {"exact": (gaps == 0).mean(), "within one": (gaps <= 1).mean()}
        row |= {"within 25 %": (gaps <= RIGHT * own.classes).mean(), "in five": np.mean(among)}
        yield row | {"one cluster": (first == 1).mean(), "seconds": own.seconds.mean()}


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__)
    made.add_argument("--groups", nargs="+", help=f"of {', '.join(GROUPS)} (all), rest")
    made.add_argument("--battery", type=Path, help="folder of the battery")
    made.add_argument("--series", type=Path, help="folder with sets of the UCR archive")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)} (all)")
    made.add_argument("--summary", type=Path, help="file to write the summaries to")
    options = parse(
        made,
        arguments,
        groups=lambda asked: chosen(asked or GROUPS, [*GROUPS, "rest"], "--groups"),
        methods=lambda asked: installed(chosen(asked, METHODS)),
    )
    for group, folder in FOLDERS.items():
        if group in options.groups and vars(options)[folder] is None:
            print(f"{group}: skipped, it needs --{folder} FOLDER")
            options.groups.remove(group)
    return options


def main(options):
    """Measure the sets that the file lacks, then print the summaries."""
    records = complete(options.out, ("row", "group", "data"), tasks(options))
    lines = [json.dumps(row) + "\n" for row in summarize(records)]
    print(*lines, sep="")
    if options.summary:
        options.summary.write_text("".join(lines))


if __name__ == "__main__":
    main(parsed())
