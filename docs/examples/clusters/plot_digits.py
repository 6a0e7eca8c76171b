"""
A map of handwritten digits
===========================

:class:`~skdeepcluster.NeighborClustering` finds ten clusters among 1,797 small images without
seeing a label. The map shows all samples, with an image of the most typical one in each cluster.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay

from skdeepcluster import NeighborClustering
from skdeepcluster.display import EmbeddingDisplay
from skdeepcluster.inspection import find_medoids
from skdeepcluster.metrics import match_labels

X, y = load_digits(return_X_y=True)
clusters = NeighborClustering(n_clusters=10, random_state=0).fit(X)

figure, ax = plt.subplots(figsize=(7.5, 6.5), layout="constrained")
display = EmbeddingDisplay.from_estimator(clusters, X, ax=ax)
display.legend_.remove()
for text in list(ax.texts):
    text.remove()
for medoid in find_medoids(X, clusters.labels_, random_state=0):
    image = OffsetImage(X[medoid].reshape(8, 8), zoom=3.2, cmap="gray_r")
    frame = {"edgecolor": "0.5", "boxstyle": "round,pad=0.1"}
    place = display.points_[medoid]
    box = AnnotationBbox(image, place, xybox=(28, 0), boxcoords="offset points", bboxprops=frame)
    ax.add_artist(box)
ax.set_title("1,797 digits, ten clusters, no label used")
plt.show()

# %%
# The labels come in at the end, to check the result: a row for each digit and a column for each
# cluster. Most ones share a cluster with the eights: in 8 x 8 pixels they look the same.

matched = match_labels(y, clusters.labels_)
confusion = ConfusionMatrixDisplay.from_predictions(y, matched, cmap="Blues", colorbar=False)
confusion.ax_.set(title="digits and clusters", xlabel="cluster", ylabel="digit")
plt.show()

# %%
# The clusters are sure about most samples, and say which ones they doubt.

doubtful = np.argsort(clusters.probabilities_)[:10]
print(clusters.expected_score_)
figure, axes = plt.subplots(1, 10, figsize=(10, 1.5), layout="constrained")
for ax, row in zip(axes, doubtful, strict=True):
    ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{clusters.probabilities_[row]:.2f}", fontsize="medium")
    ax.set_axis_off()
figure.suptitle("the ten digits with the lowest probabilities", fontsize="medium")
plt.show()
