"""From several partitions to one: tables that say what a member's clusters mean, see ``ensemble``.

N rows, M members, K clusters of the consensus, K_m clusters of member m; memberships P_m (N, K_m),
tables A_m (K_m, K).
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from ._shares import in_shares

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
    return in_shares(
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
    kept = combinations[frequent]
    distance = 1 - _shared(kept, kept, weights)
    groups = average_linkage(distance, sizes[frequent], min(n_clusters, len(kept)))
    nearest = np.concatenate(
        [
            _shared(part, kept, weights).argmax(1)
            for part in np.array_split(combinations, len(combinations) // 4096 + 1)
        ]
    )
    consensus = np.eye(n_clusters)[groups[nearest][which]]
    return [in_shares(P.T @ consensus) for P in memberships]


def _shared(a, b, weights):
    """Weighted share of members that give two combinations of labels the same one, (A, B).

    A label of -1, no cluster, is shared with none.
    """
    columns = ((w, a[:, None, m], b[None, :, m]) for m, w in enumerate(weights))
    return sum(w * ((one == two) & (one >= 0)) for w, one, two in columns)


def average_linkage(distance, sizes, n_clusters):
    """Join the two groups of least mean distance until ``n_clusters`` are left.

    Parameters
    ----------
    distance : ndarray of shape (P, P)
        Symmetric.
    sizes : ndarray of shape (P,)
        Rows that each point stands for: a point of size 2 equals two points at distance 0.
    n_clusters : int
        At most P.

    Returns
    -------
    groups : ndarray of shape (P,)
        Group of each point, numbered from 0 by falling size.
    """
    distance, size = np.array(distance, dtype=np.float64), np.array(sizes, dtype=np.float64)
    group = np.arange(len(size))
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(1)
    least = distance[np.arange(len(size)), nearest]
    for _ in range(len(size) - n_clusters):
        i = int(least.argmin())
        j = int(nearest[i])
        # Lance & Williams (1967): the mean distance to the union is the weighted mean.
        joined = (size[i] * distance[i] + size[j] * distance[j]) / (size[i] + size[j])
        joined[[i, j]] = np.inf
        size[i] += size[j]
        distance[i], distance[:, i] = joined, joined
        distance[j], distance[:, j] = np.inf, np.inf
        least[j] = np.inf
        group[group == j] = i
        stale = np.flatnonzero(np.isfinite(least) & ((nearest == i) | (nearest == j)))
        closer = np.flatnonzero(joined < least)
        nearest[closer], least[closer] = i, joined[closer]
        for k in np.union1d(stale, [i]):
            nearest[k] = distance[k].argmin()
            least[k] = distance[k, nearest[k]]
    kept = np.unique(group)
    order = kept[np.argsort(-size[kept], kind="stable")]
    number = np.empty(len(size), dtype=np.int64)
    number[order] = np.arange(len(order))
    return number[group]
