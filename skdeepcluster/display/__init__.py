"""Displays of clusterings, in the style of scikit-learn.

``from_estimator`` computes what is drawn, the constructor takes it as arrays, and ``plot(ax)``
draws it with matplotlib and returns the display. Read ``base`` first.
"""

from .confusion import ClusterConfusionDisplay
from .curves import HistoryDisplay, NumberOfClustersDisplay, ReliabilityDisplay
from .dendrogram import DendrogramDisplay
from .embedding import EmbeddingDisplay, MixtureDisplay
from .samples import SamplesDisplay, TraversalDisplay

__all__ = [
    "ClusterConfusionDisplay",
    "DendrogramDisplay",
    "EmbeddingDisplay",
    "HistoryDisplay",
    "MixtureDisplay",
    "NumberOfClustersDisplay",
    "ReliabilityDisplay",
    "SamplesDisplay",
    "TraversalDisplay",
]
