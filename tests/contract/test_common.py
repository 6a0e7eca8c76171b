"""Laws of every estimator: scikit-learn's checks, and ours on labels, randomness and storage."""

import inspect

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from common import (
    CLASSIFIERS,
    DEEP,
    DEFAULTS,
    KEPT_FOR_TRANSFORMERS,
    ONE_OF_EACH,
    WAYS,
    brief,
    fitted,
    in_full,
    name,
    short,
    some_of,
)
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:X .*feature names"
)
quick = pytest.mark.usefixtures("no_alternatives")
over_each = pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=name)
over_some = pytest.mark.parametrize("estimator", some_of(ONE_OF_EACH), ids=name)

# ---- scikit-learn's checks


#: What most checks need of a training.
SHORTEST = {"max_epochs": 1, "pretraining_epochs": 1}
#: Checks that need clusters or classes to be learned; the others do with the shortest training.
LEARNED = {"check_clustering", "check_classifiers_train"}


@quick
@parametrize_with_checks([short(e, hidden_layer_sizes=(16,)) for e in DEFAULTS])
def test_scikit_learn_checks(estimator, check):
    check(estimator if check.func.__name__ in LEARNED else brief(estimator, **SHORTEST))


@pytest.mark.full
@parametrize_with_checks(DEFAULTS + WAYS)
def test_scikit_learn_checks_after_whole_training(estimator, check):
    check(estimator)


#: Checks that scikit-learn runs on its own estimators only.
KEPT = [
    "check_dataframe_column_names_consistency",
    "check_param_validation",
    "check_inplace_ensure_writeable",
]


def kept_checks():
    for estimator in ONE_OF_EACH + CLASSIFIERS:
        for check in KEPT + (KEPT_FOR_TRANSFORMERS if hasattr(estimator, "transform") else []):
            is_quick = check in KEPT or name(estimator) == "VaDEClustering"
            marks = () if is_quick else pytest.mark.full
            yield pytest.param(estimator, check, id=f"{name(estimator)}-{check}", marks=marks)


@quick
@pytest.mark.parametrize(("estimator", "check"), list(kept_checks()))
def test_checks_scikit_learn_keeps_for_itself(estimator, check):
    getattr(estimator_checks, check)(name(estimator), brief(estimator))


@over_each
def test_the_only_positional_parameter_is_n_clusters(estimator):
    first, *others = list(inspect.signature(type(estimator)).parameters.values())
    assert (first.name, first.default) == ("n_clusters", 8)
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in others)
    assert estimator.__sklearn_tags__().estimator_type == "clusterer"


# ---- predictions


@over_each
def test_labels_predictions_probabilities_and_scores_agree(estimator, blobs):
    X, y = blobs
    fit = fitted(short(estimator), X)
    resp = fit.predict_proba(X)
    np.testing.assert_array_equal(fit.labels_, fit.predict(X))
    np.testing.assert_array_equal(fit.labels_, resp.argmax(1))
    np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-5)
    assert fit.probabilities_.dtype == np.float64
    np.testing.assert_allclose(fit.probabilities_, resp.max(1), rtol=1e-5)
    assert adjusted_rand_score(y, fit.labels_) > 0.9
    if hasattr(fit, "score"):
        assert type(fit.score(X)) is float
        if hasattr(fit, "score_samples"):
            assert fit.score(X) == pytest.approx(fit.score_samples(X).mean())


@quick
@over_some
def test_random_state_decides_and_global_streams_stay(estimator, blobs):
    X = blobs[0][::3]
    np_state = joblib.hash(np.random.get_state())
    torch_state = torch.get_rng_state()
    first, second, other, unseeded = (
        brief(estimator).set_params(random_state=seed).fit(X) for seed in (0, 0, 1, None)
    )
    for fit in (first, unseeded):
        fit.transform(X) if hasattr(fit, "transform") else fit.predict(X)
        if hasattr(fit, "sample"):
            fit.sample(3)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    if estimator in DEEP:
        assert (first.predict_proba(X) != other.predict_proba(X)).any()
    assert joblib.hash(np.random.get_state()) == np_state
    assert torch.equal(torch.get_rng_state(), torch_state)


@over_some
@pytest.mark.parametrize(
    "form", ["fortran", "memmap", "frame", "csr_array", *in_full("coo_matrix")]
)
def test_storage_changes_no_prediction(estimator, form, middle, tmp_path):
    if form in ("csr_array", "coo_matrix"):
        middle = middle * (middle > np.quantile(middle, 0.75))
        middle.flags.writeable = False
    np.save(tmp_path / "X.npy", middle)
    X = {
        "fortran": np.asfortranarray,
        "memmap": lambda _: np.load(tmp_path / "X.npy", mmap_mode="r"),
        "frame": lambda X: pd.DataFrame(X).rename(columns=str),
        "csr_array": sparse.csr_array,
        "coo_matrix": sparse.coo_matrix,
    }[form](middle)
    dense = fitted(brief(estimator), middle)
    fit = brief(estimator)
    tolerance = 0
    if sparse.issparse(X):
        tolerance = 1e-3
    found = fit.fit(X).predict_proba(X)
    expected = dense.predict_proba(middle)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@over_each
@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_one_cluster_is_warned_about(estimator):
    with pytest.warns(ConvergenceWarning, match=r"Only 1 of|one cluster"):
        brief(estimator).fit(np.full((40, 3), 3.0))
