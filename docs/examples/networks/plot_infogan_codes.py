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
from skdeepcluster.modules.augmentation import RandomAffine

X = load_digits().data / 16
gan = InfoGANClustering(10, augment=RandomAffine((1, 8, 8)), random_state=0).fit(X)
TraversalDisplay.from_estimator(gan, image_shape=(8, 8), name="codes of digits")
plt.show()

# %%
# ``code_report`` says the same in numbers: how much each code changes, and whether it can be read
# back.

gan.code_report(100).round(2)
