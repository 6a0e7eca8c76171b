"""Agglomeration: the components of a mixture are merged into clusters, by edges between rows.

N rows, P components, K clusters. An assignment (P, K) of zeros and ones says to which cluster a
component belongs.
"""

import numpy as np
from scipy.special import entr

#: Splits for which :func:`split_and_merge` evaluates all merges: those of the highest criterion.
MAX_SPLITS = 20
#: Least linkage of two clusters that a swap merges, relative to that of the two halves it splits.
MIN_RELATIVE_LINKAGE = 0.5


def normalize_rows(table):
    """Divide each row by its sum; a row of zeros becomes uniform, (N, K)."""
    total = table.sum(1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), 1 / table.shape[1])


def merge_components(resp, graph, n_clusters, linkage, boundary_weight):
    """Return the assignment (P, K) of components to clusters, by the edges of a graph (N, N).

    Every row counts for its most probable component by ``resp`` (N, P). Components that are no
    row's argmax belong to no cluster. The others are agglomerated; with linkage "share" the
    clusters are then improved by :func:`split_and_merge`.
    """
    labels = np.eye(resp.shape[1])[resp.argmax(1)]
    used = np.flatnonzero(labels.any(0))
    edges, sizes = (labels.T @ (graph @ labels))[np.ix_(used, used)], labels.sum(0)[used]
    groups = agglomerate(edges, sizes, n_clusters, linkage)
    if linkage == "share":
        groups = split_and_merge(edges, sizes, groups, boundary_weight)
    assignment = np.zeros((resp.shape[1], n_clusters))
    assignment[used, : len(groups)] = _build_assignment(groups)
    return assignment


def cluster_responsibilities(resp, assignment):
    """Return responsibilities (N, K) of clusters, from those of components (N, P)."""
    return normalize_rows(resp @ assignment)


def agglomerate(edges, sizes, n_groups, linkage):
    """Merge the two groups with the largest linkage until ``n_groups`` are left.

    A point stands for ``sizes`` (P,) rows; ``edges`` (P, P), symmetric, at least 0, are the total
    weights of the edges between the rows of two points, or within one. Linkage "average" is the
    mean weight over all pairs of rows; "share" the weight of the edges between two groups as a
    share of all edges of either, whichever is larger. Groups without edges to others are merged
    last, the smallest first. Returned are lists of the points of each group, in the order of
    their first points.
    """
    n_points = len(sizes)
    edges = np.maximum(edges, 1e-9 * max(edges.sum(), 1.0) / n_points**2)
    sizes = np.array(sizes if linkage == "average" else edges.sum(1), dtype=np.float64)
    groups = [[point] for point in range(n_points)]

    def find_nearest(rows):
        """Update the nearest other group of each of some groups, and their linkage."""
        whole = sizes[rows, None] * sizes if linkage == "average" else sizes[rows, None]
        linkages = np.where(alive, edges[rows] / whole, -np.inf)
        linkages[np.arange(len(rows)), rows] = -np.inf
        nearest[rows], largest[rows] = linkages.argmax(1), linkages.max(1)

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


def agglomerate_by_variance(points, sizes):
    """Return Ward's tree of weighted points: merges (P - 1, 2) as in AgglomerativeClustering.

    Merged are the two groups for which the variance within groups grows least, |m_i - m_j|^2
    n_i n_j / (n_i + n_j), with means m and sizes n (P,). Group P + t is that of merge t.
    """
    n_points = len(sizes)
    means, sizes, numbers = (
        points.astype(np.float64),
        sizes.astype(np.float64),
        list(range(n_points)),
    )
    alive = np.ones(n_points, dtype=bool)

    def measure(i):
        """Return the growth of the variance if group i is merged with each other."""
        both = np.maximum(sizes + sizes[i], np.finfo(np.float64).tiny)
        growth = np.square(means - means[i]).sum(1) * sizes * sizes[i] / both
        return np.where(alive & (np.arange(n_points) != i), growth, np.inf)

    growth = np.stack([measure(i) for i in range(n_points)])
    children = np.empty((n_points - 1, 2), dtype=np.int64)
    for t in range(n_points - 1):
        i, j = sorted(np.unravel_index(growth.argmin(), growth.shape))
        children[t] = numbers[i], numbers[j]
        numbers[i], alive[j] = n_points + t, False
        total = max(sizes[i] + sizes[j], np.finfo(np.float64).tiny)
        means[i] += (means[j] - means[i]) * (sizes[j] / total)
        sizes[i] += sizes[j]
        growth[j] = growth[:, j] = np.inf
        growth[i] = growth[:, i] = measure(i)
    return children


