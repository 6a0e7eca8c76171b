r"""The number of clusters, by the time scales at which a walk on the graph remembers them.

A walk of few steps does not leave small groups, one of many steps not even large ones. At each
time t the partitions of a tree are compared by I(c_0; c_t)^3 / H(c_0)^2, with c_t the cluster
after t steps, I the mutual information and H the entropy: the share I / H that the walk remembers
enters squared, since rows that are long and thin are remembered in any number of pieces for a
while. What remains of that in rows of a normal distribution with the same covariance is
subtracted. Separate clusters are the best partition over a wide range of times: each number of
clusters gets the sum of (I / H)^2 over the times, evenly spaced on a logarithmic scale, at which
it is the best, and the number with the largest sum is chosen. If at no time the walk remembers
much more of these clusters than in the normal rows, there is one cluster.

M rows, L layout dimensions, P micro-clusters, K clusters, T times.

Reference: J.-C. Delvenne, S. N. Yaliraki, M. Barahona, "Stability of graph communities across
time scales", PNAS 2010 (a partition is relevant if it is the best over many scales).
"""

from typing import NamedTuple

import numpy as np

from .._responsibilities import average_finite
from .agglomeration import measure_joint
from .candidates import (
    MIN_ROWS_PER_CLUSTER,
    divide_rows,
    draw_sample,
    scale_to_unit_variance,
)
from .graph import make_walk
from .search import single_threaded_blas
from .tree import build_ward_tree, cut_tree

#: Steps of the walk on rows whose powers give all other times.
BASE_STEPS = 4
#: Times at which partitions are compared, in steps, half an octave apart.
TIMES = 2.0 ** np.arange(1, 11, 0.5)
#: Micro-clusters per cluster of the largest number compared.
MICRO_PER_CLUSTER = 4
#: Least share of what there is to know, above that in rows without clusters, for two clusters, at
#: the time at which it is largest.
MIN_SHARE = 0.15
#: Bootstrap samples of micro-clusters for the stability of each number.
N_BOOTSTRAPS = 10


class MicroClusters(NamedTuple):
    """Micro-clusters of the rows of a layout and their tree."""

    #: Micro-cluster (M,) of each row.
    labels: np.ndarray
    #: Their centres (P, L) in the layout at a mean variance of one.
    centers: np.ndarray
    #: Their total weights (P,).
    sizes: np.ndarray
    #: Merges (P - 1, 2) of Ward's tree.
    children: np.ndarray


class ScaleCurve(NamedTuple):
    """Numbers of clusters 1 to K and how well each describes the rows, arrays (K,)."""

    n_clusters: np.ndarray
    #: I^3 / H^2 above that of rows without clusters, mean of the times at which the number of the
    #: greatest persistence is the best.
    criterion: np.ndarray
    #: Sum of (I / H)^2 over the times at which each number is the best.
    persistence: np.ndarray
    #: Mean adjusted Rand index with partitions of bootstrap samples.
    stability: np.ndarray
    #: The number of the greatest persistence, or 1 where its walk remembers at no time much more
    #: than that in rows without clusters.
    best: int


def grow_micro_clusters(layout, weights, max_clusters, stream):
    """Return :class:`MicroClusters` of a layout (M, L) whose rows have weights (M,)."""
    rows = scale_to_unit_variance(layout)
    sample = draw_sample(rows, weights, stream)
    labels, centers = divide_rows(rows, sample, MICRO_PER_CLUSTER * max_clusters, stream)
    n_micro = len(centers)
    sizes = np.bincount(labels, weights, minlength=n_micro)
    present = np.flatnonzero(sizes > 0)
    place = np.full(n_micro, -1)
    place[present] = np.arange(len(present))
    centers, sizes = centers[present], sizes[present]
    children, _ = build_ward_tree(centers, sizes)
    return MicroClusters(place[labels], centers, sizes, children)


