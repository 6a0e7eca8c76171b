"""All that the benchmarks use of the package's private modules and methods.

Everything else in ``benchmarks`` imports public names of the package, or from here, so that a
renamed module is renamed in this file only. Methods of private classes are also used by
``pretraining.py`` (overrides the pretraining), ``control.py`` (a model of its own) and
``speed/training_epoch.py`` (players, and the columns of rows).
"""

import numpy as np
import torch

from skdeepcluster import _estimator, _start, vae
from skdeepcluster.display.axes import COLORS
from skdeepcluster.engine.batches import Rows, map_rows
from skdeepcluster.engine.net import train
from skdeepcluster.engine.precision import resolve_device, use_bfloat16
from skdeepcluster.engine.randomness import draw_seed, generator, seeded
from skdeepcluster.modules.autoencoder import Autoencoder, GaussianEncoder
from skdeepcluster.modules.game import Game, Player
from skdeepcluster.modules.gan_networks import conv_discriminator, conv_generator
from skdeepcluster.modules.likelihood import Bernoulli
from skdeepcluster.modules.networks import mlp
from skdeepcluster.modules.start import Keep

__all__ = [
    "COLORS",
    "STAGES",
    "Autoencoder",
    "Bernoulli",
    "Game",
    "GaussianEncoder",
    "Keep",
    "Player",
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
    "seeded",
    "train",
    "training_rows",
]

#: Stage of a fit -> the functions, as (owner, name), whose time is the stage's.
STAGES = {
    "scan": [(_estimator.DeepEstimator, "_likelihood")],
    "pretraining": [(_start.StartMixin, "_pretrain")],
    "start": [(_start, "code_start"), (vae, "code_start")],
    "training": [(_estimator.DeepEstimator, "_train")],
    "answers": [(_estimator, "map_rows"), (_start, "map_rows")],
}


def n_epochs(estimator, n_samples):
    """Return the number of epochs that ``max_epochs="auto"`` means for so many rows."""
    return estimator._n_epochs(n_samples, "auto", estimator._n_steps(n_samples))


def batch_size(estimator, n_samples):
    """Return the number of rows in a step of an estimator fitted to so many rows."""
    return estimator._rows_in_step(n_samples)


def training_rows(estimator, X):
    """Return the rows that a fitted estimator's model trains on, with their start."""
    stream = np.random.RandomState(0)
    return estimator._prepare(estimator.model_, X, stream, is_new=False).rows


def is_bfloat16(precision, device):
    """Whether a training step with this precision is in bfloat16 on this device."""
    return use_bfloat16(precision, torch.device(device))


def precision_of(estimator, X):
    """Return the precision of the training steps; without networks, the dtype of the rows."""
    precision = estimator.get_params().get("precision")
    if precision is None:
        return str(X.dtype)
    device = resolve_device(estimator.get_params().get("device", "auto"))
    return "bfloat16" if use_bfloat16(precision, device) else "float32"
