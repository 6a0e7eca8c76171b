"""What all estimators with networks share: training, predictions and saved state."""

import copy
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import one_hot

from ..input.checks import (
    AUTO,
    COUNT,
    FRACTION,
    check_answers,
    check_enough,
    is_open,
    refuse_sparse,
    restore_on_failure,
    warn_user,
)
from ..input.dask import maps_blocks
from ..input.imputation import impute
from ..input.labels import LabeledClusterMixin, find_offset, mark_noise
from ..input.random import draw_seed, random_stream
from ..input.tables import count_inputs, list_groups, read_table
from ..input.types import Doubles, Floats, Labels, fit_context
from ..modules.likelihood import ColumnLikelihood, restore_likelihood
from ..modules.networks import ACTIVATIONS
from ..neighbors.samples import GraphSettings
from ..partition.invariance import choose_augment
from ..partition.number import read_numbers
from ..training.checkpoint import Checkpoint, identify
from ..training.loop import Progress, check_callbacks
from ..training.runtime import (
    BLOCK,
    Rows,
    batches,
    building,
    forked,
    isolated,
    map_rows,
    resolve_device,
    seeded,
    threads_by_size,
)
from ..training.settings import (
    Recipe,
    choose_factors,
    choose_likelihood,
    choose_settings,
)
from .fit import Data, Fit, choose_samples
from .start import (
    Start,
    check_init,
    find_number,
    find_temperature,
    has_anchor,
    is_given,
    read_start,
    search_start,
)

#: Parameters that build networks.
BUILDERS = ("encoder", "decoder", "generator", "discriminator")
#: Maximum share of the samples that leave their initial clusters without a warning.
MAX_MOVED = 0.25


@dataclass
class Run:
    """One training from start to end; the best of ``n_init`` is kept."""

    model: torch.nn.Module
    start: Start
    history: list
    interrupted: bool
    score: float = -np.inf


