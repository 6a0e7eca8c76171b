"""Ward's tree of weighted points, its cuts, and the tree below and above a given partition.

P points, K groups, L layout dimensions, M rows.
"""

from typing import NamedTuple

import numpy as np

from .._responsibilities import cluster_means


def build_ward_tree(points, sizes, groups=None):
    """Return Ward's tree of weighted points (P, L): merges (P - 1, 2) and distances (P - 1,).

    Merged are the two groups for which the sum of squares within groups grows least, by d^2 / 2 =
    |m_i - m_j|^2 n_i n_j / (n_i + n_j), with means m, sizes n (P,) and d the distance of the
    merge. Group P + t is that of merge t. With ``groups`` (P,) points of different groups are
    merged after all others; a distance is never smaller than those before.
    """
    n_points = len(sizes)
    means, sizes = points.astype(np.float64), sizes.astype(np.float64)
    groups = np.zeros(n_points, dtype=np.int64) if groups is None else np.array(groups)
    numbers, alive = np.arange(n_points), np.ones(n_points, dtype=bool)

    def measure(i):
        """Return the growth of the sum of squares if group i is merged with each other."""
        both = np.maximum(sizes + sizes[i], np.finfo(np.float64).tiny)
        growth = np.square(means - means[i]).sum(1) * sizes * sizes[i] / both
        return np.where(alive & (groups == groups[i]) & (numbers != numbers[i]), growth, np.inf)

    growth = np.array([measure(i) for i in range(n_points)]).reshape(n_points, n_points)
    nearest = NearestGroups(growth)
    children, distances = np.empty((n_points - 1, 2), dtype=np.int64), np.empty(n_points - 1)
    for t in range(n_points - 1):
        i, j = nearest.find_pair()
        if np.isinf(growth[i, j]):  # every group has become one point
            groups[:] = 0
            growth[:] = [measure(i) for i in range(n_points)]
            growth[~alive] = np.inf
            nearest = NearestGroups(growth)
            i, j = nearest.find_pair()
        children[t], distances[t] = (numbers[i], numbers[j]), np.sqrt(2 * growth[i, j])
        numbers[i], alive[j] = n_points + t, False
        total = max(sizes[i] + sizes[j], np.finfo(np.float64).tiny)
        means[i] += (means[j] - means[i]) * (sizes[j] / total)
        sizes[i] += sizes[j]
        growth[j] = growth[:, j] = np.inf
        growth[i] = growth[:, i] = measure(i)
        nearest.update(i, j)
    return children, np.maximum.accumulate(distances)


class NearestGroups:
    """The nearest other group of each, by a matrix (P, P) that changes by a row at a time.

    So a merge takes time in proportion to P, and not to its square, but for the groups whose
    nearest one it has changed.
    """

    def __init__(self, growth):
        self.growth = growth
        self.nearest, self.least = growth.argmin(1), growth.min(1)

    def find_pair(self):
        """Return the two nearest groups, in their order; of equal pairs the first."""
        first = self.least.argmin()
        return sorted((first, self.nearest[first]))

    def update(self, i, j):
        """Take over a merge: row i is new, group j is no more."""
        row = self.growth[i]
        had = (self.nearest == i) | (self.nearest == j)
        nearer = (row < self.least) | ((row == self.least) & (i < self.nearest))
        self.nearest[nearer], self.least[nearer] = i, row[nearer]
        had[[i, j]] = True
        lost = np.flatnonzero(had & np.isfinite(self.least))
        self.nearest[lost] = self.growth[lost].argmin(1)
        self.least[lost] = self.growth[lost, self.nearest[lost]]


def cut_tree(children, sizes, n_groups, least=0.0):
    """Return the group (P,) of each point by a cut of a tree, -1 outside; None if there is none.

    From the root on the last merge is undone, until there are ``n_groups`` groups. A half smaller
    than ``least`` is no group: its points are outside, and the other half goes on.
    """
    n_points = len(sizes)
    totals = list(sizes)
    for i, j in children:
        totals.append(totals[i] + totals[j])
    groups = {len(totals) - 1}
    while len(groups) < n_groups:
        last = max(groups)
        if last < n_points:
            return None
        i, j = children[last - n_points]
        groups.remove(last)
        groups |= {
            int(k) for k in (i, j) if totals[k] >= least or totals[k] == max(totals[i], totals[j])
        }
    labels = np.full(len(totals), -1)
    labels[sorted(groups)] = np.arange(n_groups)
    for t in range(len(children) - 1, -1, -1):
        if labels[n_points + t] >= 0:
            labels[children[t]] = labels[n_points + t]
    return labels[:n_points]


class ClusterTree(NamedTuple):
    """A tree whose leaves are parts of clusters; clusters are merged after all their parts."""

    #: Centres (P, L) of the leaves in the layout.
    centers: np.ndarray
    #: Cluster (P,) of each leaf.
    clusters: np.ndarray
    #: Merges (P - 1, 2), as in scikit-learn's AgglomerativeClustering.
    children: np.ndarray
    #: Ward's distance (P - 1,) of each merge.
    distances: np.ndarray

    def find_leaves(self, layout, labels):
        """Return the nearest leaf (N,) of its own cluster for rows of a layout (N, L).

        A cluster without leaves has none of its own: then it is the nearest of all.
        """
        leaves = np.empty(len(labels), dtype=np.int64)
        for cluster in np.unique(labels):
            rows, is_own = labels == cluster, self.clusters == cluster
            own = np.flatnonzero(is_own if is_own.any() else ~is_own)
            centers = self.centers[own]
            gaps = np.square(centers).sum(1) - 2 * (layout[rows].astype(np.float64) @ centers.T)
            leaves[rows] = own[gaps.argmin(1)]
        return leaves

    def cut(self, n_clusters):
        """Return the cluster (P,) of each leaf; as many clusters as there are keep their numbers.

        Otherwise they are numbered by the first of the clusters, or the first leaf, in them.
        """
        sizes = np.ones(len(self.clusters))
        groups = cut_tree(self.children, sizes, n_clusters)
        order = np.lexsort((np.arange(len(groups)), self.clusters))
        first = [np.flatnonzero(groups[order] == group)[0] for group in range(n_clusters)]
        numbers = np.empty(n_clusters, dtype=np.int64)
        numbers[np.argsort(first)] = np.arange(n_clusters)
        return numbers[groups]


def grow_tree(layout, labels, weights, parts):
    """Return the :class:`ClusterTree` whose leaves are the parts of rows within clusters.

    ``layout`` (M, L), ``labels`` (M,) and ``weights`` (M,) are of the rows, ``parts`` (M,) numbers
    of parts that may reach over several clusters.
    """
    pairs, leaves = np.unique(np.column_stack([labels, parts]), axis=0, return_inverse=True)
    resp = np.zeros((len(labels), len(pairs)))
    resp[np.arange(len(labels)), leaves.ravel()] = weights
    centers = cluster_means(resp, layout.astype(np.float64))
    children, distances = build_ward_tree(centers, resp.sum(0), pairs[:, 0])
    return ClusterTree(centers, pairs[:, 0], children, distances)
