"""
What a probability does not say
===============================

Probabilities compare clusters: they say which one a sample is in, if it is in any. Digits with
shuffled pixels are in none, and yet some of them have a high probability. Their outlier scores
tell: all are beyond the threshold of ``contamination="auto"``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdeepcluster import NeighborClustering

X = load_digits().data
strangers = np.random.default_rng(0).permuted(X, axis=1)
clusters = NeighborClustering(10, contamination="auto", random_state=0).fit(X)

samples = {"digits": X, "with shuffled pixels": strangers}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for name, rows in samples.items():
    probabilities = clusters.predict_proba(rows).max(axis=1)
    scores = -clusters.score_samples(rows)
    left.hist(probabilities, bins=np.linspace(0, 1, 41), alpha=0.6, label=name)
    right.hist(scores, bins=60, alpha=0.6, label=name)

right.axvline(-clusters.offset_, color="black", linestyle=":", label="noise")
left.set(xlabel="Probability of the cluster", ylabel="Samples")
right.set(xlabel="Outlier score", ylabel="Samples")
right.legend()
plt.show()

# %%
# The share of digits, and of strangers, that are noise:
print((clusters.labels_ < 0).mean(), (clusters.predict(strangers) < 0).mean())
