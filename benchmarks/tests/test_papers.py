"""The papers' experiments, on few images and for a few epochs."""

import json

import numpy as np
import pytest
from accuracy import papers
from lib.datasets import load
from sklearn.utils import Bunch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def few(monkeypatch):
    """Draw rows of MNIST's shape from the digits."""
    digits = load("digits")
    images = np.kron(digits.X[:240].reshape(-1, 8, 8), np.ones((3, 3)))
    X = np.pad(images, [(0, 0), (2, 2), (2, 2)]).reshape(240, -1).astype(np.float32)
    data = Bunch(X=X, y=digits.y[:240], name="few")
    monkeypatch.setattr(papers, "load", lambda name: data)
    monkeypatch.setattr(papers, "TRAINING", 200)
    return data


@pytest.fixture
def narrow(monkeypatch):
    """Give all experiments one narrow layer."""
    monkeypatch.setattr(papers, "PRESETS", {
        kind: settings | {"hidden_layer_sizes": (16,), "generator": None, "discriminator": None}
        if kind in ("CatGANClustering", "InfoGANClustering")
        else settings | {"hidden_layer_sizes": (16,)}
        for kind, settings in papers.PRESETS.items()
    })  # fmt: skip


@pytest.mark.parametrize("name", ["VaDE", "CatGAN, 100 labels", "VAE"])
def test_a_shortened_run_says_so_and_draws_its_curve(name, few, narrow, monkeypatch, tmp_path):
    paper = papers.PAPERS[name]
    quick = {"pretraining_epochs": 1, "mixture_n_init": 1} if paper.settings else {}
    monkeypatch.setitem(papers.PAPERS, name, paper._replace(settings=quick))
    path, picture = tmp_path / "papers.jsonl", tmp_path / "papers.png"
    files = ["--results", str(path), "--picture", str(picture), "--keep", str(tmp_path)]
    share = 2 / paper.epochs
    papers.main([name, "--share", str(share), *files])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 2]
    assert {record["row"] for record in records} == {f"{name}, shortened, {share:g} of the steps"}
    assert all(np.isfinite(record[paper.entry]) for record in records)
    assert records[-1][paper.entry] == pytest.approx(records[-2][paper.entry], abs=1e-6)
    assert records[-1]["published"] == paper.published
    assert picture.stat().st_size > 5_000
    assert (tmp_path / f"{name}_0.skops").exists()


def test_generators_of_kept_fits_draw(few, narrow, monkeypatch, tmp_path):
    monkeypatch.setattr(papers, "N_DRAWN", 200)
    files = ["--keep", str(tmp_path), "--drawn", str(tmp_path)]
    papers.main(["InfoGAN", "--share", "0.1", *files])
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["infogan_0.png"]
    alone = (tmp_path / "infogan_0.png").stat().st_size
    papers.main(["InfoGAN without information", "CatGAN", "--share", "0.01", *files])
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "catgan_0.png",
        "infogan_0.png",
    ]
    assert (tmp_path / "infogan_0.png").stat().st_size > alone


def test_what_is_asked_for_in_vain_is_said(capsys):
    for arguments, message in [
        (["DEC"], "DEC not among VaDE"),
        (["--picture", "x"], "--results"),
        (["--drawn", "x"], "--keep"),
    ]:
        with pytest.raises(SystemExit):
            papers.main(arguments)
        assert message in capsys.readouterr().err
