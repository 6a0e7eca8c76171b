"""The estimators that common tests run over: a new method is added to two lists here."""

import warnings
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    DACClustering,
    GaussianMixtureEM,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.nn import RandomShift

#: Small networks, for tests that fit many times.
NARROW = {"hidden_layer_sizes": (16,)}
SMALL = NARROW | {"n_components": 2}
#: The shortest training, for tests that do not depend on what is learned.
BRIEF = {"max_epochs": 2, "pretraining_epochs": 2}

#: One small instance of each clusterer.
ONE_OF_EACH = [
    GaussianMixtureEM(3, random_state=0),
    NeighborClustering(3, random_state=0),
    VAEEmbedding(3, random_state=0, **SMALL),
    VaDEClustering(3, random_state=0, **SMALL),
    DACClustering(3, random_state=0, **SMALL),
    InfoGANClustering(3, random_state=0, **NARROW),
    CatGANClustering(3, random_state=0, **NARROW),
]
CLASSIFIERS = [CatGANClassifier(random_state=0, **NARROW)]
#: Clusterers that train a network.
DEEP = [estimator for estimator in ONE_OF_EACH if "max_epochs" in estimator.get_params()]
#: Every class with its defaults.
DEFAULTS = [type(estimator)() for estimator in [*ONE_OF_EACH, *CLASSIFIERS]]
#: Every class with other initial partitions, likelihoods and objectives.
WAYS = [
    GaussianMixtureEM(3, covariance_type="diag"),
    NeighborClustering(3, metric="cosine"),
    NeighborClustering(3, augment=RandomShift(0.2)),
    VAEEmbedding(3, init="own", likelihood="gaussian", **SMALL),
    VaDEClustering(3, objective="published", likelihood="gaussian", **SMALL),
    DACClustering(3, init="own", likelihood="gaussian", **SMALL),
    InfoGANClustering(
        3, init="own", pretraining_epochs=0, n_continuous=0, hidden_layer_sizes=(32, 32)
    ),
    CatGANClustering(3, init="own", pretraining_epochs=0, likelihood="gaussian", **NARROW),
    CatGANClassifier(init="own", likelihood="gaussian", hidden_layer_sizes=(64,)),
]
#: Classes that stand for the others in the quick tier; .ci/full tries all.
SOME = {"GaussianMixtureEM", "NeighborClustering", "VaDEClustering", "CatGANClustering"}
#: Checks that scikit-learn runs on its own transformers only.
KEPT_FOR_TRANSFORMERS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
]


def in_full(*cases):
    """Return cases to parametrize by that are tried in .ci/full."""
    return [pytest.param(case, marks=pytest.mark.full) for case in cases]


def some_of(cases):
    """Return estimators or classes to parametrize by; those beyond ``SOME`` in .ci/full."""
    kinds = [case if isinstance(case, type) else type(case) for case in cases]
    return [
        case if kind.__name__ in SOME else in_full(case)[0]
        for case, kind in zip(cases, kinds, strict=True)
    ]


def name(estimator):
    """Test id of an estimator."""
    return type(estimator).__name__


def brief(estimator, **settings):
    """Return an unfitted copy with the shortest training and the fastest initial partition.

    >>> brief(VAEEmbedding(3))
    VAEEmbedding(init='own', max_epochs=2, n_clusters=3)
    """
    known = estimator.get_params(deep=False)
    if str(known.get("init")) == "neighbors" and "n_clusters" in known:
        settings = {"init": "own"} | settings
    settings = {key: value for key, value in (BRIEF | settings).items() if key in known}
    return clone(estimator).set_params(**settings)


def brief_from_samples(estimator, **settings):
    """Return a copy for one epoch, with an initial partition of samples, not of codes."""
    return brief(estimator, **{"init": "neighbors", "max_epochs": 1, **settings})


