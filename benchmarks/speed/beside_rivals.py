"""Seconds of NeighborClustering with K given, beside EVoC and umap-learn, in one run.

    OMP_NUM_THREADS=2 python benchmarks/speed/beside_rivals.py --out speed_rivals.jsonl

Run it while nothing else runs: other libraries suffer more from other work. Each method first fits
drawn samples, so that compilation is not timed.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.clusterers import installed, measured
from lib.datasets import load
from lib.options import parse, parser
from lib.records import complete, described
from lib.sets import load_set
from lib.tables import as_frame, pivot

COMPARED = ("NeighborClustering", "umap-learn + GMM", "EVoC")
SETS = {
    "digits": partial(load_set, "digits"),
    "stackoverflow": partial(load_set, "stackoverflow"),
    "mnist_30k": partial(load, "mnist", 30_000),
}


def tasks():
    """Yield all fits, set after set."""
    done = set()
    for name, load_it in SETS.items():
        data = load_it()
        data.name = name
        for method in installed(COMPARED):
            head = {"row": method} | described(data)
            yield head, partial(measured, method, data, 0, done), "float64"


def main(arguments=None):
    """Run what is missing, then print a table."""
    options = parse(parser(__doc__), arguments)
    found = complete(options.out, ("row", "data"), tasks())
    print(pivot(as_frame(found), "seconds;ari"))


if __name__ == "__main__":
    main()
