"""NeighborClustering on the tables of CLUBench, beside the published results of 24 methods.

``python benchmarks/accuracy/clubench.py TABLES CLUBENCH --out results/clubench.jsonl`` reads
checkouts of github.com/hj-n/labeled-datasets and github.com/xiaofeng-github/CLUBench. Tables go in
as they are; the published methods had z-scores. Of the settings of a published method, the one
with the highest mean ARI over these tables counts, for all of them. Tables with odd numbers in
CLUBench's list were looked at before the last run. ``--matches FILE`` names src/json/data.json of
github.com/hj-n/clm-datasets, how well the classes of each table match clusters; means of the
better and the worse half are kept, too.
"""

import json
import pickle
import re
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse, parser
from lib.records import complete, described, judged, keep, timed

from skdeepcluster import NeighborClustering

#: Tables that were looked at long before, or stand in other benchmarks.
LEFT_OUT = {
    "iris",
    "wine",
    "breast_cancer_wisconsin_prognostic",
    "yeast",
    "statlog_image_segmentation",
    "image_segmentation",
    "fashion_mnist",
    "optical_recognition_of_handwritten_digits",
}
ROWS = ("K given", "K open")
#: Maximum number of samples, as in CLUBench; larger tables are reduced at random.
MAX_SAMPLES = 10_000


class Plain(pickle.Unpickler):
    """An unpickler of dictionaries, lists and numbers alone."""

    def find_class(self, module, name):
        """Refuse every class."""
        raise pickle.UnpicklingError(f"{module}.{name} is no plain number, list or dict.")


def list_tables(tables, clubench):
    """Return the places in CLUBench's list of the tables that are there, by name."""
    text = (clubench / "CLUBench" / "configs.py").read_text()
    names = re.findall(r"'([^']+)\.npz'", text)
    there = {path.parent.name for path in (tables / "compressed").glob("*/data.bin")}
    return {name: i for i, name in enumerate(names) if name in there - LEFT_OUT}


def load(tables, name):
    """Return a table and its classes."""
    folder = tables / "compressed" / name
    parts = (folder / f"{part}.bin" for part in ("data", "label"))
    X, label = (json.loads(zlib.decompress(part.read_bytes())) for part in parts)
    classes, y = np.unique(np.array(label).ravel(), return_inverse=True)
    some = np.random.RandomState(0).permutation(len(y))[:MAX_SAMPLES]
    X = np.array(X, dtype=float)[some]
    return Bunch(name=name, X=X, y=y[some], n_clusters=len(classes))


def measure(tables, name, row):
    """Return what one fit has found."""
    data = load(tables, name)
    number = data.n_clusters if row == "K given" else "auto"
    fit, seconds = timed(NeighborClustering(number, random_state=0).fit, data.X)
    record = described(data) | judged(data.y, fit.labels_) | {"seconds": seconds}
    return record | {"found": fit.n_clusters_, "expected": fit.expected_score_}


def read_published(clubench, places):
    """Return ACC and ARI (T,) on the tables, by method, of the setting with the highest ARI."""
    published = {}
    for path in sorted((clubench / "performance_matrix" / "all_hpcs").glob("*.p")):
        with path.open("rb") as file:
            scores = Plain(file).load()
        by_setting = {name: np.array(values)[places] for name, values in scores["ari"].items()}
        best = max(by_setting, key=lambda name: np.nanmean(by_setting[name]))
        accuracy = np.array(scores["acc"][best])[places]
        published[path.stem] = accuracy, by_setting[best]
    return published


def list_parts(names, places, matches):
    """Return which of the tables belong to each part of them, by name."""
    odd = np.array([places[name] % 2 == 0 for name in names])  # places count from 0
    parts = {"all": odd | True, "odd": odd, "even": ~odd}
    if matches is not None:
        scores = {record["key"]: record["score"] for record in json.loads(matches.read_text())}
        scores = np.array([scores[name] for name in names])
        is_well = scores >= np.median(scores)
        parts |= {"well matched": is_well, "ill matched": ~is_well}
    return parts


def summarize(records, published, names, parts):
    """Yield a record for each method and part of the tables: means and losses to k-means."""
    results = dict(published)
    for row in ROWS:
        ours = {r["data"]: (r["acc"], r["ari"]) for r in records if r["row"] == row}
        results[f"NeighborClustering, {row}"] = np.array([ours[name] for name in names]).T
    kmeans = np.array(results["kmeans"][1])
    for part, chosen in parts.items():
        for method, (accuracy, ari) in results.items():
            loss = np.array(ari)[chosen] - kmeans[chosen]
            yield {
                "data": part,
                "row": method,
                "n_tables": int(chosen.sum()),
                "acc": round(float(np.nanmean(np.array(accuracy)[chosen])), 3),
                "ari": round(float(np.nanmean(np.array(ari)[chosen])), 3),
                "worst": round(float(np.nanmin(loss)), 2),
                "lost": int((loss < -0.05).sum()),
                "won": int((loss > 0.05).sum()),
            }


def main(arguments=None):
    """Fit all tables, K given and open, and compare."""
    made = parser(__doc__)
    made.add_argument("tables", type=Path, help="checkout of labeled-datasets")
    made.add_argument("clubench", type=Path, help="checkout of CLUBench")
    made.add_argument("--matches", type=Path, help="file with scores of the classes")
    options = parse(made, arguments)
    places = list_tables(options.tables, options.clubench)
    records = []
    for name in places:
        tasks = [
            ({"data": name, "row": row}, partial(measure, options.tables, name, row), "float64")
            for row in ROWS
        ]
        records += complete(options.out, ("data", "row"), tasks)

    published = read_published(options.clubench, list(places.values()))
    names = list(places)
    parts = list_parts(names, places, options.matches)
    for record in summarize(records, published, names, parts):
        keep(record, "float64", options.out)


if __name__ == "__main__":
    main()
