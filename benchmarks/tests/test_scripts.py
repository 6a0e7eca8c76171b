"""The scripts run on tiny data, keep their records and do not repeat fits."""

import json
import re
import sys
import zlib
from functools import partial

import compare
import numpy as np
import pandas as pd
import pictures
import pytest
from accuracy import (
    clusterers,
    ensembles,
    few_labels,
    generated_tables,
    how_many,
    how_sure,
    missing_values,
    mixed_tables,
    papers,
    pipelines,
    samples,
    searches,
)
from lib import clusterers as called
from lib import methods, mixed, sets
from lib.datasets import load
from lib.records import read
from scipy.sparse import csr_array, issparse
from sklearn.cluster import KMeans
from sklearn.utils import Bunch
from speed import bare_loop, default_fits, em_against_sklearn, growth, prediction
from trust import laws, separations

from skdeepcluster import VaDEClustering
from skdeepcluster.neighbors import neighbor_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def tiny(monkeypatch):
    """Add a set of 80 samples in two clusters, as CSR."""
    X = np.concatenate([np.random.default_rng(0).normal(m, 0.5, (40, 3)) for m in (0, 6)])
    data = Bunch(X=csr_array(X), y=np.repeat([0, 1], 40), n_clusters=2)
    monkeypatch.setitem(sets.SETS, "tiny", lambda: data)
    monkeypatch.setattr(called, "WARM_UP", dict.fromkeys([False, True], (60,)))
    return data


@pytest.fixture
def dense(tiny):
    """Make the set a dense array."""
    tiny.X = tiny.X.toarray()
    return tiny


def run(script, tmp_path, *arguments):
    """Run a script; return the records of its file."""
    path = tmp_path / f"{script.__name__}.jsonl"
    arguments = [*arguments, "--out", str(path)]
    script.main(script.parsed(arguments) if hasattr(script, "parsed") else arguments)
    return read(path)


def test_clusterers_are_judged_kept_and_not_run_again(tmp_path, capsys, tiny):
    arguments = "--sets", "tiny", "iris", "--methods", "kmeans", "Ward", "--seeds", "0-1"
    found = run(clusterers, tmp_path, *arguments)
    rows = [("KMeans", 0), ("Ward", 0), ("KMeans", 1)]
    assert [(record["row"], record["seed"]) for record in found] == rows * 2
    assert all(r["acc"] == 1 and r["found"] == 2 and r["noise"] == 0 for r in found[:3])
    assert "| tiny | 1.000 / 1.000" in capsys.readouterr().out
    assert run(clusterers, tmp_path, *arguments) == found


def test_networks_are_judged_beside_their_initial_partitions(tmp_path, tiny):
    arguments = "--sets", "tiny", "--seeds", "0-0", "--methods"
    found = run(clusterers, tmp_path, *arguments, "CatGANClustering", "DACClustering")
    assert all(r["acc"] == r["start_acc"] == r["control_acc"] == 1 for r in found)
    assert all(r["moved"] == 0 and 0 <= r["ece"] < 0.2 for r in found)


@pytest.mark.parametrize(
    "method",
    [
        "GaussianMixture",
        "SpectralClustering",
        "HDBSCAN",
        "NeighborClustering, K open",
        "KMeans by silhouette",
        "GaussianMixture by BIC",
    ],
)
def test_methods_without_networks_find_two_clusters(method, dense):
    assert called.measured(method, dense, 0, set())["acc"] == 1


@pytest.mark.parametrize("method", ["PLSCAN", "Louvain", "Leiden"])
def test_methods_of_other_libraries_join_no_separate_clusters(method, dense):
    pytest.importorskip(called.METHODS[method].needs)
    labels = called.fit(method, dense.X, None, 0)
    found = set(labels) - {-1}
    assert len(found) >= 2
    assert all(len(set(dense.y[labels == k])) == 1 for k in found)
    np.testing.assert_array_equal(called.fit(method, dense.X, None, 0), labels)


def test_communities_get_our_graph_in_double_precision(monkeypatch, tiny):
    class StandIn:
        def fit_predict(self, graph):
            return graph

    clustering = Bunch(Louvain=StandIn, Leiden=StandIn)
    monkeypatch.setitem(sys.modules, "sknetwork", Bunch(clustering=clustering))
    for method in ("Louvain", "Leiden"):
        graph = called.fit(method, tiny.X, None, 0)
        assert graph.dtype == np.float64
        assert abs(graph - neighbor_graph(tiny.X)).max() == 0


def test_samples_without_a_class_are_fitted_and_not_judged(dense):
    noisy = Bunch(**dense | {"y": np.where(np.arange(80) % 9, dense.y, -1)})
    assert called.measured("KMeans", noisy, 0, set())["acc"] == 1


