"""What all estimators with networks share: the fit, predictions and saved state.

A method is a model and an estimator that derives from :class:`DeepEstimator`, and from
:class:`ClusteringMixin` and :class:`EmbeddingMixin` as it clusters and encodes samples. N samples,
E encoded features, K clusters, L code length.
"""

import copy
from abc import ABC, abstractmethod
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_array
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import one_hot

from ..functional.gaussian import compact_scales
from ..input.checks import warn_of_empty, warn_user
from ..input.dask import fit_predict, maps_blocks
from ..input.labels import find_offset, mark_noise, read_known
from ..input.parameters import (
    AUTO,
    COUNT,
    WEIGHT,
    begin_sample,
    copy_shallowly,
    forget_missing,
    with_plain_numbers,
)
from ..input.preparation import Preparation
from ..input.types import (
    ClusterMixin,
    Floats,
    Labels,
    Reals,
    fit_context,
)
from ..neighbor_clustering import NeighborClustering
from ..nn.likelihood import restore_likelihood
from ..nn.model import CERTAINTY, Regularizer
from ..nn.networks import ACTIVATIONS, make_network, mlp
from ..nn.runtime import BLOCK, batches, building, forked, isolated, seeded
from ..training.loop import check_callbacks
from ..utils.progress import Progress
from ..utils.random import draw_seed, random_stream
from .codes import draw_codes, find_temperature
from .fit import Recipe, Settings, Training, apply, assign
from .parameters import network_docs
from .start import (
    CodesStart,
    Data,
    choose_samples,
    find_augmentation,
    read_init,
    scale_samples,
)

#: Parameters that build networks.
BUILDERS = ("encoder", "decoder", "generator", "discriminator")
#: Constraints of parameters with the same meaning in all methods.
CONSTRAINTS = NeighborClustering._parameter_constraints | {
    "hidden_layer_sizes": [AUTO, "array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "likelihood": [StrOptions({"auto", "bernoulli", "gaussian"})],
    "init": [
        StrOptions({"neighbors", "own"}),
        HasMethods(["fit", "get_params", "set_params"]),
        "array-like",
    ],
    "pretraining_epochs": [Interval(Integral, 0, None, closed="left"), AUTO],
    "max_epochs": [COUNT, AUTO],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), AUTO],
    "image_shape": ["array-like", None],
    **dict.fromkeys(BUILDERS, [callable, None]),
    "batch_size": [COUNT, AUTO],
    "n_init": [COUNT],
    "augment": [callable, AUTO, None],
    "callbacks": [list, tuple, None],
    "device": [str],
}


