"""Gaussian mixtures by expectation maximisation, over batches.

Maximised is the mean log-likelihood, mean_n log sum_k pi_k N(x_n | mu_k, Sigma_k), by turns:

==========  =====================================================  ================================
E-step      r_nk = pi_k N(x_n | mu_k, Sigma_k) / sum over k        ``engine.em.e_step``
M-step      moments under r -> pi, mu, Sigma                       ``functional.moments.maximise``
==========  =====================================================  ================================
"""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from ._mixture import FittedMixture
from ._mixture_start import covariance_shape, given_fields, given_responsibilities
from ._state import unchanged_if_it_fails
from .engine import em
from .engine.batches import to_tensor
from .engine.randomness import draw_seed, generator, random_stream
from .engine.starts import Starts
from .functional.gaussian import Mixture

#: k-means runs shared among the ``n_init`` starts of a fit, at least one each.
KMEANS_RUNS = 10
#: Rows per cluster that partial_fit collects before it starts; a full covariance needs D + 1.
WARM_UP_ROWS = 15
#: A component below this share of the mean weight may be starved.
STARVED = 0.01


class GaussianMixtureEM(FittedMixture):
    r"""Gaussian mixture by EM over batches: any size of X, weighted rows, double precision.

    Parameters and attributes have the names and meanings of
    :class:`sklearn.mixture.GaussianMixture`, and the same start gives the same mixture.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance matrix per component, one for all, one variance per component and feature,
        or one variance per component.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood rises by less than this.
    reg_covar : float, default=1e-6
        Added to every variance.
    max_iter : int, default=100
        Most EM iterations; 0 keeps the start.
    n_init : int, default=1
        Starts; the one with the best lower bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"} or array-like of shape \
(n_samples, n_clusters), default="kmeans"
        Where EM starts: the M-step of k-means labels (of the best of 10 k-means, shared among the
        ``n_init`` starts), of single rows far apart, of scattered responsibilities, of single rows
        drawn at random, or of the responsibilities given. Of more than 25,000 different rows,
        "kmeans", "k-means++" and "random_from_data" look at a systematic draw of that many.
    weights_init : array-like of shape (n_clusters,), default=None
        Weights to start from instead.
    means_init : array-like of shape (n_clusters, n_features), default=None
        Means to start from instead.
    precisions_init : array-like, default=None
        Inverse covariances to start from instead; of the shape of ``precisions_``.
    learning_decay : float, default=0.7
        ``partial_fit`` number t moves the moments by the share
        ``(learning_offset + t - 1) ** -learning_decay``; 0 replaces them (batch EM).
    learning_offset : float, default=10.0
        At least 1; larger values slow the first steps down.
    batch_size : int or "auto", default="auto"
        Rows to a chunk of an EM iteration; changes time and memory, not results.
    accept_sparse : bool, default=False
        Take sparse X; rows are made dense one batch at a time.
    device : str or torch.device, default="auto"
        "auto" is CUDA if there is a GPU, else the CPU. Double precision everywhere.
    warm_start : bool, default=False
        Start from the last fit, if its shapes match; ``n_init`` is ignored then.
    random_state : int, RandomState instance or None, default=None
        Decides starts and samples.
    verbose : int, default=0
        1 prints starts and iterations, 2 the bound as well.
    verbose_interval : int, default=10
        Iterations between two lines.

    Attributes
    ----------
    weights_ : ndarray of shape (n_clusters,)
        Weight of each component.
    means_ : ndarray of shape (n_clusters, n_features)
        Mean of each component.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Covariances, their inverses P and the upper triangular U of P = U U^T; of shape
        (n_clusters, n_features, n_features) full, (n_features, n_features) tied,
        (n_clusters, n_features) diag, (n_clusters,) spherical.
    mixture_ : skdeepcluster.functional.gaussian.Mixture
        The same as torch tensors, float64, on the CPU.
    labels_ : ndarray of shape (n_samples,)
        Component of each row of X (after ``partial_fit``: of its batch); equal to ``predict(X)``.
    converged_ : bool
        Whether the best start reached ``tol``.
    n_iter_ : int
        Iterations of the best start (after ``partial_fit``: steps).
    lower_bound_ : float
        Mean log-likelihood of the rows, as of the last E-step of the best start.
    lower_bounds_ : list of float
        The same for each iteration.
    n_batch_iter_ : int
        Steps of ``partial_fit`` since the last fit.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    select_n_clusters : Choose the number of components.
    sklearn.mixture.GaussianMixture : The same in memory, without weights.

    Notes
    -----
    Maximised is the weighted mean of :math:`\log \sum_k \pi_k N(x_n | \mu_k, \Sigma_k)` [1]_.
    Weights equal repeated rows, the start included. Components to which no row belongs are placed
    last, with a warning, so that labels count from 0 without gaps.

    ``partial_fit`` is stepwise EM [2]_: the moments behind the mixture are averaged with those of
    the batch. The first batches are collected until there are 15 rows per cluster, or
    ``n_features + 1`` if that is more and covariances are full. A component that covers less than
    one of the rows that the average remembers takes half of the heaviest one.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum Likelihood from Incomplete Data via
       the EM Algorithm", J. R. Stat. Soc. B, 1977.
    .. [2] O. Cappe, E. Moulines, "On-line Expectation-Maximization Algorithm for Latent Data
       Models", J. R. Stat. Soc. B, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster import GaussianMixtureEM
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    >>> np.sort(mixture.means_[:, 0])
    array([ 1., 10.])
    >>> mixture.predict([[0, 0]]) == mixture.labels_[0]
    array([ True])
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [
            StrOptions({"kmeans", "k-means++", "random", "random_from_data"}),
            "array-like",
        ],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "learning_decay": [Interval(Real, 0.0, 1.0, closed="both")],
        "learning_offset": [Interval(Real, 1.0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "accept_sparse": ["boolean"],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        learning_decay=0.7,
        learning_offset=10.0,
        batch_size="auto",
        accept_sparse=False,
        device="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
        verbose_interval=10,
    ):
        self.n_clusters = n_clusters
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.batch_size = batch_size
        self.accept_sparse = accept_sparse
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # ---- learning

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the mixture of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from: also memory maps, Dask arrays, and with ``accept_sparse`` CSR.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; 2 equals a row that is there twice.

        Returns
        -------
        self : object
            The fitted mixture.
        """
        with unchanged_if_it_fails(self):
            rows = self._checked_rows(X, sample_weight, True, max(2, self.n_clusters))
            bound = self.lower_bound_ if self._continues(rows) else -np.inf
            best = None
            for i, start in enumerate(self._starts(rows)):
                if self.verbose:
                    print(f"Initialization {i}")
                budget = (self.max_iter, self.tol, bound, self._report)
                run = em.run(rows, start, self._m_step(), *budget)
                if best is None or run.beats(best):
                    best = run
                if run.interrupted:
                    break
            self._keep(best.mixture)
            self._place_inhabited_first(rows)
            self.lower_bound_, self.lower_bounds_ = best.bound, best.bounds
            self.n_iter_, self.converged_ = len(best.bounds), best.converged
            self.n_batch_iter_ = 0
            vars(self).pop("_waiting", None)
        self._warn(interrupted=run.interrupted)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Take one step of stepwise EM on a batch, from the mixture there is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            One batch.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            It answers once the first batches have enough rows, see the Notes of the class.
        """
        with unchanged_if_it_fails(self):
            known = hasattr(self, "n_features_in_")
            rows = self._checked_rows(X, sample_weight, not known, 1)
            stream = random_stream(self.random_state)
            if self.__sklearn_is_fitted__():
                mixture = self.mixture_.to(rows.device)
            elif self._enough_wait_with(rows):
                rows = self._waiting
                mixture = next(self._starts(rows, stream))
                del self._waiting
            else:
                return self
            step = getattr(self, "n_batch_iter_", 0) + 1
            rate = (self.learning_offset + step - 1) ** -self.learning_decay
            mixture, bound = em.step(rows, mixture, self._m_step(), rate)
            least = min(rate / rows.X.shape[0], STARVED / self.n_clusters)
            self._keep(em.reseeded(mixture, least, generator(draw_seed(stream))))
            self.labels_ = self._labels(rows)
            self.n_batch_iter_ = self.n_iter_ = step
            self.lower_bound_, self.lower_bounds_, self.converged_ = bound, [bound], False
        return self

    def _enough_wait_with(self, rows):
        """Put a first batch with those before it; say whether they make a start."""
        X, weight = to_tensor(rows.X, torch.float64).numpy(), rows.weight
        if hasattr(self, "_waiting"):
            X = np.concatenate([self._waiting.X, X])
            weight = np.concatenate([self._waiting.weight, weight])
        self._waiting = em.WeightedRows(X, weight, rows.batch_size, rows.device)
        per_cluster = WARM_UP_ROWS
        if self.covariance_type == "full":
            per_cluster = max(per_cluster, X.shape[1] + 1)
        return X.shape[0] >= per_cluster * self.n_clusters

    def _m_step(self):
        return em.MStep(self.covariance_type, self.reg_covar)

    def _report(self, i, bound, change):
        """Print a line about an iteration, if one is wanted."""
        if self.verbose and i % self.verbose_interval == 0:
            detail = f"\t lower bound {bound:.6f}\t change {change:.6f}"
            print(f"  Iteration {i}{detail if self.verbose > 1 else ''}")

    # ---- starts

    def _starts(self, rows, stream=None):
        """Yield the mixtures from which EM starts."""
        if self._continues(rows):
            yield self.mixture_.to(rows.device)
            return
        given = given_fields(self, rows.X.shape[1], rows.device)
        if len(given) == len(Mixture._fields):
            yield Mixture(**given)
            return
        stream = random_stream(self.random_state) if stream is None else stream
        starts = Starts(rows, self.n_clusters, self._m_step(), generator(draw_seed(stream)))
        if not isinstance(self.init_params, str):
            resp = given_responsibilities(self, rows.X.shape[0], rows.device)
            yield starts.maximised(lambda where, *_: resp[where])._replace(**given)
            return
        for _ in range(self.n_init):
            mixture = starts.mixture(self.init_params, max(1, KMEANS_RUNS // self.n_init))
            yield mixture._replace(**given)

    def _continues(self, rows):
        """Whether a warm start is asked for and the last mixture has the right shape."""
        if not (self.warm_start and self.__sklearn_is_fitted__()):
            return False
        shape = (self.n_clusters, rows.X.shape[1])
        scale_shape = covariance_shape(self.covariance_type, *shape)
        return self.means_.shape == shape and self.covariances_.shape == scale_shape

    # ---- endings

    def _place_inhabited_first(self, rows):
        """Set ``labels_``; components without rows go last, so that labels have no gaps."""
        self.labels_ = self._labels(rows)
        empty = np.bincount(self.labels_, rows.weight, self.n_clusters) == 0
        if empty.any():
            order = np.argsort(empty, kind="stable")
            log_weights, means, scales = self.mixture_
            scales = scales[order] if len(scales) == len(means) else scales
            self._keep(Mixture(log_weights[order], means[order], scales))
            self.labels_ = self._labels(rows)

    def _warn(self, interrupted):
        """Say what the user should know about a fit that went less than well."""
        inhabited = len(np.unique(self.labels_))
        if interrupted:
            _convergence_warning(
                f"EM was interrupted after {self.n_iter_} iterations. The estimator holds the "
                "mixture so far; warm_start=True and fit() go on from there."
            )
        elif not self.converged_ and self.max_iter > 0:
            _convergence_warning(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data."
            )
        if inhabited < self.n_clusters:
            _convergence_warning(
                f"Only {inhabited} of n_clusters={self.n_clusters} components have rows, possibly "
                "due to duplicate points in X. Decrease n_clusters or increase n_init."
            )


def _convergence_warning(message):
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
