"""Spread known labels, and name and change clusters by them.

N samples, M distinct samples, D features, K clusters and as many classes.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from .._labels import cluster_means, normalize_rows
from .selection import LEAD, spread_votes

#: Maximum residual of a sample when labels are spread, relative to its solution.
RESIDUAL = 1e-9
#: Maximum number of conjugate gradient steps.
MAX_STEPS = 2000
#: Smallest denominator.
TINY = np.finfo(np.float64).tiny
#: Weight of ending a walk at a sample, relative to its edges, divided by 1 + n for a class with n
#: labels.
STOPS = 0.3
#: Weight of the labels in the votes, relative to the responsibilities found without them.
LABEL_SHARE = 0.5


def hold_labels(resp, labels):
    """Return responsibilities (N, K), which are zero or one where ``labels`` (N,) are not -1."""
    if labels is None:
        return resp
    return np.where((labels >= 0)[:, None], np.eye(resp.shape[1])[labels], resp)


def name_clusters(found, labels, rows):
    """Return the class (K,) of each cluster, one-to-one.

    ``found`` (M, K) is one-hot, ``labels`` (M, K) are counts, ``rows`` (M, D) are samples. Classes
    without labels are given to the other clusters in order.
    """
    n_clusters = found.shape[1]
    known = np.flatnonzero(labels.any(0))
    rows = rows - rows.mean(0, dtype=np.float64)
    shares = found.T @ labels[:, known] / labels[:, known].sum(0)
    gaps = cluster_means(found, rows)[:, None] - cluster_means(labels[:, known], rows)
    distances = np.square(gaps).sum(2)
    # Distances only decide ties of labels.
    distances = 1e-3 * distances / max(distances.max(initial=0), TINY)
    clusters, classes = linear_sum_assignment(distances - shares)
    names = np.empty(n_clusters, dtype=np.int64)
    names[clusters] = known[classes]
    others = np.setdiff1d(np.arange(n_clusters), clusters)
    names[others] = np.setdiff1d(np.arange(n_clusters), known)
    return names


def follow_labels(resp, labels, graph, weights, layout):
    """Return responsibilities (M, K) matched with and changed by ``labels`` (M, K), counts.

    A walk from each sample ends at a labeled sample, or sooner with the class of its cluster.
    """
    known = labels.any(1)
    if not known.any():
        return resp
    labels = labels * (known.sum() / labels.sum())
    found = np.eye(resp.shape[1])[resp.argmax(1)]
    names = name_clusters(found, labels, layout)
    counts = labels.sum(0)
    # p(class | cluster) with one more label for each class, in its cluster.
    by_cluster = normalize_rows(
        (found.T @ labels + np.eye(len(names))[names]) / (1 + counts)
    )
    if (weights != weights[0]).any():
        scale = sparse.diags(weights / weights.mean())
        graph = (scale @ graph @ scale).tocsr()
    spread = absorb_walk(
        graph, labels, found @ by_cluster, found @ (STOPS / (1 + counts[names]))
    )
    votes = LABEL_SHARE * np.eye(len(names))[spread.argmax(1)]
    resp = spread_votes(votes + (1 - LABEL_SHARE) * resp @ by_cluster, graph)
    resp[np.arange(len(resp)), spread.argmax(1)] = (1 + LEAD) * resp.max(1)
    return np.where(known[:, None], normalize_rows(labels), normalize_rows(resp))


def count_labels(targets, n_classes, inverse, weights=None):
    """Return how many samples of each class equal each distinct sample, (M, K).

    ``inverse`` (N,) are positions among distinct samples, or -1; ``weights`` (N,) are counts.
    """
    known = np.flatnonzero((targets >= 0) & (inverse >= 0))
    labels = np.zeros((inverse.max() + 1, n_classes))
    np.add.at(
        labels,
        (inverse[known], targets[known]),
        1 if weights is None else weights[known],
    )
    return labels


def spread_along(graph, labels, alpha=0.99):
    """Return class probabilities (M, K) by label spreading of counts (M, K) along a graph W.

    They are the normalized rows of F = (1 - alpha) (I - alpha D^{-1/2} W D^{-1/2})^{-1} Y, with
    degrees D and labels Y, weight one per class (D. Zhou et al., "Learning with Local and Global
    Consistency", NeurIPS 2003).
    """
    sums = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    scale = sparse.diags(np.where(sums > 0, 1 / np.sqrt(np.maximum(sums, 1e-12)), 0))
    links = (alpha * (scale @ graph @ scale)).tocsr()
    labels = labels / np.maximum(labels.sum(0), 1)
    return normalize_rows(np.maximum(_solve_spread(links, labels), 0))


def absorb_walk(graph, labels, votes, stops):
    """Return the mean votes (M, K) at the ends of random walks.

    A walk from each sample ends at the first sample with ``labels`` (M, K), with their shares as
    votes. At any other sample it ends with probability s / (1 + s), s from ``stops`` (M,), and its
    ``votes`` (M, K) (X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian
    fields and harmonic functions", ICML 2003, with an external classifier).
    """
    degree = np.asarray(graph.sum(1), dtype=np.float64).ravel()
    known, found = (
        labels.any(1),
        np.where(labels.any(1)[:, None], normalize_rows(labels), votes),
    )
    free = np.flatnonzero(~known & (degree > 0))
    edges, root = graph[free], np.sqrt(degree * (1 + stops))[free]
    ends = edges[:, known] @ found[known] + (degree * stops)[free, None] * votes[free]
    scale = sparse.diags(1 / root)
    links = (scale @ edges[:, free] @ scale).tocsr()
    found[free] = _solve_spread(links, ends / root[:, None]) / root[:, None]
    return found


def _solve_spread(links, labels):
    """Solve F = links F + labels, (M, K), by conjugate gradients, restarted until precise."""
    found, n_steps = np.zeros_like(labels), 0
    while n_steps < MAX_STEPS:
        rest = labels + links @ found - found
        if (np.abs(rest).sum(1) <= RESIDUAL * np.abs(found).sum(1)).all():
            break
        step, square = rest.copy(), np.square(rest).sum(0)
        least = RESIDUAL**2 * square
        while n_steps < MAX_STEPS and (square > least).any():
            change = step - links @ step
            length = square / np.maximum((step * change).sum(0), TINY)
            found += length * step
            rest -= length * change
            before, square = square, np.square(rest).sum(0)
            step = rest + square / np.maximum(before, TINY) * step
            n_steps += 1
    return found
