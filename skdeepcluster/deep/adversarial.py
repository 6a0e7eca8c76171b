"""What adversarial methods share: initialization and score."""

import copy
from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval

from ..functional.losses import marginal
from ..input.parameters import AUTO
from ..nn.networks import mlp
from ..nn.runtime import building
from .codes import GaussianEncoder, partition_codes
from .fit import apply

#: Length of the codes of an autoencoder in whose codes an initial partition is sought.
N_CODES = 10
#: Constraint of a batch size: batch normalization needs two samples.
BATCH_SIZE = [Interval(Integral, 2, None, closed="left"), AUTO]


def find_in_codes(training):
    """Return the initial partition of a training, sought in codes if there is none.

    The autoencoder is discarded.
    """
    initial = training.initial
    settings = training.settings
    if initial.resp is not None or not settings.pretraining_epochs:
        return initial
    widths = settings.hidden_layer_sizes
    n_features = training.X.shape[1]
    with building():
        encoder = GaussianEncoder(mlp(n_features, 2 * N_CODES, widths))
        decoder = mlp(N_CODES, n_features, widths[::-1])
    likelihood = copy.deepcopy(training.data.likelihood)
    autoencoder = training.pretrain(encoder, decoder, likelihood)
    codes = apply(autoencoder, autoencoder.encode, training.X)
    training.progress.begin("initial partition")
    resp = partition_codes(codes, initial.n_clusters, training.random_state)
    return initial._replace(resp=resp)


def set_marginal(model, X):
    """Set p(k) of a trained model to the mean of p(k | x) over samples X."""
    log_p = apply(model, model.log_resp, X)
    log_p = torch.as_tensor(log_p, device="cpu").double()
    model.log_marginal.copy_(marginal(log_p))