def test_a_failing_fit_is_recorded_and_run_again(monkeypatch, tmp_path, tiny):
    def broken(X, n_clusters, seed):
        raise RuntimeError("out of rows\nand more")

    arguments = "--sets", "tiny", "--methods", "KMeans", "--seeds", "1"
    with monkeypatch.context() as patch:
        patch.setitem(called.METHODS, "KMeans", called.Method(broken))
        (found,) = run(clusterers, tmp_path, *arguments)
    assert found["error"] == "RuntimeError: out of rows"
    assert [record["acc"] for record in run(clusterers, tmp_path, *arguments)] == [0, 1]


def test_what_cannot_run_is_said(monkeypatch, tmp_path, capsys, tiny):
    limit = called.METHODS["KMeans"]._replace(max_samples=20)
    monkeypatch.setitem(called.METHODS, "KMeans", limit)
    monkeypatch.setattr(called, "find_spec", lambda module: None)
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path))
    run(clusterers, tmp_path, "--sets", "tiny", "d31", "--methods", "KMeans", "umap-learn + GMM")
    said = capsys.readouterr().out
    assert "tiny, KMeans: skipped, more than 20 samples" in said
    assert 'umap-learn + GMM: skipped, not installed: pip install -e ".[rivals]"' in said
    assert "d31: skipped. d31: no file" in said
    assert said.endswith("No fits.\n")


@pytest.fixture
def few_groups(monkeypatch):
    """Leave two sets of noise, and two of one cluster."""
    monkeypatch.setattr(how_many, "SHAPES", {"blobs": how_many.SHAPES["blobs"]})
    monkeypatch.setattr(how_many, "NOISE", [0.2])
    monkeypatch.setattr(how_many, "KINDS", ["blobs", "one_band"])
    monkeypatch.setattr(how_many, "DRAWN_ONES", [600_000])
    monkeypatch.setattr(how_many, "WITHOUT", ["normal"])
    monkeypatch.setattr(how_many, "FEATURES", [2])


def test_numbers_are_found_in_the_named_groups(tmp_path, capsys, few_groups):
    path = tmp_path / "summary.jsonl"
    arguments = "--groups", "single", "noise", "--methods", "x-means", "HDBSCAN"
    found = run(how_many, tmp_path, *arguments, "--summary", str(path))
    names = ["blobs, 20%, 0", "blobs, 20%, 1", "one_band, 600000", "normal, 2"]
    assert [record["data"] for record in found] == np.repeat(names, 2).tolist()
    assert [record["classes"] for record in found] == [4] * 4 + [1] * 4
    assert all(record["cpu_seconds"] >= 0 for record in found)
    single = found[4:]
    assert [r["found"] == [1] for r in single] == [True, False] * 2
    assert [r["ari"] for r in single] == [[1], [0]] * 2
    means = [(row["row"], row["group"], row["sets"], row["one cluster"]) for row in read(path)]
    assert means[2:] == [("X-means", "single", 2, 1), ("HDBSCAN", "single", 2, 0)]
    assert path.read_text().splitlines()[0] in capsys.readouterr().out
    assert run(how_many, tmp_path, *arguments) == found


def test_the_rest_is_only_named_and_groups_without_a_folder_are_said(monkeypatch, capsys):
    monkeypatch.setattr(how_many, "find_spec", lambda module: None)
    options = how_many.parsed([])
    assert {*how_many.GROUPS} - {*options.groups} == {"battery", "series"}
    assert "rest" not in options.groups
    assert not {"PLSCAN", "Louvain", "Leiden"} & {*options.methods}
    said = capsys.readouterr().out
    assert "battery: skipped, it needs --battery FOLDER" in said
    assert 'PLSCAN: skipped, not installed: pip install -e ".[rivals]"' in said
    asked = ["--groups", "rest", "series", "--battery", "somewhere", "--series", "elsewhere"]
    assert how_many.parsed(asked).groups == ["rest", "series"]


def test_noise_is_fitted_and_not_scored(monkeypatch):
    def split_noise(data, seed):
        return [np.where(data.y < 0, 2 + np.arange(len(data.X)) % 3, data.y)]

    monkeypatch.setitem(how_many.METHODS, "split noise", split_noise)
    load = partial(how_many.draw_noisy, "moons", 0.3, 0)
    data = load()
    assert (len(data.X), (data.y < 0).sum()) == (780, 180)
    shapes = data.X[data.y >= 0]
    margin = (data.X.max(axis=0) - shapes.max(axis=0)) / np.ptp(shapes, axis=0)
    assert ((margin > 0.1) & (margin < 0.15)).all()
    found = how_many.measure("split noise", load)
    assert (found["classes"], found["found"], found["ari"]) == (2, [5], [1])
    del data["noise_is_fitted"]
    left = how_many.measure("split noise", lambda: data)
    assert (left["classes"], left["found"], left["ari"]) == (2, [2], [1])


