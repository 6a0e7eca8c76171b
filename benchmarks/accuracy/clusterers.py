"""All methods beside their rivals, networks beside their starts, on many sets.

    python benchmarks/accuracy/clusterers.py --threads 2 --out results.jsonl
    python benchmarks/accuracy/clusterers.py --sets digits --methods kmeans VaDEClustering

Runs every method on every set with every seed, all with the same number of threads, appends a
JSON line for each fit as it ends, and prints tables. Fits that the file holds, with as many
threads, are not run again, but for those that failed. How each method is called:
``lib/clusterers.py``; the sets: ``lib/sets.py``. Seconds are of the fit alone, after a warm-up on
drawn rows, so that numba's compilation does not count. "memory" is the most resident memory above
that before the fit, in MB. ACC counts noise (-1) as a label of its own. A fit that fails counts
as an ACC and ARI of 0. Labels judge and do nothing else.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.clusterers import (
    METHODS,
    installed,
    is_network,
    measured,
    parse_clusterers,
    versions,
)
from lib.options import parse_seeds
from lib.records import keep, read
from lib.sets import GROUPS, load_set, parse_sets
from lib.standings import tables
from lib.threads import limited, start_anew_with


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    groups = ", ".join(GROUPS)
    add("--sets", nargs="+", default=["eleven"], help=f"names, or {groups} (%(default)s)")
    add("--methods", nargs="+", help=f"of {', '.join(METHODS)}, in any case (all)")
    add("--seeds", default="0-2", help='"0-4", "0,2,7", or a count "3" (%(default)s)')
    add("--threads", type=int, default=1, help="of every method (%(default)s)")
    add("--out", type=Path, dest="results", help="file to append JSON lines to, and to go on from")
    options = parser.parse_args(arguments)
    try:
        options.sets = parse_sets(options.sets)
        options.methods = parse_clusterers(options.methods)
        options.seeds = parse_seeds(options.seeds)
    except ValueError as error:
        parser.error(str(error))
    if options.threads < 1:
        parser.error(f"--threads {options.threads}: at least 1 is expected.")
    return options


def key(record):
    """Return what tells fits apart."""
    return record["data"], record["row"], record["seed"]


def kept(path, threads):
    """Return the records of the file with this number of threads, by `key`."""
    return {key(record): record for record in read(path) if record["threads"] == threads}


def fits(data, methods, seeds):
    """Yield the methods and seeds to fit to a set, seed after seed; say what is left out."""
    n_rows, is_images = data.X.shape[0], data.get("image_shape") is not None
    methods = [method for method in methods if is_images or not METHODS[method].needs_images]
    for method in methods:
        if n_rows > METHODS[method].most_rows:
            most = METHODS[method].most_rows
            print(f"{data.name}, {method}: skipped, {n_rows:,} rows are more than {most:,}")
    for seed in seeds:
        for method in methods:
            chosen = METHODS[method]
            if n_rows <= chosen.most_rows and (chosen.is_random or seed == seeds[0]):
                yield method, seed


def run_set(name, methods, options, found, done):
    """Run what is missing on a set; put every record into `found`."""
    data = load_set(name)
    for method, seed in fits(data, methods, options.seeds):
        record = {"row": method, "data": name, "n_samples": data.X.shape[0]}
        record |= {"n_features": data.X.shape[1], "n_clusters": data.n_clusters, "seed": seed}
        if "error" not in found.get(key(record), {"error": "missing"}):
            continue
        record |= measured(method, data, seed, options.threads, done)
        record |= {"versions": versions(method)}
        precision = "float32" if is_network(method) else str(data.X.dtype)
        found[key(record)] = keep(record, precision, options.results)


def main(options):
    """Run all sets, then print the tables."""
    methods, done = installed(options.methods), set()
    found = kept(options.results, options.threads)
    with limited(options.threads):
        for name in options.sets:
            try:
                run_set(name, methods, options, found, done)
            except FileNotFoundError as error:
                print(f"{name}: skipped. {error}")
    asked = [
        found[name, method, seed]
        for name in options.sets
        for method in options.methods
        for seed in options.seeds
        if (name, method, seed) in found
    ]
    print(f"\n{tables(asked)}" if asked else "No fits.")


if __name__ == "__main__":
    asked = parsed()
    start_anew_with(asked.threads)
    main(asked)
