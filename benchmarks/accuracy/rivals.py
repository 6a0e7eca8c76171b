"""NeighborClustering and other libraries on eleven real sets and both parts of a public battery.

``python benchmarks/accuracy/rivals.py --battery FOLDER --out rivals.jsonl`` gives K to the first
five methods; the others find it. The sets are those of ``choice.py``; noise points are fitted and
not scored. Methods run after a warm-up, one after another.
"""

import itertools
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from accuracy.choice import load_all, load_rest
from lib.clusterers import installed, measured
from lib.options import chosen, parse, parser
from lib.records import complete, described
from lib.tables import OPEN, as_frame, rivals

COMPARED = (
    "NeighborClustering",
    "KMeans",
    "GaussianMixture",
    "EVoC",
    "umap-learn + GMM",
    *OPEN,
)


def tasks(options):
    """Yield all fits, set after set."""
    done = set()
    methods = installed(options.methods)
    sets = itertools.chain(load_all(options.battery), load_rest(options.battery))
    for group, data in sets:
        for method in methods:
            head = {"row": method, "group": group} | described(data)
            yield head, partial(measured, method, data, 0, done), "float64"


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
