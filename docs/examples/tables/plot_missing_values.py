"""
A table with missing values
===========================

No estimator of this package needs complete samples. Here a fifth of all values is removed from a
table of 178 wines. Nothing is filled in before the fit.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay

wine = load_wine(as_frame=True)
table = wine.data.mask(np.random.default_rng(0).uniform(size=wine.data.shape) < 0.2)
print(f"{table.isna().any(axis=1).mean():.0%} of the samples miss a value")
clusterer = make_pipeline(StandardScaler(), NeighborClustering(3, random_state=0))

# %%
# White cells are missing. The clusters without them are nearly the same as in the whole table.

whole = clusterer.fit_predict(wine.data)
labels = clusterer.fit_predict(table)
print("whole table:", round(adjusted_rand_score(wine.target, whole), 2))
print("with gaps:", round(adjusted_rand_score(wine.target, labels), 2))

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
order = np.argsort(labels, kind="stable")
scaled = StandardScaler().fit_transform(table)[order]
axes[0].imshow(scaled.T, aspect="auto", cmap="PuOr", vmin=-2.5, vmax=2.5, interpolation="none")
axes[0].set_yticks(range(table.shape[1]), table.columns, fontsize="small")
for edge in np.cumsum(np.bincount(labels))[:-1]:
    axes[0].axvline(edge - 0.5, color="black", lw=1.5)
axes[0].set(xlabel="samples, by cluster", title="the table")
samples = clusterer[0].transform(table)
EmbeddingDisplay.from_estimator(clusterer[-1], samples, ax=axes[1], name="the clusters")
plt.show()
