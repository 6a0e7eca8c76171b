"""The scripts that measure speed measure what they say."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import epoch_costs_a_bare_loop  # noqa: E402  (a script's neighbours are found beside it)
import fits_grow_linearly  # noqa: E402
import predict_costs_a_forward_pass  # noqa: E402
import where_the_time_goes  # noqa: E402

NETWORKS = epoch_costs_a_bare_loop.NETWORKS


def run(script, monkeypatch, tmp_path, *arguments):
    """Run a script's main function; return the records it appended."""
    path = tmp_path / "results.jsonl"
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments, "--results", str(path)])
    script.main()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_of_the_mixture_do_not_depend_on_chunks(tmp_path):
    whole, parts = np.empty((2, 250, fits_grow_linearly.FEATURES))
    components = fits_grow_linearly.fill(whole, 250)
    fits_grow_linearly.fill(parts, 100)
    np.testing.assert_array_equal(whole, parts)
    y = fits_grow_linearly.write(tmp_path / "X.npy", 250)
    np.testing.assert_array_equal(y, components)
    np.testing.assert_allclose(np.load(tmp_path / "X.npy"), whole, rtol=1e-6)


def test_slope_is_the_power_with_which_seconds_grow():
    records = [{"n_samples": n, "seconds": 3e-5 * n**1.5} for n in (10, 1000, 100_000)]
    assert fits_grow_linearly.slope(records) == pytest.approx(1.5)


def test_growth_is_measured_in_a_process_of_its_own(monkeypatch, tmp_path):
    arguments = ["--rows", "300", "--methods", "GaussianMixtureEM"]
    picture = tmp_path / "growth.png"
    found = run(fits_grow_linearly, monkeypatch, tmp_path, *arguments, "--picture", str(picture))
    assert [record["n_samples"] for record in found] == [300]
    assert all(record["seconds"] > 0 and record["acc"] > 0.9 for record in found)
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("method", NETWORKS)
def test_the_bare_pass_gives_the_labels_of_predict(method):
    data = predict_costs_a_forward_pass.drawn(700)
    estimator = epoch_costs_a_bare_loop.fitted(method, data, (16,))
    labels = predict_costs_a_forward_pass.bare(estimator.model_, data.X, 256)
    np.testing.assert_array_equal(labels, estimator.predict(data.X))


@pytest.mark.parametrize("method", ["DACClustering", "CatGANClustering"])
def test_both_loops_of_an_epoch_compute_the_same_losses_equally_often(method):
    data = predict_costs_a_forward_pass.drawn(600)
    model, rows = epoch_costs_a_bare_loop.prepared(method, data, (16,), "cpu")
    players, calls = model.players(), []

    def counted(player):
        def loss(*batch):
            calls.append((player.name, *(tuple(column.shape) for column in batch)))
            return player.loss(*batch)

        return replace(player, loss=loss)

    model.players = lambda: [counted(player) for player in players]
    epoch_costs_a_bare_loop.bare_epoch(model, [rows.X, *rows.columns], False, "cpu")
    bare = calls.copy()
    calls.clear()
    epoch_costs_a_bare_loop.our_epoch(model, rows, False, "cpu")
    assert calls == bare
    assert len(calls) == 3 * len(players)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stages_add_up_to_the_seconds_of_a_fit(monkeypatch, tmp_path):
    arguments = ["--data", "digits", "--n-samples", "200", "--seeds", "0-0", "--set"]
    settings = ["hidden_layer_sizes=(16,)", "max_epochs=2"]
    found = run(where_the_time_goes, monkeypatch, tmp_path, *arguments, *settings)
    assert [record["row"] for record in found] == NETWORKS
    for record in found:
        stages = [record[stage] for stage in [*where_the_time_goes.STAGES, "rest"]]
        assert sum(stages) == pytest.approx(record["seconds"], abs=0.05)
        assert record["training"] > 0
        assert record["start"] > 0
