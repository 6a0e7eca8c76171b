"""The training of the criterion: what is drawn, and the file that is written."""

import json

import numpy as np
import pytest
from scipy.sparse import issparse

from benchmarks.criterion import __main__ as training
from benchmarks.criterion import draw, measure, train
from skdeepcluster import NeighborClustering
from skdeepcluster.partition.criterion import learned


@pytest.mark.parametrize("kind", draw.KINDS)
def test_every_kind_has_its_classes_and_is_drawn_again_by_its_seed(kind):
    data = draw.draw(kind, 0)
    again = draw.draw(kind, 0)
    assert data.X.shape[0] == len(data.y)
    assert set(data.y) == set(range(data.n_clusters))
    assert (data.n_clusters == 1) == kind.startswith("one_")
    np.testing.assert_array_equal(data.y, again.y)
    rows, others = (each.X.toarray() if issparse(each.X) else each.X for each in (data, again))
    np.testing.assert_array_equal(np.array(rows, dtype="U"), np.array(others, dtype="U"))


@pytest.fixture
def few(tmp_path, monkeypatch):
    """Train on few kinds, with few trees, and write and read in another folder."""
    kinds = {name: draw.KINDS[name] for name in ("gaussians", "blobs", "one_band")}
    for module in (measure, train):
        monkeypatch.setattr(module, "KINDS", kinds)
    monkeypatch.setattr(measure, "NUMBERS", range(2, 10))
    for settings in train.SIZES.values():
        monkeypatch.setitem(settings, "max_iter", 5)
        monkeypatch.setitem(settings, "min_samples_leaf", 5)
    monkeypatch.setattr(training, "WEIGHTS", {})
    monkeypatch.setattr(training, "ONE_WEIGHTS", {})
    monkeypatch.setattr(training, "REPORT", tmp_path / "criterion.json")
    monkeypatch.setattr(learned, "FILE", tmp_path / "criterion.npz")
    yield tmp_path
    monkeypatch.undo()
    learned.load_criterion.cache_clear()


def test_training_writes_what_the_package_reads(few):
    arguments = "--seeds", "1", "--one-seeds", "1", "--calibration-seeds", "1"
    options = training.parsed([*arguments, "--folder", str(few)])
    training.main(options)
    written = learned.load_criterion()
    assert len(written.trees["choice, features"].roots) == 5
    for purpose, trees in written.trees.items():
        assert trees.feature.max() < len(learned.INPUTS[purpose])
    assert written.provenance["scores"] == {
        "seeds": [0],
        "data sets": {"blobs": 2, "gaussians": 2, "one_band": 2},
    }

    report = json.loads((few / "criterion.json").read_text())
    names = learned.INPUTS["choice, features"]
    assert set(report["choice"]) == {name.partition(",")[0] for name in names}
    assert report["calibration"] == written.calibration.tolist()
    X = draw.draw("gaussians", 5).X[:200]
    assert 0 <= NeighborClustering(3).fit(X).expected_score_ <= 1


def test_data_sets_of_other_code_are_refused():
    one = measure.Summary("blobs", 3, {}, {}, "features", ["a", "b"])
    other = one._replace(names=["a", "c"])
    assert train.find_names([one, one]) == ["a", "b"]
    with pytest.raises(ValueError, match=r"\['b', 'c'\].*Delete the folder"):
        train.find_names([one, other])
