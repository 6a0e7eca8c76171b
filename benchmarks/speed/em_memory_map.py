"""Claim: EM on a memory map of 4,000,000 x 50 float32 needs less than 600 MB of memory.

    python benchmarks/speed/em_memory_map.py
    python benchmarks/speed/em_memory_map.py --n-samples 10000000 --features 20

Writes the map (800 MB) to a temporary folder and fits it in processes of their own: a few
iterations by ``fit``, and one pass of ``partial_fit`` in batches of 10,000 rows. Prints the peak
of resident memory above that after the imports, pages of the map included, the seconds, and how
far the log-likelihood of 100,000 rows lies below that under the true mixture, in nats per row.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import bare_parser
from lib.records import in_own_process, keep

from skdeepcluster import GaussianMixtureEM

K, CHUNK, BATCH, JUDGED = 10, 100_000, 10_000, 100_000


def mixture(n_features):
    """Return the true mixture: K unit Gaussians."""
    centers = 3 * np.random.default_rng(0).standard_normal((K, n_features))
    ones = np.ones((K, n_features))
    true = GaussianMixtureEM(K, covariance_type="diag", means_init=centers, precisions_init=ones)
    return centers, true.set_params(weights_init=np.full(K, 1 / K), max_iter=0).fit(centers)


def write(path, n_samples, centers):
    """Write rows of the mixture to a file, chunk by chunk."""
    stream = np.random.default_rng(1)
    with path.open("wb") as file:
        for start in range(0, n_samples, CHUNK):
            n = min(CHUNK, n_samples - start)
            noise = stream.standard_normal((n, centers.shape[1]), dtype=np.float32)
            noise += centers[stream.integers(K, size=n)]
            noise.tofile(file)


def peak():
    """Most resident memory of this process so far, in MB."""
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024


def fit(path, n_samples, n_features, covariance_type, iterations):
    """Fit in this process; print what it took as JSON. No iterations: ``partial_fit``."""
    warnings.simplefilter("ignore")
    X = np.memmap(path, dtype=np.float32, mode="r", shape=(n_samples, n_features))
    GaussianMixtureEM(2, max_iter=1).fit(np.random.RandomState(0).randn(2000, n_features))
    before, begin = peak(), time.perf_counter()
    em = GaussianMixtureEM(K, covariance_type=covariance_type, tol=0, random_state=0)
    if iterations:
        em.set_params(max_iter=iterations).fit(X)
    else:
        for i in range(0, n_samples, BATCH):
            em.partial_fit(X[i : i + BATCH])
    seconds, memory = time.perf_counter() - begin, peak() - before
    missing = mixture(n_features)[1].score(X[:JUDGED]) - em.score(X[:JUDGED])
    found = {"steps": em.n_iter_, "seconds": round(seconds, 1), "memory": round(memory)}
    print(json.dumps(found | {"nats_below_the_truth": round(missing, 4)}))


def main():
    """Print a JSON line per covariance type and way."""
    parser = bare_parser(__doc__)
    parser.add_argument("--n-samples", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--types", nargs="+", default=["full", "diag"])
    parser.add_argument("--fit", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        path, n_samples, n_features, kind, iterations = options.fit
        fit(path, int(n_samples), int(n_features), kind, int(iterations))
        return
    size = options.n_samples, options.features
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X"
        write(path, options.n_samples, mixture(options.features)[0])
        for kind in options.types:
            for row, iterations in (("fit", options.iterations), ("partial_fit", 0)):
                found = in_own_process(__file__, "--fit", path, *size, kind, iterations)
                names = {"row": row, "n_samples": size[0], "n_features": size[1]}
                keep(names | {"covariance_type": kind} | found, "float32", options.results)


if __name__ == "__main__":
    main()
