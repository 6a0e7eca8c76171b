"""Moons, circles, blobs: the regions that k-means and CatGAN divide the plane into."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from skdeepcluster import CatGANClustering

from .internals import COLORS

N_SAMPLES = 500
TOYS = {
    "moons": (make_moons(N_SAMPLES, noise=0.06, random_state=0), 2),
    "circles": (make_circles(N_SAMPLES, noise=0.05, factor=0.4, random_state=0), 2),
    "blobs": (make_blobs(N_SAMPLES, centers=5, cluster_std=0.8, random_state=3), 5),
}


def clusterers(n_clusters, seed):
    """Return the two that are compared."""
    return (
        KMeans(n_clusters, n_init=10, random_state=seed),
        CatGANClustering(n_clusters, hidden_layer_sizes=(100, 100), random_state=seed),
    )


def figure(seed=0):
    """Fit both to every toy; a figure of their regions, with the adjusted Rand index."""
    size = {"figsize": (4 * len(TOYS), 8), "layout": "constrained", "squeeze": False}
    made, axes = plt.subplots(2, len(TOYS), **size)
    for column, (name, ((X, y), n_clusters)) in zip(axes.T, TOYS.items(), strict=True):
        X = StandardScaler().fit_transform(X)
        for ax, clusterer in zip(column, clusterers(n_clusters, seed), strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                labels = clusterer.fit_predict(X)
            _regions(clusterer, X, labels, ax)
            score = round(adjusted_rand_score(y, labels), 2) + 0.0  # without a sign before zero
            title = f"{name}, {type(clusterer).__name__}, ARI: {score:.2f}"
            ax.set(title=title, xticks=[], yticks=[])
    return made


def _regions(clusterer, X, labels, ax):
    display = DecisionBoundaryDisplay.from_estimator(
        clusterer, X, response_method="predict", plot_method="pcolormesh", alpha=0, ax=ax
    )
    colors = np.array([plt.matplotlib.colors.to_rgb(color) for color in COLORS])
    regions = 0.65 + 0.35 * colors[display.response.astype(int) % len(colors)]
    low, high = display.xx0[0, [0, -1]], display.xx1[[0, -1], 0]
    ax.imshow(regions, extent=(*low, *high), origin="lower", aspect="auto", zorder=0)
    ax.scatter(*X.T, c=colors[labels % len(colors)], s=9, linewidths=0)
