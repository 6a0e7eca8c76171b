"""Records of results: JSON lines with what was measured, and on what machine."""

import json
import platform
import subprocess
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster.metrics import clustering_accuracy

#: Threads of all fits, as OMP_NUM_THREADS sets them; some libraries change torch's number later.
N_THREADS = torch.get_num_threads()


def read(path):
    """Return the records of a file, in its order; none if there is no file."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def judged(y, labels):
    """Return ACC, NMI and ARI of labels against classes, as a dict."""
    return {
        "acc": clustering_accuracy(y, labels),
        "nmi": float(normalized_mutual_info_score(y, labels)),
        "ari": float(adjusted_rand_score(y, labels)),
    }


def calibration_error(is_right, confidence, n_bins=10):
    """Return the expected calibration error over bins of equal count.

    Samples of equal confidence count with their mean of ``is_right``.
    """
    _, index = np.unique(confidence, return_inverse=True)
    shares = np.bincount(index, is_right) / np.bincount(index)
    gaps = shares[index] - confidence
    bins = np.array_split(np.argsort(confidence, kind="stable"), n_bins)
    return float(sum(abs(gaps[rows].sum()) for rows in bins) / len(gaps))


def described(data):
    """Return the entries of a record that describe the data."""
    n_samples, n_features = data.X.shape
    sizes = {"n_samples": n_samples, "n_features": n_features, "n_clusters": data.n_clusters}
    return {"data": data.name, **sizes}


@cache
def machine():
    """Return the commit and the processor, as far as the system tells them."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{names[0]}, {len(names)} cores" if names else platform.processor()
    return {"commit": done.stdout.strip() or None, "processor": processor}


def timed(function, *arguments, clock=time.perf_counter):
    """Return what a function returns, called without warnings, and its seconds by a clock."""
    started = clock()
    with warnings.catch_warnings(action="ignore"):
        found = function(*arguments)
    return found, round(clock() - started, 3)


def environment(precision):
    """Return the entries of every record that results depend on."""
    return {"precision": precision, "threads": N_THREADS, **machine()}


def keep(record, precision, path=None):
    """Print a record as a JSON line, append it to the file `path` if given, and return it."""
    record = record | environment(precision)
    line = json.dumps(record)
    print(line, flush=True)
    if path:
        with path.open("a") as file:
            file.write(line + "\n")
    return record


def complete(path, keys, tasks):
    """Run the tasks whose records the file does not hold; return the records of all tasks.

    A task is (head, measure, precision): the entries that describe a fit, a function that returns
    the other entries, and the precision of the fit. `keys` are the entries that tell fits apart;
    fits with another number of threads and fits that failed, whose "error" is a text, are run
    again.
    """
    asked = []
    found = {
        tuple(record[name] for name in keys): record
        for record in read(path)
        if record["threads"] == N_THREADS and not isinstance(record.get("error"), str)
    }
    for head, measure, precision in tasks:
        own = tuple(head[name] for name in keys)
        if own not in found:
            found[own] = keep(head | measure(), precision, path)
        asked.append(found[own])
    return asked
