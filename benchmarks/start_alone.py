"""The neighbour start alone: accuracy of the partition that later methods begin from.

``python benchmarks/start_alone.py --data mnist --seeds 0-4`` trains a denoising auto-encoder per
seed and divides its codes by the neighbour start; no label is used but to count.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from compare import parse_seeds
from datasets import load
from seeds import over_seeds

from skdeepcluster.engine.batches import Rows, map_rows
from skdeepcluster.engine.net import train
from skdeepcluster.engine.randomness import generator, seeded
from skdeepcluster.modules.autoencoder import Autoencoder, GaussianEncoder
from skdeepcluster.modules.likelihood import Bernoulli
from skdeepcluster.modules.networks import mlp
from skdeepcluster.neighbors import neighbor_start


def denoising_codes(X, seed, max_epochs, n_components=10):
    """Train D-500-500-2000-10 on masked rows; return the codes of X."""
    n_features = X.shape[1]
    with seeded(seed):
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
            weight_decay=1e-4,
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
    start = neighbor_start(codes, data.n_clusters, random_state=seed, n_jobs=-1)
    seconds = {"seconds_codes": trained - started, "seconds_start": time.perf_counter() - trained}
    yield "the start alone", start.labels, seconds


def main():
    """Run the seeds one after another, a JSON line each, then a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="data in [0, 1], as in compare.py")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--max-epochs", type=int, default=29)
    parser.add_argument("--codes", type=Path, help="folder that keeps codes between runs")
    parser.add_argument("--results", type=Path, help="file to append JSON lines to")
    options = parser.parse_args()
    data = load(options.data)
    settings = {"max_epochs": options.max_epochs, "folder": options.codes}
    seeds = parse_seeds(options.seeds)
    over_seeds(seeds, lambda seed: data, partial(rows, **settings), options.results)


if __name__ == "__main__":
    main()
