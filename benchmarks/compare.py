"""Compare every method with k-means and the Gaussian mixture: a table and a page of HTML.

    python benchmarks/compare.py                       the digits, all methods, seeds 0, 1, 2
    python benchmarks/compare.py --own                 networks also alone, without our partition
    python benchmarks/compare.py --data mine.csv --methods KMeans VAEEmbedding --n-clusters 6

Labels only score. The page, by skdeepcluster.compare, shows the first seed.
"""

import argparse
import json
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from lib.datasets import NAMES, load
from lib.methods import ALONE, IMAGE_METHODS, METHODS, precision
from lib.options import chosen, parse
from lib.records import described, environment, judged
from sklearn.exceptions import FitFailedWarning

from skdeepcluster import compare
from skdeepcluster.metrics import purity_score

#: Entry of a record -> column of the table, and its format.
COLUMNS = {
    "found": ("clusters", "{:g}"),
    "expected_score": ("expected score", "{:.3f}"),
    "acc": ("ACC", "{:.3f}"),
    "majority": ("majority", "{:.3f}"),
    "nmi": ("NMI", "{:.3f}"),
    "ari": ("ARI", "{:.3f}"),
    "moved": ("moved", "{:.3f}"),
    "seconds": ("seconds", "{:.2f}"),
}
#: Scores whose deviations over seeds are shown.
SCORES = ("expected_score", "acc", "majority", "nmi", "ari")


def run(data, methods, seed):
    """Fit the methods with a seed; return a record of each, and the comparison."""
    known = METHODS | IMAGE_METHODS
    clusterers = {name: known[name](data, data.n_clusters, seed) for name in methods}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = compare(data.X, clusterers, data.y)
    texts = {
        f"{w.category.__name__}: {w.message}" for w in caught if w.category != FitFailedWarning
    }
    records = []
    for name in methods:
        record = {"method": name, "seed": seed, **described(data)}
        record |= {"error": found.errors.get(name), "warnings": sorted(texts)}
        if name in found.labels:
            record |= measured(data, name, found) | environment(precision(name, data))
        records.append(record)
    return records, found


def measured(data, name, found):
    """Return the entries of a record that a comparison gives."""
    results = found.to_frame().loc[name]
    entries = {title: float(results[title]) for title in ("expected_score", "seconds")}
    entries["found"] = int(results.clusters)
    entries["moved"] = getattr(found.estimators[name], "moved_", None)
    if data.y is not None:
        entries |= judged(data.y, found.labels[name])
        entries["majority"] = purity_score(data.y, found.labels[name])
    return entries


def summarize(records):
    """Return a table with a line for each method: means over seeds, deviations of scores."""
    frame = pd.DataFrame(records).assign(fits=lambda found: found.error.isna())
    names = [name for name in COLUMNS if name in frame]
    groups = frame.astype(dict.fromkeys(names, float)).groupby("method", sort=False)
    table = pd.DataFrame({"fits": groups.fits.agg(lambda done: f"{done.sum()} of {len(done)}")})
    for name in names:
        column, form = COLUMNS[name]
        numbers = ["mean", "std"] if name in SCORES else ["mean"]
        found = groups[name].agg(numbers).to_numpy()
        cells = [[form.format(value) for value in line if not np.isnan(value)] for line in found]
        table[column] = [" ± ".join(line) for line in cells]
    return table.reset_index()


def complaints(records):
    """Return each error with its method and seeds, and each warning with its seeds."""
    found = {}
    for record in records:
        seed = str(record["seed"])
        if record["error"]:
            found.setdefault((f"{record['method']} failed", record["error"]), []).append(seed)
        for text in record["warnings"]:
            seeds = found.setdefault(("Warned", text), [])
            seeds += [seed] * (seed not in seeds)
    return [f"{what}, seed {', '.join(seeds)}: {text}" for (what, text), seeds in found.items()]


def parsed(arguments):
    """Read the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--data", default="digits", help=f"{', '.join(NAMES)}, FILE.npz or FILE.csv")
    known = METHODS | IMAGE_METHODS
    default = [name for name in known if name not in ALONE]
    text = f"of {', '.join(known)}; those that suit the data by default, but no network alone"
    add("--methods", nargs="+", default=default, help=text)
    add("--own", action="store_true", help="networks also alone, without our partition")
    add("--n-clusters", type=int, help="the number of classes by default, 8 without labels")
    add("--seeds", default="0-2", help='a range "0-4", a list "0,2,7" or a count "3" (0, 1, 2)')
    add("--n-samples", type=int, help="a random subsample (the same for all methods and seeds)")
    add("--out", default="report.html", help="the page of the first seed (%(default)s)")
    add("--results", type=Path, help="append a JSON line per fit to this file")
    add("--download", action="store_true", help="fetch missing mnist, fashion_mnist from openml")
    options = parse(made, arguments, methods=partial(chosen, known=known))
    if options.own:
        alone = [f"{name}, own" for name in options.methods]
        options.methods += [name for name in alone if name in ALONE.keys() - options.methods]
    try:
        options.data = load(options.data, options.n_samples, download=options.download)
    except (ValueError, OSError) as error:
        made.error(str(error))
    options.data.n_clusters = options.n_clusters or options.data.n_clusters
    if options.data.image_shape is None:
        options.methods = [name for name in options.methods if name not in IMAGE_METHODS]
    return options


def main(arguments=None):
    """Run the comparison; return the exit code."""
    options = parsed(arguments)
    data = options.data
    n_samples, n_features = data.X.shape
    classes = "no labels" if data.y is None else f"{len(np.unique(data.y))} classes"
    description = (
        f"{data.name}: {n_samples:,} samples x {n_features:,} features, {classes}, "
        f"{data.n_clusters} clusters"
    )
    records = []
    for seed in options.seeds:
        print(f"{description}, seed {seed}", flush=True)
        new, found = run(data, options.methods, seed)
        if seed == options.seeds[0]:
            found.to_html(options.out)
        if options.results:
            with options.results.open("a") as file:
                file.writelines(json.dumps(record) + "\n" for record in new)
        records += new
    table = summarize(records).to_string(index=False)
    print("\n".join(["", table, "", *complaints(records)]))
    print(f"Page: {Path(options.out).resolve()}")
    return int(any(record["error"] for record in records))


if __name__ == "__main__":
    sys.exit(main())
