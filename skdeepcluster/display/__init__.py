"""Displays of clusterings, in the style of scikit-learn.

``from_estimator`` computes what is drawn, the constructor takes it as arrays, and ``plot(ax)``
draws it with matplotlib and returns the display. Read ``base`` first.
"""

from .dendrogram import DendrogramDisplay
from .embedding import EmbeddingDisplay
from .samples import SamplesDisplay

__all__ = [
    "DendrogramDisplay",
    "EmbeddingDisplay",
    "SamplesDisplay",
]
