"""What all estimators with networks share: the fit, predictions and saved state.

N samples, E encoded features, K clusters.
"""

import copy
import os
from abc import ABC, abstractmethod
from numbers import Integral, Real
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
    keep_fit,
    random_stream,
    warn_user,
    with_plain_numbers,
)
from ..input.dask import maps_blocks
from ..input.labels import LabeledClusterMixin, find_offset, mark_noise
from ..input.n_clusters import N_CLUSTERS
from ..input.preparation import Preparation, Prepared
from ..input.types import Doubles, Floats, Labels, fit_context
from ..neighbor_clustering import NeighborClustering
from ..nn.likelihood import ColumnLikelihood, restore_likelihood
from ..nn.networks import ACTIVATIONS
from ..nn.runtime import BLOCK, batches, forked, isolated
from ..training.checkpoint import Checkpoint
from ..training.loop import StepProgress, check_callbacks
from .fit import (
    BUILDERS,
    Fit,
    apply,
    assign,
    choose_samples,
    scale_samples,
    settle,
    train_best,
)
from .settings import Recipe
from .start import (
    Start,
    check_init,
    find_augmentation,
    find_number,
    is_given,
    is_own,
    partition_codes,
    read_start,
    search_start,
    start_from,
)

#: Maximum share of the samples that leave their initial clusters without a warning.
MAX_MOVED = 0.25


