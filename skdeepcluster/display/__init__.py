"""Pictures of a clustering, as scikit-learn's displays: embedding, loss curves, samples, codes.

``from_estimator`` computes, the constructor takes numbers, ``plot(ax=None)`` draws and returns
the display with ``ax_`` and ``figure_``. matplotlib is imported by ``plot`` only.
"""

from .embedding import EmbeddingDisplay
from .history import HistoryDisplay
from .samples import SamplesDisplay
from .traversal import TraversalDisplay

__all__ = ["EmbeddingDisplay", "HistoryDisplay", "SamplesDisplay", "TraversalDisplay"]
