"""The comparison of clusterers: sets, methods, records, tables, and their speed; no rivals."""

import json
import os
import sys

import numpy as np
import pytest
from accuracy import clusterers as script
from lib import clusterers, datasets, sets, standings, synthetic, threads
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.utils import Bunch
from speed import neighbor_clustering

from skdeepcluster import CatGANClustering
from skdeepcluster.metrics import clustering_accuracy


def run(tmp_path, *arguments):
    """Run the comparison; return the records in its file."""
    path = tmp_path / "results.jsonl"
    script.main(script.parsed([*arguments, "--out", str(path)]))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def tiny(monkeypatch):
    """A set of 30 rows in two clusters, as CSR."""
    X = np.vstack([np.eye(15, 3), np.eye(15, 3) + 5])
    data = Bunch(X=csr_array(X), y=np.repeat([0, 1], 15), n_clusters=2)
    monkeypatch.setitem(sets.SETS, "tiny", lambda: data)
    monkeypatch.setattr(clusterers, "WARM_ROWS", dict.fromkeys([False, True], (60,)))
    return data


def stand_in(monkeypatch, fit, **more):
    """Put a method in the place of all others."""
    for methods in (clusterers.METHODS, script.METHODS):
        monkeypatch.setitem(methods, "KMeans", clusterers.Method(fit, **more))


@pytest.mark.parametrize("name", synthetic.NAMES)
def test_drawn_sets_are_decided_by_their_name(name):
    data, again = synthetic.drawn(name), synthetic.drawn(name)
    np.testing.assert_array_equal(data.X, again.X)
    sizes, _ = synthetic.SETS[name]
    assert sorted(np.bincount(data.y)) == sorted(sizes)
    assert data.n_clusters == len(sizes)
    assert data.X.shape[1] <= 20
    assert np.isfinite(data.X).all()
    nearest = cdist(data.X[:100], data.X).argsort(1)[:, 1]
    assert np.mean(data.y[nearest] == data.y[:100]) > 0.9
    assert len(set(data.y[:100])) > 1


def test_sets_are_read_by_name_and_by_group():
    assert sets.parse_sets(["iris,moons", "iris"]) == ["iris", "moons"]
    assert len(sets.parse_sets(["eleven"])) == 11
    assert len(sets.parse_sets(["synthetic"])) >= 24
    assert sets.parse_sets(["large", "mnist"])[-1] == "reuters8"
    with pytest.raises(ValueError, match="cifar not among the groups eleven, synthetic, large"):
        sets.parse_sets(["cifar"])
    assert sets.load_set("digits").X.max() == 16
    wine = sets.load_set("wine").X
    np.testing.assert_allclose([wine.mean(), wine.std(0).max()], [0, 1], atol=1e-12)


def test_tables_are_read_from_one_file_that_is_said_if_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"SKDEEPCLUSTER_DATA.*tables.npz.*holds statlog_X"
    ):
        datasets.load("yeast")
    np.savez(tmp_path / "tables.npz", yeast_X=np.ones((4, 2), np.float32), yeast_y=[0, 1, 2, 2])
    with pytest.warns(UserWarning, match="tables.npz is not the file of the published numbers"):
        data = datasets.load("yeast")
    assert (data.X.shape, data.n_clusters, data.name) == ((4, 2), 3, "yeast")


def test_records_are_judged_kept_and_not_run_again(tmp_path, capsys, tiny):
    arguments = "--sets", "tiny", "two_1d", "--methods", "kmeans", "GMM,Ward", "--seeds", "0-1"
    found = run(tmp_path, *arguments)
    assert [(r["row"], r["seed"]) for r in found[:5]] == [
        ("KMeans", 0), ("GaussianMixture", 0), ("Ward", 0), ("KMeans", 1), ("GaussianMixture", 1)
    ]  # fmt: skip
    assert len(found) == 10
    assert all(r["acc"] > 0.95 and r["found"] == 2 and r["noise"] == 0 for r in found)
    assert {r["threads"] for r in found} == {1}
    assert all({"ari", "nmi", "seconds", "memory", "versions"} <= set(r) for r in found)
    said = capsys.readouterr().out
    assert all(title in said for title in ("ACC, mean over seeds", "rank by ACC", "Means over"))
    assert run(tmp_path, *arguments) == found
    assert "rank by ACC" in capsys.readouterr().out
    assert len(run(tmp_path, *arguments[:-1], "0-2")) == 14


