"""Descriptions of clusters: medoids, typical samples, features that differ.

`find_medoids` and `compare_features` take samples and labels. `ClusterReport` describes any
fitted clusterer, as a text and as a page of HTML.
"""

from .clusters import compare_features, find_medoids
from .report import ClusterReport

__all__ = ["ClusterReport", "compare_features", "find_medoids"]
