"""
Digits that a network generates
===============================

:class:`~skdeepcluster.VaDEClustering` learns how each cluster makes its samples, and makes new
ones. Every row is a cluster, every image is new.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits

from skdeepcluster import VaDEClustering
from skdeepcluster.display import SamplesDisplay

X = load_digits().data / 16
vade = VaDEClustering(10, max_epochs=15, random_state=0).fit(X)
SamplesDisplay.from_estimator(vade, image_shape=(8, 8), name="generated digits")
plt.show()

# %%
# Such a network also gives each sample a density. The samples with the lowest density are
# unusual ones.

unusual = vade.score_samples(X).argsort()[:20]
SamplesDisplay(X[unusual], image_shape=(8, 8), name="the least probable digits").plot()
plt.show()

# %%
# The terms of the loss, over the epochs of the training:

history = pd.DataFrame(vade.history_).set_index("epoch").drop(columns="dur")
history.plot(subplots=True, layout=(-1, 3), figsize=(10, 4.5), title="training")
plt.show()
