"""Constraints of the user: sizes of clusters, and pairs of samples in one cluster or in two.

N samples, M distinct samples in the graph, G groups of them, K clusters, C candidates, P pairs.
"""

from collections import Counter
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import breadth_first_order, connected_components

from .._labels import cluster_means, indicate, normalize_rows
from .selection import LEAD

#: Number of kept pairs that raises the score of a candidate by one.
PAIRS = 50
#: Decrease of the score of a candidate if all samples have to move for the sizes.
MISSED = 2.0
#: Score of a candidate whose sizes are out of bounds, times the share of samples that may stay.
BROKEN = 0.01
#: Number of unknowns (groups times clusters) of the integer program that makes sizes exact.
UNKNOWNS = 5_000
#: Tolerance of sums of weights, relative to the sum of all.
RESIDUAL = 1e-9


class Constraints(NamedTuple):
    """Constraints on the labels of the M distinct samples in a graph."""

    #: Group (M,) of each sample; a group is in one cluster.
    groups: np.ndarray
    #: Weights (M,) of the samples, with a sum of one.
    weights: np.ndarray
    #: Minimum and maximum weight of a cluster.
    least: float
    most: float
    #: Positions (P, 2) of samples that are linked and that are apart.
    joined: np.ndarray
    split: np.ndarray
    #: Samples of X that must be in different clusters.
    exclusive: list

    def allows(self, n_clusters):
        """Return whether the constraints do not exclude this number of clusters at once."""
        least, most = n_clusters * self.least, n_clusters * self.most
        return (
            least <= 1 + RESIDUAL
            and most >= 1 - RESIDUAL
            and len(self.exclusive) <= n_clusters
        )

    def check(self, n_clusters):
        """Raise an error if this number of clusters is excluded."""
        if self.allows(n_clusters):
            return
        if len(self.exclusive) > n_clusters:
            names = ", ".join(map(str, self.exclusive))
            raise ValueError(
                f"cannot_link separates the samples {names} from each other, but there are "
                f"n_clusters={n_clusters}. Raise n_clusters, or remove pairs."
            )
        name, bound, share, change = "max_cluster_size", "most", self.most, "Raise"
        if n_clusters * self.least > 1 + RESIDUAL:
            name, bound, share, change = (
                "min_cluster_size",
                "least",
                self.least,
                "Decrease",
            )
        raise ValueError(
            f"{name} gives n_clusters={n_clusters} clusters at {bound} {n_clusters * share:.4g} "
            f"times the weight of all samples together. {change} {name} or n_clusters."
        )

    def miss(self, labels, weights, n_clusters):
        """Return the share of the weight that must move for ``labels`` to keep the sizes."""
        sizes = np.bincount(labels, weights, n_clusters) / weights.sum()
        above, below = sizes - self.most - RESIDUAL, self.least - sizes - RESIDUAL
        return max(np.maximum(above, 0).sum(), np.maximum(below, 0).sum())

    def rate(self, labels, n_clusters):
        """Return what the constraints add to the scores of candidates (C, M), an array (C,)."""
        missed = [self.miss(own, self.weights, n_clusters) for own in labels]
        (a, b), (c, d) = self.joined.T, self.split.T
        kept = (labels[:, a] == labels[:, b]).sum(1) + (
            labels[:, c] != labels[:, d]
        ).sum(1)
        return kept / PAIRS - MISSED * np.array(missed)

    def lower(self, scores, labels, weights, n_clusters):
        """Return the scores (C,) of candidates (C, M), near zero outside of the sizes."""
        missed = np.array([self.miss(own, weights, n_clusters) for own in labels])
        kept = np.where(missed > 0, BROKEN * (1 - missed), scores)
        return kept if self.allows(n_clusters) else 0 * kept

    def keep(self, labels, n_clusters):
        """Return whether ``labels`` (M,) keep the constraints."""
        head = np.unique(self.groups, return_index=True)[1][self.groups]
        (a, b), missed = (
            labels[self.split].T,
            self.miss(labels, self.weights, n_clusters),
        )
        return missed == 0 and (a != b).all() and (labels == labels[head]).all()

    def impose(self, resp, layout, known=None):
        """Return responsibilities (M, K) whose labels keep the constraints.

        ``layout`` is (M, L); ``known`` (M, K) counts known labels.
        """
        n_clusters, labels = resp.shape[1], resp.argmax(1)
        if self.keep(labels, n_clusters):
            return resp
        found = _assign(self, resp, layout, known)
        if found is None or not self.keep(found, n_clusters):
            heaviest = np.bincount(self.groups, self.weights).max()
            raise ValueError(
                f"Found no partition into {n_clusters} clusters with {self.least:.4g} to "
                f"{self.most:.4g} of the samples each that keeps all pairs. Equal and linked "
                f"samples stay together, up to {heaviest:.4g} of all. Widen the sizes, remove "
                "pairs, or change n_clusters."
            )
        moved = np.flatnonzero(found != labels)
        resp = resp.copy()
        resp[moved, found[moved]] = (1 + LEAD) * resp[moved].max(1)
        resp[moved] = normalize_rows(resp[moved])
        return resp


