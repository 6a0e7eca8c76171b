"""Fits with their seconds and warnings, and the files in which scripts keep them."""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .internals import n_epochs


def timed(fit, X):
    """Return what a fit gives, and the seconds it took."""
    started = time.perf_counter()
    found = fit(X)
    return found, time.perf_counter() - started


def prolonged(estimator, n_samples):
    """Return the estimator, set to train three times as many epochs as by default."""
    return estimator.set_params(max_epochs=3 * n_epochs(estimator, n_samples))


def fitted(estimator, X):
    """Fit; return the labels, the seconds and the first lines of convergence warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        labels, seconds = timed(estimator.fit_predict, X)
    return labels, seconds, [str(warning.message).splitlines()[0] for warning in caught]


def kept_of(estimator, X, labels, seconds, warned):
    """Everything of a fit that is kept in a file, as arrays."""
    if hasattr(estimator, "predict_proba"):
        memberships = estimator.predict_proba(X).astype(np.float32)
    else:
        memberships = np.eye(estimator.n_clusters, dtype=np.float32)[labels]
    kept = {
        "memberships": memberships,
        "score": estimator.score(X),
        "seconds": seconds,
        "warnings": warned,
    }
    if getattr(estimator, "start_labels_", None) is not None:
        kept["start"] = estimator.start_labels_
    return kept


def path_of_fit(folder, data, method, seed):
    """File of a fit that the scripts with ``--keep FOLDER`` keep."""
    return folder / f"{data.name}_{len(data.y)}_{method}_{seed}.npz"


def kept_start(folder, data, seed, method="VaDEClustering"):
    """Return the start of a kept fit, the cluster of each row."""
    return np.load(path_of_fit(folder, data, method, seed))["start"]
