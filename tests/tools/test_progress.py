"""Progress of a fit: phases in their order, the time left, the bar's end, the line of the log."""

import logging
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

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
from skdeepcluster.engine import progress as module
from skdeepcluster.engine.progress import Phase, Progress

STREAM = np.random.RandomState(0)
Y = np.repeat([0, 1, 2], 40)
X = STREAM.normal(size=(120, 3)) + 6.0 * Y[:, None]
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 2, "random_state": 0}
VADE = VaDEClustering(3, init="mixture", pretraining_epochs=2, **SMALL)
FEW = np.where(np.arange(120) % 5 == 0, Y, -1)


@pytest.fixture(autouse=True)
def _few_epochs_do_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told otherwise."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "perf_counter", lambda: clock.now)
    return clock


def drawings(text):
    """(Phase, percentage) of every drawing of one bar."""
    found = re.findall(r"\r\w+(?:, ([^:]+))?: +(\d+)%", text)
    return [name for name, _ in found], [int(share) for _, share in found]


def shown(capsys):
    """Phases in the order in which the bar shows them, and its percentages."""
    names, shares = drawings(capsys.readouterr().err)
    return list(dict.fromkeys(filter(None, names))), shares


def step(progress, clock, seconds):
    clock.now += seconds
    progress.on_batch_end(None)


# ---- the bar


@pytest.mark.parametrize(
    ("estimator", "y", "phases"),
    [
        (VADE, None, "pretraining mixture training answers"),
        (VaDEClustering("auto", max_clusters=3), None, "number neighbours pretraining training"),
        (DACClustering(3, init=Y), None, "pretraining training answers"),
        (InfoGANClustering(3), None, "neighbours training answers"),
        (CatGANClustering(3, init=None), None, "training answers"),
        (CatGANClassifier(pretraining_epochs=2), FEW, "pretraining neighbours training answers"),
        (CatGANClassifier(), Y, "training answers"),
        (VAEEmbedding(3), None, "neighbours training answers"),
        (VAEEmbedding(3, init="mixture"), None, "training mixture answers"),
    ],
    ids=str,
)
def test_one_bar_names_all_phases_in_order_and_ends_full(estimator, y, phases, capsys):
    watched = clone(estimator).set_params(**SMALL, verbose=1)
    if isinstance(estimator, VaDEClustering | DACClustering):
        watched.set_params(pretraining_epochs=2)
    watched.fit(X, y)
    names, shares = shown(capsys)
    assert names[: len(phases.split())] == phases.split()
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert 100 not in shares[: shares.index(100)]


def test_the_bar_counts_the_runs(capsys):
    clone(VADE).set_params(n_init=2, verbose=1).fit(X)
    names, shares = shown(capsys)
    assert names == [
        f"{phase} (run {run} of 2)"
        for run in (1, 2)
        for phase in ("pretraining", "mixture", "training", "answers")
    ]
    assert shares == sorted(shares)


def test_a_warm_start_has_no_phases_that_it_skips(capsys):
    vade = clone(VADE).set_params(warm_start=True, n_init=2).fit(X)
    vade.set_params(verbose=1).fit(X)
    assert shown(capsys)[0] == ["training", "answers"]


def test_a_training_that_stops_early_leaves_a_full_bar(capsys):
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9, sink=lambda _: None)
    vade = clone(VADE).set_params(max_epochs=50, callbacks=[stop], verbose=1).fit(X)
    assert vade.n_iter_ < 50
    assert shown(capsys)[1][-1] == 100


def test_an_exception_closes_the_bar_where_it_is(capsys):
    class Fail(Callback):
        def on_epoch_end(self, net, **_):
            raise ZeroDivisionError

    # Its frames keep the bar from being collected, which would close it, too.
    with pytest.raises(ZeroDivisionError) as caught:
        clone(VADE).set_params(callbacks=[Fail()], verbose=1).fit(X)
    assert caught.traceback
    text = capsys.readouterr().err
    assert max(drawings(text)[1]) < 100
    assert text.endswith("\n")


