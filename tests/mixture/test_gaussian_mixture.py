"""GaussianMixtureEM against scikit-learn's, against its own laws, and its errors."""

import warnings

import joblib
import numpy as np
import pytest
import torch
from estimators import in_full
from scipy import sparse
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skdeepcluster.engine.runtime import limited_threads, share_out
from skdeepcluster.gaussian_mixture import GaussianMixtureEM
from skdeepcluster.mixture import initialization

K, D = 3, 4
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


def start(X, covariance_type):
    """Return the same start for both classes."""
    precisions = {
        "full": np.stack([np.eye(D) + 0.2 * k for k in range(K)]),
        "tied": np.eye(D) + 0.3,
        "diag": np.linspace(0.5, 2, K * D).reshape(K, D),
        "spherical": np.linspace(0.5, 2, K),
    }[covariance_type]
    return {
        "covariance_type": covariance_type,
        "weights_init": np.array([0.2, 0.3, 0.5]),
        "means_init": X[:K],
        "precisions_init": precisions,
    }


def assert_same(first, second, rtol=1e-6, atol=1e-9):
    # Mixtures of scikit-learn before 1.7 have no lower_bounds_.
    for name in [name for name in FITTED if name != "lower_bounds_" or hasattr(second, name)]:
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=rtol, atol=atol, err_msg=name
        )


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("batch_size", ["auto", 64, 7])
def test_equals_scikit_learn(X, covariance_type, offset, batch_size):
    # scikit-learn itself loses digits far from the origin, so its reference stays there.
    settings = start(X, covariance_type)
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
def test_storage_changes_no_result(X, covariance_type, tmp_path):
    X = np.where(np.abs(X) > 0.5, X, 0).astype(np.float32)
    X.tofile(tmp_path / "X")
    memmap = np.memmap(tmp_path / "X", dtype=np.float32, mode="r", shape=X.shape)
    mixture = GaussianMixtureEM(
        K, covariance_type=covariance_type, accept_sparse=True, random_state=0, tol=0.01
    )
    expected = clone(mixture).fit(X.astype(np.float64))
    backwards = X[::-1].astype(np.float64)[::-1]
    sparse_ones = sparse.csr_array(X), sparse.csc_matrix(X)
    for same in (X, backwards, np.asfortranarray(X), memmap, *sparse_ones):
        found = clone(mixture).fit(same)
        assert_same(found, expected)
        np.testing.assert_allclose(found.predict_proba(same), expected.predict_proba(X))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("init_params", INITS)
@no_convergence
def test_weights_are_repeated_rows(X, covariance_type, init_params):
    random_state = np.random.RandomState(0)
    weight = random_state.randint(0, 4, size=len(X))
    repeated = random_state.permutation(X.repeat(weight, axis=0))
    settings = {"covariance_type": covariance_type, "init_params": init_params, "n_init": 2}
    mixture = GaussianMixtureEM(K, max_iter=20, random_state=0, **settings)
    weighted = clone(mixture).fit(X, sample_weight=weight)
    plain = clone(mixture).fit(repeated)
    assert_same(weighted, plain)
    for name in ("score", "bic", "aic", "icl"):
        assert getattr(weighted, name)(X, sample_weight=weight) == pytest.approx(
            getattr(plain, name)(repeated), rel=1e-6
        )
    assert_same(clone(mixture).fit(X, sample_weight=weight / 1e3), weighted)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("init_params", INITS)
@no_convergence
def test_em_never_lowers_the_likelihood(X, covariance_type, init_params):
    settings = {"covariance_type": covariance_type, "init_params": init_params, "reg_covar": 0}
    mixture = GaussianMixtureEM(5, tol=0, max_iter=40, random_state=0, **settings)
    if init_params in ("k-means++", "random_from_data"):
        mixture.set_params(reg_covar=1e-6)  # single samples have no covariance of their own
    bounds = mixture.fit(X).lower_bounds_
    assert len(bounds) == mixture.n_iter_ == 40
    assert (np.diff(bounds) > -1e-6 * (mixture.reg_covar > 0) - 1e-12).all()
    assert mixture.score(X) >= bounds[-1] - 1e-6


