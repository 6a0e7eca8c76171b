"""Every clusterer finds the number of clusters with ``n_clusters="auto"``."""

import pytest
from common import DEEP, ONE_OF_EACH, brief, name, some_of
from sklearn.datasets import make_blobs

X, Y = make_blobs(120, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
over_all = pytest.mark.parametrize("estimator", some_of(ONE_OF_EACH), ids=name)


@over_all
def test_number_of_clusters_is_found_and_kept(estimator):
    fit = brief(estimator).set_params(n_clusters="auto").fit(X)
    assert fit.n_clusters_ == 3
    assert fit.predict_proba(X).shape == (120, 3)
    curve = fit.n_clusters_curve_
    assert set(curve) == {
        "n_clusters",
        "evidence",
        "expected_score",
        "stability",
        "saddle_density",
        "is_likely",
    }
    assert curve.n_clusters[0] == 1
    assert 19 <= curve.n_clusters[-1] <= 28
    assert len({len(values) for values in curve.values()}) == 1
    assert fit.get_params()["n_clusters"] == "auto"
    given = fit.set_params(n_clusters=2).fit(X)
    assert given.n_clusters_ == 2
    assert not hasattr(given, "n_clusters_curve_")


@pytest.mark.parametrize("estimator", some_of(DEEP), ids=name)
def test_a_given_partition_has_its_own_number(estimator):
    fit = brief(estimator).set_params(n_clusters="auto", init=Y % 2).fit(X)
    assert fit.n_clusters_ == 2
    assert not hasattr(fit, "n_clusters_curve_")