class DeepEstimator(BaseEstimator, ABC):
    """An estimator that trains a :class:`~skdeepcluster.nn.model.ClusterModel`.

    A method defines ``__init__``, constraints of parameters that are not in ``CONSTRAINTS``, what
    "auto" is computed from, and the abstract methods.
    """

    _parameter_constraints: dict[str, Any] = {}

    #: How the method trains its model.
    _recipe: Recipe

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        names = cls._get_param_names()
        weights = {name: [WEIGHT] for name in names if name.endswith("_weight")}
        known = CONSTRAINTS | weights | cls._parameter_constraints
        cls._parameter_constraints = {
            name: known[name] for name in names if name in known
        }
        network_docs(cls)

    # ---- what a method defines

    @abstractmethod
    def _build(self, n_features, n_clusters, widths, likelihood):
        """Return a new ClusterModel with hidden layers of the given widths.

        Models of saved estimators are built on torch's meta device, which has shapes alone.
        """

    @abstractmethod
    def _train(self, model, training):
        """Initialize, train and complete a model; return the :class:`Run` of the training."""

    @abstractmethod
    def _describe(self, model, training):
        """Set the fitted attributes of the method, and warn of a model that learned little."""

    @abstractmethod
    def score_samples(self, X) -> Reals:
        """Label-free criterion of each sample, in nats: what the model's ``score`` returns."""

    # ---- what ClusteringMixin defines

    @abstractmethod
    def _read_known(self, y, n_samples):
        """Return the :class:`Known` clusters or classes, and the number asked for."""

    @abstractmethod
    def _find_initial(self, data, augment, random_state):
        """Return the :class:`InitialPartition` of all trainings."""

    @abstractmethod
    def _set_labels(self, training, run):
        """Set the fitted attributes about clusters or classes, and warn if there are few."""

    # ---- the fit

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, nan where values are missing.
        y : array-like of shape (n_samples,), default=None
            With ``use_labels=True`` the cluster of each sample, -1 where it is unknown; clusterers
            ignore it otherwise. For a classifier the class of each sample, a number or a string,
            or -1, None, nan or ``pandas.NA``; if -1 and 1 are the only values, both are classes.
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
            If a value is larger than 1e100, or labels cannot be read.
        FloatingPointError
            If a loss or a weight is not finite.
        """
        # A copy learns, so that nothing half-fitted is left behind.
        fitted = copy_shallowly(with_plain_numbers(self))
        with (
            isolated(),
            Progress(type(self).__name__, self.verbose == 1) as progress,
        ):
            random_state = random_stream(self.random_state)
            data = fitted._read(X, y, sample_weight, random_state)

            progress.begin("initial partition")
            augment, scores = find_augmentation(
                self.augment, self.image_shape, data, random_state
            )
            initial = fitted._find_initial(data, augment, random_state)

            settings = Settings.choose(
                vars(fitted), self._recipe, data, initial, augment
            )
            training = Training(data, initial, settings, random_state, progress)
            run = fitted._train_best(training)

            fitted.augment_ = augment
            fitted.augment_scores_ = scores
            fitted._set_model(training, run)
            fitted._set_labels(training, run)
            fitted._describe(run.model, training)
        self.__dict__ = vars(fitted) | self.get_params(deep=False)
        return self

    def _read(self, X, y, sample_weight, random_state):
        """Return the :class:`Data` of a fit: samples, checked, encoded and scaled."""
        check_callbacks(self.callbacks)
        has_clusterer = isinstance(self.init, NeighborClustering)
        graph = self.init if has_clusterer else NeighborClustering()
        is_plain = self.augment is None and self.image_shape is None
        preparation = Preparation(
            self.kinds,
            standardize=self.standardize,
            metric=graph.metric,
            n_neighbors=graph.n_neighbors,
            learns_kinds=is_plain and self.likelihood in ("auto", "gaussian"),
            name=type(self).__name__,
        )
        X = preparation.fit_encode(X, sample_weight, min_samples=2)
        if self.verbose and preparation.is_table:
            print(preparation.describe())
        known = self._read_known(y, X.shape[0])
        has_gaps = preparation.has_gaps_
        index = choose_samples(X, has_gaps, known, sample_weight, random_state)
        chosen = X if index is None else X[index]
        likelihood = scale_samples(
            preparation, chosen, self.likelihood, self.standardize
        )
        return Data(preparation, X, chosen, index, known, likelihood)

    def _train_best(self, training):
        """Train ``n_init`` times; return the :class:`Run` with the highest mean score."""
        settings = training.settings
        n_epochs = settings.pretraining_epochs + settings.max_epochs
        training.progress.plan(self.n_init * n_epochs * settings.n_batches)
        # Networks and augmentations of the user draw by themselves.
        draws_itself = self._takes_builders() or self.augment is not None
        drawing = forked if draws_itself else seeded
        runs = []
        for _ in range(self.n_init):
            with drawing(draw_seed(training.random_state)):
                run = self._train_once(training)
            runs.append(run)
            if run.interrupted:
                warn_user(
                    f"Training was interrupted after {len(run.history)} epochs. The estimator "
                    "holds what was learned so far."
                )
                break
        return max(runs, key=lambda run: run.score)

    def _train_once(self, training):
        """Build, train and calibrate one model."""
        settings = training.settings
        data = training.data
        with building():
            model = self._build(
                data.X.shape[1],
                training.initial.n_clusters,
                settings.hidden_layer_sizes,
                copy.deepcopy(data.likelihood),
            )
        run = self._train(model.to(settings.device), training)
        training.progress.begin("predictions")
        calibrated = run.initial.calibrated
        if calibrated is not None:
            log_resp = apply(model, model.log_resp, data.X).astype(np.float64)
            model.temperature.fill_(find_temperature(log_resp, calibrated))
        if self.n_init > 1:
            run.score = float(np.mean(apply(model, model.score, data.X)))
        return run

    def _takes_builders(self):
        """Return whether functions of the user build networks."""
        return any(vars(self).get(name) is not None for name in BUILDERS)

    def _set_model(self, training, run):
        """Set the fitted attributes about X, the model and its training."""
        data = training.data
        settings = training.settings
        preparation = data.preparation
        needs_imputer = preparation.has_gaps_ and preparation.imputer_ is None
        needs_components = sparse.issparse(data.X) and preparation.components_ is None
        if needs_imputer or needs_components:
            data.compare()  # so that new samples are read, too
        preparation.write_input(self)
        forget_missing(self, "augment_scores_")
        model = run.model
        self.model_ = model
        self.likelihood_ = model.likelihood.name
        self.standardize_ = model.likelihood.standardizes
        self.temperature_ = float(model.temperature)
        self.history_ = run.history
        self.n_iter_ = len(run.history)
        self.device_ = str(settings.device)
        self.hidden_layer_sizes_ = settings.hidden_layer_sizes
        self.learning_rate_ = settings.learning_rate
        self.batch_size_ = settings.batch_size
        self.max_epochs_ = settings.max_epochs

        params = self.get_params(deep=False)
        if "pretraining_epochs" in params:
            self.pretraining_epochs_ = settings.pretraining_epochs
        if "n_clusters" in params:
            params["n_clusters"] = training.initial.n_clusters
        for name in ("callbacks", "augment", "init"):  # predictions do not need them
            params.pop(name, None)  # subclasses may hide them
        self._fit_params = params

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

    # ---- state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self):
        """Return the state as arrays and plain objects, so that it loads without a GPU."""
        state = dict(super().__getstate__())
        if "model_" in state:
            tensors = state["model_"].state_dict().items()
            state["model_"] = {name: tensor.cpu().numpy() for name, tensor in tensors}
        return state

    def __setstate__(self, state):
        """Restore the state; the model is rebuilt with the parameters of the fit."""
        state = dict(state)
        arrays = state.pop("model_", None)
        super().__setstate__(state)
        if arrays is None:
            return
        fitted = copy_shallowly(self).set_params(**self._fit_params)
        with forked(0), torch.device("cpu"):
            tensors = {name: torch.tensor(array) for name, array in arrays.items()}
            self.model_ = rebuild(fitted, tensors).eval()


class ClusteringMixin(ClusterMixin):
    """Clusters: the initial partition, known clusters, noise, and predictions."""

    #: Weight of the initial partition; None for a method without this parameter.
    init_weight: Any = None

    fit_predict = fit_predict

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
        if self.offset_ == -np.inf:
            return clusters
        scores = apply(self.model_, self.model_.outlier_scores, X)
        return mark_noise(clusters, scores, self.offset_)

    def score(self, X, y=None) -> float:
        """Return the mean of :meth:`score_samples`, in nats: higher is better.

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
            In nats.
        """
        return float(self.score_samples(X).mean())

    # ---- steps of the fit

    def _make_regularizer(self, own_share=0.0, own_factor=1.0):
        """Return the terms that join the objective: with "own", those of IMSAT."""
        weight = self.smoothness_weight
        if not self._finds_clusters():
            return Regularizer(self.init_weight, weight, own_share)
        weight *= own_factor
        return Regularizer(
            CERTAINTY * weight, weight, information_weight=weight, end=0.5
        )

    def _finds_clusters(self):
        """Return whether the network finds its clusters itself."""
        return isinstance(read_init(self.init), CodesStart)

    def _read_known(self, y, n_samples):
        y = y if self.use_labels else None
        known = read_known(y, n_samples, self.n_clusters)
        if known.labels is not None and self._finds_clusters():
            raise ValueError(
                "use_labels=True needs an initial partition, but init='own' has none. Use "
                "init='neighbors'."
            )
        return known

    def _find_initial(self, data, augment, random_state):
        return read_init(self.init).find(data, augment, random_state)

    def _set_labels(self, training, run):
        data = training.data
        model = run.model
        labels, probabilities = assign(model, data.X_given)
        initial = data.fill(run.initial.labels, labels)
        moved = None
        if initial is not None:
            moved = float(np.mean(data.take(labels != initial)))
        self._warn_of_lost_clusters(data.take(labels), moved or 0, training)

        taken = data.take(np.arange(len(labels)))
        device = training.settings.device
        model.fit_outliers(lambda: _pair(data.X, labels[taken], device))
        scores = apply(model, model.outlier_scores, data.X_given)
        weight = np.bincount(taken, minlength=len(labels)).astype(np.float64)
        offset = find_offset(scores, self.contamination, weight)
        self.labels_ = mark_noise(labels, scores, offset)
        self.probabilities_ = probabilities
        self.outlier_scores_ = scores
        self.offset_ = offset
        self.init_labels_ = initial
        self.moved_ = moved
        self.n_clusters_ = training.initial.n_clusters
        self.n_clusters_curve_ = training.initial.curve
        self.classes_ = data.known.classes
        forget_missing(self, "classes_", "n_clusters_curve_")

    def _warn_of_lost_clusters(self, labels, moved, training):
        """Warn of clusters that are empty, or that many samples have left."""
        n_clusters = training.initial.n_clusters
        warn_of_empty(
            len(np.unique(labels)),
            n_clusters,
            "clusters",
            "Lower n_clusters, train longer (max_epochs), or scale the features.",
        )
        is_held = self.init_weight != 0 and not self._finds_clusters()
        if is_held and moved > 0.25:
            longer = "Train longer (max_epochs)"
            if self.init_weight is not None:
                longer += ", raise init_weight"
            warn_user(
                f"{moved:.0%} of the samples left their initial clusters, which the network "
                f"does not separate. {longer}, or use init_labels_."
            )


class EmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Codes: ``transform`` by the model's ``encode``, ``inverse_transform`` by its ``decode``.

    A fit sets ``_n_features_out``, the length of a code.
    """

    def transform(self, X) -> Floats:
        """Return the codes of samples, as the model encodes them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_codes), float32
            Codes; the mean of a code that is random.
        """
        return self._map("encode", X)

    def inverse_transform(self, X) -> Reals:
        """Decode codes: E[x | z], in the units of the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes, for instance from :meth:`transform`, or points between them.

        Returns
        -------
        X_original : ndarray or DataFrame of shape (n_samples, n_features)
            With the most probable categories.
        """
        check_is_fitted(self)
        Z = check_array(X, dtype=np.float32, input_name="X")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Codes must have shape (n_samples, {self._n_features_out}), as transform() "
                f"returns, got {Z.shape}."
            )
        return self._decode(Z)

    def _decode(self, Z, random_state=None):
        """Return E[x | z] of codes (N, L), float32, or draws of tables by a RandomState."""
        X = apply(self.model_, self.model_.decode, Z)
        if random_state is not None and self.preparation_.is_table:
            std = apply(self.model_, self.model_.likelihood.deviation, X)
            X = X + std * random_state.standard_normal(X.shape)
        return self.preparation_.decode(X, random_state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # ---- for methods with encoder and decoder

    def _make_coders(self, n_features, n_outputs, widths):
        """Return encoder (N, D) -> (N, n_outputs) and decoder (N, L) -> (N, D)."""
        perceptron = partial(mlp, activation=self.activation)
        encode = partial(perceptron, hidden_layer_sizes=widths)
        decode = partial(perceptron, hidden_layer_sizes=widths[::-1])
        sizes = n_features, n_outputs
        shape = self.image_shape
        encoder = make_network("encoder", self.encoder, *sizes, encode, shape)
        sizes = self.n_components, n_features
        return encoder, make_network("decoder", self.decoder, *sizes, decode, shape)

    def _describe_mixture(self, mixture, covariance_type):
        """Set the fitted attributes about a mixture of codes."""
        self._n_features_out = self.n_components
        covariances = compact_scales(mixture.covariances(), covariance_type)
        tensors = mixture.log_weights.exp(), mixture.means.clone(), covariances
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors]
        self.weights_, self.means_, self.covariances_ = arrays

    # ---- for methods whose codes follow a mixture that is learned with the networks

    def _describe_prior(self, model):
        """Set the fitted attributes about the prior, a mixture of codes."""
        self._describe_mixture(model.prior.mixture, "diag")
        with torch.no_grad():
            self.cluster_centers_ = model.decode(model.prior.means).cpu().numpy()


