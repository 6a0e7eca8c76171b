"""Compare the methods of this package with others, and networks with initial partitions.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/clusterers.py --sets digits --out results.jsonl

Runs every method on every set with every seed and appends a JSON line for each fit as it ends.
Fits that the file holds are not run again, except for those that failed.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.clusterers import METHODS, installed, measured, versions
from lib.methods import precision
from lib.options import chosen, parse, parser
from lib.records import complete, described
from lib.sets import load_sets, parse_sets
from lib.tables import as_frame, pivot


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__, seeds="0-2", sets=["eleven"])
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)} (all)")
    return parse(made, arguments, sets=parse_sets, methods=partial(chosen, known=METHODS))


def is_fitted(method, data):
    """Return whether a method is fitted to a set; print why not if the set is too large."""
    most = METHODS[method].max_samples
    if data.X.shape[0] > most:
        print(f"{data.name}, {method}: skipped, more than {most:,} samples")
    return data.X.shape[0] <= most


def tasks(options):
    """Yield all fits, set after set and seed after seed."""
    done, methods = set(), installed(options.methods)
    for data in load_sets(options.sets):
        own = [method for method in methods if is_fitted(method, data)]
        for seed in options.seeds:
            for method in own:
                if METHODS[method].is_random or seed == options.seeds[0]:
                    head = {"row": method, "seed": seed, "versions": versions(), **described(data)}
                    measure = partial(measured, method, data, seed, done)
                    yield head, measure, precision(method, data)


def main(options):
    """Run all fits, then print a table."""
    records = complete(options.out, ("data", "row", "seed"), tasks(options))
    print("\n" + pivot(as_frame(records), "acc;ari;seconds") if records else "No fits.")


if __name__ == "__main__":
    main(parsed())
