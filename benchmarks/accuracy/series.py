"""Series as they are, with shifted views, and by the choice among them.

``python benchmarks/accuracy/series.py FOLDER --out results/series.jsonl`` reads sets of the UCR
archive, NAME_TRAIN and NAME_TEST with the ending .ts or .txt anywhere below FOLDER, together and
of unit variance. ``k-shape`` is tslearn's (``pip install tslearn``).
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import chosen, parse, parse_seeds, parser
from lib.records import complete, described, judged, timed

from skdeepcluster import NeighborClustering
from skdeepcluster.nn import RandomShift

#: How series are compared, by row; "found" is the choice among shifts and none.
SPACES = {
    "plain": None,
    "shifts": RandomShift(0.15),
    "wrapped shifts": RandomShift(1.0, wrap=True),
    "found": "auto",
    "found, K open": "auto",
}
ROWS = ("KMeans", *SPACES)


def list_sets(folder):
    """Return the files of each set in a folder, by name."""
    paths = [*folder.rglob("*_TRAIN.ts"), *folder.rglob("*_TRAIN.txt")]
    return {path.stem.removesuffix("_TRAIN"): path for path in sorted(paths)}


def read_rows(path):
    """Yield the class and the values of each series of a file."""
    for line in path.read_text().splitlines():
        if path.suffix == ".ts" and line[:1] not in "#@":
            *channels, kind = line.strip().split(":")
            yield kind, channels[0].replace(",", " ").split()
        elif path.suffix == ".txt" and line.strip():
            kind, *values = line.replace(",", " ").split()
            yield kind, values


def read_series(name, path):
    """Return the series of unit variance of both files of a set."""
    parts = [path, path.with_name(path.name.replace("_TRAIN", "_TEST"))]
    kinds, rows = zip(*(row for part in parts for row in read_rows(part)), strict=True)
    X = np.array(rows, dtype=float)
    X = (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True).clip(1e-9)
    y = np.unique(kinds, return_inverse=True)[1]
    return Bunch(name=name, X=X, y=y, n_clusters=len(set(y)))


def make(way, k, seed):
    """Make the clusterer of a row."""
    if way == "KMeans":
        return KMeans(k, n_init=10, random_state=seed)
    if way == "k-shape":
        from tslearn.clustering import KShape

        return KShape(k, n_init=10, random_state=seed)
    number = "auto" if way.endswith("K open") else k
    return NeighborClustering(number, augment=SPACES[way], random_state=seed)


def measure(data, way, seed):
    """Return what one fit has found."""
    fit, seconds = timed(make(way, data.n_clusters, seed).fit, data.X)
    record = described(data) | judged(data.y, fit.labels_) | {"seconds": seconds}
    record["found"] = len(set(fit.labels_))
    if isinstance(fit, NeighborClustering):
        record["expected"] = fit.expected_score_
    if SPACES.get(way) == "auto":
        record["kinds"] = fit.augment_scores_
        record["chosen"] = str(fit.augment_)
    return record


def main(arguments=None):
    """Fit all sets in all ways."""
    made = parser(__doc__)
    made.add_argument("folder", type=Path, help="folder with sets of the UCR archive")
    made.add_argument("--sets", nargs="+", help="names (all in the folder)")
    made.add_argument("--rows", nargs="+", help=f"of {', '.join(ROWS)}, k-shape (all but it)")
    made.add_argument("--seeds", default="0-4", help="(%(default)s)")
    options = parse(
        made,
        arguments,
        seeds=parse_seeds,
        rows=lambda r: chosen(r or ROWS, (*ROWS, "k-shape"), "--rows"),
    )
    paths = list_sets(options.folder)
    for name in chosen(options.sets, [*paths], "--sets"):
        data = read_series(name, paths[name])
        tasks = [
            (
                {"data": name, "row": way, "seed": seed},
                partial(measure, data, way, seed),
                "float64",
            )
            for way in options.rows
            for seed in options.seeds
        ]
        complete(options.out, ("data", "row", "seed"), tasks)


if __name__ == "__main__":
    main()
