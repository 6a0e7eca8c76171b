"""The neighbour start alone: accuracy of the partition that later methods begin from.

``python benchmarks/accuracy/neighbor_start.py --data mnist --seeds 0-4`` trains a denoising
auto-encoder per seed and divides its codes by the neighbour start. The data must lie in [0, 1].
No label is used but to count.
"""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import (
    Autoencoder,
    Bernoulli,
    GaussianEncoder,
    Rows,
    forked,
    generator,
    map_rows,
    mlp,
    train,
)
from lib.options import parse_seeds, parser
from lib.records import over_seeds

from skdeepcluster.neighbors import find_partition


def denoising_codes(X, seed, max_epochs, n_components=10):
    """Train D-500-500-2000-10 on masked rows; return the codes of X."""
    n_features = X.shape[1]
    with forked(seed):
        model = Autoencoder(
            GaussianEncoder(mlp(n_features, 2 * n_components)),
            mlp(n_components, n_features, (2000, 500, 500)),
            Bernoulli(),
        )
        train(
            model,
            Rows(X),
            max_epochs=max_epochs,
            batch_size=min(256, len(X)),
            learning_rate=2e-3,
            generator=generator(seed),
        )
    return map_rows(model.encode, X)


def rows(data, seed, max_epochs, folder):
    """Yield one row: the partition of the codes, kept in the folder if there is one."""
    started = time.perf_counter()
    kept = folder / f"{data.name}_{seed}.npy" if folder else None
    if kept and kept.exists():
        codes = np.load(kept)
    else:
        codes = denoising_codes(data.X, seed, max_epochs)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, codes)
    trained = time.perf_counter()
    found = find_partition(codes, data.n_clusters, random_state=seed, n_jobs=-1)
    seconds = {"seconds_codes": trained - started, "seconds_start": time.perf_counter() - trained}
    labels = found.extend(codes)[0].argmax(1)
    yield "the start alone", labels, seconds | {"precision": "float32"}


def main():
    """Run the seeds one after another, a JSON line each, then a summary."""
    asked = parser(__doc__)
    asked.add_argument("--max-epochs", type=int, default=29)
    asked.add_argument("--codes", type=Path, help="folder that keeps codes between runs")
    options = asked.parse_args()
    data = load(options.data)
    settings = {"max_epochs": options.max_epochs, "folder": options.codes}
    seeds = parse_seeds(options.seeds)
    over_seeds(seeds, lambda seed: data, partial(rows, **settings), options.results)


if __name__ == "__main__":
    main()
