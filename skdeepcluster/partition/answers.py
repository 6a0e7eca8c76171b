"""Other partitions of the same samples, and what they change, in words. N samples."""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix


@dataclass(eq=False)
class Alternative:
    """Another partition of the samples of a fit."""

    n_clusters: int
    expected_score: float
    changes: str
    labels: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    #: Position among the answers of the fit.
    place: int = field(repr=False)


def describe_changes(labels, others, clusters=None):
    """Return which clusters of ``labels`` (N,) the partition ``others`` (N,) joins and divides.

    It joins clusters if more than half of each are in one cluster of its own, and divides one that
    has more than half of several of its clusters. Its other clusters are made of parts of several.
    Noise is left out. ``clusters`` (K,) are the names of the clusters of ``labels``.
    """
    known = (labels >= 0) & (others >= 0)
    table = contingency_matrix(labels[known], others[known])
    names = np.unique(labels[known])
    if clusters is not None:
        names = clusters[names]
    mostly = table > table.sum(1, keepdims=True) / 2
    mostly_other = table > table.sum(0) / 2

    found = []
    for column in mostly.T:
        if column.sum() > 1:
            found.append("joins " + _list_names(names[column]))
    for name, row in zip(names, mostly_other, strict=True):
        if row.sum() > 1:
            found.append(f"divides {name} into {row.sum()}")
    n_mixed = (~mostly_other.any(0) & (mostly.sum(0) < 2)).sum()
    if found and n_mixed:
        found.append(f"makes {n_mixed} of parts of others")
    if not found:
        kept = table[linear_sum_assignment(table, maximize=True)].sum()
        share = 1 - kept / max(table.sum(), 1)
        found.append(f"moves {share:.0%} of the samples")
    return "; ".join(found)


def _list_names(names):
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}"
