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


def draw(X, kinds, found, n_series):
    """Draw the first series of each cluster, a row for each method."""
    shape = {"figsize": (9, 2 * len(found)), "sharex": True, "sharey": True}
    fig, axes = plt.subplots(len(found), 3, layout="constrained", **shape)
    for row, (name, labels) in zip(axes, found.items(), strict=True):
        score = adjusted_rand_score(kinds, labels)
        row[0].set_ylabel(f"{name}\nARI {score:.2f}")
        for cluster, ax in enumerate(row):
            some = X[labels == cluster][:n_series]
            ax.plot(some.T, color=f"C{cluster}", alpha=0.6, linewidth=1)
            ax.set_title(f"cluster {cluster}", fontsize=9)


# %%
# A wrapped shift by half of the length to either side is any shift.
shifts = RandomShift(0.5, wrap=True)
found = {
    "KMeans": KMeans(3, n_init=10, random_state=0).fit_predict(X),
    "shifts": NeighborClustering(3, augment=shifts, random_state=0).fit_predict(X),
}
draw(X, kinds, found, n_series=8)

# %%
# Noisy oscillations of three periods, each period varied by up to 10 %. No shift brings two of
# them together, but their local shapes are the same. ``augment="auto"`` tries shifts, convolutions
# and differences, and takes convolutions.
kinds = np.repeat([0, 1, 2], 30)
period = np.array([4, 7, 12])[kinds] * stream.uniform(0.9, 1.1, size=90)
t = np.arange(150) + stream.uniform(0, 150, size=(90, 1))
X = np.sin(2 * np.pi * t / period[:, None]) + 0.5 * stream.normal(size=t.shape)

clusters = NeighborClustering(3, augment="auto", random_state=0).fit(X)
print(clusters.augment_)
for kind, score in clusters.augment_scores_.items():
    print(f"{score:.2f} {kind}")

# %%
found = {
    "KMeans": KMeans(3, n_init=10, random_state=0).fit_predict(X),
    "shifts": NeighborClustering(3, augment=shifts, random_state=0).fit_predict(X),
    "auto": clusters.labels_,
}
draw(X[:, :50], kinds, found, n_series=3)  # one third of the length
