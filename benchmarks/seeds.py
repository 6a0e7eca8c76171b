"""What the benchmarks over seeds share: a judged row, its JSON line, and the summary."""

import json

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster.metrics import clustering_accuracy


def judged(y, labels):
    """ACC, NMI and ARI of labels against classes, as a dict."""
    return {
        "acc": clustering_accuracy(y, labels),
        "nmi": normalized_mutual_info_score(y, labels),
        "ari": adjusted_rand_score(y, labels),
    }


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
