"""The label-free start: neighbour graph, layout, mixtures, agglomeration, partition."""

from .agglomeration import merge_clusters
from .graph import neighbor_graph
from .layout import neighbor_layout
from .partition import NeighborStart, count_clusters, labelled_start, neighbor_start
from .spreading import spread_labels

__all__ = [
    "NeighborStart",
    "count_clusters",
    "labelled_start",
    "merge_clusters",
    "neighbor_graph",
    "neighbor_layout",
    "neighbor_start",
    "spread_labels",
]
