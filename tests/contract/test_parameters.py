"""Every parameter takes a value, or an error names the parameter."""

import datetime
import io
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest
import torch
from common import CLASSIFIERS, ONE_OF_EACH, brief, in_full
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import KMeans
from torch import nn

from skdeepcluster import ClusterEnsemble, NeighborClustering, VAEEmbedding

pytestmark = pytest.mark.usefixtures("no_alternatives")

STREAM = np.random.RandomState(0)
X = STREAM.normal(size=(30, 3)) + 5 * np.eye(3)[np.arange(30) % 3]
Y = np.arange(30) % 3

#: The shortest fits, by class.
SHORTEST = {"hidden_layer_sizes": (4,), "max_epochs": 1, "pretraining_epochs": 1}
TINY = {type(e).__name__: brief(e, **SHORTEST) for e in ONE_OF_EACH + CLASSIFIERS}
TINY["ClusterEnsemble"] = ClusterEnsemble(KMeans(3), 2, random_state=0)
PAIRS = [
    (name, parameter)
    for name, estimator in TINY.items()
    for parameter in estimator.get_params(deep=False)
]

#: Whole numbers; positive ones are small, since they may be sizes of arrays.
WHOLE = st.one_of(st.integers(-(2**70), 4), st.sampled_from([40, 2**16, 2**31]))
TYPES = st.sampled_from([*"bhilqBHILQ", "float16", "float32"])
NUMPY = st.builds(lambda kind, value: np.dtype(kind).type(value), TYPES, st.integers(0, 4))
REAL = st.one_of(st.floats(), st.sampled_from([0.5, 1e-300, 1e300]))
WORDS = st.one_of(st.text(max_size=4), st.sampled_from(["auto", "neighbors", "own", "meta"]))
OBJECTS = st.sampled_from(
    [None, ..., object(), print, int, KMeans(2), nn.Linear(2, 2), nn.Linear, b"auto", {3}, {}]
    + [1j, pd.NA, datetime.date(2020, 1, 1), {"gaussian": [0, 1, 2]}]
    + [torch.tensor(3), torch.device("cpu"), np.array(3), np.array([3.5]), np.array(["a"] * 30)]
    + [np.str_("auto"), range(3), Y, Y.astype(np.uint8), np.eye(3)[Y], np.full((30, 3), np.nan)]
    + [lambda n_in, n_out: nn.Linear(n_in, n_out).double(), lambda *_: None, [print], [8], [None]]
)
LISTS = st.lists(st.one_of(st.integers(-1, 5), NUMPY, REAL, WORDS, st.none()), max_size=3)
VALUES = st.one_of(WHOLE, NUMPY, REAL, WORDS, OBJECTS, LISTS, LISTS.map(tuple))


def is_refused(pair, value):
    """Return whether the type or the range of a value is refused."""
    try:
        clone(TINY[pair[0]]).set_params(**{pair[1]: value})._validate_params()
    except ValueError:
        return True
    return False


def is_costly(name, value):
    """Return whether a valid value asks for long work, or raises errors of its own."""
    if name in ("n_jobs", "augment"):
        return bool(value)
    if name.endswith("learning_rate") and not isinstance(value, str):
        return value > 100  # diverges, and the error may not name the loss
    sizes = "n_components", "n_continuous", "max_epochs", "pretraining_epochs"
    sizes += "n_init", "n_estimators", "max_iter"
    return name in sizes and not isinstance(value, str) and value > 40


def check_parameter(pair, value):
    """Check that a fit works, or that an error names the parameter and changes nothing."""
    estimator = clone(TINY[pair[0]])
    setattr(estimator, pair[1], value)
    before = dict(vars(estimator))
    failure = None
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()) as out:
            warnings.simplefilter("ignore")
            with redirect_stderr(out):
                estimator.fit(X, Y)
    except (TypeError, ValueError, FloatingPointError, OSError) as error:
        failure = error
    if failure is None:
        assert vars(estimator)[pair[1]] is value
        assert np.isfinite(estimator.predict_proba(X)).all()
        return
    is_divergence = isinstance(failure, FloatingPointError)  # as documented
    is_path = isinstance(failure, OSError)  # which names the path
    assert is_path or ("diverged" if is_divergence else pair[1]) in str(failure)
    left = vars(estimator)
    assert left.keys() == before.keys()
    assert all(left[name] is before[name] for name in before)


#: The same examples in each run, which may be slow.
SLOW = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
SLOW |= {"deadline": None, "derandomize": True, "database": None}


# ---- numbers of other types


@pytest.mark.parametrize("name", TINY)
def test_types_of_numbers_change_nothing(name):
    make = {int: np.uint8, float: np.float64, bool: np.bool_}
    plain = clone(TINY[name])
    if "batch_size" in plain.get_params():
        plain.set_params(batch_size=7)
    numbers = {k: v for k, v in plain.get_params(deep=False).items() if type(v) in make}
    given = {k: make[type(v)](v) for k, v in numbers.items() if abs(v) < 256}
    other = clone(plain).set_params(**given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, found = (fit.fit(X, Y).predict_proba(X) for fit in (plain, other))
    np.testing.assert_array_equal(found, expected)
    assert all(vars(other)[key] is value for key, value in given.items())


@pytest.mark.parametrize("name", ["InfoGANClustering", "CatGANClustering", "CatGANClassifier"])
def test_batch_normalization_needs_two_samples(name):
    with pytest.raises(ValueError, match="batch_size"):
        clone(TINY[name]).set_params(batch_size=1).fit(X, Y)


# ---- any value


def test_a_subclass_may_have_parameters_without_constraints():
    class Named(NeighborClustering):
        def __init__(self, n_clusters=8, *, title="none"):
            super().__init__(n_clusters)
            self.title = title

    assert Named(2, title="pairs").fit([[0.0], [1.0], [9.0], [10.0]]).title == "pairs"


def test_a_subclass_may_hide_parameters():
    class Brief(VAEEmbedding):
        def __init__(self, n_clusters=2):
            super().__init__(n_clusters, init="own", max_epochs=1)

    assert Brief().fit(np.arange(20.0).reshape(10, 2)).n_iter_ == 1


@pytest.mark.parametrize("n_draws", [40, *in_full(500)])
def test_any_value_works_or_is_refused_by_name(n_draws):
    @settings(max_examples=n_draws, **SLOW)
    @given(st.sampled_from(PAIRS), VALUES)
    def try_value(pair, value):
        if is_refused(pair, value) or not is_costly(pair[1], value):
            check_parameter(pair, value)

    try_value()