class DeepEstimator(BaseEstimator, ABC):
    """An estimator that trains a :class:`~skdeepcluster.modules.model.ClusterModel`.

    A subclass defines ``__init__``, its recipe for "auto", and how to build and initialize the
    model; it may complete the model after training.
    """

    #: Whether training sees augmented samples. They would widen densities and codes.
    _augments_training = False
    #: Whether this is a member of an ensemble, which leaves out interrupted members.
    _is_member = False

    _parameter_constraints = {
        "n_components": [COUNT],
        "hidden_layer_sizes": [AUTO, "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "image_shape": ["array-like", None],
        "likelihood": [
            StrOptions({"auto", "bernoulli", "gaussian"}),
            dict,
            ColumnLikelihood,
        ],
        "standardize": [AUTO, "boolean"],
        "max_epochs": [COUNT, AUTO],
        "batch_size": [COUNT, AUTO],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), AUTO],
        "n_init": [COUNT],
        "augment": [callable, AUTO, None],
        "precision": [StrOptions({"float32", "bfloat16", "auto"})],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "accept_sparse": ["boolean"],
        "random_state": ["random_state"],
    }

    # ---- what a subclass defines

    _recipe: Recipe

    @property
    @abstractmethod
    def _n_clusters(self):
        """Number of clusters or classes; 1 before "auto" is resolved."""

    @abstractmethod
    def _build(self, n_features, widths, likelihood):
        """Return a new model, a ClusterModel, with hidden layers of the given widths."""

    @abstractmethod
    def _find_start(self, data, random_state):
        """Return the :class:`Start` of all trainings."""

    def _set_number(self, start):
        """Set the attributes about the number of clusters; none by default."""

    @abstractmethod
    def _initialize(self, model, fit):
        """Initialize a model, and return the :class:`Start` of its training."""

    def _pretrains(self, data):
        """Return whether an autoencoder is trained first."""
        return self._recipe.pretraining_steps > 0

    def _make_rows(self, model, start, fit):
        """Return the data set of training."""
        return Rows(fit.X, anchor=start.target)

    def _after_training(self, model, fit, start):
        """Complete a trained model before it predicts; nothing by default."""

    @abstractmethod
    def _set_labels(self, labels, probabilities, start, fit):
        """Set the attributes that follow from the labels (N,) of the given samples."""

    # ---- fit

    def _fit(self, X, labels, sample_weight):
        """Train on checked samples X; ``labels`` (N,) are known clusters or classes, or None."""
        check_callbacks(self.callbacks)
        check_init(self.init)
        random_state = random_stream(self.random_state)
        checkpoint = None
        if self.checkpoint is not None:
            identity = identify(self, X, labels, sample_weight)
            checkpoint = Checkpoint(self.checkpoint, identity, random_state)

        index = choose_samples(X, labels, sample_weight, random_state)
        with Progress(type(self).__name__, self.verbose == 1) as progress:
            fit = self._prepare(X, index, labels, random_state, progress, checkpoint)
            self._set_number(fit.start)
            run = self._best_run(fit)
            self._set_fitted_attributes(run, fit)
        if checkpoint is not None and not run.interrupted:
            checkpoint.remove()
        return self

    def _prepare(self, X, index, labels, random_state, progress, checkpoint):
        """Return the :class:`Fit` of X; ``index`` selects the samples to train on."""
        chosen = X
        if index is not None:
            chosen = X[index]
            labels = None if labels is None else labels[index]
        check_enough(chosen.shape[0], self._n_clusters, index is not None)

        groups = list_groups(self)
        standardize = self.standardize
        with torch.device("cpu"):
            likelihood = choose_likelihood(self.likelihood, standardize, chosen, groups)
        factors = choose_factors(likelihood, standardize, chosen, groups)
        data = Data(X, chosen, index, labels, factors)

        progress.begin("initial partition")
        vars(self).pop("augment_scores_", None)
        self.augment_ = self.augment
        if self.augment == "auto":
            self._find_augment(data, random_state)
        start = self._find_start(data, random_state)
        device = resolve_device(self.device)
        pretrains = self._pretrains(data)
        params = self.get_params(deep=False)
        settings = choose_settings(
            params, self._recipe, chosen.shape, start.n_clusters, device, pretrains
        )
        return Fit(
            data=data,
            start=start,
            likelihood=likelihood,
            settings=settings,
            device=device,
            random_state=random_state,
            augment=self.augment_ if self._augments_training else None,
            progress=progress,
            is_tabulated=self.verbose > 1,
            checkpoint=checkpoint,
        )

    def _find_augment(self, data, random_state):
        """Find the changes of X that do not matter, by the expected score."""
        numbers = getattr(self, "n_clusters", self._n_clusters)
        self.augment_, self.augment_scores_ = choose_augment(
            impute(data.compared_by(self.init)),
            read_numbers(numbers),
            GraphSettings(n_jobs=torch.get_num_threads()),
            self.image_shape,
            data.factors,
            random_state,
        )

    def _best_run(self, fit):
        """Train ``n_init`` times; return the run with the highest mean score."""
        n_epochs = fit.settings.max_epochs + (fit.settings.pretraining_epochs or 0)
        fit.progress.plan(self.n_init * n_epochs * fit.n_batches)
        drawing = forked if brings_modules(self) else seeded
        runs = []
        for _ in range(self.n_init):
            with drawing(draw_seed(fit.random_state)):
                run = self._run(fit)
            runs.append(run)
            if run.interrupted:
                warn_user(
                    f"Training was interrupted after {len(run.history)} epochs. The estimator "
                    "holds what was learned so far. A fit with a checkpoint can be resumed."
                )
                break
        return max(runs, key=lambda run: run.score)

    def _run(self, fit):
        """Build, initialize, train and complete one model."""
        settings = fit.settings
        with building():
            likelihood = copy.deepcopy(fit.likelihood)
            widths = settings.hidden_layer_sizes
            model = self._build(fit.X.shape[1], widths, likelihood)
        model.to(fit.device)
        start = self._initialize(model, fit)
        rows = self._make_rows(model, start, fit)
        history, interrupted = fit.train(
            "training",
            model,
            rows,
            settings.max_epochs,
            settings.learning_rate,
            self.callbacks or (),
        )
        if interrupted and self._is_member:
            raise KeyboardInterrupt

        self._after_training(model, fit, start)
        fit.progress.begin("predictions")
        if start.calibrated is not None:
            log_resp = apply(model, model.log_resp, fit.X).astype(np.float64)
            model.temperature.fill_(find_temperature(log_resp, start.calibrated))
        run = Run(model, start, history, interrupted)
        if self.n_init > 1:
            run.score = float(np.mean(apply(model, model.score, fit.X)))
        return run

    def _set_fitted_attributes(self, run, fit):
        """Set what has been learned, and what each "auto" stood for."""
        model = run.model
        labels, probabilities = assign(model, fit.data.X_given)
        vars(self).update(fit.settings.attributes())
        self._fit_params = resolve_params(self)
        self.model_ = model
        self.history_ = run.history
        self.n_iter_ = len(run.history)
        self.likelihood_ = model.likelihood.name
        self.standardize_ = model.likelihood.standardizes
        self.temperature_ = float(model.temperature)
        with torch.no_grad():
            for name, value in model.fitted_attributes().items():
                is_tensor = isinstance(value, torch.Tensor)
                setattr(self, name, value.cpu().numpy() if is_tensor else value)
        self._set_labels(labels, probabilities, run.start, fit)

    # ---- checks of X

    def _check_rows(self, X, reset=False):
        """Validate X without copying, casting or centering it."""
        refuse_sparse(self, X)
        return read_table(
            self,
            X,
            reset=reset,
            accept_sparse="csr" if self.accept_sparse else False,
            ensure_min_samples=2 if reset else 1,
        )

    # ---- predictions

    def _map(self, function, X):
        """Validate X and apply a method of the model, by name, or a function of tensors to it."""
        check_is_fitted(self)
        if isinstance(function, str):
            function = getattr(self.model_, function)
        return apply(self.model_, function, self._check_rows(X))

    @maps_blocks
    def predict_proba(self, X) -> Floats:
        """Probability of each cluster, given the sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to assign. For a Dask array, the result is lazy.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_clusters), float32
            Rows sum to one. The columns of a classifier are in the order of ``classes_``.
        """
        return self._map("resp", X)

    def score_samples(self, X) -> Doubles:
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
        return self._map("score", X)

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

    # ---- state

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


