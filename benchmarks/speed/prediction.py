"""Predictions per second, compared with a bare forward pass of the same network.

``python benchmarks/speed/prediction.py`` predicts a million samples. The bare pass runs in blocks
of 256 samples, as ``predict`` does, and in the fastest of a few block sizes.
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import make_blobs
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS, NETWORKS
from lib.options import parser
from lib.records import keep

N_FITTED = 5000
BLOCKS = 256, 1024, 4096


def fitted(method, X, widths):
    """Return an estimator after one epoch, if possible from an arbitrary partition."""
    estimator = METHODS[method](Bunch(X=X), 10, 0)
    estimator.set_params(hidden_layer_sizes=widths, max_epochs=1, device="cpu")
    if "pretraining_epochs" in estimator.get_params():
        estimator.set_params(init=np.arange(len(X)) % 10, pretraining_epochs=1)
    return estimator.fit(X)


def bare(model, X, block):
    """Return the labels of all samples, block by block."""
    with torch.inference_mode():
        blocks = torch.from_numpy(X).split(block)
        return torch.cat([model.log_resp(samples).argmax(1) for samples in blocks]).numpy()


def per_second(function, X):
    """Return the samples per second of a function of X."""
    started = time.perf_counter()
    function(X)
    return len(X) / (time.perf_counter() - started)


def measured(estimator, X, repeats):
    """Return the medians of samples per second of ``predict`` and of each block size."""
    ways = {"predict": estimator.predict}
    for block in BLOCKS:
        ways[block] = lambda X, block=block: bare(estimator.model_, X, block)
    for way in ways.values():
        way(X[:N_FITTED])
    found = [{name: per_second(way, X) for name, way in ways.items()} for _ in range(repeats)]
    return {name: round(float(np.median([speeds[name] for speeds in found]))) for name in ways}


def main(arguments=None):
    """Measure every method and network."""
    made = parser(__doc__)
    made.add_argument("--methods", nargs="+", choices=NETWORKS, default=NETWORKS)
    made.add_argument("--widths", nargs="+", type=int, help="of one network instead of two")
    made.add_argument("--samples", type=int, default=1_000_000)
    made.add_argument("--repeats", type=int, default=3)
    options = made.parse_args(arguments)
    X = make_blobs(options.samples, 50, centers=10, random_state=0)[0].astype(np.float32)
    widths = [tuple(options.widths)] if options.widths else [(500, 500, 2000), (64, 64)]
    for method, sizes in itertools.product(options.methods, widths):
        speeds = measured(fitted(method, X[:N_FITTED], sizes), X, options.repeats)
        best = max(BLOCKS, key=speeds.get)
        record = {"row": method, "network": "-".join(map(str, sizes)), "n_samples": len(X)}
        record |= {"predict": speeds["predict"], "bare": speeds[256]}
        keep(record | {"best_block": best, "best_bare": speeds[best]}, "float32", options.out)


if __name__ == "__main__":
    main()
