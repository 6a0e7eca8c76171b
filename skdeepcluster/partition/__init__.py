"""The search for a partition: candidates, a learned criterion, a vote."""

from .search import count_clusters

__all__ = ["count_clusters"]
