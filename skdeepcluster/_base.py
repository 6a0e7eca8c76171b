"""What all estimators with networks share: checks of X, training, predictions and saved state."""

import copy
import os
import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._checks import check_enough, restore_on_failure
from ._fit import Checkpoint, Fit, Run, apply, assign, choose_samples, identify
from ._init import Partition, find_temperature, resolve_init
from ._labels import find_offset, mark_noise
from ._random import draw_seed, random_stream
from ._settings import Recipe, choose_factors, choose_likelihood, choose_settings
from ._tables import count_inputs, list_groups, read_table
from ._typing import Labels, fit_context
from .engine.data import Rows, refuse_sparse
from .engine.loop import Progress, check_callbacks
from .engine.runtime import (
    broadcast_object,
    broadcast_weights,
    building,
    current_process,
    forked,
    is_main_process,
    isolated,
    resolve_device,
    seeded,
)
from .modules.likelihood import ColumnLikelihood, restore_likelihood
from .modules.networks import ACTIVATIONS
from .neighbors.labels import hold_labels

#: Parameters that build networks.
BUILDERS = ("encoder", "decoder", "generator", "discriminator")
#: Parameters that determine the networks and what they see, which ``warm_start`` needs unchanged.
ARCHITECTURE = (
    *("n_clusters", "n_components", "n_noise", "n_continuous", "other_categories"),
    *(
        "hidden_layer_sizes",
        "activation",
        "covariance_type",
        "standardize",
        "image_shape",
    ),
    *("categorical_features", *BUILDERS),
)
#: Maximum share of the samples that leave their initial clusters without a warning.
MAX_MOVED = 0.25


