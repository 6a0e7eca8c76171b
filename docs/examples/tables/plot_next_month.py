"""
New data next month
===================

A fitted clusterer predicts new samples, and gives the label -1 to those that are far from all
clusters. If there are many of them, fit again with the old labels: the old clusters keep their
numbers, and a new one may appear.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay

centers = np.array([[0, 0], [9, 0], [0, 9], [9, 9]])
X_old, _ = make_blobs(300, centers=centers[:3], random_state=0)
X_new, _ = make_blobs(200, centers=centers, random_state=1)

old = NeighborClustering("auto", contamination=0.01, random_state=0).fit(X_old)
predicted = old.predict(X_new)
print(f"far from all {old.n_clusters_} clusters: {(predicted < 0).mean():.0%}")

X = np.concatenate([X_old, X_new])
known = np.concatenate([old.labels_, np.full(len(X_new), -1)])
new = NeighborClustering("auto", contamination=0.01, use_labels=True, random_state=0).fit(X, known)

# %%
# The cluster that nobody knew last month is gray at first, and gets the next number.

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained", sharex=True, sharey=True)
titles = "last month", "this month, predicted", "fitted again with the old labels"
shown = (X_old, old.labels_), (X_new, predicted), (X, new.labels_)
for ax, title, (samples, labels) in zip(axes, titles, shown, strict=True):
    EmbeddingDisplay(samples, labels).plot(ax).legend_.remove()
    ax.set(title=title, xlabel="", ylabel="", xticks=[], yticks=[])
plt.show()