def short(estimator, **settings):
    """Return an unfitted copy that trains long enough to find separate groups."""
    fast = {"learning_rate": 1e-2, "batch_size": 64, "init": getattr(estimator, "init", None)}
    pretrains = (
        "decoder" in estimator.get_params() and "pretraining_epochs" in estimator.get_params()
    )
    epochs = 20 if "CatGAN" in name(estimator) else 8
    fast |= {"max_epochs": epochs, "pretraining_epochs": 10 if pretrains else "auto"}
    return brief(estimator, **fast | settings)


def constrain(covariances, weights, covariance_type):
    """Return the covariances (K, D, D) of components as the constrained ones of a type."""
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.einsum("k,kij->ij", weights, covariances)[None]
    variances = np.einsum("kii->ki", covariances)
    return variances if covariance_type == "diag" else variances.mean(1, keepdims=True)


def full_covariances(mixture):
    """Return the covariance matrices (K, D, D) of a ``functional.gaussian.Mixture``."""
    covariances = mixture.covariances()
    shape = mixture.means.shape
    if covariances.ndim == 2:
        covariances = covariances.expand(shape).diag_embed()
    return covariances.expand(*shape, shape[1]).numpy()


def given_mixture(means, covariance_type):
    """Return parameters of mixtures that begin with the means (3, D) and no round components."""
    n_clusters, n_features = means.shape
    precisions = {
        "full": np.stack([np.eye(n_features) + 0.2 * k for k in range(n_clusters)]),
        "tied": np.eye(n_features) + 0.3,
        "diag": np.linspace(0.5, 2, means.size).reshape(means.shape),
        "spherical": np.linspace(0.5, 2, n_clusters),
    }[covariance_type]
    start = {"weights_init": np.array([0.2, 0.3, 0.5]), "means_init": means}
    return start | {"covariance_type": covariance_type, "precisions_init": precisions}


def keep_some(y, n, classes=None):
    """Return the labels of the first ``n`` samples of each class, -1 for the others."""
    known = np.full(len(y), -1)
    for c in np.unique(y) if classes is None else classes:
        rows = np.flatnonzero(y == c)[:n]
        known[rows] = c
    return known


def check_optimizer_groups(model, batch):
    """Check that each loss has gradients for its own modules alone."""
    for group in model.optimizer_groups():
        model.zero_grad()
        sum(group.loss(batch).values()).backward(inputs=group.parameters())
        own = {id(p) for p in group.parameters()}
        for p in model.parameters():
            assert (p.grad is not None and p.grad.abs().sum() > 0) == (id(p) in own)


@contextmanager
def seeded(seed):
    """Within the block torch draws from a generator of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def make_model(estimator, X):
    """Return the model of a brief fit with random parameters, as at the beginning of training."""
    with warnings.catch_warnings(action="ignore"):
        model = brief(estimator, max_epochs=1, pretraining_epochs=1).fit(X).model_
    model.progress.zero_()
    with seeded(0):
        for parameter in model.requires_grad_(True).parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return model.train()


def few_digits(return_X_y=False, **options):
    """Return the first 300 digits, as ``load_digits`` returns all."""
    found = load_digits(**options)
    few = {key: found[key][:300] for key in ("data", "images", "target")}
    return (few["data"], few["target"]) if return_X_y else Bunch(**found | few)


@contextmanager
def briefly():
    """Within the block networks train for two epochs by default, and there are few digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load_digits", few_digits)
        for kind in {type(estimator) for estimator in [*DEEP, *CLASSIFIERS]}:
            defaults = kind.__init__.__kwdefaults__
            for key in BRIEF.keys() & defaults.keys():
                patch.setitem(defaults, key, BRIEF[key])
        yield


#: Class, parameters and identity of the data -> data (kept alive) and their fit.
_FITS = {}


def fitted(estimator, X, y=None):
    """Return ``clone(estimator).fit(X, y)``, made once, for tests that do not change the fit.

    The data must be read-only, and so are the arrays of the fit: a write raises an error.
    """
    assert not any(values.flags.writeable for values in (X, y) if values is not None)
    key = joblib.hash((type(estimator), estimator.get_params())), id(X), id(y)
    if key not in _FITS:
        fit = clone(estimator).fit(X, y)
        for value in vars(fit).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        _FITS[key] = X, y, fit
    return _FITS[key][-1]
