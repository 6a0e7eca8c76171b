"""Missing values: nan in X, in fits and in predictions of every estimator."""

import numpy as np
import pandas as pd
import pytest
import torch
from common import CLASSIFIERS, DEEP, brief, fitted, name, some_of
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

from skdeepcluster import GaussianMixtureEM, NeighborClustering, VAEEmbedding
from skdeepcluster.input import Preparation
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.nn.likelihood import Bernoulli, ColumnLikelihood, Gaussian

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]

ESTIMATORS = [NeighborClustering(3, random_state=0), *DEEP, *CLASSIFIERS]


@pytest.fixture(scope="module")
def incomplete():
    """Three groups in six features that a sixth of the entries is missing from."""
    random_state = np.random.RandomState(0)
    y = np.arange(150) % 3
    X = random_state.standard_normal((150, 6)) + 5 * np.eye(6)[y]
    X[random_state.uniform(size=X.shape) < 1 / 6] = np.nan
    X.flags.writeable = False
    return X, y


@pytest.mark.parametrize("estimator", some_of(ESTIMATORS), ids=name)
def test_predictions_are_finite_and_those_of_the_fit(estimator, incomplete):
    X, y = incomplete
    fit = brief(estimator).fit(X, y)
    resp = fit.predict_proba(X)
    assert np.isfinite(resp).all()
    labels = fit.predict(X)
    if hasattr(fit, "labels_"):
        np.testing.assert_array_equal(labels, fit.labels_)
    # The other samples of a call change nothing.
    np.testing.assert_allclose(fit.predict_proba(X[:7]), resp[:7], rtol=1e-5, atol=1e-6)
    assert fit.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.parametrize("estimator", some_of(ESTIMATORS), ids=name)
def test_estimators_of_complete_samples_predict_incomplete_ones(estimator, incomplete):
    X, y = incomplete
    fit = brief(estimator).fit(np.nan_to_num(X), y)
    assert np.isfinite(fit.predict_proba(X)).all()


def test_missing_values_are_better_left_than_filled_by_means(incomplete):
    X, y = incomplete
    found = NeighborClustering(3, random_state=0)
    filled = make_pipeline(SimpleImputer(), NeighborClustering(3, random_state=0))
    own, means = (adjusted_rand_score(y, way.fit_predict(X)) for way in (found, filled))
    assert own > means + 0.1


def test_mixtures_leave_missing_values_to_an_imputer(incomplete):
    X, y = incomplete
    mixture = GaussianMixtureEM(3, covariance_type="diag", random_state=0)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        mixture.fit(X)
    assert not mixture.__sklearn_tags__().input_tags.allow_nan
    for filler in (Preparation(), KNNImputer()):
        pipeline = make_pipeline(filler, mixture).fit(X)
        assert adjusted_rand_score(y, pipeline.predict(X)) > 0.6
    with pytest.raises(ValueError, match="Input X contains NaN"):
        mixture.predict(X)


N = 150
ORDER = np.random.default_rng(1).permutation(N)
JUNK = np.random.default_rng(2).normal(size=(N, 6))

#: Changes that change no partition: the samples, which of them those before are, and weights.
LAWS = {
    "order of samples": lambda X: (X[ORDER], ORDER.argsort(), None),
    "order of features": lambda X: (X[:, [2, 5, 0, 3, 1, 4]], np.arange(N), None),
    "constant features": lambda X: (np.c_[np.full((N, 3), 7.0), X], np.arange(N), None),
    "shift": lambda X: (X + 1000 / 3, np.arange(N), None),
    "scale": lambda X: (X * 3.7, np.arange(N), None),
    "copies": lambda X: (np.r_[X, X, X[:40]], np.arange(N), np.r_[np.ones(2 * N), np.zeros(40)]),
    "samples without weight": lambda X: (
        np.r_[JUNK, X],
        N + np.arange(N),
        np.r_[np.zeros(N), np.ones(N)],
    ),
}


@pytest.mark.parametrize("law", LAWS)
def test_laws_hold_with_missing_values(incomplete, law):
    X = incomplete[0]
    before = fitted(NeighborClustering(3, random_state=0), X)
    changed, places, weights = LAWS[law](X)
    found = NeighborClustering(3, random_state=0).fit(changed, sample_weight=weights)
    assert adjusted_rand_score(before.labels_, found.labels_[places]) == 1


@pytest.mark.parametrize("estimator", some_of(ESTIMATORS), ids=name)
def test_masked_values_are_missing(estimator, incomplete):
    X, y = incomplete
    expected = brief(estimator).fit(X, y).predict_proba(X)
    masked = np.ma.masked_invalid(X)
    found = brief(estimator).fit(masked, y).predict_proba(masked)
    np.testing.assert_array_equal(found, expected)


def test_weights_are_repetitions_with_missing_values(incomplete):
    X, _ = incomplete
    weights = ORDER % 4
    weighted = NeighborClustering(3, random_state=0).fit(X, sample_weight=weights)
    repeated = NeighborClustering(3, random_state=0).fit(X.repeat(weights, axis=0))
    assert adjusted_rand_score(weighted.labels_.repeat(weights), repeated.labels_) == 1


