"""
A few labels go a long way
==========================

Ten labeled digits, one of each kind, number the clusters as the digits are numbered, and mend
some borders. The other 1,787 samples have the label -1, which means unknown.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading

from skdeepcluster import NeighborClustering

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
numbers = [1, 2, 5, 10, 20]
scores = {"NeighborClustering": [], "LabelSpreading": []}
for n_labeled in numbers:
    some = np.full(len(y), -1)
    for digit in range(10):
        some[rng.choice(np.flatnonzero(y == digit), n_labeled, replace=False)] = digit
    unknown = some < 0
    clusters = NeighborClustering(10, use_labels=True, random_state=0).fit(X, some)
    spread = LabelSpreading(kernel="knn", n_neighbors=20).fit(X, some)
    scores["NeighborClustering"].append((clusters.labels_ == y)[unknown].mean())
    scores["LabelSpreading"].append((spread.transduction_ == y)[unknown].mean())

# %%
# Share of the unlabeled digits that get the right number:

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, values), marker in zip(scores.items(), "os", strict=True):
    ax.plot(numbers, values, marker=marker, label=name)
ax.set_xscale("log")
ax.set_xticks(numbers, numbers)
ax.set_xticks([], minor=True)
ax.set(xlabel="labeled samples of each digit", ylabel="accuracy on the others")
ax.grid(alpha=0.3)
ax.legend(frameon=False)
plt.show()
