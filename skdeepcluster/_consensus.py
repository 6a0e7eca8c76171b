"""Consensus of several partitions: tables from the members' clusters to those of the consensus.

N rows, M members, K clusters of the consensus, K_m clusters of member m; memberships P_m (N, K_m),
tables A_m (K_m, K), whose rows sum to one.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from ._responsibilities import normalize_rows
from .neighbors.agglomeration import agglomerate

#: Most iterations of matching members to their consensus; two or three usually reach the fixed
#: point.
MAX_ITER = 20
#: Distinct combinations of labels that co-association agglomerates; rarer ones join the nearest.
MAX_COMBINATIONS = 2000


def average_memberships(memberships, tables, weights):
    """Return sum_m w_m P_m A_m, normalised over the members that assign a row, (N, K)."""
    return normalize_rows(
        sum(w * (P @ A) for P, A, w in zip(memberships, tables, weights, strict=True))
    )


def measure_agreement(memberships, tables, labels):
    """Return the share of the rows that each member, by its table, assigns as ``labels`` do, (M,).

    Rows that a member assigns to no cluster do not agree.
    """
    mapped = [P @ A for P, A in zip(memberships, tables, strict=True)]
    return np.array([np.mean(own.any(1) & (own.argmax(1) == labels)) for own in mapped])


# ---- soft vote


def soft_vote(memberships, member_labels, weights, n_clusters):
    """Return tables that match clusters one-to-one with the weighted mean of the memberships.

    Matching and averaging alternate until a fixed point.
    """
    consensus = memberships[_find_medoid(memberships, weights)]
    consensus = consensus[:, np.argsort(-consensus.sum(0), kind="stable")[:n_clusters]]
    consensus = np.pad(consensus, ((0, 0), (0, n_clusters - consensus.shape[1])))
    tables = None
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


def co_association(memberships, member_labels, weights, n_clusters):
    """Return tables p(cluster | member's cluster) of the partition by average linkage."""
    combinations, which, sizes = np.unique(
        member_labels, axis=0, return_inverse=True, return_counts=True
    )
    which = which.reshape(-1)
    frequent = np.sort(np.argsort(-sizes, kind="stable")[:MAX_COMBINATIONS])
    kept, kept_sizes = combinations[frequent], sizes[frequent]
    edges = _compare(kept, kept, weights) * np.outer(kept_sizes, kept_sizes)
    groups = agglomerate(edges, kept_sizes, min(n_clusters, len(kept)), "average")
    groups.sort(key=lambda points: -kept_sizes[points].sum())  # cluster 0 is the largest
    labels = np.empty(len(kept), dtype=np.int64)
    for number, points in enumerate(groups):
        labels[points] = number
    # In parts, which bounds the memory of the comparison.
    parts = np.array_split(combinations, len(combinations) // 4096 + 1)
    nearest = np.concatenate([_compare(part, kept, weights).argmax(1) for part in parts])
    consensus = np.eye(n_clusters)[labels[nearest][which]]
    return [normalize_rows(P.T @ consensus) for P in memberships]


def _compare(a, b, weights):
    """Return the weighted share of members with equal labels in two combinations, (A, B).

    A label of -1, no cluster, equals none.
    """
    columns = ((w, a[:, None, m], b[None, :, m]) for m, w in enumerate(weights))
    return sum(w * ((one == two) & (one >= 0)) for w, one, two in columns)
