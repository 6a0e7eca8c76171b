"""
What else varies: codes of InfoGAN
==================================

:class:`~skdeepcluster.InfoGANClustering` has a code for the cluster, and continuous codes for what
varies within all clusters. Along each row one code changes and all else stays.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skdeepcluster import InfoGANClustering
from skdeepcluster.display import TraversalDisplay
from skdeepcluster.nn import RandomAffine

X = load_digits().data / 16
gan = InfoGANClustering(10, augment=RandomAffine((1, 8, 8)), random_state=0).fit(X)
TraversalDisplay.from_estimator(gan, image_shape=(8, 8), name="codes of digits")
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
