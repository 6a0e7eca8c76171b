"""Where clusters come from: pretrained codes, and a mixture on them found without labels."""

import copy
import warnings
from math import ceil
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from ._estimator import Prepared
from ._mixture_start import partition
from ._shares import group_means
from .engine.batches import Rows, map_rows
from .engine.parallel import from_first
from .engine.precision import resolve_device
from .functional.gaussian import Mixture
from .gaussian_mixture import GaussianMixtureEM
from .modules.autoencoder import Autoencoder, PointEncoder
from .modules.networks import mlp
from .modules.prior import MixturePrior
from .neighbors import neighbor_start

#: Added to the variances of a mixture on codes, as a share of the codes' mean variance: a code
#: has directions that no row uses.
REG_COVAR = 1e-3


class CodeStart(NamedTuple):
    """A mixture of codes, and responsibilities: what it was made from, or its own answers."""

    mixture: Mixture
    responsibilities: np.ndarray


def code_start(codes, n_clusters, *, init, covariance_type, n_init, random_state, compared=None):
    """Divide codes into clusters.

    Parameters
    ----------
    codes : ndarray of shape (N, L)
    n_clusters : int
    init : {"neighbors", "mixture"} or ndarray of shape (N, K)
        "neighbors": one M-step from the partition seen in the codes' neighbour graph.
        "mixture": EM on the codes, the best of ``n_init`` starts. Responsibilities: one M-step
        from these.
    covariance_type : {"full", "tied", "diag", "spherical"}
    n_init : int
    random_state : RandomState
    compared : ndarray of shape (N, D), default=None
        What the neighbour graph compares instead of the codes.

    Returns
    -------
    CodeStart
        The mixture is float64, on the CPU.
    """
    mixture = GaussianMixtureEM(
        n_clusters,
        covariance_type=covariance_type,
        reg_covar=REG_COVAR * float(np.var(codes, axis=0).mean()) + np.finfo(np.float32).tiny,
        n_init=n_init,
        max_iter=200,
        device="cpu",
        random_state=random_state,
    )

    def divided():
        resp = None if isinstance(init, str) else init
        if resp is None and init == "neighbors":
            rows = codes if compared is None else compared
            ways = {"random_state": random_state, "n_jobs": torch.get_num_threads()}
            resp = neighbor_start(rows, n_clusters, **ways).responsibilities
        if resp is not None:
            mixture.set_params(init_params=resp, max_iter=0)
        with warnings.catch_warnings():
            # Whether the clusters have rows is judged, and said, by the estimator.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(codes)
        if resp is None:
            return CodeStart(mixture.mixture_, mixture.predict_proba(codes))
        return CodeStart(_numbered_as(resp, mixture.mixture_, codes), resp)

    return from_first(divided, random_state)


def _numbered_as(resp, mixture, codes):
    """Return components in the order of the responsibilities they come from.

    EM has put those without rows last.
    """
    distances = cdist(group_means(resp, codes), mixture.means.numpy())
    distances[~resp.any(0)] = 0
    order = torch.as_tensor(linear_sum_assignment(distances)[1])
    log_weights, means, scales = mixture
    scales = scales[order] if len(scales) == len(means) else scales
    return Mixture(log_weights[order], means[order], scales)


class StartMixin:
    """What all methods with a start share: the denoising auto-encoder that gives codes.

    Many rows are divided by their codes. Few teach an auto-encoder little: they are compared as
    they are, standardised.

    Needs the parameters ``pretraining_epochs`` and ``pretraining_learning_rate``.
    """

    _parameter_constraints = {
        "start_weight": [Interval(Real, 0, None, closed="left")],
        "smoothness_weight": [Interval(Real, 0, None, closed="left")],
        "pretraining_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "pretraining_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "mixture_n_init": [Interval(Integral, 1, None, closed="left")],
    }

    #: Steps of ``pretraining_epochs="auto"`` with many rows: in units of sqrt(N), or so many if
    #: these are not more than so many passes.
    PRETRAINING_STEPS = 30.0, 8000, 100
    #: Most steps of either phase with few rows, which get as many as there are rows.
    FEW_STEPS = 250
    #: Of the auto-encoder, whatever the second phase does.
    PRETRAINING = {"weight_decay": 1e-4, "callbacks": None}

    def _pretrain(self, encoder, decoder, likelihood, X, random_state):
        """Train networks as a denoising auto-encoder; return it, and if the user stopped it."""
        autoencoder = Autoencoder(encoder, decoder, likelihood)
        autoencoder.to(resolve_device(self.device))
        n_samples = X.shape[0]
        n_steps = self._pretraining_steps(n_samples)
        epochs = self._n_epochs(n_samples, self.pretraining_epochs, n_steps)
        own = {"max_epochs": epochs, "learning_rate": self.pretraining_learning_rate}
        changes = own | self.PRETRAINING
        return autoencoder, self._train(autoencoder, Rows(X), random_state, **changes)[1]

    def _pretraining_steps(self, n_samples):
        if not self._has_many(n_samples):
            return self._few_steps(n_samples)
        units, least, passes = self.PRETRAINING_STEPS
        least = min(least, passes * ceil(n_samples / self._rows_in_step(n_samples)))
        return max(units * np.sqrt(n_samples), least)

    def _few_steps(self, n_samples):
        return min(n_samples, self.FEW_STEPS)

    def _is(self, way):
        return isinstance(self.init, str) and self.init == way

    def _given(self, n_samples):
        """Return ``init`` with a partition that the user gives checked, as responsibilities."""
        if self.init is None or isinstance(self.init, str):
            return self.init
        return partition("init", self.init, n_samples, self.n_clusters)

    def _start(self, init, codes, compared, random_state):
        """Divide the codes, with covariances of the prior's kind."""
        return code_start(
            codes,
            self.n_clusters,
            init=init,
            covariance_type=MixturePrior.COVARIANCE_TYPE,
            n_init=self.mixture_n_init,
            random_state=random_state,
            compared=compared,
        )

    def _keep(self, run, X):
        super()._keep(run, X)
        self.start_labels_ = run.start_labels


