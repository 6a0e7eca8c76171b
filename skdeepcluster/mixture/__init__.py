"""Gaussian mixtures by expectation maximisation (EM): functions on stored rows, no estimators."""