@pytest.mark.parametrize(
    ("labels", "right"), [([3, 3, 3], 1), ([0, -1, 0], 1), ([0, 0, 1], 0), ([-1, -1, -1], 0)]
)
def test_a_single_cluster_is_found_or_not(labels, right):
    assert how_many.score(np.zeros(3, dtype=int), np.array(labels)) == right


def test_texts_are_sparse_for_us_and_components_of_unit_length_for_others():
    data = how_many.read_set(partial(how_many.draw_kind, "texts", 0))
    assert issparse(data.X)
    assert data.prepared.shape == (data.X.shape[0], 50)
    np.testing.assert_allclose(np.linalg.norm(data.prepared, axis=1), 1)


def test_our_fits_get_views_of_images_and_find_those_of_series(tmp_path, monkeypatch):
    class StandIn:
        def __init__(self, n_clusters, augment, random_state):
            asked.append(augment)

        def fit(self, X):
            return Bunch(labels_=X[:, 0], alternatives_=[Bunch(labels=X[:, 1])])

    asked = []
    monkeypatch.setattr(how_many, "NeighborClustering", StandIn)
    for part in ("TRAIN", "TEST"):
        rows = ["1 0 1 0 2", "2 3 1 2 1"]
        (tmp_path / f"waves_{part}.txt").write_text("\n".join(rows))
    options = Bunch(battery=None, series=tmp_path, groups=["series"])
    loads = {name: load for _, name, load in how_many.load_groups(options)}
    for name in ("digits", "waves"):
        data = how_many.read_set(loads[name])
        assert len(how_many.ours(data, 0)) == 2
    assert asked[0].image_shape == (1, 8, 8)
    assert asked[1] == "auto"


def test_plscan_gets_30_components_at_most(monkeypatch):
    class StandIn:
        def fit_predict(self, X):
            fitted.append(X)

    fitted = []
    monkeypatch.setitem(sys.modules, "fast_hdbscan", Bunch(PLSCAN=StandIn))
    monkeypatch.setitem(sys.modules, "numba", Bunch(set_num_threads=lambda n: None))
    X = np.random.default_rng(0).normal(size=(50, 31))
    for n_features in (30, 31):
        data = Bunch(prepared=np.asfortranarray(X[:, :n_features]))
        how_many.METHODS["PLSCAN"](data, 0)
    assert all(own.shape == (50, 30) and own.flags.c_contiguous for own in fitted)
    np.testing.assert_array_equal(fitted[0], X[:, :30])


def test_answers_are_summarized_by_method_and_group():
    answers = [(4, [4, 5], 0.9), (4, [1, 4], 0.1), (8, [10, 9], 0.5), (9, [12, 8], 0.3)]
    records = [
        {"row": "A", "group": "blobs", "classes": k, "found": found, "ari": [ari, 1], "seconds": 2}
        for k, found, ari in answers
    ]
    records.append(records[0] | {"group": "noise", "found": [5], "ari": [0.7], "seconds": 1})
    blobs, noise = how_many.summarize(records)
    shares = {"exact": 1, "within one": 1, "within 25 %": 2, "in five": 2, "one cluster": 1}
    expected = {"row": "A", "group": "blobs", "sets": 4, "seconds": 2}
    assert blobs.pop("ari") == pytest.approx(0.45)
    assert blobs == expected | {name: n / 4 for name, n in shares.items()}
    assert (noise["sets"], noise["exact"], noise["within one"], noise["ari"]) == (1, 0, 1, 0.7)
    assert not [*how_many.summarize([])]


def test_calibration_is_of_clusters_matched_to_classes(monkeypatch):
    class StandIn:
        def fit(self, X):
            return self

        def predict_proba(self, X):
            return np.array([[0.1, 0.9], [0.2, 0.8], [1.0, 0.0], [0.4, 0.6]])

    monkeypatch.setitem(how_sure.METHODS, "VAEEmbedding", lambda *arguments: StandIn())
    data = Bunch(X=np.zeros((4, 1)), y=np.array([0, 0, 1, 1]), n_clusters=2)
    found = how_sure.calibration("VAEEmbedding", data, 0)
    assert (found["acc"], found["auc"]) == (0.75, 1)
    assert found["ece"] == pytest.approx((0.1 + 0.2 + 0 + 0.6) / 4)


