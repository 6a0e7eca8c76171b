"""What all estimators with networks share: checking data and training; answers: ``_mixins``."""

import copy
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ._callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from ._state import ModelStateMixin, unchanged_if_it_fails
from .engine.batches import Rows, map_rows, to_tensor
from .engine.net import train
from .engine.parallel import as_in_first, check_same, from_first, is_first
from .engine.precision import resolve_device, use_bfloat16
from .engine.randomness import draw_seed, generator, random_stream, seeded
from .modules.likelihood import Bernoulli, Gaussian
from .modules.networks import ACTIVATIONS, mlp

#: Rows read at once when X is looked through before training.
CHUNK = 4096


@dataclass
class Run:
    """One training from start to end; the best of ``n_init`` is kept."""

    model: torch.nn.Module
    history: list
    interrupted: bool = False
    start_labels: np.ndarray | None = None
    criterion: float = -np.inf


class Prepared(NamedTuple):
    """Rows to train on, whether the user has stopped the fit already, and clusters so far."""

    rows: Rows
    interrupted: bool = False
    start_labels: np.ndarray | None = None


class DeepEstimator(ModelStateMixin, CallbackSupportMixin, BaseEstimator, ABC):
    """An estimator that trains a :class:`~skdeepcluster.modules.game.Game`.

    A final class writes its own ``__init__`` and says how to build its model; it may prepare
    the model before training and complete it afterwards. Everything else is here.
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "likelihood": [StrOptions({"auto", "bernoulli", "gaussian"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "compile": ["boolean"],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "accept_sparse": ["boolean"],
        "random_state": ["random_state"],
    }

    #: Steps of training that ``max_epochs="auto"`` makes, in units of sqrt(N).
    STEPS = 20.0
    #: So many rows are many: from here on other numbers of rows and steps serve best.
    MANY_ROWS = 4000
    #: Rows in a step that ``batch_size="auto"`` makes, for few and many rows.
    BATCH_SIZES = 64, 256

    # ---- what a final class says

    @abstractmethod
    def _build(self, n_features, likelihood):
        """Return a new model (a Game) for rows of ``n_features``."""

    def _prepare(self, model, X, random_state, is_new):
        """Return what to train on; a method with a first phase puts a new model through it."""
        return Prepared(Rows(X))

    def _finish(self, model, X, random_state):
        """Complete a trained model before it answers; nothing by default."""

    @abstractmethod
    def score_samples(self, X):
        """Return the criterion of each row; higher is better."""

    # ---- fit

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from. Sparse only with ``accept_sparse=True``.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        FloatingPointError
            When a loss stops being finite.
        """
        with unchanged_if_it_fails(self):
            X = self._check_rows(X, reset=True)
            check_same("shape of X", X.shape)
            random_state = from_first(lambda: random_stream(self.random_state))
            device = resolve_device(self.device)
            self._tasks = FitTasks(self, X, y)
            run = self._best_run(X, device, random_state)
            run.history, run.start_labels = as_in_first(run.model, run.history, run.start_labels)
            self._keep(run, X)
            self._tasks.end()
        del self._tasks
        return self

    def _best_run(self, X, device, random_state):
        """Train as often as asked for; return the best by the method's own criterion."""
        runs = []
        for _ in range(1 if self._continues() else self.n_init):
            with seeded(draw_seed(random_state), device):
                runs.append(self._run(X, device, random_state))
            if runs[-1].interrupted:
                warnings.warn(
                    f"Training was interrupted after {len(runs[-1].history)} epochs. The "
                    "estimator holds what was learnt so far; with warm_start=True, fit() goes on "
                    "from there.",
                    ConvergenceWarning,
                    stacklevel=3,
                )
                break
        return max(runs, key=lambda run: run.criterion)

    def _run(self, X, device, random_state):
        """Build (or take up), warm up, train, finish and judge one model."""
        if self._continues():
            model, past = self._taken_up(X.shape[1], self._likelihood(X)), list(self.history_)
        else:
            model, past = self._build(X.shape[1], self._likelihood(X)), []
        model.to(device)
        prepared = self._prepare(model, X, random_state, is_new=not past)
        history, interrupted = [], True
        if not prepared.interrupted:
            history, interrupted = self._train(
                model,
                prepared.rows,
                random_state,
                resume=bool(past),
                snapshot=lambda records: self._snapshot(model, past + records, X),
            )
        for record in history:
            record["epoch"] += len(past)
        self._finish(model, X, random_state)
        run = Run(model, past + history, interrupted, prepared.start_labels)
        if self.n_init > 1:
            run.criterion = float(np.mean(self._criterion(model, X)))
        return run

    def _snapshot(self, model, history, X):
        """Attributes of an estimator whose training ends here, for callbacks to try."""
        device = next(model.parameters()).device
        with seeded(0, device):
            model = copy.deepcopy(model).eval()
            model.progress.fill_(1.0)
            self._finish(model, X, random_stream(0))
        return {
            "model_": model,
            "history_": history,
            "n_iter_": len(history),
            "_fit_params": self.get_params(deep=False),
        }

    def _train(self, model, rows, random_state, snapshot=None, **changes):
        """Put a model through the training loop with this estimator's settings."""
        device = next(model.parameters()).device
        settings = {
            "max_epochs": self._n_epochs(len(rows), self.max_epochs, self._n_steps(len(rows))),
            "batch_size": self._rows_in_step(len(rows)),
            "learning_rate": self.learning_rate,
            "generator": generator(draw_seed(random_state)),
            "device": device,
            "bfloat16": use_bfloat16(self.precision, device),
            "compile": self.compile,
            "callbacks": self.callbacks,
            "verbose": int(self.verbose) if is_first() else 0,
        } | changes
        epochs = self._tasks.training(type(model).__name__, settings["max_epochs"], snapshot)
        return train(model, rows, epochs=epochs, **settings)

    def _n_steps(self, n_samples):
        """Return the steps that ``max_epochs="auto"`` makes: not over two for a row."""
        return min(self.STEPS * np.sqrt(n_samples), 2 * n_samples)

    def _n_epochs(self, n_samples, asked, n_steps):
        """Return the epochs asked for, or as many as make so many steps."""
        if asked != "auto":
            return asked
        return ceil(n_steps / ceil(n_samples / self._rows_in_step(n_samples)))

    def _rows_in_step(self, n_samples):
        """Return the number of rows in a batch of training."""
        auto = self.BATCH_SIZES[self._has_many(n_samples)]
        return min(auto if self.batch_size == "auto" else self.batch_size, n_samples)

    def _has_many(self, n_samples):
        return n_samples >= self.MANY_ROWS

    def _keep(self, run, X):
        """Set what has been learnt, all at once."""
        self._fit_params = self.get_params(deep=False)
        self.model_ = run.model
        self.history_ = run.history
        self.n_iter_ = len(run.history)

    def _continues(self):
        return self.warm_start and self.__sklearn_is_fitted__()

    # ---- from data to model

    def _check_rows(self, X, reset=False):
        """Check X and leave it where it is: no copy, no cast, no centring."""
        if sparse.issparse(X) and not self.accept_sparse:
            raise TypeError(
                f"{type(self).__name__} got sparse data, but takes dense arrays by default. Set "
                "accept_sparse=True to have rows made dense one batch at a time, or pass "
                "X.toarray()."
            )
        X = validate_data(
            self,
            X,
            reset=reset and not self._continues(),
            accept_sparse="csr" if self.accept_sparse else False,
            dtype="numeric",
            ensure_min_samples=2 if reset else 1,
        )
        if reset and X.shape[0] < self._least_rows():
            raise ValueError(
                f"n_samples={X.shape[0]} should be >= n_clusters={self._least_rows()}. Give more "
                "rows or ask for fewer clusters."
            )
        return X

    def _least_rows(self):
        """Return the number of rows below which there is nothing to fit."""
        return self.n_clusters

    def _likelihood(self, X):
        """Choose what the decoder's output means, by the parameter or by the range of X."""
        shift, scale, low, high = _look_through(X)
        within = low >= 0 and high <= 1
        if self.likelihood == "bernoulli" and not within:
            raise ValueError(
                f"likelihood='bernoulli' reads values as probabilities, but X runs from {low:.6g} "
                f"to {high:.6g}. Scale X to [0, 1] (MinMaxScaler) or use likelihood='gaussian'."
            )
        if self.likelihood == "bernoulli" or (self.likelihood == "auto" and within):
            return Bernoulli()
        dtype = to_tensor(X[:1]).dtype
        return Gaussian(torch.as_tensor(shift, dtype=dtype), torch.as_tensor(scale, dtype=dtype))

    def _network(self, role, n_in, n_out):
        """Build the network of a role ("encoder", say): the user's, or a perceptron."""
        builder = getattr(self, role)
        if builder is None:
            widths = list(self.hidden_layer_sizes)
            if not all(isinstance(width, Integral) and width > 0 for width in widths):
                raise ValueError(
                    f"hidden_layer_sizes must be positive whole numbers, got {widths}."
                )
            return self._perceptron(role, n_in, n_out, widths)
        network = builder(n_in, n_out)
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(2, n_in)).shape)
        if shape != (2, n_out):
            raise ValueError(
                f"{role} must turn rows of {n_in} into rows of {n_out} features, as "
                f"{role}(n_in, n_out) asks, but two rows came out with shape {shape}."
            )
        return network

    def _perceptron(self, role, n_in, n_out, widths):
        """Build the network of a role for which the user gives none."""
        widths = {"encoder": widths, "decoder": widths[::-1]}.get(role, widths[:2])
        return mlp(n_in, n_out, widths, self.activation)

    # ---- answers

    def _map(self, function, X):
        """Apply a method of the model to rows of X in fixed blocks: the only way answers come."""
        check_is_fitted(self)
        X = self._check_rows(X)
        return self._answers(self.model_, function, X)

    @staticmethod
    def _answers(model, function, X):
        return map_rows(function, X, next(model.parameters()).device)

    def score(self, X, y=None):
        """Mean of :meth:`score_samples`, the label-free criterion: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        score : float
            Mean over the rows, in nats.
        """
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = bool(self.accept_sparse)
        return tags


def _look_through(X):
    """Mean and scale of each feature, smallest and largest value; one pass, float64 sums."""
    scaler = StandardScaler(with_mean=not sparse.issparse(X))
    low, high = np.inf, -np.inf
    for start in range(0, X.shape[0], CHUNK):
        rows = X[start : start + CHUNK]
        scaler.partial_fit(rows)
        low, high = min(low, rows.min()), max(high, rows.max())
    return scaler.mean_, scaler.scale_, low, high
