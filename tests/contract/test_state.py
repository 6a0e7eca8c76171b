"""A fitted estimator stays consistent when parameters are set or a later fit fails."""

import numpy as np
import pandas as pd
import pytest
from common import DEEP, ONE_OF_EACH, brief, name, some_of
from sklearn.cluster import KMeans

from skdeepcluster import ClusterEnsemble, DACClustering, GaussianMixtureEM, VaDEClustering

SMALL = {"n_components": 2, "hidden_layer_sizes": (16,), "max_epochs": 2, "random_state": 0}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]


@pytest.fixture(scope="module")
def rows(blobs):
    X = blobs[0]
    return (X - X.min()) / (X.max() - X.min())


ENSEMBLE = ClusterEnsemble(KMeans(3, n_init=1), 2, random_state=0)
FAILING = [*ONE_OF_EACH, ENSEMBLE]


@pytest.mark.parametrize("is_fitted", [False, True], ids=["fresh", "fitted"])
@pytest.mark.parametrize("estimator", FAILING, ids=name)
def test_a_fit_that_fails_changes_nothing(rows, estimator, is_fitted):
    tried = brief(estimator)
    if is_fitted:
        tried.fit(rows)
    if "likelihood" in tried.get_params():
        tried.set_params(likelihood="bernoulli")
        wrong = 10 * rows[:, :3]
    elif estimator is ENSEMBLE:
        tried.set_params(estimator=KMeans(99))
        wrong = rows[:9, :3]
    else:
        tried.set_params(n_clusters=99)
        wrong = rows[:9, :3]
    before = dict(vars(tried))
    with pytest.raises(ValueError, match="."):
        tried.fit(wrong)
    assert vars(tried).keys() == before.keys()
    assert all(vars(tried)[key] is before[key] for key in before)
    if is_fitted:
        assert tried.predict(rows).shape == (len(rows),)


def test_an_interrupted_mixture_keeps_the_last_fit(rows, monkeypatch):
    mixture = GaussianMixtureEM(3, random_state=0).fit(rows)
    fresh = GaussianMixtureEM(3)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("skdeepcluster.mixture.em.step", interrupt)
    for method in (mixture.fit, fresh.fit):
        before = dict(vars(method.__self__))
        with pytest.raises(KeyboardInterrupt):
            method(rows[:50])
        assert vars(method.__self__).keys() == before.keys()
        assert all(vars(method.__self__)[key] is before[key] for key in before)


@pytest.mark.parametrize("estimator", DEEP, ids=name)
def test_parameters_set_later_do_not_change_predictions(rows, estimator):
    fitted = brief(estimator).fit(rows)
    asked = [lambda: fitted.score(rows), lambda: fitted.predict_proba(rows)]
    if hasattr(fitted, "sample"):
        asked.append(lambda: fitted.sample(3)[0])
        asked.append(lambda: fitted.sample(3, cluster=2)[0])
    before = [ask() for ask in asked]
    sizes = {"n_clusters": 1, "n_components": 7}
    fitted.set_params(**{name: n for name, n in sizes.items() if name in fitted.get_params()})
    for old, ask in zip(before, asked, strict=True):
        np.testing.assert_array_equal(ask(), old)


@pytest.mark.parametrize("method", [VaDEClustering, DACClustering])
def test_the_prior_keeps_the_numbers_of_unused_clusters(rows, blobs, method):
    given = np.array([2, 0, 3])[blobs[1]]  # nothing in cluster 1
    fitted = method(4, init=given, **SMALL).set_params(max_epochs=1, learning_rate=1e-30).fit(rows)
    np.testing.assert_array_equal(fitted.init_labels_, given)
    codes = fitted.transform(rows)
    for k in (0, 2, 3):
        # So little training leaves the means of the initial partition.
        np.testing.assert_allclose(fitted.means_[k], codes[given == k].mean(0), atol=1e-3)


def reverse(rows):
    return rows.flip(1)


@pytest.mark.parametrize("estimator", some_of(DEEP), ids=name)
def test_a_fit_leaves_no_attribute_of_an_earlier_one_and_keeps_those_of_the_user(
    estimator, rows, monkeypatch
):
    # One augmentation to seek, in one fit: it is the attribute that matters.
    monkeypatch.setattr(
        "skdeepcluster.neighbors.augmented.list_augments", lambda *_: {"reverse": reverse}
    )
    monkeypatch.setattr("skdeepcluster.neighbors.augmented.N_FITS", 1)
    rows = rows[::4]
    known = np.where(np.arange(len(rows)) < 9, np.arange(len(rows)) % 3, -1)
    tried = brief(estimator, n_clusters=(2, 4), use_labels=True, init="neighbors")
    tried.set_params(augment="auto").note_ = "mine"
    tried.fit(pd.DataFrame(rows).rename(columns="x{}".format), known)
    passing = {"augment_scores_", "classes_", "feature_names_in_", "n_clusters_curve_"}
    assert passing <= set(vars(tried))
    tried.set_params(n_clusters=3, use_labels=False, augment=None).fit(rows)
    assert not passing & set(vars(tried))
    assert tried.note_ == "mine"
