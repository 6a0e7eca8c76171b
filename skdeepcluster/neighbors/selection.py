r"""The choice of a partition among candidates, by what it tells about a walk on the graph.

A random walk on a neighbour graph, which takes each edge with a probability in proportion to its
weight, stays for long in a group that few edges leave. Let c_0 be the cluster in which a
stationary walk starts, c_t that after t steps, and I their mutual information. A partition is as
good as I^2 / H(c_0) is large: I, which rewards many clusters of similar size, times the share
I / H(c_0) of what there is to know that the walk does not forget, which rewards clusters that it
does not leave. Likelihoods only compare mixtures of one layout; this number compares any
partitions of any graphs of the same rows. So it also decides between the metric of the features
and that in which the rows are whitened: each partition is judged by the graph in whose layout it
was found.

M distinct rows, D features, L layout dimensions, K clusters.

References: J.-C. Delvenne, S. N. Yaliraki, M. Barahona, "Stability of graph communities across
time scales", PNAS 2010 (partitions judged by a walk); M. Faccin, M. T. Schaub, J.-C. Delvenne,
"Entrograms and coarse graining of dynamics on complex networks", Journal of Complex Networks 2018
(by I(c_0; c_t)).
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from .agglomeration import measure_joint
from .blas import single_threaded_blas
from .candidates import find_candidates
from .layout import neighbor_layout
from .whitening import whitened_graph

#: Steps t of the walk. One step hardly leaves either half of a homogeneous cluster that is cut in
#: two; after very many steps all that is left to know is which groups are unconnected.
WALK_STEPS = 4
#: Columns of the indicators of clusters that take a step together: a row of them fits a few lines
#: of a processor's cache.
WALK_COLUMNS = 128
#: Most rows for which a second graph, of whitened rows, is made: its search and its layout double
#: the time, and with many rows the nearest are near in every metric.
MAX_WHITENED_ROWS = 20_000
#: Epochs of a layout that is divided into clusters: more do not change which rows are together.
LAYOUT_EPOCHS = 50


class Partition(NamedTuple):
    """A partition of M rows, and the graph in which it was found."""

    #: Responsibilities (M, K): see :func:`soften`.
    resp: np.ndarray
    #: Layout (M, L) of the graph.
    layout: np.ndarray
    #: Neighbour graph (M, M).
    graph: sparse.csr_matrix
    #: I(c_0; c_t)^2 / H(c_0) in nats.
    criterion: float


def choose_partition(
    reference, graph, weights, n_clusters, stream, n_components, n_jobs, report, **settings
):
    """Return the best :class:`Partition` into ``n_clusters`` of the rows of a reference.

    ``graph`` (M, M) is that of the rows in their metric, ``weights`` (M,) how often each occurs.
    """
    graphs = [graph]
    if n_clusters < len(weights) <= MAX_WHITENED_ROWS:
        with report("whitening"):
            given = reference.rows, graph, reference.n_neighbors, reference.metric, n_jobs
            whitened = whitened_graph(*given)
        if whitened is not None:
            graphs.append(whitened)
    with report("layout"):
        options = {"n_epochs": LAYOUT_EPOCHS, "random_state": stream, "n_jobs": n_jobs}
        layouts = [neighbor_layout(graph, n_components, **options) for graph in graphs]
    with report("partition"):
        found = [
            _choose_candidate(layout, graph, weights, n_clusters, stream, **settings)
            for layout, graph in zip(layouts, graphs, strict=True)
        ]
    return max(found, key=lambda partition: partition.criterion)


def _choose_candidate(layout, graph, weights, n_clusters, stream, **settings):
    """Return the best partition found in one layout."""
    if len(layout) <= n_clusters:  # of few distinct rows each is a cluster
        return Partition(np.eye(len(layout), n_clusters), layout, graph, 0.0)
    if n_clusters == 1:
        return Partition(np.ones((len(layout), 1)), layout, graph, 0.0)
    weighted = weigh_edges(graph, weights)
    found = find_candidates(layout, weighted, weights, n_clusters, stream, **settings)
    candidates = np.unique(np.stack(list(found)), axis=0)
    scores = score_by_walk(weighted, candidates, n_clusters)
    best = int(scores.argmax())
    return Partition(soften(candidates[best], graph, n_clusters), layout, graph, scores[best])


def score_by_walk(graph, candidates, n_clusters):
    """Return I(c_0; c_t)^2 / H(c_0) in nats, t = ``WALK_STEPS``, of each of several labels (C, M).

    The joint distribution of c_0 and c_t is A^T D P^t A, with A (M, K) the indicator of the
    clusters, D the degrees of the rows and P = D^{-1} G the steps. Since D P is symmetric, it
    equals V^T D V with V = P^{t/2} A.
    """
    degree = np.asarray(graph.sum(1), dtype=np.float32).ravel()
    scale = np.where(degree > 0, 1 / np.maximum(degree, np.finfo(np.float32).tiny), 0)
    steps = (sparse.diags(scale.astype(np.float32)) @ graph).tocsr()
    scores = []
    size = max(1, WALK_COLUMNS // n_clusters)
    eye = np.eye(n_clusters, dtype=np.float32)
    for start in range(0, len(candidates), size):
        indicators = np.hstack([eye[labels] for labels in candidates[start : start + size]])
        for _ in range(WALK_STEPS // 2):
            indicators = steps @ indicators
        with single_threaded_blas():
            for after in np.hsplit(indicators, indicators.shape[1] // n_clusters):
                scores.append(score_joint(after.T @ (after * degree[:, None])))
    return np.array(scores)


def score_joint(joint):
    """Return I^2 / H, of a symmetric joint distribution (K, K) that need not sum to one."""
    information, entropy = measure_joint(joint)
    return information**2 / entropy if entropy > 0 else 0.0


def weigh_edges(graph, weights):
    """Return the graph with each edge multiplied by the weights (M,) of the rows at its ends."""
    if (weights == weights[0]).all():
        return graph
    scale = sparse.diags(weights / weights.mean())
    return (scale @ graph @ scale).tocsr()


def soften(labels, graph, n_clusters):
    """Return responsibilities (M, K): two thirds of a row are its own cluster's.

    The rest is shared by the clusters that its edges lead to.
    """
    resp = np.eye(n_clusters)[labels]
    shares = graph @ resp
    degree = shares.sum(1, keepdims=True)
    return (2 * resp + np.where(degree > 0, shares / np.where(degree > 0, degree, 1), resp)) / 3
