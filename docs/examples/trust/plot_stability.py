"""
Which clusters can be trusted?
==============================

A cluster that vanishes when a few samples are left out is none. ``cluster_stability`` fits the
clusterer again to subsets of the samples and compares each cluster with the most similar one.
Here six clusters are asked for where four exist.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from skdeepcluster.display import EmbeddingDisplay
from skdeepcluster.stability import cluster_stability

centers = [[0, 0], [7, 0], [0, 7], [8, 8]]
spread = [1.4, 0.7, 0.7, 0.7]
X, _ = make_blobs([300, 100, 100, 100], centers=centers, cluster_std=spread, random_state=0)
clusterer = KMeans(6, n_init=10, random_state=0).fit(X)
stability = cluster_stability(clusterer, X, random_state=0)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
EmbeddingDisplay(X, clusterer.labels_).plot(axes[0])
axes[1].bar(range(6), stability)
axes[1].axhline(0.85, color="0.3", ls="--", label="stable above 0.85")
axes[1].axhline(0.6, color="0.3", ls=":", label="doubtful below 0.6")
axes[1].set(xlabel="cluster", ylabel="stability (mean Jaccard index)")
axes[1].legend()
plt.show()

# %%
# The three parts of the large cluster change with the subset; the other clusters stay.

print(stability.round(2))
