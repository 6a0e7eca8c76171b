"""A prediction costs a forward pass: rows per second of both, measured in turn in one process.

``OMP_NUM_THREADS=2 python benchmarks/predict_costs_a_forward_pass.py`` fits every network method
for one epoch to some rows of a synthetic mixture with 50 features, then predicts a million rows.
The bare pass is the model's own answer under ``torch.inference_mode``, once on blocks of 256 rows,
as ``predict`` takes them, and once on the blocks that are fastest of a few sizes.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch
from compare import METHODS
from epoch_costs_a_bare_loop import NETWORKS, WIDTHS
from fits_grow_linearly import CHUNK, CLUSTERS, FEATURES, mixture_rows
from seeds import keep
from sklearn.utils import Bunch

#: Rows that a network is fitted to: what an answer costs does not depend on it.
FITTED = 5000
#: Rows to a block of the bare pass.
BLOCKS = 256, 1024, 4096


def drawn(n_rows):
    """Return rows of a mixture, (n_rows, FEATURES), float32."""
    X = np.empty((n_rows, FEATURES), dtype=np.float32)
    for rows, values, _ in mixture_rows(n_rows, CHUNK):
        X[rows] = values
    return X


def fitted(method, X, widths):
    """Return an estimator of the method after one epoch, from an arbitrary partition."""
    estimator = METHODS[method](CLUSTERS, 0, Bunch(X=X, n_clusters=CLUSTERS, name="mixture"))
    estimator.set_params(hidden_layer_sizes=widths, max_epochs=1)
    if "pretraining_epochs" in estimator.get_params():
        estimator.set_params(init=np.arange(len(X)) % CLUSTERS, pretraining_epochs=1)
    return estimator.fit(X)


def bare(model, X, block):
    """Return the labels of all rows, block by block, as one would write it by hand."""
    with torch.inference_mode():
        parts = (
            model.log_resp(torch.from_numpy(X[i : i + block])).argmax(1)
            for i in range(0, len(X), block)
        )
        return torch.cat(list(parts)).numpy()


def rows_per_second(function, X):
    """Rows per second of a function of X."""
    started = time.perf_counter()
    function(X)
    return len(X) / (time.perf_counter() - started)


def measured(estimator, X, repeats):
    """Return rows per second of ``predict`` and of the bare pass by block, each (repeats,)."""
    ways = {"predict": estimator.predict}
    for block in BLOCKS:
        ways[block] = lambda X, block=block: bare(estimator.model_, X, block)
    for way in ways.values():
        way(X[:FITTED])
    found = [{name: rows_per_second(way, X) for name, way in ways.items()} for _ in range(repeats)]
    return {name: np.array([speeds[name] for speeds in found]) for name in ways}


def main():
    """Print a JSON line for each method and network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--widths", nargs="+", type=int, help="of one network, instead of two")
    parser.add_argument("--results", type=Path, help="file to append JSON lines to")
    options = parser.parse_args()
    X = drawn(options.rows)
    widths = [tuple(options.widths)] if options.widths else WIDTHS
    for method, sizes in itertools.product(options.methods, widths):
        estimator = fitted(method, X[:FITTED], sizes)
        speeds = measured(estimator, X, options.repeats)
        best = max(BLOCKS, key=lambda block: np.median(speeds[block]))
        ratios = {
            "same": speeds["predict"] / speeds[256],
            "best": speeds["predict"] / speeds[best],
        }
        record = {
            "row": method,
            "network": "-".join(map(str, sizes)),
            "n_samples": len(X),
            "predict": round(float(np.median(speeds["predict"]))),
            "bare": round(float(np.median(speeds[256]))),
            "best_block": best,
            "best_bare": round(float(np.median(speeds[best]))),
            **{f"of_{name}": np.round(values, 3).tolist() for name, values in ratios.items()},
            "threads": torch.get_num_threads(),
        }
        keep(record, options.results)


if __name__ == "__main__":
    main()
