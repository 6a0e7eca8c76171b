"""
What else varies: codes of InfoGAN
==================================

:class:`~skdeepcluster.InfoGANClustering` has a code for the cluster, and continuous codes for what
varies within all clusters. Along each row one code changes and all else stays.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdeepcluster import InfoGANClustering
from skdeepcluster.display import SamplesDisplay
from skdeepcluster.nn import RandomAffine

X = load_digits().data / 16
gan = InfoGANClustering(10, augment=RandomAffine((1, 8, 8)), random_state=0).fit(X)
clusters = np.repeat(np.arange(10), 9)


def vary(code):
    """Generate a row of images for each cluster, along one of the two continuous codes."""
    Z = np.zeros((90, 12))  # as transform returns them: 10 clusters, 2 continuous codes
    Z[np.arange(90), clusters] = 1
    Z[:, 10 + code] = np.tile(np.linspace(-2, 2, 9), 10)
    return gan.inverse_transform(Z)


figure, axes = plt.subplots(1, 2, figsize=(11, 5.8), layout="constrained")
for code, ax in enumerate(axes):
    name = f"continuous code {code} from -2 to 2"
    SamplesDisplay(vary(code), clusters, image_shape=(8, 8), name=name).plot(ax)
plt.show()

# %%
# Other codes and noise, all at once: ten images of each cluster.

SamplesDisplay.from_estimator(gan, image_shape=(8, 8), name="ten samples of each cluster")
plt.show()

# %%
# How much each code changes each pixel: the standard deviation along its rows.

figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
for code, ax in enumerate(axes):
    rows = vary(code).reshape(10, 9, 8, 8)
    ax.imshow(rows.std(axis=1).mean(axis=0), vmin=0)
    ax.set_title(f"continuous code {code}")
    ax.set_axis_off()
plt.show()
