"""Laws of drawn tables: what says the same about the samples makes the same numbers of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import GaussianMixtureEM, NeighborClustering
from skdeepcluster.input import Preparation

N = 90
SEEDS = range(3)
ORDER = np.random.default_rng(0).permutation(N)


def draw_table(seed):
    """Three groups in some of eight columns, whose number, scales and gaps are drawn."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=N)
    own = group[rng.permutation(N)]  # of the columns that do not tell the groups
    shift = rng.uniform(1, 4)
    levels = np.arange(N) % 5 + 1
    columns = {
        "number": rng.normal(size=N) + shift * group,
        "unit": rng.normal(scale=10.0 ** rng.integers(-2, 4), size=N) + own,
        "skewed": np.exp(rng.normal(size=N) * 1.5 + shift * group).round(2),
        "ordinal": rng.permutation(levels),
        "equal": rng.permutation(levels),
        "binary": np.where(rng.random(N) < 0.2 + 0.3 * group, "yes", "no"),
        "city": np.array(["Oslo", "Rome", "Bern", "Kyiv"])[(group + (rng.random(N) < 0.2)) % 4],
        "name": [f"customer {i}" for i in range(N)],
    }
    kept = ["number", *rng.permutation(list(columns)[1:])[: rng.integers(4, 8)]]
    table = pd.DataFrame({str(name): columns[name] for name in kept})
    if rng.random() < 0.5:
        table.loc[rng.random(N) < 0.1, "number"] = np.nan
    return table


def change_units(table):
    numbers = table.columns.intersection(["number", "unit"])
    return table.assign(**{name: 8 * table[name] - 32 for name in numbers})


#: Tables that say the same, and which of their samples are those of the first one.
LAWS = {
    "order of samples": (lambda table: table.iloc[ORDER], np.argsort(ORDER)),
    "constant number": (lambda table: table.assign(same=7.5), np.arange(N)),
    "constant text": (lambda table: table.assign(same="x"), np.arange(N)),
    "names of rows": (lambda table: table.set_axis(range(9, N + 9)), np.arange(N)),
    "units": (change_units, np.arange(N)),
    "objects": (lambda table: table.astype(object), np.arange(N)),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", SEEDS)
def test_distances_are_the_same(seed, law):
    table = draw_table(seed)
    change, rows = LAWS[law]
    expected = pdist(Preparation().fit_transform(table))
    found = np.asarray(Preparation().fit_transform(change(table)))[rows]
    np.testing.assert_allclose(pdist(found), expected, rtol=1e-6, atol=1e-6)


DIGITS = load_digits().data[:250]


@pytest.mark.parametrize("kind", [NeighborClustering, GaussianMixtureEM])
def test_the_order_changes_no_more_than_another_seed(kind):
    samples = np.random.default_rng(0).permutation(250)
    features = np.random.default_rng(0).permutation(64)
    first, *others = (kind(10, random_state=seed).fit(DIGITS).labels_ for seed in range(4))
    seeds = min(adjusted_rand_score(first, other) for other in others)
    by_samples = kind(10, random_state=0).fit(DIGITS[samples]).labels_
    assert adjusted_rand_score(first[samples], by_samples) >= seeds
    by_features = kind(10, random_state=0).fit(DIGITS[:, features]).labels_
    assert adjusted_rand_score(first, by_features) >= seeds - 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_are_copies(seed):
    # Names that some rows repeat more often than others are categories.
    table = draw_table(seed).drop(columns="name", errors="ignore")
    weights = np.random.default_rng(seed).integers(1, 4, N)
    repeated = table.loc[table.index.repeat(weights)]
    expected = Preparation().fit(table, sample_weight=weights)
    found = Preparation().fit(repeated)
    assert found.kinds_ == expected.kinds_
    first = np.flatnonzero(~repeated.index.duplicated())
    points = pdist(np.asarray(found.transform(repeated))[first])
    np.testing.assert_allclose(
        points, pdist(np.asarray(expected.transform(table))), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_sparse_samples_are_dense_ones(seed):
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=N)
    flags = rng.random((N, 9)) < 0.1 + 0.2 * (np.arange(9) % 3 == group[:, None])
    X = np.column_stack([flags, np.where(rng.random(N) < 0.3, rng.exponential(50, N), 0)])
    found = Preparation().fit_transform(sparse.csr_matrix(X))
    found = found.toarray() if sparse.issparse(found) else found
    np.testing.assert_allclose(found, Preparation().fit_transform(X), rtol=1e-9, atol=1e-9)


def test_equal_shares_are_no_line():
    rng = np.random.default_rng(0)
    levels = np.repeat(np.arange(1.0, 6), 60)
    table = pd.DataFrame(
        {"a": levels, "b": rng.permutation(levels), "size": rng.exponential(100, 300)}
    )
    kinds = {"a": "ordinal", "b": "ordinal"}
    points = np.asarray(Preparation(kinds=kinds).fit_transform(table))[:, :2]
    inside = [
        points[rows] - points[rows].mean(0)
        for level in np.unique(levels)
        if (rows := np.flatnonzero((table["a"] == level) & (table["b"] == level))).size
    ]
    inside = np.concatenate(inside)
    assert len(inside) > 30
    assert np.ptp(inside, axis=0).min() > 0
    assert abs(np.corrcoef(inside.T)[0, 1]) < 0.5


def test_columns_of_the_fit_are_needed():
    table = draw_table(0).assign(name=[f"customer {i}" for i in range(N)])
    fit = NeighborClustering(3, random_state=0).fit(table)
    with pytest.raises(ValueError, match="number"):
        fit.predict(table.drop(columns="number"))
