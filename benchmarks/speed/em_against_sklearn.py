"""An iteration of EM beside one of scikit-learn's, from the same start.

    OMP_NUM_THREADS=2 python benchmarks/speed/em_against_sklearn.py

Both fit 70,000 x 50 rows in float64 with 10 components, for the same number of iterations, in one
process and with two threads, by turns. Prints the seconds of one iteration (the median of repeats)
and their ratio; the difference of two fits of different length leaves out what is not EM. The
"ratio of fits" is that of the longer fits as a whole.
"""

import statistics
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.fits import timed
from lib.options import bare_parser
from lib.records import keep
from lib.threads import limited

from skdeepcluster import GaussianMixtureEM

N, D, K = 70_000, 50, 10


def start(X, covariance_type):
    """Return the same start for both, so that neither looks for one."""
    precisions = {
        "full": np.stack([np.eye(D)] * K),
        "tied": np.eye(D),
        "diag": np.ones((K, D)),
        "spherical": np.ones(K),
    }[covariance_type]
    return {
        "covariance_type": covariance_type,
        "weights_init": np.full(K, 1 / K),
        "means_init": X[:K],
        "precisions_init": precisions,
        "tol": 0.0,
    }


def seconds(estimator, X):
    """Return the seconds of a fit and its lower bound."""
    fitted, taken = timed(estimator.fit, X)
    return taken, fitted.lower_bound_


def measured(X, covariance_type, repeats, iterations):
    """Return the record of a covariance type: medians over repeats, the two taking turns."""
    settings = start(X, covariance_type)
    kinds = {"sklearn": GaussianMixture, "ours": GaussianMixtureEM}
    times, whole = {name: [] for name in kinds}, {name: [] for name in kinds}
    for _ in range(repeats):
        bounds = []
        for name, kind in kinds.items():
            short, _ = seconds(kind(K, max_iter=1, **settings), X)
            long, bound = seconds(kind(K, max_iter=1 + iterations, **settings), X)
            times[name].append((long - short) / iterations)
            whole[name].append(long)
            bounds.append(bound)
    sklearn, ours = (statistics.median(times[name]) for name in kinds)
    fits = statistics.median(whole["ours"]) / statistics.median(whole["sklearn"])
    return {
        "row": covariance_type,
        "sklearn": round(sklearn, 4),
        "ours": round(ours, 4),
        "ratio": round(ours / sklearn, 3),
        "ratio_of_fits": round(fits, 3),
        "iterations": 1 + iterations,
        "same_bound": bool(np.isclose(*bounds, rtol=1e-9)),
    }


def main():
    """Print a JSON line per covariance type."""
    parser = bare_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    stream = np.random.RandomState(0)
    X = 2 * stream.randn(K, D)[stream.randint(K, size=N)] + stream.randn(N, D)
    with limited(options.threads):
        for covariance_type in ("full", "tied", "diag", "spherical"):
            record = measured(X, covariance_type, options.repeats, options.iterations)
            keep(record, str(X.dtype), options.results)


if __name__ == "__main__":
    main()
