"""Promises of every estimator: scikit-learn's checks, those it keeps for itself, and ours."""

import copy
import inspect
import pickle
import warnings
from contextlib import nullcontext

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from estimators import (
    CLASSIFIERS,
    DEEP,
    DEFAULTS,
    ONE_OF_EACH,
    SOME,
    WAYS,
    after_any_training,
    after_training,
    briefly,
    classes_as_clusters,
    fitted,
    hasty,
    in_full,
    name,
    some_of,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

over_classes = pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=lambda e: type(e).__name__)


def over_some(estimators):
    """Parametrize ``estimator``; those beyond ``SOME`` are tried in .ci/full."""
    return pytest.mark.parametrize(
        "estimator", some_of(estimators), ids=lambda e: type(e).__name__
    )


# ---- scikit-learn's checks


def run_check(check, estimator):
    with warnings.catch_warnings():
        # Some checks fit eight clusters to four rows: that deserves the warning it gets.
        warnings.simplefilter("ignore", ConvergenceWarning)
        with classes_as_clusters():
            check(estimator)


#: Checks that judge what is learnt; the others, of form and of laws, pass after any training.
OF_WHAT_IS_LEARNT = {
    "check_classifiers_train",
    "check_clustering",
    "check_clustering of a memory map",
}


@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_checks(estimator, check):
    title = check.func.__name__ + (
        " of a memory map" if "readonly_memmap" in check.keywords else ""
    )
    with nullcontext() if title in OF_WHAT_IS_LEARNT else briefly():
        run_check(check, estimator)


@pytest.mark.full
@parametrize_with_checks(DEFAULTS + WAYS)
def test_scikit_learn_checks_after_whole_training(estimator, check):
    run_check(check, estimator)


#: Checks that scikit-learn runs on its own estimators only.
KEPT = [
    "check_dataframe_column_names_consistency",
    "check_param_validation",
    "check_inplace_ensure_writeable",
]
KEPT_FOR_TRANSFORMERS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
]


def kept_checks():
    for estimator in ONE_OF_EACH + CLASSIFIERS:
        checks = KEPT + (KEPT_FOR_TRANSFORMERS if hasattr(estimator, "transform") else [])
        for check in checks:
            marks = () if check in KEPT or type(estimator).__name__ in SOME else pytest.mark.full
            yield pytest.param(
                estimator, check, id=f"{type(estimator).__name__}-{check}", marks=marks
            )


@after_any_training
@pytest.mark.parametrize(("estimator", "check"), list(kept_checks()))
def test_checks_scikit_learn_keeps_for_itself(estimator, check, made):
    estimator = made(estimator)
    with hasty(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Some checks fit frames and transform bare values, or the reverse.
        warnings.filterwarnings("ignore", "X .*feature names")
        getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@over_classes
def test_it_is_a_clusterer_whose_first_parameter_is_n_clusters(estimator):
    first, *others = list(inspect.signature(type(estimator)).parameters.values())
    assert (first.name, first.default) == ("n_clusters", 8)
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in others)
    assert estimator.__sklearn_tags__().estimator_type == "clusterer"


# ---- answers


@pytest.mark.filterwarnings("ignore:The generator has not learnt")
@over_classes
@after_training
def test_labels_equal_predict_and_the_largest_probability(estimator, made, blobs):
    X, y = blobs
    fit = fitted(made(estimator), X)
    np.testing.assert_array_equal(fit.labels_, fit.predict(X))
    resp = fit.predict_proba(X)
    np.testing.assert_array_equal(fit.labels_, resp.argmax(1))
    np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-5)
    assert adjusted_rand_score(y, fit.labels_) > 0.9


@over_some(ONE_OF_EACH)
@after_any_training
def test_same_random_state_same_result_and_global_streams_stay(estimator, made, blobs):
    X, _ = blobs
    np_state, torch_state = joblib.hash(np.random.get_state()), torch.get_rng_state()
    first, second = made(estimator).fit(X), made(estimator).fit(X)
    unseeded = made(estimator).set_params(random_state=None).fit(X)
    for fit in (first, second, unseeded):
        if hasattr(fit, "sample"):
            fit.sample(3)
        fit.score(X)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert joblib.hash(np.random.get_state()) == np_state
    assert torch.equal(torch.get_rng_state(), torch_state)


