"""Fits in one of several processes: ``torchrun --nproc_per_node 2 parallel_fits.py FOLDER``."""

import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

import skdeepcluster
import skdeepcluster._initialization
from skdeepcluster.modules.augmentation import RandomAffine
from skdeepcluster.parallel import data_parallel

N_ROWS, N_CLUSTERS = 256, 4
SMALL = {"hidden_layer_sizes": (24, 16), "batch_size": 64, "max_epochs": 2, "random_state": 0}
# A start is given, or none: one that is sought may number its clusters
# otherwise if a digit of the codes differs.
START = {"pretraining_epochs": 1, "init": np.arange(N_ROWS) // 16 % N_CLUSTERS}
METHODS = {
    "VAEEmbedding": {},
    "VaDEClustering": START,
    "DACClustering": START,
    "InfoGANClustering": START,
    "CatGANClustering": START
    | {"layer_noise": 0.1, "marginal_decay": 0.5, "augment": RandomAffine((1, 8, 8))},
    "CatGANClassifier": {"init": None},
}


def data():
    """Images of four digits, ten of them labelled for the classifier."""
    X, y = load_digits(n_class=N_CLUSTERS, return_X_y=True)
    X, y = X[:N_ROWS] / 16, y[:N_ROWS]
    return X, np.where(np.arange(N_ROWS) < 10, y, -1)


def fitted(name, **settings):
    """A fit of two passes."""
    X, y = data()
    settings = SMALL | METHODS[name] | settings
    if name != "CatGANClassifier":
        settings["n_clusters"] = N_CLUSTERS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so short a fit may leave clusters without rows
        return getattr(skdeepcluster, name)(**settings).fit(X, y)


class Weights(Callback):
    """Keeps the weights as training left them in this process."""

    def on_train_end(self, net, **_):
        """Copy them."""
        self.found = [p.detach().numpy().copy() for p in net.module_.parameters()]


def unsent():
    """Weights before the first process sends its own to all."""
    weights = Weights()
    fitted("CatGANClustering", callbacks=[weights])
    return weights.found


def refused(state):
    """What is said to processes with different data."""
    X, _ = data()
    try:
        skdeepcluster.VAEEmbedding(2).fit(X[: N_ROWS - state.process_index])
    except ValueError as error:
        return str(error)
    return "nothing"


def failure(state):
    """What is said when the first process cannot find a start."""
    skdeepcluster._initialization.partition_by_neighbors = None
    try:
        fitted("VaDEClustering", init="neighbors")
    except TypeError as error:
        return str(error)
    return "nothing"


def main(folder):
    """Fit all methods, as every process does, and keep what this one got."""
    torch.set_num_threads(1)
    with data_parallel() as state:
        if not state.is_main_process:
            skdeepcluster._initialization.partition_by_neighbors = None  # the first one's business
        found = {name: fitted(name) for name in METHODS}
        found["started"] = fitted("VaDEClustering", init="neighbors")
        found["unsent"] = unsent()
        found |= {"refused": refused(state), "failure": failure(state)}
    (Path(folder) / f"{state.process_index}.pkl").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
