"""Where clusters come from: pretrained codes, and a mixture on them found without labels."""

import warnings
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from ._estimator import Prepared
from .engine.batches import Rows
from .functional.gaussian import Mixture
from .gaussian_mixture import GaussianMixtureEM
from .modules.autoencoder import Autoencoder
from .modules.prior import MixturePrior
from .neighbors import neighbor_start

#: Added to the variances of a mixture on codes, as a share of the codes' mean variance: a code
#: has directions that no row uses.
REG_COVAR = 1e-3


class CodeStart(NamedTuple):
    """A mixture of codes, and the responsibilities it was made from (None with "mixture")."""

    mixture: Mixture
    responsibilities: np.ndarray | None


def code_start(codes, n_clusters, *, init, covariance_type, n_init, random_state):
    """Divide codes into clusters.

    Parameters
    ----------
    codes : ndarray of shape (N, L)
    n_clusters : int
    init : {"neighbors", "mixture"}
        "neighbors": one M-step from the partition seen in the codes' neighbour graph.
        "mixture": EM on the codes, the best of ``n_init`` starts.
    covariance_type : {"full", "tied", "diag", "spherical"}
    n_init : int
    random_state : RandomState

    Returns
    -------
    CodeStart
        The mixture is float64, on the CPU.
    """
    resp = None
    mixture = GaussianMixtureEM(
        n_clusters,
        covariance_type=covariance_type,
        reg_covar=REG_COVAR * float(np.var(codes, axis=0).mean()) + np.finfo(np.float32).tiny,
        n_init=n_init,
        max_iter=200,
        device="cpu",
        random_state=random_state,
    )
    if init == "neighbors":
        resp = neighbor_start(codes, n_clusters, random_state=random_state).responsibilities
        mixture.set_params(init_params=resp, max_iter=0)
    with warnings.catch_warnings():
        # Whether the clusters have rows is judged, and said, by the estimator.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return CodeStart(mixture.fit(codes).mixture_, resp)


class PretrainMixin:
    """First phase of methods with a mixture prior: a denoising auto-encoder, then a mixture.

    Needs the parameters ``init``, ``pretraining_epochs`` and ``mixture_n_init``, and a model with
    ``encoder``, ``decoder``, ``likelihood`` and ``prior``. With init="neighbors" the rows of the
    second phase come with the responsibilities they start from, else alone.
    """

    _parameter_constraints = {
        "init": [StrOptions({"neighbors", "mixture"})],
        "start_weight": [Interval(Real, 0, None, closed="left")],
        "smoothness_weight": [Interval(Real, 0, None, closed="left")],
        "masking": [Interval(Real, 0, 1, closed="left")],
        "mixture_n_init": [Interval(Integral, 1, None, closed="left")],
        "pretraining_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    #: Steps that ``pretraining_epochs="auto"`` makes, in units of sqrt(N).
    PRETRAINING_STEPS = 12.0
    #: Of the auto-encoder, whatever the second phase does.
    PRETRAINING = {"learning_rate": 2e-3, "weight_decay": 1e-4, "callbacks": None}

    def _prepare(self, model, X, random_state, is_new):
        interrupted, resp = False, None
        if is_new:
            interrupted = self._pretrain(model, X, random_state)
            start = self._start(self._answers(model, model.encode, X), random_state)
            model.prior.set(start.mixture)
            resp = start.responsibilities
        if resp is None:
            resp = self._answers(model, lambda x: model.log_resp(x).exp(), X)
        columns = [resp.astype(np.float32)] if self.init == "neighbors" else []
        return Prepared(Rows(X, *columns), interrupted, resp.argmax(1))

    def _pretrain(self, model, X, random_state):
        """Train the networks as a denoising auto-encoder; return whether the user stopped it."""
        autoencoder = Autoencoder(model.encoder, model.decoder, model.likelihood)
        autoencoder.to(next(model.parameters()).device)
        asked, steps = self.pretraining_epochs, self.PRETRAINING_STEPS
        changes = {"max_epochs": self._n_epochs(X.shape[0], asked, steps)} | self.PRETRAINING
        return self._train(autoencoder, Rows(X), random_state, **changes)[1]

    def _start(self, codes, random_state):
        """Divide the codes, with covariances of the prior's kind."""
        return code_start(
            codes,
            self.n_clusters,
            init=self.init,
            covariance_type=MixturePrior.COVARIANCE_TYPE,
            n_init=self.mixture_n_init,
            random_state=random_state,
        )

    def _keep(self, run, X):
        super()._keep(run, X)
        self.start_labels_ = run.start_labels
