"""Partitions found in neighbor graphs, without labels or from a few: the front door."""

from .graph import neighbor_graph, neighbor_layout
from .partition import (
    Partition,
    Reference,
    count_clusters,
    find_partition,
    interpolate,
    partition_by_labels,
)

__all__ = [
    "Partition",
    "Reference",
    "count_clusters",
    "find_partition",
    "interpolate",
    "neighbor_graph",
    "neighbor_layout",
    "partition_by_labels",
]