class PretrainMixin(StartMixin):
    """First phase of methods with a mixture prior: their own networks give the codes.

    Needs a model with ``encoder``, ``decoder``, ``likelihood`` and ``prior``, too. With
    init="mixture" the rows of the second phase come alone, else with the responsibilities they
    start from.
    """

    _parameter_constraints = {
        **StartMixin._parameter_constraints,
        "encoder": [callable, None],
        "decoder": [callable, None],
        "init": [StrOptions({"neighbors", "mixture"}), "array-like"],
        "masking": [Interval(Real, 0, 1, closed="left")],
    }

    BATCH_SIZES = 32, 256

    def _n_steps(self, n_samples):
        if self._has_many(n_samples):
            return super()._n_steps(n_samples)
        return self._few_steps(n_samples)

    def _prepare(self, model, X, random_state, is_new):
        interrupted = False
        if is_new:
            init = self._given(X.shape[0])
            networks = model.encoder, model.decoder, model.likelihood
            interrupted = self._pretrain(*networks, X, random_state)[1]
            codes, compared = self._answers(model, model.encode, X), None
            if self._is("neighbors") and not self._has_many(X.shape[0]):
                compared = self._answers(model, model.likelihood.standardize, X)
            start = self._start(init, codes, compared, random_state)
            model.prior.set(start.mixture)
            resp = start.responsibilities
        else:
            resp = self._answers(model, lambda x: model.log_resp(x).exp(), X)
        columns = [] if self._is("mixture") else [resp.astype(np.float32)]
        return Prepared(Rows(X, *columns), interrupted, resp.argmax(1))


class PartitionMixin(StartMixin):
    """First phase of methods without codes: an auto-encoder that is thrown away gives them.

    Few rows are divided as they are, without one. Needs the parameters ``init``,
    ``n_components`` and ``hidden_layer_sizes``, and a model with ``likelihood`` and ``log_resp``.
    The rows of the second phase come with the responsibilities they start from; alone, and
    without ``start_labels_``, with init=None.
    """

    _parameter_constraints = {
        **StartMixin._parameter_constraints,
        "generator": [callable, None],
        "discriminator": [callable, None],
        "init": [StrOptions({"neighbors", "mixture"}), "array-like", None],
        "pretraining_epochs": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    }

    def _prepare(self, model, X, random_state, is_new):
        if self.init is None:
            return Prepared(Rows(X))
        interrupted = False
        if is_new:
            resp, interrupted = self._partition(model.likelihood, X, random_state)
        else:
            resp = self._answers(model, lambda x: model.log_resp(x).exp(), X)
        return Prepared(Rows(X, resp.astype(np.float32)), interrupted, resp.argmax(1))

    def _partition(self, likelihood, X, random_state):
        """Responsibilities of the rows, (N, K), and whether the user stopped the training."""
        init = self._given(X.shape[0])
        if not isinstance(init, str):
            return init, False
        few = self.pretraining_epochs == "auto" and not self._has_many(X.shape[0])
        if few or self.pretraining_epochs == 0:
            rows = map_rows(copy.deepcopy(likelihood).cpu().standardize, X)
            return self._start(init, rows, None, random_state).responsibilities, False
        widths, n_features = list(self.hidden_layer_sizes), X.shape[1]
        encoder = PointEncoder(mlp(n_features, self.n_components, widths))
        decoder = mlp(self.n_components, n_features, widths[::-1])
        networks = encoder, decoder, copy.deepcopy(likelihood)
        autoencoder, interrupted = self._pretrain(*networks, X, random_state)
        codes = self._answers(autoencoder, autoencoder.encode, X)
        return self._start(init, codes, None, random_state).responsibilities, interrupted
