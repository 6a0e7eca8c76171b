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
from skdeepcluster.functional import random
from skdeepcluster.modules.augmentation import RandomAffine
from skdeepcluster.parallel import data_parallel

N_ROWS, N_CLUSTERS = 256, 4
SMALL = {"hidden_layer_sizes": (24, 16), "batch_size": 64, "max_epochs": 2, "random_state": 0}
# The initial partition is given: a search may number clusters differently after rounding.
START = {"pretraining_epochs": 1, "init": np.arange(N_ROWS) // 16 % N_CLUSTERS}
METHODS = {
    "VAEEmbedding": {},
    "VaDEClustering": START,
    "DACClustering": START,
    "InfoGANClustering": START,
    "CatGANClustering": START | {"layer_noise": 0.1, "augment": RandomAffine((1, 8, 8))},
    "CatGANClassifier": {"init": None},
}


def data():
    """Return images of four digits, and labels of ten of them for the classifier."""
    X, y = load_digits(n_class=N_CLUSTERS, return_X_y=True)
    X, y = X[:N_ROWS] / 16, y[:N_ROWS]
    return X, np.where(np.arange(N_ROWS) < 10, y, -1)


def fitted(name, **settings):
    """Return a fit of two epochs."""
    X, y = data()
    settings = SMALL | METHODS[name] | settings
    if name != "CatGANClassifier":
        settings["n_clusters"] = N_CLUSTERS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # clusters may be empty after two epochs
        return getattr(skdeepcluster, name)(**settings).fit(X, y)


def refused(state):
    """Return the error for processes with different data."""
    X, _ = data()
    try:
        skdeepcluster.VAEEmbedding(2).fit(X[: N_ROWS - state.process_index])
    except ValueError as error:
        return str(error)
    return "nothing"


def find_nothing(*_, **__):
    """Stand in for the search of an initial partition, which is the main process's task."""
    raise TypeError("no initial partition")


def failure(state):
    """Return the error if the main process finds no initial partition."""
    skdeepcluster.NeighborClustering.fit = find_nothing
    try:
        fitted("VaDEClustering", init="neighbors")
    except TypeError as error:
        return str(error)
    return "nothing"


class DrawNoise(Callback):
    """Draws from the generators of a training."""

    def on_train_begin(self, net, **_):
        self.noise = random.randn((5,), torch.device("cpu"))


def main(folder):
    """Fit all methods in every process and save this process's results."""
    torch.set_num_threads(1)
    with data_parallel() as state:
        if not state.is_main_process:
            skdeepcluster.NeighborClustering.fit = find_nothing
        found = {name: fitted(name) for name in METHODS}
        found["started"] = fitted("VaDEClustering", init="neighbors")
        draw = DrawNoise()
        fitted("VaDEClustering", callbacks=[draw])
        found |= {"refused": refused(state), "noise": draw.noise, "failure": failure(state)}
    (Path(folder) / f"{state.process_index}.pkl").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
