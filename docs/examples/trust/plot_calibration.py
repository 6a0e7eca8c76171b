"""
Probabilities that mean what they say
=====================================

If 100 samples have a probability of 0.7, about 70 of them should be in the right cluster: then
the curve lies on the diagonal. A Gaussian mixture gives nearly all samples a probability of 1.
:class:`~skdeepcluster.NeighborClustering` calibrates its probabilities without labels.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture

from skdeepcluster import NeighborClustering
from skdeepcluster.metrics import match_labels

X, y = load_digits(return_X_y=True)
mixture = GaussianMixture(10, covariance_type="diag", reg_covar=0.1, random_state=0).fit(X)
clusters = NeighborClustering(10, random_state=0).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained", sharey=True)
for ax, fit in zip(axes, (mixture, clusters), strict=True):
    probabilities = fit.predict_proba(X)
    is_right = match_labels(y, probabilities.argmax(1)) == y
    options = {"n_bins": 10, "strategy": "quantile", "name": type(fit).__name__, "ax": ax}
    CalibrationDisplay.from_predictions(is_right, probabilities.max(1), **options)
    ax.set(xlabel="probability of the cluster", ylabel="share of samples that are right")
plt.show()

# %%
# The labels only draw the picture: neither model has seen them. The dip comes from ones in the
# cluster of the eights. They are surely in that cluster; that it holds two digits cannot be seen
# without labels.