class DeepEstimator(BaseEstimator, ABC):
    """An estimator that trains a :class:`~skdeepcluster.modules.model.ClusterModel`.

    A subclass defines ``__init__``, its recipe for "auto", and how to build and initialize the
    model; it may complete the model after training.
    """

    _parameter_constraints = {
        "n_clusters": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "noise": [Interval(Real, 0, 1, closed="left")],
        "use_labels": ["boolean"],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "image_shape": ["array-like", None],
        "likelihood": [
            StrOptions({"auto", "bernoulli", "gaussian"}),
            dict,
            ColumnLikelihood,
        ],
        "standardize": [StrOptions({"auto"}), "boolean"],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "augment": [callable, None],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "accept_sparse": ["boolean"],
        "random_state": ["random_state"],
    }

    # ---- what a subclass defines

    _recipe: Recipe
    #: Whether the model has no codes of its own, so that partitions are found in samples.
    _without_codes = False

    @abstractmethod
    def _build(self, n_features, widths, likelihood):
        """Return a new model, a ClusterModel, with hidden layers of the given widths."""

    @abstractmethod
    def _initialize(self, model, fit):
        """Initialize a model, and return the :class:`Partition` that training begins with."""

    def _count_clusters(self):
        """Return the number of clusters, or classes; 1 where it is not known yet."""
        return (
            getattr(self, "n_clusters_", 1)
            if self.n_clusters == "auto"
            else self.n_clusters
        )

    def _find_partition(self, fit, find_points):
        """Return the initial partition in the points (N, D) that a function returns."""
        if self.init is None:
            return Partition()
        counts = self._count_clusters(), fit.random_state, fit.labels
        return fit.search(
            "initial partition", partial(fit.init.find, find_points, *counts)
        )

    def _make_rows(self, model, partition, fit):
        """Return the data set of training."""
        return Rows(fit.X, anchor=fit.anchor(partition))

    def _after_training(self, model, fit, partition):
        """Complete a trained model before it predicts; nothing by default."""

    # ---- fit

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing. Sparse only with ``accept_sparse=True``. Their
            order does not matter up to a size of 64 MiB.
        y : array-like of shape (n_samples,), default=None
            With ``use_labels=True`` the cluster of each sample, -1 where it is unknown; ignored
            otherwise.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, at least 0. Whole weights count as repetitions. With other
            weights, or a sum above 10 ``n_samples``, samples are drawn in proportion to them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a value is larger than 1e100, or labels are no cluster numbers.
        FloatingPointError
            If a loss or a weight is not finite.
        """
        with isolated(), restore_on_failure(self):
            return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight, targets=None):
        """Train on X; a classifier gives the targets that it knows."""
        check_callbacks(self.callbacks)
        if not self._continues():
            for name in ("n_clusters_", "n_clusters_curve_", "hidden_layer_sizes_"):
                vars(self).pop(name, None)
        X = self._check_rows(X, reset=True)
        current_process().check_same("shape of X", X.shape)
        random_state = broadcast_object(partial(random_stream, self.random_state))
        labels = find_labels(self, y, X.shape[0]) if targets is None else targets
        index = choose_samples(X, labels, sample_weight, random_state)
        fit = self._collect(X, y, index, labels, random_state)
        with fit.progress:
            if targets is None:
                choose_n_clusters(self, fit)
            n_clusters, pretrains = self._count_clusters(), self._pretrains(fit)
            settings = choose_settings(
                self, fit.X.shape, n_clusters, fit.device, pretrains
            )
            fit = replace(fit, settings=settings)
            in_codes = self._without_codes and settings.pretraining_epochs
            if not self._continues() and not (in_codes or fit.init.from_codes):
                fit = replace(fit, partition=self._find_partition(fit, fit.points))
            run = self._best_run(fit)
            found = run.history, run.start_labels
            run.history, run.start_labels = broadcast_weights(run.model, *found)
            self._set_fitted_attributes(run, fit)
        if not run.interrupted:
            fit.checkpoint.remove()
        return self

    def _collect(self, X, y, index, labels, random_state):
        """Return the :class:`Fit` of samples X; ``index`` selects the samples to train on."""
        chosen = X if index is None else X[index]
        labels = labels if labels is None or index is None else labels[index]
        check_enough(
            chosen.shape[0], self._count_clusters(), is_weighted=index is not None
        )
        past = self.history_ if self._continues() else None
        checkpoint = Checkpoint()
        if self.checkpoint is not None:
            checkpoint = Checkpoint(
                self.checkpoint, identify(self, chosen, y, index, past)
            )
            checkpoint.remember(lambda: None, random_state)
        names = getattr(self, "feature_names_in_", None)
        groups, standardize = list_groups(self), self.standardize
        with torch.device("cpu"):
            likelihood = choose_likelihood(
                self.likelihood, standardize, chosen, names, groups
            )
        return Fit(
            X=chosen,
            X_given=X,
            index=index,
            labels=labels,
            init=resolve_init(self.init, X.shape[0], index, self._without_codes),
            likelihood=likelihood,
            random_state=random_state,
            checkpoint=checkpoint,
            progress=Progress(
                type(self).__name__, self.verbose == 1 and is_main_process()
            ),
            augment=self.augment,
            is_tabulated=self.verbose > 1 and is_main_process(),
            factors=choose_factors(likelihood, standardize, chosen, groups),
            device=resolve_device(self.device),
        )

    def _pretrains(self, fit):
        """Return whether this fit trains an autoencoder first."""
        return hasattr(self, "pretraining_epochs") and not self._continues()

    def _best_run(self, fit):
        """Train ``n_init`` times; return the run with the highest mean criterion."""
        runs, n_runs = [], 1 if self._continues() else self.n_init
        n_epochs = fit.settings.max_epochs + fit.settings.pretraining_epochs
        fit.progress.plan(n_runs * n_epochs * fit.n_batches)
        for _ in range(n_runs):
            drawing = forked if brings_modules(self) else seeded
            with drawing(draw_seed(fit.random_state)):
                runs.append(self._run(fit))
            if runs[-1].interrupted:
                warnings.warn(
                    f"Training was interrupted after {len(runs[-1].history)} epochs. The "
                    "estimator holds what was learned so far; with warm_start=True, fit() goes "
                    "on from there.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
                break
        return max(runs, key=lambda run: run.criterion)

    def _run(self, fit):
        """Build (or resume), initialize, train and complete one model."""
        past = list(self.history_) if self._continues() else []
        with building():
            if past:
                model = resume(self, fit)
            else:
                likelihood = copy.deepcopy(fit.likelihood)
                widths = fit.settings.hidden_layer_sizes
                model = self._build(fit.X.shape[1], widths, likelihood)
        model.to(fit.device)
        partition = self._initialize(model, fit)
        rows, settings = self._make_rows(model, partition, fit), fit.settings
        history, interrupted = fit.train(
            "training",
            model,
            rows,
            max_epochs=settings.max_epochs,
            learning_rate=settings.learning_rate,
            callbacks=self.callbacks or (),
            resume=bool(past),
        )
        for record in history:
            record["epoch"] += len(past)
        self._after_training(model, fit, partition)
        fit.progress.begin("predictions")
        if partition.calibrated is not None:
            log_resp = apply(model, model.log_resp, fit.X).astype(np.float64)
            model.temperature.fill_(find_temperature(log_resp, partition.calibrated))
        run = Run(model, past + history, interrupted, partition.labels)
        if self.n_init > 1:
            run.criterion = float(np.mean(apply(model, model.criterion, fit.X)))
        return run

    def _set_fitted_attributes(self, run, fit):
        """Set what has been learned, and what each "auto" stood for."""
        labels, probabilities = assign(run.model, fit.X_given)
        attributes = fit.settings.attributes()
        if not hasattr(self, "pretraining_epochs"):
            del attributes["pretraining_epochs_"]
        vars(self).update(attributes)
        self._fit_params = resolve_params(self)
        self.model_, self.history_, self.n_iter_ = (
            run.model,
            run.history,
            len(run.history),
        )
        self.likelihood_ = run.model.likelihood.name
        self.standardize_ = run.model.likelihood.standardizes
        self.temperature_ = float(run.model.temperature)
        with torch.no_grad():
            for name, value in run.model.fitted_attributes().items():
                is_tensor = isinstance(value, torch.Tensor)
                setattr(self, name, value.cpu().numpy() if is_tensor else value)
        start_labels = run.start_labels
        if start_labels is not None and fit.index is not None:
            start_labels = labels.copy()
            start_labels[fit.index] = run.start_labels
        self._set_labels(labels, probabilities, start_labels, fit)

    def _set_labels(self, labels, probabilities, start_labels, fit):
        """Set the labels of the given samples and their outlier scores."""
        self.labels_, self.probabilities_ = labels, probabilities
        self.start_labels_, self.moved_ = start_labels, None
        if start_labels is not None:
            self.moved_ = float(np.mean(fit.take(labels != start_labels)))
        warn_of_lost_clusters(self, fit.take(labels), fit)
        model, taken = self.model_, fit.take(np.arange(len(labels)))
        model.fit_outliers(partial(fit.blocks, labels[taken]))
        self.outlier_scores_ = apply(model, model.outlier_scores, fit.X_given)
        weight = np.bincount(taken, minlength=len(labels)).astype(np.float64)
        self.offset_ = find_offset(self.outlier_scores_, self.noise, weight)
        self.labels_ = mark_noise(labels, self.outlier_scores_, self.offset_)

    # ---- checks of X

    def _check_rows(self, X, reset=False):
        """Validate X without copying, casting or centering it."""
        refuse_sparse(self, X)
        return read_table(
            self,
            X,
            reset=reset and not self._continues(),
            accept_sparse="csr" if self.accept_sparse else False,
            ensure_min_samples=2 if reset else 1,
        )

    # ---- predictions

    def _map(self, function, X):
        """Validate X and apply a method of the model, by name, or a function of tensors to it."""
        check_is_fitted(self)
        function = (
            getattr(self.model_, function) if isinstance(function, str) else function
        )
        return apply(self.model_, function, self._check_rows(X))

    def predict_proba(self, X) -> npt.NDArray[np.float32]:
        """Probability of each cluster, given the sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to assign.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters), float32
            Rows sum to one. The columns of a classifier are in the order of ``classes_``.
        """
        return self._map("resp", X)

    def predict(self, X) -> Labels:
        """Most probable cluster of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Between 0 and ``n_clusters - 1``; -1 for noise, if ``noise`` is not 0.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        clusters = assign(self.model_, X)[0]
        if not self._fit_params.get("noise"):
            return clusters
        scores = apply(self.model_, self.model_.outlier_scores, X)
        return mark_noise(clusters, scores, self.offset_)

    def score_samples(self, X) -> npt.NDArray[np.float64]:
        """Label-free criterion of each sample, in nats: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.

        Returns
        -------
        criterion : ndarray of shape (n_samples,), float64
            VAEEmbedding, VaDEClustering: a lower bound on log p(x), in the units of X, with the
            expectation over z taken over a fixed set of points. DACClustering:
            log p(x | G(z)) + log p(z) at z = E(x). InfoGANClustering, CatGANClustering:
            KL(p(c|x) || p(c)), the information of a sample about its cluster, without
            ``temperature_`` and with p(c) the mean of p(c|x) over the training data.
        """
        return self._map("criterion", X)

    def score(self, X, y=None) -> float:
        """Mean of :meth:`score_samples`, the label-free criterion: higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        score : float
            Mean over the samples, in nats.
        """
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    # ---- state: pickled and saved, and resumed by ``warm_start``

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = bool(self.accept_sparse)
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self):
        """Return the state as arrays and plain objects, so that it loads without a GPU."""
        state = make_plain(super().__getstate__())
        if "model_" in state:
            tensors = state["model_"].state_dict()
            state["model_"] = {
                name: tensor.cpu().numpy() for name, tensor in tensors.items()
            }
            state["_fit_params"] = make_plain(state["_fit_params"])
        return state

    def __setstate__(self, state):
        """Restore the state; the model is rebuilt with the parameters of the fit."""
        arrays = state.get("model_")
        super().__setstate__(
            {name: value for name, value in state.items() if name != "model_"}
        )
        if arrays is None:
            return
        tensors = {
            name: torch.tensor(array, device="cpu") for name, array in arrays.items()
        }
        prefix = "likelihood."
        own = {
            name.removeprefix(prefix): t
            for name, t in tensors.items()
            if prefix in name[:11]
        }
        fitted = copy.copy(self).set_params(**self._fit_params)
        with forked(0), torch.device("cpu"):
            likelihood = restore_likelihood(own)
            check_shapes(fitted, tensors, likelihood)
            self.model_ = build_from(fitted, tensors, likelihood).eval()

    def _continues(self):
        """Return whether ``fit`` goes on with the fitted model."""
        return self.warm_start and self.__sklearn_is_fitted__()


