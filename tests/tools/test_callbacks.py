"""scikit-learn's callback protocol: a task for each epoch, and nothing else changes."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from estimators import name, some_of
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    ClusterEnsemble,
    DACClustering,
    InfoGANClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.callbacks import EarlyStopping, ScoreMonitor

pytest.importorskip("sklearn.callback", reason="scikit-learn's callbacks came with 1.9")
from sklearn.callback import ProgressBar, ScoringMonitor  # noqa: E402

STREAM = np.random.RandomState(0)
Y = np.repeat([0, 1, 2], 40)
X = STREAM.normal(size=(120, 3)) + 6.0 * Y[:, None]
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 3, "random_state": 0}
TWO_PHASES = SMALL | {"init": "mixture", "pretraining_epochs": 2}
ESTIMATORS = [
    VAEEmbedding(3, init="mixture", **SMALL),
    VaDEClustering(3, **TWO_PHASES),
    DACClustering(3, **TWO_PHASES),
    InfoGANClustering(3, **TWO_PHASES),
    CatGANClustering(3, **TWO_PHASES),
    CatGANClassifier(pretraining_epochs=2, **SMALL),
]
each_estimator = pytest.mark.parametrize("estimator", some_of(ESTIMATORS), ids=name)


@pytest.fixture(autouse=True)
def _few_epochs_do_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class Recorder:
    """Notes every hook, and stops epochs of a training when told to."""

    def __init__(self, stop=None):
        self.stop, self.events = stop, []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        can = None if fitted_estimator is None else len(fitted_estimator.predict(X))
        self.events.append(("end", context.task_name, context.task_id, can))
        return context.task_name == "epoch" and context.task_id == self.stop


@each_estimator
def test_watching_changes_nothing(estimator):
    recorder = Recorder()
    watched, plain = clone(estimator).set_callbacks(recorder), clone(estimator)
    np.testing.assert_array_equal(
        watched.fit(X, Y).predict_proba(X), plain.fit(X, Y).predict_proba(X)
    )
    assert set(vars(watched)) - set(vars(plain)) == {"_skl_callbacks"}
    events = recorder.events
    assert (events[0], events[-1]) == ("setup", "teardown")
    training = type(watched.model_).__name__
    number = next(e[2] for e in events if e[:2] == ("begin", training))
    assert events[1] == ("begin", "fit", 0)
    assert events[-2] == ("end", "fit", 0, 120)
    first = events.index(("begin", training, number))
    assert events[first + 1 : -2] == [
        event
        for epoch in range(3)
        for event in (("begin", "epoch", epoch), ("end", "epoch", epoch, 120))
    ] + [("end", training, number, 120)]


@each_estimator
def test_the_last_epoch_shows_what_the_fit_gives(estimator):
    seen = []

    class Last(Recorder):
        def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
            if fitted_estimator is not None:
                seen.append(fitted_estimator)

    fitted = clone(estimator).set_callbacks(Last()).fit(X, Y)
    epoch, training, fit = seen[-3:]
    for shown in (epoch, training, fit):
        assert len(shown.history_) == 3
        if not isinstance(estimator, VAEEmbedding):  # whose mixture is found anew
            np.testing.assert_allclose(shown.predict_proba(X), fitted.predict_proba(X), atol=1e-6)


@each_estimator
def test_scores_are_those_that_need_no_labels(estimator):
    monitor = ScoreMonitor()
    fitted = clone(estimator).set_callbacks(monitor, EarlyStopping(patience=9)).fit(X, Y)
    last = np.mean(fitted.score_samples(X))
    assert monitor.log_[-1]["score"] == pytest.approx(last, rel=1e-4, abs=1e-4)


@each_estimator
def test_a_callback_stops_training(estimator):
    fitted = clone(estimator).set_callbacks(Recorder(stop=1)).fit(X, Y)
    assert fitted.n_iter_ == len(fitted.history_) == 2
    assert fitted.predict(X).shape == (120,)


def test_pretraining_shows_no_model_and_restarts_are_trainings_of_their_own():
    recorder = Recorder()
    vade = clone(ESTIMATORS[1]).set_params(n_init=2).set_callbacks(recorder).fit(X)
    begun = [event[1:] for event in recorder.events if event[0] == "begin" and event[1] != "epoch"]
    assert begun[1:] == [("Autoencoder", 0), ("VaDE", 1), ("Autoencoder", 2), ("VaDE", 3)]
    ends = [event for event in recorder.events if event[0] == "end"]
    assert [event[3] for event in ends[:3]] == [None] * 3
    assert vade.n_iter_ == 3


def test_scikit_learns_own_callbacks():
    pytest.importorskip("rich")
    monitor = ScoringMonitor(scoring="adjusted_rand_score")
    vade = clone(ESTIMATORS[1]).set_callbacks(monitor, ProgressBar()).fit(X, Y)
    assert len([r for r in monitor.get_logs().data if "epoch" in r["task_name"]]) == 3
    assert vade.n_iter_ == 3


@pytest.mark.full
def test_members_in_processes_call_back_too():
    members = [clone(ESTIMATORS[0]).set_callbacks(Recorder())]
    two = ClusterEnsemble(members, 2, random_state=0, n_jobs=2)
    np.testing.assert_array_equal(
        two.fit(X).labels_, clone(two).set_params(n_jobs=None).fit(X).labels_
    )


@pytest.mark.full
def test_callbacks_survive_clone_pickle_pipeline_and_search():
    monitor = ScoreMonitor()
    vae = clone(ESTIMATORS[0]).set_callbacks(monitor)
    assert clone(vae)._skl_callbacks == [monitor]
    again = pickle.loads(pickle.dumps(vae.fit(X)))
    assert isinstance(again._skl_callbacks[0], ScoreMonitor)
    make_pipeline(StandardScaler(), vae).fit(X)
    assert len(monitor.log_) == 6
    GridSearchCV(vae, {"n_components": [1, 2]}, cv=2).fit(X)
    assert len(monitor.log_) == 6 + 5 * 3
    assert len({record["fit"] for record in monitor.log_}) > 2


@pytest.mark.full
def test_early_stopping_by_score_and_by_loss():
    long = clone(ESTIMATORS[0]).set_params(max_epochs=15)
    monitor = ScoreMonitor()
    never = clone(long).set_callbacks(monitor).fit(X)
    scores = [record["score"] for record in monitor.log_]
    assert never.n_iter_ == len(scores) == 15
    best = np.maximum.accumulate(scores)
    by_score = clone(long).set_callbacks(EarlyStopping(patience=3, tol=0.5)).fit(X)
    assert by_score.n_iter_ == expected_stop(scores, patience=3, tol=0.5) < 15
    assert best[by_score.n_iter_ - 1] > scores[0]
    losses = [-record["train_loss"] for record in never.history_]
    by_loss = clone(long).set_callbacks(EarlyStopping("train_loss", patience=2, tol=0.5)).fit(X)
    assert by_loss.n_iter_ == expected_stop(losses, patience=2, tol=0.5)


def expected_stop(values, patience, tol):
    best, since = values[0], 0
    for epoch, value in enumerate(values[1:], 1):
        if value > best + tol:
            best, since = value, epoch
        elif epoch - since >= patience:
            return epoch + 1
    return len(values)


@pytest.mark.parametrize("seed", range(4))
def test_a_training_ends_when_its_loss_has_not_improved_for_a_while(seed):
    values = list(np.random.default_rng(seed).normal(size=40) + np.minimum(np.arange(40) / 4, 3))
    stopping, task = EarlyStopping("loss", patience=4, tol=0.2), SimpleNamespace(task_id=0)
    for epoch, value in enumerate(values):
        context = SimpleNamespace(task_name="epoch", task_id=epoch, parent=task, root_uuid="fit")
        fitted = SimpleNamespace(history_=[{"loss": -value}])
        if stopping.on_fit_task_end(None, context, X=None, fitted_estimator=fitted):
            break
    assert epoch + 1 == expected_stop(values, patience=4, tol=0.2) < 40


def test_mistakes_are_explained():
    with pytest.raises(ValueError, match="cannot monitor 'loss': the history has dur, epoch"):
        clone(ESTIMATORS[0]).set_callbacks(EarlyStopping("loss")).fit(X)
    with pytest.raises(ValueError, match="patience == 0"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="tol is NaN"):
        EarlyStopping(tol=float("nan"))
    with pytest.raises(TypeError, match="FitCallback protocol"):
        clone(ESTIMATORS[0]).set_callbacks(3)
