"""Seconds and memory of a fit over the number of samples, from a memory map.

``python benchmarks/speed/growth.py`` fits every method in a process of its own. "memory" is the
maximum of the process above its memory before the fit, in MB, without the pages of the file. Other
libraries get samples in memory, after drawn ones, so that compilation is not timed. A method that
took more than LONG seconds is not fitted to more samples.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib import clusterers
from lib.methods import METHODS, precision
from lib.options import parser
from lib.records import keep, timed

from skdeepcluster.metrics import clustering_accuracy

OURS = [name for name in METHODS if name not in {"KMeans", "GaussianMixture"}]
RIVALS = (
    "KMeans",
    "MiniBatchKMeans",
    "HDBSCAN",
    "fast_hdbscan",
    "EVoC",
    "umap-learn + HDBSCAN",
)
LONG = 100
FEATURES, CLUSTERS, CHUNK = 50, 10, 100_000


def write(path, n_samples):
    """Write samples of ten Gaussians to a file, chunk by chunk; return their components."""
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n_samples, FEATURES))
    rng = np.random.default_rng(0)
    centers = 2 * rng.standard_normal((CLUSTERS, FEATURES))
    y = rng.integers(CLUSTERS, size=n_samples)
    for start in range(0, n_samples, CHUNK):
        some = y[start : start + CHUNK]
        X[start : start + CHUNK] = centers[some] + rng.standard_normal((len(some), FEATURES))
    X.flush()
    return y


def memory():
    """Return the memory of this process without files, in MB."""
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


def watch(found, done):
    """Append the memory to a list every few milliseconds until an event is set."""
    while not done.wait(0.01):
        found.append(memory())


def prepare(method, X):
    """Return a function of samples that fits a method and returns labels."""
    if method in RIVALS:
        clusterers.warm_up(method, X, set())
        return partial(clusterers.fit, method, n_clusters=CLUSTERS, seed=0)
    estimator = METHODS[method](Bunch(X=X[:CHUNK]), CLUSTERS, 0)
    if "hidden_layer_sizes" in estimator.get_params():
        estimator.set_params(hidden_layer_sizes=(64, 64))
    return estimator.fit_predict


def fit(method, path):
    """Fit in this process; print the record as JSON."""
    X = np.load(path, mmap_mode=None if method in RIVALS else "r")
    fit_predict = prepare(method, X)
    used, done = [memory()], threading.Event()
    threading.Thread(target=watch, args=(used, done), daemon=True).start()
    labels, seconds = timed(fit_predict, X)
    done.set()
    np.save(f"{path}.labels.npy", labels)
    found = {"seconds": round(seconds, 2), "memory": round(max(used) - used[0], 2)}
    print(json.dumps(found | {"precision": precision(method, Bunch(X=X))}))


def measured(method, path, y):
    """Fit in a new process; return its record."""
    command = [sys.executable, __file__, "--fit", method, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    acc = clustering_accuracy(y, np.load(f"{path}.labels.npy"))
    head = {"row": method, "n_samples": len(y), "acc": acc}
    return head | json.loads(done.stdout.splitlines()[-1])


def main(arguments=None):
    """Fit every method to every size."""
    made = parser(__doc__)
    sizes = [1000, 10_000, 100_000, 1_000_000]
    made.add_argument("--samples", nargs="+", type=int, default=sizes, help="(%(default)s)")
    made.add_argument("--methods", nargs="+", choices=[*OURS, *RIVALS], default=OURS)
    made.add_argument("--fit", nargs=2, metavar=("METHOD", "FILE"), help="of a single process")
    options = made.parse_args(arguments)
    if options.fit:
        fit(*options.fit)
        return
    slow = set()
    methods = [name for name in options.methods if name in OURS]
    methods += clusterers.installed([name for name in options.methods if name in RIVALS])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        for n_samples in options.samples:
            y = write(path, n_samples)
            for method in methods:
                if method in slow:
                    continue
                record = measured(method, path, y)
                if record["seconds"] > LONG:
                    slow.add(method)
                keep(record, record["precision"], options.out)


if __name__ == "__main__":
    main()
