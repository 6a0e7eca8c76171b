"""Features of series: definition, laws, errors, and clusters in them."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import CatGANClustering, NeighborClustering
from skdeepcluster.metrics import expected_score
from skdeepcluster.neighbors import ConvolutionFeatures
from skdeepcluster.persistence import load, save

LEVELS = [0.125, 0.375, 0.625, 0.875]
#: Noisy oscillations of three periods that begin at any time.
KIND = np.arange(90) % 3
STREAM = np.random.RandomState(0)
PERIOD = np.array([4, 7, 12])[KIND] * np.exp(0.05 * STREAM.normal(size=90))
PHASE = np.arange(150) / PERIOD[:, None] + STREAM.rand(90, 1)
SERIES = np.sin(2 * np.pi * PHASE) + 0.5 * STREAM.normal(size=(90, 150))


@parametrize_with_checks([ConvolutionFeatures()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_features_are_components_of_shares_of_responses():
    rows = SERIES.copy()
    rows[::4, 100:] = np.nan  # shorter series
    features = ConvolutionFeatures(3).fit(rows)
    shares = []
    for dilation, levels in zip(features.dilations_, features.levels_[0], strict=True):
        by_kernel = []
        for high in combinations(range(9), 3):
            kernel = np.full((9, dilation), 0.0)
            kernel[:, 0] = -1
            kernel[list(high), 0] = 2
            kernel = kernel.ravel()[: 8 * dilation + 1]
            by_kernel.append([np.convolve(row, kernel[::-1], "valid") for row in rows])
        responses = np.moveaxis(by_kernel, 0, 2)
        missing = np.isnan(responses)
        above = [np.where(missing, np.nan, responses > level) for level in levels]
        shares += [np.nanmean(each, axis=1) for each in above]
        assert_allclose(1 - np.nanmean(above, axis=(1, 2, 3)), LEVELS, atol=0.01)
    expected = features.pca_.transform(np.hstack(shares))
    assert_allclose(features.transform(rows), expected, atol=0.02)


def test_laws():
    features = ConvolutionFeatures(5).fit(SERIES)
    Z = features.transform(SERIES)
    assert_allclose(features.transform(SERIES + 7), Z, atol=0.02)  # the level of a series
    far = ConvolutionFeatures(5).fit_transform(SERIES + 1e7)
    assert_allclose(np.abs(far), np.abs(Z), atol=0.02)  # components have any sign
    assert_allclose(features.transform(SERIES[40:50]), Z[40:50], atol=1e-5)
    one = ConvolutionFeatures(5, n_jobs=1).fit_transform(SERIES)
    assert_array_equal(one, Z)
    backward = ConvolutionFeatures(5).fit(SERIES[::-1]).transform(SERIES)
    assert_allclose(np.abs(backward), np.abs(Z), atol=1e-3)


def test_channels_are_convolved_apart():
    twice = ConvolutionFeatures(4, n_channels=2).fit_transform(np.hstack([SERIES, SERIES]))
    once = ConvolutionFeatures(4).fit_transform(SERIES)
    assert_allclose(np.abs(twice), np.sqrt(2) * np.abs(once), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="not 4 series of the same length. Set n_channels"):
        ConvolutionFeatures(n_channels=4).fit(SERIES)


def test_a_place_in_time_does_not_matter(tmp_path):
    features = ConvolutionFeatures()
    plain = NeighborClustering(3, random_state=0).fit(SERIES)
    fit = NeighborClustering(3, augment=features, random_state=0).fit(SERIES)
    assert adjusted_rand_score(KIND, plain.labels_) < 0.7
    assert adjusted_rand_score(KIND, fit.labels_) == 1
    assert not hasattr(features, "pca_")

    piped = make_pipeline(clone(features), NeighborClustering(3, random_state=0))
    assert adjusted_rand_score(piped.fit_predict(SERIES), fit.labels_) == 1
    assert_array_equal(fit.predict(SERIES), fit.labels_)
    assert_array_equal(pickle.loads(pickle.dumps(fit)).predict(SERIES), fit.labels_)
    save(fit, tmp_path / "fit.skops")
    assert_array_equal(load(tmp_path / "fit.skops").predict(SERIES), fit.labels_)
    with pytest.raises(ValueError, match="X has missing values, but X of fit had none"):
        fit.predict(np.where(SERIES > 1, np.nan, SERIES))


def test_features_are_found(tmp_path):
    auto = NeighborClustering(3, augment="auto", random_state=0).fit(SERIES)
    assert isinstance(auto.augment_, ConvolutionFeatures)
    assert max(auto.augment_scores_, key=auto.augment_scores_.get) == "convolutions"
    assert adjusted_rand_score(KIND, auto.labels_) == 1
    score = expected_score(SERIES, KIND, augment=auto.augment_, random_state=0)
    assert score == pytest.approx(auto.expected_score_, abs=0.05)


def test_any_transformer_may_give_the_features():
    steps = FunctionTransformer(np.diff)
    walks = SERIES.cumsum(1)
    fit = NeighborClustering(3, augment=steps, random_state=0).fit(walks)
    same = NeighborClustering(3, random_state=0).fit(np.diff(walks))
    assert_array_equal(fit.labels_, same.labels_)
    assert_array_equal(fit.predict(walks), fit.labels_)


def test_networks_take_features_only_in_their_init():
    with pytest.raises(ValueError, match="augment"):
        CatGANClustering(2, augment=ConvolutionFeatures()).fit(SERIES)
