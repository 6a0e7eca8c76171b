"""Constraints of the user: sizes of clusters, and pairs of samples in one cluster or in two.

N samples, M distinct samples in the graph, G groups of them, K clusters, C candidates, P pairs.
"""

from collections import defaultdict
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import breadth_first_order, connected_components

from ..input.labels import cluster_means, indicate, normalize_rows
from .selection import LEAD

#: Number of kept pairs that raises the score of a candidate by one.
PAIRS = 50
#: Penalty for a candidate if every sample must move.
MISSED = 2.0
#: Score of a candidate whose sizes are out of bounds, times the share of samples that may stay.
BROKEN = 0.01
#: Number of unknowns (groups times clusters) of the integer program that makes sizes exact.
UNKNOWNS = 5_000
#: Tolerance of sums of weights, relative to the sum of all.
SLACK = 1e-9


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

    def refuse(self, n_clusters):
        """Return why this number of clusters is excluded at once, or None."""
        asked = f"n_clusters={n_clusters}"
        whole = "times the weight of all samples together"
        least = n_clusters * self.least
        most = n_clusters * self.most

        if len(self.exclusive) > n_clusters:
            names = ", ".join(map(str, self.exclusive))
            return (
                f"cannot_link separates the samples {names} from each other, but there "
                f"are {asked}. Raise n_clusters, or remove pairs."
            )
        if least > 1 + SLACK:
            return (
                f"min_cluster_size gives {asked} clusters at least {least:.4g} {whole}. "
                "Decrease min_cluster_size or n_clusters."
            )
        if most < 1 - SLACK:
            return (
                f"max_cluster_size gives {asked} clusters at most {most:.4g} {whole}. "
                "Raise max_cluster_size or n_clusters."
            )
        return None

    def allows(self, n_clusters):
        """Return whether the constraints do not exclude this number of clusters at once."""
        return self.refuse(n_clusters) is None

    def check(self, n_clusters):
        """Raise an error if this number of clusters is excluded."""
        reason = self.refuse(n_clusters)
        if reason:
            raise ValueError(reason)

    def miss(self, labels, weights, n_clusters):
        """Return the share of the weight that must move for ``labels`` to keep the sizes."""
        sizes = np.bincount(labels, weights, n_clusters) / weights.sum()
        above = (sizes - self.most - SLACK).clip(0).sum()
        below = (self.least - sizes - SLACK).clip(0).sum()
        return max(above, below)

    def score(self, labels, n_clusters):
        """Return what the constraints add to the scores of candidates (C, M), an array (C,)."""
        missed = [self.miss(row, self.weights, n_clusters) for row in labels]
        kept = _agree(labels, self.joined).sum(1)
        kept += (~_agree(labels, self.split)).sum(1)
        return kept / PAIRS - MISSED * np.array(missed)

    def lower(self, scores, labels, weights, n_clusters):
        """Return the scores (C,) of candidates (C, M), lowest outside of the sizes."""
        if not self.allows(n_clusters):
            return 0 * scores
        missed = np.array([self.miss(row, weights, n_clusters) for row in labels])
        return np.where(missed > 0, BROKEN * (1 - missed), scores.clip(BROKEN))

    def keep(self, labels, n_clusters):
        """Return whether ``labels`` (M,) keep the constraints."""
        first = np.unique(self.groups, return_index=True)[1]
        return (
            self.miss(labels, self.weights, n_clusters) == 0
            and not _agree(labels, self.split).any()
            and (labels == labels[first[self.groups]]).all()
        )

    def impose(self, resp, layout, known=None):
        """Return responsibilities (M, K) whose labels keep the constraints.

        ``layout`` is (M, L); ``known`` (M, K) counts known labels.
        """
        n_clusters = resp.shape[1]
        labels = resp.argmax(1)
        if self.keep(labels, n_clusters):
            return resp

        new = Relabeling(self, resp, layout, known).run()
        if new is None or not self.keep(new, n_clusters):
            heaviest = np.bincount(self.groups, self.weights).max()
            raise ValueError(
                f"Found no partition into {n_clusters} clusters with {self.least:.4g} to "
                f"{self.most:.4g} of the samples each that keeps all pairs. Equal and linked "
                f"samples stay together, up to {heaviest:.4g} of all. Widen the sizes, remove "
                "pairs, or change n_clusters."
            )

        moved = np.flatnonzero(new != labels)
        resp = resp.copy()
        resp[moved, new[moved]] = (1 + LEAD) * resp[moved].max(1)
        resp[moved] = normalize_rows(resp[moved])
        return resp


def _agree(labels, pairs):
    """Return whether the ``labels`` (..., M) of each of ``pairs`` (P, 2) are equal, (..., P)."""
    return labels[..., pairs[:, 0]] == labels[..., pairs[:, 1]]


# ---- what the user asks for


