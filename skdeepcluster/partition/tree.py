"""The tree of clusters: leaves are parts of clusters, which are merged first.

N samples, M distinct samples in the graph; L embedding dimensions, K clusters, P leaves.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_scalar

from ..input.distinct import TINY
from ..input.labels import cluster_means, indicate, number_by_first
from ..neighbors.search import find_nearest
from .candidates import run_kmeans
from .coordinates import WIDE, cut_tree, project_points, take_points, use_embedding


class ClusterTree(NamedTuple):
    """The tree of the clusters of a fit. Its leaves are parts of clusters."""

    #: Merges (P - 1, 2), as in scikit-learn's AgglomerativeClustering.
    children: np.ndarray
    #: Ward's distance (P - 1,) of each merge in the embedding, ascending.
    distances: np.ndarray
    #: Cluster (P,) of each leaf.
    clusters: np.ndarray
    #: Leaf (N,) of each sample.
    leaves: np.ndarray
    #: Whether each sample is noise, (N,).
    is_noise: np.ndarray

    def cut(self, n_clusters: int) -> np.ndarray:
        """Return the labels (N,) of fewer or more clusters of the same fit, -1 for noise.

        ``n_clusters`` is between 1 and the number of leaves. Fewer clusters than those of the fit
        are merged, more are divided.
        """
        most = len(self.clusters)
        check_scalar(n_clusters, "n_clusters", Integral, min_val=1, max_val=most)
        groups = group_leaves(self.children, self.clusters, n_clusters)
        return np.where(self.is_noise, -1, groups[self.leaves])


def grow_tree(samples, embedding, labels, is_noise, most):
    """Return the :class:`ClusterTree` of clusters ``labels`` (N,) in an embedding (N, L).

    It is grown from the distinct ``samples`` in the graph. The leaves are the intersections of
    clusters and of k-means clusters of the embedding, whose number does not fall below twice the
    number ``most`` of clusters.
    """
    kept = samples.reference.kept
    places = embedding[kept].astype(float)
    coords = use_embedding(places, samples, np.random.RandomState(0))

    # K-means clusters have three samples or more on average.
    n_parts = max(len(places) // 3, 1)
    n_parts = min(n_parts, max(200, 2 * most))
    stream = np.random.RandomState(0)
    parts = run_kmeans(places, coords, n_parts, stream, n_init=1)
    apart = _place_components(places, samples, coords.order)
    centers, clusters, children, distances = build_tree(
        places, apart, labels[kept], samples.weights, parts
    )
    leaves = find_leaves(centers, clusters, embedding, labels)
    return ClusterTree(children, distances, clusters, leaves, is_noise)


def find_leaves(centers, clusters, embedding, labels):
    """Return the leaf (N,) of each sample: the nearest one of its cluster.

    Leaves have ``centers`` (P, L) and ``clusters`` (P,), samples a ``embedding`` (N, L) and
    ``labels`` (N,). If a cluster has no leaf, it is the nearest of all leaves.
    """
    leaves = np.empty(len(labels), dtype=int)
    for cluster in np.unique(labels):
        rows = labels == cluster
        inside = clusters == cluster
        candidates = np.flatnonzero(inside if inside.any() else ~inside)
        nearest = find_nearest(embedding[rows], centers[candidates])
        leaves[rows] = candidates[nearest]
    return leaves


def build_tree(embedding, places, labels, weights, parts):
    """Return centers (P, L) and clusters (P,) of leaves, and :func:`_merge_by_ward` of them.

    Leaves are the intersections of clusters, ``labels`` (M,), and ``parts`` (M,) of samples with a
    ``embedding`` (M, L) and ``weights`` (M,). They are merged by their ``places`` (M, P).
    """
    pairs = np.column_stack([labels, parts])
    pairs, leaves = np.unique(pairs, axis=0, return_inverse=True)
    member = indicate(leaves.ravel(), len(pairs))
    member.data[:] = weights

    clusters = pairs[:, 0]
    means = cluster_means(member, places)
    children, distances = _merge_by_ward(means, member.sum(0), clusters)
    return cluster_means(member, embedding), clusters, children, distances


def _merge_by_ward(means, sizes, clusters):
    """Return the merges (P - 1, 2) of leaves, those of a cluster first, and Ward's distances.

    The first merge increases the sum of squares within groups least, by |m_i - m_j|^2 n_i n_j /
    (n_i + n_j) with ``means`` m and ``sizes`` n, half the square of Ward's distance.
    """
    n_leaves = len(sizes)
    numbers = np.arange(n_leaves)
    children = np.empty((n_leaves - 1, 2), dtype=int)
    distances = np.empty(n_leaves - 1)

    def measure(i):
        total = np.maximum(sizes[i] + sizes, TINY)
        squares = np.square(means[i] - means).sum(1)
        return squares * (sizes[i] * sizes / total)

    growth = np.stack([measure(i) for i in range(n_leaves)])
    np.fill_diagonal(growth, np.inf)
    is_inner = clusters[:, None] == clusters

    for t in range(n_leaves - 1):
        inner = np.where(is_inner, growth, np.inf)
        least = growth if np.isinf(inner).all() else inner
        i, j = np.unravel_index(least.argmin(), least.shape)
        children[t] = numbers[i], numbers[j]
        distances[t] = np.sqrt(2 * growth[i, j])

        numbers[i] = n_leaves + t
        sizes[i] += sizes[j]
        share = sizes[j] / max(sizes[i], TINY)
        means[i] += share * (means[j] - means[i])

        growth[j] = np.inf
        growth[:, j] = np.inf
        is_gone = np.isinf(growth[i])
        growth[i] = np.where(is_gone, np.inf, measure(i))
        growth[:, i] = growth[i]
    return children, np.maximum.accumulate(distances)


def _place_components(embedding, samples, drawn):
    """Return an embedding (M, L) whose components are as far apart as in the data, where known.

    An embedding places the connected components of a graph anywhere. Additional coordinates are
    the component's mean in the data; nearest means are twice as far apart as a component is wide.
    """
    n_pieces, piece = connected_components(samples.graph, directed=False)
    if n_pieces == 1 or samples.columns is None:
        return embedding

    member = indicate(piece, n_pieces)
    centers = cluster_means(member, embedding)
    within = embedding - centers[piece]

    points = take_points(samples)
    points = project_points(points, drawn, WIDE)
    means = cluster_means(member, points)
    gaps, _ = NearestNeighbors(n_neighbors=1).fit(means).kneighbors()
    wide = 4 * np.abs(within).max()
    means *= wide / max(np.median(gaps), 1e-9)
    return np.column_stack([within, means[piece]])


def group_leaves(children, clusters, n_clusters):
    """Return the cluster (P,) of each leaf after a cut of a tree into ``n_clusters``.

    Clusters are numbered by the first of the given ``clusters`` (P,), or the first leaf, in them.
    """
    groups = cut_tree(children, n_clusters)
    order = np.argsort(clusters, kind="stable")
    numbers = np.empty_like(groups)
    numbers[order] = number_by_first(groups[order])
    return numbers
