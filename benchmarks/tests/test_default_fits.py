"""Seconds of default fits: what a record says."""

import json

import numpy as np
import pytest
from speed import default_fits as script


def test_medians_of_all_repeats_are_kept(tmp_path):
    path = tmp_path / "seconds.jsonl"
    options = ["--sets", "iris", "--methods", "NeighborClustering", "--repeats", "3"]
    script.main([*options, "--results", str(path)])
    (record,) = map(json.loads, path.read_text().splitlines())
    assert (record["data"], record["row"]) == ("iris", "NeighborClustering")
    assert (record["n_samples"], record["n_features"]) == (150, 4)
    assert len(record["repeats"]) == len(record["acc"]) == 3
    assert record["seconds"] == pytest.approx(np.median(record["repeats"]))
    assert min(record["acc"]) > 0.9


def test_drawn_sets_have_their_shapes():
    assert script.digits_200().X.shape == (200, 64)
    assert script.blobs().X.shape == (20_000, 20)