def test_searches_find_the_number_and_rank_settings(tmp_path, capsys, monkeypatch, dense):
    monkeypatch.setattr(searches, "GRID", {"n_components": (2, 5)})
    monkeypatch.setattr(searches, "NUMBERS", [2, 5])
    arguments = "--sets", "tiny", "--methods", "VaDEClustering", "--seeds", "1"
    found = run(searches, tmp_path, *arguments)
    assert [record["row"] for record in found] == ["GridSearchCV", *["VaDEClustering"] * 2]
    assert found[0]["found"] == 2
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["best ari"] == line["expected ari"] == 1


def test_outliers_are_drawn_from_a_wider_box_and_found(tmp_path, dense):
    X, is_outlier = how_sure.add_outliers(np.repeat([[0.0, 1.0], [4.0, 1.0]], 500, axis=0), 0)
    assert (len(X), is_outlier.sum()) == (1050, 50)
    assert -1 <= X[:, 0].min() < -0.5
    assert 4.5 < X[:, 0].max() <= 5
    quick = "NeighborClustering", "LocalOutlierFactor", "IsolationForest"
    arguments = "outliers", "--sets", "tiny", "--seeds", "0-0", "--methods", *quick
    assert all(0.7 < record["auc"] <= 1 for record in run(how_sure, tmp_path, *arguments))


def test_ensembles_consist_of_the_single_fits(tmp_path):
    arguments = "--data", "iris", "--methods", "KMeans", "NeighborClustering", "--seeds", "0-1"
    found = run(ensembles, tmp_path, *arguments)
    rows = [f"{m}{e}" for m in ("KMeans",) for e in ("", "", ", ensemble (soft_vote)")]
    assert [record["row"] for record in found][:3] == rows
    assert found[2]["acc"] == pytest.approx(found[0]["acc"], abs=0.02)
    assert found[2]["diversity"] <= 0.05


@pytest.fixture
def few(monkeypatch):
    """Draw samples of MNIST's shape from the digits."""
    digits = load("digits")
    images = np.kron(digits.X[:240].reshape(-1, 8, 8), np.ones((3, 3)))
    X = np.pad(images, [(0, 0), (2, 2), (2, 2)]).reshape(240, -1).astype(np.float32)
    data = Bunch(X=X, y=digits.y[:240], name="few", n_clusters=10)
    monkeypatch.setattr(papers, "load", lambda name: data)
    monkeypatch.setattr(papers, "N_TRAIN", 200)
    return data


@pytest.mark.parametrize("name", ["CatGAN, 100 labels", "VAE"])
def test_a_shortened_paper_says_so_and_draws_its_curve(name, few, monkeypatch, tmp_path):
    narrow = {"hidden_layer_sizes": (16,)}
    adversarial = narrow | {"generator": None, "discriminator": None}
    for kind, preset in papers.PRESETS.items():
        small = adversarial if kind in ("CatGANClustering", "InfoGANClustering") else narrow
        monkeypatch.setitem(papers.PRESETS, kind, preset | small)
    paper, picture = papers.PAPERS[name], tmp_path / "papers.png"
    share = str(2 / paper.epochs)
    found = run(papers, tmp_path, name, "--share", share, "--picture", str(picture))
    assert [record["epoch"] for record in found] == [0, 1, 2, 2]
    assert all("shortened" in record["row"] for record in found)
    entry = papers.ENTRIES[paper.judge]
    assert found[-1][entry] == pytest.approx(found[-2][entry], abs=1e-6)
    assert picture.stat().st_size > 5_000


def test_few_labels_are_judged_on_other_samples(tmp_path):
    arguments = "--sets", "digits", "iris", "--rows", "LabelSpreading", "--seeds", "0-0"
    found = run(few_labels, tmp_path, *arguments)
    assert [record["labels"] for record in found] == [10, 50, 100, 3, 15, 30]
    errors = [record["error"] for record in found[:3]]
    assert 0.3 > errors[0] > errors[2] > 0
    assert run(few_labels, tmp_path, *arguments) == found  # not run again


def test_generated_images_are_judged(tmp_path):
    picture = tmp_path / "drawn.png"
    arguments = "--sets", "digits", "--methods", "VaDE", "--seeds", "0-0"
    found = run(samples, tmp_path, *arguments, "--picture", str(picture))
    assert picture.stat().st_size > 5000
    assert 0.9 < found[0]["own"] <= 1
    assert found[0]["distance"] > 2 * found[0]["real"]


def test_generated_tables_are_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(generated_tables, "N_CUSTOMERS", 400)
    table = generated_tables.draw_customers(0)
    assert 0.02 < (table["city"] == "E").mean() < 0.1
    quick = partial(VaDEClustering, init="own", hidden_layer_sizes=(16,))
    monkeypatch.setitem(generated_tables.METHODS, "VaDE", quick)
    arguments = "--tables", "customers", "wine", "--methods", "VaDE", "halves", "--seeds", "0-0"
    found = run(generated_tables, tmp_path, *arguments)
    assert [record["row"] for record in found] == ["VaDE", "halves"] * 2
    for record in found:
        assert record["shares"] < 0.2
        assert 0.6 < record["deviations"] < 1.6
        assert 0.3 < record["auc"] < (0.7 if record["row"] == "halves" else 1)


