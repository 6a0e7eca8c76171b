"""What a network adds to its start: records and table."""

import json

import numpy as np
import pytest
from accuracy import network_and_start as script
from lib import earnings, sets
from sklearn.utils import Bunch


@pytest.fixture
def tiny(monkeypatch):
    """A set of 80 rows in two clusters."""
    X = np.concatenate([np.random.default_rng(0).normal(m, 0.5, (40, 3)) for m in (0, 6)])
    data = Bunch(X=X, y=np.repeat([0, 1], 40), n_clusters=2)
    monkeypatch.setitem(sets.SETS, "tiny", lambda: data)


def test_a_fit_is_judged_beside_its_start_and_control_once(tmp_path, capsys, tiny):
    path = tmp_path / "gains.jsonl"
    options = ["--sets", "tiny", "--methods", "CatGANClustering", "--seeds", "0-0"]
    for _ in range(2):
        script.main(script.parsed([*options, "--out", str(path)]))
        (record,) = map(json.loads, path.read_text().splitlines())
    assert record["acc"] == record["start_acc"] == record["control_acc"] == 1
    assert record["moved"] == 0
    assert 0 <= record["ece"] < 0.2
    assert "CatGANClustering" in capsys.readouterr().out.splitlines()[-1]


def test_gains_are_means_over_sets_of_means_over_seeds():
    base = {"row": "A", "control_acc": 0.5, "start_ari": 0.0, "ari": 0.0, "control_ari": 0.0}
    base |= {"moved": 0.25, "ece": 0.1, "seconds": 2.0, "seed": 0}
    found = [
        base | {"data": "x", "start_acc": 0.5, "acc": 0.7},
        base | {"data": "x", "start_acc": 0.5, "acc": 0.5},
        base | {"data": "y", "start_acc": 0.75, "acc": 0.5},
    ]
    (line,) = earnings.lines(found)
    assert line[2] == "0.625, 0.550, 0.500"
    assert line[4:8] == ["-0.250", "y", "+0.100", "x"]
    assert len(line) == len(earnings.COLUMNS)


def test_an_unknown_set_is_refused(capsys):
    with pytest.raises(SystemExit):
        script.parsed(["--sets", "cifar"])
    assert "cifar not among" in capsys.readouterr().err