# ---- what the user asks for


def read_pairs(n_samples, **named):
    """Return pairs (P, 2) of positions of samples for each name, checked."""
    for name, given in named.items():
        pairs = np.empty((0, 2), dtype=np.int64)
        pairs = pairs if given is None or not len(given) else np.asarray(given)
        if pairs.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(
                f"{name} has shape {pairs.shape} and dtype {pairs.dtype}, but expects integers of "
                "shape (n_pairs, 2). Give the positions in X of two samples per pair."
            )
        for sample in pairs[(pairs < 0) | (pairs >= n_samples)]:
            raise ValueError(
                f"{name} names sample {sample}, but X has the samples 0 to {n_samples - 1}. Give "
                "positions in X, not names of an index."
            )
        yield pairs.astype(np.int64)


def constrain(samples, weights, sizes, must_link, cannot_link, labels=None):
    """Return the :class:`Constraints` on the distinct ``samples``, checked, or None for none.

    ``weights`` (N,) belong to the samples; ``sizes`` are the least and greatest of a cluster,
    ``must_link`` and ``cannot_link`` pairs (P, 2), ``labels`` (N,) known clusters, or -1.
    """
    if sizes == (None, None) and not len(must_link) and not len(cannot_link):
        return None
    total, inverse, kept = weights.sum(), samples.inverse, samples.reference.kept
    shares = [size / total if isinstance(size, Integral) else size for size in sizes]
    needed = np.append(must_link, cannot_link)
    if sizes != (None, None):
        needed = np.append(needed, np.flatnonzero(weights))
    _check_in_graph(inverse, needed)
    if labels is not None and (len(must_link) or len(cannot_link)):
        must_link, cannot_link = _add_labels(labels, inverse, must_link, cannot_link)
    # Equal samples have equal keys and the same predictions.
    _, first, equal = np.unique(
        samples.reference.keys, return_index=True, return_inverse=True
    )
    rows = np.flatnonzero(inverse >= 0)
    links = np.column_stack([rows, kept[first][equal[inverse[rows]]]])
    links = np.vstack([must_link, links])
    graph = sparse.csr_array(
        (np.ones(len(links)), links.T), (len(inverse), len(inverse))
    )
    group = connected_components(graph, directed=False)[1]
    _check_apart(cannot_link, group, graph)
    return Constraints(
        groups=np.unique(group[kept], return_inverse=True)[1],
        weights=np.bincount(inverse[rows], weights[rows], len(kept)) / total,
        least=shares[0] or 0.0,
        most=shares[1] or 1.0,
        joined=inverse[must_link],
        split=inverse[cannot_link],
        exclusive=_find_exclusive(cannot_link, group),
    )