def test_growth_is_measured_in_a_process_of_its_own(tmp_path):
    found = run(growth, tmp_path, "--samples", "300", "--methods", "NeighborClustering")
    assert [record["n_samples"] for record in found] == [300]
    assert all(record["seconds"] > 0 and record["acc"] > 0.9 for record in found)
    axes = pictures.draw_growth(pictures.as_frame(found)).axes
    assert [line.get_ydata().item() for line in axes[0].lines] == [found[0]["seconds"]]
    pictures.plt.close("all")


@pytest.mark.parametrize("method", methods.NETWORKS)
def test_the_bare_pass_gives_the_labels_of_predict(method):
    X = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32)
    estimator = prediction.fitted(method, X, (16,))
    labels = prediction.bare(estimator.model_, X, 256)
    np.testing.assert_array_equal(labels, estimator.predict(X))


def test_default_fits_and_em_are_timed(tmp_path, dense):
    arguments = "--sets", "tiny", "--methods", "NeighborClustering", "--repeats", "2"
    (found,) = run(default_fits, tmp_path, *arguments)
    assert found["acc"] == [1, 1]
    assert found["seconds"] == np.median(found["repeats"])
    arguments = "--samples", "5000", "--repeats", "1", "--iterations", "2"
    assert all(record["same_bound"] for record in run(em_against_sklearn, tmp_path, *arguments))


def test_the_steps_of_a_fit_are_made_bare(tmp_path):
    arguments = "--sets", "iris", "--methods", "DACClustering", "--seeds", "1"
    (found,) = run(bare_loop, tmp_path, *arguments)
    assert found["fit"] > found["initial"] > 0
    assert found["overhead"] == pytest.approx(
        (found["fit"] - found["initial"]) / found["bare"], rel=0.05
    )


def test_missing_values_are_removed_and_clustered(tmp_path):
    X = np.random.RandomState(0).normal(size=(1000, 4))
    assert np.isnan(missing_values.remove(X, 0.15, 0)).mean() == pytest.approx(0.15, abs=0.02)
    largest = np.isnan(missing_values.remove(X, None, 0))
    assert not largest[:, 1::2].any()
    assert X[:, 0][largest[:, 0]].min() > np.median(X[:, 0])
    arguments = "--sets", "iris", "--seeds", "1", "--methods", "GaussianMixtureEM"
    found = run(missing_values, tmp_path, *arguments)
    assert len(found) == 1 + 4 * 3
    assert "as it is" not in {record["way"] for record in found}
    assert all(record["acc"] > 0.3 for record in found)


def test_mixed_tables_are_clustered(tmp_path, monkeypatch, capsys):
    y = np.arange(60) % 2
    numbers = np.random.RandomState(0).normal(size=60) + 9 * y
    letters = np.array(["a", "b"], dtype=object)[y]
    X = pd.DataFrame({"number": numbers, "letter": letters, "other": numbers[::-1] * -1})
    X.loc[::9, "letter"], X.loc[::8, "number"] = None, np.nan
    with monkeypatch.context() as patch:
        data = Bunch(X=X, y=y, n_clusters=2, name="crabs")
        patch.setattr(mixed_tables, "load_table", lambda name: data)
        patch.setattr(mixed_tables, "OURS", ["NeighborClustering"])
        others = {"Gower": mixed_tables.gower, "KMeans": mixed_tables.balanced_kmeans}
        patch.setattr(mixed_tables, "OTHERS", others)
        found = run(mixed_tables, tmp_path, "--tables", "crabs", "--seeds", "1")
    assert len(found) == 9
    assert min(record["acc"] for record in found) > 0.9
    assert sum("expected_score" in record for record in found) == 7
    monkeypatch.setattr(mixed_tables, "OTHERS", {"KMeans": mixed_tables.kmeans})
    few, many, *_ = mixed_tables.DRAWN
    drawn = run(mixed_tables, tmp_path, "--tables", few, "--draws", "1")[9:]
    assert len(drawn) == 3
    table = mixed_tables.draw_table(few, 0)
    assert {record["n_clusters"] for record in drawn} == {len(set(table.y))}
    assert table.X.shape[1] < mixed_tables.draw_table(many, 0).X.shape[1]
    monkeypatch.setitem(sys.modules, "palmerpenguins", None)
    options = Bunch(tables=["penguins"], seeds=[0], draws=None, rows=[])
    assert not list(mixed_tables.tasks(options))
    assert "pip install palmerpenguins" in capsys.readouterr().out


