"""CatGANClassifier under the name of its first module, so that old pickles open."""

from .catgan import CatGANClassifier

__all__ = ["CatGANClassifier"]
