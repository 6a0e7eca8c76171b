"""Data, comparison and report."""

import json
import re

import compare
import numpy as np
import pytest
import sklearn
from lib import datasets, report, summary, toys
from sklearn.datasets import make_moons
from sklearn.utils import Bunch
from sklearn.utils.fixes import parse_version

SIZES = {
    "digits": (1797, 64, 10),
    "mnist": (70000, 784, 10),
    "fashion_mnist": (70000, 784, 10),
    "reuters8": (7219, 2000, 8),
}


def available(name):
    return name == "digits" or (datasets.data_folder() / f"{name}.npz").is_file()


@pytest.fixture
def no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path))
    return tmp_path


def run(tmp_path, *arguments):
    out, results = tmp_path / "report.html", tmp_path / "results.jsonl"
    code = compare.main([*arguments, "--out", str(out), "--results", str(results)])
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return code, rows, out.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SIZES)
def test_named_data_have_their_size_and_range(name):
    if not available(name):
        pytest.skip(f"{name}.npz is not in {datasets.data_folder()}")
    data = datasets.load(name)
    assert (*data.X.shape, data.n_clusters) == SIZES[name]
    assert len(data.y) == data.X.shape[0]
    assert data.X.min() == 0
    assert data.X.max() <= 1
    assert data.image_shape is None or np.prod(data.image_shape) == data.X.shape[1]


def test_subsample_is_the_start_of_a_permutation():
    small, large = datasets.load("digits", 50), datasets.load("digits", 200)
    np.testing.assert_array_equal(small.X, large.X[:50])
    np.testing.assert_array_equal(small.y, datasets.load("digits", 50).y)
    assert len(np.unique(datasets.load("digits", 200, random_state=1).y)) == 10


def test_unbalanced_has_its_shares_and_repeats():
    y = np.repeat(np.arange(10), 100)
    X = np.arange(1000)[:, None]
    drawn, classes = datasets.unbalanced(X, y, n=200)
    np.testing.assert_array_equal(np.bincount(classes), [4, 6, 8, 10, 14, 18, 24, 30, 36, 50])
    np.testing.assert_array_equal(y[drawn[:, 0]], classes)
    np.testing.assert_array_equal(drawn, datasets.unbalanced(X, y, n=200)[0])
    assert np.any(np.diff(classes) < 0)


def test_npz_of_images_keeps_their_shape(tmp_path):
    X = np.random.RandomState(0).randint(256, size=(5, 3, 4)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", X=X, y=np.array(list("abbab")))
    data = datasets.load(tmp_path / "images.npz")
    np.testing.assert_allclose(data.X, X.reshape(5, 12) / 255, rtol=1e-6)
    assert (data.image_shape, data.n_clusters, data.name) == ((3, 4), 2, "images.npz")


@pytest.mark.parametrize(
    ("text", "y"),
    [
        ("1,2,3\n4,5,6\n", None),
        ("a,b,c\n1,2,3\n4,5,6\n", None),
        ("a,Label,c\n1,7,3\n4,8,6\n", [7, 8]),
        ("0,1,label\n1,3,cat\n4,6,dog\n", ["cat", "dog"]),
        ("1,3,cat\n4,6,dog\n", ["cat", "dog"]),
    ],
)
def test_csv_labels_are_a_named_column_or_a_last_one_of_text(tmp_path, text, y):
    (tmp_path / "rows.csv").write_text(text)
    data = datasets.load(str(tmp_path / "rows.csv"))
    expected = [[1, 2, 3], [4, 5, 6]] if y is None else [[1, 3], [4, 6]]
    np.testing.assert_array_equal(data.X, expected)
    assert (data.y if y is None else data.y.tolist()) == y
    assert data.n_clusters == (8 if y is None else 2)
    header = text.split("\n")[0].split(",")
    named = None if header[0] == "1" else [name for name in header if name.lower() != "label"]
    assert data.feature_names == named


def test_download_is_only_done_when_asked_for(no_files, monkeypatch):
    def fetch(name, **options):
        assert name == "mnist_784"
        return Bunch(data=np.full((2, 784), 255), target=np.array(["3", "1"]))

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    data = datasets.load("mnist", download=True)
    assert data.X.max() == 1
    assert data.y.tolist() == [3, 1]
    with pytest.raises(FileNotFoundError, match="reuters8.*not offered for download"):
        datasets.load("reuters8", download=True)


def test_missing_files_are_said_where_and_what_else(no_files):
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("fashion_mnist")
    message = str(error.value)
    assert str(no_files / "fashion_mnist.npz") in message
    assert "SKDEEPCLUSTER_DATA" in message
    assert "--download" in message
    assert 'fetch_openml("Fashion-MNIST")' in message


def test_another_file_than_the_published_one_warns(no_files):
    np.savez(no_files / "mnist.npz", X=np.zeros((3, 784), np.uint8), y=np.arange(3))
    with pytest.warns(UserWarning, match="mnist.npz is not the file of the published numbers"):
        assert datasets.load("mnist").X.shape == (3, 784)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: datasets.load("cifar"), "Unknown data 'cifar'"),
        (lambda path: datasets.load("digits", 1798), "n_samples=1798: digits has 1797 rows"),
        (lambda path: datasets.load(path), "Column 'b' of .* holds text or missing values"),
        (lambda path: datasets.unbalanced(np.ones((9, 1)), np.arange(9)), "shares must be one"),
        (lambda path: compare.parse_seeds("a-b"), "--seeds a-b: expected a range"),
        (lambda path: compare.parse_seeds("0"), "--seeds 0"),
        (lambda path: compare.parse_methods(["KMeans,Magic"]), "Magic not among KMeans"),
    ],
)
def test_errors_say_what_was_expected(tmp_path, call, message):
    path = tmp_path / "holes.csv"
    path.write_text("a,b,c\n1,2,3\n4,,6\n")
    with pytest.raises(ValueError, match=message):
        call(path)


