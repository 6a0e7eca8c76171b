"""Deep clustering as scikit-learn estimators."""

from .catgan import CatGANClassifier, CatGANClustering
from .dac import DACClustering
from .ensemble import ClusterEnsemble
from .gaussian_mixture import GaussianMixtureEM
from .infogan import InfoGANClustering
from .model_selection import select_n_clusters
from .vade import VaDEClustering
from .vae import VAEEmbedding

__version__ = "0.1.0"

__all__ = [
    "CatGANClassifier",
    "CatGANClustering",
    "ClusterEnsemble",
    "DACClustering",
    "GaussianMixtureEM",
    "InfoGANClustering",
    "VAEEmbedding",
    "VaDEClustering",
    "select_n_clusters",
]
