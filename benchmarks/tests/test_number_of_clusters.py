"""How many clusters: the drawn sets, the records, and what counts as right."""

import json

import numpy as np
import pytest
from accuracy import number_of_clusters as script
from lib import counts, sets, synthetic
from scipy.spatial.distance import pdist


def test_counted_sets_are_decided_by_their_name_and_have_their_clusters():
    for name in synthetic.COUNTED[::7]:
        data = synthetic.counted(name)
        np.testing.assert_array_equal(data.X, synthetic.counted(name).X)
        assert len(np.unique(data.y)) == data.n_clusters
        assert 300 <= len(data.X) <= 3000
        centers = np.stack([data.X[data.y == k].mean(0) for k in range(data.n_clusters)])
        assert data.n_clusters == 1 or pdist(centers).min() > 1.5


def test_every_method_counts_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    data = synthetic.drawn("two_20d")
    kept = np.arange(150)
    small = type(data)(X=data.X[kept], y=data.y[kept], n_clusters=2, name="small")
    monkeypatch.setitem(sets.SETS, "small", lambda: small)
    monkeypatch.setitem(sets.GROUPS, "counted", {"small": None})
    path = tmp_path / "results.jsonl"
    methods = ["ours", "silhouette", "HDBSCAN", "BIC"]
    arguments = ["--sets", "small", "--seeds", "0-1", "--out", str(path), "--methods", *methods]
    script.main(script.parsed(arguments))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(records) == 4 * 2 * 2
    assert {r["n_samples"] for r in records} == {150, 120}
    assert all(r["best"] == 2 for r in records if r["row"] == "ours" and not r["subsample"])
    assert all(r["found"] == 2 for r in records if r["row"] == "ours")
    script.main(script.parsed(arguments))
    assert len(path.read_text().splitlines()) == len(records)
    text = counts.table(records)
    assert [line.split()[0] for line in text.splitlines()[2:]] == methods


@pytest.mark.parametrize(
    ("found", "classes", "best", "right"),
    [
        (10, 8, None, True),
        (11, 8, None, False),
        (11, 8, 12, True),
        (1, 1, 9, True),
        (9, 1, 9, False),
    ],
)
def test_a_number_is_right_near_that_of_classes_or_of_the_best_cut(found, classes, best, right):
    assert counts.is_right({"found": found, "n_clusters": classes}, best) is right


def test_numbers_stay_if_four_of_five_are_near_the_median():
    assert counts.is_same([10, 10, 11, 9, 40])
    assert not counts.is_same([10, 10, 11, 30, 40])
