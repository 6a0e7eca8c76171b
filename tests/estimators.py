"""The estimators that common tests run over: one line here, and a new method is tested."""

import warnings
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from skdeepcluster._budget import Budget
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

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
from skdeepcluster._validation import LabelledClusterMixin
from skdeepcluster.neighbors import partition

#: Small networks, for tests that fit many times.
SMALL = {"n_components": 2, "hidden_layer_sizes": (16,)}
#: The shortest training there is, for tests of form: what is found does not matter to them.
BRIEF = {"max_epochs": 2, "pretraining_epochs": 2}

#: As they are made without arguments.
DEFAULTS = [
    GaussianMixtureEM(),
    NeighborClustering(),
    VAEEmbedding(),
    VaDEClustering(),
    DACClustering(),
    InfoGANClustering(),
    CatGANClustering(),
    CatGANClassifier(),
]

#: Both starts of every class, and its other ways.
WAYS = [
    GaussianMixtureEM(3, covariance_type="diag"),
    NeighborClustering(3, metric="cosine", use_labels=True),
    VAEEmbedding(3, use_labels=True, **SMALL),
    VAEEmbedding(3, init="mixture", likelihood="gaussian", **SMALL),
    VaDEClustering(3, use_labels=True, **SMALL),
    VaDEClustering(3, init="mixture", objective="published", likelihood="gaussian", **SMALL),
    DACClustering(3, use_labels=True, **SMALL),
    DACClustering(3, init="mixture", likelihood="gaussian", **SMALL),
    InfoGANClustering(3, other_categories=(2,), use_labels=True, **SMALL),
    InfoGANClustering(3, init=None, n_continuous=0, n_noise=2, hidden_layer_sizes=(32, 32)),
    CatGANClustering(3, use_labels=True, **SMALL),
    CatGANClustering(3, init=None, likelihood="gaussian", **SMALL),
    CatGANClassifier(hidden_layer_sizes=(64,)),
    CatGANClassifier(init=None, likelihood="gaussian", hidden_layer_sizes=(64,)),
]


#: One small instance of each class, for the slower promises.
ONE_OF_EACH = [
    GaussianMixtureEM(3, random_state=0),
    NeighborClustering(3, random_state=0),
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


#: Where many fits serve one promise: the mixture, the graph, a model with codes and a game; all
#: in .ci/full.
SOME = {"GaussianMixtureEM", "NeighborClustering", "VaDEClustering", "CatGANClustering"}


def in_full(*cases):
    """Return cases to parametrize by that are tried in .ci/full."""
    return [pytest.param(case, marks=pytest.mark.full) for case in cases]


def some_of(cases):
    """Return estimators or classes to parametrize by; those beyond ``SOME`` in .ci/full."""
    kinds = [case if isinstance(case, type) else type(case) for case in cases]
    chosen = [kind.__name__ in SOME for kind in kinds]
    return [
        case if is_some else in_full(case)[0] for case, is_some in zip(cases, chosen, strict=True)
    ]


def name(estimator):
    """Test id of an estimator."""
    return str(estimator).replace("\n", "").replace(" ", "")


def brief(estimator, **settings):
    """Return an unfitted copy that trains as briefly as can be, as far as it has the parameters.

    Clusters that it would find in a graph of neighbours come from EM, which takes a tenth of the
    time.

    >>> brief(VAEEmbedding(3))
    VAEEmbedding(init='mixture', max_epochs=2, n_clusters=3)
    """
    known = estimator.get_params(deep=False)
    if known.get("init") == "neighbors" and "n_clusters" in known:
        settings = {"init": "mixture"} | settings
    settings = {key: value for key, value in (BRIEF | settings).items() if key in known}
    return clone(estimator).set_params(**settings)


def short(estimator):
    """Return an unfitted copy that trains long and fast enough to find separate groups.

    Adversarial networks pretrain nothing, as by default: codes of so few epochs mix the groups.
    """
    fast = {"learning_rate": 1e-2, "batch_size": 64}
    pretrains = isinstance(estimator, VaDEClustering | DACClustering)
    start = {"init": getattr(estimator, "init", None)}
    start["pretraining_epochs"] = 10 if pretrains else "auto"
    return brief(estimator, max_epochs=20, **fast, **start)


@contextmanager
def classes_as_clusters():
    """Within the block labels may be any whole numbers, for the checks of scikit-learn.

    Their y are classes, of more numbers than there are clusters: the remainders are taken.
    """
    read = LabelledClusterMixin._read_labels

    def read_classes(self, y, n_rows, n_clusters):
        if self.use_labels and y is not None:
            y = np.asarray(y).astype(int) % n_clusters
        return read(self, y, n_rows, n_clusters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LabelledClusterMixin, "_read_labels", read_classes)
        yield


@contextmanager
def hasty():
    """Within the block the partition of a graph is found in a hurry, for tests of form."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "EPOCHS", 2)
        patch.setattr(partition, "MAX_SECOND", 0)
        yield


@contextmanager
def briefly():
    """Within the block "auto" is the shortest training, and starts hurry, for tests of form.

    What so short a training finds is not warned of.
    """
    with hasty(), pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number, epochs in BRIEF.items():
            patch.setattr(Budget, number.removeprefix("max_"), lambda *_, epochs=epochs: epochs)
        yield


def after(training, *marks):
    """Parametrize ``made``, which sets a training up: this one, and a whole one in .ci/full."""
    whole = pytest.param(clone, marks=(pytest.mark.full, *marks))
    made = [pytest.param(training, marks=marks), whole]
    return pytest.mark.parametrize("made", made, ids=[training.__name__, "whole"])


#: For what holds whatever was learnt: networks as small as these may lose a cluster.
after_any_training = after(
    brief, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
)
#: For what is found.
after_training = after(short)


#: Class, parameters and identity of the data -> data (which must live on) and their fit.
_FITS = {}


def fitted(estimator, X, y=None):
    """Return ``clone(estimator).fit(X, y)``, made once: for tests that ask a fit and change none.

    Data are to be read-only, and so are the arrays of the fit: whoever writes is found out. A
    test that changes a fit takes a ``copy.deepcopy``.
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