@over_some(DEEP)
@after_any_training
def test_different_random_states_give_different_models(estimator, made, blobs):
    a, b = (made(estimator).set_params(random_state=s).fit(blobs[0]) for s in (0, 1))
    assert (a.predict_proba(blobs[0]) != b.predict_proba(blobs[0])).any()


@over_some(ONE_OF_EACH)
@after_any_training
def test_answers_do_not_depend_on_the_rows_beside(estimator, made, digits):
    fit = fitted(made(estimator), digits)
    order = np.random.default_rng(0).permutation(len(digits))[:77]
    for method in ("predict_proba", "score_samples", "transform"):
        if hasattr(fit, method):
            answer = getattr(fit, method)
            tolerance = {"rtol": 1e-6, "atol": 1e-12}
            np.testing.assert_allclose(answer(digits)[order], answer(digits[order]), **tolerance)


@over_classes
def test_score_is_the_mean_of_score_samples(estimator, blobs):
    fit = fitted(estimator, blobs[0])
    # The score of NeighborClustering is of its clusters; score_samples tells outliers.
    if hasattr(fit, "score_samples") and type(fit).__name__ != "NeighborClustering":
        assert fit.score(blobs[0]) == pytest.approx(fit.score_samples(blobs[0]).mean())
    assert type(fit.score(blobs[0])) is float


@over_some(ONE_OF_EACH)
@after_any_training
def test_storage_changes_no_answer(estimator, made, middle, tmp_path):
    np.save(tmp_path / "X.npy", middle)
    stored = {
        "fortran": np.asfortranarray(middle),
        "memmap": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "frame": pd.DataFrame(middle).rename(columns=str),
    }
    expected = fitted(made(estimator), middle).predict_proba(middle)
    for X in stored.values():
        np.testing.assert_array_equal(made(estimator).fit(X).predict_proba(X), expected)


@over_some(ONE_OF_EACH)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
@after_any_training
def test_sparse_equals_dense(estimator, made, container, middle):
    dense = fitted(made(estimator), middle)
    fit = made(estimator)
    fit.set_params(accept_sparse=True)
    with pytest.raises(TypeError, match="accept_sparse=True"):
        dense.predict(container(middle))
    fit.fit(container(middle))
    np.testing.assert_allclose(
        fit.predict_proba(container(middle)), dense.predict_proba(middle), rtol=1e-3, atol=1e-3
    )


@over_classes
@pytest.mark.parametrize("how", ["pickle", "joblib", "deepcopy"])
def test_a_copy_answers_alike(estimator, how, blobs, tmp_path):
    fit = fitted(estimator, blobs[0])
    if how == "joblib":
        joblib.dump(fit, tmp_path / "fit")
        other = joblib.load(tmp_path / "fit", mmap_mode="r")
    else:
        other = pickle.loads(pickle.dumps(fit)) if how == "pickle" else copy.deepcopy(fit)
    np.testing.assert_array_equal(other.predict_proba(blobs[0]), fit.predict_proba(blobs[0]))
    if hasattr(fit, "sample"):
        np.testing.assert_array_equal(other.sample(4)[0], fit.sample(4)[0])


# Each of them lives in test_dropping_in.py, too, however little it has learnt.
@pytest.mark.parametrize("estimator", [*ONE_OF_EACH[:1], *in_full(*ONE_OF_EACH[1:])], ids=name)
@pytest.mark.filterwarnings("ignore:The generator has not learnt")
@after_training
def test_it_lives_in_pipelines_and_searches(estimator, made, blobs):
    X, y = blobs
    labels = make_pipeline(MinMaxScaler(), made(estimator)).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.9
    grid = {"n_clusters": [2, 3]}
    settings = {"cv": 2, "refit": False, "error_score": "raise"}
    by_score = GridSearchCV(made(estimator), grid, **settings).fit(X)
    assert np.isfinite(by_score.cv_results_["mean_test_score"]).all()
    by_labels = GridSearchCV(made(estimator), grid, scoring="adjusted_rand_score", **settings)
    assert by_labels.fit(X, y).best_params_ == {"n_clusters": 3}


@pytest.mark.filterwarnings("ignore:The generator has not learnt")
@after_training
def test_one_script_with_kmeans(made, blobs):
    for estimator in [KMeans(3, random_state=0), *map(made, ONE_OF_EACH)]:
        labels = estimator.fit_predict(*blobs)
        assert adjusted_rand_score(blobs[1], labels) > 0.9


