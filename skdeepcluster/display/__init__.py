"""Pictures of a clustering, as scikit-learn's displays.

Embedding, mixture, confusion with classes, loss curves, samples, codes; reliability of
probabilities, stability of clusters, the number of clusters, and the tree of merges.

``from_estimator`` computes, the constructor takes numbers, ``plot(ax=None)`` draws and returns
the display with ``ax_`` and ``figure_``. matplotlib is imported by ``plot`` only.
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
