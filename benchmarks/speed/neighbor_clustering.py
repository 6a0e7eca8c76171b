"""Seconds of NeighborClustering and of umap-learn with a mixture, and a fit of 1,000,000 rows.

    python benchmarks/speed/neighbor_clustering.py --results results.jsonl

Fits both to iris, the digits, stackoverflow and mnist at 1 and 2 threads: a process for each
method and number of threads, in which the method is warmed up before it is timed. Then fits
NeighborClustering to 1,000,000 x 50 float32, ten drawn Gaussians, in a process of its own for each
number of threads: "peak" is the most resident memory of that process so far, rows and imports
included, "memory" the most above that before the fit, in MB. ``--rows 0`` leaves this out.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.clusterers import METHODS, installed, measured, parse_clusterers, versions
from lib.networks import CLUSTERS, FEATURES, fill
from lib.options import bare_parser
from lib.records import keep
from lib.sets import load_set, parse_sets
from lib.threads import limited, start_anew_with

SETS = ["iris", "digits", "stackoverflow", "mnist"]
COMPARED = ["NeighborClustering", "umap-learn + GMM"]


def gaussians(n_rows):
    """Draw rows of ten Gaussians in float32, with their components as classes."""
    X = np.empty((n_rows, FEATURES), dtype=np.float32)
    y = fill(X)
    return Bunch(X=X, y=y, n_clusters=CLUSTERS, name=f"{n_rows} rows of {CLUSTERS} Gaussians")


def parsed(arguments=None):
    """Read the command line."""
    parser = bare_parser(__doc__)
    add = parser.add_argument
    add("--sets", nargs="*", default=SETS, help="names (%(default)s)")
    add(
        "--methods", nargs="+", default=COMPARED, help="names, see lib/clusterers.py (%(default)s)"
    )
    add("--threads", nargs="+", type=int, default=[1, 2], help="numbers, in turn (%(default)s)")
    add("--rows", type=int, default=1_000_000, help="of the drawn Gaussians (%(default)s)")
    add("--seed", type=int, default=0)
    add("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        options.sets = parse_sets(options.sets)
        options.methods = parse_clusterers(options.methods)
    except ValueError as error:
        parser.error(str(error))
    return options


def fit(options):
    """Fit the method to every set, and to drawn rows, in this process; a JSON line for each."""
    (method,), (threads,) = options.methods, options.threads
    done = set()
    data = [lambda name=name: load_set(name) for name in options.sets]
    data += [lambda: gaussians(options.rows)] if options.rows else []
    with limited(threads):
        for load in data:
            loaded = load()
            record = {"row": method, "data": loaded.name, "n_samples": loaded.X.shape[0]}
            record |= {"n_features": loaded.X.shape[1], "seed": options.seed}
            record |= measured(method, loaded, options.seed, threads, done)
            record |= {"peak": round(getrusage(RUSAGE_SELF).ru_maxrss / 1024)}
            keep(record | {"versions": versions(method)}, str(loaded.X.dtype), options.results)


def in_process(options, method, threads, sets, rows):
    """Run `fit` in a process of its own, with its threads in the environment."""
    command = [sys.executable, __file__, "--here", "--methods", method, "--threads", threads]
    command += ["--rows", rows, "--seed", options.seed, "--sets", *sets]
    command += ["--results", options.results] if options.results else []
    subprocess.run([str(part) for part in command], check=True)


def main(options):
    """Run every method and number of threads, one after another."""
    for method in installed(options.methods):
        for threads in options.threads:
            if options.sets:
                in_process(options, method, threads, options.sets, 0)
            if options.rows and not METHODS[method].needs:
                in_process(options, method, threads, [], options.rows)


if __name__ == "__main__":
    asked = parsed()
    if asked.here:
        start_anew_with(asked.threads[0])
        fit(asked)
    else:
        main(asked)
