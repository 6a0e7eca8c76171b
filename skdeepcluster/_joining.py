"""Clusters in the layout of a neighbour graph: mixtures, their parts joined, the best one kept.

N rows, P parts, K clusters.
"""

import warnings
from functools import partial
from operator import itemgetter

import numpy as np
import torch
from scipy.special import entr
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from ._shares import in_shares
from .engine.randomness import draw_seed
from .engine.threads import share_out
from .functional.information import entropy, kl_divergence
from .gaussian_mixture import GaussianMixtureEM

#: Components of a mixture in the layout for every cluster.
PARTS = 2
#: Rows on which the many mixtures are fitted; the best one sees all rows.
MIXTURE_ROWS = 10_000
#: Ways to divide a group, the best by the criterion, that are tried in an exchange, and least link
#: of two groups that are joined in it, as a share of that of the halves.
TRIED, LINKED = 20, 0.5
#: Added to the variances of the mixtures, whose data have unit variance.
REG_COVAR = 1e-4


def best_partition(layout, n_clusters, n_init, join, score, stream):
    """Responsibilities (N, K) of that one among many partitions which scores highest."""
    if n_clusters == 1:
        return np.ones((len(layout), 1))
    unit = _of_unit_variance(layout)
    rows = unit[stream.permutation(len(unit))[:MIXTURE_ROWS]]
    n_parts = min(PARTS * n_clusters, len(rows))
    with warnings.catch_warnings():
        # Starts that fail or stop early lose the comparison; that is what it is for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # In turn: k-means sets the threads of all BLAS calls while it runs.
        begun = [_kmeans(rows, n_parts, stream) for _ in range(n_init)]

        def best_of_share(first, every, stop):
            """Criterion, -number, parts and their table: the best of a share, first of equals."""
            best = -np.inf, -n_init, None, None
            for i in range(first, n_init, every):
                if stop.is_set():
                    break
                parts = _mixture(rows, _one_hot(begun[i], n_parts)).predict_proba(unit)
                table = join(parts)
                criterion = score(in_groups(parts, table))
                best = max(best, (criterion, -i, parts, table), key=itemgetter(0, 1))
            return best

        *_, some, table = max(share_out(best_of_share, n_init), key=itemgetter(0, 1))
        parts = _mixture(unit, some).predict_proba(unit)
        # All rows move the parts: joined anew, or as before, or rather left where they were.
        ways = (parts, join(parts)), (parts, table), (some, table)
        resp = max((in_groups(*way) for way in ways), key=score)
        if len(np.unique(resp.argmax(1))) < n_clusters:
            resp = _one_hot(_kmeans(unit, n_clusters, stream), n_clusters)
    return resp


