"""Partitions found in neighbor graphs, without labels or from a few: the front door."""

from .graph import neighbor_graph, neighbor_layout
from .partition import Reference as Reference
from .partition import count_clusters
from .partition import find_partition as find_partition
from .partition import interpolate as interpolate
from .partition import partition_by_labels as partition_by_labels

__all__ = ["count_clusters", "neighbor_graph", "neighbor_layout"]
