"""The methods of the comparison, by name: ``METHODS[name](data, n_clusters, seed)``.

Both Gaussian mixtures have full covariances up to 100 features, else diagonal ones, and a
``reg_covar`` of .01 times the mean variance of the features, or the default for tables with text
or gaps. All else is the default.
"""

from functools import partial
from operator import methodcaller

from scipy.sparse import issparse
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.sparsefuncs import mean_variance_axis

import skdeepcluster
from skdeepcluster.nn import RandomAffine

MAX_FEATURES_FULL = 100


def mixture(kind, data, n_clusters, seed):
    """Make a Gaussian mixture."""
    X = data.X
    name = "full" if X.shape[1] <= MAX_FEATURES_FULL else "diag"
    made = kind(n_clusters, covariance_type=name, random_state=seed)
    if hasattr(X, "dtypes"):
        return made
    variances = mean_variance_axis(X, axis=0)[1] if issparse(X) else X.var(axis=0)
    made.set_params(reg_covar=0.01 * float(variances.mean()) or 1e-6)
    if issparse(X) and kind is GaussianMixture:  # it takes no sparse samples
        return make_pipeline(FunctionTransformer(methodcaller("toarray")), made)
    return made


def ours(name, data, n_clusters, seed, **settings):
    """Make an estimator of this package."""
    return getattr(skdeepcluster, name)(n_clusters, random_state=seed, **settings)


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
#: Networks alone, without our partition.
ALONE = {f"{name}, own": partial(ours, name, init="own") for name in NETWORKS}
METHODS = {
    "KMeans": lambda data, n_clusters, seed: KMeans(n_clusters, n_init=10, random_state=seed),
    "GaussianMixture": partial(mixture, GaussianMixture),
    "GaussianMixtureEM": partial(mixture, skdeepcluster.GaussianMixtureEM),
    **{name: partial(ours, name) for name in ("NeighborClustering", *NETWORKS)},
    **ALONE,
}
#: Methods for images.
IMAGE_METHODS = {"NeighborClustering views": with_views}


def precision(method, data):
    """Return the precision of fits: float32 for networks, else that of the samples."""
    if method.partition(",")[0] in NETWORKS:
        return "float32"
    return str(getattr(data.X, "dtype", "float64"))
