"""Records of results: a judged row, its JSON line, and the spread over seeds."""

import json
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster.metrics import clustering_accuracy

#: What a partition that is part of another fit has of these.
NOT_TIMED = {"score": None, "seconds": None}


def in_own_process(script, *arguments):
    """Run a script with arguments in a process of its own; return the JSON of its last line."""
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def read(path):
    """Return the records of a file, in its order; none if there is no file."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def judged(y, labels):
    """ACC, NMI and ARI of labels against classes, as a dict."""
    return {
        "acc": clustering_accuracy(y, labels),
        "nmi": float(normalized_mutual_info_score(y, labels)),
        "ari": float(adjusted_rand_score(y, labels)),
    }


def over_seeds(seeds, draw, rows, results=None):
    """Run seed after seed, a JSON line for each row, then print the spread of every row.

    Parameters
    ----------
    seeds : iterable of int
    draw : callable
        ``draw(seed)`` gives the data.
    rows : callable
        ``rows(data, seed)`` yields (name of the row, labels, further entries of the record, of
        which one is "precision").
    results : Path, default=None
        File to append to.
    """
    accuracies = {}
    for seed in seeds:
        data = draw(seed)
        for row, labels, further in rows(data, seed):
            record = {"row": row, "data": data.name, "n_samples": data.X.shape[0], "seed": seed}
            record |= judged(data.y, labels) | further
            keep(record, record["precision"], results)
            accuracies.setdefault(row, []).append(record["acc"])
    print_spreads(accuracies)


def environment(precision):
    """Entries of every record: precision of the training steps, threads, commit, processor."""
    threads = torch.get_num_threads()
    entries = {"precision": precision, "threads": threads}
    return entries | {"commit": read_commit(), "processor": read_processor()}


@cache
def read_commit():
    """Return the short name of the commit that runs; None outside of a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


@cache
def read_processor():
    """Return the name of the processor, as far as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()


def keep(record, precision, results=None):
    """Print a record as a JSON line, append it to the file ``results`` if there is one, return it.

    `precision` is that of the training steps ("float32" or "bfloat16"); of methods without
    networks the dtype of the rows. It is written to the record together with the number of
    threads, since results depend on both.
    """
    record = record | environment(precision)
    line = json.dumps(record)
    print(line, flush=True)
    if results:
        with results.open("a") as file:
            file.write(line + "\n")
    return record


def summary(accuracies):
    """Spread of accuracies over seeds, in a line."""
    a = np.array(accuracies)
    return (
        f"ACC median {np.median(a):.4f} mean {a.mean():.4f} std {a.std():.4f} "
        f"min {a.min():.4f} max {a.max():.4f} over {len(a)} seeds"
    )


def print_spreads(accuracies):
    """Print a line for each row of a dict from rows to accuracies."""
    for row, values in accuracies.items():
        print(f"{row}: {summary(values)}")
