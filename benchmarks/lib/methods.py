"""The methods of the comparison, by name: ``METHODS[name](data, n_clusters, seed)``.

Both Gaussian mixtures have full covariances up to 100 features, else diagonal ones, and a
``reg_covar`` of .01 times the mean variance of the features. All else is the default.
"""

from functools import partial

from scipy.sparse import issparse
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.utils.sparsefuncs import mean_variance_axis

import skdeepcluster
from skdeepcluster.modules.augmentation import RandomAffine

MAX_FEATURES_FULL = 100


def mixture(kind, data, n_clusters, seed):
    """Make a Gaussian mixture."""
    X = data.X
    variances = mean_variance_axis(X, axis=0)[1] if issparse(X) else X.var(axis=0)
    name = "full" if X.shape[1] <= MAX_FEATURES_FULL else "diag"
    reg_covar = 0.01 * float(variances.mean()) or 1e-6
    return kind(n_clusters, covariance_type=name, reg_covar=reg_covar, random_state=seed)


def ours(name, data, n_clusters, seed, **settings):
    """Make an estimator of this package."""
    made = getattr(skdeepcluster, name)(n_clusters, random_state=seed, **settings)
    if issparse(data.X) and "accept_sparse" in made.get_params():
        made.set_params(accept_sparse=True)
    return made


def with_views(data, n_clusters, seed):
    """Make a NeighborClustering that compares moved versions of images."""
    shape = tuple(data.image_shape)
    moves = RandomAffine((1, *shape) if len(shape) == 2 else shape)
    return skdeepcluster.NeighborClustering(n_clusters, augment=moves, random_state=seed)


#: Methods that train networks.
NETWORKS = (
    "VAEEmbedding",
    "VaDEClustering",
    "DACClustering",
    "InfoGANClustering",
    "CatGANClustering",
)
METHODS = {
    "KMeans": lambda data, n_clusters, seed: KMeans(n_clusters, n_init=10, random_state=seed),
    "GaussianMixture": partial(mixture, GaussianMixture),
    "GaussianMixtureEM": partial(mixture, skdeepcluster.GaussianMixtureEM),
    **{name: partial(ours, name) for name in ("NeighborClustering", *NETWORKS)},
    **{f"{name}, own": partial(ours, name, init="own") for name in NETWORKS},
}
#: Methods for images.
IMAGE_METHODS = {"NeighborClustering views": with_views}


def precision(method, data):
    """Return the precision of fits: float32 for networks, else the dtype of the samples."""
    return "float32" if method.partition(",")[0] in NETWORKS else str(data.X.dtype)
