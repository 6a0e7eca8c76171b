"""Callbacks in scikit-learn's protocol (1.9 and later), for fits without labels.

scikit-learn's own ProgressBar works with every estimator of this package that trains a network;
its ScoringMonitor needs y. These two use the estimator's own, label-free ``score``. A fit is a
task; so is each training in it (of the auto-encoder, of the model), and each epoch.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_scalar


class _AfterEpochs:
    """The protocol of callbacks that use the model after each epoch."""

    def setup(self, estimator, context):
        """Do nothing before a fit."""

    def teardown(self, estimator, context):
        """Do nothing after a fit."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing before a task."""

    @staticmethod
    def _is_epoch(context, fitted_estimator):
        return fitted_estimator is not None and context.task_name == "epoch"


class ScoreMonitor(_AfterEpochs):
    """Records the estimator's own score on X after every epoch; no labels are needed.

    Attributes
    ----------
    log_ : list of dict
        "fit" (a UUID), "training" (its number within the fit), "epoch", "score".

    See Also
    --------
    EarlyStopping : Stops when the score no longer improves.
    skdeepcluster.display.HistoryDisplay : Draws what ``history_`` records without a callback.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VAEEmbedding
    >>> from skdeepcluster.callbacks import ScoreMonitor
    >>> vae, monitor = VAEEmbedding(3, hidden_layer_sizes=(8,), max_epochs=3), ScoreMonitor()
    >>> if hasattr(vae, "set_callbacks"):  # scikit-learn 1.9 and later
    ...     vae = vae.set_callbacks(monitor).fit(load_iris().data)
    ...     assert [record["epoch"] for record in monitor.log_] == [0, 1, 2]
    """

    def __init__(self) -> None:
        self.log_ = []

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None) -> None:
        """Score the model after an epoch."""
        if self._is_epoch(context, fitted_estimator):
            record = {
                "fit": context.root_uuid,
                "training": context.parent.task_id,
                "epoch": context.task_id,
                "score": _label_free_score(fitted_estimator, X),
            }
            self.log_.append(record)


class EarlyStopping(_AfterEpochs):
    """Stops a training that no longer improves.

    Parameters
    ----------
    monitor : str, default="score"
        "score": the estimator's own ``score`` on X, higher is better. Otherwise a name in
        ``history_``, such as "train_loss", lower is better.
    patience : int, default=5
        Epochs without improvement after which training stops.
    tol : float, default=1e-4
        Least increase of the score (or decrease of the loss) that is an improvement.

    See Also
    --------
    ScoreMonitor : Records the score that is watched by default.

    Notes
    -----
    The learning rate follows a schedule over all of ``max_epochs``: a training stopped early ends
    at a high rate, before it has converged. The pretraining of the auto-encoder is not stopped.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VAEEmbedding
    >>> from skdeepcluster.callbacks import EarlyStopping
    >>> vae = VAEEmbedding(3, hidden_layer_sizes=(8,), max_epochs=50, random_state=0)
    >>> if hasattr(vae, "set_callbacks"):  # scikit-learn 1.9 and later
    ...     vae = vae.set_callbacks(EarlyStopping(patience=2, tol=100.0)).fit(load_iris().data)
    ...     assert vae.n_iter_ == 3
    """

    def __init__(self, monitor: str = "score", *, patience: int = 5, tol: float = 1e-4) -> None:
        check_scalar(monitor, "monitor", str)
        check_scalar(patience, "patience", Integral, min_val=1)
        check_scalar(tol, "tol", Real, min_val=0)
        if np.isnan(tol):
            raise ValueError("tol is NaN: no score would be an improvement. Pass a number.")
        self.monitor = monitor
        self.patience = patience
        self.tol = tol
        self._runs = {}

    def teardown(self, estimator, context) -> None:
        """Forget the trainings of a fit."""
        fit = context.root_uuid
        self._runs = {run: seen for run, seen in self._runs.items() if run[0] != fit}

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None) -> bool:
        """Return whether to stop."""
        if not self._is_epoch(context, fitted_estimator):
            return False
        run = context.root_uuid, context.parent.task_id
        best, epoch = self._runs.get(run, (-np.inf, 0))
        value = self._value(fitted_estimator, X)
        if value > best + self.tol or best == -np.inf:
            self._runs[run] = value, context.task_id
            return False
        return context.task_id - epoch >= self.patience

    def _value(self, fitted, X):
        if self.monitor == "score":
            return _label_free_score(fitted, X)
        last = fitted.history_[-1]
        if self.monitor not in last:
            raise ValueError(
                f"EarlyStopping cannot monitor {self.monitor!r}: the history has "
                f"{', '.join(sorted(last))}."
            )
        return -last[self.monitor]


def _label_free_score(fitted, X):
    """Return the estimator's own criterion; a classifier's ``score`` would need labels."""
    if is_classifier(fitted):
        return float(np.mean(fitted.score_samples(X)))
    return fitted.score(X)
