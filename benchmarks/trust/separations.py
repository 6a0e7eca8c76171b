"""EM on clusters that lie farther and farther apart, next to scikit-learn's.

    OMP_NUM_THREADS=1 python benchmarks/trust/separations.py --out results.jsonl

Three unit clusters in three features, with centers up to 1e4 standard deviations apart. Both
start at the true centers, since their initializations differ.
"""

import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse, parser
from lib.records import complete, timed
from lib.tables import as_frame, pivot
from sklearn.mixture import GaussianMixture

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.metrics import clustering_accuracy

KINDS = {"GaussianMixture": GaussianMixture, "GaussianMixtureEM": GaussianMixtureEM}
TYPES = "full", "tied", "diag", "spherical"
GAPS = [10.0**power for power in range(5)]
#: Largest fall of a lower bound, relative to its magnitude, that counts as rounding.
ROUNDING = 1e-8


def draw(gap, seed):
    """Return samples, the centers of clusters, which take turns, and what is added to these."""
    noise = np.random.RandomState(seed).standard_normal((200, 3, 3))
    centers = gap * np.eye(3)
    return (centers + noise).reshape(600, 3), centers, noise


def variances(noise, covariance_type):
    """Return the variances within clusters, shared as a covariance type shares them."""
    found = noise.var(axis=0)
    if covariance_type == "tied":
        return found.mean(axis=0)
    return found.mean(axis=1) if covariance_type == "spherical" else found


def measure(kind, covariance_type, gap, seed):
    """Return accuracy, the largest relative error of a variance and whether bounds only rise."""
    X, centers, noise = draw(gap, seed)
    made = KINDS[kind](3, covariance_type=covariance_type, means_init=centers, tol=1e-6)
    try:
        fitted, _ = timed(made.set_params(random_state=seed).fit, X)
    except ValueError as error:
        return {"failure": str(error)[:200], "acc": np.nan, "variance": np.nan, "rises": False}
    bounds, found = np.asarray(fitted.lower_bounds_), np.asarray(fitted.covariances_)
    falls = -np.diff(bounds) / np.maximum(np.abs(bounds[1:]), 1)
    if covariance_type in ("full", "tied"):
        found = found.diagonal(axis1=-2, axis2=-1)
    return {
        "acc": clustering_accuracy(np.arange(600) % 3, fitted.predict(X)),
        "variance": float(np.abs(found / variances(noise, covariance_type) - 1).max()),
        "rises": bool((falls <= ROUNDING).all()),
    }


def tasks(options):
    """Yield all fits."""
    for seed, gap, name, kind in itertools.product(options.seeds, GAPS, TYPES, KINDS):
        head = {"row": kind, "covariance_type": name, "gap": f"{gap:.0e}", "seed": seed}
        yield head, partial(measure, kind, name, gap, seed), "float64"


def main(arguments=None):
    """Run all fits, then print accuracies and errors of variances."""
    options = parse(parser(__doc__, seeds="0-4"), arguments)
    found = complete(options.out, ("row", "covariance_type", "gap", "seed"), tasks(options))
    for name in TYPES:
        part = [record for record in found if record["covariance_type"] == name]
        print(f"{name}: ACC / largest relative error of a variance / share of fits that only rise")
        print(pivot(as_frame(part), "acc;variance;rises", index="gap", mean="no"))


if __name__ == "__main__":
    main()