def cut_tree(children, sizes, n_groups, least):
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


def split_and_merge(edges, sizes, groups, boundary_weight):
    """Return the groups after swaps, of which the best is made as long as the criterion rises.

    A swap splits one group (undoing its last merge, or removing one component) and merges two
    others whose linkage is at least half that of the split halves. Agglomeration alone cannot undo
    an early merge. Edges (P, P), sizes (P,) and groups are those of :func:`agglomerate`.
    """
    if edges.sum() == 0:
        return groups
    edges = edges / edges.sum()
    best = _evaluate_criterion(_sum_edges(edges, groups), boundary_weight)
    while True:
        splits = [
            [*groups[:k], *groups[k + 1 :], *halves]
            for k, group in enumerate(groups)
            for halves in _list_splits(edges, sizes, group)
        ]
        if not splits:
            return groups
        tables = [_sum_edges(edges, split) for split in splits]
        scores = [_evaluate_criterion(table, boundary_weight) for table in tables]
        order = np.argsort(np.negative(scores))[:MAX_SPLITS]
        after = np.stack([_evaluate_merges(tables[i], boundary_weight) for i in order])
        after[~np.stack([_find_linked(tables[i]) for i in order])] = -np.inf
        if after.max() < best + 1e-9:
            return groups
        split, *pair = np.unravel_index(after.argmax(), after.shape)
        best, groups = after.max(), splits[order[split]]
        i, j = sorted(pair)
        groups[i] = groups[i] + groups.pop(j)


def _list_splits(edges, sizes, group):
    """Yield the ways in which a swap may divide a group of components in two."""
    if len(group) < 2:
        return
    halves = agglomerate(edges[np.ix_(group, group)], sizes[group], 2, "share")
    yield tuple([group[i] for i in half] for half in halves)
    if len(group) > 2:
        for component in group:
            yield [component], [other for other in group if other != component]


def _build_assignment(groups):
    """Return the assignment (P, K) of points to groups; every point is in one."""
    table = np.zeros((sum(map(len, groups)), len(groups)))
    for k, group in enumerate(groups):
        table[group, k] = 1
    return table


def _sum_edges(edges, groups):
    """Sum edges (P, P) over the points of groups, (K, K)."""
    assignment = _build_assignment(groups)
    return assignment.T @ edges @ assignment


def _evaluate_merges(edges, boundary_weight):
    """Return the criterion after the merge of clusters i and j, (K, K); -inf on the diagonal.

    The criterion is (2 + w) H(c) - (1 + w) H(c, c'): only the terms of i and j change.
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


def _find_linked(edges):
    """Return which pairs of clusters have at least half the linkage of the last two, (K, K)."""
    sums = edges.sum(1)
    share = edges / np.maximum(np.minimum(sums, sums[:, None]), np.finfo(np.float64).tiny)
    return share >= MIN_RELATIVE_LINKAGE * share[-1, -2]


def _evaluate_criterion(edges, boundary_weight):
    """Return I(c; c') - w H(c' | c) of the clusters at both ends of an edge, in nats.

    ``edges`` (K, K) are those between clusters; without any the criterion is 0.
    """
    information, entropy = measure_joint(edges)
    return information - boundary_weight * (entropy - information)


def measure_joint(joint):
    """Return I and H in nats of a symmetric joint distribution (K, K) that need not sum to one.

    I is the mutual information of the two variables, H the entropy of each; 0 and 0 of zeros.
    """
    joint = joint.astype(np.float64) / max(joint.sum(), np.finfo(np.float64).tiny)
    entropy = float(entr(joint.sum(0)).sum())
    return max(2 * entropy - float(entr(joint).sum()), 0.0), entropy
