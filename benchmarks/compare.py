"""Compare every method with k-means and the Gaussian mixture: a table and an HTML report.

    python benchmarks/compare.py                       the digits, all methods, seeds 0, 1, 2
    python benchmarks/compare.py --data mine.csv --methods KMeans VAEEmbedding --n-clusters 6

Labels only score. Pictures show the seed with the best ``score``, the method's own criterion.
"""

import argparse
import json
import shlex
import sys
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch
from lib import report
from lib.datasets import NAMES, load
from lib.methods import IMAGE_METHODS, METHODS, precision
from lib.options import chosen, parse
from lib.records import described, environment, judged
from scipy.sparse import issparse

import skdeepcluster
from skdeepcluster.metrics import majority_accuracy

#: Entry of a record -> column of the table, and its format.
COLUMNS = {
    "found": ("clusters", "{:g}"),
    "acc": ("ACC", "{:.3f}"),
    "majority": ("majority", "{:.3f}"),
    "nmi": ("NMI", "{:.3f}"),
    "ari": ("ARI", "{:.3f}"),
    "moved": ("moved", "{:.3f}"),
    "score": ("score", "{:.4g}"),
    "seconds": ("seconds", "{:.2f}"),
}
#: Agreements of clusters and classes, whose deviations over seeds are shown.
AGREEMENTS = ("acc", "majority", "nmi", "ari")


def fit(data, method, seed):
    """Fit once; return the record, and the estimator and labels, None after a failure."""
    record = {"method": method, "seed": seed, **described(data), "error": None}
    # scikit-learn's mixture takes no sparse samples.
    X = data.X.toarray() if issparse(data.X) and method == "GaussianMixture" else data.X
    fitted = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = (METHODS | IMAGE_METHODS)[method](data, data.n_clusters, seed)
            started = time.perf_counter()
            labels = estimator.fit_predict(X)
            record["seconds"] = time.perf_counter() - started
            record |= {"score": float(estimator.score(X)), "found": len(np.unique(labels))}
            record |= {"moved": getattr(estimator, "moved_", None)}
            record |= environment(precision(method, data))
            if data.y is not None:
                record |= judged(data.y, labels)
                record["majority"] = majority_accuracy(data.y, labels)
            fitted = estimator, labels
        except Exception as error:  # the other methods are still compared
            record["error"] = f"{type(error).__name__}: {error}"
    record["warnings"] = sorted({f"{w.category.__name__}: {w.message}" for w in caught})
    return record, fitted


def run(data, methods, seeds, results=None):
    """Fit every method with every seed; return all records, and the best fit of each method."""
    records, best = [], {}
    for method, seed in product(methods, seeds):
        record, fitted = fit(data, method, seed)
        records.append(record)
        print(progress(record), flush=True)
        if results:
            with results.open("a") as file:
                file.write(json.dumps(record) + "\n")
        if fitted:
            score = float(np.nan_to_num(record["score"], nan=-np.inf))
            if method not in best or score > best[method].score:
                best[method] = report.Fit(method, seed, score, *fitted)
    return records, best.values()


def progress(record):
    """Return a line for a finished fit."""
    head = f"{record['method']}, seed {record['seed']}: "
    if record["error"]:
        return head + f"FAILED, {record['error'].splitlines()[0]}"
    acc = f"ACC {record['acc']:.3f}, " if "acc" in record else ""
    return head + f"{acc}{record['seconds']:.1f} s"


def summarize(records):
    """Return a table with a line for each method: means over seeds, deviations of agreements."""
    frame = pd.DataFrame(records).assign(fits=lambda found: found.error.isna())
    names = [name for name in COLUMNS if name in frame]
    groups = frame.astype(dict.fromkeys(names, float)).groupby("method", sort=False)
    table = pd.DataFrame({"fits": groups.fits.agg(lambda done: f"{done.sum()} of {len(done)}")})
    for name in names:
        column, form = COLUMNS[name]
        numbers = ["mean", "std"] if name in AGREEMENTS else ["mean"]
        found = groups[name].agg(numbers).to_numpy()
        cells = [[form.format(value) for value in line if not np.isnan(value)] for line in found]
        table[column] = [" ± ".join(line) for line in cells]
    return table.reset_index()


def complaints(records):
    """Return each error and warning with its method and seeds."""
    found = {}
    for record in records:
        verb = "failed" if record["error"] else "warned"
        for text in [record["error"]] if record["error"] else record["warnings"]:
            found.setdefault((record["method"], verb, text), []).append(str(record["seed"]))
    return [f"{m} {verb}, seed {', '.join(s)}: {text}" for (m, verb, text), s in found.items()]


def parsed(arguments):
    """Read the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--data", default="digits", help=f"{', '.join(NAMES)}, FILE.npz or FILE.csv")
    known = METHODS | IMAGE_METHODS
    add("--methods", nargs="+", help=f"of {', '.join(known)}; all that suit the data by default")
    add("--n-clusters", type=int, help="the number of classes by default, 8 without labels")
    add("--seeds", default="0-2", help='a range "0-4", a list "0,2,7" or a count "3" (0, 1, 2)')
    add("--n-samples", type=int, help="a random subsample (the same for all methods and seeds)")
    add("--out", default="report.html", help="the HTML report (%(default)s)")
    add("--results", type=Path, help="append a JSON line per fit to this file")
    add("--download", action="store_true", help="fetch missing mnist, fashion_mnist from openml")
    options = parse(made, arguments, methods=partial(chosen, known=known))
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
    print(description, flush=True)
    records, best = run(data, options.methods, options.seeds, options.results)
    table, errors = summarize(records), complaints(records)
    print("\n".join(["", table.to_string(index=False), "", *errors]), flush=True)
    modules = skdeepcluster, sklearn, torch, np
    report.write(
        options.out,
        table,
        errors,
        best,
        data,
        title=f"Clustering of {data.name}",
        description=description,
        versions=", ".join(f"{module.__name__} {module.__version__}" for module in modules),
        command=shlex.join(["python", "benchmarks/compare.py", *(arguments or sys.argv[1:])]),
    )
    print(f"Report: {Path(options.out).resolve()}")
    return int(any(record["error"] for record in records))


if __name__ == "__main__":
    sys.exit(main())
