"""What the benchmarks over seeds share: fits, a judged row, its JSON line, and the summary."""

import json
import subprocess
import sys
import time

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster.metrics import clustering_accuracy

#: What a partition that is part of another fit has of these.
NOT_TIMED = {"score": None, "seconds": None}


def timed(fit, X):
    """Return what a fit gives, and the seconds it took."""
    started = time.perf_counter()
    found = fit(X)
    return found, time.perf_counter() - started


def in_own_process(script, *arguments):
    """Run a script with arguments in a process of its own; return the JSON of its last line."""
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def prolonged(estimator, n_samples):
    """Return the estimator, set to train three times as many epochs as by default."""
    n_epochs = estimator._n_epochs(n_samples, "auto", estimator._n_steps(n_samples))
    return estimator.set_params(max_epochs=3 * n_epochs)


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
        ``rows(data, seed)`` yields (name of the row, labels, further entries of the record).
    results : Path, default=None
        File to append to.
    """
    accuracies = {}
    for seed in seeds:
        data = draw(seed)
        for row, labels, further in rows(data, seed):
            record = {
                "row": row,
                "data": data.name,
                "n_samples": data.X.shape[0],
                "seed": seed,
                **judged(data.y, labels),
                **further,
                "threads": torch.get_num_threads(),
            }
            keep(record, results)
            accuracies.setdefault(row, []).append(record["acc"])
    for row, values in accuracies.items():
        print(f"{row}: {summary(values)}")


def keep(record, results):
    """Print a record as a JSON line, and append it to the file ``results`` if there is one."""
    line = json.dumps(record)
    print(line, flush=True)
    if results:
        with results.open("a") as file:
            file.write(line + "\n")


def summary(accuracies):
    """Spread of accuracies over seeds, in a line."""
    a = np.array(accuracies)
    return (
        f"ACC median {np.median(a):.4f} mean {a.mean():.4f} std {a.std():.4f} "
        f"min {a.min():.4f} max {a.max():.4f} over {len(a)} seeds"
    )
