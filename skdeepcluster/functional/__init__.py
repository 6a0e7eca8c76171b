"""Formulas on torch tensors. Modules in this folder import nothing except torch."""

from .losses import entropy, kl_divergence, mutual_information

__all__ = [
    "entropy",
    "kl_divergence",
    "mutual_information",
]
