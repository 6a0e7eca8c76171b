"""What all estimators with networks share: validation, training, answers and saved state."""

import copy
import os
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._budget import Budget, choose_widths
from ._checkpoint import Checkpoint, identify
from ._initialization import (
    Initialization,
    check_metrics,
    find_number,
    find_temperature,
    is_mixture,
    is_partition,
    name_start,
)
from ._likelihood_choice import choose_likelihood
from ._outliers import find_offset, fit_cluster_space, make_outlier_score, mark_noise
from ._phases import plan_progress
from ._responsibilities import check_finite, repeat_rows
from ._typing import (
    CallbackSupportMixin,
    Labels,
    Reals,
    TransformerMixin,
    fit_context,
    with_callbacks,
)
from ._validation import (
    NumericParameters,
    check_answers,
    check_enough,
    check_rows,
    check_sample_weight,
)
from .engine.batches import BLOCK, Rows, map_rows, refuse_sparse
from .engine.isolation import is_explicit, isolated, seeded, without_overrides
from .engine.loop import EpochTasks, check_callbacks, train
from .engine.progress import Progress
from .engine.runtime import (
    broadcast_object,
    broadcast_weights,
    check_same,
    current_processes,
    draw_generator,
    draw_seed,
    end_interrupted_member,
    is_main_process,
    random_stream,
    resolve_device,
    resolve_precision,
    restore_on_failure,
    threads_by_size,
)
from .modules.autoencoder import Autoencoder
from .modules.likelihood import ColumnLikelihood, restore_likelihood
from .modules.networks import ACTIVATIONS, check_widths
from .neighbors.search import order_rows

#: Parameters that build networks.
BUILDERS = ("encoder", "decoder", "generator", "discriminator")
#: Parameters that determine the networks, so that ``warm_start`` needs them unchanged.
ARCHITECTURE = (
    *("n_clusters", "n_components", "n_noise", "n_continuous", "other_categories"),
    *("hidden_layer_sizes", "activation", "covariance_type", *BUILDERS),
)
#: Largest share of the rows whose cluster is not that of the start before a warning.
MOST_MOVED = 0.25
#: Most bytes of X of which a copy is put in order; more are read from where they are.
MAX_ORDERED = 2**26


@dataclass(frozen=True)
class Fit:
    """The data and settings of one call of ``fit``."""

    #: Array, memory map or CSR matrix of shape (N, D).
    X: Any
    device: torch.device
    random_state: np.random.RandomState
    likelihood: torch.nn.Module
    #: Classes of the rows, (N,), -1 without a label; None but for a classifier.
    targets: np.ndarray | None
    #: scikit-learn's CallbackContext of this fit; None before version 1.9.
    task: Any
    #: What callbacks receive: "estimator", "X" and "y".
    given: dict
    #: Indices of the rows among those given, (N,); None if they are the same.
    index: np.ndarray | None = None
    #: Known clusters of the rows, (N,), -1 where there is none; None without any.
    labels: np.ndarray | None = None
    #: Is told of phases and steps.
    progress: Progress = field(default_factory=Progress)
    #: Keeps what is over, for a fit that is cut short.
    checkpoint: Checkpoint = field(default_factory=Checkpoint)

    @property
    def n_samples(self):
        """N."""
        return self.X.shape[0]

    def standardize_rows(self):
        """Return the rows as the networks see them, (N, D), float32."""
        return map_rows(self.likelihood.standardize, self.X)

    def take(self, column):
        """Return the entries of a column of the given rows for the rows trained on."""
        return column if self.index is None else column[self.index]

    def search(self, make):
        """Return the result of a search, which draws from ``random_state``.

        Of several processes the main one makes it; the one of a checkpoint is not made again.
        """
        make = partial(broadcast_object, make, self.random_state)
        return self.checkpoint.remember(make, self.random_state)