def seeks_number(estimator):
    """Return whether a fit has to find the number of clusters."""
    return estimator.n_clusters == "auto" and not hasattr(estimator, "n_clusters_")


def choose_n_clusters(estimator, fit):
    """Set the number of clusters, for "auto" the one that ``init`` finds."""
    if not seeks_number(estimator):
        estimator.n_clusters_ = estimator._count_clusters()
        return
    count = partial(fit.init.count, fit.points, fit.random_state)
    found, curve = fit.search("number of clusters", count)
    least = 1 if fit.labels is None else int(fit.labels.max()) + 1
    estimator.n_clusters_ = max(found, least)
    if curve is not None:
        estimator.n_clusters_curve_ = Bunch(**curve)


def find_labels(estimator, y, n_samples):
    """Return the known clusters (N,) of the samples, -1 where unknown, or None."""
    if not estimator.use_labels:
        return None
    n_clusters = n_samples if seeks_number(estimator) else estimator._count_clusters()
    labels = estimator._read_labels(y, n_samples, n_clusters)
    init = resolve_init(
        estimator.init, n_samples, without_codes=estimator._without_codes
    )
    if labels is not None and not init.has_anchor:
        raise ValueError(
            "use_labels=True needs an initial partition that labels are part of, but "
            f"init={estimator.init!r} has none. Use init='neighbors' or use_labels=False."
        )
    return labels


