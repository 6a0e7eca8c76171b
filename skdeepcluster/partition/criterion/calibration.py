"""Probabilities of labels, calibrated on generated data sets.

N samples, K clusters.
"""

import numpy as np
from scipy.special import expit, logit

from ...input.labels import normalize_rows

#: Inputs of the logistic regression.
CALIBRATION_NAMES = ["votes", "stability", "expected score", "constant"]
#: Minimum lead of the largest responsibility over the others, as a share of them.
LEAD = 1e-6


def calibrate(labels, stability, partition, coefficients):
    """Return a partition whose highest responsibilities are probabilities of right labels.

    The first arguments are what :func:`~skdeepcluster.partition.selection.vote` yields, and
    ``coefficients`` (4,) belong to CALIBRATION_NAMES.
    """
    n_clusters = partition.n_clusters
    inputs = describe_labels(labels, stability, partition)
    probability = expit(inputs @ coefficients)[:, None]
    probability = probability.clip((1 + LEAD) / n_clusters)

    is_other = np.arange(n_clusters) != labels[:, None]
    shares = partition.responsibilities
    others = normalize_rows(np.where(is_other, shares + 1e-3, 0))
    # Mix the others with equal shares where one of them would be as probable as the label.
    mean = 1 / (n_clusters - 1)
    ceiling = probability / (1 + LEAD)
    ceiling = ceiling / (1 - probability).clip(1e-12)

    excess = (others.max(1, keepdims=True) - mean).clip(1e-12)
    kept = ((ceiling - mean) / excess).clip(0, 1)
    rest = (1 - probability) * (mean + kept * (others - mean))
    resp = np.where(is_other, rest, probability)
    return partition._replace(responsibilities=resp)


def describe_labels(labels, stability, partition):
    """Return the inputs (N, 4) of the calibration, see CALIBRATION_NAMES."""
    ones = np.ones(len(labels))
    votes = np.take_along_axis(partition.responsibilities, labels[:, None], axis=1)
    shares = [votes[:, 0], stability[labels], partition.expected_score * ones]
    logits = logit(np.clip(shares, 0.01, 0.99))
    return np.column_stack([*logits, ones])
