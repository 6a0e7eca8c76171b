"""Labels of some rows: names for the clusters found without them, and where these give way.

A cluster that is found without labels is named by the labels of its rows. Each class then counts
as its labels and one more, spread over the cluster that has its name: p(cluster | class) says
what a cluster tells about the class of a row. A walk from each row ends at a labelled row, or
somewhere on its way at what the cluster there tells, the sooner the fewer labels its class has.
Thus few labels move few rows, many decide, and clusters that nobody has named stay.

M distinct rows, D features, K clusters and as many classes, of which some have labels.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._responsibilities import cluster_means, normalize_rows
from .selection import LABEL_SHARE, soften, weigh_edges
from .spreading import absorb_walk

#: Weight of ending a walk at a row, against its edges, in the cluster of a class without labels;
#: with n labels it is divided by 1 + n.
STOPS = 0.3
#: Share of the labels of a class that its distance to a cluster is worth at most, so that it
#: decides between clusters with equally many of them.
DISTANCE_SHARE = 1e-3


def hold_labels(resp, labels):
    """Return responsibilities (N, K) with those of labelled rows, by ``labels`` (N,), certain."""
    if labels is None:
        return resp
    return np.where((labels >= 0)[:, None], np.eye(resp.shape[1])[labels], resp)


def name_clusters(found, labels, rows):
    """Return the class (K,) whose name each cluster gets, one-to-one.

    ``found`` (M, K) is one-hot, ``labels`` (M, K) are counts, ``rows`` (M, D). The clusters are
    matched with the classes that have labels by the Hungarian algorithm: by the share of these in
    the cluster, and in case of doubt by the distance of their mean to its centre. The other
    classes name the other clusters in order.
    """
    n_clusters = found.shape[1]
    known = np.flatnonzero(labels.any(0))
    rows = rows - rows.mean(0, dtype=np.float64)
    shares = found.T @ labels[:, known] / labels[:, known].sum(0)
    gaps = cluster_means(found, rows)[:, None] - cluster_means(labels[:, known], rows)
    distances = np.square(gaps).sum(2)
    nearness = DISTANCE_SHARE * distances / max(distances.max(initial=0), np.finfo(float).tiny)
    clusters, classes = linear_sum_assignment(nearness - shares)
    names = np.empty(n_clusters, dtype=np.int64)
    names[clusters] = known[classes]
    others = np.setdiff1d(np.arange(n_clusters), clusters)
    names[others] = np.setdiff1d(np.arange(n_clusters), known)
    return names


def follow_labels(partition, labels, weights):
    """Return a :class:`Partition` of M rows named and changed by ``labels`` (M, K), counts.

    The labels count as often as there are labelled rows, whatever the scale of the ``weights``
    (M,) of the rows. Responsibilities of labelled rows are their shares, those of the others half
    the votes of the new labels, half those that the partition had, at the end of a short walk.
    """
    known, resp = labels.any(1), partition.resp
    if not known.any():
        return partition
    labels = labels * (known.sum() / labels.sum())
    found = np.eye(resp.shape[1])[resp.argmax(1)]
    names = name_clusters(found, labels, partition.layout)
    counts = labels.sum(0)
    # p(cluster | class) with one more label for each class, in the cluster with its name.
    told = normalize_rows((found.T @ labels + np.eye(len(names))[names]) / (1 + counts))
    graph = weigh_edges(partition.graph, weights)
    spread = absorb_walk(graph, labels, found @ told, found @ (STOPS / (1 + counts[names])))
    clusters = spread.argmax(1)
    votes = LABEL_SHARE * np.eye(len(names))[clusters] + (1 - LABEL_SHARE) * resp @ told
    resp = np.where(known[:, None], normalize_rows(labels), soften(clusters, votes, graph))
    return partition._replace(resp=resp)
