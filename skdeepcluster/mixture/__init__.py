"""Gaussian mixtures by expectation maximization, over batches of samples."""
