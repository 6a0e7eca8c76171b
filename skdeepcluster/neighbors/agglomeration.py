"""Agglomeration: components of a mixture are merged to clusters by the edges between them.

N rows, P components, K clusters. An assignment (P, K) of zeros and ones says to which cluster a
component belongs.
"""

import numpy as np
import torch
from scipy.special import entr

from ..functional.information import entropy, kl_divergence

#: Splits, the best by the criterion, after which :func:`split_and_merge` tries all merges.
MAX_SPLITS = 20
#: Least linkage of two clusters that a swap merges, relative to that of the halves it separates.
MIN_RELATIVE_LINKAGE = 0.5


def normalize_rows(table):
    """Divide each row by its sum; a row of zeros becomes uniform, (N, K)."""
    total = table.sum(1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), 1 / table.shape[1])


def merge_components(resp, graph, n_clusters, linkage, boundary_weight):
    """Return the assignment (P, K) of components to clusters, by the edges of a graph.

    Edges are counted between the components that rows most probably belong to. Components that
    are no row's argmax belong to no cluster. The components are agglomerated; with linkage
    "share" the clusters are then improved by :func:`split_and_merge`.

    Parameters
    ----------
    resp : ndarray of shape (N, P)
        Responsibilities of the components.
    graph : sparse matrix of shape (N, N)
    n_clusters : int
    linkage : {"average", "share"}
    boundary_weight : float
    """
    labels = np.eye(resp.shape[1])[resp.argmax(1)]
    used = np.flatnonzero(labels.any(0))
    edges, sizes = (labels.T @ (graph @ labels))[np.ix_(used, used)], labels.sum(0)[used]
    groups = agglomerate(edges, sizes, n_clusters, linkage)
    if linkage == "share":
        groups = split_and_merge(edges, sizes, groups, boundary_weight)
    assignment = np.zeros((resp.shape[1], n_clusters))
    assignment[used, : len(groups)] = _membership(groups)
    return assignment


def cluster_responsibilities(resp, assignment):
    """Responsibilities (N, K) of clusters, from those of components (N, P)."""
    return normalize_rows(resp @ assignment)


def agglomerate(edges, sizes, n_groups, linkage):
    """Merge the two groups with the largest linkage until ``n_groups`` are left.

    Parameters
    ----------
    edges : ndarray of shape (P, P)
        Symmetric, at least 0: total weight of the edges between the rows of two points, or within
        one.
    sizes : ndarray of shape (P,)
        Rows that each point stands for.
    n_groups : int
    linkage : {"average", "share"}
        "average": mean weight of the edges over all pairs of rows. "share": weight of the edges
        between two groups as a share of all edges of either, whichever is larger.

    Returns
    -------
    list of list of int
        The points of each group; groups in the order of their first points. Groups without edges
        to others are merged last, the smallest first.
    """
    n_points = len(sizes)
    edges = np.maximum(edges, 1e-9 * max(edges.sum(), 1.0) / n_points**2)
    sizes = np.array(sizes if linkage == "average" else edges.sum(1), dtype=np.float64)
    groups = [[point] for point in range(n_points)]

    def find_nearest(rows):
        """For each of some groups the nearest other one, and their linkage."""
        whole = sizes[rows, None] * sizes if linkage == "average" else sizes[rows, None]
        nearness = np.where(alive, edges[rows] / whole, -np.inf)
        nearness[np.arange(len(rows)), rows] = -np.inf
        best = nearness.argmax(1)
        nearest[rows], largest[rows] = best, nearness[np.arange(len(rows)), best]

    alive = np.ones(n_points, dtype=bool)
    nearest, largest = np.zeros(n_points, dtype=np.int64), np.full(n_points, -np.inf)
    find_nearest(np.arange(n_points))
    for _ in range(n_points - n_groups):
        first = int(largest.argmax())
        i, j = sorted((first, int(nearest[first])))
        groups[i] += groups[j]
        edges[i] += edges[j]
        edges[:, i] += edges[:, j]
        sizes[i] += sizes[j]
        alive[j], largest[j] = False, -np.inf
        closer = edges[:, i] / (sizes * sizes[i] if linkage == "average" else sizes) >= largest
        changed = alive & (closer | (nearest == i) | (nearest == j))
        changed[i] = True
        find_nearest(np.flatnonzero(changed))
    return [groups[i] for i in np.flatnonzero(alive)]


