"""The scripts that measure accuracy yield the rows that they promise."""

import json

import numpy as np
import pytest
from accuracy import ablation, infogan_codes, single_and_ensemble
from lib import datasets, fits, pretraining, records

QUICK = ["--settings", "hidden_layer_sizes=(16,)", "pretraining_epochs=1"]


def found_rows(data, *arguments):
    """Rows of one seed of an ablation, by name: labels and further entries."""
    options = ablation.checked(ablation.parser(), arguments)
    return {row: found for row, *found in ablation.rows(data, 0, options)}


def test_slant_ink_and_thickness_are_those_of_drawn_strokes():
    images = np.zeros((3, 28, 28))
    images[0, 4:24, 14] = 1  # upright
    for y in range(4, 24):
        images[1, y, y] = 1  # a diagonal: one column per row
    images[2, 4:24, 13:16] = 1  # upright, three times as thick
    found = infogan_codes.shapes(images.reshape(3, -1), (28, 28))
    np.testing.assert_allclose(found["slant"], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found["ink"], [20, 20, 60])
    # Two bars of width 3 are as thick as one: there is twice the ink, and twice the edge.
    both = np.zeros((2, 28, 28))
    both[0, 4:24, 6:9] = both[1, 4:24, 6:9] = both[1, 4:24, 18:21] = 1
    one, two = infogan_codes.shapes(both.reshape(2, -1), (28, 28))["thickness"]
    np.testing.assert_allclose([one, two], 2 * 60 / (2 * 20 + 2 * 3), rtol=0.02)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ablation_of_infogan_yields_its_rows():
    data = datasets.load("digits", 150)
    arguments = "--settings", "hidden_layer_sizes=(250, 250)"
    found = found_rows(data, "infogan", "--max-epochs", "2", *arguments)
    assert list(found) == ["the start alone", "default", "as published"]
    assert all(set(labels) <= set(range(10)) for labels, _ in found.values())
    assert 0.5 < found["default"][1]["information"] <= np.log(10)
    assert found["as published"][1]["epochs"] == 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ablation_of_vade_yields_its_rows():
    data = datasets.load("digits", 60)
    found = found_rows(data, "vade", "--max-epochs", "1", *QUICK, "max_epochs=1")
    rows = ["the start alone", "default", "control", "long", "mixture on the codes"]
    assert list(found) == [*rows, "as published", "KMeans"]
    assert {len(labels) for labels, _ in found.values()} == {60}
    assert found["default"][1]["epochs"] == 1
    assert {row: further["precision"] for row, (_, further) in found.items()} == {
        row: "float64" if row == "KMeans" else "float32" for row in found
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ablation_of_catgan_judges_rows_that_were_kept_from_the_fit():
    data = datasets.load("digits", 80)
    known, held_out = datasets.part(data, slice(60)), datasets.part(data, slice(60, None))
    arguments = ["catgan", "--test", "20", "--max-epochs", "1", *QUICK, "max_epochs=1"]
    options = ablation.checked(ablation.parser(), arguments)
    found = {row: found for row, *found in ablation.rows(held_out, 0, options, known)}
    rows = ["default", "default without G", "as published", "K = 20", "K = 20 as published"]
    assert list(found) == rows
    assert all(len(labels) == 20 for labels, _ in found.values())
    assert all({"majority", "train_acc"} <= set(further) for _, further in found.values())
    assert [row for row in rows if "start_acc" in found[row][1]] == [*rows[:2], "K = 20"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dac", "--rows", "over"], "--rows over: dac has default, long"),
        (["vade", "--convolutional"], "only infogan"),
        (["vade", "--test", "9"], "control and kmeans have no predictions"),
        (["catgan", "--starts", "DACClustering"], "--starts needs the folder"),
        (["dac", "--keep", "x", "--unbalanced", "9"], "--keep stores fits to all rows"),
    ],
)
def test_options_of_an_ablation_that_do_not_fit_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        ablation.checked(ablation.parser(), arguments)
    assert message in capsys.readouterr().err


def test_singles_and_ensembles_of_the_same_fits(tmp_path):
    data = datasets.load("digits", 300)
    arguments = data, ["KMeans", "GaussianMixtureEM"], [0, 1, 2]
    how = {"precision": "float32", "folder": tmp_path, "starts": None}
    first = list(single_and_ensemble.records(*arguments, **how))
    rows = [record["row"] for record in first]
    assert rows[:3] == ["KMeans"] * 3
    assert rows[3:5] == ["KMeans, ensemble (soft_vote)", "KMeans, ensemble (co_association)"]
    assert len(list(tmp_path.iterdir())) == 6
    assert first == list(single_and_ensemble.records(*arguments, **how))  # from the folder
    members = [single_and_ensemble.prepared("KMeans", data, s, "", None) for s in (0, 1)]
    labels = [np.eye(10)[kmeans.fit_predict(data.X)] for kmeans in members]
    apart = single_and_ensemble.diversity(labels)
    assert 0 < apart < 0.5
    assert single_and_ensemble.diversity([labels[0], labels[0][:, ::-1]]) == 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_methods_without_codes_take_the_starts_of_kept_fits(tmp_path):
    data = datasets.load("digits", 60)
    how = {"precision": "float32", "folder": tmp_path, "starts": "KMeans"}
    start = np.arange(60) % 10
    np.savez(fits.path_of_fit(tmp_path, data, "KMeans", 3), start=start)
    ((_, kept),) = single_and_ensemble.fits("InfoGANClustering", data, [3], **how)
    np.testing.assert_array_equal(kept["start"], start)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_of_a_seed_share_their_pretraining(monkeypatch, tmp_path):
    data = datasets.load("digits", 60)
    monkeypatch.setattr(pretraining.DAC, "trained", {})
    arguments = *QUICK, "max_epochs=1", "--keep", str(tmp_path)
    found = found_rows(data, "dac", "--rows", "default", "no_adversary", *arguments)
    assert list(found) == ["the start alone", "default", "no adversary"]
    assert list(pretraining.DAC.trained) == [0]
    again = found_rows(data, "dac", "--rows", "default", *arguments)
    np.testing.assert_array_equal(again["the start alone"][0], found["the start alone"][0])
    kept = fits.kept_start(tmp_path, data, 0, "DACClustering")
    np.testing.assert_array_equal(kept, found["the start alone"][0])


def test_records_hold_what_results_depend_on(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    kept = records.keep({"row": "A"}, "bfloat16", path)
    assert json.loads(path.read_text()) == json.loads(capsys.readouterr().out) == kept
    expected = {"row": "A", "precision": "bfloat16", "threads": 1}
    assert kept == expected | {name: kept[name] for name in ("commit", "processor")}
    assert kept["commit"] is None or len(kept["commit"]) >= 7
    assert kept["processor"]
