"""NeighborClustering and other libraries on eleven real sets and both parts of a public battery.

``python benchmarks/accuracy/rivals.py --battery FOLDER --out rivals.jsonl`` gives K to all methods
but HDBSCAN and those below in the table, which find it. The sets are those of ``choice.py``; noise
points are fitted and not scored. Methods are run after a warm-up, one after another.
"""

import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from accuracy.choice import load_all, load_rest
from lib.clusterers import fit, installed, warm_up
from lib.options import chosen, parse, parser
from lib.records import complete, judged, timed
from lib.tables import OPEN, as_frame, rivals

COMPARED = (
    "NeighborClustering",
    "KMeans",
    "GaussianMixture",
    "EVoC",
    "umap-learn + GMM",
    *OPEN,
)


def measure(method, data, done):
    """Fit a method after a warm-up, and judge it by the samples that have a class."""
    warm_up(method, data.X, done)
    found, seconds = timed(fit, method, data.X, data.n_clusters, 0)
    labels = np.asarray(getattr(found, "labels_", found))
    known = data.y >= 0
    found = len(np.unique(labels[labels >= 0]))
    record = {"n_clusters": data.n_clusters, "found": found, "seconds": seconds}
    return record | judged(data.y[known], labels[known])


def tasks(options):
    """Yield all fits, set after set."""
    done = set()
    methods = installed(options.methods)
    sets = itertools.chain(load_all(options.battery), load_rest(options.battery))
    for group, data in sets:
        for method in methods:
            head = {"row": method, "group": group, "data": data.name}
            yield head, partial(measure, method, data, done), "float64"


def main(arguments=None):
    """Run what is missing, then print a table."""
    made = parser(__doc__)
    made.add_argument("--battery", type=Path, required=True, help="folder of the battery")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(COMPARED)} (all)")
    options = parse(made, arguments, methods=lambda m: chosen(m, COMPARED, "--methods"))
    found = complete(options.out, ("row", "group", "data"), tasks(options))
    print(rivals(as_frame(found)))


if __name__ == "__main__":
    main()