def split_and_merge(edges, sizes, groups, boundary_weight):
    """Swap components between clusters as long as the criterion rises, the best swap first.

    A swap splits one cluster (undoing its last merge, or removing one component) and merges two
    others whose linkage is at least half that of the split halves. Agglomeration alone cannot undo
    an early merge.

    Parameters
    ----------
    edges : ndarray of shape (P, P)
    sizes : ndarray of shape (P,)
    groups : list of list of int
        The components of each cluster.
    boundary_weight : float

    Returns
    -------
    list of list of int
    """
    if edges.sum() == 0:
        return groups
    edges = edges / edges.sum()
    best = _criterion(_edges_between(edges, groups), boundary_weight)
    while True:
        splits = [
            [*groups[:k], *groups[k + 1 :], *halves]
            for k, group in enumerate(groups)
            for halves in _splits_of(edges, sizes, group)
        ]
        if not splits:
            return groups
        tables = [_edges_between(edges, split) for split in splits]
        order = np.argsort([-_criterion(table, boundary_weight) for table in tables])[:MAX_SPLITS]
        merges = [_criterion_after_merges(tables[i], boundary_weight) for i in order]
        after = np.stack(
            [np.where(_linked(tables[i]), m, -np.inf) for i, m in zip(order, merges, strict=True)]
        )
        if after.max() < best + 1e-9:
            return groups
        split, *pair = np.unravel_index(after.argmax(), after.shape)
        best, groups = after.max(), splits[order[split]]
        i, j = sorted(pair)
        groups[i] = groups[i] + groups.pop(j)


def _splits_of(edges, sizes, group):
    """Yield the ways in which a swap may divide a group of components in two."""
    if len(group) < 2:
        return
    halves = agglomerate(edges[np.ix_(group, group)], sizes[group], 2, "share")
    yield tuple([group[i] for i in half] for half in halves)
    if len(group) > 2:
        for component in group:
            yield [component], [other for other in group if other != component]


def _membership(groups):
    """Table (P, K) of which points are in a group; every point is in one."""
    table = np.zeros((sum(map(len, groups)), len(groups)))
    for k, group in enumerate(groups):
        table[group, k] = 1
    return table


def _edges_between(edges, groups):
    """Sum edges (P, P) over the points of groups, (K, K)."""
    table = _membership(groups)
    return table.T @ edges @ table


def _criterion_after_merges(edges, boundary_weight):
    """Criterion after the merge of clusters i and j, (K, K); -inf on the diagonal.

    It is (2 + w) H(c) - (1 + w) H(c, c'): of these sums only the terms of i and j change.
    """
    w, sums, own = boundary_weight, edges.sum(1), np.diag(edges)
    joint, marginal = entr(edges), entr(sums)
    both = entr(edges[:, None] + edges[None])
    k = np.arange(len(edges))
    lost = joint.sum(1)[:, None] + joint.sum(1) - joint
    lost = 2 * lost - np.diag(joint)[:, None] - np.diag(joint)
    won = 2 * (both.sum(2) - both[k[:, None], k, k[:, None]] - both[k[:, None], k, k])
    won += entr(own[:, None] + own + 2 * edges)
    joint_after = joint.sum() - lost + won
    marginal_after = marginal.sum() - marginal[:, None] - marginal + entr(sums[:, None] + sums)
    after = (2 + w) * marginal_after - (1 + w) * joint_after
    np.fill_diagonal(after, -np.inf)
    return after


def _linked(edges):
    """Pairs of clusters with at least half the linkage of the last two, the halves, (K, K)."""
    sums = edges.sum(1)
    share = edges / np.maximum(np.minimum(sums, sums[:, None]), np.finfo(np.float64).tiny)
    return share >= MIN_RELATIVE_LINKAGE * share[-1, -2]


def neighbor_information(graph, resp, boundary_weight):
    """I(c; c') - w H(c' | c) of the labels at both ends of an edge, in nats; 0 without edges."""
    labels = np.eye(resp.shape[1])[resp.argmax(1)]
    return _criterion(labels.T @ (graph @ labels), boundary_weight)


def _criterion(edges, boundary_weight):
    """Criterion of :func:`neighbor_information`, by the edges between clusters, (K, K)."""
    joint = torch.as_tensor(edges)
    if joint.sum() == 0:
        return 0.0
    log_joint = (joint / joint.sum()).log()
    log_end = log_joint.logsumexp(1)
    information = kl_divergence(log_joint.flatten(), (log_end[:, None] + log_end).flatten())
    boundary = entropy(log_end) - information
    return (information - boundary_weight * boundary).item()
