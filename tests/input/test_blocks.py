"""A table, and what a pipeline makes of it, are read alike; what is no table stays as it is."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    normalize,
)

from skdeepcluster import NeighborClustering, VAEEmbedding
from skdeepcluster.input import Preparation

N = 150
SEEDS = range(2)


def draw(seed):
    """Draw a table of two to four groups: numbers, binary columns, categories of all sizes."""
    rng = np.random.default_rng(seed)
    n_groups = int(rng.integers(2, 5))
    group = rng.integers(n_groups, size=N)
    table = {}
    for i in range(rng.integers(2, 4)):
        x = rng.normal(4 * rng.permutation(n_groups)[group])
        table[f"number {i}"] = np.exp(x / 4) if rng.random() < 0.3 else x * 10.0**i
    for i in range(rng.integers(1, 4)):
        n_levels = int(rng.integers(2, 6))
        shares = rng.dirichlet(np.full(n_levels, 0.4), n_groups)
        level = [rng.choice(n_levels, p=share) for share in shares[group]]
        table[f"category {i}"] = np.array([*"abcdef"], dtype=object)[level]
    table["flag"] = rng.binomial(1, rng.uniform(0.1, 0.9, n_groups)[group])
    table["other"] = rng.binomial(1, 0.4, N)
    return pd.DataFrame(table), n_groups


def encode(table, encoder=None, scaler=None, **options):
    """Return the table as a ColumnTransformer encodes it."""
    names = [name for name in table if not name.startswith("category")]
    others = table.columns.drop(names)
    encoder = OneHotEncoder(sparse_output=False) if encoder is None else encoder
    parts = (scaler or StandardScaler(), names), (encoder, others)
    return make_column_transformer(*parts, **options).fit_transform(table)


WAYS = {
    "one-hot": encode,
    "all scaled": lambda table: StandardScaler().fit_transform(encode(table)),
    "weighted": lambda table: (
        encode(table) * np.append(np.ones(4), np.full(99, 0.5))[: encode(table).shape[1]]
    ),
    "to [0, 1]": lambda table: encode(table, scaler=MinMaxScaler()),
    "sparse": lambda table: encode(table, OneHotEncoder(), sparse_threshold=1.0),
    "frame": lambda table: pd.get_dummies(table),
    "other order": lambda table: table[table.columns[::-1]],
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_table_and_its_images_have_the_same_distances(way, seed):
    table, _ = draw(seed)
    image = WAYS[way](table)
    own = pdist(Preparation().fit_transform(table))
    found = Preparation()
    np.testing.assert_allclose(pdist(found.fit_transform(image)), own, rtol=1e-5, atol=1e-5)
    # New samples are read as those of the fit.
    np.testing.assert_array_equal(found.transform(image[:50]), found.transform(image)[:50])


@pytest.mark.parametrize("seed", SEEDS)
def test_polars_is_read_as_pandas(seed):
    polars = pytest.importorskip("polars")
    table, _ = draw(seed)
    found = Preparation().fit_transform(polars.from_pandas(table))
    np.testing.assert_array_equal(found, Preparation().fit_transform(table))


def test_a_category_without_its_first_level_is_one():
    rng = np.random.default_rng(0)
    level = rng.choice(4, 500, p=[0.4, 0.3, 0.2, 0.1])
    table = pd.DataFrame({"size": rng.normal(level), "level": np.array([*"abcd"])[level]})
    encoder = OneHotEncoder(drop="first", sparse_output=False)
    encoded = make_column_transformer((StandardScaler(), ["size"]), (encoder, ["level"]))
    image = pdist(Preparation().fit_transform(encoded.fit_transform(table)))
    np.testing.assert_allclose(image, pdist(Preparation().fit_transform(table)), rtol=1e-6)


def votes():
    return np.random.default_rng(0).integers(2, size=(300, 12)).astype(float)


def one_hot_alone():
    return np.eye(4)[np.random.default_rng(0).integers(4, size=300)]


STAYS = {
    "votes": votes,
    "one-hot data": one_hot_alone,
    "pixels": lambda: load_digits().data,
    "pixels in [0, 1]": lambda: load_digits().data / 16,
    "binary images": lambda: (load_digits().data > 7).astype(float),
    "compositions": lambda: np.random.default_rng(0).dirichlet(np.ones(5), 300),
    "components": lambda: PCA(20).fit_transform(load_digits().data),
    "embeddings": lambda: normalize(np.random.default_rng(0).normal(size=(300, 50))),
    "measurements": lambda: load_iris().data,
}


@pytest.mark.parametrize("name", STAYS)
def test_what_is_no_table_stays_as_it_is(name):
    X = STAYS[name]()
    found = Preparation()
    np.testing.assert_array_equal(found.fit_transform(X), X)
    assert not found.is_table


def test_kinds_switch_the_reading_off_and_name_blocks():
    table, n_clusters = draw(0)
    X = encode(table)
    assert "category" in Preparation().fit(X).kinds_.values()
    assert "1 category (4 to 6)" in Preparation().fit(X).describe()
    plain = Preparation("numbers", standardize=False)
    np.testing.assert_array_equal(plain.fit_transform(X), X)

    one_hot = tuple(i for i in range(X.shape[1]) if len(np.unique(X[:, i])) == 2)[2:]
    said = one_hot[: table["category 0"].nunique()]
    found = NeighborClustering(n_clusters, random_state=0).fit(X)
    named = NeighborClustering(n_clusters, kinds={said: "category"}, random_state=0).fit(X)
    np.testing.assert_array_equal(found.labels_, named.labels_)


def test_samples_have_the_columns_and_values_of_the_pipeline():
    table, n_clusters = draw(1)
    X = encode(table)
    vae = VAEEmbedding(n_clusters, hidden_layer_sizes=(8,), max_epochs=2, random_state=0).fit(X)
    drawn, _ = vae.sample(100, cluster=0)
    assert drawn.shape == (100, X.shape[1])
    start = X.shape[1] - sum(table[name].nunique() for name in table if "category" in name)
    blocks = drawn[:, start:]
    assert set(np.unique(blocks)) == {0, 1}
    ends = np.cumsum([table[name].nunique() for name in table if "category" in name])
    for block in np.split(blocks, ends[:-1], axis=1):
        np.testing.assert_array_equal(block.sum(1), 1)


def test_sparse_samples_that_are_no_table_are_those_of_dense_ones():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.2, (300, 30)) * rng.uniform(size=(300, 30))
    labels = [
        NeighborClustering(3, random_state=0).fit(own).labels_ for own in (X, sparse.csr_array(X))
    ]
    np.testing.assert_array_equal(*labels)


def test_numbers_whose_order_means_nothing_are_categories():
    rng = np.random.default_rng(0)
    group = rng.integers(4, size=400)
    names = np.array(["d", "a", "c", "b"])[group]
    rating = np.clip(group + rng.integers(-1, 2, size=400), 0, 4)
    table = pd.DataFrame({"name": names, "rating": rating, "x": rng.normal(group)})
    table["y"] = rng.normal(np.array([0, 3, 1, 4])[group])
    encoder = make_column_transformer(
        (OrdinalEncoder(), ["name"]), (StandardScaler(), ["rating", "x", "y"])
    )
    pipeline = make_pipeline(encoder, StandardScaler())
    kinds = Preparation().fit(pipeline.fit_transform(table)).kinds_
    assert list(kinds.values()) == ["category", "ordinal", "number", "number"]
    said = Preparation({0: "ordinal"}).fit(pipeline.fit_transform(table)).kinds_
    assert said[0] == "ordinal"
