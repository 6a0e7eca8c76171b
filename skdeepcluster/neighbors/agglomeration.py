"""Agglomeration: components of a mixture, or clusters, are merged by edges between their rows.

N rows, P components, K clusters. An assignment (P, K) of zeros and ones says to which cluster a
component belongs.
"""

from collections.abc import Callable
from numbers import Integral

import numpy as np
from scipy.special import entr
from sklearn.utils import check_array, check_scalar, column_or_1d

from .._responsibilities import indicate
from .._typing import Labels
from .graph import check_graph, neighbor_graph

#: Weight of what two ends of an edge do not tell about each other, for swaps of clusters.
BOUNDARY_WEIGHT = 2.0
#: Most swaps that :func:`split_and_merge` makes; of up to fifty clusters hardly ever so many.
MAX_SWAPS = 30
#: Splits for which :func:`split_and_merge` evaluates all merges: those of the highest criterion.
MAX_SPLITS = 20
#: Pairs of clusters whose merge it evaluates after each: all of up to 44 clusters.
MAX_MERGES = 1_000
#: Least linkage of two clusters that a swap merges, relative to that of the two halves it splits.
MIN_RELATIVE_LINKAGE = 0.5


def merge_components(resp, graph, n_clusters, linkage, boundary_weight):
    """Return the assignment (P, K) of components to clusters, by the edges of a graph (N, N).

    Every row counts for its most probable component by ``resp`` (N, P). Components that are no
    row's argmax belong to no cluster. The others are agglomerated; with linkage "share" the
    clusters are then improved by :func:`split_and_merge`.
    """
    member = indicate(resp.argmax(1), resp.shape[1])
    sizes = member.sum(0)
    used = np.flatnonzero(sizes)
    edges, sizes = (member.T @ (graph @ member)).toarray()[np.ix_(used, used)], sizes[used]
    groups = agglomerate(edges, sizes, n_clusters, linkage)
    if linkage == "share":
        groups = split_and_merge(edges, sizes, groups, boundary_weight)
    assignment = np.zeros((resp.shape[1], n_clusters))
    for k, group in enumerate(groups):
        assignment[used[group], k] = 1
    return assignment


def merge_clusters(
    clusters,
    X,
    n_clusters,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., float] = "euclidean",
    linkage="average",
    n_jobs: int | None = None,
) -> Labels:
    """Merge clusters that many neighbours connect, until few are left.

    For more clusters than are wanted, from any clusterer: in turn the two clusters are merged
    that the edges of the neighbour graph connect most strongly.

    Parameters
    ----------
    clusters : array-like of shape (n_samples,) or (n_samples, n_given)
        Labels, any numbers or strings; -1 is noise and stays -1. Or probabilities, whose rows sum
        to one: each row counts for its most probable cluster.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows; with ``metric="precomputed"`` their distances, as :func:`neighbor_graph` takes
        them; or with ``metric="graph"`` a neighbour graph (n_samples, n_samples) of weights, for
        instance ``graph_`` of a fit.
    n_clusters : int
        Number of clusters to keep; at most the number given.
    n_neighbors : int, default=15
        Neighbours in the graph.
    metric : str or callable, default="euclidean"
        As in :class:`sklearn.neighbors.NearestNeighbors`, "precomputed" or "graph".
    linkage : {"average", "share"}, default="average"
        "average": mean weight of the edges over all pairs of rows of two clusters. "share": weight
        of the edges between them as a share of all edges of either, whichever is larger, which
        keeps large clusters whole beside small ones.
    n_jobs : int, default=None
        Threads of the search, as in scikit-learn.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_clusters)
        Labels from 0 on, numbered by the first of the clusters merged; or the sums of the
        probabilities.

    See Also
    --------
    skdeepcluster.NeighborClustering.cut : Fewer clusters of the same fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.neighbors import merge_clusters
    >>> X = np.r_[np.linspace(0, 1, 20), np.linspace(9, 10, 20)][:, None]
    >>> merged = merge_clusters(np.arange(40) // 10, X, 2, n_neighbors=5)
    >>> [int(label) for label in merged[::10]]
    [0, 0, 1, 1]
    """
    if linkage not in ("average", "share"):
        raise ValueError(f"linkage must be 'average' or 'share', got {linkage!r}.")
    given = np.asarray(clusters)
    if given.ndim == 2:
        resp = check_array(given, dtype=np.float64)
        if (resp < 0).any() or not np.allclose(resp.sum(1), 1, atol=1e-3):
            raise ValueError(
                "clusters has two dimensions, but its rows are no probabilities: they should be "
                "at least 0 and sum to one. Give labels, or probabilities."
            )
        known = np.ones(len(resp), dtype=bool)
    else:
        given = column_or_1d(given)
        known = np.ones(len(given), dtype=bool) if given.dtype.kind in "OUS" else given != -1
        if not known.any():
            raise ValueError("All rows of clusters are noise, -1: there is nothing to merge.")
        names, numbers = np.unique(given[known], return_inverse=True)
        resp = np.zeros((len(given), len(names)))
        resp[np.flatnonzero(known), numbers] = 1
    check_scalar(n_clusters, "n_clusters", Integral, min_val=1, max_val=resp.shape[1])
    is_graph = isinstance(metric, str) and metric == "graph"
    if is_graph:
        graph = _check_links(X)
    else:
        graph = neighbor_graph(X, n_neighbors, metric=metric, n_jobs=n_jobs)
    if graph.shape != (len(resp), len(resp)):
        raise ValueError(
            f"{'The graph' if is_graph else 'X'} is of {graph.shape[0]} rows, clusters of "
            f"{len(resp)}. Give both for the same rows."
        )
    graph = graph[known][:, known]
    assignment = merge_components(resp[known], graph, n_clusters, linkage, BOUNDARY_WEIGHT)
    # Clusters that are no row's most probable belong to none yet: to the first.
    assignment[~assignment.any(1), 0] = 1
    merged = resp @ assignment
    return merged if given.ndim == 2 else np.where(known, merged.argmax(1), -1)


