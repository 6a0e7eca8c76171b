"""Estimators whose fits with one seed share their pretraining."""

import copy

import joblib
import torch

from skdeepcluster import (
    CatGANClustering,
    DACClustering,
    InfoGANClustering,
    VaDEClustering,
)

from .internals import Autoencoder, draw_seed


class SharedPretraining:
    """Mixin in front of an estimator: the first fit with a seed trains, later ones copy it.

    All fits of a class must have networks of the same shape, and for each seed the same data. With
    ``folder`` set, the auto-encoders are stored there, for later scripts.
    """

    folder = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.trained = {}

    def _pretrain(self, encoder, decoder, likelihood, fit):
        autoencoder = Autoencoder(encoder, decoder, likelihood)
        path = self.folder and self.folder / f"{self._kind(autoencoder, fit.X)}.pt"
        if path and path.exists():
            self.trained[self.random_state] = torch.load(path)
        if self.random_state in self.trained:
            autoencoder.load_state_dict(self.trained[self.random_state])
            # Training would have drawn this seed: what is drawn after it stays the same.
            draw_seed(fit.random_state)
            return autoencoder, False
        done = super()._pretrain(encoder, decoder, likelihood, fit)
        self.trained[self.random_state] = copy.deepcopy(autoencoder.state_dict())
        if path:
            torch.save(self.trained[self.random_state], path)
        return done

    def _kind(self, autoencoder, X):
        """Name of an auto-encoder by its parts, the rows and what decides its training."""
        shapes = {name: tuple(value.shape) for name, value in autoencoder.state_dict().items()}
        settings = self.random_state, self.pretraining_epochs, self.precision
        return f"autoencoder_{joblib.hash((shapes, X, settings))}"


class VaDE(SharedPretraining, VaDEClustering):
    """VaDEClustering whose fits with one seed share their pretraining."""


class DAC(SharedPretraining, DACClustering):
    """DACClustering whose fits with one seed share their pretraining."""


class InfoGAN(SharedPretraining, InfoGANClustering):
    """InfoGANClustering whose fits with one seed share their pretraining."""


class CatGAN(SharedPretraining, CatGANClustering):
    """CatGANClustering whose fits with one seed share their pretraining."""


def share_pretraining(folder):
    """Store the auto-encoders of all these estimators in a folder, if one is given."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        SharedPretraining.folder = folder
