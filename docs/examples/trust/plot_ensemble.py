"""
Do several methods agree?
=========================

:class:`~skdeepcluster.ClusterEnsemble` fits several clusterers to subsets of the samples and
finds their consensus. Where they agree, a sample is well placed; between the clusters they do
not.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM
from skdeepcluster.display import EmbeddingDisplay

X = load_iris().data
members = [KMeans(3), GaussianMixtureEM(3), AgglomerativeClustering(3)]
ensemble = ClusterEnsemble(members, n_estimators=15, random_state=0).fit(X)
print(ensemble.agreement_)  # of each fit with the consensus

points = PCA(2).fit_transform(X)
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
EmbeddingDisplay(points, ensemble.labels_).plot(axes[0])
axes[0].set_title("consensus of 15 fits")
dots = axes[1].scatter(*points.T, c=ensemble.row_agreement_, cmap="viridis", vmax=1)
figure.colorbar(dots, label="agreement")
axes[1].set(title="how far they agree", aspect="equal", adjustable="datalim")
for ax in axes:
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
plt.show()
