"""The scripts that measure speed measure what they say."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import Bunch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import epoch_costs_a_bare_loop  # noqa: E402  (a script's neighbours are found beside it)
import fits_grow_linearly  # noqa: E402
import predict_costs_a_forward_pass  # noqa: E402
import tables  # noqa: E402
import where_the_time_goes  # noqa: E402

NETWORKS = epoch_costs_a_bare_loop.NETWORKS


def run(script, monkeypatch, tmp_path, *arguments):
    """Run a script's main function; return the records it appended."""
    path = tmp_path / "results.jsonl"
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments, "--results", str(path)])
    script.main()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_of_the_mixture_do_not_depend_on_chunks(tmp_path):
    whole = list(fits_grow_linearly.mixture_rows(250, 250))
    parts = list(fits_grow_linearly.mixture_rows(250, 100))
    np.testing.assert_array_equal(whole[0][1], np.concatenate([values for _, values, _ in parts]))
    y = fits_grow_linearly.write(tmp_path / "X.npy", 250)
    np.testing.assert_array_equal(y, whole[0][2])
    np.testing.assert_allclose(np.load(tmp_path / "X.npy"), whole[0][1], rtol=1e-6)


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
    X = predict_costs_a_forward_pass.drawn(700)
    estimator = predict_costs_a_forward_pass.fitted(method, X, (16,))
    labels = predict_costs_a_forward_pass.bare(estimator.model_, X, 256)
    np.testing.assert_array_equal(labels, estimator.predict(X))


@pytest.mark.parametrize("method", ["DACClustering", "CatGANClustering"])
def test_both_loops_of_an_epoch_compute_the_same_losses_equally_often(method):
    data = Bunch(X=predict_costs_a_forward_pass.drawn(600), n_clusters=10, name="mixture")
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


def test_a_table_of_every_record_leaves_out_what_is_the_same_in_all(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    same = {"threads": 2, "settings": {"a": 1, "b": [0.25, 3]}}
    lines = [{"row": "A", "seed": 0, "rows_per_second": 12345.6, "ratios": [1.03, 0.98765]} | same]
    lines += [lines[0] | {"seed": 1, "rows_per_second": None, "settings": {"a": 2}}]
    (tmp_path / "results" / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr(tables, "HERE", tmp_path)
    page = "<!-- table: each x.jsonl -->\n<!-- end of table -->\n"
    assert tables.filled(page).splitlines()[1:-1] == [
        "| seed | rows per second | settings |",
        "|---|---|---|",
        "| 0 | 12346 | a=1, b=0.25 3 |",
        "| 1 |  | a=2 |",
    ]