def keep_partition(model, fit):
    """Return the partition of a fitted model that is trained further."""
    resp = apply(model, lambda x: model.log_resp(x).exp().float(), fit.X)
    return Partition(hold_labels(resp, fit.labels))


def warn_of_lost_clusters(estimator, labels, fit):
    """Warn of clusters that are empty, or that many samples have left."""
    n_found, n_clusters = len(np.unique(labels)), estimator.n_clusters_
    if n_found < n_clusters:
        found = f"Only {n_found} of {n_clusters} clusters have samples"
        is_wide = fit.X.shape[1] > fit.n_samples
        lower = "Take principal components first (PCA), lower" if is_wide else "Lower"
        message = (
            f"{'All samples fell into one cluster' if n_found == 1 else found}. {lower} "
            "n_clusters, train longer (max_epochs), scale the features to a common range, or "
            "increase n_init."
        )
    elif (
        fit.init.has_anchor
        and estimator.start_weight
        and (estimator.moved_ or 0) > MAX_MOVED
    ):
        message = (
            f"{estimator.moved_:.0%} of the samples left their initial clusters, start_labels_, "
            "which the network does not tell apart. Train longer (max_epochs), raise "
            "start_weight, or use start_labels_."
        )
    else:
        return
    warnings.warn(message, ConvergenceWarning, stacklevel=6)


