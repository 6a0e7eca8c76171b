"""Displays of clusterings, in the style of scikit-learn.

``from_estimator`` computes what is drawn, the constructor takes it as arrays, and ``plot(ax)``
draws it with matplotlib and returns the display. Read ``base`` first.
"""

from .confusion import ClusterConfusionDisplay
from .dendrogram import DendrogramDisplay
from .embedding import EmbeddingDisplay
from .history import HistoryDisplay
from .mixture import MixtureDisplay
from .n_clusters import NumberOfClustersDisplay
from .reliability import ReliabilityDisplay
from .samples import SamplesDisplay
from .stability import StabilityDisplay
from .traversal import TraversalDisplay

__all__ = [
    "ClusterConfusionDisplay",
    "DendrogramDisplay",
    "EmbeddingDisplay",
    "HistoryDisplay",
    "MixtureDisplay",
    "NumberOfClustersDisplay",
    "ReliabilityDisplay",
    "SamplesDisplay",
    "StabilityDisplay",
    "TraversalDisplay",
]
