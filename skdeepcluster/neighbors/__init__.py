"""Neighbor graphs and their layouts, and features of series."""

from .convolutions import ConvolutionFeatures
from .graph import neighbor_graph, neighbor_layout

__all__ = ["ConvolutionFeatures", "neighbor_graph", "neighbor_layout"]