def test_fits_to_codes_without_structure_have_three_clusters(tmp_path):
    found = run(mixed_tables, tmp_path, "--tables", "codes without structure", "--draws", "1")
    assert [record["n_clusters"] for record in found] == [1] * 2
    given = [record for record in found if "K open" not in record["row"]]
    assert [(record["n_found"], record["ari"]) for record in given] == [(3, 0)]
    assert all(0 <= record["expected_score"] <= 1 for record in found)


def test_customers_have_whole_numbers_categories_and_gaps():
    data = mixed_tables.draw_table("customers", 0)
    numbers, categories = mixed_tables.split(data.X)
    assert len(numbers) == 5
    assert len(categories) == 3
    whole = data.X[["age", "orders", "newsletter", "returned"]]
    assert (whole.isna() | (whole == whole.round())).all(axis=None)
    assert data.X.isna().mean(axis=None) == pytest.approx(0.05, abs=0.01)
    assert set(data.y) == set(range(data.n_clusters))


def test_gaps_of_shoppers_depend_on_other_values():
    data = mixed.draw_table("shoppers", 0)
    _, categories = mixed_tables.split(data.X)
    assert 2 <= len(categories) <= 5
    assert all(2 <= data.X[name].nunique() <= 8 for name in categories)
    assert set(data.X["rating"].dropna()) <= {1, 2, 3, 4, 5}
    is_unrated = data.X["rating"].isna()
    is_rare = data.X["visits"] < 2
    assert is_unrated[is_rare].mean() > 5 * is_unrated[~is_rare].mean()
    assert set(data.y) == set(range(data.n_clusters))


@pytest.fixture
def split_in_two(monkeypatch):
    """Make all drawn tables one of two separate clusters: numbers, an amount, a flag, letters."""
    rng = np.random.RandomState(0)
    y = np.arange(90) % 2
    columns = {
        "number": rng.normal(size=90) + 9 * y,
        "amount": np.exp(rng.normal(size=90) + 7 * y),
        "flag": y,
        "letter": np.array(["a", "b"], dtype=object)[y],
        "color": rng.choice(np.array([*"uvwxyz"], dtype=object), 90),
    }
    X = pd.DataFrame(columns)
    X.loc[::9, "letter"], X.loc[::8, "number"] = None, np.nan
    data = Bunch(X=X, y=y, n_clusters=2, name="customers")
    monkeypatch.setattr(pipelines, "draw_table", lambda name, seed: data)
    pipelines.fit.cache_clear()
    yield data
    pipelines.fit.cache_clear()


def test_pipelines_scale_fill_and_encode(split_in_two):
    X = split_in_two.X
    made = {name: way(X).fit_transform(X) for name, way in pipelines.WAYS.items() if way}
    one_hot = made["one-hot"]
    assert one_hot.shape == (90, 3 + 2 + 6)
    assert np.isfinite(one_hot).all()
    np.testing.assert_allclose(one_hot[:, :3].std(axis=0), 1)
    assert set(one_hot[:, 3:].ravel()) == {0, 1}
    np.testing.assert_allclose(made["half weight"], one_hot * np.repeat([1, 0.5], [3, 8]))
    np.testing.assert_array_equal(made["sparse"].toarray(), one_hot)
    for name in ("logarithms, all scaled", "OrdinalEncoder"):
        np.testing.assert_allclose(made[name].std(axis=0), 1)
    assert made["OrdinalEncoder"].shape == (90, 5)
    logs = np.log1p(X["amount"])
    np.testing.assert_allclose(
        made["logarithms, all scaled"][:, 1], (logs - logs.mean()) / logs.std(ddof=0)
    )
    assert (made["MinMaxScaler"].min(), made["MinMaxScaler"].max()) == (0, 1)


def test_fits_behind_pipelines_are_compared_with_the_data_frame(tmp_path, capsys, split_in_two):
    rows = "NeighborClustering", "KMeans", "classes"
    found = run(pipelines, tmp_path, "--tables", "customers", "--draws", "1", "--rows", *rows)
    assert [record["way"] for record in found] == [*pipelines.WAYS] * 3
    assert all(r["same"] == 1 for r in found if r["way"] == "DataFrame")
    assert all(r["ari"] == 1 for r in found if r["row"] == "classes" and "ari" in r)
    is_scored = ["expected_score" in r for r in found if "error" not in r and r["row"] != "KMeans"]
    assert all(is_scored)
    table = capsys.readouterr().out
    assert "| customers | KMeans | one-hot | 1 | 0 | " in table