# ---- hostile data

GOOD = np.random.default_rng(0).normal(size=(40, 3))


def spoiled(value):
    X = GOOD.copy()
    X[3, 1] = value
    return X


BAD = {
    "nan": (spoiled(np.nan), ValueError, "NaN"),
    "infinite": (spoiled(np.inf), ValueError, "infinity"),
    "complex": (GOOD + 1j, ValueError, "Complex data not supported"),
    "strings": (GOOD.astype(str), ValueError, "dtype='numeric' is not compatible|convert"),
    "one-dimensional": (GOOD[:, 0], ValueError, "Reshape your data"),
    "three-dimensional": (GOOD[None], ValueError, "dim 3"),
    "no rows": (GOOD[:0], ValueError, "0 sample"),
    "no features": (GOOD[:, :0], ValueError, "0 feature"),
    "fewer rows than clusters": (GOOD[:2], ValueError, "n_samples=2 should be >= n_clusters=3"),
    "sparse": (sparse.csr_array(GOOD), TypeError, "accept_sparse=True"),
    "nothing": (None, ValueError, "Expected 2D array|got None|scalar"),
}


def bad_cases():
    for estimator in ONE_OF_EACH:
        for case in BAD:
            yield pytest.param(estimator, case, id=f"{type(estimator).__name__}-{case}")


@pytest.mark.parametrize(("estimator", "case"), list(bad_cases()))
def test_bad_data_is_explained_and_leaves_nothing_fitted(estimator, case):
    X, error, message = BAD[case]
    estimator = clone(estimator)
    with pytest.raises(error, match=message):
        estimator.fit(X)
    with pytest.raises(NotFittedError):
        estimator.predict(GOOD)


HOSTILE = {
    "tiny": GOOD * 1e-6,
    "huge": GOOD * 1e6,
    "far away": GOOD + 1e6,
    "mixed scales": GOOD * [1e-6, 1, 1e6],
    "constant column": np.c_[GOOD, np.full(40, 7.0)],
    "constant": np.full((40, 3), 3.0),
    "duplicates": np.repeat(GOOD[:2], 20, axis=0),
    "one feature": GOOD[:, :1],
    "as many rows as clusters": GOOD[:3],
    "heavy tails": np.random.default_rng(1).standard_cauchy((200, 3)),
    "booleans": GOOD > 0,
    "integers": (GOOD * 100).astype(int),
    "bytes": (GOOD * 20 + 100).astype(np.uint8),
    "half precision": GOOD.astype(np.float16),
}


@over_some(ONE_OF_EACH)
@pytest.mark.parametrize("case", HOSTILE)
@after_any_training
def test_hostile_data_gives_finite_answers(estimator, made, case):
    X = HOSTILE[case]
    fit = made(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit.fit(X)
    assert np.isfinite(fit.predict_proba(X)).all()
    assert np.isfinite(fit.score(X))
    assert set(fit.labels_) <= {0, 1, 2}
    if hasattr(fit, "inverse_transform"):
        rebuilt = fit.inverse_transform(fit.transform(X))
        assert np.isfinite(rebuilt).all()
        # In the user's units: no further from the data than the data is wide; rows that a short
        # training draws around a constant are a fifth of a unit wide.
        width = np.ptp(X.astype(float)) or 0.2
        assert np.abs(np.median(rebuilt - X)) <= width


@over_classes
@after_training
@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_collapse_is_said(estimator, made):
    with pytest.warns(ConvergenceWarning, match=r"Only 1 of|one cluster"):
        made(estimator).fit(np.full((40, 3), 3.0))


@pytest.mark.filterwarnings("ignore:The generator has not learnt")
@over_some(DEEP)
@after_training
def test_scale_and_offset_change_no_clusters(estimator, made, blobs):
    X, y = blobs
    for changed in (X * 1e5, X * 1e-5, X + 1e5, StandardScaler().fit_transform(X)):
        assert adjusted_rand_score(y, made(estimator).fit_predict(changed)) > 0.9


@over_classes
def test_a_failed_refit_keeps_the_last_fit(estimator, blobs):
    fit = copy.deepcopy(fitted(estimator, blobs[0]))
    before = fit.predict_proba(blobs[0])
    with pytest.raises(ValueError, match="NaN"):
        fit.fit(np.full((40, 4), np.nan))
    np.testing.assert_array_equal(fit.predict_proba(blobs[0]), before)
