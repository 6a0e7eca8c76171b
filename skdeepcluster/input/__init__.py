"""What X may be, and how it becomes numbers."""

from .preparation import Preparation

__all__ = ["Preparation"]
