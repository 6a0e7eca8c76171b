"""Scales of features: likelihood and standardization by "auto", and tables of mixed columns."""

import numpy as np
import pytest
from common import CLASSIFIERS, DEEP, brief, name, some_of
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.preprocessing import StandardScaler, minmax_scale

from skdeepcluster import NeighborClustering, VaDEClustering, VAEEmbedding

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
KINDS = {(3, 4): "category", (5, 6, 7): "category"}
VAE = VAEEmbedding(2, init="own", batch_size=200, **TINY)
VADE = VaDEClustering(3, init="own", pretraining_epochs=1, **TINY)
IRIS = load_iris().data
WINE = load_wine().data
CANCER = load_breast_cancer().data
over_networks = pytest.mark.parametrize("estimator", some_of([*DEEP, *CLASSIFIERS]), ids=name)


def draw_table(weight=1.0):
    """Draw two numbers, a share, and two categories."""
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    numbers = 20 * rng.normal(size=(30, 2)) + 100 * y[:, None]
    categories = [weight * np.eye(n)[rng.integers(n, size=30)] for n in (2, 3)]
    return np.hstack([numbers, rng.uniform(size=(30, 1)), *categories]), y


@over_networks
def test_small_units_change_no_cluster(estimator):
    X = IRIS[::3]
    y = np.repeat([-1, 1, 2], [17, 17, 16])
    expected = brief(estimator, **TINY).fit(X, y)
    for unit in (2**-13, 2**-60):
        fit = clone(expected).fit(unit * X, y)
        assert fit.likelihood_ == "gaussian"
        found = fit.predict_proba(unit * X)
        np.testing.assert_allclose(found, expected.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (minmax_scale(CANCER), "bernoulli"),  # its largest value is 1 + eps
        (0.3 * minmax_scale(CANCER), "bernoulli"),
        (0.01 * minmax_scale(CANCER), "gaussian"),
        (minmax_scale(CANCER) * (1 + 1e-14), "gaussian"),
        (np.full((9, 2), 0.5), "bernoulli"),
    ],
)
def test_probabilities_are_recognized_by_range_and_variance(X, expected):
    assert clone(VAE).fit(X).likelihood_ == expected
    wide = np.hstack([X, np.zeros((len(X), 3 * X.shape[1]))])
    found = [clone(VAE).fit(rows).likelihood_ for rows in (wide, csr_array(wide))]
    assert found[0] == found[1]


WEIGHTED = StandardScaler().fit_transform(WINE) * np.linspace(0.2, 2, 13)
RARE = np.eye(3)[np.random.default_rng(0).choice(3, 178, p=[0.01, 0.19, 0.8])]


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (IRIS, False),
        (WEIGHTED, False),
        (np.hstack([WEIGHTED, RARE]), True),
        (np.hstack([IRIS, np.full((150, 1), 1e6)]), False),
        (WINE, True),
    ],
    ids=["iris", "weighted", "one-hot", "constant", "wine"],
)
def test_auto_standardizes_features_whose_units_differ(X, expected):
    fit = clone(VAE).set_params(likelihood="gaussian").fit(X)
    assert fit.standardize_ is expected


NEIGHBORS = NeighborClustering(3, random_state=0)


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (IRIS[::2], False),
        pytest.param(WINE.astype(np.float32), True, marks=pytest.mark.full),
        (WINE[::2], True),
        pytest.param(minmax_scale(WINE), False, marks=pytest.mark.full),
    ],
    ids=["iris", "float32", "wine", "shares"],
)
def test_networks_begin_with_the_partition_of_neighbor_clustering(X, expected):
    found = clone(NEIGHBORS).fit(X)
    network = clone(VAE).set_params(n_clusters=3, init="neighbors")
    assert found.standardize_ is network.fit(X).standardize_ is expected
    np.testing.assert_array_equal(network.init_labels_, found.labels_)
    network.set_params(standardize=not expected, likelihood="gaussian").fit(X)
    found.set_params(standardize=not expected).fit(X)
    np.testing.assert_array_equal(network.init_labels_, found.labels_)


@pytest.mark.parametrize("missing", [False, True])
def test_standardized_fits_equal_fits_to_standardized_samples(missing):
    X, new = np.split(np.random.default_rng(0).permutation(WINE), [140])
    X = np.where(np.random.default_rng(1).uniform(size=X.shape) < 0.1 * missing, np.nan, X)
    factors = 1 / StandardScaler().fit(X).scale_.astype(np.float32).astype(np.float64)
    found = clone(NEIGHBORS).fit(X)
    expected = clone(NEIGHBORS).fit(X * factors)
    assert (found.standardize_, expected.standardize_) == (True, False)
    for rows in (X, new):
        for method in ("predict_proba", "score_samples", "transform"):
            values = getattr(found, method)(rows)
            same = getattr(expected, method)(rows * factors)
            np.testing.assert_array_equal(values, same)


def test_weights_and_sparse_samples_scale_alike():
    weights = np.random.default_rng(0).integers(0, 3, len(WINE))
    expected = clone(NEIGHBORS).fit(WINE.repeat(weights, axis=0)).predict(WINE)
    found = clone(NEIGHBORS).fit(WINE, sample_weight=weights)
    np.testing.assert_array_equal(found.predict(WINE), expected)
    rows = csr_array(np.hstack([WINE, np.zeros((len(WINE), 30))]))
    found = clone(NEIGHBORS).fit(rows)
    assert found.standardize_ is True
    np.testing.assert_array_equal(found.labels_, found.predict(rows))


# ---- tables of mixed columns


@over_networks
def test_a_mixed_table_is_fitted_and_sampled(estimator):
    X, y = draw_table(weight=0.5)
    fitted = brief(estimator, kinds=KINDS, init="own").fit(X, y)
    assert fitted.likelihood_ == "columns"
    if not hasattr(fitted, "sample"):
        return
    drawn, _ = fitted.sample(6)
    for block in (drawn[:, 3:5], drawn[:, 5:8]):
        np.testing.assert_allclose(np.sort(block)[:, -1], 0.5)
        np.testing.assert_allclose(block.sum(1), 0.5)
