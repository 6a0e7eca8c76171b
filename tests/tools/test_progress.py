"""Progress of a fit: phases in their order, and a bar over all steps."""

import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    DACClustering,
    InfoGANClustering,
    VaDEClustering,
    VAEEmbedding,
)

STREAM = np.random.RandomState(0)
Y = np.repeat([0, 1, 2], 40)
X = STREAM.normal(size=(120, 3)) + 6.0 * Y[:, None]
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "batch_size": 40, "random_state": 0}
VADE = VaDEClustering(3, init="mixture", pretraining_epochs=2, **SMALL)
FEW = np.where(np.arange(120) % 5 == 0, Y, -1)


@pytest.fixture(autouse=True)
def _few_epochs_do_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def find_counts(text):
    """Return (steps done, steps of the fit) of every drawing of the bar."""
    return [(int(done), int(total)) for done, total in re.findall(r" (\d+)/(\d+) ", text)]


@pytest.mark.parametrize(
    ("estimator", "y", "phases"),
    [
        (VADE, None, "pretraining, mixture, training, predictions"),
        (
            VaDEClustering("auto", pretraining_epochs=2),
            None,
            "number of clusters, initial partition, pretraining, mixture, training, predictions",
        ),
        (
            DACClustering(3, init=Y),
            None,
            "initial partition, pretraining, mixture, training, predictions",
        ),
        (InfoGANClustering(3), None, "initial partition, training, predictions"),
        (CatGANClustering(3, init=None), None, "training, predictions"),
        (
            CatGANClassifier(pretraining_epochs=2),
            FEW,
            "pretraining, initial partition, training, predictions",
        ),
        (CatGANClassifier(), Y, "initial partition, training, predictions"),
        (VAEEmbedding(3), None, "initial partition, training, mixture, predictions"),
        (VAEEmbedding(3, init="mixture"), None, "training, mixture, predictions"),
    ],
    ids=str,
)
def test_the_bar_names_the_phases(estimator, y, phases, capsys):
    clone(estimator).set_params(**SMALL, verbose=1).fit(X, y)
    err = capsys.readouterr().err
    assert type(estimator).__name__ in err
    found = re.findall(r", ([a-z ]+)(?=[\],])", err)
    assert list(dict.fromkeys(found)) == phases.split(", ")


@pytest.mark.parametrize("n_init", [1, 2])
def test_one_bar_counts_the_steps_of_all_runs(n_init, capsys):
    clone(VADE).set_params(n_init=n_init, verbose=1).fit(X)
    counts = find_counts(capsys.readouterr().err)
    assert counts == sorted(counts)
    assert counts[-1] == (12 * n_init, 12 * n_init)


def test_a_warm_start_counts_training_alone(capsys):
    vade = clone(VADE).set_params(warm_start=True, n_init=2).fit(X)
    vade.set_params(verbose=1).fit(X)
    assert find_counts(capsys.readouterr().err)[-1] == (6, 6)


def test_a_training_that_stops_early_leaves_a_full_bar(capsys):
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9, sink=lambda _: None)
    vade = clone(VADE).set_params(max_epochs=50, callbacks=[stop], verbose=1).fit(X)
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


def test_bars_of_fits_in_threads_end_full(capsys):
    watched = [clone(VADE).set_params(verbose=1, random_state=seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        fitted = list(pool.map(lambda vade: vade.fit(X), watched))
    assert [vade.n_iter_ for vade in fitted] == [2, 2]
    assert capsys.readouterr().err.count("12/12") >= 2


def test_of_several_processes_the_main_one_shows_progress(capsys, monkeypatch):
    for is_main in (False, True):
        monkeypatch.setattr("skdeepcluster._base.is_main_process", lambda told=is_main: told)
        clone(VADE).set_params(verbose=1).fit(X)
        assert ("training" in capsys.readouterr().err) == is_main


def test_nothing_is_shown_unasked_and_a_table_has_no_bar(capsys):
    clone(VADE).fit(X)
    assert capsys.readouterr() == ("", "")
    clone(VADE).set_params(verbose=2).fit(X)
    out, err = capsys.readouterr()
    assert "vade_kl" in out
    assert err == ""
