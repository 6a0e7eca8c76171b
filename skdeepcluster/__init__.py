"""Deep clustering as scikit-learn estimators.

Every clusterer has ``fit``, ``fit_predict``, ``predict`` and ``predict_proba``, and all but the
ensemble begin with ``n_clusters``. :func:`select_n_clusters` and ``n_clusters="auto"`` find the
number of clusters. Names are imported when they are first used (PEP 562), torch with them if they
need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catgan import CatGANClustering
    from .classifier import CatGANClassifier
    from .comparison import compare
    from .dac import DACClustering
    from .ensemble import ClusterEnsemble
    from .gaussian_mixture import GaussianMixtureEM
    from .infogan import InfoGANClustering
    from .model_selection import select_n_clusters
    from .neighbor_clustering import NeighborClustering
    from .vade import VaDEClustering
    from .vae import VAEEmbedding

__version__ = "0.3.0"

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
    "compare",
    "select_n_clusters",
]

#: Module of each name of ``__all__``.
_MODULES = {
    "CatGANClassifier": "classifier",
    "CatGANClustering": "catgan",
    "ClusterEnsemble": "ensemble",
    "DACClustering": "dac",
    "GaussianMixtureEM": "gaussian_mixture",
    "InfoGANClustering": "infogan",
    "NeighborClustering": "neighbor_clustering",
    "VAEEmbedding": "vae",
    "VaDEClustering": "vade",
    "compare": "comparison",
    "select_n_clusters": "model_selection",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
