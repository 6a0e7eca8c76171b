"""Descriptions of clusters: medoids, typical and doubtful samples, features that differ.

`find_medoids` and `compare_features` take samples and labels. `ClusterReport` describes any
fitted clusterer, as a text and as a page of HTML.
"""

from .features import compare_features
from .report import ClusterReport
from .samples import find_medoids

__all__ = ["ClusterReport", "compare_features", "find_medoids"]
