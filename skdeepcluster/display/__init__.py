"""Pictures of a clustering, as scikit-learn's displays.

Embedding, mixture, confusion with classes, loss curves, samples, codes.

``from_estimator`` computes, the constructor takes numbers, ``plot(ax=None)`` draws and returns
the display with ``ax_`` and ``figure_``. matplotlib is imported by ``plot`` only.
"""

from .confusion import ClusterConfusionDisplay
from .embedding import EmbeddingDisplay
from .history import HistoryDisplay
from .mixture import MixtureDisplay
from .samples import SamplesDisplay
from .traversal import TraversalDisplay

__all__ = [
    "ClusterConfusionDisplay",
    "EmbeddingDisplay",
    "HistoryDisplay",
    "MixtureDisplay",
    "SamplesDisplay",
    "TraversalDisplay",
]
