"""
A search without labels
=======================

Everything here is a scikit-learn estimator, so ``Pipeline`` and ``GridSearchCV`` work.
:func:`~skdeepcluster.model_selection.label_free_scorer` judges clusters without labels, and
:class:`~skdeepcluster.model_selection.NoSplit` scores the samples of the fit.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.model_selection import NoSplit, label_free_scorer

X = load_wine().data
numbers, kinds = [2, 3, 4, 5], ["spherical", "diag", "tied", "full"]
grid = {"gaussianmixtureem__n_clusters": numbers, "gaussianmixtureem__covariance_type": kinds}
pipeline = make_pipeline(StandardScaler(), GaussianMixtureEM(n_init=3, random_state=0))
search = GridSearchCV(pipeline, grid, scoring=label_free_scorer(), cv=NoSplit())
search.fit(X)
print(search.best_params_)

# %%
# All combinations, the best one in a frame:

scores = search.cv_results_["mean_test_score"].reshape(len(kinds), len(numbers))
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
image = ax.imshow(scores, cmap="viridis", aspect="auto")
for (row, column), score in np.ndenumerate(scores):
    shade = "black" if image.norm(score) > 0.6 else "white"
    ax.text(column, row, f"{score:z.2f}", ha="center", va="center", color=shade)
row, column = np.unravel_index(scores.argmax(), scores.shape)
frame = {"fill": False, "edgecolor": "black", "lw": 3}
ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
ax.set_xticks(range(len(numbers)), numbers)
ax.set_yticks(range(len(kinds)), kinds)
ax.set(xlabel="number of clusters", ylabel="covariances", title="expected score")
plt.show()
