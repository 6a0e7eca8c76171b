"""Whitening within clusters: outlier scores are distances to the nearest cluster mean.

N samples, D features, K clusters that have samples.
"""

import numpy as np
import torch
from torch.nn.functional import one_hot

from .engine.data import BLOCK, batches
from .functional.gaussian import Mixture
from .modules.model import whiten

#: Maximum number of features whose full covariance is estimated; beyond, the variances alone.
MAX_FEATURES = 1000
#: Added to the variances, as a share of their mean: features may be constant within clusters.
REG_COVAR = 1e-3
#: Added to the variances, so that distances to clusters of equal samples stay finite.
LEAST_VARIANCE = 1e-280


def fit_cluster_space(standardize, X, clusters, device="cpu"):
    """Return a whitening of samples within clusters, and the whitened means (K, D), float64.

    The whitening is U with U U^T the inverse of the pooled covariance, (D, D), or for more than
    ``MAX_FEATURES`` the inverse standard deviations (D,). ``standardize`` is applied to blocks of
    X; ``clusters`` are labels (N,).
    """
    index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)[1:]
    own, sizes = torch.from_numpy(index), torch.from_numpy(sizes).to(device).double()

    def add_up(summarize):
        """Sum a function of standardized samples and their one-hot labels over blocks."""
        total = 0.0
        for x, label in zip(batches(X, BLOCK), own.split(BLOCK), strict=True):
            member = one_hot(label.to(device), len(sizes)).double()
            total = total + summarize(standardize(x.to(device)).double(), member)
        return total

    with torch.inference_mode():
        means = add_up(lambda x_std, member: member.T @ x_std) / sizes[:, None]
        is_full = X.shape[1] <= MAX_FEATURES
        square = (lambda gaps: gaps.T @ gaps) if is_full else (lambda gaps: gaps.square().sum(0))
        scatter = add_up(lambda x_std, member: square(x_std - member @ means))
        scales = _find_scales(scatter / len(own))
        whitening = Mixture(sizes.log(), means, scales[None]).precision_factors()[0]
        return whitening, whiten(means, whitening)


def _find_scales(covariance):
    """Regularize a covariance (D, D), or variances (D,); return its Cholesky factor or roots."""
    is_full = covariance.ndim == 2
    variances = covariance.diagonal() if is_full else covariance
    variances += REG_COVAR * variances.mean() + LEAST_VARIANCE
    return torch.linalg.cholesky(covariance) if is_full else variances.sqrt()
