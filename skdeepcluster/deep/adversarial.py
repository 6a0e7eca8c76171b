"""What adversarial methods share: initialization, score, and a check of the generator."""

import copy
from numbers import Integral

import numpy as np
import torch
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min
from sklearn.utils._param_validation import Interval

from ..functional.losses import marginal
from ..input.parameters import AUTO
from ..nn.networks import mlp
from ..nn.runtime import building
from .codes import GaussianEncoder, partition_codes
from .fit import apply, assign

#: Length of the codes of an autoencoder in whose codes an initial partition is sought.
N_CODES = 10
#: Minimum number of samples, generated and of X, that a generator is judged by.
MIN_JUDGED = 100
#: Maximum number of samples, generated and of X, that a generator is judged by.
MAX_JUDGED = 1000
#: Maximum number of matrix elements (samples times features) of either, within these bounds.
ELEMENTS = 2**22
#: Maximum :func:`relative_distance` of a generator that has learned to generate samples.
FAR_FROM_DATA = 1 / 3
#: Minimum share of the clusters of X that its samples fall into.
FEW = 0.5


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


def compare_generated(model, X, generate, random_state):
    """Return the distance of generated samples to samples X, and the share of clusters met.

    ``generate(n_samples)`` returns samples (N, D) in the units of the data.
    """
    n_judged = min(MAX_JUDGED, max(MIN_JUDGED, ELEMENTS // X.shape[1]))
    some = random_state.permutation(X.shape[0])[:n_judged]
    generated = generate(n_judged)
    real = X[np.sort(some)]

    distance = relative_distance(
        apply(model, model.standardize, generated),
        apply(model, model.standardize, real),
    )
    clusters = np.unique(assign(model, real)[0])
    is_reached = np.isin(clusters, assign(model, generated)[0])
    return distance, float(is_reached.mean())


def relative_distance(generated, real):
    """Return how far generated samples (M, D) are from real ones (N, D).

    The median distance from a generated sample to its nearest real sample, on a scale: 0 is the
    median distance from a real sample to its nearest neighbor, and 1 the median distance between
    any two real samples. If these two are equal, the result is 0.
    """
    distances = pairwise_distances(real)
    between = np.median(distances[~np.eye(len(real), dtype=bool)])
    np.fill_diagonal(distances, np.inf)
    nearest = np.median(distances.min(1))
    distance = np.median(pairwise_distances_argmin_min(generated, real)[1])
    return (
        float((distance - nearest) / (between - nearest)) if between > nearest else 0.0
    )
