"""Rows of one feature, of which k-means tells more than a graph.

Their graph is a chain whose distances are relative to the density around each row, so that it does
not tell where rows are rare. They are divided by k-means; the number of clusters is that at which
the mean silhouette of Ward's clusters exceeds that of uniform rows most.

M rows, K clusters.

References: P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
cluster analysis", Journal of Computational and Applied Mathematics 20, 1987; R. Tibshirani,
G. Walther, T. Hastie, "Estimating the number of clusters in a data set via the gap statistic",
Journal of the Royal Statistical Society B 63, 2001 (uniform rows as a reference).
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_score

from .._responsibilities import sample_systematically
from .scales import ScaleCurve, bootstrap_stability, grow_micro_clusters, limit_clusters

#: Most rows whose silhouettes are measured.
MAX_MEASURED = 300
#: Times that uniform rows are drawn.
N_UNIFORM = 5
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
    uniform = (stream.uniform(size=drawn.shape) for _ in range(N_UNIFORM))
    expected = np.mean([_measure_silhouettes(some, most) for some in uniform], 0)
    lead = _measure_silhouettes(drawn, most) - expected
    best = int(lead.argmax()) if lead.max() >= MIN_LEAD else 0
    numbers, stability = np.arange(1, most + 1), bootstrap_stability(micro, most, stream)
    return ScaleCurve(numbers, lead, np.maximum(lead, 0), stability, best + 1)


def _measure_silhouettes(rows, most):
    """Return the mean silhouettes (most,) of Ward's clusters; 0 of one, -1 of too few values."""
    found = np.full(most, -1.0)
    found[0] = 0
    if most > 1:
        tree, distances = linkage(rows, "ward"), np.abs(rows - rows.T)
        for k in range(2, most + 1):
            labels = fcluster(tree, k, "maxclust")
            if len(np.unique(labels)) == k:
                found[k - 1] = silhouette_score(distances, labels, metric="precomputed")
    return found
