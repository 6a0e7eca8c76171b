"""GaussianMixtureEM against scikit-learn's, against its own laws, and its errors."""

import numpy as np
import pandas as pd
import pytest
import torch
from common import constrain, full_covariances, given_mixture
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.mixture import em

K = 3
D = 4
TYPES = ["full", "tied", "diag", "spherical"]
INITS = ["kmeans", "k-means++", "random", "random_from_data"]
FITTED = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]
FITTED += ["lower_bound_", "lower_bounds_", "n_iter_", "converged_"]
no_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    """Overlapping groups of unequal size and shape."""
    random_state = np.random.RandomState(0)
    parts = [
        random_state.randn(n, D) @ random_state.randn(D, D) + 2 * random_state.randn(D)
        for n in (60, 90, 150)
    ]
    return random_state.permutation(np.concatenate(parts))


def widen(covariances, n_clusters):
    """Return covariances of any type as (K, D, D)."""
    if covariances.ndim == 2:
        covariances = np.stack([np.eye(D) * variances for variances in covariances])
    return np.broadcast_to(covariances, (n_clusters, D, D))


def assert_same(first, second, rtol=1e-6, atol=1e-9):
    # Mixtures of scikit-learn before 1.7 have no lower_bounds_.
    for name in [name for name in FITTED if name != "lower_bounds_" or hasattr(second, name)]:
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=rtol, atol=atol, err_msg=name
        )


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("offset", "batch_size"), [(0.0, "auto"), (1e4, 7)])
def test_equals_scikit_learn(X, covariance_type, offset, batch_size):
    # scikit-learn itself loses digits far from the origin, so its reference stays there.
    settings = given_mixture(X[:K], covariance_type)
    theirs = GaussianMixture(K, **settings).fit(X)
    settings["means_init"] = settings["means_init"] + offset
    ours = GaussianMixtureEM(K, batch_size=batch_size, **settings).fit(X + offset)
    ours.means_ -= offset
    assert_same(ours, theirs)
    np.testing.assert_allclose(
        ours.predict_proba(X + offset), theirs.predict_proba(X), rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(ours.score_samples(X + offset), theirs.score_samples(X), rtol=1e-6)
    np.testing.assert_array_equal(ours.labels_, theirs.predict(X))
    for name in ("score", "bic", "aic"):
        assert getattr(ours, name)(X + offset) == pytest.approx(getattr(theirs, name)(X), rel=1e-6)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("init_params", INITS)
@no_convergence
def test_weights_are_repetitions(X, covariance_type, init_params):
    random_state = np.random.RandomState(0)
    weight = random_state.randint(0, 4, size=len(X))
    repeated = random_state.permutation(X.repeat(weight, axis=0))
    settings = {"covariance_type": covariance_type, "init_params": init_params}
    mixture = GaussianMixtureEM(K, n_init=2, max_iter=20, random_state=0, **settings)
    weighted = clone(mixture).fit(X, sample_weight=weight)
    plain = clone(mixture).fit(repeated)
    assert_same(weighted, plain)
    for name in ("score", "bic", "aic"):
        assert getattr(weighted, name)(X, sample_weight=weight) == pytest.approx(
            getattr(plain, name)(repeated), rel=1e-6
        )
    assert_same(clone(mixture).fit(X, sample_weight=weight / 1e3), weighted)


def test_weights_are_repetitions_in_a_sample_of_X():
    X, _ = make_blobs(26_000, n_features=2, centers=3, random_state=0)  # a part initializes
    weight = np.random.RandomState(0).randint(1, 3, size=len(X))
    mixture = GaussianMixtureEM(K, random_state=0)
    weighted = clone(mixture).fit(X, sample_weight=weight)
    assert_same(weighted, clone(mixture).fit(X.repeat(weight, axis=0)))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("init_params", INITS)
@no_convergence
def test_em_never_lowers_the_likelihood(X, covariance_type, init_params):
    settings = {"covariance_type": covariance_type, "init_params": init_params}
    # Single rows have no covariance of their own.
    settings["reg_covar"] = 1e-6 if init_params in ("k-means++", "random_from_data") else 0
    mixture = GaussianMixtureEM(5, tol=0, max_iter=40, random_state=0, **settings)
    bounds = mixture.fit(X).lower_bounds_
    assert len(bounds) == mixture.n_iter_ == 40
    assert (np.diff(bounds) > -1e-6 * (mixture.reg_covar > 0) - 1e-12).all()
    assert mixture.score(X) >= bounds[-1] - 1e-6


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_fit_that_goes_on_keeps_number_and_type(X, covariance_type):
    mixture = GaussianMixtureEM(D, covariance_type=covariance_type, random_state=0, tol=0.1)
    mixture.set_params(warm_start=True).fit(X)  # as many components as features
    means = mixture.means_
    for name, value in [("n_clusters", 5), *(("covariance_type", t) for t in TYPES)]:
        if value != covariance_type:
            now = mixture.get_params()[name]
            mixture.set_params(**{name: value})
            with pytest.raises(ValueError, match=f"from 4 components.*but now.*{name}={value!r}"):
                mixture.fit(X)
            mixture.set_params(**{name: now})
    with pytest.raises(ValueError, match="expecting 4 features"):
        mixture.fit(X[:, :2])
    assert mixture.means_ is means
    assert mixture.set_params(n_clusters="auto").fit(X).n_clusters_ == D


@no_convergence
def test_warm_start_goes_on(X):
    mixture = GaussianMixtureEM(K, max_iter=1, warm_start=True, random_state=0, tol=1e-4)
    bounds = []
    for _ in range(1000):
        bounds += mixture.fit(X).lower_bounds_
        if mixture.converged_:
            break
    whole = GaussianMixtureEM(K, max_iter=1000, random_state=0, tol=1e-4).fit(X)
    np.testing.assert_allclose(bounds, whole.lower_bounds_)


def test_sample_follows_the_mixture(X):
    mixture = GaussianMixtureEM(K, random_state=0).fit(X)
    drawn, component = mixture.sample(40_000)
    assert drawn.shape == (40_000, D)
    np.testing.assert_allclose(np.bincount(component) / 40_000, mixture.weights_, atol=0.01)
    np.testing.assert_allclose(
        [drawn[component == k].mean(0) for k in range(K)], mixture.means_, atol=0.15
    )
    np.testing.assert_array_equal(mixture.sample(5)[0], mixture.sample(5)[0])
    with pytest.raises(ValueError, match="n_samples == 0"):
        mixture.sample(0)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("scale", [1e-3, 1e7])
def test_copies_have_no_covariance_of_their_own(covariance_type, scale):
    rows = np.array([[0.1, 0.7, -0.3], [2.3, 1.1, 0.9], [5.7, -2.1, 3.3]])
    copies = scale * np.repeat(rows, [301, 177, 99], axis=0)
    settings = {"covariance_type": covariance_type, "random_state": 0}
    # scikit-learn 1.6 fits spherical components, by rounding.
    others = [] if covariance_type == "spherical" else [GaussianMixture]
    for mixture in [GaussianMixtureEM, *others]:
        with pytest.raises(ValueError, match="reg_covar"):
            mixture(3, reg_covar=0, **settings).fit(copies)
    loose = copies + 1e-5 * scale * np.random.default_rng(0).normal(size=copies.shape)
    ours = GaussianMixtureEM(3, reg_covar=0, **settings).fit(loose)
    theirs = GaussianMixture(3, reg_covar=0, **settings).fit(loose)
    assert ours.score(loose) == pytest.approx(theirs.score(loose), abs=1e-3)


def test_components_without_samples_go_last_and_are_reported():
    X = np.repeat([[0.0, 0.0], [3.0, 1.0], [5.0, 5.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="Only 3 of n_clusters=5 components have samples"):
        mixture = GaussianMixtureEM(5, random_state=0).fit(X)
    assert set(mixture.labels_) == {0, 1, 2}
    np.testing.assert_array_equal(mixture.labels_, mixture.predict(X))
    assert mixture.weights_[3:].max() < 1e-10


@pytest.mark.parametrize("value", [1.7e18 + 12345, -1e30])
def test_a_constant_column_of_any_size_changes_nothing(X, value):
    wide = np.column_stack([X, np.full(len(X), value)])
    alone = GaussianMixtureEM(K, random_state=0).fit(X)
    beside = GaussianMixtureEM(K, random_state=0).fit(wide)
    assert adjusted_rand_score(alone.labels_, beside.labels_) == 1


@pytest.fixture
def two_threads():
    """Let torch use two threads, as it does by itself on any machine."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_threads_change_no_prediction(X, covariance_type):
    settings = given_mixture(X[:K], covariance_type)
    parallel = GaussianMixtureEM(K, batch_size=7, **settings).fit(X)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert_same(parallel, GaussianMixtureEM(K, batch_size=7, **settings).fit(X))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights_init": [0.5, 0.5]}, r"'weights_init' should have the shape of \(3,\)"),
        ({"weights_init": [0.5, 0.5, 0.5]}, "sum to 1.*range from 1.5"),
        ({"weights_init": [1.5, 0.5, -1.0]}, "smallest value is -1"),
        ({"means_init": np.zeros((2, D))}, r"'means_init' should have the shape of \(3, 4\)"),
        ({"means_init": np.full((K, D), np.nan)}, "means_init contains NaN"),
        ({"precisions_init": np.arange(K * D * D).reshape(K, D, D)}, "positive-definite"),
        ({"covariance_type": "spherical", "precisions_init": [1, 0, 1]}, "should be positive"),
        ({"device": "abacus"}, "device='abacus'"),
    ],
)
def test_mistakes_are_explained_and_leave_nothing_behind(X, settings, message):
    mixture = GaussianMixtureEM(**({"n_clusters": K, "random_state": 0} | settings))
    with pytest.raises(ValueError, match=message):
        mixture.fit(X)
    for method in (mixture.predict, mixture.predict_proba, mixture.score_samples):
        with pytest.raises(NotFittedError):
            method(X)
    assert not [name for name in vars(mixture) if name.endswith("_")]


def test_a_fit_forgets_the_last_one_but_nothing_of_the_user(X):
    frame = pd.DataFrame(X, columns=list("abcd"))
    mixture = GaussianMixtureEM((1, 4), random_state=0).fit(frame)
    assert {"n_clusters_curve_", "feature_names_in_"} < vars(mixture).keys()
    mixture.note_ = "mine"
    again = mixture.set_params(n_clusters=K).fit(X)
    expected = clone(again).fit(X)
    assert vars(again).keys() == vars(expected).keys() | {"note_"}
    assert again.note_ == "mine"


@pytest.mark.parametrize("covariance_type", TYPES)
@no_convergence
def test_sparse_samples_are_taken_as_dense_ones(X, covariance_type):
    thinned = X * (np.abs(X) > np.quantile(np.abs(X), 0.75))
    mixture = GaussianMixtureEM(K, covariance_type=covariance_type, max_iter=5, random_state=0)
    dense = clone(mixture).fit(thinned)
    found = clone(mixture).fit(csr_array(thinned))
    assert_same(found, dense)
    new = thinned[::2]
    np.testing.assert_array_equal(found.predict_proba(csr_array(new)), found.predict_proba(new))


# ---- values of any size


def test_a_sample_far_away_belongs_to_the_widest_component():
    means = [[-1.0, 0.0], [1.0, 0.0]]
    precisions = [[1.0, 4.0], [4.0, 1.0]]
    start = {"weights_init": [0.5, 0.5], "means_init": means, "precisions_init": precisions}
    mixture = GaussianMixtureEM(2, covariance_type="diag", max_iter=0, **start)
    mixture.fit([[-1.0, 0.0], [1.0, 0.0]])
    far = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    for distance in (10.0, 1e20, 1e300):
        np.testing.assert_array_equal(mixture.predict(distance * far), [0, 1, 0, 1])
        np.testing.assert_allclose(mixture.predict_proba(distance * far).max(1), 1)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_codes_for_missing_values_are_one_cluster(covariance_type):
    rng = np.random.default_rng(0)
    y = np.arange(600) % 3
    X = rng.normal(size=(600, 4)) + 8 * np.eye(4)[y]
    is_coded = rng.uniform(size=600) < 0.05
    X[is_coded, 2] = 999_999
    y[is_coded] = 3
    fit = GaussianMixtureEM(4, covariance_type=covariance_type, random_state=0).fit(X)
    assert fit.converged_
    assert clustering_accuracy(y, fit.labels_) > 0.99
    # Squares of a million are rounded where variances are small: those of a "diag" component.
    rounding = 1e-3 if covariance_type == "diag" else 1e-5
    assert np.diff(fit.lower_bounds_).min() > -rounding


def test_reg_covar_is_named_where_units_are_small():
    X = np.random.default_rng(0).normal(size=(90, 3)) + 6 * np.eye(3)[np.arange(90) % 3]
    with pytest.warns(ConvergenceWarning, match="Decrease n_clusters or reg_covar, or scale X"):
        GaussianMixtureEM(3, random_state=0).fit(X * 1e-4)


@no_convergence
@pytest.mark.parametrize("init_params", INITS)
def test_samples_of_weight_zero_are_no_initial_means(X, init_params):
    weight = np.r_[np.ones(3), np.zeros(297)]
    mixture = GaussianMixtureEM(4, init_params=init_params, max_iter=1, random_state=0)
    alone = clone(mixture).fit(np.r_[X[:3], X[:1]], sample_weight=[1, 1, 1, 0])
    assert_same(mixture.fit(X, sample_weight=weight), alone)


@pytest.mark.parametrize(("offset", "size"), [(0, 1.0), (1e12, 1.0), (0, 1e-5)])
@pytest.mark.parametrize("init_params", ["k-means++", "kmeans"])
def test_initial_means_are_far_apart(X, offset, size, init_params):
    corners = 100.0 * np.stack(np.meshgrid(*[[0, 1]] * 4), -1).reshape(16, 4)
    parts = np.repeat(corners, 20, axis=0) + np.tile(X[:20], (16, 1)) / 20
    mixture = GaussianMixtureEM(16, init_params=init_params, max_iter=0, random_state=0)
    mixture.set_params(covariance_type="diag", reg_covar=0.1 * size**2)
    means = mixture.fit(size * parts + offset).means_
    assert len({tuple(mean - offset > 50 * size) for mean in means}) == 16


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("gap", [1e3, 1e5])
@pytest.mark.parametrize("features", [slice(None), slice(3, None)])
def test_clusters_far_apart_keep_digits(X, covariance_type, gap, features):
    labels = np.arange(len(X)) % 2
    far = X.copy()
    far[:, features] += gap * labels[:, None] + 2 * gap
    found = em.m_step(far, np.eye(2)[labels], covariance_type, reg_covar=0.0)
    each = np.stack([np.cov(far[labels == k].T, bias=True) for k in range(2)])
    expected = widen(constrain(each, [0.5, 0.5], covariance_type), 2)
    np.testing.assert_allclose(full_covariances(found), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gap", [3, 1e6])
def test_a_step_of_em_reads_the_samples_once(gap, monkeypatch):
    rows, y = make_blobs(90, centers=gap * np.eye(3), random_state=0)
    options = em.MStep("full", 1e-6)
    mixture = em.m_step(rows, np.eye(3)[y], *options)
    passes = []
    sums = em.WeightedRows.sums
    monkeypatch.setattr(em.WeightedRows, "sums", lambda *a: passes.append(1) or sums(*a))
    em.step(em.as_rows(rows, 3, "full"), mixture, options)
    assert len(passes) == 1


@pytest.mark.filterwarnings("error")
def test_a_fit_with_a_number_from_a_range_is_continued():
    rows, _ = make_blobs(240, centers=4, cluster_std=0.5, random_state=3)
    fit = GaussianMixtureEM((2, 4), random_state=0, warm_start=True).fit(rows)
    assert (fit.n_clusters_, fit.fit(rows).n_clusters_) == (4, 4)
    with pytest.raises(ValueError, match=r"from 4 components.*n_clusters=3"):
        fit.set_params(n_clusters=3).fit(rows)
