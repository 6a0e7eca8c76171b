"""Neighbor graphs, their layouts and the number of clusters in them: the public functions."""

from .graph import neighbor_graph, neighbor_layout
from .partition import count_clusters

__all__ = ["count_clusters", "neighbor_graph", "neighbor_layout"]
