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
codes = ["continuous0", "continuous1"]
figure, axes = plt.subplots(1, 2, figsize=(11, 5.8), layout="constrained")
for ax, code in zip(axes, codes, strict=True):
    values = np.linspace(-2, 2, 9)
    rows = [gan.traverse(code, values, cluster=k)[0] for k in range(10)]
    rows = np.concatenate(rows)
    SamplesDisplay(rows, clusters, image_shape=(8, 8), name=f"{code} from -2 to 2").plot(ax)
plt.show()

# %%
# Other codes and noise, all at once: ten images of each cluster.

SamplesDisplay.from_estimator(gan, image_shape=(8, 8), name="ten samples of each cluster")
plt.show()

# %%
# How much each code changes each pixel: the standard deviation along its rows, over 100 rows.

figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
for ax, code in zip(axes, gan.code_names_, strict=True):
    rows = gan.traverse(code, n_samples=100)
    ax.imshow(rows.std(axis=1).mean(axis=0).reshape(8, 8), vmin=0)
    ax.set_title(code)
    ax.set_axis_off()
plt.show()