def some_parts(layout, n_clusters, stream):
    """Responsibilities (N, P) of one mixture in the layout, with twice as many parts."""
    unit = _of_unit_variance(layout)
    n_parts = min(PARTS * n_clusters, len(unit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begun = _one_hot(_kmeans(unit, n_parts, stream), n_parts)
        return _mixture(unit, begun).predict_proba(unit)


def _of_unit_variance(layout):
    unit = layout - layout.mean(0, dtype=np.float64)
    return unit / max(unit.std(), 1e-12)


def joined(parts, graph, n_clusters, linkage, boundary_weight):
    """Table (P, K) of which parts make up a cluster, by the graph's edges.

    In turn the two groups are joined that are nearest by the ``linkage`` of ``neighbor_start``.
    With "share" groups exchange parts then, see :func:`exchanged`.
    """
    labels = np.eye(parts.shape[1])[parts.argmax(1)]
    used = np.flatnonzero(labels.any(0))
    edges = (labels.T @ (graph @ labels))[np.ix_(used, used)]
    sizes, join = labels.sum(0)[used], partial(agglomerated, linkage=linkage)
    groups = join(edges, sizes, n_clusters)
    if linkage == "share":
        groups = exchanged(edges, sizes, groups, join, boundary_weight)
    table = np.zeros((parts.shape[1], n_clusters))
    table[used, : len(groups)] = table_of(groups)
    return table


def agglomerated(edges, sizes, n_groups, linkage):
    """Join parts, with edges (P, P) between them and rows (P,), to so many lists of parts."""
    edges, sizes, groups = edges.copy(), sizes.copy(), [[part] for part in range(len(sizes))]
    # Groups that no edge leaves are joined, if they must be, smallest first.
    edges += 1e-9 * max(edges.sum(), 1.0) / len(sizes) ** 2
    while len(groups) > n_groups:
        whole = np.outer(sizes, sizes) if linkage == "average" else edges.sum(1, keepdims=True)
        nearness = edges / whole
        np.fill_diagonal(nearness, 0)
        i, j = sorted(np.unravel_index(nearness.argmax(), nearness.shape))
        groups[i] += groups.pop(j)
        edges[i] += edges[j]
        edges[:, i] += edges[:, j]
        edges = np.delete(np.delete(edges, j, 0), j, 1)
        sizes[i] += sizes[j]
        sizes = np.delete(sizes, j)
    return groups


def exchanged(edges, sizes, groups, join, boundary_weight):
    """Exchange parts between groups as long as it raises the criterion, the best way first.

    In an exchange one group is divided, into the two halves that would be joined last or by one
    part's leaving, and two groups are joined that are linked, too: at least half as much as the
    halves are. Joining in turn cannot take back what it has done.
    """
    if edges.sum() == 0:
        return groups
    edges = edges / edges.sum()
    best = _criterion(_between(edges, groups), boundary_weight)
    while True:
        divided = [
            [*groups[:k], *groups[k + 1 :], *halves]
            for k, group in enumerate(groups)
            for halves in _halves(edges, sizes, group, join)
        ]
        if not divided:
            return groups
        tables = [_between(edges, some) for some in divided]
        likely = np.argsort([-_criterion(table, boundary_weight) for table in tables])[:TRIED]
        after = np.stack(
            [
                np.where(_linked(tables[i]), _after_joining(tables[i], boundary_weight), -np.inf)
                for i in likely
            ]
        )
        if after.max() < best + 1e-9:
            return groups
        first, *pair = np.unravel_index(after.argmax(), after.shape)
        best, groups = after.max(), divided[likely[first]]
        i, j = sorted(pair)
        groups[i] = groups[i] + groups.pop(j)


def _halves(edges, sizes, group, join):
    """Ways to divide a group of parts in two."""
    if len(group) < 2:
        return
    first, second = join(edges[np.ix_(group, group)], sizes[group], 2)
    yield [group[i] for i in first], [group[i] for i in second]
    if len(group) > 2:
        for part in group:
            yield [part], [other for other in group if other != part]


def table_of(groups):
    """Table (P, K) of which parts are in a group; every part is in one."""
    table = np.zeros((sum(map(len, groups)), len(groups)))
    for k, group in enumerate(groups):
        table[group, k] = 1
    return table


def _between(edges, groups):
    """Edges between groups, (K, K)."""
    table = table_of(groups)
    return table.T @ edges @ table


def _after_joining(edges, boundary_weight):
    """Criterion after groups i and j are joined, (K, K); -inf on the diagonal.

    It is (2 + w) H(c) - (1 + w) H(c, c'): of these sums only the terms of i and j change.
    """
    w, sums, own = boundary_weight, edges.sum(1), np.diag(edges)
    apart, sums_apart = entr(edges), entr(sums)
    both = entr(edges[:, None] + edges[None])
    k = np.arange(len(edges))
    lost = apart.sum(1)[:, None] + apart.sum(1) - apart
    lost = 2 * lost - np.diag(apart)[:, None] - np.diag(apart)
    won = 2 * (both.sum(2) - both[k[:, None], k, k[:, None]] - both[k[:, None], k, k])
    won += entr(own[:, None] + own + 2 * edges)
    joint = apart.sum() - lost + won
    ends = sums_apart.sum() - sums_apart[:, None] - sums_apart + entr(sums[:, None] + sums)
    after = (2 + w) * ends - (1 + w) * joint
    np.fill_diagonal(after, -np.inf)
    return after


def _linked(edges):
    """Pairs of groups that are linked at least half as much as the last two are, (K, K).

    By the part that the edges between them are of all edges of either, whichever is larger.
    """
    sums = edges.sum(1)
    share = edges / np.maximum(np.minimum(sums, sums[:, None]), 1e-300)
    return share >= LINKED * share[-1, -2]


def in_groups(parts, table):
    """Responsibilities (N, K) of groups of parts; parts that no row prefers are in none."""
    return in_shares(parts @ table)


def _kmeans(rows, n_clusters, stream):
    """Labels of one k-means run, (N,)."""
    kmeans = KMeans(n_clusters, n_init=1, max_iter=20, random_state=draw_seed(stream))
    return kmeans.fit_predict(rows)


def _one_hot(labels, n_clusters):
    return np.eye(n_clusters)[labels]


def _mixture(rows, resp):
    """Return the full-covariance mixture that EM reaches from responsibilities."""
    return GaussianMixtureEM(
        resp.shape[1],
        init_params=resp,
        reg_covar=REG_COVAR,
        tol=1e-4,
        max_iter=150,
        device="cpu",
        random_state=0,  # decides in which order sums are rounded
    ).fit(rows)


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
