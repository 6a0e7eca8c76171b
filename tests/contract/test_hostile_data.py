"""Unusual data: finite predictions, a warning where one cluster is left, or an error."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from common import CLASSIFIERS, ONE_OF_EACH, brief, in_full
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skdeepcluster import (
    ClusterEnsemble,
    GaussianMixtureEM,
    NeighborClustering,
    VaDEClustering,
)

pytestmark = pytest.mark.usefixtures("no_alternatives")

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(48, 4)) + 6 * np.eye(4)[np.arange(48) % 3]
FRAME = pd.DataFrame(GOOD, columns=list("abcd"))


def changed(rows, columns, value):
    X = GOOD.copy()
    X[rows, columns] = value
    return X


DATA = {
    "constant column": changed(slice(None), 1, 7.0),
    "one feature": GOOD[:, :1],
    "one sample": GOOD[:1],
    "as many samples as clusters": GOOD[:3],
    "zeros": np.zeros((48, 4)),
    "two distinct samples": np.repeat(GOOD[:2], 24, 0),
    "one sample unlike the others": np.r_[np.zeros((47, 4)), np.ones((1, 4))],
    "denormals": GOOD * 1e-310,
    "1e30": GOOD * 1e30,
    "1e160": GOOD * 1e160,
    "largest floats": np.where(GOOD > 3, 1e308, -1e308),
    "far away": GOOD + 1e9,
    "scales from 1e-12 to 1e12": GOOD * [1e-12, 1e-4, 1e4, 1e12],
    "outlier of 1e15": changed(0, 0, 1e15),
    "no-data value": changed(3, 2, np.finfo(np.float32).min),
    "heavy tails": RNG.standard_cauchy((48, 4)),
    "bytes": (GOOD * 10 + 100).clip(0, 255).astype(np.uint8),
    "largest integers": np.where(GOOD > 3, np.uint64(2**64 - 1), np.uint64(0)),
    "half precision": GOOD.astype(np.float16),
    "long precision": GOOD.astype(np.longdouble),
    "big-endian": GOOD.astype(">f8"),
    "frame": FRAME.assign(whole=pd.array([1, 2, 3] * 16, dtype="Int64"), flag=True),
    "more features than samples": RNG.normal(size=(20, 60)),
    "collinear": np.c_[GOOD, GOOD @ RNG.normal(size=(4, 6))],
    "categories": np.eye(5)[np.arange(48) % 5],
    "sparse": sparse.csr_array(GOOD * (GOOD > 2)),
    "sparse zeros": sparse.csr_array((48, 4)),
}
MIXTURE, NEIGHBORS, VAE, VADE, *REST = [brief(e) for e in ONE_OF_EACH + CLASSIFIERS]
SLOWER = [
    *(NEIGHBORS, VAE, *REST),
    ClusterEnsemble(GaussianMixtureEM(3), 3, random_state=0),
    ClusterEnsemble(brief(VaDEClustering(3, hidden_layer_sizes=(16,))), 2, random_state=0),
]


def try_fit(estimator, X):
    """Fit X with a few labels; return the warnings and the error, None without one."""
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    failure = None
    y = np.where(np.arange(n_samples) % 4, -1, np.arange(n_samples) // 4 % 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y)
        except (ValueError, FloatingPointError) as error:
            failure = error
    return [warning.category for warning in caught], failure


def check_predictions(estimator, X, warned):
    resp = estimator.predict_proba(X)
    labels = estimator.predict(X)
    np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-5)
    if len(np.unique(labels)) == 1 and resp.shape[1] > 1:
        assert ConvergenceWarning in warned
    np.testing.assert_array_equal(getattr(estimator, "labels_", labels), labels)
    for method in ("transform", "score_samples"):
        if hasattr(estimator, method):
            assert np.isfinite(getattr(estimator, method)(X)).all()
    if hasattr(estimator, "inverse_transform"):
        decoded = estimator.inverse_transform(estimator.transform(X))
        assert np.isfinite(np.asarray(decoded, dtype=float)).all()


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize(
    "estimator", [MIXTURE, VADE, *in_full(*SLOWER)], ids=lambda e: str(e)[:30]
)
def test_predictions_are_finite_or_there_is_an_error(estimator, case):
    estimator = clone(estimator)
    warned, failure = try_fit(estimator, DATA[case])
    if failure is None:
        check_predictions(estimator, DATA[case], warned)
        assert case not in ("1e160", "largest floats", "one sample")
        return
    assert str(failure)
    assert not [key for key in vars(estimator) if key.endswith("_")], "nothing is fitted"


# ---- errors

REFUSED = {
    "fewer samples than clusters": (GOOD[:2], "n_samples=2 .* n_clusters=3"),
    "text": (
        FRAME.assign(sex=["m", "f"] * 24).to_numpy(dtype=object),
        "Column 4 of X is not numeric: .*: 'm'",
    ),
    "times that are missing": (
        np.array([["2020", "NaT"]] * 48, dtype="M8[D]"),
        r"no values in the columns \[1\]|must be numbers, got datetime64",
    ),
    "a list in a cell": (
        FRAME.assign(e=[[1, 2]] * 48).to_numpy(dtype=object),
        r"Column 4 of X is not numeric: setting an array element with a sequence\. \w",
    ),
    "named fields": (
        np.zeros(48, dtype=[("a", float), ("b", int)]),
        r"must be numbers of shape .* got ndarray of shape \(48,\)",
    ),
    "no columns": (FRAME[[]], r"must be numbers of .* got DataFrame of shape \(48, 0\)"),
    "a dictionary": ({"a": [1, 2]}, "must be numbers of .* got dict"),
    "a generator": ((row for row in GOOD), "must be numbers of .* got generator"),
    "images": (GOOD.reshape(48, 2, 2), r"shape \(48, 2, 2\). Flatten images .* X.reshape"),
    "unequal lengths": ([[1.0, 2.0], [3.0]] * 24, "X cannot be read as an array: .*inhomogeneous"),
    "texts": (["apple", "pear", "plum"] * 16, "got texts. Pass embeddings .* TfidfVectorizer"),
    "gradients": (
        torch.ones(48, 4).requires_grad_(),
        "X cannot be read as an array: .* Use tensor.detach",
    ),
    "a type that numpy lacks": (
        torch.ones(48, 4).bfloat16(),
        "X cannot be read as an array: .*BFloat16",
    ),
    "large values": (1e300 * GOOD, "magnitude .*e.300, but at most 1e.100 is allowed. Scale X"),
    "a column without values": (
        changed(slice(None), 2, np.nan),
        r"no values in the columns \[2\]|^Input X contains NaN",
    ),
    "an infinite value": (changed(7, 2, np.inf), "infinity .* The first is in column 2"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize(
    "estimator",
    [
        MIXTURE,
        NEIGHBORS,
        VADE,
        GaussianMixtureEM((3, 5)),
        ClusterEnsemble(GaussianMixtureEM(3), 2),
    ],
    ids=lambda e: str(e)[:23],
)
def test_what_cannot_be_clustered_is_explained(estimator, case):
    X, message = REFUSED[case]
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        estimator.fit(X)
    assert vars(estimator) == before
    with pytest.raises(NotFittedError):
        estimator.predict(GOOD)


@pytest.mark.parametrize(("gap", "unit"), [(0, 1), (1e-9, 1), (0.1, 1e-310)])
@pytest.mark.parametrize(
    "estimator",
    [NeighborClustering(3), NeighborClustering((2, 5))],
    ids=str,
)
def test_only_the_package_warns_of_points_that_are_hardly_apart(gap, unit, estimator):
    X = unit * (np.arange(40)[:, None] % 4 + gap * RNG.normal(size=(40, 2)))
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        estimator.set_params(random_state=0).fit(X)
    messages = {str(warning.message) for warning in shown}
    assert not [text for text in messages if "Only" not in text]
