"""The data of the benchmarks, and how options are read."""

import numpy as np
import pytest
from lib import datasets, sets
from lib.options import chosen, parse_seeds
from sklearn.utils import Bunch


@pytest.fixture
def no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEPCLUSTER_DATA", str(tmp_path))
    return tmp_path


def test_subsample_is_the_start_of_a_permutation():
    small, large = datasets.load("digits", 50), datasets.load("digits", 200)
    np.testing.assert_array_equal(small.X, large.X[:50])
    np.testing.assert_array_equal(small.y, large.y[:50])


def test_unbalanced_sample_has_its_shares():
    data = Bunch(X=np.arange(1000.0).reshape(-1, 1), y=np.repeat(np.arange(10), 100))
    drawn = datasets.draw_unbalanced(data, 400, 0)
    assert np.bincount(drawn.y).tolist() == [8, 12, 16, 20, 28, 36, 48, 60, 72, 100]
    np.testing.assert_array_equal(drawn.y, drawn.X[:, 0] // 100)


def test_npz_of_images_keeps_their_shape(tmp_path):
    X = np.random.RandomState(0).randint(256, size=(5, 3, 4)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", X=X, y=np.array(list("abbab")))
    data = datasets.load(tmp_path / "images.npz")
    np.testing.assert_allclose(data.X, X.reshape(5, 12) / 255, rtol=1e-6)
    assert (data.image_shape, data.n_clusters, data.name) == ((3, 4), 2, "images.npz")


def test_sparse_npz_may_hold_names_of_features_as_objects(tmp_path):
    parts = {"data": [3.0, 4.0], "indices": [1, 0], "indptr": [0, 1, 2], "shape": [2, 2]}
    names = np.array(["one", "two"], dtype=object)
    np.savez(tmp_path / "words.npz", **parts, y=[0, 1], feature_names=names)
    assert datasets.load(tmp_path / "words.npz").X.toarray().tolist() == [[0, 3], [4, 0]]


@pytest.mark.parametrize(
    ("text", "y"),
    [
        ("1,2,3\n4,5,6\n", None),
        ("a,b,c\n1,2,3\n4,5,6\n", None),
        ("a,Label,c\n1,7,3\n4,8,6\n", [7, 8]),
        ("0,1,label\n1,3,cat\n4,6,dog\n", ["cat", "dog"]),
    ],
)
def test_csv_labels_are_a_named_column_or_a_last_one_of_text(tmp_path, text, y):
    (tmp_path / "rows.csv").write_text(text)
    data = datasets.load(str(tmp_path / "rows.csv"))
    assert data.X.tolist() == ([[1, 2, 3], [4, 5, 6]] if y is None else [[1, 3], [4, 6]])
    assert (data.y if y is None else data.y.tolist()) == y
    assert data.n_clusters == (8 if y is None else 2)


def test_csv_with_text_and_gaps_is_a_table(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,c,y\n1,x,3,0\n4,,6,1\n,x,7,1\n")
    data = datasets.load(tmp_path / "rows.csv", 2)
    assert (data.X.shape, list(data.X), data.y.tolist()) == ((2, 3), ["a", "b", "c"], [1, 1])


def test_download_happens_only_when_asked_for(no_files, monkeypatch):
    found = np.full((2, 784), 255), np.array(["3", "1"])
    monkeypatch.setattr(datasets, "fetch_openml", lambda name, **options: found)
    with pytest.raises(FileNotFoundError, match=r"SKDEEPCLUSTER_DATA.*mnist\.npz.*--download"):
        datasets.load("mnist")
    data = datasets.load("mnist", download=True)
    assert (data.X.max(), data.y.tolist()) == (1, [3, 1])


def test_tables_are_read_from_one_file(no_files):
    np.savez(no_files / "tables.npz", yeast_X=np.ones((4, 2), np.float32), yeast_y=[0, 1, 2, 2])
    data = datasets.load("yeast")
    assert (data.X.shape, data.n_clusters, data.name) == ((4, 2), 3, "yeast")


def test_sets_are_read_by_name_and_by_group():
    assert sets.parse_sets(["iris", "wine", "iris"]) == ["iris", "wine"]
    assert len(sets.parse_sets(["eleven"])) == 11
    assert sets.load_set("digits").X.max() == 16
    wine = sets.load_set("wine").X
    np.testing.assert_allclose([wine.mean(), wine.std(0).max()], [0, 1], atol=1e-12)


def test_labels_are_drawn_by_class():
    y = np.repeat([0, 1, 2], 20)
    some = datasets.draw_labels(y, 4, 0)
    assert np.bincount(some[some >= 0]).tolist() == [4, 4, 4]
    np.testing.assert_array_equal(some[some >= 0], y[some >= 0])


def test_seeds_and_names_are_read():
    assert parse_seeds("0-2") == parse_seeds("0,1,2") == parse_seeds("3") == [0, 1, 2]
    assert chosen(["kmeans", "KMeans"], ["KMeans", "Ward"]) == ["KMeans"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: datasets.load("cifar"), "Unknown data 'cifar'"),
        (lambda path: datasets.load("digits", 1798), "expected 1 to 1797 samples of digits"),
        (lambda path: parse_seeds("a-b"), "--seeds a-b: expected a range"),
        (lambda path: chosen(["Magic"], ["KMeans"]), "Magic not among KMeans"),
        (lambda path: sets.parse_sets(["cifar"]), "cifar not among eleven"),
    ],
)
def test_errors_say_what_was_expected(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
