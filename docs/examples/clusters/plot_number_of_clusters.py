"""
How many clusters are there?
============================

With ``n_clusters="auto"`` the number of clusters is chosen by the data, and the evidence is kept.
The curve shows how well each number does, and how stable it is.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay

X = StandardScaler().fit_transform(load_wine().data)
clusters = NeighborClustering("auto", random_state=0).fit(X)
print(clusters.n_clusters_)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
curve = pd.DataFrame(clusters.n_clusters_curve_)
curve.plot(x="n_clusters", marker="o", ax=axes[0], title="evidence")
axes[0].axvline(clusters.n_clusters_, color="0.4", ls=":")
EmbeddingDisplay.from_estimator(clusters, X, ax=axes[1], name="178 wines")
plt.show()

# %%
# Another number needs no new fit: ``cut`` divides the same tree at another height.

for n_clusters in (2, 3, 4):
    print(n_clusters, clusters.tree_.cut(n_clusters)[::20])