class DeepClusterer(LabeledClusterMixin, DeepEstimator):
    """A deep estimator that finds clusters."""

    _parameter_constraints = {
        "n_clusters": [COUNT, AUTO, tuple],
        "noise": [FRACTION, AUTO],
        "use_labels": ["boolean"],
    }
    #: Whether the model encodes samples, so that a mixture is fitted to its codes.
    _has_codes = True

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing. Sparse only with ``accept_sparse=True``. The
            order of the samples does not matter if X takes at most 64 MiB.
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
            If a value is larger than 1e100, or labels are not cluster numbers.
        FloatingPointError
            If a loss or a weight is not finite.
        """
        with isolated(), restore_on_failure(self):
            for name in ("n_clusters_", "n_clusters_curve_"):
                vars(self).pop(name, None)
            X = self._check_rows(X, reset=True)
            return self._fit(X, self._read_known(y, X.shape[0]), sample_weight)

    @property
    def _n_clusters(self):
        if is_open(self.n_clusters):
            return getattr(self, "n_clusters_", 1)
        return self.n_clusters

    def _read_known(self, y, n_samples):
        """Return the known clusters (N,) of the samples, -1 where unknown, or None."""
        if not self.use_labels:
            return None
        most = n_samples if is_open(self.n_clusters) else self.n_clusters
        labels = self._read_labels(y, n_samples, most)
        if labels is not None and not has_anchor(self.init, self._has_codes):
            raise ValueError(
                "use_labels=True needs an initial partition that labels are part of, but "
                f"init={self.init!r} has none. Use init='neighbors' or use_labels=False."
            )
        return labels

    def _find_start(self, data, random_state):
        init = self.init
        n_clusters = self.n_clusters
        if is_given(init):
            return read_start(init, data, n_clusters)
        is_partition = has_anchor(init, self._has_codes)
        if not is_partition and not is_open(n_clusters):
            return Start(n_clusters)
        points = data.compared_by(init)
        if not is_partition:
            return find_number(points, n_clusters, data.labels, random_state)
        augment = data.augment_of(self.augment_)
        return search_start(
            init, points, n_clusters, data.labels, random_state, augment
        )

    def _search(self, points, labels, random_state):
        """Return the :class:`Start` found in codes (N, L)."""
        return search_start(self.init, points, self.n_clusters_, labels, random_state)

    def _set_number(self, start):
        self.n_clusters_ = start.n_clusters
        if start.curve is not None:
            self.n_clusters_curve_ = Bunch(**start.curve)

    def _set_labels(self, labels, probabilities, start, fit):
        """Set the labels of the given samples and their outlier scores."""
        data = fit.data
        self.probabilities_ = probabilities
        self.start_labels_ = data.fill(start.labels, labels)
        self.moved_ = None
        if start.labels is not None:
            moved = labels != self.start_labels_
            self.moved_ = float(np.mean(data.take(moved)))
        self._warn_of_lost_clusters(data.take(labels), fit)

        model = self.model_
        taken = data.take(np.arange(len(labels)))
        model.fit_outliers(lambda: _pair(fit, labels[taken]))
        self.outlier_scores_ = apply(model, model.outlier_scores, data.X_given)
        weight = np.bincount(taken, minlength=len(labels)).astype(np.float64)
        self.offset_ = find_offset(self.outlier_scores_, self.noise, weight)
        self.labels_ = mark_noise(labels, self.outlier_scores_, self.offset_)

    def _warn_of_lost_clusters(self, labels, fit):
        """Warn of clusters that are empty, or that many samples have left."""
        n_found = len(np.unique(labels))
        moved = self.moved_ or 0
        has_weight = getattr(self, "start_weight", 0) > 0
        is_held = has_weight and has_anchor(self.init, self._has_codes)
        if n_found < self.n_clusters_:
            found = f"Only {n_found} of {self.n_clusters_} clusters have samples"
            if n_found == 1:
                found = "All samples fell into one cluster"
            lower = "Lower"
            if fit.X.shape[1] > fit.X.shape[0]:
                lower = "Take principal components first (PCA), lower"
            warn_user(
                f"{found}. {lower} n_clusters, train longer (max_epochs), scale the features to "
                "a common range, or increase n_init."
            )
        elif is_held and moved > MAX_MOVED:
            warn_user(
                f"{moved:.0%} of the samples left their initial clusters, start_labels_, which "
                "the network does not separate. Train longer (max_epochs), raise start_weight, "
                "or use start_labels_."
            )

    @maps_blocks
    def predict(self, X) -> Labels:
        """Return the most probable cluster of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to assign. For a Dask array, the result is lazy.

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


def _pair(fit, labels):
    """Yield blocks of the samples with the one-hot labels (n, K) of clusters with samples."""
    _, own = np.unique(labels, return_inverse=True)
    n_clusters = int(own.max()) + 1
    blocks = torch.from_numpy(own).split(BLOCK)
    for x, block in zip(batches(fit.X, BLOCK), blocks, strict=True):
        yield x.to(fit.device), one_hot(block.to(fit.device), n_clusters)


# ---- predictions


def apply(model, function, X):
    """Apply a function to fixed blocks of X, so that no result depends on other samples.

    ValueError names the first sample whose result is not finite.
    """
    with isolated(), threads_by_size(model, BLOCK):
        device = next(model.parameters()).device
        return check_answers(map_rows(function, X, device), X)


def assign(model, X):
    """Return the most probable cluster of each sample, and its probability, (N,) each."""
    found = apply(model, model.assign_surely, X)
    return found[:, 0].astype(np.int64), found[:, 1].copy()


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
        params["n_clusters"] = estimator._n_clusters
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
    if any(getattr(estimator, name, None) is not None for name in BUILDERS):
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
