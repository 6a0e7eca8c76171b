"""
Components of a mixture
=======================

:class:`~skdeepcluster.GaussianMixtureEM` describes each cluster by a mean and a covariance. The
eigenvectors and eigenvalues of a covariance are the axes of an ellipse. Samples of more than two
features are projected to two principal components, and so are the means and the covariances.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.display import EmbeddingDisplay

X = StandardScaler().fit_transform(load_wine().data)
mixture = GaussianMixtureEM(3, random_state=0).fit(X)
pca = PCA(2).fit(X)
display = EmbeddingDisplay(pca.transform(X), mixture.labels_, name="wines and components").plot()
means = pca.transform(mixture.means_)
covariances = pca.components_ @ mixture.covariances_ @ pca.components_.T

for mean, covariance in zip(means, covariances, strict=True):
    values, vectors = np.linalg.eigh(covariance)
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    for n_std in (1, 2):
        width, height = 2 * n_std * np.sqrt(values)
        display.ax_.add_patch(Ellipse(mean, width, height, angle=angle, fill=False))
display.ax_.set(xlabel="component 1", ylabel="component 2", aspect="equal")
plt.show()
