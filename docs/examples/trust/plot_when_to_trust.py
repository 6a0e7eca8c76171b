"""
When to trust probabilities and scores
======================================

Five round clusters move apart, from one cloud to clear groups. Four draws of each distance show
how far the expected score of :class:`~skdeepcluster.NeighborClustering` is from the adjusted Rand
index with the true clusters, and the mean probability from the share of right samples. Neither
has seen a label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.metrics import match_labels

DISTANCES = [1.5, 2, 2.5, 3, 3.5, 4, 5, 6]
ANGLES = 2 * np.pi * np.arange(5) / 5
CENTERS = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
CENTERS /= np.linalg.norm(CENTERS[1] - CENTERS[0])


def draw(distance, seed):
    """Return 300 samples of five clusters whose neighbors are this many deviations apart."""
    y = np.arange(300) % 5
    noise = np.random.default_rng(seed).normal(size=(300, 2))
    return distance * CENTERS[y] + noise, y


def measure_error(is_right, confidence):
    """Return the calibration error: the mean gap over ten bins of equal count."""
    bins = np.array_split(np.argsort(confidence, kind="stable"), 10)
    gaps = [abs(is_right[rows].sum() - confidence[rows].sum()) for rows in bins]
    return sum(gaps) / len(confidence)


figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, distance in zip(axes, (2, 3, 5), strict=True):
    X, y = draw(distance, 0)
    ax.scatter(*X.T, c=y, s=8, cmap="tab10", vmax=9)
    ax.set(title=f"{distance} standard deviations apart", aspect="equal")
plt.show()

# %%
# The two lines of each picture should lie on each other, and errors should be 0.

measured = []
for distance in DISTANCES:
    rows = []
    for seed in range(4):
        X, y = draw(distance, seed)
        fit = NeighborClustering(5, random_state=0).fit(X)
        ari = adjusted_rand_score(y, fit.labels_)
        is_right = match_labels(y, fit.labels_) == y
        confidence = fit.probabilities_
        error = measure_error(is_right, confidence)
        rows.append([fit.expected_score_, ari, confidence.mean(), is_right.mean(), error])
    measured.append(np.mean(rows, axis=0))
scores, aris, probabilities, shares, errors = np.transpose(measured)

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
left.plot(DISTANCES, scores, "o-", label="expected score")
left.plot(DISTANCES, aris, "s--", label="adjusted Rand index")
middle.plot(DISTANCES, probabilities, "o-", label="mean probability")
middle.plot(DISTANCES, shares, "s--", label="share of right samples")
right.plot(DISTANCES, errors, "o-", label="calibration error")
for ax in (left, middle, right):
    ax.set(xlabel="distance in standard deviations", ylim=(0, 1.02))
    ax.legend(frameon=False)
plt.show()

# %%
# From four standard deviations on, both can be taken literally: errors are below 0.05. Where
# clusters overlap more, probabilities are wrong by 0.1 on average, in both directions. The
# expected score is then below the adjusted Rand index, because nothing in the samples says that
# there are five clusters. So trust probabilities if the expected score is above 0.7. A low score
# does not say that clusters are wrong, but that the samples do not show them.
print("distance  score   ARI  probability  right  calibration error")
for distance, *row in zip(DISTANCES, *np.transpose(measured), strict=True):
    print("{:8}  {:5.2f} {:5.2f}  {:11.2f}  {:5.2f}  {:17.3f}".format(distance, *row))
