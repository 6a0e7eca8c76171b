"""Clusters in the layout of a neighbour graph: mixtures, their parts joined, the best one kept.

N rows, P parts, K clusters.
"""

import warnings
from operator import itemgetter

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from ._shares import in_shares
from .engine.randomness import draw_seed
from .engine.threads import share_out
from .functional.information import entropy, kl_divergence
from .gaussian_mixture import GaussianMixtureEM

#: Components of a mixture in the layout for every cluster.
PARTS = 2
#: Rows on which the many mixtures are fitted; the best one sees all rows.
MIXTURE_ROWS = 10_000
#: Added to the variances of the mixtures, whose data have unit variance.
REG_COVAR = 1e-4


def best_partition(layout, n_clusters, n_init, join, score, stream):
    """Responsibilities (N, K) of that one among many partitions which scores highest."""
    if n_clusters == 1:
        return np.ones((len(layout), 1))
    unit = _of_unit_variance(layout)
    rows = unit[stream.permutation(len(unit))[:MIXTURE_ROWS]]
    n_parts = min(PARTS * n_clusters, len(rows))
    with warnings.catch_warnings():
        # Starts that fail or stop early lose the comparison; that is what it is for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # In turn: k-means sets the threads of all BLAS calls while it runs.
        begun = [_kmeans(rows, n_parts, stream) for _ in range(n_init)]

        def best_of_share(first, every, stop):
            """Criterion, -number and parts of the best mixture of a share, the first of equals."""
            best = -np.inf, -n_init, None
            for i in range(first, n_init, every):
                if stop.is_set():
                    break
                parts = _mixture(rows, _one_hot(begun[i], n_parts)).predict_proba(unit)
                criterion = score(in_groups(parts, join(parts)))
                best = max(best, (criterion, -i, parts), key=itemgetter(0, 1))
            return best

        best = max(share_out(best_of_share, n_init), key=itemgetter(0, 1))[2]
        parts = _mixture(unit, best).predict_proba(unit)
        resp = in_groups(parts, join(parts))
        if len(np.unique(resp.argmax(1))) < n_clusters:
            resp = _one_hot(_kmeans(unit, n_clusters, stream), n_clusters)
    return resp


def some_parts(layout, n_clusters, stream):
    """Responsibilities (N, P) of one mixture in the layout, with twice as many parts."""
    unit = _of_unit_variance(layout)
    n_parts = min(PARTS * n_clusters, len(unit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begun = _one_hot(_kmeans(unit, n_parts, stream), n_parts)
        return _mixture(unit, begun).predict_proba(unit)


def _of_unit_variance(layout):
    unit = layout - layout.mean(0, dtype=np.float64)
    return unit / max(unit.std(), 1e-12)


def joined(parts, graph, n_clusters, linkage):
    """Table (P, K) of which parts make up a cluster, by the graph's edges.

    In turn the two groups are joined that are nearest by the ``linkage`` of ``neighbor_start``.
    """
    labels = np.eye(parts.shape[1])[parts.argmax(1)]
    used = np.flatnonzero(labels.any(0))
    edges = (labels.T @ (graph @ labels))[np.ix_(used, used)]
    sizes, groups = labels.sum(0)[used], [[part] for part in used]
    # Groups that no edge leaves are joined, if they must be, smallest first.
    edges += 1e-9 * max(edges.sum(), 1.0) / len(used) ** 2
    while len(groups) > n_clusters:
        whole = np.outer(sizes, sizes) if linkage == "average" else edges.sum(1, keepdims=True)
        nearness = edges / whole
        np.fill_diagonal(nearness, 0)
        i, j = sorted(np.unravel_index(nearness.argmax(), nearness.shape))
        groups[i] += groups.pop(j)
        edges[i] += edges[j]
        edges[:, i] += edges[:, j]
        edges = np.delete(np.delete(edges, j, 0), j, 1)
        sizes[i] += sizes[j]
        sizes = np.delete(sizes, j)
    table = np.zeros((parts.shape[1], n_clusters))
    for k, group in enumerate(groups):
        table[group, k] = 1
    return table


def in_groups(parts, table):
    """Responsibilities (N, K) of groups of parts; parts that no row prefers are in none."""
    return in_shares(parts @ table)


def _kmeans(rows, n_clusters, stream):
    """Labels of one k-means run, (N,)."""
    kmeans = KMeans(n_clusters, n_init=1, max_iter=20, random_state=draw_seed(stream))
    return kmeans.fit_predict(rows)


def _one_hot(labels, n_clusters):
    return np.eye(n_clusters)[labels]


def _mixture(rows, resp):
    """Return the full-covariance mixture that EM reaches from responsibilities."""
    return GaussianMixtureEM(
        resp.shape[1],
        init_params=resp,
        reg_covar=REG_COVAR,
        tol=1e-4,
        max_iter=150,
        device="cpu",
        random_state=0,  # decides in which order sums are rounded
    ).fit(rows)


def neighbor_information(graph, resp, boundary_weight):
    """I(c; c') - w H(c' | c) of the labels at both ends of an edge, in nats; 0 without edges."""
    labels = np.eye(resp.shape[1])[resp.argmax(1)]
    joint = torch.as_tensor(labels.T @ (graph @ labels))
    if joint.sum() == 0:
        return 0.0
    log_joint = (joint / joint.sum()).log()
    log_end = log_joint.logsumexp(1)
    information = kl_divergence(log_joint.flatten(), (log_end[:, None] + log_end).flatten())
    boundary = entropy(log_end) - information
    return (information - boundary_weight * boundary).item()
