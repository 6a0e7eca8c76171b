"""
How many clusters are there?
============================

With ``n_clusters="auto"`` the number of clusters is chosen by the data, and the evidence is kept.
The curve shows how well each number does, and how stable it is.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay, NumberOfClustersDisplay

X = StandardScaler().fit_transform(load_wine().data)
clusters = NeighborClustering("auto", random_state=0).fit(X)
print(clusters.n_clusters_)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
NumberOfClustersDisplay.from_estimator(clusters, ax=axes[0], name="evidence")
EmbeddingDisplay.from_estimator(clusters, X, ax=axes[1], name="178 wines")
plt.show()

# %%
# Another number needs no new fit: ``cut`` divides the same tree at another height.

for n_clusters in (2, 3, 4):
    print(n_clusters, clusters.tree_.cut(n_clusters)[::20])
