"""The estimators that common tests run over: one line here, and a new method is tested."""

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    DACClustering,
    GaussianMixtureEM,
    InfoGANClustering,
    VaDEClustering,
    VAEEmbedding,
)

#: Small networks and budgets, for tests that fit many times.
SMALL = {"n_components": 2, "hidden_layer_sizes": (16,)}

ESTIMATORS = [
    GaussianMixtureEM(),
    GaussianMixtureEM(3, covariance_type="diag"),
    VAEEmbedding(),
    VAEEmbedding(3, **SMALL),
    VAEEmbedding(3, init="mixture", likelihood="gaussian", **SMALL),
    VaDEClustering(),
    VaDEClustering(3, **SMALL),
    VaDEClustering(3, init="mixture", objective="published", likelihood="gaussian", **SMALL),
    DACClustering(),
    DACClustering(3, **SMALL),
    DACClustering(3, init="mixture", likelihood="gaussian", **SMALL),
    InfoGANClustering(),
    InfoGANClustering(3, other_categories=(2,), **SMALL),
    InfoGANClustering(3, init=None, n_continuous=0, n_noise=2, hidden_layer_sizes=(32, 32)),
    CatGANClustering(),
    CatGANClustering(3, **SMALL),
    CatGANClustering(3, init=None, likelihood="gaussian", **SMALL),
    CatGANClassifier(),
    CatGANClassifier(init=None, likelihood="gaussian", hidden_layer_sizes=(64,)),
]

#: One small instance of each class, for the slower promises.
ONE_OF_EACH = [
    GaussianMixtureEM(3, random_state=0),
    VAEEmbedding(3, random_state=0, **SMALL),
    VaDEClustering(3, random_state=0, **SMALL),
    DACClustering(3, random_state=0, **SMALL),
    InfoGANClustering(3, random_state=0, **SMALL),
    CatGANClustering(3, random_state=0, **SMALL),
]

#: The same of classifiers.
CLASSIFIERS = [CatGANClassifier(random_state=0, **SMALL)]

#: Those that train a network.
DEEP = [estimator for estimator in ONE_OF_EACH if "max_epochs" in estimator.get_params()]


def name(estimator):
    """Test id of an estimator."""
    return str(estimator).replace("\n", "").replace(" ", "")