def _check_links(X):
    """Return a graph given as X as a CSR matrix, checked for weights that links may have."""
    graph = check_graph(X, [np.float64, np.float32])
    least, uneven = graph.data.min(initial=0), abs(graph - graph.T).max()
    if least < 0 or uneven > 1e-6 * graph.data.max(initial=1):
        raise ValueError(
            f"A graph should be symmetric, with weights of at least 0; its least weight is "
            f"{least:.6g}, and weights in both directions differ by up to {uneven:.6g}. Of "
            "directed weights W pass (W + W.T) / 2."
        )
    return graph


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


def split_and_merge(edges, sizes, groups, boundary_weight):
    """Return the groups after at most MAX_SWAPS swaps, the best of all while the criterion rises.

    A swap splits one group (undoing its last merge, or removing one component) and merges two
    others whose linkage is at least half that of the split halves. Agglomeration alone cannot undo
    an early merge. Edges (P, P), sizes (P,) and groups are those of :func:`agglomerate`.
    """
    if edges.sum() == 0:
        return groups
    edges, known = edges / edges.sum(), {}
    best = _evaluate_criterion(_sum_edges(edges, groups), boundary_weight)
    for _ in range(MAX_SWAPS):
        for group in groups:
            if tuple(group) not in known:
                known[tuple(group)] = list(_list_splits(edges, sizes, group))
        splits = [(k, *halves) for k, group in enumerate(groups) for halves in known[tuple(group)]]
        if not splits:
            return groups
        divided, swaps = DividedGroups(edges, groups, splits), []
        for split in divided.evaluate(boundary_weight).argsort()[::-1][:MAX_SPLITS]:
            k, *halves = splits[split]
            parted = [*groups[:k], *groups[k + 1 :], *halves]
            swaps.append((*_find_merge(divided.sum_edges(split), boundary_weight), parted))
        after, i, j, parted = max(swaps, key=lambda swap: swap[0])
        if after < best + 1e-9:
            return groups
        best, groups = after, parted
        groups[i] = groups[i] + groups.pop(j)
    return groups


def _list_splits(edges, sizes, group):
    """Yield the ways in which a swap may divide a group of components in two."""
    if len(group) < 2:
        return
    halves = agglomerate(edges[np.ix_(group, group)], sizes[group], 2, "share")
    yield tuple([group[i] for i in half] for half in halves)
    if len(group) > 2:
        for component in group:
            yield [component], [other for other in group if other != component]


def _sum_edges(edges, groups):
    """Sum edges (P, P) over the points of groups, (K, K)."""
    return _sum_columns(_sum_columns(edges, groups).T, groups)


def _sum_columns(edges, groups):
    """Sum the columns of edges (R, P) over the points of groups, (R, K)."""
    starts = np.cumsum([0, *map(len, groups[:-1])])
    return np.add.reduceat(edges[:, np.concatenate(groups)], starts, axis=1)


