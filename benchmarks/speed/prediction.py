"""A prediction costs a forward pass: rows per second of both, measured in turn in one process.

``OMP_NUM_THREADS=2 python benchmarks/speed/prediction.py`` fits every network method
for one epoch to some rows of a synthetic mixture with 50 features, then predicts a million rows.
The bare pass is the model's own answer under ``torch.inference_mode``, once on blocks of 256 rows,
as ``predict`` takes them, and once on the blocks that are fastest of a few sizes.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.networks import drawn, fitted, network_parser, networks
from lib.records import keep

#: Rows that a network is fitted to: what an answer costs does not depend on it.
FITTED = 5000
#: Rows to a block of the bare pass.
BLOCKS = 256, 1024, 4096


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
    parser = network_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    X, few = drawn(options.rows).X, drawn(FITTED)
    for method, sizes in networks(options):
        estimator = fitted(method, few, sizes)
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
        }
        keep(record, "float32", options.results)


if __name__ == "__main__":
    main()
