"""The methods that are compared, by name, and the settings that the papers give them."""

import importlib

from scipy.sparse import issparse
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.utils.sparsefuncs import mean_variance_axis

MOST_FEATURES_FULL = 100


def mixture_settings(data):
    """Give both Gaussian mixtures full covariances up to 100 features, else diagonal ones."""
    X = data.X
    variances = mean_variance_axis(X, axis=0)[1] if issparse(X) else X.var(axis=0)
    kind = "full" if X.shape[1] <= MOST_FEATURES_FULL else "diag"
    return {"covariance_type": kind, "reg_covar": 0.01 * float(variances.mean()) or 1e-6}


def ours(name, settings=None):
    """Make the constructor of an estimator of this package, imported when it is needed.

    `settings` is a function of the data that returns further parameters.
    """

    def make(n_clusters, random_state, data):
        made = getattr(importlib.import_module("skdeepcluster"), name)(n_clusters=n_clusters)
        further = settings(data) if settings else {}
        if issparse(data.X) and "accept_sparse" in made.get_params():
            further |= {"accept_sparse": True}
        return made.set_params(random_state=random_state, **further)

    return make


def kmeans(n_clusters, random_state, data):
    """scikit-learn's k-means with ten restarts."""
    return KMeans(n_clusters, n_init=10, random_state=random_state)


def gaussian_mixture(n_clusters, random_state, data):
    """scikit-learn's Gaussian mixture."""
    return GaussianMixture(n_clusters, random_state=random_state, **mixture_settings(data))


# name -> constructor (n_clusters, random_state, data)
METHODS = {
    "KMeans": kmeans,
    "GaussianMixture": gaussian_mixture,
    "GaussianMixtureEM": ours("GaussianMixtureEM", mixture_settings),
    "NeighborClustering": ours("NeighborClustering"),
    "VAEEmbedding": ours("VAEEmbedding"),
    "VaDEClustering": ours("VaDEClustering"),
    "DACClustering": ours("DACClustering"),
    "InfoGANClustering": ours("InfoGANClustering"),
    "CatGANClustering": ours("CatGANClustering"),
}
DENSE_ONLY = {"GaussianMixture"}  # gets sparse data as one dense array
#: Methods that train networks.
NETWORKS = list(METHODS)[list(METHODS).index("VAEEmbedding") :]
#: As in the papers, as far as parameters say it; the number of epochs stays the package's.
PUBLISHED = {
    "VaDEClustering": {"init": "mixture", "objective": "published"},
    "DACClustering": {"init": "mixture"},
    "InfoGANClustering": {
        "init": None,
        "instance_noise": 0.0,
        "continuous_weight": 0.1,
        "learning_rate": 2e-4,
        "generator_learning_rate": 1e-3,
    },
    "CatGANClustering": {"init": None, "fake_weight": 1.0},
}