# ---- state


def make_plain(params):
    """Return parameters with plain values for a ColumnLikelihood, a device and a path."""
    plain = {}
    for name, value in params.items():
        if isinstance(value, ColumnLikelihood):
            value = value.layout
        elif isinstance(value, torch.device | os.PathLike):
            value = str(value)
        plain[name] = value
    return plain


def resolve_params(estimator):
    """Return the parameters that predictions need, with the values of "auto"."""
    params = estimator.get_params(deep=False)
    for name in ("callbacks", "augment", "checkpoint", "init"):
        params.pop(name, None)
    if isinstance(estimator.hidden_layer_sizes, str):
        params["hidden_layer_sizes"] = list(estimator.hidden_layer_sizes_)
    if "n_clusters" in params:
        params["n_clusters"] = estimator._count_clusters()
    return params


def brings_modules(estimator):
    """Return whether networks or the augmentation are the user's, which draw by themselves."""
    return any(
        getattr(estimator, name, None) is not None for name in (*BUILDERS, "augment")
    )


def build_from(estimator, tensors, likelihood):
    """Return the model of the current parameters with the weights of a state dict."""
    model = estimator._build(
        count_inputs(estimator), estimator.hidden_layer_sizes_, likelihood
    )
    model.restore_buffers(tensors)
    model.load_state_dict(tensors)
    return model


def check_shapes(estimator, tensors, likelihood):
    """Check that weights have the shapes of the networks, before these take memory."""
    if brings_modules(estimator):
        return
    sizes = count_inputs(estimator), estimator.hidden_layer_sizes_
    with torch.device("meta"):
        model = estimator._build(*sizes, likelihood)
    for name, tensor in model.state_dict().items():
        found = tuple(tensors[name].shape) if name in tensors else None
        if found != tuple(tensor.shape):
            raise ValueError(
                f"The model's {name} has shape {found}, but the parameters ask for "
                f"{tuple(tensor.shape)}."
            )


def resume(estimator, fit):
    """Return a model with the weights learned so far, by the current parameters."""
    asked = resolve_params(estimator)
    for name in ARCHITECTURE:
        before, now = estimator._fit_params.get(name), asked.get(name)
        if before is not now and not np.array_equal(before, now):
            raise ValueError(
                f"warm_start=True goes on with the fitted model, made with {name}={before}, "
                f"but now {name}={now}. Keep it, or set warm_start=False."
            )
    kept, asked = estimator.model_.likelihood, fit.likelihood
    if kept.describe() != asked.describe():
        raise ValueError(
            "warm_start=True goes on with a model whose likelihood is "
            f"{kept.describe()}, but X and the parameters ask for {asked.describe()}. Scale X "
            "as before, or set warm_start=False."
        )
    tensors = {
        name: tensor.cpu() for name, tensor in estimator.model_.state_dict().items()
    }
    model = build_from(estimator, tensors, copy.deepcopy(kept).cpu())
    if hasattr(model, "regularizer"):
        # The clusters learned so far are an anchor that does not give way.
        model.regularizer = replace(model.regularizer, own_share=0.0)
    return model