def test_bars_of_fits_in_threads_end_full(capsys):
    watched = [clone(VADE).set_params(verbose=1, random_state=seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        fitted = list(pool.map(lambda vade: vade.fit(X), watched))
    assert [vade.n_iter_ for vade in fitted] == [2, 2]
    assert capsys.readouterr().err.count("100%") >= 2


def test_the_bar_does_not_go_back_when_steps_turn_out_slow(clock, capsys, monkeypatch):
    monkeypatch.setattr(module, "REFRESH", 1e9)  # drawn by the calls below alone
    with Progress("Fit", [Phase("training", "networks", 10.0, 10)], verbose=1) as progress:
        progress.begin("training")
        clock.now = 5.0
        progress._draw()
        for _ in range(2):
            step(progress, clock, 20.0)
        progress._draw()
        step(progress, clock, 500.0)
    text = capsys.readouterr().err
    assert [share for share in drawings(text)[1] if 0 < share < 100] == [50, 50]
    assert "00:05 left" in text
    assert "02:40 left" in text


def test_of_several_processes_the_main_one_shows_the_bar(capsys, monkeypatch):
    for is_main in (False, True):
        monkeypatch.setattr("skdeepcluster._phases.is_main_process", lambda told=is_main: told)
        clone(VADE).set_params(verbose=1).fit(X)
        assert ("100%" in capsys.readouterr().err) == is_main


def test_nothing_is_shown_unasked_and_a_table_has_no_bar(capsys):
    clone(VADE).fit(X)
    assert capsys.readouterr() == ("", "")
    clone(VADE).set_params(verbose=2).fit(X)
    out, err = capsys.readouterr()
    assert "vade_kl" in out
    assert err == ""


# ---- the time left


def test_measured_times_correct_the_guesses_of_what_is_to_come(clock):
    phases = [
        Phase("pretraining", "networks", 10.0, 10),
        Phase("neighbours", "rows", 7.0),
        Phase("training", "networks", 20.0, 10),
        Phase("neighbours", "rows", 7.0),
    ]
    with Progress("Fit", phases) as progress:
        assert progress._estimate_left(0.0) == 44.0
        progress.begin("pretraining")
        step(progress, clock, 5.0)  # the first step compiles and tells nothing of the others
        for _ in range(4):
            step(progress, clock, 3.0)
        left = 5 * 3.0 + 7.0 + 20.0 * 3.0 + 7.0  # a step took three times its guess
        assert progress._estimate_left(clock.now) == pytest.approx(left)
        progress.begin("neighbours")
        clock.now += 2.0
        assert progress._estimate_left(clock.now) == pytest.approx(5.0 + 60.0 + 7.0)
        clock.now += 12.0  # twice its guess
        progress.begin("training")
        assert progress._estimate_left(clock.now) == pytest.approx(60.0 + 14.0)
        step(progress, clock, 1.0)
        step(progress, clock, 1.0)
        assert progress._estimate_left(clock.now) == pytest.approx(8 * 1.0 + 14.0)
        progress.begin("neighbours")
        clock.now += 100.0
        assert progress._estimate_left(clock.now) == 0.0


def test_a_phase_that_is_not_planned_changes_nothing(clock):
    with Progress("Fit", [Phase("training", "networks", 9.0, 3)]) as progress:
        progress.begin("mixture")
        assert progress._estimate_left(0.0) == 9.0


# ---- the log


def tell(clock, caplog, n_steps, **changes):
    """Messages after 30 steps of a second each."""
    with Progress("VaDE", [Phase("training", "networks", 1.0, n_steps)], **changes) as progress:
        progress.begin("training")
        for _ in range(30):
            step(progress, clock, 1.0)
    return [record for record in caplog.records if record.name == "skdeepcluster"]


def test_the_log_tells_once_of_a_fit_that_takes_over_a_minute(clock, caplog):
    (record,) = tell(clock, caplog, 300)
    assert record.levelno == logging.INFO
    assert "VaDE: fit takes about 300 s" in record.getMessage()


@pytest.mark.parametrize(("n_steps", "verbose"), [(60, 0), (300, 1), (300, 2)])
def test_the_log_is_not_told_of_short_or_watched_fits(n_steps, verbose, clock, caplog):
    assert tell(clock, caplog, n_steps, verbose=verbose) == []


def test_the_log_of_an_estimator(caplog, monkeypatch):
    vade = clone(VADE).set_params(max_epochs=20)
    vade.fit(X)
    assert not caplog.records
    monkeypatch.setattr(module, "LONG", 0.0)
    vade.fit(X)
    assert [record.name for record in caplog.records] == ["skdeepcluster"]
    (handler,) = logging.getLogger("skdeepcluster").handlers
    assert isinstance(handler, logging.NullHandler)
