"""
Sizes of clusters, and pairs of samples
=======================================

You may know that no cluster has more than 50 samples, or that two samples belong together.
``min_cluster_size`` and ``max_cluster_size`` bound the sizes. ``must_link`` and ``cannot_link``
take pairs of samples, and move their neighbors along.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay

X, y = load_iris(return_X_y=True)
points = PCA(2).fit_transform(X)
plain = NeighborClustering(3, random_state=0).fit(X)
sized = NeighborClustering(3, max_cluster_size=50, random_state=0).fit(X)

# %%
# An expert says about 60 pairs near the border whether both flowers are of one species.

rng = np.random.default_rng(0)
pairs = rng.choice(np.argsort(plain.probabilities_)[:60], size=(60, 2))
pairs = pairs[pairs[:, 0] != pairs[:, 1]]
same = y[pairs[:, 0]] == y[pairs[:, 1]]
linked = NeighborClustering(3, random_state=0)
linked.fit(X, must_link=pairs[same], cannot_link=pairs[~same])

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
fits = {"plain": plain, "at most 50 samples": sized, "with pairs": linked}
for ax, (name, fit) in zip(axes, fits.items(), strict=True):
    EmbeddingDisplay(points, fit.labels_).plot(ax).legend_.remove()
    sizes = ", ".join(map(str, np.bincount(fit.labels_)))
    score = adjusted_rand_score(y, fit.labels_)
    ax.set_title(f"{name}: sizes {sizes}\nadjusted Rand index {score:.2f}", fontsize="medium")
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
for kind, style in ((same, "-"), (~same, ":")):
    for pair in pairs[kind]:
        axes[2].plot(*points[pair].T, color="0.3", lw=0.7, ls=style)
plt.show()
