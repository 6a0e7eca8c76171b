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
from .codes import GaussianEncoder
from .fit import apply, assign
from .start import partition_codes, partition_from

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


def find_in_codes(fit):
    """Return the initial partition of a training, sought in codes if the fit asks for it.

    The autoencoder is discarded.
    """
    if not fit.initial.pretrains:
        return fit.initial
    widths = fit.estimator.hidden_layer_sizes_
    n_features = fit.X.shape[1]
    with building():
        encoder = GaussianEncoder(mlp(n_features, 2 * N_CODES, widths))
        decoder = mlp(N_CODES, n_features, widths[::-1])
    likelihood = copy.deepcopy(fit.likelihood)
    autoencoder = fit.pretrain(encoder, decoder, likelihood)
    codes = apply(autoencoder, autoencoder.encode, fit.X)
    fit.progress.begin("initial partition")
    n_clusters = fit.initial.n_clusters
    return partition_from(partition_codes(codes, n_clusters, fit.random_state))


def set_marginal(model, fit):
    """Set p(k) of a trained model to the mean of p(k | x) over the samples."""
    log_p = apply(model, model.log_resp, fit.X)
    log_p = torch.as_tensor(log_p, device="cpu").double()
    model.log_marginal.copy_(marginal(log_p))


def compare_generated(model, fit, generate):
    """Return the distance of generated samples to those of a fit, and the share of clusters met.

    ``generate(n_samples)`` returns samples (N, D) in the units of the data.
    """
    n_judged = min(MAX_JUDGED, max(MIN_JUDGED, ELEMENTS // fit.X.shape[1]))
    some = fit.random_state.permutation(fit.X.shape[0])[:n_judged]
    generated = generate(n_judged)
    real = fit.X[np.sort(some)]

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
