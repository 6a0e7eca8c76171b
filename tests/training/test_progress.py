"""Progress of a fit: phases in their order, and a bar over all steps."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)

STREAM = np.random.RandomState(0)
Y = np.repeat([0, 1, 2], 40)
X = STREAM.normal(size=(120, 3)) + 6.0 * Y[:, None]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "batch_size": 40, "random_state": 0}
VADE = VaDEClustering(3, init="own", pretraining_epochs=2, **SMALL)
FEW = np.where(np.arange(120) % 5 == 0, Y, -1)


def find_counts(text):
    """Return (steps done, steps of the fit) of every drawing of the bar."""
    return [(int(done), int(total)) for done, total in re.findall(r" (\d+)/(\d+) ", text)]


PHASES = [
    (VaDEClustering("auto", pretraining_epochs=2), "pretraining, mixture, training"),
    (CatGANClassifier(), "training"),
    (CatGANClustering(3, init="own", pretraining_epochs=2), "pretraining, training"),
    (VAEEmbedding(3), "training, mixture"),
]


@pytest.mark.parametrize(("estimator", "phases"), PHASES)
def test_lines_name_the_phases_where_no_terminal_is(estimator, phases, capsys):
    phases = ["initial partition", *phases.split(", "), "predictions"]
    y = FEW if isinstance(estimator, CatGANClassifier) else None
    clone(estimator).set_params(**SMALL, verbose=1).fit(X, y)
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith(f"{type(estimator).__name__}: ") for line in lines)
    named = [phase for line in lines for phase in phases if f", {phase}" in line]
    assert list(dict.fromkeys(named)) == phases


def test_one_bar_counts_the_steps_of_all_runs(capsys):
    clone(VADE).set_params(n_init=2, verbose=1).fit(X)
    counts = find_counts(capsys.readouterr().err)
    assert counts == sorted(counts)
    assert counts[-1] == (24, 24)


def test_a_training_that_stops_early_leaves_a_full_bar(capsys):
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9, sink=lambda _: None)
    settings = {"max_epochs": 50, "smoothness_weight": 0.0, "callbacks": [stop]}
    vade = clone(VADE).set_params(**settings, verbose=1).fit(X)
    assert vade.n_iter_ < 50
    assert find_counts(capsys.readouterr().err)[-1] == (156, 156)


def test_an_exception_closes_the_bar_where_it_is(capsys):
    class Fail(Callback):
        def on_epoch_end(self, net, **_):
            raise ZeroDivisionError

    # Its frames keep the bar from being collected, which would close it, too.
    with pytest.raises(ZeroDivisionError) as caught:
        clone(VADE).set_params(callbacks=[Fail()], verbose=1).fit(X)
    assert caught.traceback
    text = capsys.readouterr().err
    assert max(find_counts(text))[0] < 12
    assert text.endswith("\n")


def test_nothing_is_shown_unasked_and_a_table_has_no_bar(capsys):
    clone(VADE).fit(X)
    assert capsys.readouterr() == ("", "")
    clone(VADE).set_params(verbose=2).fit(X)
    out, err = capsys.readouterr()
    assert "vade_kl" in out
    assert err == ""


@pytest.mark.parametrize("n_clusters", [3, (2, 6), "auto"], ids=str)
def test_neighbors_count_stages_and_numbers(n_clusters, capsys):
    NeighborClustering(n_clusters, verbose=1, random_state=0).fit(X)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert "\x1b" not in err
    assert all(line.startswith("NeighborClustering: ") for line in lines)
    stages = ["graph", "embedding", "number of clusters", "partition", "assignment"]
    named = [stage for line in lines for stage in stages if f", {stage}" in line]
    assert list(dict.fromkeys(named)) == [s for s in stages if s[0] != "n" or n_clusters != 3]

    counts = find_counts(err)
    total = counts[0][1]
    assert counts == sorted(counts)
    assert counts[-1] == (total, total)
    assert total == 4 if n_clusters == 3 else total >= 8


def test_augmentations_are_a_stage(capsys, monkeypatch):
    monkeypatch.setattr("skdeepcluster.neighbors.augmented.N_FITS", 1)
    images = STREAM.uniform(size=(40, 16))
    NeighborClustering(2, augment="auto", verbose=1, random_state=0).fit(images)
    err = capsys.readouterr().err
    assert ", augmentation" in err
    assert find_counts(err)[-1] == (5, 5)