def sample_prior(
    self,
    n_samples: int = 1,
    cluster: int | None = None,
) -> tuple[Reals, Labels]:
    """Draw codes from the mixture, or from one of its clusters, and decode them.

    Codes between clusters are left out: p(c | z) is at least 0.9 times its value at the mean of
    the cluster.

    Parameters
    ----------
    n_samples : int, default=1
        Number of samples.
    cluster : int, default=None
        Cluster to draw from. None: all clusters, in proportion to their weights.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_samples, n_features)
        E[x|z] of the codes, in the units of X. Tables whose columns have kinds
        are draws from p(x|z): categories by their probabilities, numbers with the learned
        noise, in the range and with the decimals of X. An int ``random_state`` gives the same
        samples on every call.
    y : ndarray of shape (n_samples,)
        Cluster that each code was drawn from.
    """
    n_samples, stream = begin_sample(self, n_samples, cluster)
    Z, y = draw_codes(self.model_.prior, n_samples, cluster, stream)
    return self._decode(Z, stream), y


def _pair(X, labels, device):
    """Yield blocks of samples X with the one-hot labels (n, K) of clusters with samples."""
    _, clusters = np.unique(labels, return_inverse=True)
    n_clusters = int(clusters.max()) + 1
    blocks = torch.from_numpy(clusters).split(BLOCK)
    for x, block in zip(batches(X, BLOCK), blocks, strict=True):
        yield x.to(device), one_hot(block.to(device), n_clusters)


# ---- state


def rebuild(estimator, tensors):
    """Return the model of the current parameters with the weights of a state dict."""
    prefix = "likelihood."
    of_likelihood = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    likelihood = restore_likelihood(of_likelihood)
    n_clusters = estimator._fit_params.get("n_clusters") or len(estimator.classes_)
    n_features = estimator.preparation_.n_encoded_
    sizes = n_features, n_clusters, estimator.hidden_layer_sizes_
    # Shapes are compared before weights are allocated.
    device = "cpu" if estimator._takes_builders() else "meta"
    with torch.device(device):
        model = estimator._build(*sizes, likelihood)
    model.restore_buffers(tensors)
    model.load_state_dict(tensors, assign=device == "meta")
    if device == "meta":
        model.to(memory_format=torch.channels_last)  # as networks of the package are
    return model