def test_a_method_that_fails_is_said_and_counted(tmp_path, monkeypatch, capsys):
    def broken(X, n_clusters, seed):
        raise RuntimeError("out of rows")

    monkeypatch.setattr(mixed_tables, "OTHERS", {"Broken": broken})
    found = run(mixed_tables, tmp_path, "--tables", "customers", "--draws", "1")
    assert found[-1]["error"] == "failed: RuntimeError: out of rows"
    assert "| customers | Broken | its own | 1 | 1 | 0.000 |" in capsys.readouterr().out


def test_latent_classes_find_clusters_of_numbers_and_of_categories():
    y = np.arange(90) % 3
    rng = np.random.RandomState(0)
    numbers = rng.normal(size=90) + 9 * (y == 0)
    letters = np.array(["a", "a", "b"], dtype=object)[y]
    X = pd.DataFrame({"number": numbers, "letter": letters, "same": letters, "constant": 1})
    X.loc[::9, "letter"], X.loc[::8, "number"] = None, np.nan
    labels = mixed_tables.latent_classes(X, 3, 0)
    assert mixed_tables.judged(y, labels)["acc"] > 0.95


ARFF = """% a comment
@RELATION tea

@ATTRIBUTE 'leaf size' {small,'very large'}
@attribute price NUMERIC
@attribute Class {black, green}
@attribute origin {here,there}
@DATA
small, 3.5, black, here
'very large', ?, green, there
?, 4, black, here
small, 1, ?, there
"""


def test_tables_of_repositories_are_read_from_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(mixed.UCI, "tea", ["origin"])
    monkeypatch.setitem(mixed.TABLES, "uci/tea", lambda: mixed.load_uci("tea"))
    monkeypatch.delenv("SKDEEPCLUSTER_TABLES", raising=False)
    assert not run(mixed_tables, tmp_path, "--tables", "uci/tea")
    assert capsys.readouterr().out.endswith("No fits.\n")
    with pytest.raises(FileNotFoundError, match=r"SKDEEPCLUSTER_TABLES.*arff-datasets"):
        mixed.load_table("uci/tea")
    monkeypatch.setenv("SKDEEPCLUSTER_TABLES", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"tea\.arff: copy it from .*arff-datasets"):
        mixed.load_table("uci/tea")
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "tea.arff").write_text(ARFF)
    data = mixed.load_table("uci/tea")
    assert list(data.X) == ["leaf size", "price"]
    assert data.X["leaf size"].tolist()[:2] == ["small", "very large"]
    assert data.X.isna().sum().tolist() == [1, 1]
    assert data.y.tolist() == [0, 1, 0]


def test_tables_of_clubench_are_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEPCLUSTER_TABLES", str(tmp_path))
    folder = tmp_path / "clubench" / "ecoli"
    folder.mkdir(parents=True)
    for name, content in {"data": [[0, 1.5], [1, 2.5]], "label": [4, 7]}.items():
        (folder / f"{name}.bin").write_bytes(zlib.compress(json.dumps(content).encode()))
    data = mixed.load_table("clubench/ecoli")
    assert (data.X.shape, data.y.tolist(), data.n_clusters) == ((2, 2), [0, 1], 2)


def test_laws_hold_for_separate_clusters(tmp_path):
    found = run(laws, tmp_path, "--seeds", "1", "--methods", "KMeans", "GaussianMixtureEM")
    assert len(found) == 2 * len(laws.LAWS)
    assert all(r["separate"] == 0 for r in found if r["law"] != "an outlier")
    assert 0 < max(r["overlapping"] for r in found) < 0.75
    assert all(set(record["found"]) == {4} for record in found)
    assert not any("incomplete" in record for record in found)


def test_laws_hold_for_incomplete_clusters(tmp_path):
    few = "--laws", "shift", "rotation"
    found = run(laws, tmp_path, "--seeds", "1", "--methods", "NeighborClustering", *few)
    assert [record.get("incomplete") for record in found] == [0, None]


def test_separations_are_compared_with_variances_within(tmp_path):
    found = run(separations, tmp_path, "--seeds", "1")
    ours = [r for r in found if r["row"] == "GaussianMixtureEM" and r["gap"] != "1e+00"]
    assert len(ours) == 4 * 4
    assert all(r["acc"] == 1 and r["variance"] < 1e-4 and r["rises"] for r in ours)


def test_samples_are_compared_where_they_came_to_stand():
    X, labels = laws.draw("separate", 0), np.arange(laws.N) % laws.K
    for law in ("order of samples", "every sample twice", "10 % of samples removed"):
        changed, where = laws.LAWS[law](X, labels, np.random.default_rng(0))
        pair = (X[where], changed) if len(changed) < laws.N else (X, changed[where])
        np.testing.assert_array_equal(*pair)


