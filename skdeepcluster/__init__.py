"""Deep clustering as scikit-learn estimators.

Every clusterer has ``fit``, ``fit_predict``, ``predict`` and ``predict_proba``, and takes
``n_clusters`` as its first parameter; :class:`ClusterEnsemble` is made of other clusterers. ``y``
is there for scikit-learn's sake: clusterers ignore it, unless ``use_labels=True``, and
:class:`CatGANClassifier` learns from it. ``score`` compares settings of one method at one number
of clusters; :func:`select_n_clusters` and ``n_clusters="auto"`` find that number.
"""

from .catgan import CatGANClustering
from .catgan_classifier import CatGANClassifier
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