class DeepEstimator(BaseEstimator, ABC):
    """An estimator that trains a :class:`~skdeepcluster.nn.model.ClusterModel`.

    A method defines ``__init__``, its recipe for "auto", and the five steps of a fit below.
    """

    #: Whether training sees augmented samples. They would widen densities and codes.
    _augments_training = False
    #: Whether this is a member of an ensemble, which leaves out interrupted members.
    _is_member = False
    #: Whether each batch also has labeled samples of its own.
    _draws_labeled = False

    _parameter_constraints = {
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
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # ---- what a method defines

    _recipe: Recipe

    @abstractmethod
    def _read_known(self, y, n_samples):
        """Return the :class:`Known` clusters or classes, and the number asked for."""

    @abstractmethod
    def _build(self, n_features, n_clusters, widths, likelihood):
        """Return a new model, a ClusterModel, with hidden layers of the given widths."""

    @abstractmethod
    def _find_start(self, data, augment, random_state):
        """Return the :class:`Start` of all trainings."""

    @abstractmethod
    def _before(self, model, fit):
        """Initialize a model, and return the :class:`Start` of its training."""

    def _after(self, model, fit, start):
        """Complete a trained model before it predicts; nothing by default."""

    def _describe(self, run, fit, labels, probabilities):
        """Return the fitted attributes by name; labels and probabilities (N,) are of all of X."""
        model = run.model
        return {
            **fit.data.preparation.input_attributes(),
            **fit.settings.attributes(),
            **read_attributes(model),
            "augment_": fit.augmentation.augment,
            "history_": run.history,
            "likelihood_": model.likelihood.name,
            "model_": model,
            "n_iter_": len(run.history),
            "standardize_": model.likelihood.standardizes,
            "temperature_": float(model.temperature),
            "_fit_params": resolve_params(fit),
        }

    #: What a method does at the beginning of each epoch, ``_on_epoch(model, fit, rows)``, or None.
    _on_epoch = None

    # ---- the fit

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing. The order of the samples does not matter if X
            takes at most 64 MiB.
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
        estimator = with_plain_numbers(self)
        with (
            isolated(),
            StepProgress(type(self).__name__, self.verbose == 1) as progress,
        ):
            preparation, X = estimator._read(X, sample_weight)
            known = estimator._read_known(y, X.shape[0])
            random_state = random_stream(self.random_state)
            checkpoint = None
            if self.checkpoint is not None:
                data_of_fit = X, known.labels, sample_weight
                checkpoint = Checkpoint(estimator, data_of_fit, random_state)
            data = choose_samples(preparation, X, known, sample_weight, random_state)

            likelihood = scale_samples(estimator, data)
            progress.begin("initial partition")
            augmentation = find_augmentation(estimator, data, random_state)
            start = estimator._find_start(data, augmentation.augment, random_state)
            settings = settle(estimator, data.X.shape, start)
            fit = Fit(
                estimator=estimator,
                data=data,
                likelihood=likelihood,
                augmentation=augmentation,
                start=start,
                settings=settings,
                random_state=random_state,
                progress=progress,
                checkpoint=checkpoint,
            )
            run = train_best(fit)
            attributes = estimator._describe(run, fit, *assign(run.model, X))
        if checkpoint is not None and not run.interrupted:
            checkpoint.remove()
        return keep_fit(self, attributes)

    def _read(self, X, sample_weight):
        """Return the preparation of X, and X, checked and encoded, (N, E)."""
        check_callbacks(self.callbacks)
        check_init(self.init)
        is_unchanged = self.augment is None and self.image_shape is None
        graph = self.init if isinstance(self.init, NeighborClustering) else None
        preparation = Preparation(
            vars(self).get("kinds", "numbers"),
            standardize=self.standardize,
            metric="euclidean" if graph is None else graph.metric,
            n_neighbors=15 if graph is None else graph.n_neighbors,
            learns_kinds=is_unchanged and self.likelihood in ("auto", "gaussian"),
            name=type(self).__name__,
        )
        X = preparation.fit_encode(X, sample_weight, min_samples=2)
        if self.verbose and preparation.is_table:
            print(preparation.describe())
        return preparation, X

    # ---- predictions

    def _map(self, function, X):
        """Validate X and apply a method of the model, by name, or a function of tensors to it."""
        check_is_fitted(self)
        if isinstance(function, str):
            function = getattr(self.model_, function)
        return apply(self.model_, function, self.preparation_.encode(X))

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

        It compares fits with the same settings. For a search of ``init_weight`` and others, use
        :func:`~skdeepcluster.model_selection.label_free_scorer`.

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
        return "model_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
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
        parts = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        fitted = copy.copy(self).set_params(**self._fit_params)
        with forked(0), torch.device("cpu"):
            likelihood = restore_likelihood(parts)
            self.model_ = rebuild(fitted, tensors, likelihood).eval()


class DeepClusterer(LabeledClusterMixin, DeepEstimator):
    """A deep estimator that finds clusters."""

    _parameter_constraints = {
        "n_clusters": N_CLUSTERS,
        "contamination": [FRACTION, AUTO],
        "use_labels": ["boolean"],
    }

    def _read_known(self, y, n_samples):
        """Return the :class:`Known` clusters of the samples."""
        known = super()._read_known(y, n_samples)
        if known.labels is not None and is_own(self.init):
            raise ValueError(
                "use_labels=True needs an initial partition that labels are part of, but "
                "init='own' has none. Use init='neighbors' or use_labels=False."
            )
        return known

    def _find_start(self, data, augment, random_state):
        init = self.init
        n_clusters = data.known.n_clusters
        labels = data.labels
        if is_given(init):
            return read_start(init, data)
        if is_own(init) and isinstance(n_clusters, Integral):
            return Start(n_clusters)
        if is_own(init):
            return find_number(data.prepared, n_clusters, labels, random_state)
        takes_views = not isinstance(init, NeighborClustering) or (
            init.metric == "euclidean" and init.augment is None
        )
        prepared = data.prepared.change(augment if takes_views else None)
        return search_start(init, prepared, n_clusters, labels, random_state)

    def _search(self, codes, fit):
        """Return the :class:`Start` found in codes (N, L)."""
        n_clusters = fit.start.n_clusters
        if is_own(self.init):
            return start_from(partition_codes(codes, n_clusters, fit.random_state))
        labels = fit.data.labels
        codes = Prepared(codes)
        return search_start(self.init, codes, n_clusters, labels, fit.random_state)

    def _describe(self, run, fit, labels, probabilities):
        attributes = super()._describe(run, fit, labels, probabilities)
        model = run.model
        data = fit.data
        start_labels = data.fill(run.start.labels, labels)
        moved = None
        if start_labels is not None:
            moved = float(np.mean(data.take(labels != start_labels)))
        self._warn_of_lost_clusters(data.take(labels), moved or 0, fit)

        taken = data.take(np.arange(len(labels)))
        model.fit_outliers(lambda: _pair(fit, labels[taken]))
        outlier_scores = apply(model, model.outlier_scores, data.X_given)
        weight = np.bincount(taken, minlength=len(labels)).astype(np.float64)
        offset = find_offset(outlier_scores, self.contamination, weight)
        attributes |= {
            **data.known.attributes(),
            "labels_": mark_noise(labels, outlier_scores, offset),
            "moved_": moved,
            "n_clusters_": fit.start.n_clusters,
            "offset_": offset,
            "outlier_scores_": outlier_scores,
            "probabilities_": probabilities,
            "init_labels_": start_labels,
        }
        if fit.start.curve is not None:
            attributes["n_clusters_curve_"] = Bunch(**fit.start.curve)
        if fit.augmentation.scores is not None:
            attributes["augment_scores_"] = fit.augmentation.scores
        return attributes

    def _warn_of_lost_clusters(self, labels, moved, fit):
        """Warn of clusters that are empty, or that many samples have left."""
        n_clusters = fit.start.n_clusters
        n_found = len(np.unique(labels))
        init_weight = self.get_params(deep=False).get("init_weight")
        is_held = init_weight != 0 and not is_own(self.init)
        if n_found < n_clusters:
            problem = f"Only {n_found} of {n_clusters} clusters have samples"
            if n_found == 1:
                problem = "All samples fell into one cluster"
            lower = "Lower"
            if fit.X.shape[1] > fit.X.shape[0]:
                lower = "Take principal components first (PCA), lower"
            warn_user(
                f"{problem}. {lower} n_clusters, train longer (max_epochs), scale the features to "
                "a common range, or increase n_init."
            )
        elif is_held and moved > MAX_MOVED:
            longer = "Train longer (max_epochs)"
            if init_weight is not None:
                longer += ", raise init_weight"
            warn_user(
                f"{moved:.0%} of the samples left their initial clusters, init_labels_, which "
                f"the network does not separate. {longer}, or use init_labels_."
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
            Between 0 and ``n_clusters - 1``; -1 for noise, if ``contamination`` is not 0.
        """
        check_is_fitted(self)
        X = self.preparation_.encode(X)
        clusters = assign(self.model_, X)[0]
        if not self._fit_params.get("contamination"):
            return clusters
        scores = apply(self.model_, self.model_.outlier_scores, X)
        return mark_noise(clusters, scores, self.offset_)


def _pair(fit, labels):
    """Yield blocks of the samples with the one-hot labels (n, K) of clusters with samples."""
    _, clusters = np.unique(labels, return_inverse=True)
    n_clusters = int(clusters.max()) + 1
    blocks = torch.from_numpy(clusters).split(BLOCK)
    for x, block in zip(batches(fit.X, BLOCK), blocks, strict=True):
        yield x.to(fit.device), one_hot(block.to(fit.device), n_clusters)


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


def read_attributes(model):
    """Return the fitted attributes that a model names, as arrays."""
    attributes = {}
    with torch.no_grad():
        for name, value in model.fitted_attributes().items():
            is_tensor = isinstance(value, torch.Tensor)
            attributes[name] = value.cpu().numpy() if is_tensor else value
    return attributes


def resolve_params(fit):
    """Return the parameters that predictions need, with the number of clusters found."""
    params = fit.estimator.get_params(deep=False)
    for name in ("callbacks", "augment", "checkpoint", "init"):
        params.pop(name, None)
    if "n_clusters" in params:
        params["n_clusters"] = fit.start.n_clusters
    return params


def rebuild(estimator, tensors, likelihood):
    """Return the model of the current parameters with the weights of a state dict."""
    params = vars(estimator)
    n_clusters = params.get("n_clusters") or len(estimator.classes_)
    n_features = estimator.preparation_.n_encoded_
    sizes = n_features, n_clusters, estimator.hidden_layer_sizes_
    if all(params.get(name) is None for name in BUILDERS):
        with torch.device("meta"):
            check_shapes(estimator._build(*sizes, likelihood), tensors)
    model = estimator._build(*sizes, likelihood)
    model.restore_buffers(tensors)
    model.load_state_dict(tensors)
    return model


def check_shapes(model, tensors):
    """Check that weights have the shapes of a model, before it takes memory."""
    for name, tensor in model.state_dict().items():
        shape = tuple(tensors[name].shape) if name in tensors else None
        if shape != tuple(tensor.shape):
            raise ValueError(
                f"The model's {name} has shape {shape}, but the parameters ask for "
                f"{tuple(tensor.shape)}."
            )
