"""Rows of one feature, of which k-means tells more than a graph.

Their graph is a chain whose distances are relative to the density around each row, so that it does
not tell where rows are rare. They are divided by k-means; the number of clusters is that whose
mean silhouette exceeds that of k-means on uniform rows most.

M rows, K clusters.

References: P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
cluster analysis", Journal of Computational and Applied Mathematics 20, 1987; R. Tibshirani,
G. Walther, T. Hastie, "Estimating the number of clusters in a data set via the gap statistic",
Journal of the Royal Statistical Society B 63, 2001 (uniform rows as a reference).
"""

import numpy as np
from sklearn.metrics import silhouette_score

from .._responsibilities import sample_systematically
from .candidates import KMEANS_RUNS, run_kmeans
from .scales import ScaleCurve, bootstrap_stability, grow_micro_clusters, limit_clusters

#: Most rows whose silhouettes are measured.
MAX_MEASURED = 300
#: Times that uniform rows are drawn.
N_UNIFORM = 3
#: Least silhouette, above that of uniform rows, for two clusters.
MIN_LEAD = 0.05


def count_on_line(rows, weights, max_clusters, stream):
    """Return the :class:`ScaleCurve` of rows (M, 1) with weights (M,).

    Its criterion is the lead of the silhouettes, 0 for one cluster, and so is its persistence.
    """
    most = limit_clusters(len(weights), max_clusters)
    micro = grow_micro_clusters(rows, weights, most, stream)
    n_drawn = min(MAX_MEASURED, len(weights))
    drawn = rows[sample_systematically(weights, n_drawn, stream.random_sample())]
    uniform = [stream.uniform(size=drawn.shape) for _ in range(N_UNIFORM)]
    lead = np.zeros(most)
    for k in range(2, most + 1):
        own, *others = (_measure_silhouette(some, k, stream) for some in (drawn, *uniform))
        lead[k - 1] = own - np.mean(others)
    best = int(lead.argmax()) if lead.max() >= MIN_LEAD else 0
    numbers, stability = np.arange(1, most + 1), bootstrap_stability(micro, most, stream)
    return ScaleCurve(numbers, lead, np.maximum(lead, 0), stability, best + 1)


def _measure_silhouette(rows, n_clusters, stream):
    """Return the mean silhouette of the clusters of k-means; -1 where there is one only."""
    labels = run_kmeans(rows, np.ones(len(rows)), n_clusters, stream, KMEANS_RUNS).labels_
    is_divided = 1 < len(np.unique(labels)) < len(rows)
    return silhouette_score(rows, labels) if is_divided else -1.0
