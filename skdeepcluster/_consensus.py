"""Consensus of several partitions: tables from the members' clusters to those of the consensus.

N rows, M members, K clusters of the consensus, K_m clusters of member m; memberships P_m (N, K_m),
tables A_m (K_m, K), whose rows sum to one.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import normalized_mutual_info_score

from ._responsibilities import indicate, normalize_rows
from .neighbors.candidates import agglomerate

#: Most iterations of matching members to their consensus; two or three usually reach the fixed
#: point.
MAX_ITER = 20
#: Distinct combinations of labels that co-association agglomerates; rarer ones join the nearest.
MAX_COMBINATIONS = 2000
#: Decimal digits of memberships that count when they are compared.
DIGITS = 12


def find_consensus(memberships, weights, n_clusters, method):
    """Return the tables A_m of a consensus by "soft_vote" or "co_association".

    Ties are resolved by the order of clusters. Therefore those of each member are ordered by their
    memberships in the first row, then the second, and so on: the result doesn't depend on how
    members number them.
    """
    orders = [np.lexsort(-P[::-1]) for P in memberships]
    ordered = [P[:, order] for P, order in zip(memberships, orders, strict=True)]
    find = soft_vote if method == "soft_vote" else co_association
    tables = find(ordered, weights, n_clusters)
    return [A[np.argsort(order)] for A, order in zip(tables, orders, strict=True)]


def average_memberships(memberships, tables, weights):
    """Return sum_m w_m P_m A_m, normalised over the members that assign a row, (N, K)."""
    return normalize_rows(sum_memberships(memberships, tables, weights))


def sum_memberships(memberships, tables, weights):
    """Return sum_m w_m P_m A_m, zero in rows that no member assigns, (N, K)."""
    return sum(w * (P @ A) for P, A, w in zip(memberships, tables, weights, strict=True))


def label_rows(memberships):
    """Return the most probable cluster of each row, -1 where all memberships are 0, (N,).

    Memberships equal up to rounding are a tie: sums depend on how members number their clusters.
    """
    return np.where(memberships.any(1), memberships.round(DIGITS).argmax(1), -1)


def vote(memberships, tables, weights):
    """Return the cluster of the consensus for each row, -1 where no member assigns it, (N,)."""
    return label_rows(sum_memberships(memberships, tables, weights))


def compare_members(memberships, tables, labels):
    """Return whether a member, by its table, assigns a row as ``labels`` do, (N, M)."""
    mapped = [label_rows(P @ A) for P, A in zip(memberships, tables, strict=True)]
    return np.stack(mapped, 1) == labels[:, None]


def mean_greatest_jaccard(labels, member_labels, n_clusters):
    """Return the mean over members of the greatest Jaccard index with one of their clusters, (K,).

    The Jaccard index of two sets of rows is |A and B| / |A or B|; it is 0 for an empty cluster.
    """
    own = indicate(labels, n_clusters)
    best = []
    for other in member_labels.T:
        member = indicate(other, other.max(initial=0) + 1)
        both = (own.T @ member).toarray()
        either = own.sum(0)[:, None] + member.sum(0) - both
        best.append((both / np.maximum(either, 1)).max(1))
    return np.mean(best, 0)


# ---- soft vote


def soft_vote(memberships, weights, n_clusters):
    """Return tables that match clusters one-to-one with the weighted mean of the memberships.

    Matching and averaging alternate until a fixed point, from the member that agrees most with the
    others. If it has more than K clusters, they are agglomerated by average linkage on the share
    of members that put two rows in the same cluster.
    """
    start = memberships[_find_medoid(memberships, weights)]
    start = start[:, start.any(0)]
    if start.shape[1] > n_clusters:
        overlaps = [start.T @ P for P in memberships]
        edges = sum(
            w * (overlap @ overlap.T) for w, overlap in zip(weights, overlaps, strict=True)
        )
        groups = agglomerate(edges, start.sum(0), n_clusters)
        start = np.stack([start[:, group].sum(1) for group in groups], 1)
    start = start[:, np.argsort(-start.sum(0), kind="stable")]  # cluster 0 is the largest
    start = np.pad(start, ((0, 0), (0, n_clusters - start.shape[1])))
    consensus, tables = start, None
    for _ in range(MAX_ITER):
        before, tables = tables, [_match(P.T @ consensus) for P in memberships]
        if before and all(map(np.array_equal, before, tables)):
            break
        consensus = average_memberships(memberships, tables, weights)
    return tables


def _find_medoid(memberships, weights):
    """Return the member whose partition, matched, has most rows in common with the others'."""
    common = np.zeros(len(memberships))
    for m, P in enumerate(memberships):
        for w, Q in zip(weights, memberships, strict=True):
            overlap = P.T @ Q
            common[m] += w * (overlap * _match(overlap)).sum()
    return int(common.argmax())


