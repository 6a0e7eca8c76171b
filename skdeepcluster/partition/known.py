"""Spread known labels along a graph, and name and change clusters by them.

N samples, M distinct samples, D features, K clusters and as many classes.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg
from scipy.special import softmax

from ..input.distinct import TINY
from ..input.labels import cluster_means, normalize_rows
from ..neighbors.graph import GraphSettings, neighbor_embedding, scale_links, sum_links
from ..neighbors.samples import connect
from ..neighbors.search import NeighborIndex
from ..utils.random import random_stream
from .candidates import COMPONENTS, fit_embedding
from .coordinates import scale_points, use_embedding
from .criterion.learned import LEAD
from .criterion.score import spread_votes

#: Maximum residual of a sample when labels are spread, relative to its solution.
SPREAD_TOLERANCE = 1e-9
#: Maximum number of solutions by conjugate gradients, each of the residual of those before.
MAX_SOLUTIONS = 20
#: Weight of the links when labels are spread, relative to the labels.
SPREAD_ALONG = 0.99
#: Weight of ending a walk at a sample, relative to its links, divided by 1 + n for a class with n
#: labels.
STOPS = 0.3
#: Number of mixtures that smooth a few known labels.
MIXTURES = 5
#: Weight of the labels in the votes, relative to the responsibilities found without them.
LABEL_SHARE = 0.5


def count_labels(targets, n_classes, inverse, weights):
    """Return the weight of the samples of each class that equal each distinct sample, (M, K).

    ``inverse`` (N,) are positions among distinct samples, or -1, and ``weights`` is (N,).
    """
    known = (targets >= 0) & (inverse >= 0)
    counts = np.zeros((inverse.max() + 1, n_classes))
    np.add.at(counts, (inverse[known], targets[known]), weights[known])
    return counts


# ---- clusters that follow labels


def follow_labels(resp, labels, graph, weights, embedding):
    """Return responsibilities (M, K) matched with and changed by ``labels`` (M, K), counts.

    A walk from each sample ends at a labeled sample, or sooner with the class of its cluster.
    """
    known = labels.any(1)
    if not known.any():
        return resp

    labels = labels * (known.sum() / labels.sum())
    counts = 1 + labels.sum(0)
    one_hot = np.eye(resp.shape[1])
    member = one_hot[resp.argmax(1)]
    names = name_clusters(member, labels, embedding)
    # p(class | cluster) with one more label for each class, in its cluster.
    by_cluster = (member.T @ labels + one_hot[names]) / counts
    by_cluster = normalize_rows(by_cluster)

    if (weights != weights[0]).any():
        graph = scale_links(graph, weights / weights.mean())
    stops = member @ (STOPS / counts[names])
    ends = absorb_walk(graph, labels, member @ by_cluster, stops).argmax(1)
    votes = (1 - LABEL_SHARE) * resp @ by_cluster
    votes += LABEL_SHARE * one_hot[ends]
    resp = spread_votes(votes, graph)
    resp[np.arange(len(resp)), ends] = (1 + LEAD) * resp.max(1)
    resp = np.where(known[:, None], labels, resp)
    return normalize_rows(resp)


def name_clusters(member, labels, rows):
    """Return the class (K,) of each cluster, one-to-one.

    ``member`` (M, K) is one-hot, ``labels`` (M, K) are counts, ``rows`` (M, D) are samples. The
    other clusters get the classes without labels in order.
    """
    known = np.flatnonzero(labels.any(0))
    labels = labels[:, known]
    rows = rows - rows.mean(0, dtype=float)
    means = cluster_means(member, rows)[:, None]
    gaps = means - cluster_means(labels, rows)
    distances = np.square(gaps).sum(2)
    # Distances only decide ties of labels.
    largest = max(distances.max(initial=0), TINY)
    costs = 1e-3 * distances / largest
    costs -= member.T @ labels / labels.sum(0)
    clusters, classes = linear_sum_assignment(costs)

    every = np.arange(member.shape[1])
    names = np.empty_like(every)
    names[clusters] = known[classes]
    names[np.setdiff1d(every, clusters)] = np.setdiff1d(every, known)
    return names


def absorb_walk(graph, labels, votes, stops):
    """Return the mean votes (M, K) at the ends of random walks.

    A walk from each sample ends at the first sample with ``labels`` (M, K), with their shares as
    votes. At any other sample it ends with probability s / (1 + s), s from ``stops`` (M,), and its
    ``votes`` (M, K) (X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian
    fields and harmonic functions", ICML 2003, with an external classifier).
    """
    degree = sum_links(graph)
    known = labels.any(1)
    shares = normalize_rows(labels)
    means = np.where(known[:, None], shares, votes)
    free = np.flatnonzero(~known & (degree > 0))
    links = graph[free]

    root = np.sqrt(degree * (1 + stops))[free]
    ends = links[:, known] @ means[known]
    ends = ends + (degree * stops)[free, None] * votes[free]
    inner = scale_links(links[:, free], 1 / root)
    root = root[:, None]
    means[free] = _solve_spread(inner, ends / root) / root
    return means


# ---- classes from a few labels


def partition_by_labels(prepared, targets, n_classes, random_state=None, n_jobs=None):
    """Return class probabilities (N, K) from a few ``targets`` (N,), -1 for none.

    Labels are spread along the graph of :class:`Prepared` samples, and smoothed by mixtures of
    its embedding.
    """
    X = prepared.points
    stream = random_stream(random_state)
    settings = GraphSettings(
        max_samples=X.shape[0], n_jobs=n_jobs, augment=prepared.augment
    )
    samples = connect(X, n_classes, settings, stream)
    graph = samples.graph

    weights = np.ones(X.shape[0])
    labels = count_labels(targets, n_classes, samples.inverse, weights)
    spread = spread_along(graph, labels)
    _fill_components(spread, labels, samples, n_jobs)

    embedding = neighbor_embedding(graph, random_state=stream, n_jobs=n_jobs)
    smooth = _smooth(spread, scale_points(embedding), samples, stream)
    return ((spread + smooth) / 2)[samples.inverse]


def _fill_components(spread, labels, samples, n_jobs):
    """Give connected components without labels the probabilities of the nearest samples."""
    _, piece = connected_components(samples.graph, directed=False)
    known = np.isin(piece, piece[labels.any(1)])
    if known.any() and not known.all():
        rows = samples.reference.rows
        index = NeighborIndex(rows[known], n_jobs=n_jobs)
        _, nearest = index.query(1, rows[~known])
        spread[~known] = spread[known][nearest[:, 0]]


def _smooth(spread, embedding, samples, stream):
    """Return the mean probabilities (M, K) by component of mixtures fitted to the embedding."""
    n_components = min(COMPONENTS * spread.shape[1], len(embedding))
    coords = use_embedding(embedding, samples, stream)
    weights = samples.weights[:, None]
    smooth = np.zeros_like(spread)
    for _ in range(MIXTURES):
        densities = fit_embedding(embedding, coords, n_components, stream)
        resp = softmax(densities, axis=1)
        means = cluster_means(resp * weights, spread)
        smooth += resp @ means / MIXTURES
    return smooth


def spread_along(graph, labels):
    """Return class probabilities (M, K) by label spreading of counts (M, K) along a graph W.

    They are the normalized rows of F = (1 - alpha) (I - alpha D^{-1/2} W D^{-1/2})^{-1} Y, with
    degrees D and labels Y, weight one per class (D. Zhou et al., "Learning with Local and Global
    Consistency", NeurIPS 2003).
    """
    degree = sum_links(graph)
    factors = 1 / np.sqrt(np.maximum(degree, 1e-12))
    links = SPREAD_ALONG * scale_links(graph, factors)
    labels = labels / np.maximum(labels.sum(0), 1)
    spread = _solve_spread(links, labels)
    return normalize_rows(np.maximum(spread, 0))


def _solve_spread(links, labels):
    """Solve F = links F + labels, (M, K), by conjugate gradients, repeated until precise."""
    system = sparse.eye_array(len(labels)) - links
    spread = np.zeros_like(labels)
    for _ in range(MAX_SOLUTIONS):
        rest = labels - system @ spread
        allowed = SPREAD_TOLERANCE * np.abs(spread).sum(1)
        if (np.abs(rest).sum(1) <= allowed).all():
            break
        for column, missing in zip(spread.T, rest.T, strict=True):
            column += cg(system, missing, rtol=SPREAD_TOLERANCE)[0]
    return spread
