"""Fits that share what comes before them: an auto-encoder, or a start, for all rows of a seed."""

import copy
import warnings

import joblib
import numpy as np
import torch
from seeds import timed
from sklearn.exceptions import ConvergenceWarning

from skdeepcluster.engine.randomness import draw_seed
from skdeepcluster.modules.autoencoder import Autoencoder


class SharedPretraining:
    """Mixin in front of an estimator: the first fit with a seed trains, later ones copy it.

    All fits of a class must have networks of the same shape, and for each seed the same data. With
    ``folder`` set, the auto-encoders lie there, for later scripts.
    """

    folder = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.trained = {}

    def _pretrain(self, encoder, decoder, likelihood, X, random_state):
        autoencoder = Autoencoder(encoder, decoder, likelihood)
        path = self.folder and self.folder / f"{self._kind(autoencoder, X)}.pt"
        if path and path.exists():
            self.trained[self.random_state] = torch.load(path)
        if self.random_state in self.trained:
            autoencoder.load_state_dict(self.trained[self.random_state])
            draw_seed(random_state)  # what training would have drawn: the start stays the same
            return autoencoder, False
        done = super()._pretrain(encoder, decoder, likelihood, X, random_state)
        self.trained[self.random_state] = copy.deepcopy(autoencoder.state_dict())
        if path:
            torch.save(self.trained[self.random_state], path)
        return done

    def _kind(self, autoencoder, X):
        """Name of an auto-encoder by its parts, the rows and what decides its training."""
        shapes = {name: tuple(value.shape) for name, value in autoencoder.state_dict().items()}
        settings = self.random_state, self.pretraining_epochs, self.precision
        return f"autoencoder_{joblib.hash((shapes, X, settings))}"


def path_of_fit(folder, data, method, seed):
    """File of a fit that the scripts with ``--keep FOLDER`` keep."""
    return folder / f"{data.name}_{len(data.y)}_{method}_{seed}.npz"


def fitted(estimator, data):
    """Fit; everything of the fit that is kept, as arrays."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        labels, seconds = timed(estimator.fit_predict, data.X)
    if hasattr(estimator, "predict_proba"):
        memberships = estimator.predict_proba(data.X).astype(np.float32)
    else:
        memberships = np.eye(data.n_clusters, dtype=np.float32)[labels]
    kept = {
        "memberships": memberships,
        "score": estimator.score(data.X),
        "seconds": seconds,
        "warnings": [str(warning.message).splitlines()[0] for warning in caught],
    }
    if hasattr(estimator, "start_labels_"):
        kept["start"] = estimator.start_labels_
    return kept


def kept_start(folder, data, seed, method="VaDEClustering"):
    """Return the start of a kept fit, the cluster of each row."""
    return np.load(path_of_fit(folder, data, method, seed))["start"]