def _check_in_graph(inverse, needed):
    """Raise an error if a sample that the constraints need is not in the graph."""
    lost = needed[inverse[needed] < 0]
    if len(lost):
        raise ValueError(
            f"Sizes and pairs need their samples in the graph, but sample {lost[0]} has no "
            "weight, or is not among max_samples. Give it a weight, or set "
            f"max_samples={len(inverse)}."
        )


def _add_labels(labels, inverse, must_link, cannot_link):
    """Return the pairs and those that the labels of samples in the graph make."""
    known = np.flatnonzero((labels >= 0) & (inverse >= 0))
    _, first, classes = np.unique(labels[known], return_index=True, return_inverse=True)
    heads = known[first]
    links = np.column_stack([known, heads[classes]])
    apart = np.column_stack([heads[rows] for rows in np.triu_indices(len(heads), 1)])
    return np.vstack([must_link, links]), np.vstack([cannot_link, apart])


def _check_apart(cannot_link, group, graph):
    """Raise an error that names the chain of links between two samples that are apart."""
    joined = cannot_link[group[cannot_link[:, 0]] == group[cannot_link[:, 1]]]
    for first, last in joined[:1].tolist():
        before, chain = breadth_first_order(graph, last, directed=False)[1], [first]
        while chain[-1] != last:
            chain.append(int(before[chain[-1]]))
        raise ValueError(
            f"cannot_link or y separates the samples {first} and {last}, but must_link, y or "
            f"equal values join {' - '.join(map(str, chain))}. Remove one of these pairs."
        )


def _find_exclusive(cannot_link, group):
    """Return samples that must all be in different clusters, found greedily."""
    ends = group[cannot_link]
    sample = dict(zip(ends.ravel().tolist(), cannot_link.ravel().tolist(), strict=True))
    apart = set(map(tuple, np.vstack([ends, ends[:, ::-1]]).tolist()))
    found: list[int] = []
    for own, _ in Counter(first for first, _ in sorted(apart)).most_common():
        if all((own, other) in apart for other in found):
            found.append(own)
    return sorted(sample[own] for own in found)


# ---- the nearest labels that keep the constraints


def _assign(limits, resp, layout, known=None):
    """Return the labels (M,) that keep the constraints at about the least cost, or None.

    Cheap moves make the sizes keep their bounds. Then an integer program chooses again for the
    groups in doubt and for those that break a pair.
    """
    groups, n_clusters = limits.groups, resp.shape[1]
    member = indicate(groups, groups.max() + 1)
    mass = member.T @ limits.weights
    costs = (
        member.T
        @ (limits.weights[:, None] * _measure_moves(resp, layout))
        / mass[:, None]
    )
    if known is not None:
        labels = member.T @ known
        costs[labels < labels.max(1, keepdims=True)] = np.inf
    found = _move(costs, mass, limits)
    doubt = np.subtract(*np.partition(costs, 1, axis=1)[:, 1::-1].T)
    apart = groups[limits.split]
    links = sparse.csr_array((np.ones(len(apart)), apart.T), (len(mass), len(mass)))
    piece = connected_components(links, directed=False)[1]
    broken = apart[np.ptp(found[apart], axis=1) == 0]
    doubt[apart] = np.inf
    doubt[np.isin(piece, piece[broken])] = -1
    order, n_broken = np.argsort(doubt, kind="stable"), (doubt < 0).sum()
    n_free = UNKNOWNS // n_clusters if limits.least > 0 or limits.most < 1 else 0
    free = np.sort(order[: max(n_free, n_broken)])
    best = _solve(costs, mass, found, free, apart, limits)
    if best is None:
        return None
    found[free] = best
    return found[groups]