@dataclass
class Run:
    """One training from start to end; the best of ``n_init`` is kept."""

    model: torch.nn.Module
    history: list
    interrupted: bool = False
    start_labels: np.ndarray | None = None
    criterion: float = -np.inf


@contextmanager
def _divergence_explained(model):
    """Raise FloatingPointError if the weights of a model that the block trains are not finite."""
    failure = None
    try:
        yield
    except RuntimeError as error:
        failure = error
    if not all(bool(p.isfinite().all()) for p in model.parameters()):
        raise FloatingPointError(
            "Training diverged: the weights of the model are not finite. Lower learning_rate "
            "(pretraining_learning_rate for an auto-encoder), or scale the features to a common "
            "range."
        ) from failure
    if failure is not None:
        raise failure


def _choose_rows(X, known, sample_weight, random_state):
    """Return the indices of the rows to train on, repeated by weight, or None: all as they are.

    Rows of small data are put in order by their values, equal ones by their classes or clusters,
    if ``known`` (N,), so that neither their order matters nor whether rows are repeated or
    weighted.
    """
    weight = None if sample_weight is None else check_sample_weight(sample_weight, X)
    if X.data.nbytes > MAX_ORDERED:
        return None if weight is None else repeat_rows(weight, random_state, X.shape[0])
    # Rows without weight are as if they were not there.
    chosen = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight)
    if known is not None:
        chosen = chosen[np.argsort(known[chosen], kind="stable")]
    chosen = chosen[order_rows(X[chosen])]
    if weight is None:
        return chosen
    return chosen[repeat_rows(weight[chosen], random_state, X.shape[0])]