class DividedGroups:
    """Edges between groups of which one is divided in two, in each of S ways.

    Edges (P, P) and groups are those of :func:`agglomerate`. A way is the number k of a group and
    its two halves, lists of points.
    """

    def __init__(self, edges, groups, splits):
        columns = _sum_columns(edges, groups)
        self.whole = _sum_columns(columns.T, groups)
        self.which = np.array([k for k, *_ in splits])
        ways = np.arange(len(splits)), self.which
        #: Edges (S, K) of each half with all groups, 0 with its own.
        self.first = np.stack([columns[half].sum(0) for _, half, _ in splits])
        self.second = np.maximum(self.whole[self.which] - self.first, 0)
        #: Edges (S,) within the halves and between them.
        self.own = np.array([edges[np.ix_(half, half)].sum() for _, half, _ in splits])
        self.between = np.maximum(self.first[ways] - self.own, 0)
        self.own_second = np.maximum(self.second[ways] - self.between, 0)
        self.first[ways] = self.second[ways] = 0

    def evaluate(self, boundary_weight):
        """Return the criterion after each split, (S,).

        Only the terms of the divided group change.
        """
        which, joint, sums = self.which, entr(self.whole), self.whole.sum(1)
        first = self.first.sum(1) + self.own + self.between
        second = self.second.sum(1) + self.own_second + self.between
        marginal = entr(sums).sum() - entr(sums)[which] + entr(first) + entr(second)
        added = entr(self.first).sum(1) + entr(self.second).sum(1) + entr(self.between)
        added = 2 * added + entr(self.own) + entr(self.own_second)
        lost = 2 * joint.sum(1)[which] - joint[which, which]
        return _weigh_entropies(marginal, joint.sum() + added - lost, boundary_weight)

    def sum_edges(self, split):
        """Return the edges (K + 1, K + 1) after a split, whose halves are the last groups."""
        n_groups = len(self.whole)
        others = np.delete(np.arange(n_groups), self.which[split])
        edges = np.empty((n_groups + 1, n_groups + 1))
        edges[:-2, :-2] = self.whole[np.ix_(others, others)]
        edges[-2, :-2] = edges[:-2, -2] = self.first[split, others]
        edges[-1, :-2] = edges[:-2, -1] = self.second[split, others]
        edges[-2, -1] = edges[-1, -2] = self.between[split]
        edges[-2, -2], edges[-1, -1] = self.own[split], self.own_second[split]
        return edges


def _find_merge(edges, boundary_weight):
    """Return the highest criterion after the merge of two clusters, and these, i < j.

    Of at most ``MAX_MERGES`` pairs those of the largest linkage are evaluated, which is at least
    ``MIN_RELATIVE_LINKAGE`` times that of the last two.
    """
    sums = edges.sum(1)
    share = edges / np.maximum(np.minimum(sums, sums[:, None]), np.finfo(np.float64).tiny)
    pairs = np.argwhere(np.triu(share >= MIN_RELATIVE_LINKAGE * share[-1, -2], 1))
    if len(pairs) > MAX_MERGES:
        largest = np.argsort(-share[tuple(pairs.T)], kind="stable")[:MAX_MERGES]
        pairs = pairs[np.sort(largest)]
    after = _evaluate_merges(edges, pairs, boundary_weight)
    best = after.argmax()
    return after[best], *pairs[best].tolist()


def _evaluate_merges(edges, pairs, boundary_weight):
    """Return the criterion after the merge of the clusters of each pair i < j (M, 2), (M,).

    Only the terms of i and j change.
    """
    sums, own = edges.sum(1), np.diag(edges)
    (i, j), number = pairs.T, np.arange(len(pairs))
    joint, marginal = entr(edges), entr(sums)
    both = entr(edges[i] + edges[j])
    lost = 2 * (joint.sum(1)[i] + joint.sum(1)[j] - joint[i, j]) - joint[i, i] - joint[j, j]
    won = 2 * (both.sum(1) - both[number, i] - both[number, j])
    won += entr(own[i] + own[j] + 2 * edges[i, j])
    joint_after = joint.sum() - lost + won
    marginal_after = marginal.sum() - marginal[i] - marginal[j] + entr(sums[i] + sums[j])
    return _weigh_entropies(marginal_after, joint_after, boundary_weight)


def _weigh_entropies(marginal, joint, boundary_weight):
    """Return I(c; c') - w H(c' | c) = (2 + w) H(c) - (1 + w) H(c, c') of the two entropies."""
    return (2 + boundary_weight) * marginal - (1 + boundary_weight) * joint


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