def _match(overlap):
    """Return the table (K_m, K) of the best one-to-one match by the rows in common (K_m, K).

    Unmatched clusters are assigned to the one with which they have most rows in common.
    """
    table = np.zeros_like(overlap)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    table[rows, columns] = 1
    for row in np.setdiff1d(np.arange(len(table)), rows):
        table[row, overlap[row].argmax()] = 1
    return table


# ---- co-association


def co_association(memberships, weights, n_clusters):
    """Return tables p(cluster | member's cluster) of the partition by average linkage.

    Rows about which members disagree are far from all clusters; a few of them may be left over as
    a cluster, for which two real ones are merged. Therefore the partition by :func:`soft_vote` is
    a second candidate. Taken is the one with more clusters that have rows; of equal ones that with
    the higher mean normalised mutual information with the members (Strehl and Ghosh's criterion).
    """
    members = np.stack([label_rows(P) for P in memberships], 1)
    linked = _cut_average_linkage(members, weights, n_clusters)
    matched = vote(memberships, soft_vote(memberships, weights, n_clusters), weights)
    candidates = []
    for labels in (linked, matched):
        consensus = indicate(labels, n_clusters).toarray()
        tables = [normalize_rows(P.T @ consensus) for P in memberships]
        found = vote(memberships, tables, weights)
        shared = [normalized_mutual_info_score(own, found) for own in members.T]
        candidates.append((len(np.unique(found)), weights @ shared, tables))
    return max(candidates, key=lambda candidate: candidate[:2])[2]


def _cut_average_linkage(member_labels, weights, n_clusters):
    """Return each row's cluster by average linkage on the share of members with equal labels.

    It is -1 for rows in no cluster of any member.
    """
    labels = np.full(len(member_labels), -1)
    assigned = (member_labels >= 0).any(1)
    if not assigned.any():
        return labels
    combinations, which, sizes = np.unique(
        member_labels[assigned], axis=0, return_inverse=True, return_counts=True
    )
    frequent = np.sort(np.argsort(-sizes, kind="stable")[:MAX_COMBINATIONS])
    kept, kept_sizes = combinations[frequent], sizes[frequent]
    edges = _compare(kept, kept, weights) * np.outer(kept_sizes, kept_sizes)
    groups = agglomerate(edges, kept_sizes, min(n_clusters, len(kept)))
    groups.sort(key=lambda points: -kept_sizes[points].sum())  # cluster 0 is the largest
    numbers = np.empty(len(kept), dtype=np.int64)
    for number, points in enumerate(groups):
        numbers[points] = number
    # In parts, which bounds the memory of the comparison.
    parts = np.array_split(combinations, len(combinations) // 4096 + 1)
    nearest = np.concatenate([_compare(part, kept, weights).argmax(1) for part in parts])
    labels[assigned] = numbers[nearest][which.reshape(-1)]
    return labels


def _compare(a, b, weights):
    """Return the weighted share of members with equal labels in two combinations, (A, B).

    A label of -1, no cluster, equals none.
    """
    columns = ((w, a[:, None, m], b[None, :, m]) for m, w in enumerate(weights))
    return sum(w * ((one == two) & (one >= 0)) for w, one, two in columns)
