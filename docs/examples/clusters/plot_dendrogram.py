"""
A tree of clusters
==================

:class:`~skdeepcluster.NeighborClustering` keeps a tree of small groups of samples, and ``cut``
divides it into any number of clusters without a new fit. Similar digits meet early in the
tree. Below each group is its medoid, its most typical sample.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.datasets import load_digits

from skdeepcluster import NeighborClustering
from skdeepcluster.display import DendrogramDisplay
from skdeepcluster.inspection import find_medoids

X = load_digits().data
clusters = NeighborClustering(10, random_state=0).fit(X)
figure, ax = plt.subplots(figsize=(11, 4.6), layout="constrained")
display = DendrogramDisplay.from_estimator(clusters, n_clusters=10, max_leaves=26, name="", ax=ax)

n_leaves = len(clusters.tree_.children) + 1
members = [[leaf] for leaf in range(n_leaves)]  # small groups in each node of the tree
for left, right in clusters.tree_.children:
    members.append(members[left] + members[right])
group = np.full(len(X), -1)
for place, node in enumerate(display.tree_["leaves"]):
    group[np.isin(clusters.tree_.leaves, members[node])] = place
for place, medoid in enumerate(find_medoids(X, group, random_state=0)):
    image = OffsetImage(X[medoid].reshape(8, 8), zoom=2.8, cmap="gray_r")
    spot = (10 * place + 5, 0)  # scipy's leaves are at 5, 15, 25 and so on
    box = AnnotationBbox(image, spot, xybox=(0, -48), boxcoords="offset points", frameon=False)
    box.set_annotation_clip(False)
    ax.add_artist(box)
ax.set_xlabel("number of samples, and medoid, of each group", labelpad=42)
plt.show()
