"""
Which clusters can be trusted?
==============================

A cluster that other fits do not find is none. :class:`~skdeepcluster.ClusterEnsemble` fits a
clusterer with several seeds and compares each cluster with the most similar one of each fit.
Here six clusters are asked for where four exist.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from skdeepcluster import ClusterEnsemble
from skdeepcluster.display import EmbeddingDisplay

centers = [[0, 0], [7, 0], [0, 7], [8, 8]]
spread = [1.4, 0.7, 0.7, 0.7]
X, _ = make_blobs([300, 100, 100, 100], centers=centers, cluster_std=spread, random_state=0)
ensemble = ClusterEnsemble(KMeans(6), n_estimators=20, random_state=0).fit(X)
stability = ensemble.cluster_stability_

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
EmbeddingDisplay(X, ensemble.labels_).plot(axes[0])
axes[1].bar(range(6), stability)
axes[1].axhline(0.85, color="0.3", ls="--", label="stable above 0.85")
axes[1].set(xlabel="cluster", ylabel="stability (mean Jaccard index)")
axes[1].legend()
plt.show()

# %%
# The three parts of the large cluster change with the seed; the other clusters are always found.

print(stability.round(2))
