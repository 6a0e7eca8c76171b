"""Drawn tables as they are, and as arrays that scikit-learn's pipelines make of them.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/pipelines.py --out results.jsonl

Each table is clustered as a DataFrame and behind six pipelines, which fill its gaps, scale its
numbers and encode its categories. Columns of 0 and 1 are numbers there. KMeans needs an array, so
the first pipeline brings it the DataFrame. The row "classes" scores the true clusters.
"""

import sys
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from scipy.stats import skew
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from accuracy.mixed_tables import N_INIT, OPEN, OURS, split
from lib.mixed import DRAWN, draw_table
from lib.options import chosen, parse, parser
from lib.records import complete, described, timed
from lib.tables import as_frame, markdown, text

from skdeepcluster import NeighborClustering
from skdeepcluster.metrics import expected_score

GENERATORS = ["customers", "shoppers"]
#: The way without a pipeline.
AS_IT_IS = "DataFrame"
#: Skewness above which logarithms of numbers without negative ones are taken.
SKEWED = 1


def log_skewed(X):
    """Return the columns of an array, those that are skewed and not negative as logarithms."""
    is_skewed = (X.min(axis=0) >= 0) & (skew(X) > SKEWED)
    return np.where(is_skewed, np.log1p(np.abs(X)), X)


def encoder(X, numbers, encode=None, **options):
    """Return a ColumnTransformer: gaps filled, a transformer of numbers, and one of categories."""
    names, categories = split(X)
    encode = encode or OneHotEncoder(sparse_output=False)
    filled = make_pipeline(SimpleImputer(strategy="median"), *numbers)
    encoded = make_pipeline(SimpleImputer(strategy="most_frequent"), encode)
    parts = [("numbers", filled, names), ("categories", encoded, categories)]
    return ColumnTransformer(parts, **options)


def scaled(X):
    """Return scaled numbers beside columns of 0 and 1."""
    return encoder(X, [StandardScaler()])


def half_weight(X):
    """Return the same, where categories have half the weight."""
    return encoder(X, [StandardScaler()], transformer_weights={"categories": 0.5})


def logarithms(X):
    """Return logarithms of skewed numbers; all columns have variance 1."""
    return make_pipeline(encoder(X, [FunctionTransformer(log_skewed)]), StandardScaler())


def ranges(X):
    """Return all columns between 0 and 1."""
    return make_pipeline(encoder(X, []), MinMaxScaler())


def ordinals(X):
    """Return categories as numbers of their levels; all columns have variance 1."""
    return make_pipeline(encoder(X, [], OrdinalEncoder()), StandardScaler())


def sparse(X):
    """Return what `scaled` does, as CSR."""
    return encoder(X, [StandardScaler()], OneHotEncoder(), sparse_threshold=1.0)


WAYS = {
    AS_IT_IS: None,
    "one-hot": scaled,
    "half weight": half_weight,
    "logarithms, all scaled": logarithms,
    "MinMaxScaler": ranges,
    "OrdinalEncoder": ordinals,
    "sparse": sparse,
}


def ours(X, data, seed):
    """Fit NeighborClustering with the number of clusters."""
    return NeighborClustering(data.n_clusters, random_state=seed).fit(X)


def ours_open(X, data, seed):
    """Fit NeighborClustering with a number of clusters that it finds."""
    return NeighborClustering("auto", random_state=seed).fit(X)


def kmeans(X, data, seed):
    """Fit k-means with the number of clusters."""
    return KMeans(data.n_clusters, n_init=N_INIT, random_state=seed).fit(X)


def classes(X, data, seed):
    """Score the true clusters."""
    return Bunch(labels_=data.y, expected_score_=expected_score(X, data.y))


ROWS = {OURS[0]: ours, OPEN: ours_open, "KMeans": kmeans, "classes": classes}


@lru_cache(maxsize=len(ROWS))
def fit(name, seed, row, way):
    """Return what a method finds in a table that came by a way, and its seconds."""
    data = draw_table(name, seed)
    X = data.X
    way = "one-hot" if (row, way) == ("KMeans", AS_IT_IS) else way
    if WAYS[way]:
        X = WAYS[way](X).fit_transform(X)
    return timed(ROWS[row], X, data, seed)


def measure(data, seed, row, way):
    """Return accuracy, expected score and seconds of a fit; or why it failed.

    "same" is the adjusted Rand index of the labels with those of the DataFrame's fit.
    """
    try:
        as_it_is, _ = fit(data.name, seed, row, AS_IT_IS)
        found, seconds = fit(data.name, seed, row, way)
    except Exception as error:  # other fits go on
        lines = str(error).splitlines() or [""]
        return {"error": f"failed: {type(error).__name__}: {lines[0]}"}
    record = {
        "ari": float(adjusted_rand_score(data.y, found.labels_)),
        "same": float(adjusted_rand_score(as_it_is.labels_, found.labels_)),
        "n_found": len(set(found.labels_)),
        "seconds": seconds,
    }
    if hasattr(found, "expected_score_"):
        record["expected_score"] = float(found.expected_score_)
    return record


def tasks(options):
    """Yield all fits, a table after the other."""
    for seed in range(options.draws):
        for name in options.tables:
            data = draw_table(name, seed)
            for row in options.rows:
                for way in WAYS:
                    head = {"row": row, "way": way, "seed": seed} | described(data)
                    yield head, partial(measure, data, seed, row, way), "float64"


def overview(frame):
    """Return a line for each generator, method and way: means over draws, and the worst draw.

    Fits that failed count as an index of 0.
    """
    made = ["ari", "same", "n_found", "expected_score", "seconds", "error"]
    frame = frame.reindex(columns=list(dict.fromkeys([*frame, *made])))
    values = ["ari", "same"]
    frame[values] = frame[values].where(frame.error.isna(), 0)
    lines = []
    for (name, row, way), own in frame.groupby(["data", "row", "way"], sort=False):
        counts = [str(len(own)), str(own.error.notna().sum())]
        distance = (own.expected_score - own.ari).abs()
        right = (own.n_found == own.n_clusters).mean() if row == OPEN else np.nan
        cells = [own.ari.mean(), own.ari.min(), own.same.mean()]
        cells += [own.expected_score.mean(), distance.mean(), right]
        lines.append([name, row, way, *counts, *map(text, cells), text(own.seconds.mean(), 1)])
    columns = ["tables", "method", "way", "fits", "failed", "ARI", "worst", "as the DataFrame's"]
    columns += ["expected score", "its distance from the ARI", "K right", "seconds"]
    return markdown(columns, lines)


def main(arguments=None):
    """Run all fits, then print a table."""
    made = parser(__doc__)
    made.add_argument("--tables", nargs="+", help=f"of {', '.join(GENERATORS)} (all)")
    made.add_argument("--rows", nargs="+", help=f"of {'; '.join(ROWS)} (all)")
    draws = DRAWN[GENERATORS[0]].n_draws
    made.add_argument("--draws", type=int, default=draws, help="tables of each kind (%(default)s)")
    readers = {
        "tables": lambda asked: chosen(asked, GENERATORS, "--tables"),
        "rows": lambda asked: chosen(asked, ROWS, "--rows"),
    }
    options = parse(made, arguments, **readers)
    found = complete(options.out, ("data", "row", "way", "seed"), tasks(options))
    print(overview(as_frame(found)))


if __name__ == "__main__":
    main()