def _measure_moves(resp, layout):
    """Return the costs (M, K) of giving each sample to each cluster, zero for its own.

    They are log ratios of the responsibilities, and of Gaussians with one variance in the layout.
    """
    rows, labels = np.arange(len(resp)), resp.argmax(1)
    means = cluster_means(np.eye(resp.shape[1])[labels], layout)
    squares = np.stack([np.square(layout - mean).sum(1) for mean in means], axis=1)
    variance = max(squares[rows, labels].mean() / layout.shape[1], 1e-12)
    costs = squares / (2 * variance) - np.log(np.maximum(resp, LEAD))
    costs = np.maximum(costs - costs[rows, labels][:, None], LEAD)
    costs[rows, labels] = 0
    return costs


def _move(costs, mass, limits):
    """Return the cheapest clusters (G,), with cheap moves until the sizes are in their bounds."""
    found, rows = costs.argmin(1), np.arange(len(costs))
    sizes = np.bincount(found, mass, costs.shape[1])
    while True:
        excess, deficit = sizes - limits.most, limits.least - sizes
        gives = (deficit[found] + mass <= RESIDUAL)[:, None]
        takes = excess + mass[:, None] <= RESIDUAL
        is_useful = (excess > RESIDUAL)[found][:, None] | (deficit > RESIDUAL)
        extra = costs - costs[rows, found][:, None]
        moves = np.where(gives & takes & is_useful, extra, np.inf)
        moves[rows, found] = np.inf
        row, new = np.unravel_index(moves.argmin(), moves.shape)
        if np.isinf(moves[row, new]):
            return found
        old = found[row]
        # Many groups move at once, an eighth of what is missing.
        most = min(max(excess[old], deficit[new]), -excess[new], -deficit[old]) / 8
        own = np.flatnonzero((found == old) & np.isfinite(moves[:, new]))
        own = own[np.argsort(moves[own, new], kind="stable")]
        own = own[: max(1, np.searchsorted(np.cumsum(mass[own]), most, side="right"))]
        found[own] = new
        sizes = np.bincount(found, mass, len(sizes))


def _solve(costs, mass, found, free, apart, limits):
    """Return the clusters (F,) of the ``free`` groups at the least cost, or None.

    ``costs`` (G, K), ``mass`` (G,) and the clusters ``found`` (G,) describe all groups;
    ``apart`` (P, 2) are pairs of groups in different clusters.
    """
    if not len(free):
        return np.empty(0, dtype=np.int64)
    place, n_clusters = np.full(len(mass), -1), costs.shape[1]
    place[free] = np.arange(len(free))
    is_open, fixed = np.isfinite(costs), place < 0
    for own, other in (apart.T, apart.T[::-1]):
        is_open[own[fixed[other]], found[other[fixed[other]]]] = False
    unit, scale = sparse.eye_array(n_clusters), mass[free].mean()
    taken = np.bincount(found[fixed], mass[fixed], n_clusters)
    least, most = limits.least - taken - RESIDUAL, limits.most - taken + RESIDUAL
    once = sparse.kron(sparse.eye_array(len(free)), np.ones((1, n_clusters)))
    sizes = sparse.kron(mass[free][None] / scale, unit)
    rules = [LinearConstraint(once.tocsr(), 1, 1)]
    rules += [LinearConstraint(sizes.tocsr(), least / scale, most / scale)]
    edges = place[apart[~fixed[apart].any(1)]]
    if len(edges):
        ends = np.repeat(np.arange(len(edges)), 2), edges.ravel()
        both = sparse.csr_array((np.ones(edges.size), ends), (len(edges), len(free)))
        rules += [LinearConstraint(sparse.kron(both, unit).tocsr(), 0, 1)]
    values = np.where(is_open, costs, 0)[free] * mass[free][:, None] / scale
    best = milp(
        values.ravel(),
        integrality=1,
        bounds=Bounds(0, is_open[free].ravel().astype(float)),
        constraints=rules,
        options={"node_limit": 1000, "mip_rel_gap": 1e-3},
    ).x
    return None if best is None else best.reshape(values.shape).argmax(1)
