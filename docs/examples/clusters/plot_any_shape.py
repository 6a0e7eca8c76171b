"""
Clusters of any shape
=====================

KMeans splits the plane into convex cells. :class:`~skdeepcluster.NeighborClustering` follows the
shape of the data, and still finds round clusters where they are. Both are given the number of
clusters; neither gets any other setting.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay


def make_spirals(n_samples, random_state):
    rng = np.random.default_rng(random_state)
    y = np.arange(n_samples) % 3
    t = rng.uniform(0.15, 1, n_samples)
    angle = 2 * np.pi * (y / 3 + 0.8 * t)
    X = t[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return X + rng.normal(scale=0.015, size=X.shape), y


X_round, y_round = make_blobs(600, centers=5, cluster_std=0.8, random_state=3)
X_long, y_long = make_blobs(600, centers=3, random_state=170)
data = {
    "moons": make_moons(600, noise=0.06, random_state=0),
    "circles": make_circles(600, factor=0.5, noise=0.05, random_state=0),
    "spirals": make_spirals(600, random_state=0),
    "stretched": (X_long @ [[0.6, -0.64], [-0.41, 0.85]], y_long),
    "round": (X_round, y_round),
}

# %%
# The number above each picture is the adjusted Rand index with the true clusters. It is 1 for a
# perfect result and about 0 for a random one.

figure, axes = plt.subplots(2, len(data), figsize=(13, 5.6), layout="constrained")
for column, (name, (X, y)) in enumerate(data.items()):
    n_clusters = len(np.unique(y))
    clusterers = [
        KMeans(n_clusters, n_init=10, random_state=0),
        NeighborClustering(n_clusters, random_state=0),
    ]
    for ax, clusterer in zip(axes[:, column], clusterers, strict=True):
        labels = clusterer.fit_predict(X)
        display = EmbeddingDisplay(X, labels).plot(ax, s=8)
        display.legend_.remove()
        ax.margins(0.15)
        score = adjusted_rand_score(y, labels)
        ax.set_title(f"{name}: {max(score, 0):.2f}")
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="", aspect="equal", adjustable="datalim")
axes[0, 0].set_ylabel("KMeans", fontsize="x-large")
axes[1, 0].set_ylabel("NeighborClustering", fontsize="x-large")
plt.show()
