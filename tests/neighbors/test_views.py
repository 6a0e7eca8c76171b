"""Augmented views in the neighbor graph: definition, laws, errors, and what hands them on."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import (
    CatGANClustering,
    DACClustering,
    NeighborClustering,
    VaDEClustering,
)
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.neighbors import neighbor_graph
from skdeepcluster.nn.augmentation import RandomAffine, RandomShift
from skdeepcluster.persistence import load, save

STREAM = np.random.RandomState(0)
#: Three kinds of pulses at random places of a periodic series.
T = np.arange(40)
KIND = np.repeat([0, 1, 2], 40)
PULSES = np.array([np.exp(-(((T - 20) / 2) ** 2)), np.abs(T - 20) < 7, 2 * (np.abs(T - 20) < 2)])
PLACE = STREAM.randint(40, size=120)
SERIES = np.stack([np.roll(PULSES[k], s) for k, s in zip(KIND, PLACE, strict=True)])
SERIES += 0.05 * STREAM.normal(size=SERIES.shape)
SHIFT = RandomShift(0.5, wrap=True)
SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0}


def flip(x):
    return x.flip(1)


def jitter(x):
    return x + 0.01 * torch.randn_like(x)


def shifted(n_clusters=3, **settings):
    return NeighborClustering(n_clusters, augment=SHIFT, random_state=0, **settings)


# ---- definition


def test_distances_are_the_least_over_views():
    transforms = [own for own in SHIFT.list_transforms(6, seed=0)]
    versions = [SERIES] + [move(torch.from_numpy(SERIES)).numpy() for move in transforms]
    gaps = [np.linalg.norm(SERIES[:, None] - seen[None], axis=2) for seen in versions]
    distances = np.min(gaps, axis=0)
    np.fill_diagonal(distances, 0)
    expected = neighbor_graph(distances, 7, metric="precomputed")
    found = neighbor_graph(SERIES, 7, augment=SHIFT, n_views=6)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-3)


@pytest.mark.parametrize("augment", [RandomShift(0.0), torch.clone])
def test_the_identity_as_view_changes_nothing(augment):
    plain = neighbor_graph(SERIES, 7)
    same = neighbor_graph(SERIES, 7, augment=augment, n_views=2, random_state=0)
    np.testing.assert_allclose(same.toarray(), plain.toarray(), atol=1e-4)


def test_functions_are_views_too():
    both = np.concatenate([SERIES[:30], SERIES[:30, ::-1]])
    graph = neighbor_graph(both, 1, augment=flip, n_views=1)
    partners = np.asarray(graph.argmax(1)).ravel()
    np.testing.assert_array_equal(partners, np.roll(np.arange(60), 30))


def test_cells_find_nearly_all_neighbors():
    points = np.random.default_rng(0).normal(size=(10_500, 4))
    exact = neighbor_graph(points) > 0
    found = neighbor_graph(points, augment=torch.clone, n_views=1) > 0
    assert exact.multiply(found).sum() > 0.97 * exact.sum()


# ---- what they are for


def test_shifts_do_not_matter_to_clusters():
    plain = NeighborClustering(3, random_state=0).fit(SERIES)
    fit = shifted().fit(SERIES)
    assert clustering_accuracy(KIND, plain.labels_) < 0.9
    assert clustering_accuracy(KIND, fit.labels_) > 0.98
    np.testing.assert_array_equal(fit.predict(SERIES), fit.labels_)
    np.testing.assert_array_equal(fit.predict(np.roll(SERIES, 7, axis=1)), fit.labels_)
    assert shifted("auto").fit(SERIES).n_clusters_ == 3


def test_waves_need_shifts_of_a_period_and_no_large_ones():
    kind = np.arange(240) % 3
    start = np.random.RandomState(0).uniform(size=(240, 1))
    phase = (np.arange(96) / 16 + start) % 1
    waves = [2 * phase - 1, np.sign(0.5 - phase), np.sin(2 * np.pi * phase)]
    X = np.choose(kind[:, None], waves)
    scores = {}
    for change in (RandomShift(0.15), RandomShift(0.5, wrap=True)):
        found = NeighborClustering(3, augment=change, random_state=0).fit_predict(X)
        scores[change.wrap] = adjusted_rand_score(kind, found)
    assert scores[False] > 0.95
    assert scores[True] < 0.8


def test_images_may_move():
    X, y = load_digits(n_class=6, return_X_y=True)
    fit = NeighborClustering(6, augment=RandomAffine((1, 8, 8)), random_state=0).fit(X[:400])
    assert clustering_accuracy(y[:400], fit.labels_) > 0.95
    assert clustering_accuracy(y[400:800], fit.predict(X[400:800])) > 0.95


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_densities_are_trained_on_samples_as_they_are():
    start = NeighborClustering(3, augment=SHIFT, random_state=0).fit_predict(SERIES)
    density = {"init": start, "init_weight": 0.0, "smoothness_weight": 0.0} | SMALL
    for method in (VaDEClustering, DACClustering):
        fit = method(3, augment=flip, **density).fit(SERIES)
        same = method(3, **density).fit(SERIES)
        np.testing.assert_array_equal(fit.transform(SERIES), same.transform(SERIES))
    for method in (VaDEClustering, DACClustering, CatGANClustering):
        fit = method(3, augment=SHIFT, init=start, **SMALL).fit(SERIES)
        other = method(3, init=start, **SMALL).fit(SERIES)
        assert (fit.predict_proba(SERIES) != other.predict_proba(SERIES)).any()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_networks_give_their_augmentation_to_init():
    expected = shifted().fit(SERIES).labels_
    for method in (CatGANClustering, VaDEClustering):
        fit = method(3, augment=SHIFT, **SMALL).fit(SERIES)
        np.testing.assert_array_equal(fit.init_labels_, expected)
    own = NeighborClustering(augment=RandomShift(0.0))
    fit = CatGANClustering(3, augment=SHIFT, init=own, **SMALL).fit(SERIES)
    assert (fit.init_labels_ != expected).any()


# ---- laws


def test_all_options_together():
    known = np.where(np.arange(120) % 20 == 0, KIND, -1)
    options = {"contamination": 0.05, "use_labels": True}
    missing = SERIES.copy()
    missing[3, 5] = np.nan
    weight = np.arange(1, 121)
    fit = shifted("auto", **options).fit(missing, known, sample_weight=weight)
    np.testing.assert_array_equal(fit.predict(missing), fit.labels_)
    clusters = fit.predict_proba(missing).argmax(1)
    np.testing.assert_array_equal(clusters[known >= 0], known[known >= 0])
    assert len(set(fit.tree_.cut(5)) - {-1}) == 5


def test_fits_are_deterministic_and_survive_files(tmp_path):
    before = torch.get_rng_state()
    one, two = (
        NeighborClustering(3, augment=jitter, random_state=0).fit(SERIES) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    new = SERIES[::7] + 0.01
    expected = one.predict_proba(new)
    np.testing.assert_array_equal(two.predict_proba(new), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict_proba(new), expected)
    for fit in (shifted().fit(SERIES), shifted(standardize=True).fit(SERIES)):
        save(fit, tmp_path / "fit")
        same = load(tmp_path / "fit").predict_proba(new)
        np.testing.assert_array_equal(same, fit.predict_proba(new))


@pytest.mark.parametrize("unit", [1e-30, 1e25, 1e90])
def test_units_of_features_do_not_matter(unit):
    plain = neighbor_graph(SERIES, augment=SHIFT)
    graph = neighbor_graph(unit * SERIES, augment=SHIFT)
    np.testing.assert_array_equal(graph.indices, plain.indices)
    np.testing.assert_allclose(graph.data, plain.data, atol=1e-3)


def test_equal_and_few_values_have_views():
    few = np.random.RandomState(0).randint(0, 3, (10_500, 4)).astype(float)
    graph = neighbor_graph(few, augment=torch.clone, n_views=1)
    assert graph.indices.min() >= 0
    constant = NeighborClustering("auto", augment=SHIFT).fit(np.ones((20, 5)))
    assert (constant.predict(np.zeros((2, 5))) == 0).all()


# ---- errors


def draw_from_numpy(x):
    return x + torch.from_numpy(np.random.normal(size=x.shape))


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (lambda x: x[:, :3], r"must return a tensor of shape \(120, 40\).*\(120, 3\)"),
        (lambda x: x / 0, "must return finite numbers"),
        (draw_from_numpy, "draws random numbers that random_state does not determine"),
    ],
    ids=["shape", "infinite", "numpy"],
)
def test_functions_that_are_no_augmentation_are_refused(augment, message):
    with pytest.raises(ValueError, match=message):
        NeighborClustering(3, augment=augment).fit(SERIES)


@pytest.mark.parametrize(
    ("settings", "X", "message"),
    [
        ({"metric": "cosine"}, SERIES, "augment needs metric='euclidean'"),
        ({"kinds": {0: "category"}}, SERIES.round(), "changes numbers, but X has categories"),
        ({}, SERIES.reshape(120, 8, 5), r"shape \(120, 8, 5\).*X\.reshape\(len\(X\), -1\)"),
    ],
    ids=["metric", "categories", "3-D"],
)
def test_data_without_views_are_refused(settings, X, message):
    with pytest.raises(ValueError, match=message):
        shifted(**settings).fit(X)
    with pytest.raises(ValueError, match="needs dense samples"):
        neighbor_graph(sparse.csr_matrix(SERIES), augment=RandomShift(0.2))


# ---- changes that do not matter, found from the data


def draw_pulses(n_samples, latest):
    """Return series of three kinds of pulses that begin at any time up to ``latest``."""
    random = np.random.RandomState(0)
    kinds = np.arange(n_samples) % 3
    phase = (np.arange(48) - random.uniform(0, latest, size=(n_samples, 1))) % 48
    forms = [np.exp(-phase / 5), (phase < 12) * 0.7, np.exp(-(((phase - 24) / 4) ** 2))]
    rows = np.choose(kinds[:, None], forms)
    return rows + 0.05 * random.normal(size=rows.shape), kinds


def test_shifts_that_do_not_matter_are_found():
    X, kinds = draw_pulses(75, 48)
    found = NeighborClustering(3, augment="auto", random_state=0).fit(X)
    assert found.augment_ is not None
    scores = found.augment_scores_
    assert scores[max(scores, key=scores.get)] > scores["none"] + 0.05
    plain = NeighborClustering(3, random_state=0).fit(X)
    assert plain.augment_ is None
    assert adjusted_rand_score(kinds, found.labels_) > adjusted_rand_score(kinds, plain.labels_)
    again = NeighborClustering(3, augment=found.augment_, random_state=0).fit(X)
    np.testing.assert_array_equal(again.labels_, found.labels_)
    np.testing.assert_array_equal(found.predict(X), found.labels_)


def test_no_change_is_taken_where_none_helps():
    X, kinds = draw_pulses(75, 1)
    found = NeighborClustering(3, augment="auto", random_state=0).fit(X)
    assert found.augment_ is None
    assert adjusted_rand_score(kinds, found.labels_) > 0.95
    with pytest.raises(ValueError, match=r"48 features, but images of shape \(1, 5, 5\) have 25"):
        NeighborClustering(3, augment="auto", image_shape=(5, 5)).fit(X)
    for shape in [(6.0, 8.0), (-6, -8), ("6", "8"), (0, 48), (48,)]:
        with pytest.raises(ValueError, match="image_shape must be .*got"):
            NeighborClustering(3, augment="auto", image_shape=shape).fit(X)