def constrain(samples, problem):
    """Return the :class:`Constraints` of a problem on the distinct ``samples``, checked."""
    weights = problem.sample_weight
    must_link = problem.must_link
    cannot_link = problem.cannot_link
    inverse = samples.inverse
    needed = np.append(must_link, cannot_link)
    if problem.has_sizes:
        needed = np.append(needed, np.flatnonzero(weights))
    _check_in_graph(inverse, needed)
    if problem.labels is not None and problem.has_pairs:
        pairs = must_link, cannot_link
        must_link, cannot_link = _add_labels(problem.labels, inverse, *pairs)

    links = np.vstack([must_link, _link_equal(samples)])
    graph = _link_nodes(links, len(inverse))
    group = connected_components(graph, directed=False)[1]
    _check_apart(cannot_link, group, graph)

    kept = samples.reference.kept
    total = weights.sum()
    sizes = (s / total if isinstance(s, Integral) else s for s in problem.sizes)
    least, most = sizes
    rows = np.flatnonzero(inverse >= 0)
    return Constraints(
        groups=np.unique(group[kept], return_inverse=True)[1],
        weights=np.bincount(inverse[rows], weights[rows], len(kept)) / total,
        least=least or 0.0,
        most=most or 1.0,
        joined=inverse[must_link],
        split=inverse[cannot_link],
        exclusive=_find_exclusive(cannot_link, group),
    )


def _check_in_graph(inverse, needed):
    """Raise an error if a sample that the constraints need is not in the graph."""
    lost = needed[inverse[needed] < 0]
    if len(lost):
        raise ValueError(
            f"Sizes and pairs need their samples in the graph, but sample {lost[0]} has "
            f"no weight, or is not among max_samples. Set max_samples={len(inverse)}."
        )


def _add_labels(labels, inverse, must_link, cannot_link):
    """Return the pairs and those that the labels of samples in the graph make."""
    known = np.flatnonzero((labels >= 0) & (inverse >= 0))
    _, first, classes = np.unique(labels[known], return_index=True, return_inverse=True)
    heads = known[first]

    links = np.column_stack([known, heads[classes]])
    apart = heads[np.column_stack(np.triu_indices(len(heads), 1))]
    return np.vstack([must_link, links]), np.vstack([cannot_link, apart])


def _link_equal(samples):
    """Return pairs of samples in the graph and the first of the distinct samples equal to them.

    Equal samples have equal keys and the same predictions.
    """
    reference = samples.reference
    _, first, equal = np.unique(reference.keys, return_index=True, return_inverse=True)
    firsts = reference.kept[first][equal]

    rows = np.flatnonzero(samples.inverse >= 0)
    return np.column_stack([rows, firsts[samples.inverse[rows]]])


def _link_nodes(pairs, n_nodes):
    """Return the graph with edges ``pairs`` (P, 2)."""
    return sparse.csr_array((np.ones(len(pairs)), pairs.T), (n_nodes, n_nodes))


def _check_apart(cannot_link, group, graph):
    """Raise an error that names the chain of links between two samples that are apart."""
    joined = cannot_link[_agree(group, cannot_link)]
    if not len(joined):
        return

    first, last = joined[0].tolist()
    before = breadth_first_order(graph, last, directed=False)[1]
    chain = [first]
    while chain[-1] != last:
        chain.append(int(before[chain[-1]]))

    raise ValueError(
        f"cannot_link or y separates the samples {first} and {last}, but must_link, y or equal "
        f"values join {' - '.join(map(str, chain))}. Remove one of these pairs."
    )


def _find_exclusive(cannot_link, group):
    """Return samples that must all be in different clusters, found greedily."""
    apart = defaultdict(set)
    sample = {}
    for pair in cannot_link.tolist():
        first, last = group[pair].tolist()
        apart[first].add(last)
        apart[last].add(first)
        sample |= {first: pair[0], last: pair[1]}

    clique: list[int] = []
    for candidate in sorted(apart, key=lambda node: (-len(apart[node]), node)):
        if apart[candidate].issuperset(clique):
            clique.append(candidate)
    return sorted(sample[node] for node in clique)


# ---- the nearest labels that keep the constraints


