"""Constants of the learned criterion.

If one of them changes, train the criterion again: ``python -m benchmarks.criterion``. The same
holds for constants elsewhere with a comment that the criterion was trained with them.
"""

#: Number of nearest neighbors on which densities and edges are measured.
N_NEIGHBORS = 15
#: Number of these neighbors that count as nearest.
N_NEAREST = 5
#: Number of times that samples that are not scored take the cluster of most neighbors.
N_SWEEPS = 2
#: Quantile of the densities in a cluster, or on a border, that stands for the highest.
HIGH = 0.9
#: Ridge penalty of the linear classifier, relative to the variance of the samples.
PENALTY = 0.1
#: Methods whose agreement with a candidate is a feature.
COMPARED = (
    "kmeans",
    "white kmeans",
    "full",
    "classes",
    "genie",
    "embedding ward",
    "embedding merged",
)
#: Number of members of an ensemble with which a partition agrees best.
BEST = 5
#: Added to the standard deviations of an ensemble.
MIN_SPREAD = 0.01
#: Minimum number of samples per cluster, on average, where numbers of clusters are compared.
LEAST_SIZE = 5
#: Numbers of clusters whose ensembles tell whether there is one cluster.
ONE_NUMBERS = 2, 3, 4, 6, 9
#: Features of the members of these ensembles with the highest scores.
ONE_FEATURES = (
    "score",
    "points valley",
    "embedding valley",
    "embedding silhouette",
    "points saddle density",
    "points median saddle density",
    "embedding saddle density",
    "points full bic",
    "reach gap",
    "density",
    "linear",
    "agreement",
    "mean agreement",
    "second explained",
    "classes bic",
    "confidence",
)
