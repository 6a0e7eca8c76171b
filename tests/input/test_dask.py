"""Estimators take Dask arrays as arrays, for any blocks, and blocks stay where they are."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from skdeepcluster import CatGANClassifier, GaussianMixtureEM, NeighborClustering, VaDEClustering

da = pytest.importorskip("dask.array")

X, _ = make_blobs(450, centers=4, n_features=5, random_state=0)
WEIGHT = np.random.RandomState(0).randint(0, 4, size=450).astype(float)


@pytest.mark.parametrize(
    ("covariance_type", "chunks"),
    [("full", ((1, 0, 250, 199), 5)), ("tied", (77, 2)), ("diag", (250, 5))],
)
def test_any_blocks_give_the_same_mixture(covariance_type, chunks):
    params = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-6}
    one = GaussianMixtureEM(4, **params).fit(X, sample_weight=WEIGHT)
    blocks = da.from_array(X, chunks=chunks)
    two = GaussianMixtureEM(4, **params).fit(blocks, sample_weight=WEIGHT)
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=0, atol=1e-8)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_allclose(getattr(one, method)(X), getattr(two, method)(blocks))
    assert one.bic(X) == pytest.approx(two.bic(blocks), abs=1e-6)


@pytest.mark.parametrize("init", ["k-means++", "random", "random_from_data"])
def test_any_initialization(init):
    one, two = (
        GaussianMixtureEM(4, init_params=init, max_iter=30, n_init=2, random_state=1).fit(rows)
        for rows in (X, da.from_array(X, chunks=(200, 5)))
    )
    np.testing.assert_allclose(one.means_, two.means_, rtol=0, atol=1e-8)


def test_only_sums_and_a_few_samples_are_gathered(monkeypatch):
    sizes = []

    def counted(block):
        sizes.append(len(block))
        return block

    many = np.tile(X, (60, 1)) + np.arange(27_000)[:, None] / 1e6  # a part is gathered
    blocks = da.from_array(many, chunks=(3000, 5)).map_blocks(counted, dtype=float)
    monkeypatch.setattr(type(blocks), "__array__", None)  # gathering all samples fails
    mixture = GaussianMixtureEM(4, random_state=0).fit(blocks)
    assert max(sizes) == 3000
    assert mixture.labels_.shape == (27_000,)


@pytest.mark.full
def test_two_worker_processes():
    distributed = pytest.importorskip("distributed")
    one = GaussianMixtureEM(4, random_state=0).fit(X)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        blocks = client.persist(da.from_array(X, chunks=(150, 5)))
        two = GaussianMixtureEM(4, random_state=0).fit(blocks)
        np.testing.assert_array_equal(two.predict(blocks), one.labels_)
    np.testing.assert_allclose(one.means_, two.means_, rtol=0, atol=1e-8)


def test_mistakes_are_explained():
    blocks = da.from_array(X, chunks=(100, 5))
    mixture = GaussianMixtureEM(4, random_state=0)
    with pytest.raises(ValueError, match="Expected a Dask array of two dimensions"):
        mixture.fit(blocks[:, 0])
    with pytest.raises(ValueError, match=r"should be >= n_clusters=4"):
        mixture.fit(blocks[:3])
    with pytest.raises(ValueError, match="infinity"):
        mixture.fit(da.where(blocks == blocks[220, 2], np.inf, blocks))
    assert not hasattr(mixture, "means_")
    with pytest.raises(ValueError, match="X has 4 features, but GaussianMixtureEM is expecting 5"):
        mixture.fit(blocks).predict(blocks[:, :4])


def test_unknown_lengths_and_frames():
    blocks = da.from_array(X, chunks=(300, 5))
    some = blocks[blocks[:, 0] > 0]
    one = GaussianMixtureEM(2, random_state=0).fit(some)
    two = GaussianMixtureEM(2, random_state=0).fit(X[X[:, 0] > 0])
    np.testing.assert_allclose(one.means_, two.means_, rtol=0, atol=1e-8)
    frames = pytest.importorskip("dask.dataframe")
    frame = frames.from_array(X, chunksize=100)
    with pytest.raises(ValueError, match=r"by X.to_dask_array\(lengths=True\)"):
        GaussianMixtureEM(2).fit(frame)
    GaussianMixtureEM(2).fit(frame.to_dask_array(lengths=True))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


# ---- samples drawn from Dask arrays, and lazy predictions


class Watched:
    """An array that remembers the slices that are read."""

    shape = X.shape
    dtype = X.dtype
    ndim = 2

    def __init__(self):
        self.sizes = []

    def __getitem__(self, index):
        found = X[index]
        self.sizes.append(len(found))
        return found


@pytest.fixture(scope="module")
def neighbors():
    return NeighborClustering(4, random_state=0).fit(X)


def test_neighbors_of_a_dask_array(neighbors):
    blocks = da.from_array(X, chunks=((1, 0, 250, 199), 2))
    found = NeighborClustering(4, random_state=0).fit(blocks)
    np.testing.assert_array_equal(found.labels_, neighbors.labels_)

    drawn = NeighborClustering(4, max_samples=100, random_state=0)
    labels = drawn.fit_predict(blocks)
    assert len(drawn.labels_) == 100
    np.testing.assert_array_equal(drawn.predict(X), labels.compute())
    again = NeighborClustering(4, max_samples=100, random_state=0).fit(blocks)
    np.testing.assert_array_equal(again.labels_, drawn.labels_)
    with pytest.raises(ValueError, match=r"sample_weight.*must be None"):
        drawn.fit(blocks, sample_weight=WEIGHT)


@pytest.mark.parametrize(
    "estimator",
    [
        NeighborClustering(4, random_state=0),
        VaDEClustering(4, max_epochs=1, pretraining_epochs=1, random_state=0),
        CatGANClassifier(max_epochs=1, random_state=0),
    ],
)
def test_predictions_are_lazy(estimator):
    y = np.tile([-1, 0, 1], 150) if isinstance(estimator, CatGANClassifier) else None
    estimator.fit(X, y)
    source = Watched()
    blocks = da.from_array(source, chunks=(125, 5), asarray=False, meta=X[:0])
    for method in ("predict", "predict_proba"):
        source.sizes.clear()
        answers = getattr(estimator, method)
        lazy = answers(blocks)
        assert not source.sizes, "no block is read before it is needed"
        exact = answers(X)
        assert (lazy.shape, lazy.dtype) == (exact.shape, exact.dtype)
        np.testing.assert_array_equal(lazy[130:150].compute(), exact[130:150])
        assert source.sizes == [125]
        np.testing.assert_array_equal(lazy.compute(), exact)
    with pytest.raises(ValueError, match="features"):
        estimator.predict(blocks[:, :3])


KNOWN = np.full(450, True)
LENGTHS = {"known": KNOWN, "unknown": X[:, 0] > 0, "empty blocks": X[:, 0] > X[:350, 0].max()}


@pytest.mark.parametrize("lengths", [*LENGTHS, "no samples"])
def test_blocks_of_any_length_are_lazy(lengths, neighbors):
    fit = neighbors
    source = Watched()
    blocks = da.from_array(source, chunks=(125, 5), asarray=False, meta=X[:0])
    chosen = LENGTHS.get(lengths, ~KNOWN)
    if lengths == "no samples":
        blocks = blocks[:0]
    elif lengths != "known":
        blocks = blocks[da.from_array(chosen, chunks=125)]
    for answer in (fit.predict, fit.transform):
        source.sizes.clear()
        lazy = answer(blocks)
        assert not source.sizes
        np.testing.assert_array_equal(lazy.compute(), answer(X)[chosen])


@pytest.mark.parametrize("estimator", [NeighborClustering(4), GaussianMixtureEM(4)])
def test_a_fit_to_no_samples_is_refused(estimator):
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        estimator.fit(da.from_array(X, chunks=(300, 5))[:0])