def compared(tmp_path, *arguments):
    """Run the comparison; return its exit code, its records and its page."""
    out, results = tmp_path / "report.html", tmp_path / "results.jsonl"
    code = compare.main([*arguments, "--out", str(out), "--results", str(results)])
    records = [json.loads(line) for line in results.read_text().splitlines()]
    return code, records, out.read_text(encoding="utf-8")


def test_comparison_writes_a_table_and_a_self_contained_page(tmp_path, capsys):
    arguments = "--methods", "KMeans", "NeighborClustering", "CatGANClustering"
    code, found, page = compared(tmp_path, *arguments, "--n-samples", "100", "--seeds", "0-1")
    assert code == 0
    table = capsys.readouterr().out
    for entry in ("acc", "expected_score"):
        values = [record[entry] for record in found if record["method"] == "KMeans"]
        assert f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" in table
    assert "<td>KMeans</td>" in page
    assert not re.search(r"https?://|url\(|<script", page)


def test_comparison_of_unlabeled_samples_has_no_accuracy(tmp_path, capsys):
    path = tmp_path / "rows.npz"
    np.savez(path, X=np.random.RandomState(0).normal(size=(60, 4)))
    arguments = "--data", str(path), "--methods", "GaussianMixture", "--n-clusters", "2"
    code, found, _ = compared(tmp_path, *arguments, "--seeds", "1")
    assert (code, found[0]["n_clusters"], "acc" in found[0]) == (0, 2, False)
    assert "ACC" not in capsys.readouterr().out


def test_comparison_takes_tables_and_sparse_samples(tmp_path, tiny):
    X = tiny.X.toarray()
    table = pd.DataFrame(X).assign(place=np.repeat(["a", "b"], 40), y=tiny.y)
    table.loc[3, 0] = np.nan
    table.to_csv(tmp_path / "rows.csv", index=False)
    wide = csr_array((tiny.X.data, tiny.X.indices, tiny.X.indptr), (80, 5 * tiny.X.shape[1]))
    parts = {name: getattr(wide, name) for name in ("data", "indices", "indptr", "shape")}
    np.savez(tmp_path / "sparse.npz", **parts, y=tiny.y)
    arguments = "--methods", "KMeans", "GaussianMixture", "GaussianMixtureEM", "--seeds", "1"
    for name in ("rows.csv", "sparse.npz"):
        code, found, _ = compared(tmp_path, "--data", str(tmp_path / name), *arguments)
        assert code == 0
        assert all(record["acc"] == 1 for record in found)


def test_a_failing_method_is_reported_and_the_others_go_on(tmp_path, capsys, monkeypatch):
    class Broken(KMeans):
        def fit_predict(self, X, y=None):
            raise RuntimeError("out of <luck>")

    monkeypatch.setitem(compare.METHODS, "Broken", lambda *arguments: Broken())
    arguments = "--methods", "Broken", "KMeans", "--n-samples", "100", "--seeds", "2"
    code, found, _ = compared(tmp_path, *arguments)
    assert code == 1
    assert [record["error"] for record in found[:2]] == ["RuntimeError: out of <luck>", None]
    assert "Broken failed, seed 0, 1: RuntimeError: out of <luck>" in capsys.readouterr().out


def test_networks_are_compared_alone_only_if_they_are_asked_for():
    default = compare.parsed(["--n-samples", "100"]).methods
    assert {*methods.NETWORKS, "KMeans", *methods.IMAGE_METHODS} <= {*default}
    assert not methods.ALONE.keys() & default
    asked = compare.parsed(["--n-samples", "100", "--own"]).methods
    assert asked == [*default, *methods.ALONE]
    few = ["--methods", "KMeans", "VaDEClustering", "DACClustering, own"]
    assert compare.parsed([*few, "--own"]).methods == [*few[1:], "VaDEClustering, own"]


def test_methods_stand_at_their_means_over_common_sets():
    records = [
        {"row": method, "data": data, "acc": acc, "seconds": seconds}
        for method in [*pictures.OTHERS, "NeighborClustering", *methods.NETWORKS]
        for data, acc, seconds in [("a", 0.7, 1.0), ("a", 0.9, 3.0), ("b", 0.72, 4.0)]
    ]
    records.append({"row": "KMeans", "data": "c", "acc": 0.0, "seconds": 99.0})
    frame = pictures.as_frame(records)
    acc, seconds, common = pictures.average(frame)
    assert common == ["a", "b"]
    assert (acc["KMeans"], seconds["KMeans"]) == pytest.approx((0.76, 2.5))
    frame.loc[[0, 1], "acc"] = 0.1
    texts = [text.get_text() for text in pictures.draw_accuracy_and_seconds(frame).axes[0].texts]
    assert texts[:2] == ["KMeans: ACC 0.41", "GaussianMixture"]
    pictures.plt.close("all")
