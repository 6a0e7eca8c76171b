"""Formulas on torch tensors. Modules in this folder import nothing except torch."""

from .losses import entropy, information_content, kl_divergence, mutual_information

__all__ = [
    "entropy",
    "information_content",
    "kl_divergence",
    "mutual_information",
]
