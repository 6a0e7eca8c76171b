"""
Series that may begin at any time
=================================

Three kinds of pulses, at a random time of a periodic series. KMeans divides them by the time;
with shifted views, NeighborClustering finds the kinds.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.nn import RandomShift

stream = np.random.RandomState(0)
t = np.arange(60)
phase = (t - stream.uniform(0, 60, size=(150, 1))) % 60
kinds = np.repeat([0, 1, 2], 50)
pulses = [np.exp(-phase / 5), phase < 10, np.exp(-(((phase - 30) / 3) ** 2))]
X = np.choose(kinds[:, None], pulses) + 0.03 * stream.normal(size=phase.shape)

# A wrapped shift by half of the length to either side is any shift.
shifts = RandomShift(0.5, wrap=True)
found = {
    "KMeans": KMeans(3, n_init=10, random_state=0).fit_predict(X),
    "shifts": NeighborClustering(3, augment=shifts, random_state=0).fit_predict(X),
}
fig, axes = plt.subplots(2, 3, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
for row, (name, labels) in zip(axes, found.items(), strict=True):
    score = adjusted_rand_score(kinds, labels)
    row[0].set_ylabel(f"{name}\nARI {score:.2f}")
    for cluster, ax in enumerate(row):
        ax.plot(X[labels == cluster][:8].T, color=f"C{cluster}", alpha=0.6, linewidth=1)
        ax.set_title(f"cluster {cluster}", fontsize=9)
plt.show()

# %%
# ``augment="auto"`` tries several shifts, and the series as they are.
clusters = NeighborClustering(3, augment="auto", random_state=0).fit(X)
print(clusters.augment_)
for kind, score in clusters.augment_scores_.items():
    print(f"{score:.2f} {kind}")