class DeepEstimator(CallbackSupportMixin, NumericParameters, BaseEstimator, ABC):
    """An estimator that trains a :class:`~skdeepcluster.modules.game.ClusterGame`.

    A subclass defines its ``__init__``, how to build its model, and what "auto" means for it
    (``_budget``); it may initialise the model before training and complete it afterwards.
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_clusters": [Interval(Integral, 2, None, closed="left")],
        "noise": [Interval(Real, 0, 1, closed="left")],
        "use_labels": ["boolean"],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "likelihood": [StrOptions({"auto", "bernoulli", "gaussian"}), dict, ColumnLikelihood],
        "standardize": [StrOptions({"auto"}), "boolean"],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "augment": [callable, None],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "compile": ["boolean"],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "accept_sparse": ["boolean"],
        "random_state": ["random_state"],
    }

    # ---- what a subclass defines

    _budget: Budget

    @abstractmethod
    def _build(self, n_features, likelihood):
        """Return a new model, a ClusterGame, for rows of ``n_features``."""

    def _count_clusters(self):
        """Return the number of clusters, or classes; 1 where it is not known yet."""
        return getattr(self, "n_clusters_", 1) if self.n_clusters == "auto" else self.n_clusters

    def _initialize(self, model, fit, is_new):
        """Return the Initialization, after pretraining a new model where the method does so."""
        return Initialization()

    def _name_phases(self, fit):
        """Return the names of the phases of one run, in order."""
        training = ["training", "answers"]
        if self._continues() and self.history_:
            return training
        finds_start = not (self.init is None or is_partition(self.init))
        before = [name_start(self.init)] if finds_start else []
        if self._choose_pretraining_epochs(fit):
            before.insert(0 if self._pretrains_first() else len(before), "pretraining")
        return before + training

    def _pretrains_first(self):
        """Return whether pretraining, if any, comes before the start, which divides its codes."""
        return is_mixture(self.init)

    def _has_anchor(self):
        """Return whether training is regularised towards clusters, which labels can be part of."""
        return not is_mixture(self.init)

    def _make_rows(self, start, fit):
        """Return the data set of training."""
        return Rows(fit.X, anchor=start.anchor, style=start.style)

    def _after_training(self, model, fit, start):
        """Complete a trained model before it answers; nothing by default."""

    def _set_temperature(self, model, fit, start):
        """Set the temperature of a model whose start has calibrated responsibilities."""
        if start.calibrated is not None:
            log_resp = self._apply(model, model.log_resp, fit.X).astype(np.float64)
            model.temperature.fill_(find_temperature(log_resp, start.calibrated))

    # ---- fit

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from. Sparse only with ``accept_sparse=True``. The order of rows that
            take up to 64 MiB does not matter.
        y : array-like of shape (n_samples,), default=None
            With ``use_labels=True`` the number of the cluster of each row, -1 where it is not
            known; otherwise ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0. Whole weights count as repetitions of the rows. Of
            other weights, or with a sum above 10 ``n_samples``, as many rows as X has are drawn
            in proportion to them, and trained on. The rows drawn are copied into memory. Rows of
            weight 0 get labels, too; their ``start_labels_`` are these.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            When a value is larger than 1e100; when labels are no numbers of clusters, or ``init``
            gives no start that could follow them.
        FloatingPointError
            When a loss, or the weights, stop being finite.
        """
        with isolated(), restore_on_failure(self):
            return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight, targets=None):
        """Train on X, of which a classifier knows some targets."""
        check_metrics(self)
        check_callbacks(self.callbacks)
        if not self._continues():
            for name in ("n_clusters_", "n_clusters_curve_", "hidden_layer_sizes_"):
                vars(self).pop(name, None)
        X = self._check_rows(X, reset=True)
        check_same("shape of X", X.shape)
        random_state = broadcast_object(partial(random_stream, self.random_state))
        given, task = {"estimator": self, "X": X, "y": y}, None
        labels = self._find_labels(y, X)
        known = labels if targets is None else targets
        index = _choose_rows(X, known, sample_weight, random_state)
        if index is not None:
            X, targets, labels = (None if c is None else c[index] for c in (X, targets, labels))
            self._check_enough(X, targets)
        self._choose_widths(X)
        device, likelihood = resolve_device(self.device), self._choose_likelihood(X)
        if hasattr(self, "set_callbacks"):  # scikit-learn 1.9 and later
            task = self._init_callback_context(max_subtasks=None).call_on_fit_task_begin(**given)
        fit = Fit(X, device, random_state, likelihood, targets, task, given, index, labels)
        steps = {"progress": plan_progress(self, fit), "checkpoint": self._open_checkpoint(fit)}
        fit = replace(fit, **steps)
        with fit.progress:
            if "n_clusters" in self.get_params(deep=False):
                self._choose_number(fit)
            run = self._best_run(fit)
            found = run.history, run.start_labels
            run.history, run.start_labels = broadcast_weights(run.model, *found)
            self._set_fitted_attributes(run, fit)
        if not run.interrupted:
            fit.checkpoint.remove()
        if task is not None:
            learnt = {name: v for name, v in vars(self).items() if name.endswith("_")}
            task.call_on_fit_task_end(**given, reconstruction_attributes=learnt)
        return self

    def _find_labels(self, y, X):
        """Return the known clusters (N,) of the rows of X, -1 where there is none, or None."""
        if not getattr(self, "use_labels", False):
            return None
        n_clusters = X.shape[0] if self._seeks_number() else self._count_clusters()
        labels = self._read_labels(y, X.shape[0], n_clusters)
        if labels is not None and not self._has_anchor():
            raise ValueError(
                f"use_labels=True needs a start that labels are part of, but init={self.init!r} "
                "has none. Take init='neighbors' or a NeighborClustering, or use_labels=False."
            )
        return labels

    def _open_checkpoint(self, fit):
        """Return the Checkpoint of this fit, and set the stream back to where it began."""
        if self.checkpoint is None:
            return Checkpoint()
        past = self.history_ if self._continues() else None
        checkpoint = Checkpoint(
            self.checkpoint, identify(self, fit.X, fit.given["y"], fit.index, past)
        )
        checkpoint.remember(lambda: None, fit.random_state)
        return checkpoint

    def _choose_number(self, fit):
        """Set the number of clusters; "auto" is that of ``init``, or of the standardised rows."""
        if self._seeks_number():
            fit.progress.begin("number")
            rows = None if is_partition(self.init) else fit.standardize_rows()
            options = {"metric": self.metric, "max_clusters": self.max_clusters}
            count = partial(find_number, self.init, rows, fit.random_state, **options)
            found, curve = fit.search(count)
            least = 1 if fit.labels is None else int(fit.labels.max()) + 1
            self.n_clusters_ = max(found, least)
            if curve is not None:
                self.n_clusters_curve_ = Bunch(**curve)
        elif self.n_clusters != "auto":
            self.n_clusters_ = self.n_clusters

    def _seeks_number(self):
        """Whether this fit has to find the number of clusters."""
        is_auto = getattr(self, "n_clusters", None) == "auto"
        return is_auto and not hasattr(self, "n_clusters_")

    def _best_run(self, fit):
        """Train ``n_init`` times; return the run with the highest mean criterion."""
        runs = []
        for _ in range(1 if self._continues() else self.n_init):
            with seeded(draw_seed(fit.random_state)):
                runs.append(self._run(fit))
            if runs[-1].interrupted:
                warnings.warn(
                    f"Training was interrupted after {len(runs[-1].history)} epochs. The "
                    "estimator holds what was learnt so far; with warm_start=True, fit() goes on "
                    "from there.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
                break
        return max(runs, key=lambda run: run.criterion)

    def _run(self, fit):
        """Build (or resume), initialise, train, complete and score one model."""
        if self._continues():
            model, past = self._resume(fit), list(self.history_)
        else:
            model, past = self._build(fit.X.shape[1], copy.deepcopy(fit.likelihood)), []
        model.to(fit.device)
        start = self._initialize(model, fit, is_new=not past)
        if start.mixture is not None:
            model.set_mixture(start.mixture)
        rows = self._make_rows(start, fit)
        fit.progress.begin("training")
        history, interrupted = [], True
        if not start.interrupted:
            history, interrupted = self._train(
                model,
                rows,
                fit,
                max_epochs=self._choose_max_epochs(fit.X),
                learning_rate=self._choose_learning_rate(),
                callbacks=self.callbacks,
                resume=bool(past),
                snapshot=lambda records: self._snapshot(model, past + records, fit, start),
            )
        for record in history:
            record["epoch"] += len(past)
        self._after_training(model, fit, start)
        fit.progress.begin("answers")
        self._set_temperature(model, fit, start)
        run = Run(model, past + history, interrupted, start.start_labels)
        if self.n_init > 1:
            run.criterion = float(np.mean(self._apply(model, model.criterion, fit.X)))
        return run

    def _snapshot(self, model, history, fit, start):
        """Attributes of an estimator whose training ends now, for callbacks that evaluate one."""
        with seeded(0):
            model = copy.deepcopy(model).eval()
            model.progress.fill_(1.0)
            apart = replace(
                fit,
                random_state=random_stream(0),
                progress=Progress(),
                checkpoint=Checkpoint(),
            )
            self._after_training(model, apart, start)
        kept = "classes_", "n_clusters_", "hidden_layer_sizes_"
        attributes = {name: v for name, v in vars(self).items() if name in kept}
        if getattr(self, "noise", 0):
            clusters = self._assign(model, fit.given["X"])[0]
            attributes |= self._find_outliers(model, fit, clusters)
        return attributes | {
            "model_": model,
            "history_": history,
            "n_iter_": len(history),
            "_fit_params": self._resolve_params(),
        }

    def _train(self, model, rows, fit, *, max_epochs, snapshot=None, **settings):
        """Run the training loop; return the history, and whether the user interrupted it."""
        tasks = None
        if fit.task is not None:
            context = fit.task.subcontext(task_name=type(model).__name__, max_subtasks=max_epochs)
            tasks = EpochTasks(context, fit.given, snapshot)
        with _divergence_explained(model):
            history, interrupted = train(
                model,
                rows,
                max_epochs=max_epochs,
                batch_size=self._choose_batch_size(fit.X),
                generator=draw_generator(fit.random_state),
                device=fit.device,
                augment=self.augment,
                bfloat16=resolve_precision(self.precision, fit.device) == "bfloat16",
                compile=self.compile,
                verbose=int(self.verbose) if is_main_process() else 0,
                processes=current_processes(),
                progress=fit.progress,
                checkpoint=fit.checkpoint,
                tasks=tasks,
                **settings,
            )
        end_interrupted_member(interrupted)
        return history, interrupted

    def _pretrain(self, encoder, decoder, likelihood, fit):
        """Train networks as a denoising auto-encoder; return it, and whether it was stopped."""
        fit.progress.begin("pretraining")
        autoencoder = Autoencoder(encoder, decoder, likelihood).to(fit.device)
        interrupted = self._train(
            autoencoder,
            Rows(fit.X),
            fit,
            max_epochs=self._choose_pretraining_epochs(fit),
            learning_rate=self.pretraining_learning_rate,
            weight_decay=1e-4,
        )[1]
        return autoencoder, interrupted

    def _set_fitted_attributes(self, run, fit):
        """Set what has been learnt, and what each "auto" stood for."""
        labels, probabilities = self._assign(run.model, fit.given["X"])
        if hasattr(self, "pretraining_epochs"):
            # Before ``model_`` and ``history_`` are set, which tell that a fit is resumed.
            self.pretraining_epochs_ = self._choose_pretraining_epochs(fit)
        self._fit_params = self._resolve_params()
        self.model_, self.history_, self.n_iter_ = run.model, run.history, len(run.history)
        self.likelihood_ = run.model.likelihood.name
        self.standardize_ = run.model.likelihood.standardizes
        self.batch_size_ = self._choose_batch_size(fit.X)
        self.max_epochs_ = self._choose_max_epochs(fit.X)
        self.learning_rate_ = self._choose_learning_rate()
        self.temperature_ = float(run.model.temperature)
        self.device_ = str(fit.device)
        self.precision_ = resolve_precision(self.precision, fit.device)
        with torch.no_grad():
            for name, value in run.model.fitted_attributes().items():
                is_tensor = isinstance(value, torch.Tensor)
                setattr(self, name, value.cpu().numpy() if is_tensor else value)
        start_labels = run.start_labels
        if start_labels is not None and fit.index is not None:
            start_labels = labels.copy()
            start_labels[fit.index] = run.start_labels
        self._set_labels(labels, probabilities, start_labels, fit)
        if hasattr(self, "noise"):
            vars(self).update(self._find_outliers(run.model, fit, labels))
            self.labels_ = mark_noise(labels, self.outlier_scores_, self.offset_)

    def _find_outliers(self, model, fit, clusters):
        """Return the attributes about the given rows far from all of their clusters, (N,)."""
        device, X = next(model.parameters()).device, fit.given["X"]
        space = fit_cluster_space(model.standardize, fit.X, fit.take(clusters), device)
        scores = self._score_outliers(model, space, X)
        weight = np.bincount(fit.take(np.arange(len(scores))), minlength=len(scores))
        return {
            "outlier_scores_": scores,
            "offset_": find_offset(scores, self.noise, weight.astype(np.float64)),
            "_cluster_space": space if self.noise else None,
        }

    def _score_outliers(self, model, space, X):
        """Return the outlier scores of rows, (N,)."""
        device = next(model.parameters()).device
        return self._apply(model, make_outlier_score(model.standardize, space, device), X)

    def _resolve_params(self):
        """Return the parameters, with the architecture that "auto" stood for.

        Parameters that predictions do not need and files may not hold are left out.
        """
        params = self.get_params(deep=False)
        for name in ("callbacks", "augment", "checkpoint"):
            params.pop(name, None)
        resolved = {"hidden_layer_sizes": self._widths()}
        if "n_clusters" in params:
            resolved["n_clusters"] = self._count_clusters()
        return params | resolved

    def _set_labels(self, labels, probabilities, start_labels, fit):
        """Set the labels of the given rows; warn of clusters that are empty or lost."""
        self.labels_, self.probabilities_ = labels, probabilities
        self.start_labels_, self.moved_ = start_labels, None
        if start_labels is not None:
            self.moved_ = float(np.mean(fit.take(labels != start_labels)))
        n_found = len(np.unique(fit.take(labels)))
        if n_found < self.n_clusters_:
            found = f"Only {n_found} of {self.n_clusters_} clusters have rows"
            is_wide = fit.X.shape[1] > fit.n_samples
            lower = "Take principal components first (PCA), lower" if is_wide else "Lower"
            told = (
                f"{'All rows fell into one cluster' if n_found == 1 else found}. {lower} "
                "n_clusters, train longer (max_epochs), scale the features to a common range, or "
                "try several starts (n_init)."
            )
        elif self._has_anchor() and self.start_weight and (self.moved_ or 0) > MOST_MOVED:
            told = (
                f"{self.moved_:.0%} of the rows left the clusters of their start, start_labels_, "
                "which the network does not tell apart. Train longer (max_epochs), raise "
                "start_weight, or take start_labels_"
                f"{'' if is_partition(self.init) else ', those of NeighborClustering'}."
            )
        else:
            return
        warnings.warn(told, ConvergenceWarning, stacklevel=5)

    # ---- what "auto" stands for

    def _choose_widths(self, X):
        """Set the widths of the hidden layers; a fit that goes on keeps them."""
        if not isinstance(self.hidden_layer_sizes, str):
            self.hidden_layer_sizes_ = tuple(self._widths())
        elif not hasattr(self, "hidden_layer_sizes_"):
            self.hidden_layer_sizes_ = choose_widths(*X.shape)

    def _widths(self):
        """Return the widths of the hidden layers as a list, checked."""
        is_auto = isinstance(self.hidden_layer_sizes, str)
        widths = self.hidden_layer_sizes_ if is_auto else self.hidden_layer_sizes
        return check_widths("hidden_layer_sizes", widths)

    def _choose_batch_size(self, X):
        auto = self.batch_size == "auto"
        return min(self._budget.batch_size(X.shape[0]) if auto else self.batch_size, X.shape[0])

    def _choose_max_epochs(self, X):
        if self.max_epochs != "auto":
            return self.max_epochs
        shape = X.shape[0], self._choose_batch_size(X)
        return self._budget.epochs(*shape, self._count_clusters())

    def _choose_learning_rate(self):
        if self.learning_rate != "auto":
            return self.learning_rate
        return self._budget.learning_rate(self._widths())

    def _choose_pretraining_epochs(self, fit):
        """Return the epochs of the auto-encoder; 0 where this fit trains none."""
        if self._continues() and self.history_:
            return 0
        if self.pretraining_epochs != "auto":
            return self.pretraining_epochs
        return self._budget.pretraining_epochs(fit.n_samples, self._choose_batch_size(fit.X))

    def _choose_likelihood(self, X):
        names = getattr(self, "feature_names_in_", None)
        return choose_likelihood(self.likelihood, self.standardize, X, names)

    # ---- from data to model

    def _check_rows(self, X, reset=False):
        """Validate X without copying, casting or centring it."""
        refuse_sparse(self, X)
        X = check_rows(
            self,
            X,
            reset=reset and not self._continues(),
            accept_sparse="csr" if self.accept_sparse else False,
            ensure_min_samples=2 if reset else 1,
        )
        if reset:
            self._check_enough(X)
        return X

    def _check_enough(self, X, targets=None):
        """Check that there are two rows, as many as clusters, and a target if any are wanted."""
        if targets is not None and targets.max() < 0:
            raise ValueError(
                "No row that has a label is among those drawn by sample_weight, but a classifier "
                "learns from such rows. Give some of them a larger weight, or take a clusterer."
            )
        if X.shape[0] < 2:
            raise ValueError(
                f"sample_weight leaves n_samples={X.shape[0]} to train on, but 2 are needed. Give "
                "larger weights: a row of weight 2 counts as two."
            )
        check_enough(X.shape[0], self._count_clusters())

    # ---- answers

    def _map(self, function, X):
        """Validate X and apply a method of the model, by name, or a function of tensors to it."""
        check_is_fitted(self)
        function = getattr(self.model_, function) if isinstance(function, str) else function
        return self._apply(self.model_, function, self._check_rows(X))

    @staticmethod
    def _apply(model, function, X):
        """Apply a function to rows in fixed blocks, so that no answer depends on other rows.

        ValueError names the first row whose answer is not finite.
        """
        with isolated(), threads_by_size(model, BLOCK), without_overrides(is_explicit(model)):
            return check_answers(map_rows(function, X, next(model.parameters()).device), X)

    def _assign(self, model, X):
        """Return the most probable cluster of each row, and its probability, (N,) each."""
        answers = self._apply(model, model.assign_surely, X)
        return answers[:, 0].astype(np.int64), answers[:, 1].copy()

    def predict_proba(self, X) -> npt.NDArray[np.float32]:
        """Probability of each cluster, given the row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters), float32
            Rows sum to one. The columns of a classifier are in the order of ``classes_``.
        """
        return self._map("resp", X)

    def predict(self, X) -> Labels:
        """Most probable cluster of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Between 0 and ``n_clusters - 1``; -1 for noise, if ``noise`` is not 0.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        clusters = self._assign(self.model_, X)[0]
        if not self._fit_params.get("noise"):
            return clusters
        outlier_scores = self._score_outliers(self.model_, self._cluster_space, X)
        return mark_noise(clusters, outlier_scores, self.offset_)

    def score_samples(self, X) -> npt.NDArray[np.float64]:
        """Label-free criterion of each row, in nats: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        criterion : ndarray of shape (n_samples,), float64
            VAEEmbedding, VaDEClustering: a lower bound on log p(x), in the units of X; its
            expectation over z is the mean over the same 8 points for each dimension of z, at least
            64, on the digits within 0.03 nats in the mean of the rows. DACClustering:
            log p(x | G(z)) + log p(z) at z = E(x). InfoGANClustering, CatGANClustering: the
            information of a row about its cluster, KL(p(c|x) || p(c)), with p(c) the mean of
            p(c|x) over the rows trained on, so that answers stay row-wise; these p(c|x) are those
            of the objective, before ``temperature_``.
        """
        return self._map("criterion", X)

    def score(self, X, y=None) -> float:
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

    # ---- state: pickled and saved, and resumed by ``warm_start``

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = bool(self.accept_sparse)
        return tags

    def __getstate__(self):
        """Return the state as arrays and plain objects, so that it loads without a GPU."""
        state = _make_plain(super().__getstate__())
        if "model_" in state:
            tensors = state["model_"].state_dict()
            state["model_"] = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
            state["_fit_params"] = _make_plain(state["_fit_params"])
        return state

    def __setstate__(self, state):
        """Restore the state; the model is rebuilt with the parameters of the fit."""
        arrays = state.get("model_")
        super().__setstate__({name: value for name, value in state.items() if name != "model_"})
        if arrays is None:
            return
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        prefix = "likelihood."
        likelihood = restore_likelihood(
            {
                name.removeprefix(prefix): tensor
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
        )
        fitted = copy.copy(self)
        fitted.set_params(**self._fit_params)
        with seeded(0):
            fitted._check_shapes(tensors, likelihood)
            self.model_ = fitted._build_from(tensors, likelihood).eval()

    def _check_shapes(self, tensors, likelihood):
        """Check that weights have the shapes of the networks, before these take memory."""
        if any(callable(getattr(self, name, None)) for name in BUILDERS):
            return  # networks of the user, which may need memory to be built
        with torch.device("meta"):
            model = self._build(self.n_features_in_, likelihood)
        for name, tensor in model.state_dict().items():
            found = tuple(tensors[name].shape) if name in tensors else None
            if found != tuple(tensor.shape):
                raise ValueError(
                    f"The model's {name} has shape {found}, but the parameters ask for "
                    f"{tuple(tensor.shape)}."
                )

    def _build_from(self, tensors, likelihood):
        """Build a model by the current parameters and load its weights from a state dict."""
        model = self._build(self.n_features_in_, likelihood)
        model.restore_buffers(tensors)
        model.load_state_dict(tensors)
        return model

    def _continues(self):
        """Whether ``fit`` goes on with the fitted model."""
        return self.warm_start and self.__sklearn_is_fitted__()

    def _resume(self, fit):
        """Return a model with the weights learnt so far, by the current parameters."""
        asked = self._resolve_params()
        for name in ARCHITECTURE:
            before, now = self._fit_params.get(name), asked.get(name)
            if before is not now and not np.array_equal(before, now):
                raise ValueError(
                    f"warm_start=True goes on with the fitted model, made with {name}={before}, "
                    f"but now {name}={now}. Keep it, or set warm_start=False."
                )
        self._check_likelihood(fit)
        tensors = {name: tensor.cpu() for name, tensor in self.model_.state_dict().items()}
        model = self._build_from(tensors, copy.deepcopy(self.model_.likelihood).cpu())
        if hasattr(model, "regularizer"):
            # The clusters learnt so far are an anchor that does not give way.
            model.regularizer = replace(model.regularizer, own_share=0.0)
        return model

    def _check_likelihood(self, fit):
        """Check that a resumed model's likelihood is what parameters and rows ask for."""
        kept, asked = self.model_.likelihood, fit.likelihood
        before, now = kept.describe(), asked.describe()
        if before != now:
            raise ValueError(
                f"warm_start=True goes on with a model whose likelihood is {before}, but these "
                f"rows and the parameters ask for {now}. Scale X as it was, or set "
                "warm_start=False."
            )
        if self.standardize != "auto" and kept.standardizes != asked.standardizes:
            raise ValueError(
                f"warm_start=True goes on with a model that was fitted with standardize="
                f"{kept.standardizes}, but now standardize={self.standardize}. Keep it, or set "
                "warm_start=False."
            )


class EmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """``transform`` by the model's ``encode`` and ``inverse_transform`` by its ``decode``."""

    def transform(self, X) -> npt.NDArray[np.float32]:
        """Codes of the rows: E(x) of DACClustering, else the means of the posterior q(z | x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Of InfoGANClustering the posterior of all codes as Q reads them: probabilities of the
            clusters, of the values of each further categorical code, and means of the continuous
            codes, named by ``get_feature_names_out``.
        """
        return self._map("encode", X)

    def inverse_transform(self, X) -> Reals:
        """Rows that codes stand for: E[x | z], in the units of the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, for instance from :meth:`transform`, or points between them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            InfoGANClustering generates them with all noise at its centre, so that rows with equal
            codes come out equal.
        """
        check_is_fitted(self)
        with np.errstate(over="ignore"):
            Z = check_finite("X", X).astype(np.float32)
        if Z.ndim != 2 or Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Codes must have shape (n_samples, {self._n_features_out}), got {Z.shape}. Pass "
                "what transform() returns."
            )
        if not np.isfinite(Z).all():
            raise ValueError("Codes contain numbers beyond single precision.")
        return self._apply(self.model_, self.model_.decode, Z)

    @property
    def _n_features_out(self):
        return self._fit_params["n_components"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _make_plain(params):
    """Return parameters with plain values for a ColumnLikelihood, a device and a path."""
    plain = {}
    for name, value in params.items():
        if isinstance(value, ColumnLikelihood):
            value = value.layout
        elif isinstance(value, torch.device | os.PathLike):
            value = str(value)
        plain[name] = value
    return plain