def test_seeds_and_methods_are_read():
    assert compare.parse_seeds("0-2") == compare.parse_seeds("0,1,2") == compare.parse_seeds("3")
    assert compare.parse_seeds("5,") == compare.parse_seeds("5-5") == [5]
    assert compare.parse_methods(["kmeans,GaussianMixture", "KMeans"]) == [
        "KMeans",
        "GaussianMixture",
    ]
    assert compare.parse_methods(None) == list(compare.METHODS)


def test_comparison_writes_table_lines_and_a_self_contained_report(tmp_path, capsys):
    arguments = ["--methods", "KMeans", "GaussianMixture", "--n-samples", "150", "--seeds", "0-1"]
    code, rows, page = run(tmp_path, *arguments, "--threads", "1")
    text = capsys.readouterr().out
    assert code == 0
    assert [(row["method"], row["seed"]) for row in rows] == [
        (method, seed) for method in ("KMeans", "GaussianMixture") for seed in (0, 1)
    ]
    acc = [row["acc"] for row in rows[:2]]
    assert f"{np.mean(acc):.3f} ± {np.std(acc, ddof=1):.3f}" in text
    assert f"{min(acc):.3f} / {np.median(acc):.3f} / {max(acc):.3f}" in page
    assert rows[0]["settings"]["n_init"] == 10
    assert {"commit", "torch", "scikit-learn", "date"} <= set(rows[0])
    assert (rows[0]["precision"], rows[0]["threads"]) == ("float64", 1)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    keeps_bounds = parse_version(sklearn.__version__) >= parse_version("1.7")
    # Of GaussianMixture there are also its reliability and its bounds.
    assert len(sources) == 1 + 2 * 3 + 1 + keeps_bounds
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|<script|could not be drawn", page)


def test_report_shows_how_sure_and_how_many(tmp_path):
    arguments = ["--methods", "NeighborClustering", "--n-samples", "60", "--seeds", "1"]
    code, _, page = run(tmp_path, *arguments)
    assert code == 0
    captions = re.findall(r'<img alt="([^"]*)"', page)
    assert captions[1] == "Embedding: neighbors of transform(X), 60 samples"
    assert [caption.split(" ")[0] for caption in captions[3:]] == [
        "Reliability",
        "Stability",
        "Number",
    ]
    assert "could not be drawn" not in page


def test_unlabelled_rows_get_label_free_columns(tmp_path, capsys):
    path = tmp_path / "rows.npz"
    np.savez(path, X=np.random.RandomState(0).normal(size=(60, 4)))
    arguments = ["--data", str(path), "--methods", "GaussianMixture", "--n-clusters", "2"]
    code, rows, page = run(tmp_path, *arguments, "--seeds", "1")
    assert code == 0
    assert (rows[0]["acc"], rows[0]["n_clusters"]) == (None, 2)
    assert "ACC" not in capsys.readouterr().out
    assert not re.search("[ >]ACC", page)
    assert "could not be drawn" not in page


def test_a_failing_method_is_reported_and_the_others_go_on(tmp_path, capsys, monkeypatch):
    def broken(n_clusters, random_state, data):
        raise RuntimeError("out of <luck>")

    monkeypatch.setitem(compare.METHODS, "Broken", broken)
    arguments = ["--methods", "Broken", "KMeans", "--n-samples", "100", "--seeds", "2"]
    code, rows, page = run(tmp_path, *arguments)
    assert code == 1
    assert [row["error"] for row in rows] == ["RuntimeError: out of <luck>"] * 2 + [None] * 2
    assert "Broken failed, seed 0, 1: RuntimeError: out of <luck>" in capsys.readouterr().out
    assert "out of &lt;luck&gt;" in page
    assert "<h2>KMeans</h2>" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnist"], "SKDEEPCLUSTER_DATA"),
        (["--data", "no.npz"], "There is no file no.npz"),
        (["--image-shape", "7x7"], "--image-shape 7x7: 64 features"),
        (["--methods", "Magic"], "Magic not among"),
    ],
)
def test_wrong_options_end_with_a_message(no_files, capsys, arguments, message):
    with pytest.raises(SystemExit):
        compare.main(arguments)
    assert message in capsys.readouterr().err


def test_every_method_is_constructed_for_dense_data():
    data = datasets.load("digits", 100)
    for make in compare.METHODS.values():
        assert make(3, 0, data).get_params()["random_state"] == 0


def test_table_says_what_failed_in_part():
    row = {"method": "A", "found": 3, "moved": 0.25, "score": -2.0, "seconds": 1.0}
    row |= {"error": None}
    rows = [{**row, "seed": 0}, {**row, "seed": 1, "error": "ValueError: no"}]
    header, lines = summary.summarise(rows, Bunch(y=None))
    assert header == ["method", "fits", "clusters", "moved", "score", "seconds"]
    assert lines == [["A", "1 of 2", "3", "25.0 %", "-2.000", "1.0"]]


def test_toy_pictures_show_both_clusterers(monkeypatch):
    X, y = make_moons(250, noise=0.05, random_state=0)
    monkeypatch.setattr(toys, "TOYS", {"moons": ((X, y), 2)})
    made = toys.figure()
    assert [ax.get_title().split(":")[0] for ax in made.axes] == [
        "moons, KMeans, ARI",
        "moons, CatGANClustering, ARI",
    ]
    assert float(made.axes[1].get_title().split(": ")[1]) > 0.9
    report.plt.close(made)
