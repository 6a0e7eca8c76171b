"""Seconds and memory of a fit over the number of rows, from a memory map.

``python benchmarks/speed/growth_with_rows.py --rows 1000 10000 100000 1000000`` draws rows of ten
Gaussians with 50 features, writes them to a file, and fits every method to a memory map of it,
each in a process of its own. "seconds" are those of ``fit_predict``; "memory" is the most that the
process asked for above what it had before the fit, in MB, without the pages of the file, which
the system may drop. The slope of log seconds over log rows between the two largest sizes is
printed: at most 1 is linear growth.
``--picture FILE`` draws both curves. Networks have two hidden layers of 64.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.internals import COLORS, precision_of
from lib.methods import METHODS
from lib.networks import CHUNK, CLUSTERS, FEATURES, fill
from lib.options import bare_parser
from lib.records import in_own_process, keep

from skdeepcluster.metrics import clustering_accuracy

OURS = [name for name in METHODS if name not in {"KMeans", "GaussianMixture"}]


def write(path, n_rows):
    """Write a mixture's rows to a file; return the components."""
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, FEATURES))
    y = fill(X)
    X.flush()
    return y


def anonymous():
    """Memory that this process asked for, without files, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


class Peak(threading.Thread):
    """Looks at the memory every few milliseconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.most = anonymous()
        self.done = threading.Event()

    def run(self):
        """Keep the largest."""
        while not self.done.wait(0.01):
            self.most = max(self.most, anonymous())


def fit(method, path):
    """Fit in this process; print what it took as JSON."""
    X = np.load(path, mmap_mode="r")
    data = Bunch(X=X[:CHUNK], n_clusters=CLUSTERS, name="mixture")
    estimator = METHODS[method](CLUSTERS, 0, data)
    if "hidden_layer_sizes" in estimator.get_params():
        estimator.set_params(hidden_layer_sizes=(64, 64))
    peak = Peak()
    peak.start()
    started = time.perf_counter()
    labels = estimator.fit_predict(X)
    seconds = time.perf_counter() - started
    peak.done.set()
    peak.join()
    np.save(f"{path}.labels.npy", labels)
    found = {"seconds": round(seconds, 2), "memory": round(peak.most - peak.before, 2)}
    print(json.dumps(found | {"precision": precision_of(estimator, X)}))


def measured(method, path, y):
    """Fit in a new process; return its record."""
    found = in_own_process(__file__, "--fit", method, path)
    acc = clustering_accuracy(y, np.load(f"{path}.labels.npy"))
    return {"row": method, "n_samples": len(y), "acc": acc, **found}


def slope(records):
    """Growth of log seconds with log rows between the two largest sizes."""
    (n, a), (m, b) = ((r["n_samples"], r["seconds"]) for r in records[-2:])
    return np.log(b / a) / np.log(m / n)


def draw(found, path):
    """Draw seconds and memory over rows."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    labels = {
        "seconds": "fit and labels, seconds",
        "memory": "memory above that before the fit, MB",
    }
    for axis, (key, label) in zip(axes, labels.items(), strict=True):
        for (method, records), color, marker in zip(
            found.items(), COLORS, "os^DvP*X<>", strict=False
        ):
            sizes = [record["n_samples"] for record in records]
            style = {"label": method, "color": color, "marker": marker, "alpha": 0.8}
            axis.plot(sizes, [record[key] for record in records], **style)
        axis.set(xscale="log", yscale="log", xlabel="rows", ylabel=label)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, dpi=120)


def main():
    """Fit every method to every size, a JSON line for each."""
    parser = bare_parser(__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--methods", nargs="+", choices=OURS, default=OURS)
    parser.add_argument("--picture", type=Path, help="file for the curves")
    parser.add_argument("--fit", nargs=2, metavar=("METHOD", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        fit(*options.fit)
        return
    found = {method: [] for method in options.methods}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        for n_rows in options.rows:
            y = write(path, n_rows)
            for method, records in found.items():
                records.append(measured(method, path, y))
                keep(records[-1], records[-1]["precision"], options.results)
    for method, records in found.items():
        if len(records) > 1:
            print(f"{method}: seconds grow as rows to the power {slope(records):.2f}")
    if options.picture:
        draw(found, options.picture)


if __name__ == "__main__":
    main()
