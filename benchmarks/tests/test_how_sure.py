"""How sure clusters are: records and tables of the three parts."""

import json

import numpy as np
import pytest
from accuracy import how_sure as script
from lib import certainty, sets, tables
from lib.methods import ours
from sklearn.utils import Bunch


@pytest.fixture
def tiny(monkeypatch):
    """A set of 80 rows in two clusters."""
    X = np.concatenate([np.random.default_rng(0).normal(m, 0.5, (40, 3)) for m in (0, 6)])
    data = Bunch(X=X, y=np.repeat([0, 1], 40), n_clusters=2)
    monkeypatch.setitem(sets.SETS, "tiny", lambda: data)
    return data


def run(tmp_path, part, *arguments):
    """Run a part; return the records in its file."""
    path = tmp_path / f"{part}.jsonl"
    script.main(script.parsed([part, *arguments, "--seeds", "0-0", "--out", str(path)]))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_calibration_is_judged_kept_and_not_run_again(tmp_path, monkeypatch, capsys, tiny):
    monkeypatch.setattr(script, "N_MEMBERS", 2)
    methods = ["NeighborClustering", "GaussianMixtureEM", "ClusterEnsemble"]
    arguments = "--sets", "tiny", "--methods", *methods
    found = run(tmp_path, "calibration", *arguments)
    assert [record["row"] for record in found] == methods
    assert all(r["acc"] == 1 and 0 <= r["ece"] < 0.2 and r["auc"] is None for r in found)
    said = capsys.readouterr().out.splitlines()
    assert said[-1].split()[0] == "ClusterEnsemble"
    assert "tiny: ACC, ECE, AUC" in said[-5]
    assert run(tmp_path, "calibration", *arguments) == found
    assert capsys.readouterr().out.splitlines()[1:] == said[-5:]


def test_calibration_is_of_clusters_matched_to_classes(monkeypatch):
    class StandIn:
        def fit(self, X):
            return self

        def predict_proba(self, X):
            return np.array([[0.1, 0.9], [0.2, 0.8], [1.0, 0.0], [0.4, 0.6]])

    monkeypatch.setitem(script.PROBABILISTIC, "VAEEmbedding", lambda *arguments: StandIn())
    data = Bunch(X=np.zeros((4, 1)), y=np.array([0, 0, 1, 1]), n_clusters=2)
    found = script.calibration("VAEEmbedding", data, 0)
    assert (found["acc"], found["auc"]) == (0.75, 1)
    assert found["ece"] == pytest.approx((0.1 + 0.2 + 0 + 0.6) / 4)


def test_networks_get_no_large_set(monkeypatch, capsys, tiny):
    monkeypatch.setattr(script, "MOST_ROWS", 79)
    arguments = ["calibration", "--sets", "tiny", "--methods", "DACClustering"]
    script.main(script.parsed(arguments))
    assert capsys.readouterr().out == (
        "tiny, DACClustering: skipped, more than 79 rows\nNo fits.\n"
    )


def test_outliers_are_drawn_from_a_wider_box_and_found(tmp_path, capsys, tiny):
    X, is_outlier = script.add_outliers(np.repeat([[0.0, 1.0], [4.0, 1.0]], 500, axis=0), 0)
    assert (len(X), is_outlier.sum()) == (1050, 50)
    assert set(X[~is_outlier, 0]) == {0, 4}
    assert -1 <= X[:, 0].min() < -0.5
    assert 4.5 < X[:, 0].max() <= 5
    assert (X[:, 1] == 1).all()
    quick = [name for name in script.DETECTORS if name not in script.NETWORKS]
    found = run(tmp_path, "outliers", "--sets", "tiny", "--methods", *quick)
    assert [record["row"] for record in found] == quick
    assert all(0.7 < record["auc"] <= 1 for record in found)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[-3:]] == ["tiny", "mean", "seconds"]


def test_networks_are_detectors_and_get_no_large_set(tmp_path, monkeypatch, capsys, tiny):
    assert set(script.DETECTORS) > set(script.NETWORKS)
    small = {"hidden_layer_sizes": (8,), "n_components": 2, "max_epochs": 2}
    monkeypatch.setitem(script.METHODS, "VAEEmbedding", ours("VAEEmbedding", lambda data: small))
    arguments = "--sets", "tiny", "--methods", "VAEEmbedding"
    found = run(tmp_path, "outliers", *arguments)
    assert [(record["row"], record["precision"]) for record in found] == [
        ("VAEEmbedding", "float32")
    ]
    assert 0.9 < found[0]["auc"] <= 1
    monkeypatch.setattr(script, "MOST_ROWS", 79)
    script.main(script.parsed(["outliers", *arguments]))
    assert "tiny, VAEEmbedding: skipped, more than 79 rows" in capsys.readouterr().out


def test_planted_clusters_are_more_stable_than_halves(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script, "N_ROWS", 90)
    found = run(tmp_path, "stability", "--sets", "planted_3_2,halves_2")
    planted, halves = found
    assert (planted["n_samples"], planted["n_clusters"], planted["acc"]) == (90, 3, 1)
    assert halves["least"] <= halves["mean"] < planted["least"] == 1
    assert halves["acc"] is None
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["halves_2", "2", "2"]


def test_tables_are_means_over_seeds_and_over_common_sets():
    entries = [
        ("A", "x", 0.5, 0.25, None), ("A", "x", 1.0, 0.75, 0.5), ("A", "y", 1.0, 0.0, None),
        ("B", "x", 0.0, 0.0, 1.0),
    ]  # fmt: skip
    names = "row", "data", "acc", "ece", "auc"
    records = [dict(zip(names, entry, strict=True)) | {"seconds": 2.0} for entry in entries]
    columns, lines = certainty.calibration(records)
    assert columns[3] == "mean of 1 sets: ACC, ECE, AUC"
    assert lines == [
        ["A", "0.750, 0.500, 0.500", "1.000, 0.000, -", "0.750, 0.500, 0.500", "2.0"],
        ["B", "0.000, 0.000, 1.000", "", "0.000, 0.000, 1.000", "2.0"],
    ]
    assert set(certainty.PARTS) == set(script.PARTS) <= set(tables.KINDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["outliers", "--methods", "KMeans"], "not among NeighborClustering, VAEEmbedding"),
        (["outliers", "--sets", "cifar"], "--sets: cifar not among"),
        (["stability", "--sets", "digits"], "--sets: digits not among planted_3_2"),
    ],
)
def test_wrong_options_end_with_a_message(arguments, message, capsys):
    with pytest.raises(SystemExit):
        script.parsed(arguments)
    assert message in capsys.readouterr().err
