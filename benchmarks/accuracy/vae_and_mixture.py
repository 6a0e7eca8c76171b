"""VAE + mixture, as published and with the neighbour start, over seeds.

``python benchmarks/accuracy/vae_and_mixture.py --data mnist --seeds 0-4`` trains VAEEmbedding with
its defaults once per seed, then divides the same codes both ways: "as published" (EM on the means,
the best of ten starts, by likelihood) and "neighbour start". No label is used but to count.
"""

import sys
import time
from pathlib import Path

from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import precision_of
from lib.options import parse_seeds, parser
from lib.records import over_seeds

from skdeepcluster import VAEEmbedding


def runs(data, seed):
    """Yield (row, labels, score and seconds): one training, two ways to divide its codes."""
    options = {"accept_sparse": sparse.issparse(data.X), "random_state": seed}
    vae = VAEEmbedding(data.n_clusters, start_weight=0.0, **options)
    started = time.perf_counter()
    vae.fit(data.X)
    seconds = time.perf_counter() - started
    found = {"score": vae.score(data.X), "precision": precision_of(vae, data.X)}
    yield "neighbour start", vae.labels_, found | {"seconds": seconds}
    trained = sum(record["dur"] for record in vae.history_)
    started = time.perf_counter()
    # A rate of almost zero: the codes stay, the mixture is found anew.
    vae.set_params(init="mixture", warm_start=True, max_epochs=1, learning_rate=1e-30)
    vae.fit(data.X)
    seconds = trained + time.perf_counter() - started - vae.history_[-1]["dur"]
    yield "as published", vae.labels_, found | {"score": vae.score(data.X), "seconds": seconds}


def main():
    """Run the seeds one after another, a JSON line for each row, then a summary."""
    options = parser(__doc__).parse_args()
    data = load(options.data)
    seeds = parse_seeds(options.seeds)
    over_seeds(seeds, lambda seed: data, runs, options.results)


if __name__ == "__main__":
    main()