def test_k_means_is_as_good_as_scikit_learn(X):
    x, generator = torch.from_numpy(X), torch.Generator().manual_seed(0)
    weight = torch.ones(len(x), dtype=x.dtype)
    centers = initialization.kmeans(x, weight, 5, generator, n_restarts=10)
    inertia = float(torch.cdist(x, centers).square().amin(1).sum())
    assert inertia <= KMeans(5, n_init=10, random_state=0).fit(X).inertia_ * 1.01


def test_responsibilities_initialize(X):
    resp = np.random.RandomState(0).dirichlet(np.ones(K), size=len(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = GaussianMixtureEM(K, init_params=resp, max_iter=0).fit(X)
    np.testing.assert_allclose(mixture.weights_, resp.mean(0))
    np.testing.assert_allclose(mixture.means_, (resp.T @ X) / resp.sum(0)[:, None])
    assert mixture.n_iter_ == 0
    again = GaussianMixtureEM(K, init_params=mixture.predict_proba(X), max_iter=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        one_step = GaussianMixtureEM(K, init_params=resp, max_iter=1).fit(X)
    np.testing.assert_allclose(again.means_, one_step.means_)
    np.testing.assert_allclose(again.covariances_, one_step.covariances_)


@pytest.mark.parametrize("covariance_type", TYPES)
@no_convergence
def test_partial_fit_without_decay_is_a_step_of_em(X, covariance_type):
    settings = {"covariance_type": covariance_type, "random_state": 0, "learning_decay": 0.0}
    batch = GaussianMixtureEM(K, max_iter=4, tol=0, **settings).fit(X)
    stepwise = GaussianMixtureEM(K, **settings)
    for _ in range(4):
        stepwise.partial_fit(X)
    np.testing.assert_allclose(stepwise.means_, batch.means_)
    np.testing.assert_allclose(stepwise.covariances_, batch.covariances_)
    assert stepwise.lower_bound_ == pytest.approx(batch.lower_bound_)
    assert stepwise.n_batch_iter_ == 4
    np.testing.assert_array_equal(stepwise.labels_, stepwise.predict(X))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("step", ["fit", "partial_fit"])
def test_continuing_keeps_number_and_type(X, covariance_type, step):
    mixture = GaussianMixtureEM(D, covariance_type=covariance_type, random_state=0, tol=0.1)
    mixture.set_params(warm_start=step == "fit").fit(X)  # as many components as features
    means = mixture.means_
    for name, value in [("n_clusters", 5), *(("covariance_type", t) for t in TYPES)]:
        if value != covariance_type:
            now = mixture.get_params()[name]
            mixture.set_params(**{name: value})
            with pytest.raises(ValueError, match=f"{name}={now!r}, but now {name}={value!r}"):
                getattr(mixture, step)(X)
            mixture.set_params(**{name: now})
    with pytest.raises(ValueError, match="expecting 4 features"):
        getattr(mixture, step)(X[:, :2])
    assert mixture.means_ is means
    assert getattr(mixture.set_params(n_clusters="auto"), step)(X).n_clusters_ == D


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_fitted_mixture_is_a_fixed_point(X, covariance_type):
    mixture = GaussianMixtureEM(
        K, covariance_type=covariance_type, tol=1e-10, max_iter=2000, random_state=0
    ).fit(X)
    means, covariances = mixture.means_, mixture.covariances_
    mixture.partial_fit(X)
    np.testing.assert_allclose(mixture.means_, means, atol=1e-3)
    np.testing.assert_allclose(mixture.covariances_, covariances, atol=1e-3)


def test_small_batches_are_collected_and_learned():
    X, y = make_blobs(3000, centers=4, n_features=3, cluster_std=0.7, random_state=5)
    mixture = GaussianMixtureEM(4, random_state=0)
    for i in range(0, 3000, 10):
        batch = X[i : i + 10]
        mixture.partial_fit(batch)
        if i < 50:
            assert mixture.labels_.tolist() == [-1] * 10
            assert mixture.probabilities_.tolist() == [0] * 10
            with pytest.raises(NotFittedError):
                mixture.predict(X)
        else:
            np.testing.assert_array_equal(mixture.labels_, mixture.predict(batch))
            expected = mixture.predict_proba(batch).max(1)
            np.testing.assert_allclose(mixture.probabilities_, expected)
    assert mixture.n_batch_iter_ == 295
    assert adjusted_rand_score(y, mixture.predict(X)) > 0.99
    whole = GaussianMixtureEM(4, random_state=0).fit(X)
    assert mixture.score(X) == pytest.approx(whole.score(X), abs=0.1)


@pytest.mark.parametrize("covariance_type", ["full", *in_full("tied", "diag", "spherical")])
def test_a_starved_component_moves_to_samples(covariance_type):
    X, y = make_blobs(600, centers=[[-5, 0], [5, 0]], cluster_std=0.5, random_state=0)
    shape = {"full": np.stack([np.eye(2)] * 2), "tied": np.eye(2), "diag": np.ones((2, 2))}
    mixture = GaussianMixtureEM(
        2,
        covariance_type=covariance_type,
        weights_init=[0.5, 0.5],
        means_init=[[0, 0], [1000, 0]],
        precisions_init=shape.get(covariance_type, np.ones(2)),
        learning_offset=2.0,
        random_state=0,
    )
    for i in [*range(0, 600, 60)] * 40:
        mixture.partial_fit(X[i : i + 60])
    assert adjusted_rand_score(y, mixture.predict(X)) == 1


def test_warm_start_continues(X):
    mixture = GaussianMixtureEM(K, max_iter=1, warm_start=True, random_state=0, tol=1e-4)
    bounds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
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
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        mixture.sample(0)
    with pytest.raises(TypeError, match="n_samples must be an instance of"):
        mixture.sample(2.5)


def test_icl_is_bic_plus_entropy(X):
    mixture = GaussianMixtureEM(K, random_state=0).fit(X)
    resp = mixture.predict_proba(X)
    assert mixture.icl(X) == pytest.approx(mixture.bic(X) - 2 * xlogy(resp, resp).sum())


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e7])
def test_copies_have_no_covariance(covariance_type, scale):
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


def test_empty_components_go_last_with_a_warning():
    X = np.repeat([[0.0, 0.0], [3.0, 1.0], [5.0, 5.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="Only 3 of n_clusters=5 components have samples"):
        mixture = GaussianMixtureEM(5, random_state=0).fit(X)
    assert set(mixture.labels_) == {0, 1, 2}
    np.testing.assert_array_equal(mixture.labels_, mixture.predict(X))
    assert mixture.weights_[3:].max() < 1e-10
    spread = np.random.RandomState(0).normal(size=(50, 2))
    with pytest.warns(ConvergenceWarning, match="reg_covar=1e-06 may be large"):
        GaussianMixtureEM(3, random_state=0).fit(1e-5 * spread)


def test_ctrl_c_keeps_the_mixture_so_far(X, monkeypatch):
    def interrupt(self, start, i, *_):
        if i == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(GaussianMixtureEM, "_report", interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 iterations"):
        mixture = GaussianMixtureEM(K, random_state=0, n_init=3).fit(X)
    assert mixture.n_iter_ == 2
    np.testing.assert_array_equal(mixture.labels_, mixture.predict(X))


def test_ctrl_c_in_a_later_initialization_keeps_runs(X, monkeypatch):
    initialize, left = initialization.Initializer.initialize, [1]

    def interrupt(self, *args):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return initialize(self, *args)

    expected = GaussianMixtureEM(K, random_state=0).fit(X)
    monkeypatch.setattr(initialization.Initializer, "initialize", interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mixture = GaussianMixtureEM(K, random_state=0, n_init=3).fit(X)
    np.testing.assert_array_equal(mixture.means_, expected.means_)
    with pytest.raises(KeyboardInterrupt):
        GaussianMixtureEM(K, random_state=0).fit(X)


@pytest.mark.parametrize("value", [1.7e18 + 12345, -1e30])
def test_a_constant_column_changes_nothing(X, value):
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
@pytest.mark.parametrize("covariance_type", TYPES)
def test_threads_change_no_result(X, covariance_type):
    settings = start(X, covariance_type)
    parallel = GaussianMixtureEM(K, batch_size=7, **settings).fit(X)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert_same(parallel, GaussianMixtureEM(K, batch_size=7, **settings).fit(X))


def test_verbose_prints_iterations(X, capsys):
    GaussianMixtureEM(K, verbose=2, verbose_interval=1, random_state=0).fit(X)
    printed = capsys.readouterr().out
    assert "Initialization 0" in printed
    assert "Iteration 1\t lower bound" in printed


def test_global_random_states_are_unchanged(X):
    state, seeds = torch.get_rng_state(), joblib.hash(np.random.get_state())
    GaussianMixtureEM(K, random_state=0, n_init=2, tol=0.1).fit(X).sample(3)
    torch.testing.assert_close(torch.get_rng_state(), state)
    assert joblib.hash(np.random.get_state()) == seeds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights_init": [0.5, 0.5]}, r"'weights_init' should have the shape of \(3,\)"),
        ({"weights_init": [0.5, 0.5, 0.5]}, "sum to 1.*the sum 1.5"),
        ({"weights_init": [1.5, 0.5, -1.0]}, "at least 0.*minimum is -1"),
        ({"means_init": np.zeros((2, D))}, r"'means_init' should have the shape of \(3, 4\)"),
        ({"means_init": np.full((K, D), np.nan)}, "means_init contains NaN"),
        ({"precisions_init": np.eye(D)}, r"'precisions_init' should have the shape"),
        ({"precisions_init": -np.stack([np.eye(D)] * K)}, "symmetric and positive definite"),
        ({"precisions_init": np.arange(K * D * D).reshape(K, D, D)}, "symmetric"),
        ({"covariance_type": "spherical", "precisions_init": [1, 0, 1]}, "should be positive"),
        ({"init_params": np.ones((10, K))}, r"'init_params' should have the shape of \(300, 3\)"),
        ({"init_params": np.ones((300, K))}, "each row sum to 1"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"n_clusters": 301}, "n_samples=300 should be >= n_clusters=301"),
        ({"batch_size": 0}, "'batch_size' parameter"),
    ],
)
def test_mistakes_are_explained(X, settings, message):
    mixture = GaussianMixtureEM(**({"n_clusters": K, "random_state": 0} | settings))
    with pytest.raises(ValueError, match=message):
        mixture.fit(X)
    with pytest.raises(NotFittedError):
        mixture.predict(X)
    assert not [name for name in vars(mixture) if name.endswith("_")]


@no_convergence
def test_a_failed_fit_leaves_the_last_one(X):
    mixture = GaussianMixtureEM(K, max_iter=2, random_state=0).fit(X)
    before = mixture.predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        mixture.fit(np.full((20, 2), np.nan))
    with pytest.raises(ValueError, match="covers samples of weight"):
        mixture.set_params(reg_covar=0).fit(np.repeat(X[:3], 10, axis=0)[:, :2])
    np.testing.assert_array_equal(mixture.predict_proba(X), before)


# ---- values of any size


def test_a_far_sample_belongs_to_the_widest():
    means, precisions = [[-1.0, 0.0], [1.0, 0.0]], [[1.0, 4.0], [4.0, 1.0]]
    start = {"weights_init": [0.5, 0.5], "means_init": means, "precisions_init": precisions}
    mixture = GaussianMixtureEM(2, covariance_type="diag", max_iter=0, **start)
    mixture.fit([[-1.0, 0.0], [1.0, 0.0]])
    far = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    for distance in (10.0, 1e20, 1e300):
        np.testing.assert_array_equal(mixture.predict(distance * far), [0, 1, 0, 1])
        np.testing.assert_allclose(mixture.predict_proba(distance * far).max(1), 1)


@pytest.mark.parametrize("value", [1e17, 1e20, 1e39, 1e160, -1e300])
def test_too_large_values_are_named(X, value):
    broken = X.copy()
    broken[7, 2] = value
    for rows in (broken, sparse.csr_array(broken)):
        with pytest.raises(ValueError, match=r"value.* 1e\+.*too large"):
            GaussianMixtureEM(K, accept_sparse=True, random_state=0).fit(rows)
    if abs(value) > 1e100:
        with pytest.raises(ValueError, match="too large"):
            GaussianMixtureEM(K).partial_fit(broken)


def test_k_means_divides_ties():
    x, centres = (torch.tensor(values).double()[:, None] for values in ([-1, 0, 1], [-1, 1]))
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found, inertia = initialization.lloyd(x, weight, centres, max_iter=1)
    np.testing.assert_allclose(found.ravel(), [-1 / 2, 3 / 4])
    assert inertia == pytest.approx(2)


def test_weights_whose_sum_overflows_are_shares(X):
    one, other = GaussianMixtureEM(3, random_state=0), GaussianMixtureEM(3, random_state=0)
    one.fit(X)
    other.fit(X, sample_weight=np.full(len(X), 1e307))
    np.testing.assert_allclose(other.means_, one.means_)


def test_bad_weights_and_sparse_samples_are_refused(X):
    mixture = GaussianMixtureEM(K)
    with pytest.raises(ValueError, match="Negative values in sample_weight, the least -1"):
        mixture.fit(X, sample_weight=np.r_[-1, np.ones(len(X) - 1)])
    with pytest.raises(ValueError, match="non-zero"):
        mixture.fit(X, sample_weight=np.zeros(len(X)))
    with pytest.raises(TypeError, match="accept_sparse=True"):
        mixture.fit(sparse.csr_array(X))
    broken = sparse.csr_array(X)
    broken.data[5] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        GaussianMixtureEM(K, accept_sparse=True).fit(broken)


@pytest.mark.usefixtures("two_threads")
def test_failing_threads_restore_their_number():
    def work(i, n, stop):
        if i == 0:
            raise ValueError("share 0 of 2")
        return stop.wait(20)

    with pytest.raises(ValueError, match="share 0 of 2"):
        share_out(work, max_workers=5)
    assert torch.get_num_threads() == 2
    with limited_threads():
        with limited_threads(2) as n_threads:
            assert (torch.get_num_threads(), n_threads) == (1, 1)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


# ---- components far apart


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("separation", [1e2, 1e5, 1e9])
def test_components_far_apart_equal_scikit_learn(covariance_type, separation):
    """Each is the mixture of one component that scikit-learn fits to its samples at the origin."""
    random_state, sizes = np.random.RandomState(0), np.array([40, 60, 80, 120])
    y, places = np.repeat(np.arange(4), sizes), separation * np.eye(4)[:, 1:]
    X = random_state.normal(size=(300, 3)) @ (np.eye(3) + 0.3) + places[y]
    mixture = GaussianMixtureEM(4, covariance_type=covariance_type, random_state=0).fit(X)
    assert adjusted_rand_score(y, mixture.labels_) == 1
    assert (np.diff(mixture.lower_bounds_) > -1e-9).all()
    own_type = "full" if covariance_type == "tied" else covariance_type
    parts = [X[y == k] - places[k] for k in range(4)]
    alone = [GaussianMixture(1, covariance_type=own_type).fit(part) for part in parts]
    order = mixture.predict(places)
    means = np.concatenate([one.means_ for one in alone])
    np.testing.assert_allclose(mixture.means_[order] - places, means, atol=1e-6)
    expected = np.concatenate([one.covariances_ for one in alone])
    if covariance_type == "tied":
        expected = np.average(expected, axis=0, weights=sizes)
        np.testing.assert_allclose(mixture.covariances_, expected, rtol=1e-5)
        return
    np.testing.assert_allclose(mixture.covariances_[order], expected, rtol=1e-5)
    scores = [one.score_samples(part) for one, part in zip(alone, parts, strict=True)]
    scores = np.concatenate(scores) + np.log(sizes / 300).repeat(sizes)
    np.testing.assert_allclose(mixture.score_samples(X), scores, atol=1e-5)
    assert mixture.lower_bound_ == pytest.approx(scores.mean(), abs=1e-6)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_code_for_missing_values_is_a_component(covariance_type):
    X, y = make_blobs(600, centers=[[0, 0], [10, 0], [0, 10]], random_state=0)
    X[::20, 1], y[::20] = 999_999_999, 3
    mixture = GaussianMixtureEM(4, covariance_type=covariance_type, random_state=0).fit(X)
    assert adjusted_rand_score(y, mixture.labels_) > 0.99
    assert (np.diff(mixture.lower_bounds_) > -1e-9).all()
    continued = GaussianMixtureEM(4, covariance_type=covariance_type, learning_decay=0)
    for _ in range(3):
        continued.set_params(random_state=0).partial_fit(X)
    np.testing.assert_allclose(np.sort(continued.weights_), np.sort(mixture.weights_), atol=1e-3)
