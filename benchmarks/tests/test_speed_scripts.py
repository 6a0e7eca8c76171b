"""The scripts that measure speed measure what they say."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from lib import networks
from lib.methods import NETWORKS
from speed import fit_stages, growth_with_rows, prediction, training_epoch


def run(script, monkeypatch, tmp_path, *arguments):
    """Run a script's main function; return the records it appended."""
    path = tmp_path / "results.jsonl"
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments, "--results", str(path)])
    script.main()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_of_the_mixture_do_not_depend_on_chunks(tmp_path):
    whole, parts = np.empty((2, 250, networks.FEATURES))
    components = networks.fill(whole, 250)
    networks.fill(parts, 100)
    np.testing.assert_array_equal(whole, parts)
    y = growth_with_rows.write(tmp_path / "X.npy", 250)
    np.testing.assert_array_equal(y, components)
    np.testing.assert_allclose(np.load(tmp_path / "X.npy"), whole, rtol=1e-6)


def test_slope_is_the_power_with_which_seconds_grow():
    records = [{"n_samples": n, "seconds": 3e-5 * n**1.5} for n in (10, 1000, 100_000)]
    assert growth_with_rows.slope(records) == pytest.approx(1.5)


def test_growth_is_measured_in_a_process_of_its_own(monkeypatch, tmp_path):
    arguments = ["--rows", "300", "--methods", "GaussianMixtureEM"]
    picture = tmp_path / "growth.png"
    found = run(growth_with_rows, monkeypatch, tmp_path, *arguments, "--picture", str(picture))
    assert [record["n_samples"] for record in found] == [300]
    assert all(record["seconds"] > 0 and record["acc"] > 0.9 for record in found)
    assert picture.stat().st_size > 1000


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", NETWORKS)
def test_the_bare_pass_gives_the_labels_of_predict(method):
    data = networks.drawn(700)
    estimator = networks.fitted(method, data, (16,))
    labels = prediction.bare(estimator.model_, data.X, 256)
    np.testing.assert_array_equal(labels, estimator.predict(data.X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["DACClustering", "CatGANClustering"])
def test_both_loops_of_an_epoch_compute_the_same_losses_equally_often(method):
    data = networks.drawn(600)
    model, rows = networks.prepared(method, data, (16,), "cpu")
    players, calls = model.players(), []

    def counted(player):
        def loss(batch):
            shapes = (None if column is None else tuple(column.shape) for column in batch)
            calls.append((player.name, *shapes))
            return player.loss(batch)

        return replace(player, loss=loss)

    model.players = lambda: [counted(player) for player in players]
    training_epoch.bare_epoch(model, rows, False, "cpu")
    bare = calls.copy()
    calls.clear()
    training_epoch.our_epoch(model, rows, False, "cpu")
    assert calls == bare
    assert len(calls) == 3 * len(players)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stages_add_up_to_the_seconds_of_a_fit(monkeypatch, tmp_path):
    arguments = ["--data", "digits", "--n-samples", "200", "--seeds", "0-0", "--set"]
    settings = ["hidden_layer_sizes=(16,)", "max_epochs=2"]
    found = run(fit_stages, monkeypatch, tmp_path, *arguments, *settings)
    assert [record["row"] for record in found] == NETWORKS
    for record in found:
        stages = [record[stage] for stage in [*fit_stages.STAGES, "rest"]]
        assert sum(stages) == pytest.approx(record["seconds"], abs=0.05)
        assert record["training"] > 0
        assert record["start"] > 0
