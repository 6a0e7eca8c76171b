"""Every method beside k-means and the Gaussian mixture: one table and one HTML report.

    python benchmarks/compare.py                       the digits, all methods, seeds 0, 1, 2
    python benchmarks/compare.py --data mnist --n-samples 10000 --seeds 0-4
    python benchmarks/compare.py --data mine.csv --methods KMeans VAEEmbedding --n-clusters 6

A method is added by one line of `METHODS` in ``lib/methods.py``. Labels only score: they choose no
seed, no restart and no picture (the pictures show the seed with the best ``score``, the method's
own criterion).
The exit code is 1 if a fit failed; the others are reported all the same.
"""

import argparse
import json
import math
import platform
import shlex
import subprocess
import sys
import time
import warnings
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import sklearn
import torch
from lib import datasets, report, summary
from lib.internals import precision_of
from lib.methods import DENSE_ONLY, METHODS
from lib.options import parse_methods, parse_seeds
from lib.records import environment, judged
from lib.threads import limited
from scipy.sparse import issparse

import skdeepcluster
from skdeepcluster.metrics import majority_accuracy


def main(argv=None):
    """Run the comparison; return the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        methods = parse_methods(options.methods)
        seeds = parse_seeds(options.seeds)
        data = _load(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(summary.describe(data), flush=True)
    with limited(options.threads):
        rows, best = run(data, methods, seeds, options.results)
    print("\n" + summary.as_text(rows, data), flush=True)
    arguments = sys.argv[1:] if argv is None else argv
    info = {"command": shlex.join(["python", "benchmarks/compare.py", *arguments])}
    report.write(options.out, data, rows, best, info | versions(), options.projection)
    print(f"\nReport: {Path(options.out).resolve()}")
    return int(any(row["error"] for row in rows))


def run(data, methods, seeds, results=None):
    """Fit every method with every seed; return all rows, and the best fit of each method."""
    rows, best = [], {}
    # The file is opened first: a wrong path should not be found out after an hour of fits.
    with open(results, "a", encoding="utf-8") if results else nullcontext() as file:
        for method in methods:
            for seed in seeds:
                row, fit = _fit(data, method, seed)
                rows.append(row)
                print(summary.progress(row, len(rows), len(methods) * len(seeds)), flush=True)
                if file:
                    print(json.dumps(row, default=repr), file=file, flush=True)
                score = -math.inf if row["score"] is None else row["score"]
                if fit and (method not in best or score > best[method].score):
                    best[method] = report.Fit(method, seed, score, *fit)
    return rows, best


#: What a row says of a fit; None where there is nothing to say.
MEASURES = "found", "acc", "majority", "nmi", "ari", "moved", "score", "seconds", "error"


def _fit(data, method, seed):
    """Fit once: the row of the results, and (estimator, labels) or None after a failure."""
    row = {
        "method": method,
        "seed": seed,
        "data": data.name,
        "n_samples": data.X.shape[0],
        "n_features": data.X.shape[1],
        "n_clusters": data.n_clusters,
        **dict.fromkeys(MEASURES),
        "warnings": [],
        "settings": {},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        **versions(),
    }
    X = data.X.toarray() if issparse(data.X) and method in DENSE_ONLY else data.X
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = METHODS[method](data.n_clusters, seed, data)
            row["settings"] = estimator.get_params(deep=False)
            row |= environment(precision_of(estimator, X))
            start = time.perf_counter()
            labels = estimator.fit_predict(X)
            row["seconds"] = time.perf_counter() - start
            row |= _measure(estimator, X, data.y, labels)
        except Exception as error:  # whatever one method does, the others are still compared
            row["error"] = f"{type(error).__name__}: {error}"
    row["warnings"] = sorted({f"{w.category.__name__}: {w.message}" for w in caught})
    return row, None if row["error"] else (estimator, labels)


def _measure(estimator, X, y, labels):
    score = float(estimator.score(X))
    measured = {
        "found": len(np.unique(labels)),
        "moved": getattr(estimator, "moved_", None),
        "score": score if math.isfinite(score) else None,
    }
    if y is not None:
        measured |= judged(y, labels) | {"majority": majority_accuracy(y, labels)}
    return measured


def versions():
    """Versions of what the numbers depend on."""
    return {
        "skdeepcluster": skdeepcluster.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@cache
def commit():
    """Name the commit of this checkout, "-dirty" if it was changed; None outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _load(options):
    data = datasets.load(options.data, options.n_samples, download=options.download)
    if options.n_clusters is not None:
        data.n_clusters = options.n_clusters
    if options.image_shape is not None:
        data.image_shape = tuple(int(n) for n in options.image_shape.lower().split("x"))
        if math.prod(data.image_shape) != data.X.shape[1]:
            raise ValueError(f"--image-shape {options.image_shape}: {data.X.shape[1]} features.")
    return data


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", default="digits", help=f"{', '.join(datasets.NAMES)}, FILE.npz or FILE.csv")
    add("--methods", nargs="+", help=f"of {', '.join(METHODS)}; all by default")
    add("--n-clusters", type=int, help="the number of classes by default, 8 without labels")
    add("--seeds", default="0-2", help='a range "0-4", a list "0,2,7" or a count "3" (0, 1, 2)')
    add("--n-samples", type=int, help="a random subsample (the same for all methods and seeds)")
    add("--out", default="report.html", help="the HTML report (%(default)s)")
    add("--results", help="append a JSON line per fit to this file")
    add("--image-shape", help="of rows that are images, as 28x28 or 3x32x32")
    projections = {"choices": ["neighbors", "pca", "tsne"], "default": "neighbors"}
    add("--projection", **projections, help="of the embeddings (%(default)s)")
    add("--threads", type=int, help="threads of torch, BLAS and OpenMP; their own choice if left")
    add("--download", action="store_true", help="fetch missing mnist, fashion_mnist from openml")
    return parser


if __name__ == "__main__":
    sys.exit(main())