def test_all_methods_without_compilation_divide_two_clusters(tiny):
    data, methods = Bunch(**tiny), set(clusterers.METHODS) - {"NeighborClustering"}
    data.X = np.vstack([np.random.default_rng(0).normal(m, 0.1, (40, 60)) for m in (0, 5)])
    data.y = np.repeat([0, 1], 40)
    tables = (m for m in methods if not clusterers.METHODS[m].needs_images)
    for method in (m for m in tables if not clusterers.METHODS[m].needs):
        assert clusterers.measured(method, data, 0, 1, set())["acc"] == 1, method


def test_neighbor_clustering_gets_clusters_seed_and_threads(monkeypatch, tiny):
    class StandIn:
        def __init__(self, n_clusters, **settings):
            expected = {"accept_sparse": True, "random_state": 7, "n_jobs": 3}
            assert (n_clusters, settings) == (2, expected)

        def fit_predict(self, X):
            return tiny.y

    monkeypatch.setattr(clusterers.skdeepcluster, "NeighborClustering", StandIn, raising=False)
    labels = clusterers.fitted("NeighborClustering", tiny.X, 2, 7, 3)
    np.testing.assert_array_equal(labels, tiny.y)


def test_a_network_is_judged_beside_its_start_and_control(tmp_path, monkeypatch):
    X = np.concatenate([np.random.default_rng(0).normal(m, 0.5, (40, 3)) for m in (0, 6)])
    data = Bunch(X=X, y=np.repeat([0, 1], 40), n_clusters=2)
    monkeypatch.setitem(sets.SETS, "tiny", lambda: data)
    (record,) = run(tmp_path, "--sets", "tiny", "--methods", "CatGANClustering", "--seeds", "1")
    assert record["acc"] == record["start_acc"] == record["control_acc"] == 1
    assert record["moved"] == 0
    assert 0 <= record["ece"] < 0.2


def test_seconds_are_the_least_of_the_processor_with_one_thread():
    base = {"data": "a", "seconds": 2.0, "cpu_seconds": 1.0}
    found = [base | {"row": "A", "threads": 1}, base | {"row": "B", "threads": 2}]
    found += [found[0] | {"cpu_seconds": 3.0}]
    found += [{"data": "a", "row": "C", "seconds": 3.0, "threads": 1}]
    expected = {("a", "A"): 1.0, ("a", "B"): 2.0, ("a", "C"): 3.0}
    assert standings.least_seconds(found) == expected


def test_noise_is_a_label_of_its_own(monkeypatch, tmp_path, tiny):
    labels = np.repeat([-1, 0, 1], 10)
    stand_in(monkeypatch, lambda X, *further: labels)
    (found,) = run(tmp_path, "--sets", "tiny", "--methods", "KMeans", "--seeds", "1")
    assert (found["found"], found["acc"]) == (2, pytest.approx(20 / 30))
    assert found["noise"] == pytest.approx(1 / 3)


def test_a_failing_fit_is_recorded_counts_as_zero_and_is_run_again(
    monkeypatch, tmp_path, capsys, tiny
):
    def broken(X, *further):
        raise RuntimeError("out of rows\nand more")

    arguments = "--sets", "tiny", "--methods", "KMeans", "--seeds", "1"
    with monkeypatch.context() as patch:
        stand_in(patch, broken)
        (found,) = run(tmp_path, *arguments)
    assert found["error"] == "RuntimeError: out of rows"
    said = capsys.readouterr().out
    assert "Failed, sets and seeds:\nKMeans, RuntimeError: out of rows: tiny (0)" in said
    assert standings.means([found], "acc", 0.0) == {("tiny", "KMeans"): 0}
    assert len(run(tmp_path, *arguments)) == 2
    assert "Failed" not in capsys.readouterr().out


def test_what_cannot_run_is_said(monkeypatch, tmp_path, capsys, tiny):
    stand_in(monkeypatch, lambda X, *further: np.zeros(X.shape[0]), most_rows=20)
    monkeypatch.setattr(clusterers, "find_spec", lambda module: None)
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path))
    path = str(tmp_path / "none.jsonl")
    arguments = "--sets", "tiny", "d31", "--methods", "KMeans", "umap", "--out", path
    script.main(script.parsed(arguments))
    said = capsys.readouterr().out
    assert "tiny, KMeans: skipped, 30 rows are more than 20" in said
    assert 'umap-learn + GMM: skipped, not installed: pip install -e ".[rivals]"' in said
    assert "d31: skipped. d31: no file" in said
    assert said.endswith("No fits.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "magic"], "--methods: magic not among KMeans"),
        (["--sets", "cifar"], "--sets: cifar not among"),
        (["--threads", "0"], "--threads 0: at least 1"),
    ],
)
def test_wrong_options_end_with_a_message(arguments, message, capsys):
    with pytest.raises(SystemExit):
        script.parsed(arguments)
    assert message in capsys.readouterr().err