def limit_clusters(n_rows, max_clusters):
    """Return the largest number of clusters that is compared for so many rows."""
    return max(1, min(max_clusters, n_rows // MIN_ROWS_PER_CLUSTER))


def choose_scale(micro, graph, null, max_clusters, stream):
    """Return the :class:`ScaleCurve` of rows, given their micro-clusters and weighted graph.

    ``null`` are the micro-clusters and the graph of rows without clusters, or None.
    """
    information, entropy = measure_over_times(micro, graph, max_clusters)
    share = information / np.maximum(entropy, np.finfo(np.float64).tiny)
    expected = expected_share = np.zeros_like(share)
    if null is not None:
        given, entropy_null = measure_over_times(*null, max_clusters)
        width = min(share.shape[1], given.shape[1])
        information, share = information[:, :width], share[:, :width]
        given = given[:, :width]
        expected_share = given / np.maximum(entropy_null[:, :width], np.finfo(np.float64).tiny)
        expected = given * expected_share**2
    gain = information * share**2 - expected
    at = gain.argmax(1)
    persistence = np.bincount(at, share[np.arange(len(at)), at] ** 2, minlength=gain.shape[1])
    best = int(persistence.argmax())
    times = at == best
    beyond = (share - expected_share)[:, best].max()
    best = best if beyond >= MIN_SHARE else 0
    numbers = np.arange(1, gain.shape[1] + 1)
    stability = bootstrap_stability(micro, len(numbers), stream)
    return ScaleCurve(numbers, gain[times].mean(0), persistence, stability, best + 1)


def measure_over_times(micro, graph, max_clusters):
    """Return I(c_0; c_t) and H(c_0) in nats of the cuts of the tree into 1 to K, (T, K) each.

    The walk of ``BASE_STEPS`` steps on the rows is lumped into one on micro-clusters. Other times
    are powers of this, by its eigenvalues: with J (P, P) the joint distribution of its ends and d
    the marginal, d^{-1/2} J d^{-1/2} is symmetric.
    """
    steps, degree = make_walk(graph)
    n_rows, n_micro = len(micro.labels), len(micro.sizes)
    visits = np.zeros((n_rows, n_micro), dtype=np.float32)
    visits[np.arange(n_rows), micro.labels] = 1
    for _ in range(BASE_STEPS // 2):
        visits = steps @ visits
    with single_threaded_blas():
        joint = (visits.T @ (visits * degree[:, None])).astype(np.float64)
        marginal = np.maximum(joint.sum(1), 1e-12 * max(joint.sum(), np.finfo(np.float64).tiny))
        scale = 1 / np.sqrt(marginal)
        values, vectors = np.linalg.eigh(scale[:, None] * (joint + joint.T) / 2 * scale)
        values, vectors = np.clip(values, 0, 1), vectors / scale[:, None]
        n_groups = min(max_clusters, n_micro)
        groups = cut_tree(micro.children, micro.sizes, n_groups)
        vectors = np.eye(n_groups)[groups].T @ vectors
        tables = [(vectors * values ** (t / BASE_STEPS)) @ vectors.T for t in TIMES]
    merges = _order_merges(micro.children, groups)
    measured = np.array([_measure_cuts(np.maximum(table, 0), merges) for table in tables])
    return measured[..., 0], measured[..., 1]


def _order_merges(children, groups):
    """Return the merges of the tree above a cut, as pairs of group numbers: the second joins."""
    of_node = {int(point): int(group) for point, group in enumerate(groups)}
    merges = []
    for t, (i, j) in enumerate(children):
        one, other = of_node[int(i)], of_node[int(j)]
        if one != other:
            merges.append((one, other))
        of_node[len(groups) + t] = one
    return merges


def _measure_cuts(table, merges):
    """Return I and H of a joint distribution (K, K) and after each merge, fewest first, (K, 2)."""
    measured = [measure_joint(table)]
    table, alive = table.copy(), np.arange(len(table))
    for one, other in merges:
        table[one] += table[other]
        table[:, one] += table[:, other]
        table[other] = table[:, other] = 0
        alive = alive[alive != other]
        measured.append(measure_joint(table[np.ix_(alive, alive)]))
    return measured[::-1]


def bootstrap_stability(micro, n_numbers, stream):
    """Return the stability of the cuts into 1 to ``n_numbers`` clusters, (n_numbers,).

    It is the mean adjusted Rand index between the cut and that of the tree of a bootstrap sample
    of the micro-clusters, over the micro-clusters drawn.
    """
    cuts = [cut_tree(micro.children, micro.sizes, k + 1) for k in range(n_numbers)]
    indices = np.full((N_BOOTSTRAPS, n_numbers), np.nan)
    n_micro = len(micro.sizes)
    for indices_of_draw in indices:
        counts = np.bincount(stream.randint(n_micro, size=n_micro), minlength=n_micro)
        drawn = np.flatnonzero(counts)
        sizes = (micro.sizes * counts)[drawn]
        children, _ = build_ward_tree(micro.centers[drawn], sizes)
        for k in range(min(n_numbers, len(drawn))):
            cut = cut_tree(children, sizes, k + 1)
            table = np.zeros((k + 1, k + 1))
            np.add.at(table, (cuts[k][drawn], cut), sizes)
            indices_of_draw[k] = adjusted_rand(table)
    return average_finite(indices.T)


def adjusted_rand(table):
    """Return the adjusted Rand index of two partitions by the weights (K, L) of their overlaps.

    The weights are shares of many rows: pairs of a row with itself count.
    """
    shares = table / table.sum()
    together = np.square(shares).sum()
    one, other = np.square(shares.sum(1)).sum(), np.square(shares.sum(0)).sum()
    chance, most = one * other, (one + other) / 2
    return float((together - chance) / (most - chance)) if most > chance else 1.0
