"""The choice of a partition of the rows of a neighbour graph.

M distinct rows, D features, L layout dimensions, K clusters.
"""


def choose_partition(rows, graph, layout, weights, n_clusters, stream, n_jobs=None, **settings):
    """Return responsibilities (M, K), float64, of the best partition into ``n_clusters`` < M.

    ``rows`` (M, D) are the distinct rows, None with precomputed distances, ``weights`` (M,) their
    weights; ``graph`` (M, M) and ``layout`` (M, L) are theirs. ``settings`` are those of
    :func:`~skdeepcluster.neighbors.partition.partition_layout`.
    """
    from .partition import partition_layout

    return partition_layout(layout, graph, n_clusters, stream, **settings)