class Relabeling:
    """The search for labels that keep constraints, of G groups of samples, at the least cost.

    Cheap moves make the sizes keep their bounds. Then an integer program chooses again for at most
    UNKNOWNS / K groups in doubt, and for those that break a pair.
    """

    def __init__(self, constraints, resp, layout, known):
        self.least = constraints.least
        self.most = constraints.most
        self.groups = constraints.groups
        member = indicate(self.groups, self.groups.max() + 1)
        #: Pairs (P, 2) of groups in different clusters.
        self.apart = self.groups[constraints.split]
        #: Weights (G,) of the groups.
        self.mass = member.T @ constraints.weights
        costs = constraints.weights[:, None] * measure_moves(resp, layout)
        #: Cost (G, K) per weight of giving groups to clusters; infinite where labels forbid it.
        self.costs = member.T @ costs / self.mass[:, None]
        if known is not None:
            labels = member.T @ known
            self.costs[labels < labels.max(1, keepdims=True)] = np.inf
        #: Cluster (G,) of each group: the cheapest one at first.
        self.clusters = self.costs.argmin(1)

    def run(self):
        """Return the labels (M,), or None if the integer program has no solution."""
        while self.move():
            pass
        free = self.list_free()
        best = self.solve(free) if len(free) else free
        if best is None:
            return None
        self.clusters[free] = best
        return self.clusters[self.groups]

    def move(self):
        """Make the cheapest moves from one cluster to another; return whether there are any."""
        clusters = self.clusters
        sizes = np.bincount(clusters, self.mass, self.costs.shape[1])
        excess = sizes - self.most
        deficit = self.least - sizes

        gives = deficit[clusters] + self.mass <= SLACK
        takes = excess + self.mass[:, None] <= SLACK
        is_large = excess[clusters] > SLACK
        is_useful = is_large[:, None] | (deficit > SLACK)

        rows = np.arange(len(clusters))
        extra = self.costs - self.costs[rows, clusters][:, None]
        extra[~(gives[:, None] & takes & is_useful)] = np.inf
        extra[rows, clusters] = np.inf
        row, new = np.unravel_index(extra.argmin(), extra.shape)
        if np.isinf(extra[row, new]):
            return False

        # Many groups move at once, an eighth of what is missing.
        old = clusters[row]
        missing = max(excess[old], deficit[new])
        missing = min(missing, -excess[new], -deficit[old]) / 8

        movable = np.flatnonzero((clusters == old) & np.isfinite(extra[:, new]))
        movable = movable[np.argsort(extra[movable, new], kind="stable")]
        total = np.cumsum(self.mass[movable])
        n_moved = np.searchsorted(total, missing, side="right")
        clusters[movable[: max(1, n_moved)]] = new
        return True

    def list_free(self):
        """Return the groups that may move again: those that break a pair, and those in doubt."""
        first, second = np.partition(self.costs, 1, axis=1)[:, :2].T
        doubt = second - first
        doubt[self.apart] = np.inf

        graph = _link_nodes(self.apart, len(doubt))
        piece = connected_components(graph, directed=False)[1]
        broken = self.apart[_agree(self.clusters, self.apart)]
        is_broken = np.isin(piece, piece[broken])
        doubt[is_broken] = -1

        n_free = is_broken.sum()
        if self.least > 0 or self.most < 1:
            n_free = max(n_free, UNKNOWNS // self.costs.shape[1])
        return np.sort(np.argsort(doubt, kind="stable")[:n_free])

    def solve(self, free):
        """Return the clusters (F,) of the ``free`` groups at the least cost, or None."""
        is_fixed = np.isin(np.arange(len(self.mass)), free, invert=True)
        is_possible = np.isfinite(self.costs)
        pairs = np.vstack([self.apart, self.apart[:, ::-1]])
        node, fixed = pairs[is_fixed[pairs[:, 1]]].T
        is_possible[node, self.clusters[fixed]] = False

        scale = self.mass[free].mean()
        values = np.where(is_possible, self.costs, 0)[free]
        values = values * self.mass[free][:, None] / scale
        best = milp(
            values.ravel(),
            integrality=1,
            bounds=Bounds(0, is_possible[free].ravel().astype(float)),
            constraints=self.list_rules(free, is_fixed, scale),
            options={"node_limit": 1000, "mip_rel_gap": 1e-3},
        ).x
        return None if best is None else best.reshape(values.shape).argmax(1)

    def list_rules(self, free, is_fixed, scale):
        """Return the rules: one cluster per group, sizes in their bounds, and pairs apart."""
        n_clusters = self.costs.shape[1]
        n_free = len(free)
        unit = sparse.eye_array(n_clusters)
        once = sparse.kron(sparse.eye_array(n_free), np.ones((1, n_clusters)))
        sizes = sparse.kron(self.mass[free][None] / scale, unit)
        taken = np.bincount(self.clusters[is_fixed], self.mass[is_fixed], n_clusters)
        least = (self.least - taken - SLACK) / scale
        most = (self.most - taken + SLACK) / scale
        rules = [
            LinearConstraint(once.tocsr(), 1, 1),
            LinearConstraint(sizes.tocsr(), least, most),
        ]

        edges = self.apart[~is_fixed[self.apart].any(1)]
        if len(edges):
            ends = np.searchsorted(free, edges).T
            first, second = (indicate(end, n_free) for end in ends)
            pairs = sparse.kron(first + second, unit)
            rules.append(LinearConstraint(pairs.tocsr(), 0, 1))
        return rules


def measure_moves(resp, layout):
    """Return the costs (M, K) of giving each sample to each cluster, zero for its own.

    They are log ratios of the responsibilities, and of Gaussians with one variance in the layout.
    """
    is_own = np.arange(resp.shape[1]) == resp.argmax(1)[:, None]
    means = cluster_means(is_own.astype(float), layout)
    squares = np.stack([np.square(layout - mean).sum(1) for mean in means], axis=1)
    variance = max(squares[is_own].mean() / layout.shape[1], 1e-12)

    costs = squares / (2 * variance) - np.log(resp.clip(LEAD))
    costs = (costs - costs[is_own][:, None]).clip(LEAD)
    return np.where(is_own, 0, costs)
