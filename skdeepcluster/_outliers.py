"""Samples far from every cluster: their scores, and the share of samples that is noise.

N samples, D features, K clusters that have samples.
"""

import numpy as np
import torch
from torch.nn.functional import one_hot

from .engine.data import BLOCK, batches
from .functional.gaussian import Mixture
from .modules.model import whiten

#: Most features whose full covariance is estimated; of more, the variances alone.
MAX_FEATURES = 1000
#: Added to the variances, as a share of their mean: some features, or combinations of them, may be
#: constant within clusters.
REG_COVAR = 1e-3
#: Added to the variances, so that squared distances to clusters of equal rows stay finite.
LEAST_VARIANCE = 1e-280


def fit_cluster_space(standardize, X, clusters, device="cpu"):
    """Whiten the rows within clusters; return the whitening, and the whitened means (K, D).

    The whitening is U with U U^T the inverse of the pooled covariance, (D, D), or with more than
    MAX_FEATURES the inverse standard deviations (D,). Both are float64. ``standardize`` is
    applied to blocks of samples; of ``clusters`` (N,) those without samples have no mean.
    """
    index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)[1:]
    own, sizes = torch.from_numpy(index), torch.from_numpy(sizes).to(device).double()

    def add_up(summarize):
        """Sum a function of standardized rows and their zeros and ones (N, K) over blocks."""
        total = 0.0
        for x, label in zip(batches(X, BLOCK), own.split(BLOCK), strict=True):
            member = one_hot(label.to(device), len(sizes)).double()
            total = total + summarize(standardize(x.to(device)).double(), member)
        return total

    with torch.inference_mode():
        means = add_up(lambda seen, member: member.T @ seen) / sizes[:, None]
        square = _outer if X.shape[1] <= MAX_FEATURES else _sum_squares
        scatter = add_up(lambda seen, member: square(seen - member @ means))
        scales = _find_scales(scatter / len(own))
        whitening = Mixture(sizes.log(), means, scales[None]).precision_factors()[0]
        return whitening, whiten(means, whitening)


def _outer(gaps):
    return gaps.T @ gaps


def _sum_squares(gaps):
    return gaps.square().sum(0)


def _find_scales(covariance):
    """Regularize a covariance (D, D), or variances (D,); return its Cholesky factor or roots."""
    is_full = covariance.ndim == 2
    variances = covariance.diagonal() if is_full else covariance
    variances += REG_COVAR * variances.mean() + LEAST_VARIANCE
    return torch.linalg.cholesky(covariance) if is_full else variances.sqrt()
