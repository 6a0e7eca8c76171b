"""Continuous codes of the samples of X, for InfoGAN: ranks along principal directions."""

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.utils.extmath import randomized_svd, svd_flip

from ..input.labels import cluster_means
from ..modules.runtime import map_rows

#: Maximum number of matrix elements (samples times features) of the subsample whose principal
#: directions are found.
STYLE_ELEMENTS = 2**22
#: Minimum number of samples of this subsample.
STYLE_ROWS = 256


def find_style(
    standardize,
    X,
    resp,
    n_codes,
    random_state,
) -> np.ndarray:
    """Find continuous codes of samples by within-cluster PCA, (N, at most n_codes), float32.

    The differences between standardized samples and their cluster means, by responsibilities
    (N, K), are projected on their principal directions. A code is the rank of a sample within its
    cluster, scaled to [-1, 1]: uniform in every cluster and uncorrelated, like the generator's
    inputs. There are fewer than ``n_codes`` if the samples differ in fewer directions.
    """
    n_samples, n_features = X.shape
    n_drawn = max(STYLE_ROWS, STYLE_ELEMENTS // n_features)
    some = np.sort(random_state.permutation(n_samples)[:n_drawn])

    x_std = map_rows(standardize, X[some])
    shares = resp[some]
    means = cluster_means(shares, x_std)
    centered = x_std - shares @ means
    directions = _principal_directions(centered, n_codes, random_state)

    projection = torch.from_numpy(directions.T.astype(np.float32))
    codes = map_rows(lambda x: standardize(x) @ projection, X)
    codes = codes - resp @ (means @ directions.T)

    labels = resp.argmax(1)
    for k in np.unique(labels):
        is_member = labels == k
        ranks = rankdata(codes[is_member], axis=0)  # equal values share their mean rank
        codes[is_member] = (2 * ranks - 1) / is_member.sum() - 1
    return codes.astype(np.float32)


def _principal_directions(centered, n_codes, random_state):
    """Return the principal directions of centered samples, (at most n_codes, D)."""
    n_codes = min(n_codes, *centered.shape)
    if not n_codes:
        return np.empty((0, centered.shape[1]))

    u, lengths, directions = randomized_svd(
        centered,
        n_codes,
        power_iteration_normalizer="QR",
        random_state=random_state,
    )

    _, directions = svd_flip(u, directions, u_based_decision=False)
    tiny = np.finfo(np.float32).tiny
    least = 1e-6 * np.linalg.norm(centered) + tiny
    return directions[lengths > least]
