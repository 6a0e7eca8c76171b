"""
Filling gaps in images
======================

:class:`~skdeepcluster.VAEEmbedding` fills missing values with what it expects, given all that is
known of a sample. scikit-learn's :class:`~sklearn.impute.KNNImputer` takes means over the nearest
samples. Here both learn from damaged images only: each one lacks its upper, lower, left or right
half.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer

from skdeepcluster import VAEEmbedding

images = load_digits().images / 16
halves = np.zeros((4, 8, 8), dtype=bool)
halves[0, :4] = halves[1, 4:] = halves[2, :, :4] = halves[3, :, 4:] = True
lost = halves[np.random.default_rng(0).integers(4, size=len(images))]
damaged = np.where(lost, np.nan, images).reshape(-1, 64)

vae = VAEEmbedding(10, max_epochs=20, random_state=0).fit(damaged[:1500])
nearest = KNNImputer().fit(damaged[:1500])

# %%
# The images of the picture were not in the fit.

new = damaged[1500:]
filled = {
    "VAE": vae.impute(new),
    "nearest": nearest.transform(new),
    "mean": np.where(np.isnan(new), np.nanmean(damaged[:1500], axis=0), new),
}
truth = images[1500:].reshape(-1, 64)
rows = {"given": new, **filled, "truth": truth}
figure, axes = plt.subplots(len(rows), 12, figsize=(11, 4.6))
for line, (name, pictures) in zip(axes, rows.items(), strict=True):
    for ax, picture in zip(line, pictures[:12], strict=True):
        ax.set_facecolor("tab:orange")
        ax.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Root mean squared error of the missing pixels:

for name, values in filled.items():
    print(f"{name}: {np.sqrt(np.mean((values - truth)[np.isnan(new)] ** 2)):.3f}")
