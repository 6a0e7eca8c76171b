"""
The colors of a photograph
==========================

Each pixel is a sample with three features: its color in the space CIELAB, where distances are
those that people see. The clusters are groups of colors, and each one is shown in its mean color.
The fit takes 3,000 of the 17,000 pixels and labels all of them.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from skdeepcluster import NeighborClustering

photo = load_sample_image("flower.jpg")[::4, ::4] / 255
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def to_lab(rgb):
    """Convert colors from sRGB to CIELAB."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ np.transpose(TO_XYZ) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lightness, a, b = 116 * f[:, 1] - 16, f[:, 0] - f[:, 1], f[:, 1] - f[:, 2]
    return np.column_stack([lightness, 500 * a, 200 * b])


pixels = photo.reshape(-1, 3)
clusters = NeighborClustering(8, max_samples=3000, random_state=0).fit(to_lab(pixels))
means = np.array([pixels[clusters.labels_ == k].mean(axis=0) for k in range(8)])

figure, axes = plt.subplots(1, 2, figsize=(11, 3.9), layout="constrained")
axes[0].imshow(photo)
axes[0].set_title(f"{len(pixels):,} pixels")
axes[1].imshow(means[clusters.labels_].reshape(photo.shape))
axes[1].set_title("eight clusters in their mean colors")
for ax in axes:
    ax.set_axis_off()
plt.show()
