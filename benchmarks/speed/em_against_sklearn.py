"""An iteration of EM compared with scikit-learn's, from the same initial parameters.

``python benchmarks/speed/em_against_sklearn.py`` fits both to 70,000 x 50 samples by turns. The
difference of two fits of different length leaves out what is not EM.
"""

import sys
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parser
from lib.records import keep
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from skdeepcluster import GaussianMixtureEM

N, D, K = 70_000, 50, 10
PRECISIONS = {
    "full": np.stack([np.eye(D)] * K),
    "tied": np.eye(D),
    "diag": np.ones((K, D)),
    "spherical": np.ones(K),
}


def seconds(kind, X, covariance_type, iterations):
    """Return the seconds of a fit and its lower bound."""
    initial = {"weights_init": np.full(K, 1 / K), "means_init": X[:K]}
    initial["precisions_init"] = PRECISIONS[covariance_type]
    settings = {"covariance_type": covariance_type, "tol": 0.0, "max_iter": iterations}
    started = time.perf_counter()
    estimator = kind(K, **initial, **settings).fit(X)
    return time.perf_counter() - started, estimator.lower_bound_


def measured(X, covariance_type, repeats, iterations):
    """Return the record of a covariance type: medians over repeats, the two taking turns."""
    kinds = {"sklearn": GaussianMixture, "ours": GaussianMixtureEM}
    times, whole = {name: [] for name in kinds}, {name: [] for name in kinds}
    for _ in range(repeats):
        bounds = []
        for name, kind in kinds.items():
            short, _ = seconds(kind, X, covariance_type, 1)
            long, bound = seconds(kind, X, covariance_type, 1 + iterations)
            times[name].append((long - short) / iterations)
            whole[name].append(long)
            bounds.append(bound)
    sklearn, ours = (median(times[name]) for name in kinds)
    return {
        "row": covariance_type,
        "sklearn": round(sklearn, 4),
        "ours": round(ours, 4),
        "ratio": round(ours / sklearn, 3),
        "ratio_of_fits": round(median(whole["ours"]) / median(whole["sklearn"]), 3),
        "iterations": 1 + iterations,
        "same_bound": bool(np.isclose(*bounds, rtol=1e-9)),
    }


def main(arguments=None):
    """Measure every covariance type."""
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--iterations", type=int, default=10)
    made.add_argument("--samples", type=int, default=N)
    options = made.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.RandomState(0)
    X = 2 * rng.randn(K, D)[rng.randint(K, size=options.samples)] + rng.randn(options.samples, D)
    for covariance_type in PRECISIONS:
        record = measured(X, covariance_type, options.repeats, options.iterations)
        keep(record, str(X.dtype), options.out)


if __name__ == "__main__":
    main()
