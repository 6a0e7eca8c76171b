"""Laws of drawn tables: what says the same about the samples makes the same numbers of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import NeighborClustering
from skdeepcluster.input import Preparation

N = 90
SEEDS = range(8)
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
        "amount": np.exp(rng.normal(size=N) * 1.5 + shift * group).round(2),
        "code": rng.permutation(levels),
        "equal": rng.permutation(levels),
        "flag": np.where(rng.random(N) < 0.2 + 0.3 * group, "yes", "no"),
        "city": np.array(["Oslo", "Rome", "Bern", "Kyiv"])[(group + (rng.random(N) < 0.2)) % 4],
        "name": [f"customer {i}" for i in range(N)],
    }
    kept = ["number", *rng.permutation(list(columns)[1:])[: rng.integers(4, 8)]]
    table = pd.DataFrame({str(name): columns[name] for name in kept})
    if rng.random() < 0.5:
        table.loc[rng.random(N) < 0.1, "number"] = np.nan
    return table


def turn(table):
    return table[table.columns[::-1]]


def change_units(table):
    numbers = table.columns.intersection(["number", "unit"])
    return table.assign(**{name: 8 * table[name] - 32 for name in numbers})


#: Tables that say the same, and which of their samples are those of the first one.
LAWS = {
    "order of samples": (lambda table: table.iloc[ORDER], np.argsort(ORDER)),
    "order of columns": (turn, np.arange(N)),
    "copies": (lambda table: pd.concat([table, table]), np.arange(N)),
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


@pytest.mark.parametrize("law", LAWS)
def test_clusters_are_the_same(law):
    table = draw_table(1)
    change, rows = LAWS[law]
    clusterer = NeighborClustering(3, random_state=0)
    expected = clusterer.fit(table).labels_
    found = clusterer.fit(change(table)).labels_[rows]
    assert adjusted_rand_score(found, expected) > 0.99


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


def test_left_out_columns_are_not_needed_later():
    table = draw_table(0)
    table["name"] = [f"customer {i}" for i in range(N)]
    fit = NeighborClustering(3, random_state=0).fit(table)
    assert fit.preparation_.kinds_["name"] == "out"
    found = fit.predict_proba(table.drop(columns="name"))
    np.testing.assert_array_equal(found, fit.predict_proba(table))


def test_left_out_columns_of_polars_are_not_needed_later():
    polars = pytest.importorskip("polars")
    table = draw_table(0).assign(name=[f"customer {i}" for i in range(N)])
    frame = polars.from_pandas(table)
    fit = NeighborClustering(3, random_state=0).fit(frame)
    np.testing.assert_array_equal(fit.predict(frame.drop("name")), fit.labels_)


@pytest.mark.parametrize("missing", [["number"], ["name", "number"]])
def test_columns_that_were_used_are_needed(missing):
    table = draw_table(0).assign(name=[f"customer {i}" for i in range(N)])
    fit = NeighborClustering(3, random_state=0).fit(table)
    with pytest.raises(ValueError, match="number"):
        fit.predict(table.drop(columns=missing))
