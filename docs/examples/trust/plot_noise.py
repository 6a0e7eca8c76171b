"""
Noise and outliers
==================

Real data has samples that belong nowhere. With ``contamination=0.1`` the tenth of the samples that
is farthest from all clusters gets the label -1. ``outlier_scores_`` ranks all samples.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay

rng = np.random.default_rng(0)
X_moons, _ = make_moons(720, noise=0.05, random_state=0)
X = np.concatenate([X_moons, rng.uniform([-1.8, -1.4], [2.8, 1.9], size=(80, 2))])
clusters = NeighborClustering(2, contamination=0.1, random_state=0).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
EmbeddingDisplay(X, clusters.labels_).plot(axes[0], s=14)
axes[0].set_title("clusters, and noise in gray")
points = axes[1].scatter(*X.T, c=clusters.outlier_scores_, s=14, cmap="viridis")
figure.colorbar(points, label="outlier score")
axes[1].set(title="outlier scores", aspect="equal", adjustable="datalim")
for ax in axes:
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
plt.show()

# %%
# New samples are judged by the same threshold.

print(clusters.predict([[0, 1], [-1.5, -1.2]]))
