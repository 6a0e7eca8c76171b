"""Fits that share what comes before them: an auto-encoder, or a start, for all rows of a seed."""

import copy

import numpy as np

from skdeepcluster.engine.randomness import draw_seed
from skdeepcluster.modules.autoencoder import Autoencoder


class SharedPretraining:
    """Mixin in front of an estimator: the first fit with a seed trains, later ones copy it.

    All fits must have networks of the same shape, and the same data.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.trained = {}

    def _pretrain(self, encoder, decoder, likelihood, X, random_state):
        autoencoder = Autoencoder(encoder, decoder, likelihood)
        if self.random_state in self.trained:
            autoencoder.load_state_dict(self.trained[self.random_state])
            draw_seed(random_state)  # what training would have drawn: the start stays the same
            return autoencoder, False
        done = super()._pretrain(encoder, decoder, likelihood, X, random_state)
        self.trained[self.random_state] = copy.deepcopy(autoencoder.state_dict())
        return done


def path_of_fit(folder, data, method, seed):
    """File of a fit that ``single_and_ensemble.py --keep FOLDER`` keeps."""
    return folder / f"{data.name}_{len(data.y)}_{method}_{seed}.npz"


def kept_start(folder, data, seed, method="VaDEClustering"):
    """Return the start of a kept fit, the cluster of each row."""
    return np.load(path_of_fit(folder, data, method, seed))["start"]
