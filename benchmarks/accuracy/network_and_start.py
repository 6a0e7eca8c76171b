"""What training a network adds to its start, and what a plain classifier adds to the same start.

    python benchmarks/accuracy/network_and_start.py --sets eleven --seeds 0-2 --out gains.jsonl

Fits every network at its defaults, with K given, to every set with every seed. A JSON line for
each fit has the ACC and ARI of the clusters at the start, of the network and of the control; the
share of rows that the network moved; the expected calibration error of its probabilities; seconds
of the fit. The control is scikit-learn's MLPClassifier, trained on the clusters of the start by
cross-entropy alone: two hidden layers of the network's width, as many steps as CatGAN makes.
Labels judge and do nothing else. Fits that the file holds are not run again.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.earnings import table
from lib.methods import METHODS, NETWORKS
from lib.options import parse_seeds
from lib.records import judged, keep, read
from lib.sets import load_set, parse_sets

from skdeepcluster.metrics import expected_calibration_error, match_labels

#: Epochs of the control: CatGAN's, in batches of the square root of the number of rows.
CONTROL_EPOCHS = 12


def control(fit, X, seed):
    """Return the labels that a plain classifier of a fit's start predicts."""
    rows = fit._map("standardize", X)
    batch_size = min(fit.batch_size_, len(rows))
    classifier = MLPClassifier(
        fit.hidden_layer_sizes_[:2],
        batch_size=batch_size,
        max_iter=CONTROL_EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many steps as the network's
        return classifier.fit(rows, fit.start_labels_).predict(rows)


def measure(method, data, seed):
    """Fit a network; return what it, its start and the control are worth."""
    began = time.perf_counter()
    fit = METHODS[method](data.n_clusters, seed, data).fit(data.X)
    seconds = round(time.perf_counter() - began, 2)
    probabilities = fit.predict_proba(data.X)
    right = match_labels(data.y, fit.labels_) == data.y
    own, start = judged(data.y, fit.labels_), judged(data.y, fit.start_labels_)
    plain = judged(data.y, control(fit, data.X, seed))
    return own | {
        "start_acc": start["acc"],
        "start_ari": start["ari"],
        "control_acc": plain["acc"],
        "control_ari": plain["ari"],
        "moved": fit.moved_,
        "ece": expected_calibration_error(right, np.asarray(probabilities.max(1), dtype=float)),
        "seconds": seconds,
    }


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--sets", nargs="+", default=["eleven"], help="names, or groups of sets (%(default)s)")
    add("--methods", nargs="+", default=NETWORKS, choices=NETWORKS, help="(all networks)")
    add("--seeds", default="0-2", help='"0-4", "0,2,7", or a count "3" (%(default)s)')
    add("--out", type=Path, help="file to append JSON lines to, and to go on from")
    options = parser.parse_args(arguments)
    try:
        options.sets, options.seeds = parse_sets(options.sets), parse_seeds(options.seeds)
    except ValueError as error:
        parser.error(str(error))
    return options


def main(options):
    """Run what is missing, then print the table."""
    found = read(options.out)
    done = {(r["data"], r["row"], r["seed"]) for r in found}
    for name in options.sets:
        try:
            data = load_set(name)
        except FileNotFoundError as error:
            print(f"{name}: skipped. {error}")
            continue
        if issparse(data.X):
            data.X = data.X.toarray()
        for seed in options.seeds:
            for method in options.methods:
                if (name, method, seed) in done:
                    continue
                record = {"row": method, "data": name, "n_samples": len(data.X), "seed": seed}
                record |= measure(method, data, seed)
                keep(record, "float32", options.out)
                found.append(record)
    print(f"\n{table(found)}" if found else "No fits.")


if __name__ == "__main__":
    main(parsed())