def test_missing_values_are_means_over_the_nearest_samples(incomplete):
    X, _ = incomplete
    expected = KNNImputer(n_neighbors=5).fit_transform(X)
    found = Preparation(standardize=False, n_neighbors=5).fit_transform(X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_donors_are_from_the_whole_range():
    line = np.linspace(0, 1, 12_000)
    X = np.c_[line, line]
    X[::100, 1] = np.nan
    found = Preparation("numbers", standardize=False, n_neighbors=5).fit_transform(X)
    np.testing.assert_allclose(found, np.c_[line, line], atol=1e-3)


@pytest.mark.parametrize("estimator", some_of(ESTIMATORS), ids=name)
def test_columns_without_values_are_refused_by_name(estimator, incomplete):
    X, y = incomplete
    table = pd.DataFrame(X, columns=list("abcdef")).assign(c=np.nan)
    with pytest.raises(ValueError, match=r"no values in the columns \['c'\]"):
        brief(estimator).fit(table, y)
    with pytest.raises(ValueError, match="infinity"):
        brief(estimator).fit(np.where(np.isnan(X), np.inf, X), y)


@pytest.mark.parametrize("estimator", [NeighborClustering(3, random_state=0), DEEP[1]], ids=name)
def test_pandas_missing_values_are_missing(estimator, incomplete):
    X, y = incomplete
    X = np.round(10 * X)
    whole = pd.DataFrame(X).astype("Int64")
    objects = pd.DataFrame(X).astype(object).where(~np.isnan(X), None)
    expected = brief(estimator).fit(X).labels_
    for table in (whole, objects):
        np.testing.assert_array_equal(brief(estimator).fit(table).labels_, expected)


@pytest.mark.parametrize(
    "likelihood",
    [
        Bernoulli(),
        Gaussian(torch.zeros(5), torch.ones(5)),
        ColumnLikelihood(gaussian=[0], bernoulli=[1, 2], categorical=[[3, 4]]),
    ],
    ids=lambda likelihood: likelihood.name,
)
def test_densities_are_those_of_the_observed_features(likelihood):
    draws = torch.Generator().manual_seed(0)
    x = torch.rand((8, 5), generator=draws)
    decoded = torch.randn((8, 5), generator=draws)
    x[:, 3:] = torch.tensor([0.0, 1.0])
    missing = torch.zeros(8, 5, dtype=torch.bool)
    missing[::2, 1:3] = True
    missing[1::2, 0] = True
    found = likelihood.log_prob(x.masked_fill(missing, torch.nan), decoded)
    expected = likelihood.log_probs(x, decoded)[~missing]
    assert found.sum().item() == pytest.approx(expected.sum().item(), rel=1e-5)
    x_std = likelihood.standardize(x.masked_fill(missing, torch.nan))
    assert (x_std[missing] == 0).all()


def test_reports_leave_missing_values_out(incomplete):
    X, y = incomplete
    fit = fitted(NeighborClustering(3, random_state=0), X)
    report = ClusterReport.from_estimator(fit, X, feature_names=list("abcdef"))
    for k, feature in enumerate(report.features):
        column = X[fit.labels_ == k, "abcdef".index(feature["names"][0])]
        assert feature["means"][0] == pytest.approx(np.nanmean(column))


def test_imputed_values_are_conditional_means():
    # Two features that are nearly equal: one is known by the other.
    random_state = np.random.RandomState(0)
    both = random_state.standard_normal((400, 1)) + 0.1 * random_state.standard_normal((400, 2))
    vae = VAEEmbedding(1, n_components=1, init="own", max_epochs=40, random_state=0).fit(both)
    X = both.copy()
    X[::2, 1] = np.nan
    filled = vae.impute(X)
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    error = np.sqrt(np.mean((filled - both)[::2, 1] ** 2))
    assert error < 0.4  # the mean has an error of 1, the best prediction .14


def test_samples_without_any_value_are_reported(incomplete):
    X = incomplete[0].copy()
    X[[3, 8]] = np.nan
    with pytest.warns(UserWarning, match="without any value: 2"):
        fit = NeighborClustering(3, random_state=0).fit(X)
    with pytest.warns(UserWarning, match="without any value: 1"):
        fit.predict(X[2:5])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_numbers_is_imputed_as_a_frame(library):
    estimator = VAEEmbedding(2, max_epochs=1, init="own", hidden_layer_sizes=(4,))
    frames = pytest.importorskip(library)
    rows = np.random.RandomState(0).normal(size=(60, 2))
    rows[::7, 1] = np.nan
    table = frames.DataFrame({"b": rows[:, 0], "a": rows[:, 1]})
    if library == "pandas":
        table.index = range(3, 63)
    fit = estimator.set_params(random_state=0).fit(table)
    filled = fit.impute(table)
    assert isinstance(filled, frames.DataFrame)
    assert list(filled.columns) == ["b", "a"]
    np.testing.assert_array_equal(filled.to_numpy(), estimator.fit(rows).impute(rows))
    if library == "pandas":
        assert filled.index.equals(table.index)
