"""Continuous codes of the samples of X, for InfoGAN: ranks along principal directions."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from sklearn.utils.extmath import randomized_svd, svd_flip

from ._labels import cluster_means
from .engine.data import map_rows

#: Maximum number of matrix elements (samples times features) of the subsample whose principal
#: directions are found.
STYLE_ELEMENTS = 2**22
#: Minimum number of samples of this subsample.
STYLE_ROWS = 256


def find_style(standardize, X, resp, n_codes, random_state) -> npt.NDArray[np.float32]:
    """Find continuous codes of samples by within-cluster PCA, (N, at most n_codes), float32.

    The differences between standardized samples and their cluster means, by responsibilities
    (N, K), are projected on their principal directions. A code is the rank of a sample within its
    cluster, scaled to [-1, 1]: uniform in every cluster and uncorrelated, like the generator's
    inputs. There are fewer than ``n_codes`` if the samples differ in fewer directions.
    """
    n_rows = min(len(resp), max(STYLE_ROWS, STYLE_ELEMENTS // X.shape[1]))
    some = np.sort(random_state.permutation(len(resp))[:n_rows])
    x_std, shares = map_rows(standardize, X[some]), resp[some]
    means = cluster_means(shares, x_std)
    directions = _principal_directions(x_std - shares @ means, n_codes, random_state)
    toward = torch.from_numpy(directions.T.astype(np.float32))
    along = map_rows(lambda x: standardize(x) @ toward, X)
    along = along - resp @ (means @ directions.T)
    labels = resp.argmax(1)
    for k in np.unique(labels):
        along[labels == k] = _rank(along[labels == k])
    return along.astype(np.float32)


def _principal_directions(rows, n_codes, random_state):
    """Return the principal directions of centered rows, (at most n_codes, D)."""
    n_codes = min(n_codes, *rows.shape)
    if not n_codes:
        return np.empty((0, rows.shape[1]))
    u, lengths, directions = randomized_svd(
        rows, n_codes, power_iteration_normalizer="QR", random_state=random_state
    )
    _, directions = svd_flip(u, directions, u_based_decision=False)
    return directions[lengths > 1e-6 * np.linalg.norm(rows) + np.finfo(np.float32).tiny]


def _rank(values):
    """Return the ranks in each column, scaled to [-1, 1]; equal values share their mean rank."""
    if not values.size:
        return values
    return (2 * rankdata(values, axis=0) - 1) / len(values) - 1
