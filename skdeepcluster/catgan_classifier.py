"""CatGANClassifier, which is in ``catgan``: pickles name this path."""

from .catgan import CatGANClassifier

__all__ = ["CatGANClassifier"]
