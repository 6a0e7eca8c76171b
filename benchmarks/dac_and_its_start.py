"""DAC by default, its start alone, as published, and without one of its losses.

``python benchmarks/dac_and_its_start.py --data mnist --seeds 0-4`` prints, per seed, the rows

- "default": DACClustering with its defaults, and "the start alone", the partition it began with;
- "long": three times as many epochs, for drift and for codes that inflate;
- "no adversary", "no mixture", "no reconstruction": that loss's weight at 0;
- "as published": init="mixture", nothing of ours, and "mixture on the codes", its start.

All rows of a seed share one pretraining: the seconds of the first one hold it, those of the
others do not. "spread" is the mean standard deviation of a code's dimensions, "least" the
smallest one. ``--rows`` chooses among default, long, no_adversary, no_mixture, no_reconstruction
and published. ``--keep FOLDER`` stores the default's fit there for ``single_and_ensemble.py``.
No label is used but to count.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from compare import parse_seeds
from datasets import load
from pretrained import SharedPretraining, fitted, path_of_fit
from scipy import sparse
from seeds import NOT_TIMED, over_seeds, prolonged

from skdeepcluster import DACClustering

ROWS = {
    "default": ("default", {}),
    "long": ("long", {}),
    "no_adversary": ("no adversary", {"adversarial_weight": 0.0}),
    "no_mixture": ("no mixture", {"mixture_weight": 0.0}),
    "no_reconstruction": ("no reconstruction", {"reconstruction_weight": 0.0}),
    "published": ("as published", {"init": "mixture"}),
}
STARTS = {"default": "the start alone", "published": "mixture on the codes"}


class DAC(SharedPretraining, DACClustering):
    """DACClustering whose fits with one seed share their pretraining."""


def rows(data, seed, wanted, precision, folder=None):
    """Yield (row, labels, score, seconds and spread of the codes)."""
    for key in wanted:
        name, settings = ROWS[key]
        dac = DAC(
            data.n_clusters,
            precision=precision,
            accept_sparse=sparse.issparse(data.X),
            random_state=seed,
            **settings,
        )
        if key == "long":
            prolonged(dac, data.X.shape[0])
        kept = fitted(dac, data)
        if key == "default" and folder:
            np.savez_compressed(path_of_fit(folder, data, "DACClustering", seed), **kept)
        if key in STARTS:
            yield STARTS[key], kept["start"], NOT_TIMED
        spread = dac.transform(data.X).std(axis=0)
        found = {
            "score": kept["score"],
            "seconds": kept["seconds"],
            "warnings": kept["warnings"],
            "spread": float(spread.mean()),
            "least": float(spread.min()),
        }
        yield name, dac.labels_, found


def main():
    """Run the seeds one after another, a JSON line for each row, then a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--precision", default="float32", help="of the training steps")
    parser.add_argument("--keep", type=Path, help="folder of finished fits")
    parser.add_argument("--results", type=Path, help="file to append JSON lines to")
    options = parser.parse_args()
    data = load(options.data)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    over_seeds(
        parse_seeds(options.seeds),
        lambda seed: data,
        partial(rows, wanted=options.rows, precision=options.precision, folder=options.keep),
        options.results,
    )


if __name__ == "__main__":
    main()
