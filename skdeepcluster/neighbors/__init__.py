"""Neighbor graphs and their layouts."""

from .graph import neighbor_graph, neighbor_layout

__all__ = ["neighbor_graph", "neighbor_layout"]
