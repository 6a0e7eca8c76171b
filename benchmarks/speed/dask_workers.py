"""Ten million samples of a Dask array, fitted and predicted by two workers of bounded memory.

``python benchmarks/speed/dask_workers.py`` draws ten Gaussians in 20 features block by block. A
worker above its limit would be stopped. "memory" is the maximum of each worker, in MB.
"""

import resource
import sys
from pathlib import Path

import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parser
from lib.records import keep, timed

from skdeepcluster import CatGANClustering, NeighborClustering
from skdeepcluster.metrics import clustering_accuracy

CLUSTERS, FEATURES, BLOCK = 10, 20, 100_000
LIMIT = "1500MB"


def draw(n_samples):
    """Return a Dask array of samples, and one of their components."""
    centers = 1.5 * np.random.default_rng(0).standard_normal((CLUSTERS, FEATURES))

    def components(block_info=None):
        (start, stop), *_ = block_info[None]["array-location"]
        return np.random.default_rng(start).integers(CLUSTERS, size=stop - start)

    def samples(y, block_info=None):
        (start, _), *_ = block_info[0]["array-location"]
        noise = np.random.default_rng(start + 1).standard_normal((len(y), FEATURES))
        return (centers[y] + noise).astype(np.float32)

    blocks = da.core.normalize_chunks(BLOCK, (n_samples,))
    y = da.map_blocks(components, chunks=blocks, dtype=int, meta=np.empty(0, dtype=int))
    options = {"new_axis": 1, "chunks": (*blocks, (FEATURES,))}
    return y.map_blocks(samples, meta=np.empty((0, 0), np.float32), **options), y


def peak():
    """Return the maximum of the memory of this process, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(arguments=None):
    """Fit and predict by a neighbor graph and by a network."""
    made = parser(__doc__)
    made.add_argument("--n-samples", type=int, default=10_000_000, help="(%(default)s)")
    made.add_argument("--max-samples", type=int, default=20_000, help="(%(default)s)")
    options = made.parse_args(arguments)
    X, y = draw(options.n_samples)
    limits = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": LIMIT}
    with LocalCluster(dashboard_address=None, **limits) as cluster, Client(cluster) as client:
        some = NeighborClustering(CLUSTERS, max_samples=options.max_samples, random_state=0)
        some, fitting = timed(some.fit, X)
        drawn = X[: options.max_samples].compute()
        network = CatGANClustering(CLUSTERS, random_state=0)
        network, training = timed(network.fit, drawn)
        for estimator, seconds in ((some, fitting), (network, training)):
            labels, predicting = timed(lambda fit=estimator: fit.predict(X).compute())
            record = {
                "row": type(estimator).__name__,
                "n_samples": len(labels),
                "acc": clustering_accuracy(y.compute(), labels),
                "seconds": seconds,
                "predicting": predicting,
                "memory": max(client.run(peak).values()),
            }
            keep(record, str(X.dtype), options.out)


if __name__ == "__main__":
    main()
