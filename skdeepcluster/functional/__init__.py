"""Formulas on tensors: each has one home here. Nothing in this folder imports more than torch."""

from .information import entropy, information_content, kl_divergence, mutual_information

__all__ = ["entropy", "information_content", "kl_divergence", "mutual_information"]
