"""All that the benchmarks use of the package's private modules and methods.

Everything else in ``benchmarks`` imports public names of the package, or from here, so that a
renamed module is renamed in this file only. Methods of private classes are also used by
``pretraining.py`` (overrides the pretraining), ``control.py`` (a model of its own) and
``speed/training_epoch.py`` (players, and the columns of rows).
"""

import numpy as np
import torch

from skdeepcluster import _base, _initialization
from skdeepcluster.display.base import COLORS
from skdeepcluster.engine.batches import Rows, map_rows
from skdeepcluster.engine.isolation import seeded
from skdeepcluster.engine.loop import train
from skdeepcluster.engine.runtime import (
    draw_seed,
    generator,
    resolve_device,
    resolve_precision,
)
from skdeepcluster.modules.autoencoder import Autoencoder, GaussianEncoder
from skdeepcluster.modules.game import Batch, Game, Player
from skdeepcluster.modules.likelihood import Bernoulli
from skdeepcluster.modules.networks import conv_discriminator, conv_generator, mlp
from skdeepcluster.modules.regularization import Regularizer

__all__ = [
    "COLORS",
    "STAGES",
    "Autoencoder",
    "Batch",
    "Bernoulli",
    "Game",
    "GaussianEncoder",
    "Player",
    "Regularizer",
    "Rows",
    "batch_size",
    "conv_discriminator",
    "conv_generator",
    "draw_seed",
    "generator",
    "is_bfloat16",
    "map_rows",
    "mlp",
    "n_epochs",
    "precision_of",
    "predict_clusters",
    "seeded",
    "train",
    "training_rows",
]

#: Stage of a fit -> the functions, as (owner, name), whose time is the stage's.
STAGES = {
    "scan": [(_base.DeepEstimator, "_choose_likelihood")],
    "pretraining": [(_base.DeepEstimator, "_pretrain")],
    "start": [
        (_initialization, "find_partition"),
        (_initialization, "mixture_of_partition"),
    ],
    "training": [(_base.DeepEstimator, "_train")],
    "answers": [(_base, "map_rows")],
}


def predict_clusters(model, X):
    """Return the most probable cluster of each row by a model, whether or not it is trained."""
    return map_rows(lambda x: model.log_resp(x).argmax(-1), X, next(model.parameters()).device)


def n_epochs(estimator, n_samples):
    """Return the number of epochs that ``max_epochs="auto"`` means for so many rows."""
    return estimator._choose_max_epochs(np.empty((n_samples, 0)))


def batch_size(estimator, n_samples):
    """Return the number of rows in a step of an estimator fitted to so many rows."""
    return estimator._choose_batch_size(np.empty((n_samples, 0)))


def training_rows(estimator, X):
    """Return the rows that a fitted estimator's model trains on, with their start."""
    device = next(estimator.model_.parameters()).device
    stream, likelihood = np.random.RandomState(0), estimator.model_.likelihood
    fit = _base.Fit(X, device, stream, likelihood, targets=None, task=None, given={"X": X})
    start = estimator._initialize(estimator.model_, fit, is_new=False)
    return estimator._make_rows(start, fit)


def is_bfloat16(precision, device):
    """Whether a training step with this precision is in bfloat16 on this device."""
    return resolve_precision(precision, torch.device(device)) == "bfloat16"


def precision_of(estimator, X):
    """Return the precision of the training steps; without networks, the dtype of the rows."""
    precision = estimator.get_params().get("precision")
    if precision is None:
        return str(X.dtype)
    device = resolve_device(estimator.get_params().get("device", "auto"))
    return resolve_precision(precision, device)
