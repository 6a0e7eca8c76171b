"""Neighbor graphs and their embeddings."""

from .graph import neighbor_embedding, neighbor_graph

__all__ = ["neighbor_graph", "neighbor_embedding"]
