"""From several partitions to one: tables that say what a member's clusters mean, see ``ensemble``.

N rows, M members, K clusters of the consensus, K_m clusters of member m; memberships P_m (N, K_m),
tables A_m (K_m, K).
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .neighbors.agglomeration import agglomerate, normalize_rows

#: Rounds of aligning members to the consensus they make; it stands still after two or three.
ROUNDS = 20
#: Different combinations of labels that co-association compares; rarer ones join the nearest.
MOST_COMBINATIONS = 2000


def usual(numbers):
    """Return the most frequent number, the smallest of several."""
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[counts.argmax()])


def blend(memberships, tables, weights):
    """sum_m w_m P_m A_m of the members that put a row in a cluster, (N, K); rows sum to one."""
    return normalize_rows(
        sum(w * (P @ A) for P, A, w in zip(memberships, tables, weights, strict=True))
    )


def agreement(memberships, tables, labels):
    """Share of the rows that each member, read by its table, puts where ``labels`` do, (M,).

    Rows that a member puts in no cluster agree with none.
    """
    read = [P @ A for P, A in zip(memberships, tables, strict=True)]
    return np.array([np.mean(own.any(1) & (own.argmax(1) == labels)) for own in read])


# ---- soft vote


def soft_vote(memberships, member_labels, weights, n_clusters):
    """Tables that match clusters one to one with the consensus they make; see ROUNDS."""
    consensus = memberships[_central(memberships, weights)]
    consensus = consensus[:, np.argsort(-consensus.sum(0), kind="stable")[:n_clusters]]
    consensus = np.pad(consensus, ((0, 0), (0, n_clusters - consensus.shape[1])))
    tables = None
    for _ in range(ROUNDS):
        before, tables = tables, [_match(P.T @ consensus) for P in memberships]
        if before and all(map(np.array_equal, before, tables)):
            break
        consensus = blend(memberships, tables, weights)
    return tables


def _central(memberships, weights):
    """Return the member whose partition shares most with the others', by matched rows."""
    shares = np.zeros(len(memberships))
    for m, P in enumerate(memberships):
        for w, Q in zip(weights, memberships, strict=True):
            overlap = P.T @ Q
            shares[m] += w * (overlap * _match(overlap)).sum()
    return int(shares.argmax())


def _match(overlap):
    """Table (K_m, K) of the best one-to-one match; clusters left over join their largest share."""
    table = np.zeros_like(overlap)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    table[rows, columns] = 1
    for row in np.setdiff1d(np.arange(len(table)), rows):
        table[row, overlap[row].argmax()] = 1
    return table


# ---- co-association


def co_association(memberships, member_labels, weights, n_clusters):
    """Tables p(cluster | member's cluster) of the partition by average linkage."""
    combinations, which, sizes = np.unique(
        member_labels, axis=0, return_inverse=True, return_counts=True
    )
    which = which.reshape(-1)
    frequent = np.sort(np.argsort(-sizes, kind="stable")[:MOST_COMBINATIONS])
    kept, kept_sizes = combinations[frequent], sizes[frequent]
    edges = _shared(kept, kept, weights) * np.outer(kept_sizes, kept_sizes)
    members = agglomerate(edges, kept_sizes, min(n_clusters, len(kept)), "average")
    groups = np.empty(len(kept), dtype=np.int64)
    members.sort(key=lambda points: -kept_sizes[points].sum())  # cluster 0 is the largest
    for number, points in enumerate(members):
        groups[points] = number
    nearest = np.concatenate(
        [
            _shared(part, kept, weights).argmax(1)
            for part in np.array_split(combinations, len(combinations) // 4096 + 1)
        ]
    )
    consensus = np.eye(n_clusters)[groups[nearest][which]]
    return [normalize_rows(P.T @ consensus) for P in memberships]


def _shared(a, b, weights):
    """Weighted share of members that give two combinations of labels the same one, (A, B).

    A label of -1, no cluster, is shared with none.
    """
    columns = ((w, a[:, None, m], b[None, :, m]) for m, w in enumerate(weights))
    return sum(w * ((one == two) & (one >= 0)) for w, one, two in columns)
