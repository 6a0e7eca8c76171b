"""Deep clustering as scikit-learn estimators.

Every clusterer has ``fit``, ``fit_predict``, ``predict`` and ``predict_proba``, and ``n_clusters``
is its first parameter. :func:`select_n_clusters` and ``n_clusters="auto"`` find the number of
clusters. Names are imported when they are first used (PEP 562), torch with them if they need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import compare
    from .estimators.catgan import CatGANClustering
    from .estimators.catgan_classifier import CatGANClassifier
    from .estimators.dac import DACClustering
    from .estimators.ensemble import ClusterEnsemble
    from .estimators.gaussian_mixture import GaussianMixtureEM
    from .estimators.infogan import InfoGANClustering
    from .estimators.neighbor_clustering import NeighborClustering
    from .estimators.vade import VaDEClustering
    from .estimators.vae import VAEEmbedding
    from .model_selection import select_n_clusters

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
    "compare",
    "select_n_clusters",
]

#: Module of each name of ``__all__``.
_MODULES = {
    "CatGANClassifier": "estimators.catgan_classifier",
    "CatGANClustering": "estimators.catgan",
    "ClusterEnsemble": "estimators.ensemble",
    "DACClustering": "estimators.dac",
    "GaussianMixtureEM": "estimators.gaussian_mixture",
    "InfoGANClustering": "estimators.infogan",
    "NeighborClustering": "estimators.neighbor_clustering",
    "VAEEmbedding": "estimators.vae",
    "VaDEClustering": "estimators.vade",
    "compare": "comparison",
    "select_n_clusters": "model_selection",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(
        import_module(f".{_MODULES[name]}", __name__), name
    )
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
