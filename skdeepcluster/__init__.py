"""Deep clustering as scikit-learn estimators."""

from .catgan import CatGANClassifier, CatGANClustering
from .dac import DACClustering
from .ensemble import ClusterEnsemble
from .gaussian_mixture import GaussianMixtureEM
from .infogan import InfoGANClustering
from .model_selection import select_n_clusters
from .neighbor_clustering import NeighborClustering
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
    "NeighborClustering",
    "VAEEmbedding",
    "VaDEClustering",
    "select_n_clusters",
]