def test_standings_compare_on_common_sets():
    accuracies = {"a": (0.5, 0.9, 0.7), "b": (0.8, 0.6, None)}
    records = [
        {"data": name, "row": row, "acc": acc, "ari": acc, "seconds": 1.0, "threads": 1}
        for name, found in accuracies.items()
        for row, acc in zip(("KMeans", "X", "Ward"), found, strict=True)
        if acc is not None
    ]
    acc = standings.means(records, "acc")
    assert standings.ranks(acc, ["a", "b"], ["KMeans", "X"]) == {"KMeans": 1.5, "X": 1.5}
    assert standings.worst(acc, ["a", "b"], "X") == ("-0.200", "b")
    text = standings.tables(records)
    assert "Means over all 2 sets, of the methods that ran on each" in text
    assert "The one set on which every method ran" in text
    assert text.split("\n\n")[-1].splitlines()[3].split()[:2] == ["X", "0.900"]


def test_a_script_starts_anew_for_its_threads(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *call: started.append(call))
    for name in threads.VARIABLES:
        monkeypatch.setenv(name, "2")
    threads.start_anew_with(2)
    assert not started
    threads.start_anew_with(3)
    program, command, environment = started[0]
    assert program == command[0] == sys.executable
    assert {environment[name] for name in threads.VARIABLES} == {"3"}


def test_speed_is_measured_for_each_method_and_number_of_threads(monkeypatch, tmp_path, tiny):
    calls, path = [], tmp_path / "speed.jsonl"
    monkeypatch.setattr(neighbor_clustering.subprocess, "run", lambda c, check: calls.append(c))
    arguments = "--methods", "KMeans", "--sets", "tiny", "--rows", "50", "--results", str(path)
    neighbor_clustering.main(neighbor_clustering.parsed(arguments))
    assert len(calls) == 4
    for call in calls[:2]:  # with one thread
        neighbor_clustering.fit(neighbor_clustering.parsed(call[2:]))
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["data"], r["threads"]) for r in found] == [
        ("tiny", 1), ("50 rows of 10 Gaussians", 1)
    ]  # fmt: skip
    assert all(r["peak"] > 50 and r["seconds"] > 0 for r in found)


def test_augmented_networks_are_fitted_to_images_only(monkeypatch, tmp_path):
    X = np.random.default_rng(0).uniform(size=(60, 16))
    table = Bunch(X=X, y=np.arange(60) % 2, n_clusters=2)
    images = Bunch(**table, image_shape=(4, 4))
    monkeypatch.setitem(sets.SETS, "table", lambda: table)
    monkeypatch.setitem(sets.SETS, "images", lambda: images)
    monkeypatch.setattr(clusterers, "WARM_ROWS", dict.fromkeys([False, True], (60,)))
    asked = ["--sets", "table", "images", "--seeds", "0-0", "--methods"]
    (record,) = run(tmp_path, *asked, "CatGANClustering augmented")
    assert (record["data"], record["precision"]) == ("images", "float32")
    assert record["start_acc"] > 0


def test_networks_start_from_clusters_of_catgan(monkeypatch, tmp_path):
    X, y = make_blobs(90, 4, centers=3, cluster_std=5, random_state=1)
    monkeypatch.setitem(sets.SETS, "blobs", lambda: Bunch(X=X, y=y, n_clusters=3))
    monkeypatch.setattr(clusterers, "WARM_ROWS", dict.fromkeys([False, True], (60,)))
    asked = ["--sets", "blobs", "--seeds", "1-1", "--methods"]
    (record,) = run(tmp_path, *asked, "DACClustering from CatGAN")
    catgan = CatGANClustering(3, random_state=1).fit(X)
    assert record["start_acc"] == clustering_accuracy(y, catgan.labels_)
    assert record["start_acc"] != clustering_accuracy(y, catgan.start_labels_)
