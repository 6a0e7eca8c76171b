"""Where continuous codes come from: the directions in which rows of one cluster differ most."""

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.utils.extmath import randomized_svd, svd_flip

from ._shares import group_means
from .engine.batches import map_rows

#: Directions are sought among at most this many numbers, and at least among so many rows.
NUMBERS, LEAST_ROWS = 2**22, 256


def style_start(likelihood, X, resp, n_codes, random_state):
    """Continuous codes of rows, uniform on [-1, 1] within each cluster.

    The rows, less the means of their clusters, are projected on the principal directions of such
    differences, pooled over the clusters; within each cluster a row's rank along a direction is
    its code. So the codes are as a generator draws them: alike in every cluster, and unrelated.

    Parameters
    ----------
    likelihood : Likelihood
        Standardises rows.
    X : {array, memory map, CSR matrix} of shape (N, D)
    resp : ndarray of shape (N, K)
        Responsibilities of the clusters.
    n_codes : int
    random_state : RandomState

    Returns
    -------
    codes : ndarray of shape (N, at most n_codes), float32
        Fewer than asked for where rows differ in fewer directions.
    """
    n_rows = min(len(resp), max(LEAST_ROWS, NUMBERS // X.shape[1]))
    some = np.sort(random_state.permutation(len(resp))[:n_rows])
    seen, shares = map_rows(likelihood.standardize, X[some]), resp[some]
    means = group_means(shares, seen)
    directions = _directions(seen - shares @ means, n_codes, random_state)
    toward = torch.from_numpy(directions.T.astype(np.float32))
    along = map_rows(lambda x: likelihood.standardize(x) @ toward.to(x.device), X)
    along = along - resp @ (means @ directions.T)
    labels = resp.argmax(1)
    for k in np.unique(labels):
        along[labels == k] = _spread(along[labels == k])
    return along.astype(np.float32)


def _directions(rows, n_codes, random_state):
    """Principal directions of the rows, (at most n_codes, D)."""
    n_codes = min(n_codes, *rows.shape)
    if not n_codes:
        return np.empty((0, rows.shape[1]))
    u, lengths, directions = randomized_svd(
        rows, n_codes, power_iteration_normalizer="QR", random_state=random_state
    )
    _, directions = svd_flip(u, directions, u_based_decision=False)
    return directions[lengths > 1e-6 * np.linalg.norm(rows) + np.finfo(np.float32).tiny]


def _spread(values):
    """Ranks of each column on [-1, 1]; equal values share a rank."""
    if not values.size:
        return values
    return (2 * rankdata(values, axis=0) - 1) / len(values) - 1
