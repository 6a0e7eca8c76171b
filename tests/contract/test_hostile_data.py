"""Data nobody wishes for: finite answers, a warning where one cluster is left, or an error."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimators import CLASSIFIERS, ONE_OF_EACH, brief
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdeepcluster import ClusterEnsemble, GaussianMixtureEM, VaDEClustering

STREAM = np.random.default_rng(0)
GOOD = STREAM.normal(size=(48, 4)) + 6 * np.eye(4)[np.arange(48) % 3]
TALL = np.repeat(GOOD, 2, 0)
FRAME = pd.DataFrame(GOOD, columns=list("abcd"))


def changed(rows, columns, value):
    X = GOOD.copy()
    X[rows, columns] = value
    return X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


DATA = {
    "constant column": changed(slice(None), 1, 7.0),
    "constant columns but one": changed(slice(None), slice(1, None), 0.0),
    "every row twice": TALL,
    "every row twelve times": np.repeat(GOOD[:4], 12, 0),
    "one feature": GOOD[:, :1],
    "two rows": GOOD[:2],
    "one row": GOOD[:1],
    "as many rows as clusters": GOOD[:3],
    "one row more than clusters": GOOD[:4],
    "all rows equal": np.full((48, 4), 3.0),
    "zeros": np.zeros((48, 4)),
    "two distinct rows": np.repeat(GOOD[:2], 24, 0),
    "one row unlike the others": np.r_[np.zeros((47, 4)), np.ones((1, 4))],
    "1e-12": GOOD * 1e-12,
    "1e-30": GOOD * 1e-30,
    "denormals": GOOD * 1e-310,
    "1e12": GOOD * 1e12,
    "1e30": GOOD * 1e30,
    "1e160": GOOD * 1e160,
    "largest floats": np.where(GOOD > 3, 1e308, -1e308),
    "far away": GOOD + 1e9,
    "scales from 1e-12 to 1e12": GOOD * [1e-12, 1e-4, 1e4, 1e12],
    "outlier of 1e6": changed(0, 0, 1e6),
    "outlier of 1e15": changed(0, 0, 1e15),
    "no-data value": changed(3, 2, np.finfo(np.float32).min),
    "heavy tails": STREAM.standard_cauchy((48, 4)),
    "integers": (GOOD * 100).astype(int),
    "bytes": (GOOD * 10 + 100).clip(0, 255).astype(np.uint8),
    "largest integers": np.where(GOOD > 3, np.uint64(2**64 - 1), np.uint64(0)),
    "booleans": GOOD > 3,
    "half precision": GOOD.astype(np.float16),
    "long precision": GOOD.astype(np.longdouble),
    "big-endian": GOOD.astype(">f8"),
    "Fortran order": np.asfortranarray(GOOD),
    "read-only": read_only(GOOD),
    "every other row and column": TALL.repeat(2, 1)[::2, ::2],
    "backwards": GOOD[::-1, ::-1],
    "broadcast": np.broadcast_to(GOOD[:, :1], (48, 4)),
    "lists": GOOD.tolist(),
    "frame": FRAME.assign(whole=pd.array([1, 2, 3] * 16, dtype="Int64"), flag=True),
    "more features than rows": STREAM.normal(size=(20, 60)),
    "collinear": np.c_[GOOD, GOOD @ STREAM.normal(size=(4, 6))],
    "categories": np.eye(5)[np.arange(48) % 5],
    "memory map": GOOD,
    "sparse": sparse.csr_array(GOOD * (GOOD > 2)),
    "sparse zeros": sparse.csr_array((48, 4)),
}

ESTIMATORS = [brief(estimator) for estimator in ONE_OF_EACH + CLASSIFIERS] + [
    ClusterEnsemble(GaussianMixtureEM(3), 3, random_state=0),
    ClusterEnsemble(GaussianMixtureEM(3), 3, "co_association", max_samples=0.8, random_state=0),
    ClusterEnsemble(brief(VaDEClustering(3, hidden_layer_sizes=(16,))), 2, random_state=0),
]


def name(estimator):
    part = getattr(estimator, "estimator", None)
    inner = f"-{type(part).__name__}-{estimator.consensus}" if part is not None else ""
    return type(estimator).__name__ + inner


def try_fit(estimator, X):
    """Fit X with a few labels; return the warnings and the error, None without one."""
    n_rows, failure = X.shape[0] if hasattr(X, "shape") else len(X), None
    for part in (estimator, getattr(estimator, "estimator", None)):
        if sparse.issparse(X) and hasattr(part, "accept_sparse"):
            part.set_params(accept_sparse=True)
    y = np.where(np.arange(n_rows) % 4, -1, np.arange(n_rows) // 4 % 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y)
        except (ValueError, FloatingPointError) as error:
            failure = error
    return [warning.category for warning in caught], failure


def check_answers(estimator, X, warned):
    """Check that the answers to the rows of the fit are finite, and an only cluster is said."""
    resp, labels = estimator.predict_proba(X), estimator.predict(X)
    assert np.isfinite(resp).all()
    np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-5)
    if len(np.unique(labels)) == 1 and resp.shape[1] > 1:
        assert ConvergenceWarning in warned
    np.testing.assert_array_equal(getattr(estimator, "labels_", labels), labels)
    for method in ("transform", "score_samples"):
        if hasattr(estimator, method):
            assert np.isfinite(getattr(estimator, method)(X)).all()


@pytest.mark.full
@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name)
def test_answers_are_finite_or_there_is_an_error(estimator, case, tmp_path):
    X = DATA[case]
    if case == "memory map":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    estimator = clone(estimator)
    before = dict(vars(estimator))
    warned, failure = try_fit(estimator, X)
    if failure is None:
        check_answers(estimator, X, warned)
        return
    assert str(failure)
    left = vars(estimator) | {"accept_sparse": before.get("accept_sparse")}
    assert left == before | {"accept_sparse": before.get("accept_sparse")}


# ---- what is no table of numbers

NO_NUMBERS = {
    "text": (
        FRAME.assign(sex=["m", "f"] * 24),
        "Columns 'sex' of X hold values that are not finite.*OneHotEncoder",
    ),
    "category": (FRAME.assign(b=pd.Categorical(["m", "f"] * 24)), "Columns 'b' of X hold values"),
    "time": (FRAME.assign(b=pd.Timestamp("2020")), "Columns 'b' of X hold values"),
    "old time": (
        FRAME.assign(b=np.full(48, "2020", "M8[ns]")),
        "Columns 'b' of X hold values",
    ),
    "gap": (
        FRAME.assign(b=[np.nan] + [1.0] * 47),
        "Columns 'b' of X .*first in sample 0: nan.*SimpleImputer",
    ),
    "NA": (
        FRAME.assign(b=pd.array([None] + [1] * 47, dtype="Int64")),
        "Columns 'b' of X .*sample 0: <NA>",
    ),
    "None": (FRAME.assign(b=["x", None] * 24, c=None), "Columns 'b', 'c' of X hold"),
    "many": (FRAME.assign(**{f"t{i}": "x" for i in range(9)}), "'t4', ... of X hold"),
    "dates": (GOOD.astype(int).astype("M8[D]"), r"needs numbers, but X has dtype datetime64\[D\]"),
    "spans": (GOOD.astype(int).astype("m8[s]"), "needs numbers, but X has dtype timedelta64"),
    "too long": (GOOD.astype(np.longdouble) * np.longdouble("1e400"), "too large for dtype"),
}
SOME = [e for e in ESTIMATORS[:-3] if type(e).__name__[:4] in ("Gaus", "Neig", "VaDE")]


@pytest.mark.parametrize("case", NO_NUMBERS)
@pytest.mark.parametrize("estimator", SOME, ids=name)
def test_what_is_no_table_of_numbers_is_explained(estimator, case):
    X, message = NO_NUMBERS[case]
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        estimator.fit(X)
    assert vars(estimator) == before


@pytest.mark.parametrize("estimator", SOME, ids=name)
def test_long_numbers_are_double_precision(estimator):
    X = STREAM.normal(size=(20, 2)) + np.repeat([[0], [9], [18]], [7, 7, 6], 0)
    a, b = (clone(estimator).fit(rows).predict_proba(rows) for rows in (X, X.astype("longdouble")))
    np.testing.assert_array_equal(a, b)
